//! Three planes of `f32` and the filters that drawing and optics need, written for one core.

use super::noise::weights;
use crate::frame::Size;

/// Red, green, blue; first logarithms of reflectance, after `to_light` light itself (1 is white).
#[derive(Clone, Debug)]
pub struct Canvas {
    pub size: Size,
    pub planes: [Vec<f32>; 3],
}

impl Canvas {
    /// Fills each plane from a coarse grid of `step` pixels by cubic B-splines; `sample` takes a pixel's place.
    pub fn from_coarse(size: Size, step: u32, mut sample: impl FnMut(f32, f32) -> [f32; 3]) -> Self {
        let (gw, gh) = (size.width.div_ceil(step) as usize + 4, size.height.div_ceil(step) as usize + 4);
        let mut grids: [Vec<f32>; 3] = std::array::from_fn(|_| vec![0.0; gw * gh]);
        for gy in 0..gh {
            for gx in 0..gw {
                let place = |g: usize| (g as f32 - 1.0) * step as f32;
                let value = sample(place(gx), place(gy));
                for c in 0..3 {
                    grids[c][gy * gw + gx] = value[c];
                }
            }
        }
        Self { size, planes: grids.map(|grid| enlarge(&grid, gw, size, step)) }
    }

    pub fn width(&self) -> usize {
        self.size.width as usize
    }

    pub fn height(&self) -> usize {
        self.size.height as usize
    }

    /// Takes `tile * strength * pigment` of optical density away, at (`x0`, `y0`), where the tile overlaps.
    pub fn absorb(&mut self, tile: &Tile, strength: f32, pigment: [f32; 3]) {
        self.add_tile(tile, pigment.map(|p| -strength * p));
    }

    pub fn add_tile(&mut self, tile: &Tile, gain: [f32; 3]) {
        let (width, height) = (self.width() as i32, self.height() as i32);
        let (from, to) = (tile.x.max(0), (tile.x + tile.width as i32).min(width));
        if from >= to {
            return;
        }
        for y in tile.y.max(0)..(tile.y + tile.height as i32).min(height) {
            let source = (y - tile.y) as usize * tile.width + (from - tile.x) as usize;
            let source = &tile.data[source..source + (to - from) as usize];
            let target = (y * width + from) as usize;
            for (plane, gain) in self.planes.iter_mut().zip(gain) {
                for (t, s) in plane[target..].iter_mut().zip(source) {
                    *t += gain * s;
                }
            }
        }
    }

    pub fn to_light(&mut self) {
        for plane in &mut self.planes {
            for value in plane {
                *value = quick_exp(*value);
            }
        }
    }

    pub fn blur(&mut self, sigma: f32) {
        let (width, height) = (self.width(), self.height());
        for plane in &mut self.planes {
            blur(plane, width, height, sigma);
        }
    }
}

/// A small plane somewhere on a canvas.
#[derive(Clone, Debug, Default)]
pub struct Tile {
    pub x: i32,
    pub y: i32,
    pub width: usize,
    pub height: usize,
    pub data: Vec<f32>,
}

impl Tile {
    /// Empties the tile and sets its box, keeping the memory.
    pub fn reset(&mut self, x: i32, y: i32, width: usize, height: usize) {
        (self.x, self.y, self.width, self.height) = (x, y, width, height);
        self.data.clear();
        self.data.resize(width * height, 0.0);
    }

    pub fn blur(&mut self, sigma: f32) {
        blur(&mut self.data, self.width, self.height, sigma);
    }
}

/// e to the x within one part in 10^4, for values that a picture has; the compiler makes vectors of it.
fn quick_exp(x: f32) -> f32 {
    let scaled = x.clamp(-20.0, 20.0) * std::f32::consts::LOG2_E;
    let shifted = scaled + 64.0;
    let whole = shifted as i32;
    let part = shifted - whole as f32;
    // Taylor series of 2^part: the powers of ln 2 over the factorials.
    let fourth = 0.055_504_1 + part * (0.009_618 + part * 0.001_333);
    let two_to_part = 1.0 + part * (std::f32::consts::LN_2 + part * (0.240_226_5 + part * fourth));
    f32::from_bits(((whole - 64 + 127) << 23) as u32) * two_to_part
}

fn enlarge(grid: &[f32], grid_width: usize, size: Size, step: u32) -> Vec<f32> {
    let (width, height, step) = (size.width as usize, size.height as usize, step as usize);
    let spline: Vec<[f32; 4]> = (0..step).map(|i| weights(i as f32 / step as f32)).collect();
    let rows = grid.len() / grid_width;
    let mut wide = vec![0.0; rows * width];
    for (source, target) in grid.chunks_exact(grid_width).zip(wide.chunks_exact_mut(width)) {
        for (x, value) in target.iter_mut().enumerate() {
            let (cell, w) = (x / step, &spline[x % step]);
            *value = source[cell..cell + 4].iter().zip(w).map(|(s, w)| s * w).sum();
        }
    }
    let mut plane = vec![0.0; width * height];
    for (y, target) in plane.chunks_exact_mut(width).enumerate() {
        let (cell, w) = (y / step, &spline[y % step]);
        let row = |i: usize| &wide[(cell + i) * width..(cell + i + 1) * width];
        let rows = row(0).iter().zip(row(1)).zip(row(2)).zip(row(3));
        for (value, (((a, b), c), d)) in target.iter_mut().zip(rows) {
            *value = a * w[0] + b * w[1] + c * w[2] + d * w[3];
        }
    }
    plane
}

