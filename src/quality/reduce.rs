//! The reduced picture that all figures are made on: 320 columns, so that a figure means the same at any
//! resolution, each the mean over the pixels that fall into it.

use crate::frame::Size;

/// Columns of the reduced picture. A field of 1.3 to 1.7 mm then has four to five micrometres a column, a third of
/// a capillary limb, and the noise of a megapixel sensor is averaged down to a quarter.
pub(super) const WIDTH: usize = 320;

/// A plane of the reduced picture.
#[derive(Clone, Debug, Default)]
pub(super) struct Plane {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) values: Vec<f32>,
}

impl Plane {
    pub(super) fn shape(&mut self, width: usize, height: usize) {
        (self.width, self.height) = (width, height);
        self.values.resize(width * height, 0.0);
    }

    pub(super) fn row(&self, y: usize) -> &[f32] {
        &self.values[y * self.width..][..self.width]
    }

    #[inline(always)]
    pub(super) fn mean(&self) -> f32 {
        sum(&self.values) / self.values.len().max(1) as f32
    }
}

/// Lanes that sums are kept in: a vector register or two, and less rounding than one long sum.
pub(super) const LANES: usize = 16;

#[inline(always)]
fn sum(values: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let (parts, rest) = values.as_chunks::<LANES>();
    for part in parts {
        lanes.iter_mut().zip(part).for_each(|(lane, value)| *lane += value);
    }
    lanes.iter().chain(rest).sum()
}

/// The reduced picture: luma, and the colour channels it was made of. Pictures narrower than 320 columns are taken
/// as they are.
#[derive(Debug, Default)]
pub(super) struct Reduced {
    pub(super) luma: Plane,
    pub(super) red: Plane,
    pub(super) green: Plane,
    pub(super) blue: Plane,
    /// Sums of each sample of the rows that make one row of cells. The tallest row of cells, of a picture 8192
    /// pixels wide, is 27 pixels high; sixteen bits hold 257.
    columns: Vec<u16>,
    /// Where each column of cells begins, and where the last ends, in pixels.
    borders: Vec<usize>,
}

impl Reduced {
    #[inline(always)]
    pub(super) fn fill(&mut self, rgb: &[u8], size: Size) {
        let (width, height) = (size.width as usize, size.height as usize);
        let to_width = width.min(WIDTH);
        let to_height = (height * to_width / width).clamp(1, height);
        for plane in [&mut self.luma, &mut self.red, &mut self.green, &mut self.blue] {
            plane.shape(to_width, to_height);
        }
        self.columns.resize(width * 3, 0);
        self.borders.clear();
        self.borders.extend((0..=to_width).map(|x| x * width / to_width));
        for y in 0..to_height {
            let rows = y * height / to_height..(y + 1) * height / to_height;
            add_up(&rgb[rows.start * width * 3..rows.end * width * 3], &mut self.columns);
            self.gather(y, rows.len());
        }
        self.make_luma();
    }

    /// Gathers the column sums of one row of cells.
    #[inline(always)]
    fn gather(&mut self, y: usize, rows: usize) {
        let at = y * self.luma.width;
        let cells = [&mut self.red, &mut self.green, &mut self.blue].map(|plane| &mut plane.values[at..]);
        let columns = self.columns.as_chunks::<3>().0;
        let widths = self.borders.windows(2).map(|border| border[1] - border[0]);
        // The usual widths, known beforehand, take half the time.
        match (columns.len() % self.luma.width, columns.len() / self.luma.width) {
            (0, 2) => gather_even::<2>(columns, rows, cells),
            (0, 4) => gather_even::<4>(columns, rows, cells),
            (0, 6) => gather_even::<6>(columns, rows, cells),
            _ => gather_any(columns, widths, rows, cells),
        }
    }

    /// Luma with the weights of ITU-R BT.601, which JPEG bears too.
    #[inline(always)]
    fn make_luma(&mut self) {
        let channels = self.red.values.iter().zip(&self.green.values).zip(&self.blue.values);
        for (luma, ((red, green), blue)) in self.luma.values.iter_mut().zip(channels) {
            *luma = 0.299 * red + 0.587 * green + 0.114 * blue;
        }
    }
}

