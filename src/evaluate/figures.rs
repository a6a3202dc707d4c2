//! The table of figures over a group of frames, each with what it was made of and its interval.

use serde::Serialize;

use super::agreement::{self, Pair, mean, median};
use super::frame::{Frame, Outcome, Tips};
use crate::measured::{ECTATIC_UM, GIANT_UM};
use crate::synth::rng::Rng;

/// Resamplings behind an interval, and their seed: the same frames give the same interval.
pub const RESAMPLES: usize = 2000;
pub const SEED: u64 = 20_260;

/// Human counts up to and from which the bias is told apart: where the rules cut, at 3 and 7, counts pulled to the
/// mean would show there first.
const FEW_PER_MM: f64 = 5.0;
const MANY_PER_MM: f64 = 7.0;
/// Off by one loop on a line that is a little shorter than a millimetre.
const ABOUT_ONE_PER_MM: f64 = 1.05;

/// A figure of a group, absent where its frames do not determine it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    pub key: &'static str,
    #[serde(skip)]
    pub words: &'static str,
    #[serde(skip)]
    pub unit: &'static str,
    pub value: f64,
    /// 95 of 100 resamplings of the frames lie between them; absent where too many give no figure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
    /// How many frames, or loops, it is made of.
    pub n: usize,
}

struct Quantity {
    key: &'static str,
    words: &'static str,
    unit: &'static str,
    of: fn(&[&Frame]) -> Option<(f64, usize)>,
}

const fn quantity(
    key: &'static str,
    words: &'static str,
    unit: &'static str,
    of: fn(&[&Frame]) -> Option<(f64, usize)>,
) -> Quantity {
    Quantity { key, words, unit, of }
}

