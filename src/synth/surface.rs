//! What lies upon the skin and the nail: debris, dirt, oil, highlights. None of it knows the disease.

use super::loops::Stroke;
use super::rng::Rng;
use super::scene::{Blot, Glint, HALF_LENGTH, Scene, Vessel};

pub fn add_debris(scene: &mut Scene, rng: &mut Rng) {
    let brown = [rng.within(0.4, 0.9), rng.within(0.7, 1.1), rng.within(0.9, 1.4)];
    if rng.chance(0.55) {
        for _ in 0..rng.count(2, 40) {
            let u = rng.within(-HALF_LENGTH, HALF_LENGTH);
            let radius = rng.log_within(8.0, 60.0);
            scene.blots.push(Blot {
                at: [u, scene.edge.height(u) + rng.within(110.0, 900.0)],
                radii: [radius * rng.within(0.6, 2.0), radius * rng.within(0.4, 1.0)],
                angle: rng.within(0.0, std::f32::consts::PI),
                density: rng.within(0.1, 0.9),
                pigment: brown,
                flatness: rng.within(0.8, 2.0),
                roughness: rng.within(0.3, 1.2),
                haemorrhage: false,
            });
        }
    }
    for _ in 0..rng.count(0, 30) {
        let radius = rng.log_within(4.0, 18.0);
        scene.blots.push(Blot {
            at: anywhere(scene, rng),
            radii: [radius, radius * rng.within(0.5, 1.0)],
            angle: rng.within(0.0, std::f32::consts::PI),
            density: rng.within(0.08, 0.6),
            pigment: [0.9, 1.0, 1.0],
            flatness: 1.0,
            roughness: 0.3,
            haemorrhage: false,
        });
    }
}

/// Hairs and textile fibres: long, thin, dark, evenly wide, and wherever they fell.
pub fn add_fibres(scene: &mut Scene, rng: &mut Rng) {
    if !rng.chance(0.2) {
        return;
    }
    for _ in 0..rng.count(1, 12) {
        let mut at = anywhere(scene, rng);
        let mut heading = rng.within(0.0, std::f32::consts::TAU);
        let bend = rng.normal() * 0.06;
        let width = rng.log_within(6.0, 30.0);
        let mut stroke = Stroke { points: Vec::new(), widths: Vec::new(), shows: Vec::new() };
        for _ in 0..rng.count(6, 50) {
            stroke.points.push(at);
            stroke.widths.push(width);
            stroke.shows.push(1.0);
            heading += bend + rng.normal() * 0.04;
            at = [at[0] + 40.0 * heading.cos(), at[1] + 40.0 * heading.sin()];
        }
        let (density, softness) = (rng.within(0.1, 0.8), rng.within(0.0, 6.0));
        scene.vessels.push(Vessel::new(stroke, None, density, [rng.within(0.7, 1.0), 1.0, 1.0], softness));
    }
}

fn anywhere(scene: &Scene, rng: &mut Rng) -> [f32; 2] {
    let u = rng.within(-HALF_LENGTH, HALF_LENGTH);
    [u, scene.edge.height(u) + rng.within(-1800.0, 1200.0)]
}

pub fn add_glints(scene: &mut Scene, rng: &mut Rng) {
    for _ in 0..rng.count(2, 22) {
        let u = rng.within(-HALF_LENGTH, HALF_LENGTH);
        let nail_side = rng.chance(0.82);
        let off = if nail_side { rng.within(120.0, 1200.0) } else { rng.within(-1500.0, 80.0) };
        let centre = [u, scene.edge.height(u) + off];
        let spread = rng.log_within(30.0, 330.0);
        let specks = match rng.weighted(&[0.5, 0.38, 0.12]) {
            1 if nail_side => rng.count(4, 40),
            2 if nail_side => rng.count(40, 130),
            _ => rng.count(1, 4),
        };
        for _ in 0..specks {
            let radius = rng.log_within(1.0, 11.0);
            scene.glints.push(Glint {
                at: [centre[0] + rng.normal() * spread, centre[1] + rng.normal() * spread * 0.4],
                radii: [radius * rng.within(1.0, 2.2), radius * rng.within(0.5, 1.0)],
                angle: rng.normal() * 0.6,
                strength: rng.within(0.2, 1.3),
                ring: rng.chance(0.04),
            });
        }
        // The mirror image of a light-emitting diode on wet nail.
        if nail_side && rng.chance(0.025) {
            let radius = rng.log_within(40.0, 160.0);
            scene.glints.push(Glint {
                at: centre,
                radii: [radius * rng.within(1.0, 2.0), radius * 0.6],
                angle: rng.within(0.0, std::f32::consts::PI),
                strength: rng.within(0.3, 1.2),
                ring: false,
            });
        }
    }
    for _ in 0..rng.count(0, 8) {
        let radius = rng.log_within(18.0, 60.0);
        scene.glints.push(Glint {
            at: anywhere(scene, rng),
            radii: [radius, radius * rng.within(0.8, 1.0)],
            angle: 0.0,
            strength: rng.within(0.03, 0.15),
            ring: true,
        });
    }
}
