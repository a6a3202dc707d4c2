//! Measures a field from a locating network's maps: tips, the row they stand in, loops with width and class, and what
//! the Fast Track rules say of them. Pure: maps in, figures out.

mod bleeding;
mod correct;
mod limbs;
mod loops;
mod row;
mod tally;
mod tips;

pub use self::correct::{Uncorrectable, corrected};
pub use self::tips::Tip;
use crate::infer::Maps;
/// Stands with the words, for a record keeps what its measures were made with.
pub use crate::measured::Limits as Settings;
use crate::measured::{Loop, Measured};

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
        if !(self.widths_apart >= 1.0 && self.widths_apart.is_finite()) {
            return Err(format!("widths_apart is {}: it is a factor, and must be at least 1", self.widths_apart));
        }
        // Rows lie 90 um apart at the least, and half a millimetre holds three of them; neighbours have 60 um or more.
        let lengths =
            [("band_um", self.band_um, 500.0), ("ahead_um", self.ahead_um, 500.0), ("apart_um", self.apart_um, 100.0)];
        for (key, value, most) in lengths {
            if !(20.0..=most).contains(&value) {
                return Err(format!("{key} is {value}: it must be 20 to {most}"));
            }
        }
        Ok(())
    }

    /// Whether a counted loop is one for certain. The network counts nothing below the least score, so what stands there
    /// is a reader's.
    fn is_sure(&self, counted: &Loop) -> bool {
        !(self.least_score..self.sure_score).contains(&counted.score)
    }

    /// Fewest and most loops of the row among these: without those that may be none and with those that are too faint
    /// to be counted, and a loop either way at the least. What a reader added is sure.
    pub fn range<'a>(&self, loops: impl Iterator<Item = &'a Loop>) -> [u32; 2] {
        let [mut counted, mut unsure, mut faint] = [0u32; 3];
        for one in loops {
            if one.counted {
                counted += 1;
                unsure += u32::from(!self.is_sure(one));
            } else {
                faint += u32::from((self.faint_score..self.least_score).contains(&one.score));
            }
        }
        [counted.saturating_sub(unsure.max(1)), counted + faint.max(1)]
    }
}

/// Measures one field by the maps alone.
pub fn measure(maps: &Maps, um_per_px: Option<f64>, settings: &Settings) -> Measured {
    by_tips(maps, &candidates(maps, settings), um_per_px, settings)
}

/// What may be a tip, from the surest down.
pub fn candidates(maps: &Maps, settings: &Settings) -> Vec<Tip> {
    tips::find(maps, settings.least_score * 0.5)
}

/// Measures one field from its candidates, whose widths may have been told by another network. `um_per_px` is the
/// picture's own; where it is not known, loops are counted and no more.
pub fn by_tips(maps: &Maps, candidates: &[Tip], um_per_px: Option<f64>, settings: &Settings) -> Measured {
    let row = row::Row::find(maps, candidates).filter(|row| row.edge >= settings.least_edge);
    let found = loops::of(maps, candidates, row.as_ref(), settings);
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
