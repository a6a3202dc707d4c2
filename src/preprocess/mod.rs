//! From an accepted picture to the model's input: resampled, cut into tiles and normalised exactly as the
//! bundle's manifest says. Pure but for its buffers, which are kept from frame to frame.

mod field;
mod geometry;
mod resample;

pub use field::{ASSUMED_WIDTH_UM, Field, FieldPreparer};
pub use geometry::{MAX_SAMPLES, MAX_TILES};
pub use resample::Resampler;

use crate::bundle::{Channels, InputSpec};
use crate::frame::Size;
use crate::quality::Accepted;
use crate::scale::Scale;
use geometry::{Cut, Plan, Unplannable};

/// The model's input. Of pixels: `tiles` times `channels` planes of `height` rows of `width` samples. Of features:
/// one row of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensor {
    pub tiles: usize,
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    pub data: Vec<f32>,
    /// Mean and standard deviation of each channel over all tiles, padding included; compared with what the
    /// model was trained on.
    pub mean: [f32; 3],
    pub std: [f32; 3],
}

impl Tensor {
    /// Samples of one tile.
    pub fn tile_len(&self) -> usize {
        self.channels * self.height * self.width
    }
}

/// Why a picture could not be prepared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    #[error("the model needs a scale and the picture has none: calibrate this microscope and magnification")]
    NoScale,
    #[error("the picture makes {tiles} tiles of the model's size, at most {most} are read: show a smaller part")]
    TooManyTiles { tiles: u64, most: u64 },
    #[error("the field makes {samples} samples of the model's scale, at most {most} are read: show a smaller part")]
    TooLarge { samples: u64, most: u64 },
    #[error("expected a full picture of {size}, found {bytes} bytes")]
    NotFull { size: Size, bytes: usize },
    /// The picture cannot be read; the next may be.
    #[error("the model reads what is measured of the loops, and here {0}")]
    LoopsUnmeasured(&'static str),
    #[error("the model reads what is measured of the loops, which failed: {0}")]
    Measuring(String),
}

/// Prepares pictures for one model.
pub struct Preparer {
    spec: InputSpec,
    resampler: Resampler,
    /// The resampled picture.
    pixels: Vec<u8>,
    /// What a byte becomes, by channel of the tensor.
    normalised: [[f32; 256]; 3],
}

impl Preparer {
    pub fn new(spec: &InputSpec) -> Self {
        // The same operations on the same precision as numpy's and torch's, so the same floats.
        let normalised = [0, 1, 2].map(|c| {
            let mut table = [0.0; 256];
            for (value, entry) in (0u8..=255).zip(&mut table) {
                *entry = (f32::from(value) / 255.0 - spec.mean[c]) / spec.std[c];
            }
            table
        });
        Self { spec: spec.clone(), resampler: Resampler::new(spec.filter), pixels: Vec::new(), normalised }
    }

    /// Fills `out` from a picture that the gate accepted. Allocates only when picture or scale change.
    pub fn prepare(
        &mut self,
        accepted: &Accepted,
        scale: Option<&Scale>,
        out: &mut Tensor,
    ) -> Result<(), PrepareError> {
        let image = accepted.image();
        self.prepare_pixels(image.size(), image.rgb(), scale, out)
    }

    /// Fills `out` from RGB pixels that no gate has seen: the golden picture, and stills read one by one.
    /// Allocates only when picture or scale change.
    pub fn prepare_pixels(
        &mut self,
        size: Size,
        rgb: &[u8],
        scale: Option<&Scale>,
        out: &mut Tensor,
    ) -> Result<(), PrepareError> {
        if size.pixels() == 0 || rgb.len() != size.pixels() * 3 {
            return Err(PrepareError::NotFull { size, bytes: rgb.len() });
        }
        let plan = Plan::new(&self.spec, size, scale.map(|s| s.um_per_px))?;
        self.resampler.run(rgb, size, plan.resampled, &mut self.pixels);
        self.cut(&plan, out);
        Ok(())
    }

