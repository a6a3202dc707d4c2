//! Subjects, their fingers and the fields seen of each: every choice a function of the seed.

use super::camera::{Device, Exposure, Shot};
use super::optics::Optics;
use super::pathology::{Cohort, Disease, Pathology};
use super::render::{self, View};
use super::rng::Rng;
use super::scene::{HALF_LENGTH, Scene};
use crate::finger::Finger;
use crate::frame::Size;

#[derive(Clone, Debug)]
pub struct Subject {
    pub seed: u64,
    pub disease: Disease,
    pub device: Device,
}

impl Subject {
    pub fn draw(cohort: Cohort, seed: u64, number: u32) -> Self {
        let disease = cohort.disease(seed, number);
        let seed = mix(seed, u64::from(number));
        Self { seed, disease, device: Device::draw(&mut Rng::new(seed, "device")) }
    }

    pub fn finger(&self, finger: Finger) -> FingerScene {
        let seed = mix(self.seed, finger.hand as u64 * 8 + finger.digit as u64);
        let pathology = Pathology::of_finger(self.disease, &mut Rng::new(seed, "pathology"));
        let scene = Scene::draw(&pathology, seed);
        let mut rng = Rng::new(seed, "pose");
        // Mostly the nail is up, left or right in the picture, as on published frames; sometimes it is not.
        let turned = if rng.chance(0.8) { rng.within(-1.9, 1.9) } else { rng.within(-3.2, 3.2) };
        FingerScene { seed, pathology, scene, turned }
    }
}

#[derive(Clone, Debug)]
pub struct FingerScene {
    pub seed: u64,
    pub pathology: Pathology,
    pub scene: Scene,
    /// Towards the nail, radians clockwise from up.
    pub turned: f32,
}

impl FingerScene {
    /// The `number`th of `of` adjacent fields, from one side of the nail to the other.
    pub fn view(&self, number: u32, of: u32, um_per_px: f32, size: Size) -> View {
        let mut rng = Rng::new(mix(self.seed, u64::from(number)), "view");
        let (width, height) = (size.width as f32 * um_per_px, size.height as f32 * um_per_px);
        let turned = self.turned + rng.normal() * 0.1;
        // How much of the fold one field takes, whichever way it is turned.
        let across = width * turned.cos().abs() + height * turned.sin().abs();
        let along = height * turned.cos().abs() + width * turned.sin().abs();
        let room = 2.0 * HALF_LENGTH - across - 200.0;
        let spacing = (across * 0.95).min(room / of.max(1) as f32);
        let u = (number as f32 - (of as f32 - 1.0) / 2.0) * spacing + rng.normal() * 0.04 * across;
        let off = rng.within(-0.26, 0.16) * along;
        View { centre: [u, self.scene.edge.height(u) + off], turned, um_per_px, size }
    }
}

/// What the device shows of a view.
pub fn photograph(scene: &Scene, view: &View, shot: &Shot, rng: &mut Rng) -> Vec<u8> {
    let mut canvas = render::draw(scene, view);
    shot.optics.apply(&mut canvas, scene, view, rng);
    shot.exposure.develop(&canvas, rng)
}

/// A readable shot with this device, other each time.
pub fn readable_shot(device: &Device, um_per_px: f32, rng: &mut Rng) -> Shot {
    let optics = Optics::readable(rng);
    Shot { optics, exposure: Exposure::of(device, um_per_px, rng) }
}

/// A seed for the `number`th part of what `seed` names.
pub fn mix(seed: u64, number: u64) -> u64 {
    Rng::new(seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15), "part").bits()
}
