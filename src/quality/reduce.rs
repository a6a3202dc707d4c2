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

    pub(super) fn mean(&self) -> f32 {
        self.values.iter().sum::<f32>() / self.values.len().max(1) as f32
    }
}

/// The reduced picture: luma, and the colour channels it was made of. Pictures narrower than 320 columns are taken
/// as they are.
#[derive(Debug, Default)]
pub(super) struct Reduced {
    pub(super) luma: Plane,
    pub(super) red: Plane,
    pub(super) green: Plane,
    pub(super) blue: Plane,
    columns: Vec<u32>,
}

impl Reduced {
    pub(super) fn fill(&mut self, rgb: &[u8], size: Size) {
        let (width, height) = (size.width as usize, size.height as usize);
        let to_width = width.min(WIDTH);
        let to_height = (height * to_width / width).clamp(1, height);
        for plane in [&mut self.luma, &mut self.red, &mut self.green, &mut self.blue] {
            plane.shape(to_width, to_height);
        }
        self.columns.resize(width * 3, 0);
        for y in 0..to_height {
            let rows = y * height / to_height..(y + 1) * height / to_height;
            self.columns.fill(0);
            for row in rgb.chunks_exact(width * 3).take(rows.end).skip(rows.start) {
                self.columns.iter_mut().zip(row).for_each(|(sum, &value)| *sum += u32::from(value));
            }
            self.gather(y, rows.len(), width);
        }
        self.make_luma();
    }

    /// Gathers the column sums of one row of cells.
    fn gather(&mut self, y: usize, rows: usize, width: usize) {
        let to_width = self.luma.width;
        let at = y * to_width;
        let cells = self.red.values[at..].iter_mut().zip(&mut self.green.values[at..]).zip(&mut self.blue.values[at..]);
        for (x, ((red, green), blue)) in cells.take(to_width).enumerate() {
            let columns = x * width / to_width..(x + 1) * width / to_width;
            let mut sums = [0u32; 3];
            for pixel in self.columns[columns.start * 3..columns.end * 3].chunks_exact(3) {
                sums.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += value);
            }
            let share = 1.0 / (rows * columns.len()) as f32;
            [*red, *green, *blue] = sums.map(|sum| sum as f32 * share);
        }
    }

    /// Luma with the weights of ITU-R BT.601, which JPEG bears too.
    fn make_luma(&mut self) {
        let channels = self.red.values.iter().zip(&self.green.values).zip(&self.blue.values);
        for (luma, ((red, green), blue)) in self.luma.values.iter_mut().zip(channels) {
            *luma = 0.299 * red + 0.587 * green + 0.114 * blue;
        }
    }
}

/// Blurs by a binomial kernel of five taps (sigma one column), `step` columns apart, both ways. The border is
/// repeated.
pub(super) fn blur(from: &Plane, step: usize, across: &mut Plane, to: &mut Plane) {
    across.shape(from.width, from.height);
    to.shape(from.width, from.height);
    let (width, height) = (from.width, from.height);
    for y in 0..height {
        let row = from.row(y);
        let out = &mut across.values[y * width..][..width];
        let border = (2 * step).min(width);
        let inner = width.saturating_sub(4 * step);
        let at =
            |x: usize, offset: isize| row[(x as isize + offset * step as isize).clamp(0, width as isize - 1) as usize];
        for x in (0..border).chain((border + inner).min(width)..width) {
            out[x] = (at(x, -2) + at(x, 2) + 4.0 * (at(x, -1) + at(x, 1)) + 6.0 * row[x]) * (1.0 / 16.0);
        }
        let taps = row.iter().zip(row.iter().skip(step)).zip(row.iter().skip(2 * step));
        let taps = taps.zip(row.iter().skip(3 * step)).zip(row.iter().skip(4 * step));
        for (out, ((((a, b), c), d), e)) in out.iter_mut().skip(border).zip(taps) {
            *out = (a + e + 4.0 * (b + d) + 6.0 * c) * (1.0 / 16.0);
        }
    }
    for y in 0..height {
        let at = |offset: isize| {
            let line = (y as isize + offset * step as isize).clamp(0, height as isize - 1) as usize;
            across.row(line)
        };
        let out = &mut to.values[y * width..][..width];
        let lines = at(-2).iter().zip(at(2)).zip(at(-1)).zip(at(1)).zip(at(0));
        for (out, ((((a, e), b), d), c)) in out.iter_mut().zip(lines) {
            *out = (a + e + 4.0 * (b + d) + 6.0 * c) * (1.0 / 16.0);
        }
    }
}
