//! A whole field as the input of a network that locates: resampled to the network's scale, its last column and
//! row repeated to whole multiples.

use super::PrepareError;
use super::geometry::MAX_SAMPLES;
use super::resample::Resampler;
use crate::bundle::FieldSpec;
use crate::frame::Size;
use crate::scale::Scale;

/// The input, and what of it is picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Field {
    /// Three planes of `height` rows of `width` samples, 0 to 1.
    pub data: Vec<f32>,
    pub width: usize,
    pub height: usize,
    /// Of the picture at full resolution, in pixels.
    pub picture: [u32; 2],
    /// Of the picture after resampling, in samples.
    pub resampled: [u32; 2],
    /// Of the picture at full resolution; absent where it is not known, and the network was given the picture as if it
    /// were `ASSUMED_WIDTH_UM` wide.
    pub um_per_px: Option<f64>,
}

/// How wide a picture of unknown scale is taken to be when its loops are only to be counted: the middle of three clinical
/// videocapillaroscopes (1.33, 1.57 and 1.70 mm, Sebastiani 2013). Nothing in micrometres is made of it.
pub const ASSUMED_WIDTH_UM: f64 = 1570.0;

/// Prepares fields for one model; keeps its buffers.
pub struct FieldPreparer {
    spec: FieldSpec,
    resampler: Resampler,
    pixels: Vec<u8>,
}

impl FieldPreparer {
    pub fn new(spec: &FieldSpec) -> Self {
        Self { spec: spec.clone(), resampler: Resampler::new(spec.filter), pixels: Vec::new() }
    }

    /// Fills `out` from RGB pixels. Allocates only when picture or scale change.
    pub fn prepare(
        &mut self,
        size: Size,
        rgb: &[u8],
        scale: Option<&Scale>,
        out: &mut Field,
    ) -> Result<(), PrepareError> {
        if size.pixels() == 0 || rgb.len() != size.pixels() * 3 {
            return Err(PrepareError::NotFull { size, bytes: rgb.len() });
        }
        let um_per_px = scale.map(|scale| scale.um_per_px);
        let factor = um_per_px.unwrap_or(ASSUMED_WIDTH_UM / f64::from(size.width)) / self.spec.um_per_px;
        let side = |n: u32| (f64::from(n) * factor).round().clamp(1.0, f64::from(u32::MAX)) as u32;
        let small = Size::new(side(size.width), side(size.height));
        let whole = |n: u32| u64::from(n).next_multiple_of(u64::from(self.spec.multiple));
        let samples = whole(small.width) * whole(small.height) * 3;
        if samples > MAX_SAMPLES {
            return Err(PrepareError::TooLarge { samples, most: MAX_SAMPLES });
        }
        self.resampler.run(rgb, size, small, &mut self.pixels);
        (out.width, out.height) = (whole(small.width) as usize, whole(small.height) as usize);
        (out.picture, out.resampled) = ([size.width, size.height], [small.width, small.height]);
        out.um_per_px = um_per_px;
        self.spread(small, out);
        Ok(())
    }

    fn spread(&self, small: Size, out: &mut Field) {
        let plane = out.width * out.height;
        out.data.resize(plane * 3, 0.0);
        let stride = small.width as usize * 3;
        for y in 0..out.height {
            let row = &self.pixels[y.min(small.height as usize - 1) * stride..][..stride];
            for c in 0..3 {
                let target = &mut out.data[c * plane + y * out.width..][..out.width];
                for (sample, value) in target.iter_mut().zip(row[c..].iter().step_by(3)) {
                    *sample = f32::from(*value) / 255.0;
                }
                let last = target[small.width as usize - 1];
                target[small.width as usize..].fill(last);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::Filter;
    use crate::scale::ScaleMethod;

    #[test]
    fn the_border_is_repeated_to_whole_multiples() {
        let spec = FieldSpec { name: "input".to_owned(), um_per_px: 2.0, multiple: 8, filter: Filter::Bilinear };
        let size = Size::new(10, 6);
        let rgb: Vec<u8> = (0..60u8).flat_map(|i| [i, 100, 200]).collect();
        let mut field = Field::default();
        let scale = Scale::new(2.0, ScaleMethod::Entered).unwrap();
        FieldPreparer::new(&spec).prepare(size, &rgb, Some(&scale), &mut field).unwrap();
        assert_eq!((field.width, field.height, field.resampled), (16, 8, [10, 6]));
        let bytes: Vec<f32> = field.data.iter().map(|v| (v * 255.0).round()).collect();
        assert_eq!(bytes[9..16], [9.0; 7], "the last column, once and six times more");
        assert_eq!(bytes[7 * 16..7 * 16 + 4], [50.0, 51.0, 52.0, 53.0], "the last row once more");
        assert_eq!(bytes[128..256], [100.0; 128]);
    }

    #[test]
    fn a_field_too_large_is_refused() {
        let spec = FieldSpec { name: "input".to_owned(), um_per_px: 0.1, multiple: 16, filter: Filter::Bilinear };
        let size = Size::new(100, 100);
        let scale = Scale::new(20.0, ScaleMethod::Entered).unwrap();
        let refused = FieldPreparer::new(&spec).prepare(size, &[0; 30_000], Some(&scale), &mut Field::default());
        assert!(matches!(refused, Err(PrepareError::TooLarge { .. })), "{refused:?}");
    }
}
