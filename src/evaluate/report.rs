//! Everything an evaluation found, as it leaves: `hairpin eval --json`, and what the page is made of.

use std::collections::BTreeMap;

use serde::Serialize;

use super::figures::{Group, RESAMPLES, SEED};
use super::frame::{Frame, Outcome};
use super::{LINE_BAND_UM, MATCH_UM};
use crate::fast_track::{Category, Verdict};
use crate::measure;
use crate::report::{LocatorWords, NOTICE};

/// Of `--json`: counted up when a reader of it must change.
const SCHEMA: u32 = 1;
/// Frames shown as the worst ones.
const WORST: usize = 10;
/// A count up to which category 1 on a frame of a diseased subject is held against the rules.
const LOSS_PER_MM: f64 = crate::fast_track::DENSITY_LOSS;

/// What the labels are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Labels {
    Readers,
    Drawing,
}

/// Fast Track categories of the frames of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Categories {
    pub one: u32,
    pub two: u32,
    pub undetermined: u32,
    /// Of categories one and two.
    pub borderline: u32,
    pub not_read: u32,
}

#[derive(Debug, Serialize)]
pub struct Report {
    pub schema: u32,
    pub software: &'static str,
    pub notice: &'static str,
    pub labels: Labels,
    pub locator: LocatorWords,
    pub settings: measure::Settings,
    pub match_um: f64,
    pub line_band_um: f64,
    pub resamples: usize,
    pub seed: u64,
    /// All frames, or those in focus and all, then each subject.
    pub groups: Vec<Group>,
    pub subjects: Vec<Group>,
    /// Of the subject with the least F1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worst_subject: Option<String>,
    /// By what is said of the subjects, or by the drawing's own category.
    pub categories: BTreeMap<String, Categories>,
    /// Frames whose category stands against what is said of them, without a mark of doubt.
    pub against: Vec<String>,
    /// Why frames gave no measure.
    pub reasons: BTreeMap<String, u32>,
    /// From the worst on.
    pub worst: Vec<String>,
    pub frames: Vec<Frame>,
}

impl Report {
    pub fn of(frames: Vec<Frame>, labels: Labels, locator: LocatorWords, settings: measure::Settings) -> Self {
        let all: Vec<&Frame> = frames.iter().collect();
        let mut groups = vec![Group::of("all frames", &all)];
        let focused: Vec<&Frame> = all.iter().filter(|f| f.in_focus == Some(true)).copied().collect();
        if !focused.is_empty() {
            groups.insert(0, Group::of("frames in focus", &focused));
        }
        let subjects = subjects(&all);
        let f1 = |group: &&Group| group.figure("apex_f1").map(|f| f.value);
        let worst_subject = subjects
            .iter()
            .filter_map(|group| Some((f1(&group)?, group)))
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, group)| group.name.clone());
        Self {
            schema: SCHEMA,
            software: concat!("hairpin ", env!("CARGO_PKG_VERSION")),
            notice: NOTICE,
            labels,
            locator,
            settings,
            match_um: MATCH_UM,
            line_band_um: LINE_BAND_UM,
            resamples: RESAMPLES,
            seed: SEED,
            groups,
            subjects,
            worst_subject,
            categories: categories(&all),
            against: all.iter().filter(|f| stands_against(f)).map(|f| f.frame.clone()).collect(),
            reasons: reasons(&all),
            worst: worst(&all),
            frames,
        }
    }
}

fn subjects(frames: &[&Frame]) -> Vec<Group> {
    let mut by: BTreeMap<&str, Vec<&Frame>> = BTreeMap::new();
    for frame in frames.iter().filter(|f| !f.subject.is_empty()) {
        by.entry(&frame.subject).or_default().push(frame);
    }
    by.into_iter().map(|(subject, frames)| Group::of(subject, &frames)).collect()
}

fn categories(frames: &[&Frame]) -> BTreeMap<String, Categories> {
    let mut by: BTreeMap<String, Categories> = BTreeMap::new();
    for frame in frames {
        let kind = match (frame.in_focus, frame.true_category, frame.disease) {
            (Some(_), Some(Category::One), _) => "drawn category 1",
            (Some(_), Some(Category::Two), _) => "drawn category 2",
            (Some(_), None, _) => "no drawn category",
            (None, _, Some(true)) => "subject with disease",
            (None, _, Some(false)) => "subject without disease",
            (None, _, None) => "nothing said",
        };
        let counts = by.entry(kind.to_owned()).or_default();
        match frame.fast_track {
            Some(Verdict::Decided { category, .. }) => {
                *(if category == Category::One { &mut counts.one } else { &mut counts.two }) += 1;
                counts.borderline += u32::from(frame.borderline);
            }
            Some(Verdict::Undetermined) => counts.undetermined += 1,
            None => counts.not_read += 1,
        }
    }
    by
}

