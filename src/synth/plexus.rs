//! The venous plexus that shows through behind the loops.

use super::loops::Stroke;
use super::rng::Rng;
use super::rows::Build;
use super::scene::{HALF_LENGTH, Pigment, Scene, Vessel};

#[derive(Clone, Copy)]
struct Venule {
    start: [f32; 2],
    heading: f32,
    width: f32,
    density: f32,
    softness: f32,
    pigment: Pigment,
    left: u32,
}

/// The subpapillary plexus: thin wandering venules that branch, behind the loops.
pub fn add(scene: &mut Scene, build: &Build, rng: &mut Rng) {
    if rng.chance(0.35) {
        return;
    }
    let density = rng.within(0.05, 0.3) * (build.density / 0.3).min(1.3);
    let softness = rng.log_within(2.0, 18.0);
    for _ in 0..rng.count(2, 26) {
        let u = rng.within(-HALF_LENGTH, HALF_LENGTH);
        let start = [u, scene.edge.height(u) - rng.within(180.0, 1500.0)];
        let heading = rng.within(0.0, std::f32::consts::TAU);
        let width = rng.within(8.0, 28.0);
        wander(scene, rng, Venule { start, heading, width, density, softness, pigment: build.pigment, left: 3 });
    }
}

fn wander(scene: &mut Scene, rng: &mut Rng, venule: Venule) {
    let mut stroke = Stroke { points: vec![venule.start], widths: vec![venule.width], shows: vec![1.0] };
    let (mut at, mut heading) = (venule.start, venule.heading);
    for _ in 0..rng.count(8, 26) {
        heading += rng.normal() * 0.3;
        at = [at[0] + 38.0 * heading.cos(), at[1] + 38.0 * heading.sin()];
        if scene.edge.beyond(at[0], at[1]) > -130.0 {
            break;
        }
        stroke.points.push(at);
        stroke.widths.push(venule.width);
        stroke.shows.push(rng.within(0.75, 1.0));
        if venule.left > 0 && rng.chance(0.12) {
            let twig = Venule {
                start: at,
                heading: heading + rng.sign() * rng.within(0.4, 1.1),
                width: venule.width * rng.within(0.6, 0.9),
                left: venule.left - 1,
                ..venule
            };
            wander(scene, rng, twig);
        }
    }
    if stroke.points.len() > 2 {
        scene.vessels.push(Vessel::new(stroke, None, venule.density, venule.pigment, venule.softness));
    }
}
