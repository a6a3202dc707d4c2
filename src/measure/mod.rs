//! Measures a field from a locating network's maps: tips, the row they stand in, loops with width and class, and what
//! the Fast Track rules say of them. Pure: maps in, figures out.

mod bleeding;
mod correct;
mod limbs;
mod loops;
mod row;
mod tally;
mod tips;

use serde::{Deserialize, Serialize};

pub use self::correct::{Uncorrectable, corrected};
use crate::infer::Maps;
use crate::measured::{Loop, Measured};

/// What counts as a loop of the row. Set on 51 real frames of nine subjects that the network never saw; how each
/// figure did is in docs/measure.md.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Score from which a tip is one. From 0.25 to 0.34 the density on traced frames goes from 1.0 a mm too many to
    /// 0.2 too few; at 0.30 it is right in the middle.
    pub least_score: f32,
    /// A tip of the row from here on may be a loop, though it is not counted; a counted one below `sure_score` may be
    /// none. Both widen the density's interval: with 0.20 and 0.50 it holds what was traced on nine frames in ten, where
    /// a loop either way alone held it on half (docs/measure.md).
    pub faint_score: f32,
    pub sure_score: f32,
    /// Two tips closer than this, or than 0.6 of their mean width, are one loop: the higher score stands. On traced
    /// frames 48 um gave the best densities of 24 to 64.
    pub apart_um: f32,
    /// How far a tip of the row may stand from its line, in um. Of 120, 160 and 220 the last gave the best F1 on traced
    /// frames, whose rows are partly two tiers deep.
    pub band_um: f32,
    /// Mean difference of the nail's probability ahead of the line and behind it, below which there is no row.
    /// The 19 real frames with a counted line have 0.42 to 0.85.
    pub least_edge: f32,
    /// Probability of an abnormal shape from which a loop is not evaluable, and from which it is abnormal. Of drawn
    /// loops three in four abnormal ones have more than 0.95, nine in ten more than 0.19, and 99 in 100 others less
    /// than 0.15.
    pub doubtful_shape: f32,
    pub abnormal_shape: f32,
    /// Share by which an apical width may be off: the mean error on drawn giants.
    pub width_error: f32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            least_score: 0.30,
            faint_score: 0.20,
            sure_score: 0.50,
            apart_um: 48.0,
            band_um: 220.0,
            least_edge: 0.3,
            doubtful_shape: 0.3,
            abnormal_shape: 0.6,
            width_error: 0.16,
        }
    }
}

impl Settings {
    pub fn check(&self) -> Result<(), String> {
        let shares = [
            ("least_score", self.least_score),
            ("faint_score", self.faint_score),
            ("sure_score", self.sure_score),
            ("least_edge", self.least_edge),
            ("doubtful_shape", self.doubtful_shape),
            ("abnormal_shape", self.abnormal_shape),
            ("width_error", self.width_error),
        ];
        for (key, value) in shares {
            if !(value > 0.0 && value < 1.0) {
                return Err(format!("{key} is {value}: it must be above 0 and below 1"));
            }
        }
        // Tips below half the least score are not looked for.
        if !(self.least_score * 0.5..=self.least_score).contains(&self.faint_score) {
            return Err(format!(
                "faint_score is {}: it must be at most least_score, {}, and at least half of it",
                self.faint_score, self.least_score
            ));
        }
        if self.sure_score < self.least_score {
            return Err(format!(
                "sure_score is {}: it must be at least least_score, {}",
                self.sure_score, self.least_score
            ));
        }
        if self.doubtful_shape > self.abnormal_shape {
            return Err(format!(
                "doubtful_shape is {}: it must be at most abnormal_shape, {}",
                self.doubtful_shape, self.abnormal_shape
            ));
        }
        // Rows lie 90 um apart at the least, and half a millimetre holds three of them; neighbours have 60 um or more.
        for (key, value, most) in [("band_um", self.band_um, 500.0), ("apart_um", self.apart_um, 100.0)] {
            if !(20.0..=most).contains(&value) {
                return Err(format!("{key} is {value}: it must be 20 to {most}"));
            }
        }
        Ok(())
    }

    /// Fewest and most loops of the row among these: without those that may be none and with those that are too faint
    /// to be counted, and a loop either way at the least. What a reader added is sure.
    pub fn range<'a>(&self, loops: impl Iterator<Item = &'a Loop>) -> [u32; 2] {
        let [mut counted, mut unsure, mut faint] = [0u32; 3];
        for one in loops {
            if one.counted {
                counted += 1;
                // The network counts nothing below the least score, so what stands there is a reader's.
                unsure += u32::from((self.least_score..self.sure_score).contains(&one.score));
            } else {
                faint += u32::from((self.faint_score..self.least_score).contains(&one.score));
            }
        }
        [counted.saturating_sub(unsure.max(1)), counted + faint.max(1)]
    }
}

/// Measures one field. `um_per_px` is the picture's own; where it is not known, loops are counted and no more.
pub fn measure(maps: &Maps, um_per_px: Option<f64>, settings: &Settings) -> Measured {
    let candidates = tips::find(maps, settings.least_score * 0.5);
    let row = row::Row::find(maps, &candidates).filter(|row| row.edge >= settings.least_edge);
    let found = loops::of(maps, &candidates, row.as_ref(), settings);
    let haemorrhages = bleeding::find(maps);
    let mut measured = tally::measured(found, row.as_ref(), maps, settings);
    measured.haemorrhages = haemorrhages;
    match um_per_px {
        Some(_) => Measured { um_per_px, ..measured },
        None => tally::only_counted(measured),
    }
}

#[cfg(test)]
mod tests;