#[inline(always)]
fn gather_even<const WIDTH: usize>(columns: &[[u16; 3]], rows: usize, [red, green, blue]: [&mut [f32]; 3]) {
    let share = 1.0 / (rows * WIDTH) as f32;
    let cells = red.iter_mut().zip(green).zip(blue);
    for (((red, green), blue), columns) in cells.zip(columns.as_chunks::<WIDTH>().0) {
        [*red, *green, *blue] = sums(columns).map(|sum| sum as f32 * share);
    }
}

#[inline(always)]
fn gather_any(
    columns: &[[u16; 3]],
    widths: impl Iterator<Item = usize>,
    rows: usize,
    [red, green, blue]: [&mut [f32]; 3],
) {
    let mut columns = columns;
    for (((red, green), blue), width) in red.iter_mut().zip(green).zip(blue).zip(widths) {
        let (cell, rest) = columns.split_at(width);
        columns = rest;
        let share = 1.0 / (rows * width) as f32;
        [*red, *green, *blue] = sums(cell).map(|sum| sum as f32 * share);
    }
}

#[inline(always)]
fn sums(columns: &[[u16; 3]]) -> [u32; 3] {
    let mut sums = [0; 3];
    for column in columns {
        sums = [0, 1, 2].map(|channel| sums[channel] + u32::from(column[channel]));
    }
    sums
}

/// Adds up rows of samples, four at a time, as most cells of a 1280-pixel frame are high.
#[inline(always)]
fn add_up(rows: &[u8], sums: &mut [u16]) {
    let stride = sums.len();
    let fours = rows.chunks_exact(4 * stride);
    let rest = fours.remainder();
    sums.fill(0);
    for four in fours {
        let (a, b, c, d) = (&four[..stride], &four[stride..], &four[2 * stride..], &four[3 * stride..]);
        for ((((sum, a), b), c), d) in sums.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *sum += u16::from(*a) + u16::from(*b) + u16::from(*c) + u16::from(*d);
        }
    }
    for row in rest.chunks_exact(stride) {
        sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += u16::from(*value));
    }
}

/// Blurs by a binomial kernel of five taps (sigma one column), `step` columns apart, both ways. The border is
/// repeated.
#[inline(always)]
pub(super) fn blur(from: &Plane, step: usize, across: &mut Plane, to: &mut Plane) {
    across.shape(from.width, from.height);
    to.shape(from.width, from.height);
    let (width, height) = (from.width, from.height);
    let border = (2 * step).min(width);
    let inner = width.saturating_sub(4 * step);
    for y in 0..height {
        let row = from.row(y);
        let out = &mut across.values[y * width..][..width];
        let at =
            |x: usize, offset: isize| row[(x as isize + offset * step as isize).clamp(0, width as isize - 1) as usize];
        for x in (0..border).chain((border + inner).min(width)..width) {
            out[x] = (at(x, -2) + at(x, 2) + 4.0 * (at(x, -1) + at(x, 1)) + 6.0 * row[x]) * (1.0 / 16.0);
        }
        if inner > 0 {
            weigh([0, 1, 2, 3, 4].map(|tap| &row[tap * step..][..inner]), &mut out[border..][..inner]);
        }
    }
    for y in 0..height {
        let line = |offset: isize| {
            let line = (y as isize + offset * step as isize).clamp(0, height as isize - 1) as usize;
            across.row(line)
        };
        weigh([-2, -1, 0, 1, 2].map(line), &mut to.values[y * width..][..width]);
    }
}

#[inline(always)]
fn weigh([a, b, c, d, e]: [&[f32]; 5], out: &mut [f32]) {
    for (((((out, a), b), c), d), e) in out.iter_mut().zip(a).zip(b).zip(c).zip(d).zip(e) {
        *out = (a + e + 4.0 * (b + d) + 6.0 * c) * (1.0 / 16.0);
    }
}
