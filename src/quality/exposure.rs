//! Light: how bright the picture is, and how much of it is too dark or too bright to show a loop.

use super::reduce::Plane;

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

pub(super) fn measure(luma: &Plane) -> Exposure {
    let share = |counts: &dyn Fn(f32) -> bool| {
        luma.values.iter().filter(|&&value| counts(value)).count() as f32 / luma.values.len().max(1) as f32
    };
    Exposure { luma: luma.mean(), dark: share(&|value| value < DARK), bright: share(&|value| value >= BRIGHT) }
}

/// Mean luma of what `glare` leaves; 255 when it leaves nothing.
pub(super) fn luma_beside(luma: &Plane, glare: &[bool]) -> f32 {
    let (mut sum, mut count) = (0.0, 0);
    for (value, _) in luma.values.iter().zip(glare).filter(|(_, glares)| !**glares) {
        sum += value;
        count += 1;
    }
    if count == 0 { 255.0 } else { sum / count as f32 }
}
