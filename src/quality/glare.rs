//! Specular highlights: the light source mirrored in wet skin, oil or nail. They hide what lies under them and,
//! being the sharpest thing in the picture, would pass for focus.

use super::reduce::{Plane, Reduced};

/// All three channels of mirrored light are at least this, in levels, ...
const HIGHLIGHT: f32 = 190.0;
/// ... and it stands out from its surroundings by this much, which a well lit nail plate does not, ...
const ABOVE_SHADING: f32 = 25.0;
/// ... unless it is so bright and so wide that it is its own surroundings.
const WHITE: f32 = 235.0;
/// Columns around a highlight that its halo spoils: twelve pixels of a 1280-pixel frame, about the width of a limb.
const HALO: usize = 3;

/// Marks highlights with their halo in `mask`; returns the share of the picture they cover. `shading` is the green
/// channel with all structure taken off.
#[inline(always)]
pub(super) fn measure(reduced: &Reduced, shading: &Plane, across: &mut Vec<bool>, mask: &mut Vec<bool>) -> f32 {
    let (width, height) = (reduced.luma.width, reduced.luma.height);
    let channels = reduced.red.values.iter().zip(&reduced.green.values).zip(&reduced.blue.values);
    mask.clear();
    mask.extend(channels.zip(&shading.values).map(|(((red, green), blue), shading)| {
        let least = red.min(*green).min(*blue);
        // Without branches, so that many cells are judged at once.
        (least >= WHITE) | ((least >= HIGHLIGHT) & (green - shading >= ABOVE_SHADING))
    }));
    if !mask.contains(&true) {
        return 0.0;
    }
    across.clear();
    across.resize(mask.len(), false);
    for y in 0..height {
        for x in (0..width).filter(|x| mask[y * width + x]) {
            across[y * width..][x.saturating_sub(HALO)..(x + HALO + 1).min(width)].fill(true);
        }
    }
    mask.fill(false);
    for y in 0..height {
        let row = &across[y * width..][..width];
        if row.contains(&true) {
            for line in y.saturating_sub(HALO)..(y + HALO + 1).min(height) {
                mask[line * width..][..width].iter_mut().zip(row).for_each(|(mask, mark)| *mask |= mark);
            }
        }
    }
    mask.iter().filter(|&&mark| mark).count() as f32 / mask.len().max(1) as f32
}

/// Draws over what the mask covers, row by row from the cells on either side, so that the bands of the picture
/// bear no trace of it.
pub(super) fn fill(plane: &mut Plane, mask: &[bool]) {
    let width = plane.width;
    for (row, mask) in plane.values.chunks_exact_mut(width).zip(mask.chunks_exact(width)) {
        let mut x = 0;
        while let Some(from) = mask[x..].iter().position(|&covered| covered).map(|n| x + n) {
            let to = mask[from..].iter().position(|&covered| !covered).map_or(width, |n| from + n);
            let left = from.checked_sub(1).map(|at| row[at]);
            let right = row.get(to).copied();
            if let (Some(left), Some(right)) = (left.or(right), right.or(left)) {
                let step = (right - left) / (to - from + 1) as f32;
                row[from..to].iter_mut().enumerate().for_each(|(n, value)| *value = left + step * (n + 1) as f32);
            }
            x = to;
        }
    }
}
