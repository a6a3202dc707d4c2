//! One finger's nailfold as geometry in um: rows of loops, plexus, bleedings and what lies on the nail.
//! Axes: u along the fold, v towards the nail. Drawn once from a seed; views of it are drawn by `render`.

use super::edge::Edge;
use super::loops::{Class, Stroke};
use super::pathology::Pathology;
use super::plexus;
use super::rng::Rng;
use super::rows::{self, Build};
use super::skin::Skin;

/// Half of the drawn stretch of nailfold, in um: four adjacent fields of the widest lens that is drawn in full.
pub const HALF_LENGTH: f32 = 5500.0;

/// How blood colours what is above it: optical density a channel, for a density of one in green.
pub type Pigment = [f32; 3];

#[derive(Clone, Debug)]
pub struct Vessel {
    pub stroke: Stroke,
    /// Of the loop that it belongs to, 0 being the distal row; `None` for the plexus behind the loops, and for fibres.
    pub row: Option<u32>,
    pub density: f32,
    pub pigment: Pigment,
    /// How far its own edge is washed out by the skin above it, in um.
    pub softness: f32,
    /// Corners of the box that holds it: u and v, lowest and highest.
    pub bounds: [[f32; 2]; 2],
}

#[derive(Clone, Debug)]
pub struct Loop {
    pub apex: [f32; 2],
    /// Which way its tip points: radians from v towards -u.
    pub lean: f32,
    pub apical_um: f32,
    pub class: Class,
    /// 0 is the distal row.
    pub row: u32,
    pub density: f32,
    /// How far its edge is washed out by the skin above it, in um.
    pub softness: f32,
}

/// A blot of pigment: bleeding, debris, dirt.
#[derive(Clone, Debug)]
pub struct Blot {
    pub at: [f32; 2],
    pub radii: [f32; 2],
    pub angle: f32,
    pub density: f32,
    pub pigment: Pigment,
    /// 1 is a bell, higher is flatter with a sharper rim.
    pub flatness: f32,
    pub roughness: f32,
    pub haemorrhage: bool,
}

/// A specular highlight in oil or on the nail.
#[derive(Clone, Debug)]
pub struct Glint {
    pub at: [f32; 2],
    pub radii: [f32; 2],
    pub angle: f32,
    pub strength: f32,
    /// A ring: an air bubble in the oil.
    pub ring: bool,
}

#[derive(Clone, Debug)]
pub struct Scene {
    pub seed: u64,
    pub edge: Edge,
    pub skin: Skin,
    pub loops: Vec<Loop>,
    pub vessels: Vec<Vessel>,
    pub blots: Vec<Blot>,
    pub glints: Vec<Glint>,
}

impl Scene {
    pub fn draw(pathology: &Pathology, seed: u64) -> Self {
        let mut rng = Rng::new(seed, "scene");
        let edge = Edge::draw(&mut rng);
        let skin = Skin::draw(&mut Rng::new(seed, "skin"));
        let build = Build::draw(pathology, &mut rng);
        let mut scene =
            Self { seed, edge, skin, loops: Vec::new(), vessels: Vec::new(), blots: Vec::new(), glints: Vec::new() };
        rows::add_distal(&mut scene, &build, &mut Rng::new(seed, "distal row"));
        rows::add_proximal(&mut scene, &build, &mut Rng::new(seed, "proximal rows"));
        plexus::add(&mut scene, &build, &mut Rng::new(seed, "plexus"));
        super::surface::add_debris(&mut scene, &mut Rng::new(seed, "debris"));
        super::surface::add_fibres(&mut scene, &mut Rng::new(seed, "fibres"));
        super::surface::add_glints(&mut scene, &mut Rng::new(seed, "glints"));
        scene
    }
}

impl Vessel {
    pub fn new(stroke: Stroke, row: Option<u32>, density: f32, pigment: Pigment, softness: f32) -> Self {
        let reach = stroke.widths.iter().copied().fold(0.0, f32::max) / 2.0 + 3.0 * softness;
        let mut bounds = [[f32::MAX; 2], [f32::MIN; 2]];
        for p in &stroke.points {
            for axis in 0..2 {
                bounds[0][axis] = bounds[0][axis].min(p[axis] - reach);
                bounds[1][axis] = bounds[1][axis].max(p[axis] + reach);
            }
        }
        Self { stroke, row, density, pigment, softness, bounds }
    }
}
