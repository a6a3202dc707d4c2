//! A field painted once, larger than a frame and at several degrees of focus, and the quick way from it to a
//! frame: thirty a second at 1280x1024 on one core leave no time to draw each anew.

use super::canvas::{Canvas, blur};
use super::noise::Noise;
use super::rng::Rng;
use crate::frame::Size;

/// Full-range BT.601 with colour at half the width: what a 4:2:2 JPEG holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Ycc {
    pub size: Size,
    pub luma: Vec<u8>,
    pub blue: Vec<u8>,
    pub red: Vec<u8>,
}

impl Ycc {
    pub fn blank(size: Size) -> Self {
        let half = size.width as usize / 2 * size.height as usize;
        Self { size, luma: vec![0; size.pixels()], blue: vec![128; half], red: vec![128; half] }
    }

    /// `size` must be even in width.
    pub fn from_rgb(rgb: &[u8], size: Size) -> Self {
        let mut ycc = Self::blank(size);
        let halves = ycc.blue.iter_mut().zip(&mut ycc.red);
        for ((pair, luma), (blue, red)) in rgb.chunks_exact(6).zip(ycc.luma.chunks_exact_mut(2)).zip(halves) {
            let [mut r, mut g, mut b] = [0.0; 3];
            for (pixel, luma) in pair.chunks_exact(3).zip(luma) {
                let [pr, pg, pb] = [pixel[0], pixel[1], pixel[2]].map(f32::from);
                *luma = (0.299 * pr + 0.587 * pg + 0.114 * pb + 0.5) as u8;
                (r, g, b) = (r + pr / 2.0, g + pg / 2.0, b + pb / 2.0);
            }
            *blue = (128.5 - 0.168_736 * r - 0.331_264 * g + 0.5 * b) as u8;
            *red = (128.5 + 0.5 * r - 0.418_688 * g - 0.081_312 * b) as u8;
        }
        ycc
    }

    fn blurred(&self, sigma: f32) -> Self {
        let soften = |plane: &[u8], width: usize, sigma: f32| -> Vec<u8> {
            let mut values: Vec<f32> = plane.iter().map(|v| f32::from(*v)).collect();
            blur(&mut values, width, plane.len() / width, sigma);
            values.iter().map(|v| (v + 0.5) as u8).collect()
        };
        let width = self.size.width as usize;
        Self {
            size: self.size,
            luma: soften(&self.luma, width, sigma),
            // Half as wide, as high: a compromise between the axes, in colour alone, where no one sees it.
            blue: soften(&self.blue, width / 2, sigma * 0.7),
            red: soften(&self.red, width / 2, sigma * 0.7),
        }
    }
}

/// Pixels that a plate is larger than a frame on each side: room for the hand.
pub const MARGIN: u32 = 128;

/// Blur of the copies that a plate keeps, in um (Gaussian sigma), beyond that of the lens.
const LEVELS_UM: [f32; 4] = [0.0, 6.0, 18.0, 54.0];

#[derive(Clone, Debug)]
pub struct Plate {
    levels: Vec<Ycc>,
}

impl Plate {
    pub fn new(sharp: Ycc, um_per_px: f32) -> Self {
        let mut levels = vec![sharp];
        for sigma in &LEVELS_UM[1..] {
            levels.push(levels[0].blurred(sigma / um_per_px));
        }
        Self { levels }
    }
}

/// How a frame differs from its plate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// Of the frame's middle from the plate's, in pixels.
    pub offset: [f32; 2],
    /// Path of the picture during the exposure, in pixels.
    pub smear: [f32; 2],
    pub defocus_um: f32,
    /// 1 is the plate's own.
    pub light: f32,
    /// 0 to 1.
    pub glare: f32,
}

impl Look {
    pub const STILL: Self = Self { offset: [0.0; 2], smear: [0.0; 2], defocus_um: 0.0, light: 1.0, glare: 0.0 };
}

/// Turns plates into frames; keeps its buffers.
pub struct Projector {
    frame: Ycc,
    sums: Vec<u16>,
    grain: [Vec<i8>; 2],
    sheen: Vec<u8>,
}