/// Gaussian blur with mirrored borders: by its own kernel when narrow, else by three running boxes.
pub fn blur(plane: &mut [f32], width: usize, height: usize, sigma: f32) {
    if sigma < 0.3 || width < 2 || height < 2 {
        return;
    }
    if sigma < 2.5 {
        let reach = (sigma * 2.6).ceil() as usize;
        let kernel: Vec<f32> = (0..=reach).map(|i| (-0.5 * (i as f32 / sigma).powi(2)).exp()).collect();
        let sum = kernel[0] + 2.0 * kernel[1..].iter().sum::<f32>();
        let kernel: Vec<f32> = kernel.iter().map(|k| k / sum).collect();
        convolve_rows(plane, width, &kernel);
        convolve_columns(plane, width, height, &kernel);
    } else {
        // Three boxes of radius r have a variance of r(r+1).
        let radius = ((sigma * sigma + 0.25).sqrt() - 0.5).round().max(1.0) as usize;
        for _ in 0..3 {
            box_rows(plane, width, radius);
            box_columns(plane, width, height, radius);
        }
    }
}

fn mirror(i: isize, n: usize) -> usize {
    let last = n as isize - 1;
    let i = if i < 0 { -i } else { i };
    (if i > last { 2 * last - i } else { i }).clamp(0, last) as usize
}

fn convolve_rows(plane: &mut [f32], width: usize, kernel: &[f32]) {
    let reach = kernel.len() - 1;
    let mut padded = vec![0.0; width + 2 * reach];
    for row in plane.chunks_exact_mut(width) {
        for (i, value) in padded.iter_mut().enumerate() {
            if i < reach || i >= width + reach {
                *value = row[mirror(i as isize - reach as isize, width)];
            }
        }
        padded[reach..reach + width].copy_from_slice(row);
        for (value, centre) in row.iter_mut().zip(&padded[reach..]) {
            *value = centre * kernel[0];
        }
        for (k, weight) in kernel.iter().enumerate().skip(1) {
            let pairs = padded[reach - k..].iter().zip(&padded[reach + k..]);
            for (value, (a, b)) in row.iter_mut().zip(pairs) {
                *value += weight * (a + b);
            }
        }
    }
}

fn convolve_columns(plane: &mut [f32], width: usize, height: usize, kernel: &[f32]) {
    // The rows as they were before they were written over.
    let source = plane.to_vec();
    let row = |y: isize| {
        let y = mirror(y, height);
        &source[y * width..(y + 1) * width]
    };
    for y in 0..height {
        let target = &mut plane[y * width..(y + 1) * width];
        for value in target.iter_mut() {
            *value *= kernel[0];
        }
        for (k, weight) in kernel.iter().enumerate().skip(1) {
            let (above, below) = (row(y as isize - k as isize), row(y as isize + k as isize));
            for (value, (a, b)) in target.iter_mut().zip(above.iter().zip(below)) {
                *value += weight * (a + b);
            }
        }
    }
}

fn box_rows(plane: &mut [f32], width: usize, radius: usize) {
    let scale = 1.0 / (2 * radius + 1) as f32;
    let mut copy = vec![0.0; width];
    for row in plane.chunks_exact_mut(width) {
        copy.copy_from_slice(row);
        let at = |i: isize| copy[mirror(i, width)];
        let r = radius as isize;
        let mut sum: f32 = (-r..=r).map(at).sum();
        for (x, value) in row.iter_mut().enumerate() {
            *value = sum * scale;
            let x = x as isize;
            sum += at(x + r + 1) - at(x - r);
        }
    }
}

fn box_columns(plane: &mut [f32], width: usize, height: usize, radius: usize) {
    let scale = 1.0 / (2 * radius + 1) as f32;
    let source = plane.to_vec();
    let row = |y: isize| {
        let y = mirror(y, height);
        &source[y * width..(y + 1) * width]
    };
    let r = radius as isize;
    let mut sums = vec![0.0; width];
    for y in -r..=r {
        for (sum, value) in sums.iter_mut().zip(row(y)) {
            *sum += value;
        }
    }
    for y in 0..height as isize {
        let target = &mut plane[y as usize * width..(y as usize + 1) * width];
        let (enters, leaves) = (row(y + r + 1), row(y - r));
        for (((value, sum), enters), leaves) in target.iter_mut().zip(&mut sums).zip(enters).zip(leaves) {
            *value = *sum * scale;
            *sum += enters - leaves;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_close() {
        for i in -40..=10 {
            let x = i as f32 / 8.0;
            assert!((quick_exp(x) / x.exp() - 1.0).abs() < 2e-4, "{x}: {} {}", quick_exp(x), x.exp());
        }
    }

    #[test]
    fn blurring_keeps_light_and_widens_a_point() {
        for sigma in [0.8, 2.0, 4.0] {
            let (w, h) = (41, 41);
            let mut plane = vec![0.0; w * h];
            plane[20 * w + 20] = 1.0;
            blur(&mut plane, w, h, sigma);
            let total: f32 = plane.iter().sum();
            let variance: f32 =
                plane.iter().enumerate().map(|(i, p)| p * ((i % w) as f32 - 20.0).powi(2)).sum::<f32>() / total;
            assert!((total - 1.0).abs() < 1e-3, "sigma {sigma}: {total}");
            assert!((variance.sqrt() / sigma - 1.0).abs() < 0.15, "sigma {sigma}: {}", variance.sqrt());
        }
    }

    #[test]
    fn a_coarse_ramp_stays_a_ramp() {
        let canvas = Canvas::from_coarse(Size::new(30, 20), 4, |x, y| [x, y, x + y]);
        assert!((canvas.planes[0][5 * 30 + 17] - 17.0).abs() < 1e-3);
        assert!((canvas.planes[2][5 * 30 + 17] - 22.0).abs() < 1e-3);
    }
}
