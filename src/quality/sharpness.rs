//! Focus: how much of the structure is fine. Contrast at the scale of a capillary limb is set against contrast at
//! eight times that scale in the same tiles, so that pale or dim skin is not taken for blurred skin, and the
//! contrast that noise makes is taken off first.

use super::reduce::{Plane, blur};

/// Side of a tile in columns: about ten limbs wide, and some three hundred tiles a picture.
const TILE: usize = 16;
/// Of all tiles without glare, in the order of their coarse contrast, those that are looked at: the better half
/// bears the loops, the last twentieth hairs, dirt and the edge of the nail.
const LOOKED_AT: (f32, f32) = (0.5, 0.95);
/// White noise leaves this share of its finest-band amplitude in the fine band (by the kernels of `blur`).
const NOISE_LEFT: f32 = 0.23;
/// The tile at this place in the order of finest-band contrast is taken to hold noise alone.
const NOISE_TILE: f32 = 0.1;

/// Nothing is sharper: a weave without any coarse structure divides by nearly nothing.
const SHARPEST: f32 = 10.0;

/// Reused memory.
#[derive(Debug, Default)]
pub(super) struct Sharpness {
    blurred: [Plane; 4],
    across: Plane,
    tiles: Vec<Tile>,
    noise: f32,
}

/// Mean squares of a tile's bands over the square of its mean.
#[derive(Clone, Copy, Debug)]
struct Tile {
    finest: f32,
    fine: f32,
    coarse: f32,
}

impl Sharpness {
    /// Splits the green channel, where blood shows best, into bands.
    #[inline(always)]
    pub(super) fn split(&mut self, green: &Plane) {
        let [one, two, four, eight] = &mut self.blurred;
        blur(green, 1, &mut self.across, one);
        blur(one, 2, &mut self.across, two);
        blur(two, 4, &mut self.across, four);
        blur(four, 8, &mut self.across, eight);
    }

    /// Fine over coarse contrast of what was split last; 0 when there is nothing to look at.
    #[inline(always)]
    pub(super) fn measure(&mut self, green: &Plane, glare: &[bool]) -> f32 {
        self.gather(green, glare);
        self.noise = 0.0;
        if self.tiles.len() < 4 {
            return 0.0;
        }
        let place = |share: f32| (share * (self.tiles.len() - 1) as f32) as usize;
        let (noise_at, from, to) = (place(NOISE_TILE), place(LOOKED_AT.0), place(LOOKED_AT.1));
        self.tiles.select_nth_unstable_by(noise_at, |a, b| a.finest.total_cmp(&b.finest));
        self.noise = self.tiles[noise_at].finest;
        let noise = self.noise * NOISE_LEFT * NOISE_LEFT;
        self.tiles.sort_unstable_by(|a, b| a.coarse.total_cmp(&b.coarse));
        let looked_at = &self.tiles[from..=to];
        let fine: f32 = looked_at.iter().map(|tile| (tile.fine - noise).max(0.0)).sum();
        let coarse: f32 = looked_at.iter().map(|tile| tile.coarse).sum();
        if coarse > 0.0 { (fine / coarse).sqrt().min(SHARPEST) } else { 0.0 }
    }

    /// Mean square of the noise of the picture measured last, in its finest band, over the square of its light.
    pub(super) fn noise(&self) -> f32 {
        self.noise
    }

    /// What was split last, with its noise taken off.
    pub(super) fn smooth(&self) -> &Plane {
        &self.blurred[0]
    }

    /// What was split last, with all its structure taken off.
    pub(super) fn shading(&self) -> &Plane {
        &self.blurred[3]
    }

    #[inline(always)]
    fn gather(&mut self, green: &Plane, glare: &[bool]) {
        self.tiles.clear();
        let width = green.width;
        for top in (0..(green.height + 1).saturating_sub(TILE)).step_by(TILE) {
            for left in (0..(width + 1).saturating_sub(TILE)).step_by(TILE) {
                let rows = (top..top + TILE).map(|y| y * width + left);
                if rows.clone().any(|at| glare[at..at + TILE].contains(&true)) {
                    continue;
                }
                self.tiles.push(self.tile(green, rows));
            }
        }
    }

    #[inline(always)]
    fn tile(&self, green: &Plane, rows: impl Iterator<Item = usize>) -> Tile {
        let [one, two, four, eight] = &self.blurred;
        // A lane for each column of the tile.
        let (mut finest, mut fine, mut coarse, mut mean) = ([0.0; TILE], [0.0; TILE], [0.0; TILE], [0.0; TILE]);
        for at in rows {
            let band = |plane: &Plane| -> [f32; TILE] { std::array::from_fn(|x| plane.values[at..at + TILE][x]) };
            let (raw, one, two, four, eight) = (band(green), band(one), band(two), band(four), band(eight));
            for x in 0..TILE {
                finest[x] += (raw[x] - one[x]) * (raw[x] - one[x]);
                fine[x] += (one[x] - two[x]) * (one[x] - two[x]);
                coarse[x] += (four[x] - eight[x]) * (four[x] - eight[x]);
                mean[x] += eight[x];
            }
        }
        let [finest, fine, coarse, mean] = [finest, fine, coarse, mean].map(|lanes| lanes.iter().sum::<f32>());
        let cells = (TILE * TILE) as f32;
        // One level keeps black tiles from dividing by nothing.
        let scale = 1.0 / (cells * (mean / cells + 1.0).powi(2));
        Tile { finest: finest * scale, fine: fine * scale, coarse: coarse * scale }
    }
}
