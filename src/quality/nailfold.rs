//! Is perfused skin with loops in view? Blood takes green light and lets red pass, so where a vessel darkens the
//! green channel the picture turns redder; shade, dirt, hair, cloth and nail darken both. The figure is how
//! strongly the two go together at the scale of loops.

use super::reduce::{LANES, Plane, Reduced, blur};

/// Side of a tile in cells of the halved picture.
const TILE: usize = 8;
/// The share of tiles that may stay below the figure: a sixth of the picture must show blood, since loops are lost in disease and the nail may fill half.
const REACHED_BY: f32 = 0.85;
/// Mean difference of channels, in levels, below which the picture has no colour to go by: a monochrome camera.
const COLOURLESS: f32 = 1.0;
/// How much redder a vessel is for its darkness in green, in the real frames (0.1 to 0.35, mostly 0.3): it stands
/// in where there is no colour.
const USUAL_SLOPE: f32 = 0.3;
/// Keeps the ratios of near-black cells quiet, in levels.
const FLOOR: f32 = 8.0;

/// Noise in green makes the picture greener where it is brighter, as if by blood. By the kernels of `blur` and the
/// halving, independent noise of the channels leaves 0.006 of its mean square in the product, and a third more at
/// the tile that is looked at.
const NOISE_LEFT: f32 = 0.008;

/// What the colour says of the view.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct View {
    /// Contrast that blood makes, in thousandths.
    pub(super) blood: f32,
    /// Mean of (red - green) over (red + green).
    pub(super) redness: f32,
}

/// Reused memory.
#[derive(Debug, Default)]
pub(super) struct Nailfold {
    green: Plane,
    redness: Plane,
    smooth: [Plane; 4],
    across: Plane,
    tiles: Vec<f32>,
}

impl Nailfold {
    /// `noise` is the mean square of the noise in the finest band of green, over the square of the light.
    #[inline(always)]
    pub(super) fn measure(&mut self, reduced: &Reduced, glare: &[bool], noise: f32) -> View {
        self.halve(reduced);
        let [green_one, green_two, red_one, red_two] = &mut self.smooth;
        blur(&self.green, 1, &mut self.across, green_one);
        blur(green_one, 2, &mut self.across, green_two);
        blur(&self.redness, 1, &mut self.across, red_one);
        blur(red_one, 2, &mut self.across, red_two);
        let colourless = is_colourless(reduced);
        self.gather(reduced.luma.width, glare, colourless);
        let redness = self.redness.mean();
        if self.tiles.is_empty() {
            return View { blood: 0.0, redness };
        }
        let place = (REACHED_BY * (self.tiles.len() - 1) as f32) as usize;
        let (_, reached, _) = self.tiles.select_nth_unstable_by(place, f32::total_cmp);
        View { blood: 1000.0 * (*reached - NOISE_LEFT * noise).max(0.0).sqrt(), redness }
    }

    #[inline(always)]
    fn halve(&mut self, reduced: &Reduced) {
        let (width, height) = ((reduced.luma.width / 2).max(1), (reduced.luma.height / 2).max(1));
        self.green.shape(width, height);
        self.redness.shape(width, height);
        for y in 0..height {
            let halved = |plane: &Plane, out: &mut [f32]| {
                let (upper, lower) = (plane.row(2 * y), plane.row((2 * y + 1).min(plane.height - 1)));
                let pairs = upper.as_chunks::<2>().0.iter().zip(lower.as_chunks::<2>().0);
                for (out, (upper, lower)) in out.iter_mut().zip(pairs) {
                    *out = 0.25 * (upper[0] + upper[1] + lower[0] + lower[1]);
                }
            };
            let (green, redness) = (&mut self.green.values[y * width..], &mut self.redness.values[y * width..]);
            halved(&reduced.green, &mut green[..width]);
            halved(&reduced.red, &mut redness[..width]);
            for (red, green) in redness[..width].iter_mut().zip(&green[..width]) {
                *red = (*red - green) / (*red + green + FLOOR);
            }
        }
    }

    /// For each tile without glare: minus the mean product of the bands of green and of redness.
    #[inline(always)]
    fn gather(&mut self, glare_width: usize, glare: &[bool], colourless: bool) {
        self.tiles.clear();
        let width = self.green.width;
        let [green_fine, green_coarse, red_fine, red_coarse] = &self.smooth;
        for top in (0..(self.green.height + 1).saturating_sub(TILE)).step_by(TILE) {
            for left in (0..(width + 1).saturating_sub(TILE)).step_by(TILE) {
                let glares = |y: usize| glare[2 * y * glare_width + 2 * left..][..2 * TILE].contains(&true);
                if (top..top + TILE).any(glares) {
                    continue;
                }
                // A lane for each column of the tile.
                let mut product = [0.0; TILE];
                for y in top..top + TILE {
                    let band = |plane: &Plane| -> [f32; TILE] {
                        let row = &plane.values[y * width + left..][..TILE];
                        std::array::from_fn(|x| row[x])
                    };
                    let (fine, coarse) = (band(green_fine), band(green_coarse));
                    let (red_fine, red_coarse) = (band(red_fine), band(red_coarse));
                    for x in 0..TILE {
                        let green = (fine[x] - coarse[x]) / (coarse[x] + FLOOR);
                        let red = if colourless { -USUAL_SLOPE * green } else { red_fine[x] - red_coarse[x] };
                        product[x] -= green * red;
                    }
                }
                self.tiles.push(product.iter().sum::<f32>() / (TILE * TILE) as f32);
            }
        }
    }
}

#[inline(always)]
fn is_colourless(reduced: &Reduced) -> bool {
    let (red, green, blue) = (&reduced.red.values, &reduced.green.values, &reduced.blue.values);
    let mut lanes = [0.0; LANES];
    for ((red, green), blue) in red.chunks(LANES).zip(green.chunks(LANES)).zip(blue.chunks(LANES)) {
        for (((lane, red), green), blue) in lanes.iter_mut().zip(red).zip(green).zip(blue) {
            *lane += (red - green).abs() + (blue - green).abs();
        }
    }
    lanes.iter().sum::<f32>() < 2.0 * COLOURLESS * reduced.luma.values.len() as f32
}
