//! What each pixel of a drawn picture is, for a network that learns to find loops: one byte a pixel, a bit a kind.

use std::io::Cursor;

pub use image::ImageError as LabelError;
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};

use super::canvas::Tile;
use super::render::{self, View};
use super::scene::Scene;
use crate::frame::Size;

/// A vessel of a loop of the distal row.
pub const DISTAL: u8 = 1;
/// Any other vessel: of a proximal row, or of the plexus.
pub const OTHER: u8 = 2;
pub const HAEMORRHAGE: u8 = 4;
/// Beyond the line on which the distal apices stand.
pub const NAIL_SIDE: u8 = 8;

/// Share of a vessel's or a bleeding's own density from which a pixel belongs to it.
const SHOWS: f32 = 0.3;

/// The labels of a view, rows from the top.
pub fn draw(scene: &Scene, view: &View) -> Vec<u8> {
    let size = view.size;
    let mut labels = vec![0; size.pixels()];
    for (y, row) in labels.chunks_exact_mut(size.width as usize).enumerate() {
        for (x, label) in row.iter_mut().enumerate() {
            let [u, v] = view.to_scene(x as f32 + 0.5, y as f32 + 0.5);
            if v > scene.edge.height(u) {
                *label = NAIL_SIDE;
            }
        }
    }
    let mut tile = Tile::default();
    for vessel in &scene.vessels {
        if render::stroke(vessel, view, &mut tile) {
            mark(&mut labels, size, &tile, if vessel.row == Some(0) { DISTAL } else { OTHER });
        }
    }
    let rough = render::roughness(scene);
    for blot in scene.blots.iter().filter(|blot| blot.haemorrhage && view.holds(blot.at, 0.0)) {
        render::stain(blot, &rough, view, &mut tile);
        mark(&mut labels, size, &tile, HAEMORRHAGE);
    }
    labels
}

fn mark(labels: &mut [u8], size: Size, tile: &Tile, bit: u8) {
    for (dy, values) in tile.data.chunks_exact(tile.width).enumerate() {
        let y = tile.y + dy as i32;
        if !(0..size.height as i32).contains(&y) {
            continue;
        }
        for (dx, value) in values.iter().enumerate() {
            let x = tile.x + dx as i32;
            if *value > SHOWS && (0..size.width as i32).contains(&x) {
                labels[y as usize * size.width as usize + x as usize] |= bit;
            }
        }
    }
}

/// As a grey PNG.
pub fn png(labels: &[u8], size: Size) -> Result<Vec<u8>, LabelError> {
    let mut bytes = Cursor::new(Vec::new());
    PngEncoder::new(&mut bytes).write_image(labels, size.width, size.height, ExtendedColorType::L8)?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finger::Finger;
    use crate::synth::cohort::Subject;
    use crate::synth::pathology::Cohort;
    use crate::synth::truth::Truth;

    #[test]
    fn labels_lie_where_the_truth_says() {
        let finger = Subject::draw(Cohort::Scleroderma, 5, 0).finger(Finger::PROTOCOL[1]);
        let view = finger.view(0, 1, 4.0, Size::new(400, 320));
        let (labels, truth) = (draw(&finger.scene, &view), Truth::of(&finger.scene, &view));
        let at = |x: f32, y: f32| labels.get(y as usize * 400 + x as usize).copied().unwrap_or(0);
        let distal: Vec<_> = truth.loops.iter().filter(|l| l.row == 0).collect();
        assert!(!distal.is_empty());
        for l in distal {
            assert!(at(l.x, l.y) & DISTAL != 0, "no distal vessel at {} {}", l.x, l.y);
            // A tenth of a millimetre on along the loop's own axis is beyond the row, unless the picture ends.
            let (x, y) = (l.x + l.toward[0] * 40.0, l.y + l.toward[1] * 40.0);
            if (0.0..400.0).contains(&x) && (0.0..320.0).contains(&y) {
                assert!(at(x, y) & NAIL_SIDE != 0, "{x} {y} is not on the nail's side");
            }
        }
    }
}