const QUANTITIES: [Quantity; 42] = [
    quantity("apex_precision", "tips: precision", "", |f| share_of(f, |t| (t.matched, t.matched + t.extra))),
    quantity("apex_recall", "tips: recall", "", |f| share_of(f, |t| (t.matched, t.matched + t.missed))),
    quantity("apex_f1", "tips: F1", "", |f| share_of(f, |t| (2 * t.matched, 2 * t.matched + t.extra + t.missed))),
    quantity("apex_distance_um", "tips: mean distance of matched ones", "um", distance),
    quantity("span_mae", "density of the traced row: mean absolute error", "/mm", |f| {
        on(f, |f| f.span, agreement::mean_absolute_error)
    }),
    quantity("span_constant", "the same, always the mean", "/mm", |f| on(f, |f| f.span, agreement::constant_error)),
    quantity("span_bias", "density of the traced row: bias", "/mm", |f| on(f, |f| f.span, agreement::bias)),
    quantity("span_r", "density of the traced row: r", "", |f| on(f, |f| f.span, agreement::correlation)),
    quantity("span_held", "share of frames whose interval holds the traced loops", "", |f| held(f, |f| f.span_held)),
    quantity("line_mae", "density along the marked line: mean absolute error", "/mm", |f| {
        on(f, |f| f.line, agreement::mean_absolute_error)
    }),
    quantity("line_constant", "the same, always the mean", "/mm", |f| on(f, |f| f.line, agreement::constant_error)),
    quantity("line_bias", "density along the marked line: bias", "/mm", |f| on(f, |f| f.line, agreement::bias)),
    quantity("line_bias_few", "the same, at human counts up to 5", "/mm", |f| on(f, |f| few(f.line), agreement::bias)),
    quantity("line_bias_many", "the same, at human counts from 7 on", "/mm", |f| {
        on(f, |f| many(f.line), agreement::bias)
    }),
    quantity("line_r", "density along the marked line: r", "", |f| on(f, |f| f.line, agreement::correlation)),
    quantity("line_icc", "density along the marked line: ICC(2,1)", "", |f| on(f, |f| f.line, agreement::icc)),
    quantity("line_within_one", "density along the marked line: share within a loop", "", |f| {
        on(f, |f| f.line, within_one)
    }),
    quantity("line_held", "share of frames whose interval holds the reader's count", "", |f| held(f, |f| f.line_held)),
    quantity("across_mae", "density of the row across the marked line: mean absolute error", "/mm", |f| {
        on(f, |f| f.across, agreement::mean_absolute_error)
    }),
    quantity("across_bias", "density of the row across the line: bias", "/mm", |f| {
        on(f, |f| f.across, agreement::bias)
    }),
    quantity("across_bias_few", "the same, at human counts up to 5", "/mm", |f| {
        on(f, |f| few(f.across), agreement::bias)
    }),
    quantity("across_bias_many", "the same, at human counts from 7 on", "/mm", |f| {
        on(f, |f| many(f.across), agreement::bias)
    }),
    quantity("across_r", "density of the row across the line: r", "", |f| on(f, |f| f.across, agreement::correlation)),
    quantity("across_icc", "density of the row across the line: ICC(2,1)", "", |f| on(f, |f| f.across, agreement::icc)),
    quantity("across_held", "share of frames whose interval across the line holds the reader's count", "", |f| {
        held(f, |f| f.across_held)
    }),
    quantity("row_mae", "density of the drawn row: mean absolute error", "/mm", |f| {
        on(f, |f| f.row, agreement::mean_absolute_error)
    }),
    quantity("row_constant", "the same, always the mean", "/mm", |f| on(f, |f| f.row, agreement::constant_error)),
    quantity("row_bias", "density of the drawn row: bias", "/mm", |f| on(f, |f| f.row, agreement::bias)),
    quantity("row_r", "density of the drawn row: r", "", |f| on(f, |f| f.row, agreement::correlation)),
    quantity("row_held", "share of frames whose interval holds the drawn density", "", |f| held(f, |f| f.row_held)),
    quantity("width_mae_below_20", "apical width below 20 um: mean absolute error", "um", |f| {
        width(f, slender, error_um)
    }),
    quantity("width_share_below_20", "the same, as a share of the width", "", |f| width(f, slender, error_share)),
    quantity("width_mae_20_to_50", "apical width 20 to 50 um: mean absolute error", "um", |f| {
        width(f, ectatic, error_um)
    }),
    quantity("width_share_20_to_50", "the same, as a share of the width", "", |f| width(f, ectatic, error_share)),
    quantity("width_mae_above_50", "apical width above 50 um (giants): mean absolute error", "um", |f| {
        width(f, giant, error_um)
    }),
    quantity("width_share_above_50", "the same, as a share of the width", "", |f| width(f, giant, error_share)),
    quantity("width_median_um", "middle of the frames' median apical widths", "um", |f| {
        middle(f, |f| f.median_width_um)
    }),
    quantity("line_width_median_um", "the same, of loops on the marked line", "um", |f| middle(f, |f| f.line_width_um)),
    quantity("not_measured", "share of the frames read on which nothing was measured", "", not_measured),
    quantity("refused", "share of all frames that the gate refused", "", |f| {
        outcome(f, |o| matches!(o, Outcome::Refused(_)))
    }),
    quantity("damaged", "share of all frames that were damaged", "", |f| {
        outcome(f, |o| matches!(o, Outcome::Damaged(_)))
    }),
    quantity("borderline", "share of the measured frames marked borderline", "", borderline),
];

/// Figures of a group of frames.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    pub name: String,
    pub frames: usize,
    pub figures: Vec<Figure>,
}

impl Group {
    pub fn of(name: impl Into<String>, frames: &[&Frame]) -> Self {
        let mut figures: Vec<Figure> = QUANTITIES
            .iter()
            .filter_map(|q| {
                let (value, n) = (q.of)(frames)?;
                Some(Figure { key: q.key, words: q.words, unit: q.unit, value, interval: None, n })
            })
            .collect();
        intervals(frames, &mut figures);
        Self { name: name.into(), frames: frames.len(), figures }
    }

    pub fn figure(&self, key: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.key == key)
    }
}

