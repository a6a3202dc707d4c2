//! One labelled frame beside what was measured on it.

use serde::Serialize;

use super::agreement::{Pair, median};
use super::labels::Counted;
use super::masks::Traced;
use super::{LINE_BAND_UM, MATCH_UM, Point, matching};
use crate::fast_track::{Category, Verdict};
use crate::measure::Settings;
use crate::measured::{Loop, Measured, NotMeasured};
use crate::outcome::{Damage, RejectReason};

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome", content = "why")]
pub enum Outcome {
    Measured,
    /// It was read, and no row was found on it, or too little of one.
    NotMeasured(NotMeasured),
    /// The gate would not have it read.
    Refused(RejectReason),
    Damaged(Damage),
}

/// Tips of one frame against its labels.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Tips {
    pub matched: u32,
    /// Found where none is labelled.
    pub extra: u32,
    pub missed: u32,
    /// Of the matched ones.
    pub distances_um: Vec<f64>,
}

/// An apical width that is known, and what was measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Width {
    pub true_um: f64,
    pub found_um: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Frame {
    pub frame: String,
    pub subject: String,
    /// As said of the subject; it is no statement about the frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disease: Option<bool>,
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Of a drawn frame: whether it is in focus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_focus: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tips: Option<Tips>,
    /// Loops a mm over the stretch of row that was traced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span: Option<Pair>,
    /// Whether the label lies between the fewest and the most loops that there may be on that stretch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span_held: Option<bool>,
    /// Loops a mm along the marked line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<Pair>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line_held: Option<bool>,
    /// Loops a mm of the row where it passes the marked line, however far before or behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub across: Option<Pair>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub across_held: Option<bool>,
    /// Loops a mm of the whole row in view, of a drawn frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<Pair>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row_held: Option<bool>,
    /// Middle of the apical widths of the loops on the marked line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line_width_um: Option<f64>,
    /// Middle of the apical widths of all counted loops.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median_width_um: Option<f64>,
    /// Of matched loops of normal shape whose width is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub widths: Vec<Width>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fast_track: Option<Verdict>,
    pub borderline: bool,
    /// What the rules say of a drawn frame's truth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub true_category: Option<Category>,
}

impl Frame {
    /// A frame on which nothing is known yet but what became of it.
    pub fn new(frame: &str, subject: &str, seen: Result<&Measured, Outcome>) -> Self {
        let (outcome, measured) = match seen {
            Ok(measured) => (measured.not_measured.map_or(Outcome::Measured, Outcome::NotMeasured), Some(measured)),
            Err(outcome) => (outcome, None),
        };
        Self {
            frame: frame.to_owned(),
            subject: subject.to_owned(),
            disease: None,
            outcome,
            in_focus: None,
            tips: None,
            span: None,
            span_held: None,
            line: None,
            line_held: None,
            across: None,
            across_held: None,
            row: None,
            row_held: None,
            line_width_um: None,
            median_width_um: measured.and_then(|m| m.median_apical_um).map(f64::from),
            widths: Vec::new(),
            fast_track: measured.map(|m| m.fast_track),
            borderline: measured.is_some_and(|m| m.borderline),
            true_category: None,
        }
    }

    /// Whether a row was found to count loops on.
    pub fn is_measured(&self) -> bool {
        self.outcome == Outcome::Measured
    }

    /// Holds the counted loops against the traced ones. On a frame that was not measured every traced loop is missed,
    /// and its density stays unknown.
    pub fn against_traces(&mut self, traced: &Traced, loops: &[Loop], um_per_px: f64, settings: &Settings) {
        let on_span: Vec<&Loop> = loops.iter().filter(|one| traced.holds(place(one))).collect();
        let found: Vec<Point> = on_span.iter().filter(|l| l.counted).map(|l| place(l)).collect();
        let pairs = matching::pairs(&traced.tips, &found, MATCH_UM / um_per_px);
        self.tips = Some(Tips::of(&pairs, traced.tips.len(), found.len(), um_per_px));
        if let (Some(span), true) = (traced.span_mm(), self.is_measured()) {
            let per_mm = |loops: usize| loops.saturating_sub(1) as f64 / span;
            self.span = Some(Pair { label: per_mm(traced.tips.len()), found: per_mm(found.len()) });
            let [fewest, most] = settings.range(on_span.into_iter());
            self.span_held = Some((fewest..=most).contains(&(traced.tips.len() as u32)));
        }
    }