impl Projector {
    /// `noise` is the standard deviation of luma and colour, 0 to 1.
    pub fn new(size: Size, noise: [f32; 2], rng: &mut Rng) -> Self {
        const STOCK: usize = 1 << 16;
        let grain = noise.map(|sigma| {
            let stock = (0..STOCK).map(|_| (rng.normal() * sigma * 255.0).round().clamp(-127.0, 127.0) as i8);
            stock.collect()
        });
        Self { frame: Ycc::blank(size), sums: vec![0; size.width as usize], grain, sheen: sheen(size, rng) }
    }

    /// The frame lies in the projector until the next.
    pub fn project(&mut self, plate: &Plate, look: &Look, rng: &mut Rng) -> &Ycc {
        let layers = layers(look);
        let size = self.frame.size;
        let (width, height) = (size.width as usize, size.height as usize);
        let light = (look.light.clamp(0.0, 8.0) * 256.0) as u32;
        let glare = (look.glare.clamp(0.0, 1.0) * 256.0) as u32;
        for y in 0..height {
            for plane in 0..3 {
                let (narrow, neutral) = if plane == 0 { (1, 0) } else { (2, 128) };
                let sums = &mut self.sums[..width / narrow];
                sums.fill(128);
                for layer in &layers {
                    let source = &plate.levels[layer.level];
                    let stride = source.size.width as usize / narrow;
                    let x0 = (MARGIN as i32 + layer.dx) as usize / narrow;
                    let y0 = (MARGIN as i32 + layer.dy) as usize + y;
                    let values = match plane {
                        0 => &source.luma,
                        1 => &source.blue,
                        _ => &source.red,
                    };
                    add_weighted(sums, &values[y0 * stride + x0..], layer.weight);
                }
                let target = match plane {
                    0 => &mut self.frame.luma,
                    1 => &mut self.frame.blue,
                    _ => &mut self.frame.red,
                };
                let row = &mut target[y * width / narrow..(y + 1) * width / narrow];
                if light != 256 {
                    dim(sums, light, neutral);
                }
                if glare > 0 {
                    shine(sums, &self.sheen[y * width..(y + 1) * width], narrow, glare);
                }
                let grain = &self.grain[usize::from(plane > 0)];
                let start = rng.bits() as usize % (grain.len() - row.len());
                add_grain(row, sums, &grain[start..]);
            }
        }
        &self.frame
    }
}

struct Layer {
    level: usize,
    dx: i32,
    dy: i32,
    /// Of 256 in all.
    weight: u16,
}

/// The plates' copies that make up a frame: two degrees of focus, along the smear.
fn layers(look: &Look) -> Vec<Layer> {
    let next = LEVELS_UM[1..LEVELS_UM.len() - 1].iter().take_while(|level| look.defocus_um > **level).count();
    let between = (look.defocus_um - LEVELS_UM[next]) / (LEVELS_UM[next + 1] - LEVELS_UM[next]);
    let length = look.smear[0].hypot(look.smear[1]);
    let copies: i32 = if length < 1.5 {
        1
    } else if length < 5.0 {
        4
    } else {
        8
    };
    let each = (256 / copies) as u16;
    let softer = (between.clamp(0.0, 1.0) * f32::from(each)).round() as u16;
    let reach = MARGIN as i32 - 1;
    let mut layers = Vec::with_capacity(16);
    for copy in 0..copies {
        let along = if copies == 1 { 0.0 } else { copy as f32 / (copies - 1) as f32 - 0.5 };
        let place = |axis: usize| {
            let pixels = look.offset[axis] + along * look.smear[axis];
            (pixels.round() as i32).clamp(-reach, reach)
        };
        for (level, weight) in [(next, each - softer), (next + 1, softer)] {
            if weight > 0 {
                layers.push(Layer { level, dx: place(0), dy: place(1), weight });
            }
        }
    }
    layers
}

fn add_weighted(sums: &mut [u16], source: &[u8], weight: u16) {
    // The first layer starts from half a step, for rounding; 255 * 256 + 128 still fits.
    for (sum, value) in sums.iter_mut().zip(source) {
        *sum += u16::from(*value) * weight;
    }
}

