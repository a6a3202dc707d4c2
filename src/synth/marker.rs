//! A measuring line burnt into the picture, as viewing software leaves it in saved frames: a mark that a reader
//! must learn to overlook. It says nothing of the category.

use super::rng::Rng;
use crate::frame::Size;

/// Draws a thin dark line with short end strokes somewhere over the middle of interleaved RGB.
pub fn burn(rgb: &mut [u8], size: Size, rng: &mut Rng) {
    let (width, height) = (size.width as f32, size.height as f32);
    let middle = [width * rng.within(0.3, 0.7), height * rng.within(0.3, 0.7)];
    let half = width * rng.within(0.1, 0.2);
    let angle = rng.within(0.0, std::f32::consts::PI);
    let (sin, cos) = angle.sin_cos();
    let dark = rng.within(0.1, 0.5);
    // One pixel of a full-size frame; on a smaller picture the line is finer and therefore paler.
    let strength = (1.0 - dark) * (width / 1280.0).sqrt().min(1.0);
    line(rgb, size, middle, [cos, sin], half, strength);
    for end in [-half, half] {
        let tip = [middle[0] + end * cos, middle[1] + end * sin];
        line(rgb, size, tip, [-sin, cos], width * 0.004, strength);
    }
}

fn line(rgb: &mut [u8], size: Size, middle: [f32; 2], along: [f32; 2], half: f32, strength: f32) {
    let steps = (2.0 * half).ceil() as i32;
    for step in 0..=steps {
        let t = step as f32 - half;
        let (x, y) = ((middle[0] + t * along[0]).round(), (middle[1] + t * along[1]).round());
        if x < 0.0 || y < 0.0 || x >= size.width as f32 || y >= size.height as f32 {
            continue;
        }
        let start = (y as usize * size.width as usize + x as usize) * 3;
        for value in &mut rgb[start..start + 3] {
            *value = (f32::from(*value) * (1.0 - strength)) as u8;
        }
    }
}
