//! Finds the tips: the peaks of the network's map, to a fraction of a cell.

use super::Settings;
use crate::infer::{Maps, Plane, sigmoid, um_of};
use crate::measured::GIANT_UM;

/// A candidate for the tip of a distal loop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tip {
    /// In cells; the middle of the first cell is 0.5.
    pub x: f32,
    pub y: f32,
    /// 0 to 1.
    pub score: f32,
    /// What the network says of the loop there; of the width another may know better.
    pub width_um: f32,
    /// Two networks told the width, too far apart for either to be believed.
    pub doubtful_width: bool,
    pub toward: [f32; 2],
    /// 0 to 1.
    pub abnormal: f32,
}

impl Tip {
    /// The same tip with the width that a network for widths tells.
    pub fn retold(self, width_um: f32, settings: &Settings) -> Self {
        let (low, high) = (self.width_um.min(width_um), self.width_um.max(width_um));
        let perhaps_giant = high >= GIANT_UM * (1.0 - settings.width_error);
        Self { width_um, doubtful_width: perhaps_giant && high > settings.widths_apart * low, ..self }
    }
}

/// Radius in which only the highest peak stands, in um: closer tips are the two limbs of one loop.
const APART_UM: f32 = 24.0;

/// All peaks from `least` on, from the highest down.
pub fn find(maps: &Maps, least: f32) -> Vec<Tip> {
    let plane = maps.plane(Plane::Apex);
    let (width, height) = (maps.width as i32, maps.height as i32);
    let floor = (least / (1.0 - least)).ln();
    let reach = (APART_UM / maps.um_per_cell as f32).round().max(1.0) as i32;
    let at = |x: i32, y: i32| plane[(y * width + x) as usize];
    let mut tips = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let here = at(x, y);
            if here >= floor && highest(here, (x, y), (width, height), reach, at) {
                tips.push(tip(maps, x, y, sigmoid(here)));
            }
        }
    }
    tips.sort_by(|a, b| b.score.total_cmp(&a.score));
    tips
}

/// Whether nothing within `reach` is higher. Of equals the first in reading order stands.
fn highest(
    here: f32,
    (x, y): (i32, i32),
    (width, height): (i32, i32),
    reach: i32,
    at: impl Fn(i32, i32) -> f32,
) -> bool {
    for dy in -reach..=reach {
        for dx in -reach..=reach {
            let (nx, ny) = (x + dx, y + dy);
            let inside = nx >= 0 && ny >= 0 && nx < width && ny < height;
            if !inside || dx * dx + dy * dy > reach * reach || (dx, dy) == (0, 0) {
                continue;
            }
            let other = at(nx, ny);
            let earlier = (dy, dx) < (0, 0);
            if other > here || (earlier && other >= here) {
                return false;
            }
        }
    }
    true
}

fn tip(maps: &Maps, x: i32, y: i32, score: f32) -> Tip {
    let index = y as usize * maps.width + x as usize;
    let apex = maps.plane(Plane::Apex);
    let value = |dx: i32, dy: i32| {
        let (nx, ny) = (x + dx, y + dy);
        let inside = nx >= 0 && ny >= 0 && nx < maps.width as i32 && ny < maps.height as i32;
        inside.then(|| sigmoid(apex[ny as usize * maps.width + nx as usize]))
    };
    let shift = |before: Option<f32>, after: Option<f32>| match (before, after) {
        (Some(a), Some(c)) => {
            // The top of the parabola through three samples.
            let bend = a - 2.0 * score + c;
            if bend < -1e-6 { (0.5 * (a - c) / bend).clamp(-0.5, 0.5) } else { 0.0 }
        }
        _ => 0.0,
    };
    let (tx, ty) = (maps.plane(Plane::TowardX)[index], maps.plane(Plane::TowardY)[index]);
    let length = tx.hypot(ty);
    Tip {
        x: x as f32 + 0.5 + shift(value(-1, 0), value(1, 0)),
        y: y as f32 + 0.5 + shift(value(0, -1), value(0, 1)),
        score,
        width_um: um_of(maps.plane(Plane::LogWidth)[index]),
        doubtful_width: false,
        toward: if length > 1e-3 { [tx / length, ty / length] } else { [0.0, -1.0] },
        abnormal: sigmoid(maps.plane(Plane::Abnormal)[index]),
    }
}
