//! Follows a loop from its tip into the skin along the network's map of vessels, as far as that shows it.

use super::tips::Tip;
use crate::infer::{Maps, Plane, sigmoid};

/// A step along the loop, in um.
const STEP_UM: f32 = 12.0;
/// How far a loop is followed: the longest loops of the distal row have about 0.4 mm.
const LONGEST_UM: f32 = 400.0;
/// Turns that are tried at each step, in radians.
const TURNS: [f32; 7] = [0.0, -0.2, 0.2, -0.4, 0.4, -0.6, 0.6];
/// Probability of a vessel below which the loop is no longer seen.
const LEAST: f32 = 0.35;

/// From the tip towards the limbs, in pixels of the picture; at least the tip.
pub fn centreline(maps: &Maps, tip: &Tip) -> Vec<[f32; 2]> {
    let vessel = maps.plane(Plane::Vessel);
    let at = |x: f32, y: f32| {
        let inside = x >= 0.0 && y >= 0.0 && x < maps.width as f32 && y < maps.height as f32;
        if inside { sigmoid(vessel[y as usize * maps.width + x as usize]) } else { 0.0 }
    };
    let step = STEP_UM / maps.um_per_cell as f32;
    let (mut x, mut y) = (tip.x, tip.y);
    let mut heading = (-tip.toward[1]).atan2(-tip.toward[0]);
    let mut line = vec![maps.to_picture(x, y)];
    for _ in 0..(LONGEST_UM / STEP_UM) as usize {
        let tried = TURNS.map(|turn| {
            let angle = heading + turn;
            let (nx, ny) = (x + step * angle.cos(), y + step * angle.sin());
            // Straight on unless the vessel is clearly to one side.
            (at(nx, ny) - 0.1 * turn.abs(), at(nx, ny), angle, nx, ny)
        });
        let Some(best) = tried.into_iter().max_by(|a, b| a.0.total_cmp(&b.0)) else { break };
        if best.1 < LEAST {
            break;
        }
        (heading, x, y) = (best.2, best.3, best.4);
        line.push(maps.to_picture(x, y));
    }
    line
}