    fn cut(&self, plan: &Plan, out: &mut Tensor) {
        (out.tiles, out.channels) = (plan.tiles(), 3);
        (out.height, out.width) = (self.spec.height as usize, self.spec.width as usize);
        out.data.resize(out.tiles * out.tile_len(), 0.0);
        let mut sums = Sums::default();
        let tile_len = out.tile_len();
        let mut tiles = out.data.chunks_exact_mut(tile_len);
        for down in plan.down.iter() {
            for (across, tile) in plan.across.iter().zip(&mut tiles) {
                self.fill(plan.resampled.width as usize, across, down, tile, &mut sums);
            }
        }
        (out.mean, out.std) = sums.of_normalised(&self.spec, out.tiles * out.height * out.width);
    }

    fn fill(&self, picture_width: usize, across: Cut, down: Cut, tile: &mut [f32], sums: &mut Sums) {
        let (height, width) = (self.spec.height as usize, self.spec.width as usize);
        if (down.length, across.length) != (height, width) {
            // Zero is the mean of the training pictures.
            tile.fill(0.0);
        }
        let (red, rest) = tile.split_at_mut(height * width);
        let (green, blue) = rest.split_at_mut(height * width);
        let [first, second, third] = &self.normalised;
        for y in 0..down.length {
            let from = ((down.start + y) * picture_width + across.start) * 3;
            let pixels = &self.pixels[from..from + across.length * 3];
            let at = (down.offset + y) * width + across.offset;
            let planes = red[at..at + across.length]
                .iter_mut()
                .zip(&mut green[at..at + across.length])
                .zip(&mut blue[at..at + across.length]);
            for (((r, g), b), pixel) in planes.zip(pixels.chunks_exact(3)) {
                let [p0, p1, p2] = match self.spec.channels {
                    Channels::Rgb => [pixel[0], pixel[1], pixel[2]],
                    Channels::Bgr => [pixel[2], pixel[1], pixel[0]],
                };
                *r = first[usize::from(p0)];
                *g = second[usize::from(p1)];
                *b = third[usize::from(p2)];
            }
            sums.add(pixels, self.spec.channels);
        }
    }
}

/// Sums of bytes and of their squares, which are exact whatever the order.
#[derive(Default)]
struct Sums {
    pixels: u64,
    values: [u64; 3],
    squares: [u64; 3],
}

impl Sums {
    fn add(&mut self, row: &[u8], channels: Channels) {
        // A row has at most 2048 pixels: 2048 * 255 * 255 fits.
        let (mut values, mut squares) = ([0u32; 3], [0u32; 3]);
        for pixel in row.chunks_exact(3) {
            for c in 0..3 {
                let value = u32::from(pixel[c]);
                values[c] += value;
                squares[c] += value * value;
            }
        }
        if channels == Channels::Bgr {
            values.reverse();
            squares.reverse();
        }
        self.pixels += row.len() as u64 / 3;
        for c in 0..3 {
            self.values[c] += u64::from(values[c]);
            self.squares[c] += u64::from(squares[c]);
        }
    }

    /// Mean and standard deviation after normalisation, over `total` samples a channel, those of the padding
    /// being zero.
    fn of_normalised(&self, spec: &InputSpec, total: usize) -> ([f32; 3], [f32; 3]) {
        let (mut means, mut stds) = ([0.0; 3], [0.0; 3]);
        let (total, pixels) = (total as f64, self.pixels as f64);
        for c in 0..3 {
            let gain = 1.0 / (255.0 * f64::from(spec.std[c]));
            let shift = -f64::from(spec.mean[c]) / f64::from(spec.std[c]);
            let (values, squares) = (self.values[c] as f64, self.squares[c] as f64);
            let mean = (gain * values + shift * pixels) / total;
            let square = (gain * gain * squares + 2.0 * gain * shift * values + shift * shift * pixels) / total;
            means[c] = mean as f32;
            stds[c] = (square - mean * mean).max(0.0).sqrt() as f32;
        }
        (means, stds)
    }
}

