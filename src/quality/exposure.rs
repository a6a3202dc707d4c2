//! Light: how bright the picture is, and how much of it is too dark or too bright to show a loop.

use super::reduce::{LANES, Plane};

/// Reduced luma below which a loop cannot be told from the sensor's noise: it absorbs about a tenth of the light,
/// which is two of 255 levels here.
const DARK: f32 = 25.0;
/// Reduced luma from which the red channel of skin is clipped and loops fade into white.
const BRIGHT: f32 = 235.0;

/// Shares of the picture, 0 to 1, and its mean luma, 0 to 255.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Exposure {
    pub(super) luma: f32,
    pub(super) dark: f32,
    pub(super) bright: f32,
}

#[inline(always)]
pub(super) fn measure(luma: &Plane) -> Exposure {
    let (mut dark, mut bright) = (0u32, 0u32);
    for value in &luma.values {
        dark += u32::from(*value < DARK);
        bright += u32::from(*value >= BRIGHT);
    }
    let share = |count: u32| count as f32 / luma.values.len().max(1) as f32;
    Exposure { luma: luma.mean(), dark: share(dark), bright: share(bright) }
}

/// Mean luma of what `glare` leaves; 255 when it leaves nothing.
#[inline(always)]
pub(super) fn luma_beside(luma: &Plane, glare: &[bool]) -> f32 {
    let (mut lanes, mut count) = ([0.0; LANES], 0u32);
    for (values, glare) in luma.values.chunks(LANES).zip(glare.chunks(LANES)) {
        for ((lane, value), glares) in lanes.iter_mut().zip(values).zip(glare) {
            *lane += if *glares { 0.0 } else { *value };
            count += u32::from(!glares);
        }
    }
    if count == 0 { 255.0 } else { lanes.iter().sum::<f32>() / count as f32 }
}
