//! Resizes RGB pictures as Pillow does: a separable filter, widened by the reduction (antialias).
//!
//! Filters that overshoot (bicubic, Lanczos) go Pillow's way, columns first and bytes between the passes, since
//! what is cut off at black and white between them is lost to the second; the result is Pillow 12's to the bit.
//! (Pillow 13 begins with the rows where the height shrinks much more than the width: python-pillow/Pillow#9549.)
//! Bilinear cannot overshoot, so the passes may change places, which halves the work. The value between keeps its
//! fraction: no sample is further from the true value than Pillow's, and none differs from it by more than 1.
//!
//! Written out rather than taken from `fast_image_resize`, which computes and allocates its weights anew for
//! every picture (an allocation for each row and column of the result), and lets overshoot through.

use std::f64::consts::PI;

use crate::bundle::Filter;
use crate::frame::Size;

/// Weights and buffers for one pair of sizes; kept from frame to frame.
pub struct Resampler {
    filter: Filter,
    from: Size,
    to: Size,
    across: Axis,
    down: Axis,
    /// One row between the passes, with a fraction of `FRACTION_BITS`.
    row: Vec<i16>,
    /// The whole picture between the passes, in bytes.
    between: Vec<u8>,
}

/// For each sample along an axis of the result, where its window begins and how its samples are weighed. All
/// windows are made equally long, with weights of zero.
#[derive(Default)]
struct Axis {
    starts: Vec<usize>,
    taps: usize,
    weights: Vec<i32>,
}

/// Pillow's precision of weights: 8 bits are the sample, 2 are left for overshoot and sign.
const BITS: u32 = 32 - 8 - 2;
/// Of the samples between the passes where they are no bytes; taken off the weights of the second.
const FRACTION_BITS: u32 = 4;

impl Resampler {
    pub fn new(filter: Filter) -> Self {
        let none = Size::new(0, 0);
        Self {
            filter,
            from: none,
            to: none,
            across: Axis::default(),
            down: Axis::default(),
            row: Vec::new(),
            between: Vec::new(),
        }
    }

    /// Makes `out` the picture `rgb` of size `from`, resized to `to`. Both sizes are at least 1x1, and `rgb` is
    /// full: the caller sees to both.
    pub fn run(&mut self, rgb: &[u8], from: Size, to: Size, out: &mut Vec<u8>) {
        if (from, to) != (self.from, self.to) {
            self.plan(from, to);
        }
        out.resize(to.pixels() * 3, 0);
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor was just asked whether it has AVX2.
            return unsafe { self.resize_avx2(rgb, out) };
        }
        self.resize(rgb, out);
    }

    fn plan(&mut self, from: Size, to: Size) {
        let (row, between, across_bits) = match self.filter {
            Filter::Bilinear => (from.width as usize * 3, 0, BITS - FRACTION_BITS),
            Filter::Bicubic | Filter::Lanczos3 => (0, to.width as usize * from.height as usize * 3, BITS),
        };
        self.across = Axis::plan(from.width, to.width, self.filter, across_bits);
        self.down = Axis::plan(from.height, to.height, self.filter, BITS);
        self.row.resize(row, 0);
        self.between.resize(between, 0);
        (self.from, self.to) = (from, to);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn resize_avx2(&mut self, rgb: &[u8], out: &mut [u8]) {
        self.resize(rgb, out);
    }

    /// In whole numbers, so that every processor gives the same picture; only the width of its registers differs.
    #[inline(always)]
    fn resize(&mut self, rgb: &[u8], out: &mut [u8]) {
        let (stride, out_stride) = (self.from.width as usize * 3, self.to.width as usize * 3);
        let rows = out.chunks_exact_mut(out_stride).zip(self.down.windows());
        match self.filter {
            Filter::Bilinear => {
                for (out, (start, weights)) in rows {
                    let window = &rgb[start * stride..][..self.down.taps * stride];
                    weigh_rows(window, weights, &mut self.row, |sum| rounded(sum, BITS - FRACTION_BITS) as i16);
                    weigh_columns(&self.row, &self.across, out);
                }
            }
            Filter::Bicubic | Filter::Lanczos3 => {
                for (row, out) in rgb.chunks_exact(stride).zip(self.between.chunks_exact_mut(out_stride)) {
                    weigh_columns(row, &self.across, out);
                }
                for (out, (start, weights)) in rows {
                    let window = &self.between[start * out_stride..][..self.down.taps * out_stride];
                    weigh_rows(window, weights, out, byte);
                }
            }
        }
    }
}

impl Axis {
    /// Pillow's `precompute_coeffs` and `normalize_coeffs_8bpc` (src/libImaging/Resample.c), in their order of
    /// operations.
    fn plan(from: u32, to: u32, filter: Filter, bits: u32) -> Self {
        let scale = f64::from(from) / f64::from(to);
        let widened = scale.max(1.0);
        let support = support(filter) * widened;
        let mut windows = Vec::with_capacity(to as usize);
        for x in 0..to {
            let centre = (f64::from(x) + 0.5) * scale;
            let low = (centre - support + 0.5).max(0.0) as usize;
            let high = ((centre + support + 0.5) as usize).min(from as usize);
            let weights: Vec<f64> =
                (low..high).map(|i| weight(filter, (i as f64 - centre + 0.5) * (1.0 / widened))).collect();
            windows.push((low, weights));
        }
        let taps = windows.iter().map(|(_, weights)| weights.len()).max().unwrap_or(0);
        let mut axis = Self { starts: Vec::new(), taps, weights: Vec::with_capacity(taps * to as usize) };
        for (low, weights) in windows {
            let start = low.min(from as usize - taps);
            let sum: f64 = weights.iter().sum();
            let placed = (start..start + taps).map(|i| i.checked_sub(low).and_then(|i| weights.get(i)));
            let whole = |w: &f64| (w / sum * f64::from(1 << bits)).round() as i32;
            axis.weights.extend(placed.map(|w| w.map_or(0, whole)));
            axis.starts.push(start);
        }
        axis
    }

