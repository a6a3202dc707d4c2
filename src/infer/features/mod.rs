//! Hand-made features of a resized picture, equal to those of the Python libraries that classical classifiers are
//! trained with. docs/bundles.md, "Columns", defines each; `tests/features.rs` compares them with the libraries' own.

mod colour;
mod haralick;
mod hu;
mod lbp;

use haralick::Haralick;
use lbp::Lbp;

use crate::bundle::{Filter, Group};
use crate::frame::Size;
use crate::preprocess::{PrepareError, Resampler, Tensor};

/// Makes feature vectors for one model; keeps its buffers.
pub struct Describer {
    groups: Vec<Group>,
    size: Size,
    resampler: Resampler,
    /// The resized picture, and its grey.
    pixels: Vec<u8>,
    grey: Vec<u8>,
    haralick: Haralick,
    lbp: Lbp,
}

impl Describer {
    pub fn new(groups: &[Group], size: Size, filter: Filter) -> Self {
        Self {
            groups: groups.to_vec(),
            size,
            resampler: Resampler::new(filter),
            pixels: Vec::new(),
            grey: Vec::new(),
            haralick: Haralick::new(),
            lbp: Lbp::new(size),
        }
    }

    /// Fills `out` with the features of an RGB picture of any size. Allocates only when the picture's size changes.
    pub fn describe(&mut self, size: Size, rgb: &[u8], out: &mut Tensor) -> Result<(), PrepareError> {
        if size.pixels() == 0 || rgb.len() != size.pixels() * 3 {
            return Err(PrepareError::NotFull { size, bytes: rgb.len() });
        }
        self.resampler.run(rgb, size, self.size, &mut self.pixels);
        to_grey(&self.pixels, &mut self.grey);
        let width = self.size.width as usize;
        out.data.clear();
        for group in &self.groups {
            let mut put = |values: &[f64]| out.data.extend(values.iter().map(|v| *v as f32));
            match group {
                Group::Hu => put(&hu::hu(&self.grey, width)),
                Group::Haralick => put(&self.haralick.run(&self.grey, width)),
                Group::Colour => put(&colour::colour(&self.pixels)),
                Group::Lbp => put(&self.lbp.run(&self.grey)),
                // Measured, not described: whoever measures adds it.
                Group::Shape => {}
            }
        }
        (out.tiles, out.channels, out.height, out.width) = (1, 1, 1, out.data.len());
        (out.mean, out.std) = ([0.0; 3], [0.0; 3]);
        Ok(())
    }
}

/// OpenCV's `cvtColor(RGB2GRAY)` of 8-bit pictures: weights of ITU-R BT.601 with 15 bits, rounded half up.
fn to_grey(rgb: &[u8], grey: &mut Vec<u8>) {
    grey.resize(rgb.len() / 3, 0);
    for (grey, pixel) in grey.iter_mut().zip(rgb.as_chunks::<3>().0) {
        let [r, g, b] = pixel.map(u32::from);
        *grey = ((r * 9798 + g * 19_235 + b * 3735 + (1 << 14)) >> 15) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(size: Size) -> Vec<u8> {
        (0..size.pixels() * 3).map(|i| ((i as u32).wrapping_mul(2_654_435_761) >> 24) as u8).collect()
    }

    #[test]
    fn grey_of_grey_is_itself() {
        let rgb: Vec<u8> = (0..=255u8).flat_map(|v| [v; 3]).collect();
        let mut grey = Vec::new();
        to_grey(&rgb, &mut grey);
        assert!(grey.iter().copied().eq(0..=255));
    }

    #[test]
    fn columns_stand_in_the_order_of_the_groups() {
        let size = Size::new(40, 30);
        let groups = [Group::Hu, Group::Haralick, Group::Colour, Group::Lbp];
        let (mut all, mut one) = (Tensor::default(), Tensor::default());
        Describer::new(&groups, size, Filter::Bilinear).describe(size, &noise(size), &mut all).unwrap();
        assert_eq!((all.tiles, all.data.len()), (1, 7 + 13 + 18 + 10));
        let mut at = 0;
        for group in groups {
            Describer::new(&[group], size, Filter::Bilinear).describe(size, &noise(size), &mut one).unwrap();
            assert_eq!(one.data, all.data[at..at + group.columns().len()], "{group:?}");
            at += group.columns().len();
        }
    }

    #[test]
    fn one_picture_leaves_nothing_behind_for_the_next() {
        let size = Size::new(32, 24);
        let groups = [Group::Haralick, Group::Lbp];
        let mut describer = Describer::new(&groups, size, Filter::Bilinear);
        let (mut first, mut again) = (Tensor::default(), Tensor::default());
        describer.describe(size, &noise(size), &mut first).unwrap();
        describer.describe(Size::new(1, 1), &[9, 9, 9], &mut again).unwrap();
        assert_ne!(first, again);
        describer.describe(size, &noise(size), &mut again).unwrap();
        assert_eq!(first, again);
    }

    #[test]
    fn even_pictures_have_numbers_for_features() {
        let groups = [Group::Hu, Group::Haralick, Group::Colour, Group::Lbp];
        for rgb in [[0; 3], [255; 3], [1, 2, 3]] {
            let mut out = Tensor::default();
            let mut describer = Describer::new(&groups, Size::new(16, 16), Filter::Bilinear);
            describer.describe(Size::new(1, 1), &rgb, &mut out).unwrap();
            assert!(out.data.iter().all(|v| v.is_finite()), "{rgb:?}: {:?}", out.data);
        }
    }

    #[test]
    fn a_picture_that_is_not_full_is_refused() {
        let mut describer = Describer::new(&[Group::Hu], Size::new(16, 16), Filter::Bilinear);
        let refused = describer.describe(Size::new(2, 2), &[0; 11], &mut Tensor::default());
        assert!(matches!(refused, Err(PrepareError::NotFull { .. })), "{refused:?}");
    }
}
