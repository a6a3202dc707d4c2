//! Finds haemorrhages: connected parts of the network's map that are large enough to be one.

use crate::infer::{Maps, Plane, sigmoid};
use crate::measured::Haemorrhage;

/// Probability from which a cell belongs to a bleeding.
const LEAST: f32 = 0.5;
/// Smaller spots are dust or noise: the area of a circle of 16 um radius.
const LEAST_AREA_UM2: f64 = 804.0;

pub fn find(maps: &Maps) -> Vec<Haemorrhage> {
    let plane = maps.plane(Plane::Haemorrhage);
    let mut seen = vec![false; plane.len()];
    let mut found = Vec::new();
    for start in 0..plane.len() {
        if seen[start] || sigmoid(plane[start]) < LEAST {
            continue;
        }
        let part = part(plane, maps.width, start, &mut seen);
        let area = part.len() as f64 * maps.um_per_cell * maps.um_per_cell;
        if area >= LEAST_AREA_UM2 {
            found.push(circle(maps, &part));
        }
    }
    found
}

/// The cells that hang together with `start`, by their sides.
fn part(plane: &[f32], width: usize, start: usize, seen: &mut [bool]) -> Vec<usize> {
    let height = plane.len() / width;
    let mut part = vec![start];
    seen[start] = true;
    let mut next = 0;
    while next < part.len() {
        let (x, y) = (part[next] % width, part[next] / width);
        next += 1;
        let near = [
            (x > 0).then(|| y * width + x - 1),
            (x + 1 < width).then(|| y * width + x + 1),
            (y > 0).then(|| (y - 1) * width + x),
            (y + 1 < height).then(|| (y + 1) * width + x),
        ];
        for cell in near.into_iter().flatten() {
            if !seen[cell] && sigmoid(plane[cell]) >= LEAST {
                seen[cell] = true;
                part.push(cell);
            }
        }
    }
    part
}

fn circle(maps: &Maps, part: &[usize]) -> Haemorrhage {
    let count = part.len() as f32;
    let (x, y) = part
        .iter()
        .fold((0.0, 0.0), |(x, y), cell| (x + (cell % maps.width) as f32 + 0.5, y + (cell / maps.width) as f32 + 0.5));
    let radius_px = (count / std::f32::consts::PI).sqrt() * maps.px_per_cell[0] as f32;
    Haemorrhage { at: maps.to_picture(x / count, y / count), radius_px }
}