/// Percentiles over resamplings of the frames, with replacement.
fn intervals(frames: &[&Frame], figures: &mut [Figure]) {
    let mut rng = Rng::new(SEED, "bootstrap");
    let mut values: Vec<Vec<f64>> = vec![Vec::with_capacity(RESAMPLES); figures.len()];
    let of: Vec<_> = figures.iter().filter_map(|f| QUANTITIES.iter().find(|q| q.key == f.key)).map(|q| q.of).collect();
    let mut drawn: Vec<&Frame> = Vec::with_capacity(frames.len());
    for _ in 0..RESAMPLES {
        drawn.clear();
        drawn.extend(frames.iter().map(|_| frames[(rng.bits() % frames.len() as u64) as usize]));
        for (of, values) in of.iter().zip(&mut values) {
            values.extend(of(&drawn).map(|(value, _)| value));
        }
    }
    for (figure, mut values) in figures.iter_mut().zip(values) {
        // A figure that one resampling in twenty does not have would get an interval of the others only.
        if frames.len() > 1 && values.len() * 20 >= RESAMPLES * 19 {
            values.sort_by(f64::total_cmp);
            let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
            figure.interval = Some([at(0.025), at(0.975)]);
        }
    }
}

fn share_of(frames: &[&Frame], of: fn(&Tips) -> (u32, u32)) -> Option<(f64, usize)> {
    let parts = frames.iter().filter_map(|f| f.tips.as_ref());
    let labelled = parts.clone().map(|t| t.matched + t.missed).sum::<u32>();
    let (part, whole) = parts.map(of).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    (whole > 0).then(|| (f64::from(part) / f64::from(whole), labelled as usize))
}

fn distance(frames: &[&Frame]) -> Option<(f64, usize)> {
    let all: Vec<f64> = frames.iter().filter_map(|f| f.tips.as_ref()).flat_map(|t| t.distances_um.clone()).collect();
    Some((mean(&all)?, all.len()))
}

fn on(frames: &[&Frame], pick: fn(&Frame) -> Option<Pair>, of: fn(&[Pair]) -> Option<f64>) -> Option<(f64, usize)> {
    let pairs: Vec<Pair> = frames.iter().filter_map(|f| pick(f)).collect();
    Some((of(&pairs)?, pairs.len()))
}

fn few(counted: Option<Pair>) -> Option<Pair> {
    counted.filter(|pair| pair.label <= FEW_PER_MM)
}

fn many(counted: Option<Pair>) -> Option<Pair> {
    counted.filter(|pair| pair.label >= MANY_PER_MM)
}

fn within_one(pairs: &[Pair]) -> Option<f64> {
    agreement::share_within(pairs, ABOUT_ONE_PER_MM)
}

fn slender(um: f64) -> bool {
    um < f64::from(ECTATIC_UM)
}

fn giant(um: f64) -> bool {
    um > f64::from(GIANT_UM)
}

fn ectatic(um: f64) -> bool {
    !slender(um) && !giant(um)
}

fn error_um(true_um: f64, found_um: f64) -> f64 {
    (found_um - true_um).abs()
}

fn error_share(true_um: f64, found_um: f64) -> f64 {
    error_um(true_um, found_um) / true_um
}

fn width(frames: &[&Frame], which: fn(f64) -> bool, error: fn(f64, f64) -> f64) -> Option<(f64, usize)> {
    let widths = frames.iter().flat_map(|f| &f.widths).filter(|w| which(w.true_um));
    let errors: Vec<f64> = widths.map(|w| error(w.true_um, w.found_um)).collect();
    Some((mean(&errors)?, errors.len()))
}

fn middle(frames: &[&Frame], of: fn(&Frame) -> Option<f64>) -> Option<(f64, usize)> {
    let widths: Vec<f64> = frames.iter().filter_map(|f| of(f)).collect();
    Some((median(&widths)?, widths.len()))
}

fn share(frames: &[&Frame], whole: impl Fn(&Frame) -> bool, part: impl Fn(&Frame) -> bool) -> Option<(f64, usize)> {
    let whole: Vec<&&Frame> = frames.iter().filter(|f| whole(f)).collect();
    let part = whole.iter().filter(|f| part(f)).count();
    (!whole.is_empty()).then(|| (part as f64 / whole.len() as f64, whole.len()))
}

fn held(frames: &[&Frame], of: fn(&Frame) -> Option<bool>) -> Option<(f64, usize)> {
    share(frames, |f| of(f).is_some(), |f| of(f) == Some(true))
}

