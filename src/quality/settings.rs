//! The limits of the gate, where each came from, and the weight of a picture that passes. `docs/gate.md` has the
//! tables behind them: 51 real nailfold frames of nine subjects, all readable, and the same frames made worse.

use std::ops::RangeInclusive;

use serde::Deserialize;

use super::Measured;
use crate::outcome::{Quality, RejectReason};

/// Limits between what is read and what is refused.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "snake_case")]
pub struct Settings {
    /// Mean luma below which the picture is underexposed. A loop absorbs about a tenth of the light, three of 255
    /// levels here, as much as the noise of the sensor. The darkest real frame has 52.
    pub least_luma: f32,
    /// Share of the picture that may be too dark (luma under 25). Half: the row of loops crosses the picture. The
    /// real frames stay under 0.01.
    pub most_dark: f32,
    /// Mean luma above which the picture is overexposed; the brightest real frame has 155, and brightened ones lose
    /// their loops to white from 200 to 220 on.
    pub most_luma: f32,
    /// Share of the picture that may be near white (luma from 235). The real frames stay under 0.02; a quarter is
    /// what a bright nail plate takes beside readable skin. White spots on skin that is not pale are glare.
    pub most_bright: f32,
    /// Mean luma from which skin is pale, and a picture that shows no blood counts as blanched by pressure and not as another place:
    /// real frames mixed with 60 % of white skin have 150 to 190.
    pub blanched_luma: f32,
    /// Share of the picture that highlights with their halo may cover. The worst readable frame has 0.08; at a
    /// quarter a millimetre of the row is no longer in one piece.
    pub most_glare: f32,
    /// Speed of the view in widths a second. At 30 frames a second 0.3 smears a hundredth of the width during the
    /// longest exposure, which is the width of a capillary limb (13 um in 1.3 mm).
    pub most_speed: f32,
    /// Fine over coarse contrast below which the picture is out of focus. The softest real frame has 0.51; blurred
    /// by a Gaussian of 13 pixels of 1280, where no loop can be followed any more, all of them stay below 0.30.
    pub least_sharpness: f32,
    /// Contrast that blood makes, in thousandths, below which there is no nailfold in view. The real frames have at
    /// least 4.1 and 300 drawn ones at least 1.6, the least of them those that have lost nearly all loops: a higher
    /// limit would refuse disease. Cloth, paper and noise have none; nail alone is not told from skin by this.
    pub least_nailfold: f32,
    /// Redness from which a blurred picture without loops is skin out of focus and not another thing in view.
    pub skin_redness: f32,
    /// Sharpness from which a picture weighs in full: the middle of the real frames has 0.74.
    pub full_sharpness: f32,
    /// Mean luma from which a picture weighs in full: the darkest fifth of the real frames is below.
    pub full_luma: f32,
    /// Least share of the weight that each of focus, light and glare leaves.
    pub least_weight: f32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            least_luma: 30.0,
            most_dark: 0.5,
            most_luma: 205.0,
            most_bright: 0.25,
            blanched_luma: 165.0,
            most_glare: 0.25,
            most_speed: 0.3,
            least_sharpness: 0.30,
            least_nailfold: 1.2,
            skin_redness: 0.05,
            full_sharpness: 0.7,
            full_luma: 80.0,
            least_weight: 0.25,
        }
    }
}

impl Settings {
    /// Says which limit makes no sense, with its key and the range it must keep to.
    pub fn check(&self) -> Result<(), String> {
        let levels = 0.0..=255.0;
        let share = 0.0..=1.0;
        within("least_luma", self.least_luma, &levels)?;
        within("most_luma", self.most_luma, &(self.least_luma..=255.0))?;
        within("blanched_luma", self.blanched_luma, &levels)?;
        within("full_luma", self.full_luma, &(self.least_luma..=255.0))?;
        within("most_dark", self.most_dark, &share)?;
        within("most_bright", self.most_bright, &share)?;
        within("most_glare", self.most_glare, &share)?;
        within("most_speed", self.most_speed, &(0.01..=10.0))?;
        within("least_sharpness", self.least_sharpness, &(0.0..=2.0))?;
        within("full_sharpness", self.full_sharpness, &(self.least_sharpness..=2.0))?;
        within("least_nailfold", self.least_nailfold, &(0.0..=100.0))?;
        within("skin_redness", self.skin_redness, &(-1.0..=1.0))?;
        within("least_weight", self.least_weight, &(0.01..=1.0))
    }

    /// The first reason that applies, in the order that the module states.
    pub(super) fn refuses(&self, measured: &Measured) -> Option<RejectReason> {
        let Measured { quality, luma_beside_glare, speed, redness, .. } = measured;
        let bloodless = quality.nailfold < self.least_nailfold;
        let blurred = quality.sharpness < self.least_sharpness;
        if quality.luma < self.least_luma || quality.dark > self.most_dark {
            Some(RejectReason::Underexposed)
        } else if quality.luma > self.most_luma
            || (quality.bright > self.most_bright && *luma_beside_glare > self.blanched_luma)
            || (bloodless && quality.luma > self.blanched_luma)
        {
            Some(RejectReason::Overexposed)
        } else if quality.glare > self.most_glare {
            Some(RejectReason::Glare)
        } else if speed.is_some_and(|speed| speed > self.most_speed) {
            Some(RejectReason::Motion)
        } else if blurred && (!bloodless || *redness >= self.skin_redness) {
            Some(RejectReason::Defocus)
        } else if bloodless {
            Some(RejectReason::NoNailfold)
        } else {
            None
        }
    }

    /// How much a picture counts when its field is pooled: full for one that is sharp, lit and free of glare, less
    /// in proportion as each of these nears its limit, the three multiplied.
    pub(super) fn weight(&self, quality: &Quality) -> f32 {
        let part = |value: f32, worst: f32, best: f32| {
            let share = if best > worst { (value - worst) / (best - worst) } else { 1.0 };
            self.least_weight + (1.0 - self.least_weight) * share.clamp(0.0, 1.0)
        };
        let focus = part(quality.sharpness, self.least_sharpness, self.full_sharpness);
        let light = part(quality.luma, self.least_luma, self.full_luma);
        let clear = part(self.most_glare - quality.glare, 0.0, self.most_glare);
        focus * light * clear
    }
}

fn within(key: &str, value: f32, range: &RangeInclusive<f32>) -> Result<(), String> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(format!("{key} is {value}, but must lie from {} to {}", range.start(), range.end()))
}
