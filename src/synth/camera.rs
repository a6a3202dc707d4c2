//! The sensor and its encoder: exposure, colour, noise, eight bits, JPEG. The one home of the JPEG encoder.

use serde::{Deserialize, Serialize};
pub use turbojpeg::Error as EncodeError;
use turbojpeg::{Compressor, Image, PixelFormat, Subsamp, YuvPlanesImage};

use super::canvas::Canvas;
use super::optics::Optics;
use super::plate::Ycc;
use super::rng::Rng;
use crate::frame::Size;

/// A microscope as it stands in one practice; drawn without regard to who is examined with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Device {
    pub field_um: f32,
    pub size: Size,
    /// Gain of each channel.
    pub cast: [f32; 3],
    pub gamma: f32,
    /// Median green that its automatic exposure aims for, 0 to 1.
    pub exposure: f32,
    /// Standard deviation at full resolution, of luma and of each colour, 0 to 1.
    pub noise: [f32; 2],
    pub quality: i32,
}

impl Device {
    pub fn draw(rng: &mut Rng) -> Self {
        // Widths of three clinical videocapillaroscopes: 1.33, 1.57, 1.70 mm; the wider share is for lower
        // magnification, down to that of the published 1280x1024 frames of about 3.3 mm.
        let field_um = match rng.weighted(&[0.6, 0.15, 0.25]) {
            0 => rng.within(1330.0, 1700.0),
            1 => rng.within(1700.0, 2800.0),
            _ => rng.within(2800.0, 3350.0),
        };
        Self {
            field_um,
            size: Size::new(1280, 1024),
            cast: [rng.within(0.92, 1.08), 1.0, rng.within(0.92, 1.08)],
            gamma: rng.within(0.85, 1.2),
            // Median green of published frames: 0.26 to 0.52 for nine in ten, a few darker.
            exposure: if rng.chance(0.15) { rng.within(0.2, 0.32) } else { rng.within(0.32, 0.56) },
            noise: [rng.within(0.002, 0.01), rng.within(0.002, 0.012)],
            quality: rng.count(70, 95) as i32,
        }
    }

    pub fn um_per_px(&self) -> f32 {
        self.field_um / self.size.width as f32
    }
}

/// What happens to light behind the lens.
#[derive(Clone, Debug, PartialEq)]
pub struct Exposure {
    pub cast: [f32; 3],
    pub gamma: f32,
    /// Median green after automatic exposure.
    pub aim: f32,
    /// Beyond what the automatic does: 1 is right, 0.1 is far too dark, 4 blown out.
    pub error: f32,
    pub noise: [f32; 2],
}

impl Exposure {
    pub fn of(device: &Device, um_per_px: f32, rng: &mut Rng) -> Self {
        // Averaging pixels to a coarser picture averages the noise too.
        let finer = device.um_per_px() / um_per_px;
        Self {
            cast: device.cast.map(|c| c * rng.within(0.97, 1.03)),
            gamma: device.gamma,
            aim: (device.exposure * rng.spread(0.12)).clamp(0.18, 0.7),
            error: 1.0,
            noise: device.noise.map(|n| n * finer),
        }
    }

    /// Interleaved RGB.
    pub fn develop(&self, canvas: &Canvas, rng: &mut Rng) -> Vec<u8> {
        let gain = self.error * self.aim / median(&canvas.planes[1]).max(1e-3);
        let grain = Grain::new(rng);
        let width = canvas.width();
        let curve = curve(self.gamma, self.aim);
        let mut rgb = vec![0u8; width * canvas.height() * 3];
        for (y, row) in rgb.chunks_exact_mut(width * 3).enumerate() {
            let [luma, red, green, blue]: [&[f32]; 4] = std::array::from_fn(|_| grain.row(rng, width));
            for (c, colour) in [red, green, blue].into_iter().enumerate() {
                let gain = gain * self.cast[c] * (CURVE_STEPS - 1) as f32 / CURVE_TOP;
                let source = &canvas.planes[c][y * width..(y + 1) * width];
                let noise = luma.iter().zip(colour).map(|(l, c)| l * self.noise[0] + c * self.noise[1]);
                for ((target, value), noise) in row[c..].iter_mut().step_by(3).zip(source).zip(noise) {
                    let step = (value * gain).clamp(0.0, (CURVE_STEPS - 1) as f32) as usize;
                    *target = ((curve[step] + noise) * 255.0 + 0.5) as u8;
                }
            }
        }
        rgb
    }
}

const CURVE_STEPS: usize = 4096;
/// Light beyond this is white whatever the curve.
const CURVE_TOP: f32 = 1.5;

/// Gamma around the exposure's aim, with a shoulder so that highlights do not clip at once.
fn curve(gamma: f32, aim: f32) -> Vec<f32> {
    (0..CURVE_STEPS)
        .map(|i| {
            let light = (i as f32 + 0.5) / (CURVE_STEPS - 1) as f32 * CURVE_TOP;
            let value = aim * (light / aim).powf(gamma);
            if value > 0.8 { 0.8 + 0.2 * (1.0 - (-(value - 0.8) / 0.2).exp()) } else { value }
        })
        .collect()
}

fn median(plane: &[f32]) -> f32 {
    let mut some: Vec<f32> = plane.iter().step_by(61).copied().collect();
    let middle = some.len() / 2;
    if some.is_empty() {
        return 1.0;
    }
    *some.select_nth_unstable_by(middle, f32::total_cmp).1
}

/// A stock of normal deviates; each row of a picture starts at a random place in it.
struct Grain(Vec<f32>);

impl Grain {
    const LENGTH: usize = 1 << 14;

    fn new(rng: &mut Rng) -> Self {
        Self((0..Self::LENGTH).map(|_| rng.normal()).collect())
    }

    fn row(&self, rng: &mut Rng, width: usize) -> &[f32] {
        let room = Self::LENGTH.saturating_sub(width).max(1);
        let start = rng.bits() as usize % room;
        &self.0[start..start + width.min(Self::LENGTH)]
    }
}

/// Reusable JPEG encoder. 4:2:2 is what UVC microscopes send.
pub struct Encoder(Compressor);

impl Encoder {
    pub fn new(quality: i32) -> Result<Self, turbojpeg::Error> {
        let mut compressor = Compressor::new()?;
        compressor.set_subsamp(Subsamp::Sub2x1)?;
        compressor.set_quality(quality)?;
        Ok(Self(compressor))
    }

    pub fn encode(&mut self, rgb: &[u8], size: Size) -> Result<Vec<u8>, turbojpeg::Error> {
        let (width, height) = (size.width as usize, size.height as usize);
        self.0.compress_to_vec(Image { pixels: rgb, width, pitch: width * 3, height, format: PixelFormat::RGB })
    }

    /// Skips the conversion of colours, which `Ycc` has behind it.
    pub fn encode_ycc(&mut self, ycc: &Ycc) -> Result<Vec<u8>, turbojpeg::Error> {
        let (width, height) = (ycc.size.width as usize, ycc.size.height as usize);
        self.0.compress_yuv_planes_to_vec(&YuvPlanesImage {
            y_plane: &ycc.luma[..],
            u_plane: &ycc.blue[..],
            v_plane: &ycc.red[..],
            width,
            height,
            y_stride: width,
            u_stride: width / 2,
            v_stride: width / 2,
            subsamp: Subsamp::Sub2x1,
        })
    }
}

/// Lens and sensor together, for one picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Shot {
    pub optics: Optics,
    pub exposure: Exposure,
}