fn dim(sums: &mut [u16], light: u32, neutral: i32) {
    let neutral = neutral * 256;
    for sum in sums {
        let away = i32::from(*sum) - neutral;
        *sum = (neutral + ((away as i64 * i64::from(light)) >> 8) as i32).clamp(0, 65_535) as u16;
    }
}

/// Towards white where the oil mirrors the lamp: luma to the top, colour to neutral.
fn shine(sums: &mut [u16], sheen: &[u8], narrow: usize, strength: u32) {
    let white = if narrow == 1 { 65_280 } else { 32_768 };
    for (sum, sheen) in sums.iter_mut().zip(sheen.iter().step_by(narrow)) {
        let share = (u32::from(*sheen) * strength) as i64;
        *sum = (i64::from(*sum) + (((white - i64::from(*sum)) * share) >> 16)) as u16;
    }
}

fn add_grain(row: &mut [u8], sums: &[u16], grain: &[i8]) {
    for ((value, sum), grain) in row.iter_mut().zip(sums).zip(grain) {
        *value = ((sum >> 8) as i16 + i16::from(*grain)).clamp(0, 255) as u8;
    }
}

/// Broad, ragged reflections of the lamp in too little oil, over about a quarter of the frame.
fn sheen(size: Size, rng: &mut Rng) -> Vec<u8> {
    let (width, height) = (size.width as f32, size.height as f32);
    let lobes: Vec<[f32; 4]> = (0..11)
        .map(|_| {
            let radius = width * rng.within(0.06, 0.15);
            let wide = radius * rng.within(1.0, 2.0);
            [rng.within(0.0, width), rng.within(0.0, height), wide, radius * rng.within(0.4, 1.0)]
        })
        .collect();
    let coarse = Noise::new(rng, [width / 14.0, width / 18.0]);
    let fine = Noise::new(rng, [width / 60.0, width / 80.0]);
    let canvas = Canvas::from_coarse(size, 4, |x, y| {
        let lobe = |[cx, cy, rx, ry]: &[f32; 4]| {
            let (a, b) = ((x - cx) / rx, (y - cy) / ry);
            (-(a * a + b * b)).exp()
        };
        let light = lobes.iter().map(lobe).sum::<f32>();
        [((light * (1.0 + 0.35 * coarse.at(x, y) + 0.3 * fine.at(x, y)) - 0.3) * 1.9).clamp(0.0, 1.0); 3]
    });
    canvas.planes[0].iter().map(|v| (v * 255.0) as u8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(size: Size) -> Plate {
        let mut sharp = Ycc::blank(size);
        for (i, value) in sharp.luma.iter_mut().enumerate() {
            *value = ((i % size.width as usize) / 4) as u8;
        }
        Plate::new(sharp, 1.0)
    }

    fn project(look: &Look) -> Ycc {
        let frame = Size::new(64, 32);
        let plate = ramp(Size::new(64 + 2 * MARGIN, 32 + 2 * MARGIN));
        let mut rng = Rng::new(1, "projector");
        Projector::new(frame, [0.0, 0.0], &mut rng).project(&plate, look, &mut rng).clone()
    }

    #[test]
    fn a_still_look_is_the_middle_of_the_plate() {
        let frame = project(&Look::STILL);
        assert_eq!(frame.luma[0], (MARGIN / 4) as u8);
        assert_eq!(frame.luma[63], ((MARGIN + 63) / 4) as u8);
        assert!(frame.blue.iter().all(|v| *v == 128));
    }

    #[test]
    fn offset_light_and_glare_do_what_they_say() {
        let moved = project(&Look { offset: [40.0, 0.0], ..Look::STILL });
        assert_eq!(moved.luma[0], ((MARGIN + 40) / 4) as u8);
        let dark = project(&Look { light: 0.25, ..Look::STILL });
        assert_eq!(dark.luma[0], (MARGIN / 16) as u8);
        let glare = project(&Look { glare: 1.0, ..Look::STILL });
        assert!(glare.luma.iter().filter(|v| **v > 240).count() > 64 * 32 / 20);
    }
}