    fn windows(&self) -> impl Iterator<Item = (usize, &[i32])> {
        self.starts.iter().copied().zip(self.weights.chunks_exact(self.taps))
    }
}

fn support(filter: Filter) -> f64 {
    match filter {
        Filter::Bilinear => 1.0,
        Filter::Bicubic => 2.0,
        Filter::Lanczos3 => 3.0,
    }
}

fn weight(filter: Filter, x: f64) -> f64 {
    let x = x.abs();
    match filter {
        Filter::Bilinear => (1.0 - x).max(0.0),
        // Pillow's a is -0.5, OpenCV's is -0.75.
        Filter::Bicubic if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
        Filter::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5,
        Filter::Lanczos3 if x < 3.0 => sinc(x) * sinc(x / 3.0),
        Filter::Bicubic | Filter::Lanczos3 => 0.0,
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) }
}

/// Half up, as Pillow rounds.
#[inline(always)]
fn rounded(sum: i32, bits: u32) -> i32 {
    (sum + (1 << (bits - 1))) >> bits
}

#[inline(always)]
fn byte(sum: i32) -> u8 {
    rounded(sum, BITS).clamp(0, 255) as u8
}

/// Samples summed at once: eight AVX2 registers of sums.
const LANE: usize = 64;

#[inline(always)]
fn weigh_rows<T>(rows: &[u8], weights: &[i32], out: &mut [T], finish: impl Fn(i32) -> T) {
    let stride = out.len();
    let whole = stride - stride % LANE;
    for at in (0..whole).step_by(LANE) {
        let mut sums = [0i32; LANE];
        for (row, weight) in rows.chunks_exact(stride).zip(weights) {
            for (sum, sample) in sums.iter_mut().zip(&row[at..at + LANE]) {
                *sum += weight * i32::from(*sample);
            }
        }
        for (out, sum) in out[at..at + LANE].iter_mut().zip(sums) {
            *out = finish(sum);
        }
    }
    for (at, out) in out.iter_mut().enumerate().skip(whole) {
        *out = finish(rows.chunks_exact(stride).zip(weights).map(|(row, w)| w * i32::from(row[at])).sum());
    }
}

#[inline(always)]
fn weigh_columns<T: Copy>(row: &[T], across: &Axis, out: &mut [u8])
where
    i32: From<T>,
{
    for (out, (start, weights)) in out.chunks_exact_mut(3).zip(across.windows()) {
        let window = &row[start * 3..(start + across.taps) * 3];
        let mut sums = [0i32; 3];
        for (pixel, weight) in window.as_chunks::<3>().0.iter().zip(weights) {
            for (sum, sample) in sums.iter_mut().zip(pixel) {
                *sum += weight * i32::from(*sample);
            }
        }
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = byte(sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resized(filter: Filter, rgb: &[u8], from: Size, to: Size) -> Vec<u8> {
        let mut out = Vec::new();
        Resampler::new(filter).run(rgb, from, to, &mut out);
        out
    }

    #[test]
    fn an_even_picture_stays_even_at_every_size() {
        for filter in [Filter::Bilinear, Filter::Bicubic, Filter::Lanczos3] {
            for (from, to) in [((1, 1), (9, 5)), ((3, 2), (1, 1)), ((640, 7), (33, 90)), ((31, 31), (31, 31))] {
                let (from, to) = (Size::new(from.0, from.1), Size::new(to.0, to.1));
                let rgb: Vec<u8> = [17u8, 128, 255].repeat(from.pixels());
                assert_eq!(
                    resized(filter, &rgb, from, to),
                    [17u8, 128, 255].repeat(to.pixels()),
                    "{filter:?} {from} {to}"
                );
            }
        }
    }

    #[test]
    fn the_same_size_is_the_same_picture() {
        let size = Size::new(37, 23);
        let rgb: Vec<u8> = (0..size.pixels() * 3).map(|i| (i * 89 % 251) as u8).collect();
        for filter in [Filter::Bilinear, Filter::Bicubic, Filter::Lanczos3] {
            assert_eq!(resized(filter, &rgb, size, size), rgb, "{filter:?}");
        }
    }

    #[test]
    fn overshoot_is_cut_off_at_black_and_white() {
        let (from, to) = (Size::new(8, 1), Size::new(64, 1));
        let rgb: Vec<u8> = (0..8).flat_map(|x| [if x < 4 { 0 } else { 255 }; 3]).collect();
        let out = resized(Filter::Lanczos3, &rgb, from, to);
        assert!(out.contains(&0) && out.contains(&255));
        assert!(out.chunks(3).all(|p| p[0] == p[1] && p[1] == p[2]));
    }

    #[test]
    fn wide_and_narrow_registers_give_the_same_bytes() {
        let (from, to) = (Size::new(211, 97), Size::new(50, 41));
        let rgb: Vec<u8> = (0..from.pixels() * 3).map(|i| (i * 7919 % 256) as u8).collect();
        for filter in [Filter::Bilinear, Filter::Bicubic] {
            let mut narrow = vec![0; to.pixels() * 3];
            let mut resampler = Resampler::new(filter);
            resampler.plan(from, to);
            resampler.resize(&rgb, &mut narrow);
            assert_eq!(resized(filter, &rgb, from, to), narrow, "{filter:?}");
        }
    }
}