impl From<Unplannable> for PrepareError {
    fn from(why: Unplannable) -> Self {
        match why {
            Unplannable::NoScale => Self::NoScale,
            Unplannable::TooManyTiles { tiles, most } => Self::TooManyTiles { tiles, most },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::{Filter, Fit};
    use crate::scale::ScaleMethod;

    fn spec(fit: Fit) -> InputSpec {
        InputSpec {
            name: "input".to_owned(),
            width: 20,
            height: 16,
            fit,
            filter: Filter::Bilinear,
            mean: [0.4, 0.5, 0.6],
            std: [0.2, 0.25, 0.5],
            channels: Channels::Rgb,
            max_um_per_px: None,
            seen: None,
        }
    }

    fn noise(size: Size) -> Vec<u8> {
        (0..size.pixels() * 3).map(|i| ((i as u32).wrapping_mul(2_654_435_761) >> 20) as u8).collect()
    }

    /// By the definition, in double precision.
    fn moments(tensor: &Tensor, channel: usize) -> (f64, f64) {
        let plane = tensor.height * tensor.width;
        let all = || {
            tensor
                .data
                .chunks(tensor.tile_len())
                .flat_map(|t| &t[channel * plane..(channel + 1) * plane])
                .map(|v| f64::from(*v))
        };
        let count = all().count() as f64;
        let mean = all().sum::<f64>() / count;
        (mean, (all().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt())
    }

    #[test]
    fn moments_are_those_of_the_tensor_with_its_padding() {
        let size = Size::new(50, 12);
        let scale = Scale::new(1.0, ScaleMethod::Entered).unwrap();
        for channels in [Channels::Rgb, Channels::Bgr] {
            let spec = InputSpec { channels, ..spec(Fit::Scale { um_per_px: 1.0, overlap: 0.5 }) };
            let mut out = Tensor::default();
            Preparer::new(&spec).prepare_pixels(size, &noise(size), Some(&scale), &mut out).unwrap();
            assert_eq!((out.tiles, out.data.len()), (4, 4 * 3 * 16 * 20));
            for c in 0..3 {
                let (mean, std) = moments(&out, c);
                assert!((f64::from(out.mean[c]) - mean).abs() < 1e-5, "{channels:?} {c}: {} {mean}", out.mean[c]);
                assert!((f64::from(out.std[c]) - std).abs() < 1e-5, "{channels:?} {c}: {} {std}", out.std[c]);
            }
        }
    }

    #[test]
    fn a_small_picture_stands_in_the_middle_of_zeros() {
        let size = Size::new(3, 3);
        let scale = Scale::new(1.0, ScaleMethod::Entered).unwrap();
        let mut out = Tensor::default();
        let mut preparer = Preparer::new(&spec(Fit::Scale { um_per_px: 1.0, overlap: 0.25 }));
        // A full tile first: what it leaves behind must not shine through.
        let full = Size::new(20, 16);
        preparer.prepare_pixels(full, &vec![255; full.pixels() * 3], Some(&scale), &mut out).unwrap();
        preparer.prepare_pixels(size, &[255; 27], Some(&scale), &mut out).unwrap();
        let lit: Vec<usize> = (0..320).filter(|i| out.data[*i] != 0.0).collect();
        assert_eq!(lit, [6, 7, 8].map(|y| [8, 9, 10].map(|x| y * 20 + x)).concat());
        assert!((out.data[6 * 20 + 8] - 3.0).abs() < 1e-6, "(1 - 0.4) / 0.2");
    }

    #[test]
    fn what_cannot_be_prepared_is_refused() {
        let mut out = Tensor::default();
        let mut preparer = Preparer::new(&spec(Fit::Scale { um_per_px: 0.1, overlap: 0.25 }));
        let size = Size::new(200, 200);
        let refused = preparer.prepare_pixels(size, &noise(size), None, &mut out);
        assert_eq!(refused, Err(PrepareError::NoScale));
        let scale = Scale::new(10.0, ScaleMethod::Entered).unwrap();
        let refused = preparer.prepare_pixels(size, &noise(size), Some(&scale), &mut out);
        assert!(matches!(refused, Err(PrepareError::TooManyTiles { most: 64, .. })), "{refused:?}");
        let refused = preparer.prepare_pixels(size, &[0; 5], Some(&scale), &mut out);
        assert_eq!(refused, Err(PrepareError::NotFull { size, bytes: 5 }));
        assert!(preparer.prepare_pixels(Size::new(0, 0), &[], Some(&scale), &mut out).is_err());
    }
}
