//! Local binary patterns (Ojala et al., IEEE Trans. Pattern Anal. Mach. Intell. 2002) of eight samples on a circle of
//! one pixel, as scikit-image computes them: uniform patterns by their number of ones, all others together.

use crate::frame::Size;

/// Of a diagonal sample, rounded to five digits as scikit-image rounds it.
#[expect(clippy::approx_constant, reason = "the rounded value decides which samples equal their pixel")]
const DIAGONAL: f64 = 0.70711;
const SAMPLES: u32 = 8;
const BINS: usize = SAMPLES as usize + 2;

pub(super) struct Lbp {
    width: usize,
    height: usize,
    /// The row above, the row itself and the one below, with a zero at either end.
    rows: [Vec<f64>; 3],
    left: Places,
    right: Places,
    patterns: Vec<u8>,
    bins: [u8; 256],
}

/// Where the samples of a column lie between two pixels. The products of `f64` below are compared with a pixel for
/// equality, so that even rounding must be scikit-image's: a place is what is left of a sum, not a constant.
struct Places {
    part: Vec<f64>,
    rest: Vec<f64>,
}

impl Places {
    fn new(width: usize, offset: f64) -> Self {
        let part: Vec<f64> = (0..width).map(|at| part(at, offset)).collect();
        let rest = part.iter().map(|part| 1.0 - part).collect();
        Self { part, rest }
    }
}

fn part(at: usize, offset: f64) -> f64 {
    let place = at as f64 + offset;
    place - place.floor()
}

impl Lbp {
    pub(super) fn new(size: Size) -> Self {
        let (width, height) = (size.width as usize, size.height as usize);
        Self {
            width,
            height,
            rows: [(); 3].map(|()| vec![0.0; width + 2]),
            left: Places::new(width, -DIAGONAL),
            right: Places::new(width, DIAGONAL),
            patterns: vec![0; width],
            bins: bins(),
        }
    }

    /// The share of pixels of each kind. Beyond the border everything is 0.
    pub(super) fn run(&mut self, grey: &[u8]) -> [f64; BINS] {
        let mut counts = [0u64; BINS];
        self.rows[1].fill(0.0);
        self.load(2, grey.get(..self.width));
        for y in 0..self.height {
            self.rows.rotate_left(1);
            self.load(2, grey.get((y + 1) * self.width..(y + 2) * self.width));
            self.row(y);
            for pattern in &self.patterns {
                counts[usize::from(self.bins[usize::from(*pattern)])] += 1;
            }
        }
        counts.map(|count| count as f64 / (self.width * self.height) as f64)
    }

    fn load(&mut self, place: usize, row: Option<&[u8]>) {
        let inner = &mut self.rows[place][1..=self.width];
        match row {
            Some(row) => inner.iter_mut().zip(row).for_each(|(sample, value)| *sample = f64::from(*value)),
            None => inner.fill(0.0),
        }
    }

    /// The samples go round from the right, against the clock.
    fn row(&mut self, y: usize) {
        let [above, here, below] = &self.rows;
        let middle = &here[1..=self.width];
        let (up, down) = (part(y, -DIAGONAL), part(y, DIAGONAL));
        self.patterns.fill(0);
        let patterns = &mut self.patterns[..];
        straight(&here[2..], middle, 0, patterns);
        diagonal([&above[1..], &here[1..]], up, &self.right, middle, 1, patterns);
        straight(&above[1..], middle, 2, patterns);
        diagonal([above, here], up, &self.left, middle, 3, patterns);
        straight(here, middle, 4, patterns);
        diagonal([here, below], down, &self.left, middle, 5, patterns);
        straight(&below[1..], middle, 6, patterns);
        diagonal([&here[1..], &below[1..]], down, &self.right, middle, 7, patterns);
    }
}

fn straight(samples: &[f64], middle: &[f64], bit: u32, patterns: &mut [u8]) {
    for ((pattern, sample), middle) in patterns.iter_mut().zip(samples).zip(middle) {
        *pattern |= u8::from(sample >= middle) << bit;
    }
}

/// Samples between two rows and two columns, in scikit-image's order of operations.
fn diagonal(rows: [&[f64]; 2], down: f64, across: &Places, middle: &[f64], bit: u32, patterns: &mut [u8]) {
    let width = patterns.len();
    let [upper, lower] = rows.map(|row| &row[..=width]);
    let (part, rest, middle) = (&across.part[..width], &across.rest[..width], &middle[..width]);
    for x in 0..width {
        let top = rest[x] * upper[x] + part[x] * upper[x + 1];
        let bottom = rest[x] * lower[x] + part[x] * lower[x + 1];
        let sample = (1.0 - down) * top + down * bottom;
        patterns[x] |= u8::from(sample >= middle[x]) << bit;
    }
}

/// A pattern is uniform when it changes at most twice from its first sample to its last.
fn bins() -> [u8; 256] {
    let mut bins = [0; 256];
    for (pattern, bin) in (0u32..).zip(&mut bins) {
        let changes = ((pattern ^ (pattern >> 1)) & 0x7f).count_ones();
        *bin = if changes <= 2 { pattern.count_ones() } else { SAMPLES + 1 } as u8;
    }
    bins
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_sorted_by_their_ones() {
        let bins = bins();
        assert_eq!((bins[0], bins[0xff], bins[0b0001_1100], bins[0b1100_0001]), (0, 8, 3, 3));
        assert_eq!(bins[0b0101_0000], 9);
        assert_eq!(bins[0b1000_0001], 2, "the step from the last to the first is not counted");
    }

    #[test]
    fn one_bright_pixel_is_above_all_around_it() {
        let mut grey = vec![0; 81];
        grey[40] = 255;
        let shares = Lbp::new(Size::new(9, 9)).run(&grey).map(|share| (share * 81.0).round() as u32);
        assert_eq!(shares[0], 1, "the bright one: {shares:?}");
        assert_eq!(shares.iter().sum::<u32>(), 81);
        assert_eq!(shares[8], 80, "every other pixel has nothing darker around it: {shares:?}");
    }
}