    /// Counts the loops along the line that a reader counted along: those near it, and all of the row between its ends.
    /// Readers draw the line where it does not hide the loops, often across their limbs and far from their tips.
    pub fn against_count(&mut self, label: &Counted, loops: &[Loop], um_per_px: f64, settings: &Settings) {
        if !self.is_measured() {
            return;
        }
        let [from, to] = label.line;
        let length = (to[0] - from[0]).hypot(to[1] - from[1]);
        let along = [(to[0] - from[0]) / length, (to[1] - from[1]) / length];
        let length_mm = length * um_per_px / 1000.0;
        let within = |band_um: f64| -> Vec<&Loop> {
            let on_line = |one: &&Loop| {
                let p = place(one);
                let (dx, dy) = (p[0] - from[0], p[1] - from[1]);
                let (far, off) = (dx * along[0] + dy * along[1], dy * along[0] - dx * along[1]);
                (0.0..=length).contains(&far) && off.abs() <= band_um / um_per_px
            };
            loops.iter().filter(on_line).collect()
        };
        let against = |on_line: &[&Loop]| {
            let counted = on_line.iter().filter(|l| l.counted).count();
            let [fewest, most] = settings.range(on_line.iter().copied()).map(|loops| f64::from(loops) / length_mm);
            let pair = Pair { label: label.per_mm, found: counted as f64 / length_mm };
            (Some(pair), Some(fewest <= label.per_mm && label.per_mm <= most))
        };
        let near = within(LINE_BAND_UM);
        (self.line, self.line_held) = against(&near);
        (self.across, self.across_held) = against(&within(f64::INFINITY));
        let widths = near.iter().filter(|l| l.counted).filter_map(|l| l.apical_um);
        self.line_width_um = median(&widths.map(f64::from).collect::<Vec<_>>());
    }
}

impl Tips {
    pub fn of(pairs: &[(usize, usize, f64)], labelled: usize, found: usize, um_per_px: f64) -> Self {
        Self {
            matched: pairs.len() as u32,
            extra: (found - pairs.len()) as u32,
            missed: (labelled - pairs.len()) as u32,
            distances_um: pairs.iter().map(|(_, _, far)| far * um_per_px).collect(),
        }
    }
}

pub fn place(one: &Loop) -> Point {
    one.apex.map(f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measured::{LoopClass, nothing};

    fn counted(places: &[[f32; 2]]) -> Vec<Loop> {
        let one = |(i, apex): (usize, &[f32; 2])| Loop {
            apex: *apex,
            toward: [0.0, -1.0],
            apical_um: Some(10.0 + i as f32),
            class: LoopClass::Normal,
            counted: true,
            score: 0.9,
            centreline: Vec::new(),
        };
        places.iter().enumerate().map(one).collect()
    }

    fn measured() -> Measured {
        Measured { not_measured: None, ..nothing(NotMeasured::NoRow) }
    }

    #[test]
    fn loops_on_the_marked_line_are_those_between_its_ends_and_near_it() {
        let loops =
            counted(&[[10.0, 100.0], [200.0, 100.0], [200.0, 290.0], [200.0, 301.0], [411.0, 100.0], [9.0, 100.0]]);
        let mut frame = Frame::new("a", "", Ok(&measured()));
        let label = Counted { per_mm: 4.0, line: [[10.0, 100.0], [410.0, 100.0]] };
        frame.against_count(&label, &loops, 2.5, &Settings::default());
        assert_eq!(frame.line, Some(Pair { label: 4.0, found: 3.0 }), "1 mm long, and 200 px to either side");
        assert_eq!(frame.line_width_um, Some(11.0));
        assert_eq!(frame.across, Some(Pair { label: 4.0, found: 4.0 }), "the row, however far from the line");
        assert_eq!((frame.line_held, frame.across_held), (Some(true), Some(true)));
    }

    #[test]
    fn a_frame_without_a_row_misses_its_loops_and_has_no_density() {
        let unmeasured = nothing(NotMeasured::NoRow);
        let label = Counted { per_mm: 4.0, line: [[10.0, 100.0], [410.0, 100.0]] };
        for seen in [Ok(&unmeasured), Err(Outcome::Refused(RejectReason::Defocus))] {
            let mut frame = Frame::new("a", "", seen);
            frame.against_count(&label, &[], 2.5, &Settings::default());
            assert_eq!((frame.line, frame.across), (None, None));
            assert!(!frame.is_measured());
        }
    }
}