fn not_measured(frames: &[&Frame]) -> Option<(f64, usize)> {
    let read = |f: &Frame| matches!(f.outcome, Outcome::Measured | Outcome::NotMeasured(_));
    share(frames, read, |f| !f.is_measured())
}

fn outcome(frames: &[&Frame], is: fn(&Outcome) -> bool) -> Option<(f64, usize)> {
    share(frames, |_| true, |f| is(&f.outcome))
}

fn borderline(frames: &[&Frame]) -> Option<(f64, usize)> {
    share(frames, Frame::is_measured, |f| f.borderline)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measured::{NotMeasured, nothing};
    use crate::outcome::RejectReason;

    fn frame(matched: u32, extra: u32, missed: u32, line: Option<(f64, f64)>) -> Frame {
        let measured = crate::measured::Measured { not_measured: None, ..nothing(NotMeasured::NoRow) };
        Frame {
            tips: Some(Tips { matched, extra, missed, distances_um: vec![10.0; matched as usize] }),
            line: line.map(|(label, found)| Pair { label, found }),
            ..Frame::new("a", "s", Ok(&measured))
        }
    }

    fn value(group: &Group, key: &str) -> Option<(f64, usize)> {
        group.figure(key).map(|f| (f.value, f.n))
    }

    #[test]
    fn figures_pool_loops_and_average_frames() {
        let frames = [frame(8, 2, 0, Some((4.0, 6.0))), frame(2, 0, 8, Some((8.0, 7.0))), frame(0, 0, 0, None)];
        let group = Group::of("all", &frames.iter().collect::<Vec<_>>());
        assert_eq!(value(&group, "apex_precision"), Some((10.0 / 12.0, 18)));
        assert_eq!(value(&group, "apex_recall"), Some((10.0 / 18.0, 18)));
        assert_eq!(value(&group, "apex_f1"), Some((20.0 / 30.0, 18)));
        assert_eq!(value(&group, "line_mae"), Some((1.5, 2)));
        assert_eq!(value(&group, "line_constant"), Some((2.0, 2)));
        assert_eq!(
            (value(&group, "line_bias_few"), value(&group, "line_bias_many")),
            (Some((2.0, 1)), Some((-1.0, 1)))
        );
        assert_eq!((value(&group, "line_icc"), value(&group, "span_mae")), (None, None), "not determined, not nought");
        assert_eq!(value(&group, "not_measured"), Some((0.0, 3)));
    }

    #[test]
    fn refused_frames_are_no_unmeasured_ones() {
        let refused = Frame::new("r", "s", Err(Outcome::Refused(RejectReason::Defocus)));
        let none = nothing(NotMeasured::NoRow);
        let blank = Frame::new("n", "s", Ok(&none));
        let frames = [refused, blank, frame(1, 0, 0, None), frame(1, 0, 0, None)];
        let group = Group::of("all", &frames.iter().collect::<Vec<_>>());
        assert_eq!(value(&group, "refused"), Some((0.25, 4)));
        assert_eq!(value(&group, "not_measured"), Some((1.0 / 3.0, 3)));
    }

    #[test]
    fn intervals_hold_their_figure_and_are_the_same_each_time() {
        let frames: Vec<Frame> =
            (0..30).map(|i| frame(8 + i % 3, i % 4, i % 2, Some((f64::from(i), f64::from(i) + 1.0)))).collect();
        let all: Vec<&Frame> = frames.iter().collect();
        let group = Group::of("all", &all);
        assert_eq!(group, Group::of("all", &all));
        for figure in &group.figures {
            let Some([low, high]) = figure.interval else { panic!("{} has no interval", figure.key) };
            assert!(low <= figure.value && figure.value <= high, "{figure:?}");
        }
        let f1 = group.figure("apex_f1").unwrap().interval.unwrap();
        assert!(f1[1] - f1[0] > 0.01, "{f1:?} is too narrow for thirty frames that differ");
        let exact = group.figure("line_bias").unwrap().interval;
        assert_eq!(exact, Some([1.0, 1.0]), "every frame is off by the same");
        assert_eq!(Group::of("one", &all[..1]).figure("apex_f1").unwrap().interval, None);
    }
}