/// Category 2 on a frame of a subject without disease; category 1 where the subject has it and at most
/// [`LOSS_PER_MM`] loops were counted; another category than the drawing's.
fn stands_against(frame: &Frame) -> bool {
    let Some(Verdict::Decided { category, .. }) = frame.fast_track.filter(|_| !frame.borderline) else { return false };
    if let Some(truth) = frame.true_category {
        return truth != category;
    }
    match (frame.disease, category) {
        (Some(false), Category::Two) => true,
        (Some(true), Category::One) => frame.line.is_some_and(|pair| pair.label <= LOSS_PER_MM),
        _ => false,
    }
}

fn reasons(frames: &[&Frame]) -> BTreeMap<String, u32> {
    let mut by = BTreeMap::new();
    for frame in frames {
        let why = match frame.outcome {
            Outcome::Measured => continue,
            Outcome::NotMeasured(why) => why.words().to_owned(),
            Outcome::Refused(reason) => format!("refused by the gate: {}", word(&reason)),
            Outcome::Damaged(damage) => format!("damaged: {}", word(&damage)),
        };
        *by.entry(why).or_insert(0) += 1;
    }
    by
}

/// As it stands in JSON.
fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The frames furthest off in density, those without one first; where that is equal, those with the most wrong tips.
fn worst(frames: &[&Frame]) -> Vec<String> {
    let off = |frame: &Frame| {
        let densities = [frame.span, frame.line, frame.row];
        let furthest = densities.iter().flatten().map(|p| (p.found - p.label).abs()).reduce(f64::max);
        let tips = frame.tips.as_ref().map(|t| t.extra + t.missed);
        let labelled = tips.is_some() || furthest.is_some();
        match furthest {
            None if labelled && !frame.is_measured() => Some((f64::INFINITY, tips.unwrap_or(0))),
            None => tips.map(|tips| (0.0, tips)),
            Some(furthest) => Some((furthest, tips.unwrap_or(0))),
        }
    };
    let mut by: Vec<((f64, u32), &str)> =
        frames.iter().filter_map(|frame| Some((off(frame)?, frame.frame.as_str()))).collect();
    by.sort_by(|(a, _), (b, _)| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)));
    by.into_iter().take(WORST).map(|(_, frame)| frame.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::agreement::Pair;
    use crate::fast_track::Rule;
    use crate::measured::{Measured, NotMeasured, nothing};
    use crate::outcome::RejectReason;

    fn judged(category: Category, borderline: bool) -> Frame {
        let fast_track = Verdict::Decided { category, rule: Rule::Otherwise };
        let measured = Measured { fast_track, borderline, not_measured: None, ..nothing(NotMeasured::NoRow) };
        Frame::new("a", "s", Ok(&measured))
    }

    #[test]
    fn only_a_plain_category_can_stand_against_what_is_said() {
        let line = |label: f64| Some(Pair { label, found: label });
        for (category, borderline, disease, line, expected) in [
            (Category::Two, false, Some(false), None, true),
            (Category::Two, true, Some(false), None, false),
            (Category::Two, false, Some(true), line(2.0), false),
            (Category::One, false, Some(true), line(3.0), true),
            (Category::One, false, Some(true), line(3.5), false),
            (Category::One, false, Some(true), None, false),
            (Category::One, false, Some(false), line(3.0), false),
            (Category::Two, false, None, None, false),
        ] {
            let frame = Frame { disease, line, ..judged(category, borderline) };
            assert_eq!(stands_against(&frame), expected, "{category:?} {borderline} {disease:?} {line:?}");
        }
        let drawn = Frame { true_category: Some(Category::One), ..judged(Category::Two, false) };
        assert!(stands_against(&drawn));
    }

    #[test]
    fn the_worst_frames_are_those_without_a_density_then_those_furthest_off() {
        let named = |name: &str, found: f64| {
            let pair = Some(Pair { label: 5.0, found });
            Frame { frame: name.to_owned(), span: pair, ..judged(Category::One, false) }
        };
        let refused = Frame {
            tips: Some(Default::default()),
            ..Frame::new("refused", "s", Err(Outcome::Refused(RejectReason::Defocus)))
        };
        let unlabelled = Frame { frame: "unlabelled".to_owned(), ..judged(Category::One, false) };
        let frames = [named("near", 5.5), named("far", 1.0), refused, unlabelled];
        assert_eq!(worst(&frames.iter().collect::<Vec<_>>()), ["refused", "far", "near"]);
    }
}
