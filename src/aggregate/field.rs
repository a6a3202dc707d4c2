//! Pools the frames of one field, near copies of one view, into one piece of evidence, and gives the verdict
//! on it or the reason why there is none.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{LONGEST_ODDS, Reader, Rules};
use crate::fast_track::{Category, Verdict};
use crate::finger::Finger;
use crate::frame::FrameId;
use crate::measured::FieldMeasured;
use crate::outcome::Tally;
use crate::report::{Evidence, FieldDoubt, FieldResult, FieldVerdict, Pooled, SecondField};
use crate::time::Stamp;

/// Frames that a pool keeps: twenty seconds at 30 fps. A longer field is pooled from an even sample of it, so
/// that memory, and the price of asking for the pool after each frame, stay bounded.
pub const MOST_FRAMES: usize = 600;

/// Smallest weight of a frame that the gate let through. Without it one sharp frame among soft ones could carry
/// the whole field, and one frame is never a verdict.
const LEAST_WEIGHT: f64 = 0.1;

/// One scored frame. A frame that was rejected, damaged or lost has no sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub frame: FrameId,
    pub at: Stamp,
    /// Equal for frames whose pictures are equal: a picture sent twice is seen once.
    pub fingerprint: u64,
    /// One a label, before calibration.
    pub logits: Vec<f32>,
    /// The gate's weight, above 0 and at most 1.
    pub weight: f32,
    pub out_of_cohort: bool,
}

/// A sample that cannot be pooled: the model or the gate broke its word, and the frame counts as failed.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum BadSample {
    #[error("frame {frame} has {found} logits where the model has {expected} labels")]
    Labels { frame: FrameId, found: usize, expected: usize },
    #[error("frame {0} has a logit that is not a number")]
    NotANumber(FrameId),
    #[error("frame {frame} has the weight {weight}: it must be above 0 and at most 1")]
    Weight { frame: FrameId, weight: f32 },
}

/// The frames of one field so far. What it holds depends on which frames were added, never on their order.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    /// By scattered fingerprint. Of more than `MOST_FRAMES` those with the smallest keys stay: a sample that is
    /// even over time, and that copies and the order of arrival cannot shift.
    kept: BTreeMap<u64, Sample>,
}

impl Pool {
    /// Of frames with one fingerprint the earliest counts, so that later copies change nothing.
    pub fn add(&mut self, sample: Sample, reader: &Reader) -> Result<(), BadSample> {
        sound(&sample, reader)?;
        let key = scatter(sample.fingerprint);
        match self.kept.get_mut(&key) {
            Some(known) if sample.frame < known.frame => *known = sample,
            Some(_) => {}
            None => {
                self.kept.insert(key, sample);
                if self.kept.len() > MOST_FRAMES {
                    self.kept.pop_last();
                }
            }
        }
        Ok(())
    }

    /// Distinct frames in the pool, `MOST_FRAMES` at most.
    pub fn distinct(&self) -> u32 {
        self.kept.len() as u32
    }

    /// The pool as it stands; `None` before the first frame. Becomes a result only when the field ends.
    pub fn pooled(&self, rules: &Rules, reader: &Reader) -> Option<Pooled> {
        self.weigh(rules, reader).map(|w| w.pooled)
    }

    fn span(&self) -> Duration {
        let stamps = || self.kept.values().map(|s| s.at);
        match (stamps().min(), stamps().max()) {
            (Some(first), Some(last)) => last.since(first),
            _ => Duration::ZERO,
        }
    }

    fn out_of_cohort(&self) -> f64 {
        let outside = self.kept.values().filter(|s| s.out_of_cohort).count();
        outside as f64 / self.kept.len().max(1) as f64
    }

    fn weigh(&self, rules: &Rules, reader: &Reader) -> Option<Weighed> {
        let mut frames: Vec<Weighted<'_>> = self.kept.values().map(|s| Weighted::of(s, reader)).collect();
        if frames.is_empty() {
            return None;
        }
        frames.sort_unstable_by(|a, b| a.margin.total_cmp(&b.margin).then(a.sample.frame.cmp(&b.sample.frame)));
        let logits = trimmed_mean(&frames, rules.trim, reader.labels().len());
        let margin = reader.margin(&logits);
        let probs = reader.probs(&logits);
        Some(Weighed { pooled: Pooled { logits, probs, spread: spread(&frames) }, margin })
    }
}

struct Weighed {
    pooled: Pooled,
    margin: f64,
}

struct Weighted<'a> {
    sample: &'a Sample,
    margin: f64,
    weight: f64,
}

impl<'a> Weighted<'a> {
    fn of(sample: &'a Sample, reader: &Reader) -> Self {
        let weight = f64::from(sample.weight).max(LEAST_WEIGHT);
        Self { sample, margin: reader.margin(&sample.logits), weight }
    }
}

fn sound(sample: &Sample, reader: &Reader) -> Result<(), BadSample> {
    let (frame, found, expected) = (sample.frame, sample.logits.len(), reader.labels().len());
    if found != expected {
        return Err(BadSample::Labels { frame, found, expected });
    }
    if !sample.logits.iter().all(|z| z.is_finite()) {
        return Err(BadSample::NotANumber(frame));
    }
    if !(sample.weight > 0.0 && sample.weight <= 1.0) {
        return Err(BadSample::Weight { frame, weight: sample.weight });
    }
    Ok(())
}

/// The finaliser of splitmix64 (Steele, Lea, Flood, OOPSLA 2014): one to one, so that different fingerprints
/// stay different, and scattering, so that no kind of picture is kept rather than another.
fn scatter(fingerprint: u64) -> u64 {
    let x = fingerprint.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// Mean logits of the frames, in ascending order, that remain when `trim` of the weight is cut from each end;
/// a frame on the edge keeps the part of its weight that lies inside.
fn trimmed_mean(frames: &[Weighted<'_>], trim: f64, labels: usize) -> Vec<f32> {
    let total: f64 = frames.iter().map(|f| f.weight).sum();
    let (from, to) = (total * trim, total * (1.0 - trim));
    let mut sums = vec![0.0; labels];
    let (mut passed, mut kept) = (0.0, 0.0);
    for frame in frames {
        let inside = ((passed + frame.weight).min(to) - f64::max(passed, from)).max(0.0);
        passed += frame.weight;
        kept += inside;
        for (sum, logit) in sums.iter_mut().zip(&frame.sample.logits) {
            *sum += inside * f64::from(*logit);
        }
    }
    sums.iter().map(|sum| (sum / kept) as f32).collect()
}

/// Weighted standard deviation of the margins of all frames: trimming would hide the very flicker that this
/// is to show. Margins beyond the longest odds count as these: a model that is sure of all frames is stable, however
/// its logits differ. `None` for fewer than two frames.
fn spread(frames: &[Weighted<'_>]) -> Option<f32> {
    if frames.len() < 2 {
        return None;
    }
    let margin = |f: &Weighted<'_>| f.margin.clamp(-LONGEST_ODDS, LONGEST_ODDS);
    let total: f64 = frames.iter().map(|f| f.weight).sum();
    let mean = frames.iter().map(|f| f.weight * margin(f)).sum::<f64>() / total;
    let square = frames.iter().map(|f| f.weight * (margin(f) - mean).powi(2)).sum::<f64>() / total;
    Some(square.sqrt() as f32)
}

/// What is known of a field besides its pool, when it ends.
#[derive(Clone, Debug, PartialEq)]
pub struct About {
    pub finger: Finger,
    pub number: u32,
    /// The number of the first field that showed this place.
    pub place: u32,
    pub from: Stamp,
    pub to: Stamp,
    pub frames: Tally,
    /// The loops measured in this field; `None` where none were looked for.
    pub measured: Option<FieldMeasured>,
    /// As models that do not decide read it.
    pub second: Vec<SecondField>,
    pub evidence: Vec<Evidence>,
}

/// Ends a field. A field too short for a verdict is reported all the same.
pub fn close(pool: &Pool, about: About, rules: &Rules, reader: &Reader) -> FieldResult {
    let (pooled, verdict) = verdict(pool, about.measured.as_ref(), rules, reader);
    FieldResult {
        finger: about.finger,
        number: about.number,
        place: about.place,
        reacquired: about.place != about.number,
        from_ms: about.from.ms(),
        to_ms: about.to.ms(),
        frames: about.frames,
        distinct: pool.distinct(),
        pooled,
        verdict,
        rule: about.measured.as_ref().map(|m| m.fast_track),
        measured: about.measured,
        second: about.second,
        evidence: about.evidence,
    }
}

/// Ends a field for a model that does not decide.
pub fn close_second(
    pool: &Pool,
    model: String,
    measured: Option<&FieldMeasured>,
    rules: &Rules,
    reader: &Reader,
) -> SecondField {
    let (pooled, verdict) = verdict(pool, measured, rules, reader);
    SecondField { model, distinct: pool.distinct(), pooled, verdict }
}

fn verdict(
    pool: &Pool,
    measured: Option<&FieldMeasured>,
    rules: &Rules,
    reader: &Reader,
) -> (Option<Pooled>, FieldVerdict) {
    let weighed = pool.weigh(rules, reader);
    let verdict = match judge(pool, weighed.as_ref(), rule_of(measured), rules, reader) {
        Ok(verdict) => verdict,
        Err(doubt) => FieldVerdict::NotClassifiable(doubt),
    };
    (weighed.map(|w| w.pooled), verdict)
}

/// What the rules say, where they say it clearly: on the edge of a rule they contradict nobody.
fn rule_of(measured: Option<&FieldMeasured>) -> Option<Verdict> {
    measured.filter(|m| !m.borderline).map(|m| m.fast_track)
}

/// The doubts in their order: first too little evidence, then evidence that cannot be trusted (the cause, pictures
/// unlike the cohort, before its symptom, a wide spread), then a reading that points nowhere, then one that the
/// rules contradict. The first that holds is the reason.
fn judge(
    pool: &Pool,
    weighed: Option<&Weighed>,
    rule: Option<Verdict>,
    rules: &Rules,
    reader: &Reader,
) -> Result<FieldVerdict, FieldDoubt> {
    let Weighed { pooled, margin } = weighed.ok_or(FieldDoubt::NothingReadable)?;
    if pool.distinct() < rules.min_frames {
        return Err(FieldDoubt::TooFewFrames);
    }
    if pool.span() < Duration::from_millis(rules.min_span_ms) {
        return Err(FieldDoubt::TooShort);
    }
    if pool.out_of_cohort() > rules.max_out_of_cohort {
        return Err(FieldDoubt::OutOfCohort);
    }
    // What was not measured is no sign of a stable reading.
    if pooled.spread.is_none_or(|spread| f64::from(spread) > rules.max_spread) {
        return Err(FieldDoubt::Unstable);
    }
    let (verdict, against) = if reader.above_upper(*margin) {
        (FieldVerdict::Positive, Category::One)
    } else if reader.below_lower(*margin) {
        (FieldVerdict::Negative, Category::Two)
    } else {
        return Err(FieldDoubt::BetweenThresholds);
    };
    // Only in its own scheme does "positive" mean category 2; "abnormal" or "active" may well be category 1.
    let comparable = reader.scheme() == super::FAST_TRACK;
    match rule {
        Some(Verdict::Decided { category, .. }) if comparable && category == against => Err(FieldDoubt::Contradiction),
        _ => Ok(verdict),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::FAST_TRACK;
    use crate::fast_track::Rule;
    use crate::finger::Finger;

    fn reader(scheme: &str) -> Reader {
        let labels = vec!["category 1".to_owned(), "category 2".to_owned()];
        Reader::new(labels, 1, scheme.to_owned(), Some(1.0), 0.2, 0.8).unwrap()
    }

    fn sample(n: u64, margin: f32) -> Sample {
        Sample {
            frame: FrameId { run: 0, seq: n },
            at: Stamp::from_ms(n * 120),
            fingerprint: n,
            logits: vec![-margin / 2.0, margin / 2.0],
            weight: 0.8,
            out_of_cohort: false,
        }
    }

    fn pool(samples: impl IntoIterator<Item = Sample>) -> Pool {
        let mut pool = Pool::default();
        for sample in samples {
            pool.add(sample, &reader(FAST_TRACK)).unwrap();
        }
        pool
    }

    fn verdict(pool: &Pool, rule: Option<Verdict>, scheme: &str) -> FieldVerdict {
        let about = About {
            finger: Finger::PROTOCOL[0],
            number: 1,
            place: 1,
            from: Stamp::from_ms(0),
            to: Stamp::from_ms(2000),
            frames: Tally::default(),
            measured: rule.map(|fast_track| FieldMeasured {
                frames: 1,
                agreeing: 1,
                counted: None,
                density_per_mm: None,
                giants: None,
                abnormal: None,
                haemorrhages: None,
                median_apical_um: None,
                widest_apical_um: None,
                fast_track,
                borderline: false,
                not_measured: None,
            }),
            second: vec![],
            evidence: vec![],
        };
        close(pool, about, &Rules::default(), &reader(scheme)).verdict
    }

    fn decided(category: Category) -> Option<Verdict> {
        Some(Verdict::Decided { category, rule: Rule::Otherwise })
    }

    #[test]
    fn each_doubt_has_its_field_and_the_first_one_is_named() {
        use FieldDoubt as Doubt;
        use FieldVerdict::{Negative, NotClassifiable, Positive};
        let even = |count: u64, margin: f32| (0..count).map(move |n| sample(n, margin));
        let flicker = (0..20).map(|n| sample(n, if n % 2 == 0 { 3.0 } else { -3.0 }));
        let outside = |some: u64| (0..10).map(move |n| Sample { out_of_cohort: n < some, ..sample(n, 3.0) });
        let short = (0..10).map(|n| Sample { at: Stamp::from_ms(n * 111), ..sample(n, 3.0) });
        for (frames, rule, expected) in [
            (pool([]), None, NotClassifiable(Doubt::NothingReadable)),
            (pool(even(9, 3.0)), None, NotClassifiable(Doubt::TooFewFrames)),
            (pool(short), None, NotClassifiable(Doubt::TooShort)),
            (pool(outside(3)), None, NotClassifiable(Doubt::OutOfCohort)),
            (pool(outside(2)), None, Positive),
            (pool(flicker), None, NotClassifiable(Doubt::Unstable)),
            (pool(even(10, 0.0)), None, NotClassifiable(Doubt::BetweenThresholds)),
            (pool(even(10, 1.3)), None, NotClassifiable(Doubt::BetweenThresholds)),
            (pool(even(10, 1.4)), None, Positive),
            (pool(even(10, -1.3)), None, NotClassifiable(Doubt::BetweenThresholds)),
            (pool(even(10, -1.4)), None, Negative),
            (pool(even(10, 3.0)), decided(Category::Two), Positive),
            (pool(even(10, 3.0)), decided(Category::One), NotClassifiable(Doubt::Contradiction)),
            (pool(even(10, -3.0)), decided(Category::Two), NotClassifiable(Doubt::Contradiction)),
            (pool(even(10, -3.0)), Some(Verdict::Undetermined), Negative),
            (pool(even(10, 0.0)), decided(Category::Two), NotClassifiable(Doubt::BetweenThresholds)),
        ] {
            assert_eq!(verdict(&frames, rule, FAST_TRACK), expected, "{} frames, rule {rule:?}", frames.distinct());
        }
    }

    #[test]
    fn the_rules_are_compared_only_with_a_model_of_their_own_scheme() {
        let frames = pool((0..10).map(|n| sample(n, 3.0)));
        assert_eq!(verdict(&frames, decided(Category::One), "normal-abnormal"), FieldVerdict::Positive);
    }

    #[test]
    fn a_flicker_within_the_trim_does_not_move_the_mean_but_shows_in_the_spread() {
        let frames = pool((0..40).map(|n| sample(n, if n % 20 == 7 { 6.0 } else { -3.0 })));
        let pooled = frames.pooled(&Rules::default(), &reader(FAST_TRACK)).unwrap();
        assert!((pooled.logits[1] + 1.5).abs() < 1e-5, "{pooled:?}");
        assert!(pooled.spread.unwrap() > 1.5, "{pooled:?}");
        assert_eq!(verdict(&frames, None, FAST_TRACK), FieldVerdict::NotClassifiable(FieldDoubt::Unstable));
    }

    #[test]
    fn a_single_frame_has_no_spread_and_does_not_say_that_it_is_none() {
        let pooled = pool([sample(0, 3.0)]).pooled(&Rules::default(), &reader(FAST_TRACK)).unwrap();
        assert_eq!(pooled.spread, None);
        assert!(!serde_json::to_string(&pooled).unwrap().contains("spread"), "{pooled:?}");
    }

    #[test]
    fn the_mean_is_weighted_by_quality_and_cuts_a_tenth_from_each_end() {
        // Ascending margins 0 to 9 of equal weight: a tenth each end takes the first and the last away.
        let pooled = pool((0..10).map(|n| sample(n, n as f32))).pooled(&Rules::default(), &reader(FAST_TRACK)).unwrap();
        assert!((pooled.logits[1] - 4.5 / 2.0).abs() < 1e-6, "{pooled:?}");

        let weighted = pool([Sample { weight: 1.0, ..sample(0, 4.0) }, Sample { weight: 0.25, ..sample(1, -1.0) }]);
        let rules = Rules { trim: 0.0, ..Rules::default() };
        let pooled = weighted.pooled(&rules, &reader(FAST_TRACK)).unwrap();
        assert!((pooled.logits[1] - (4.0 - 0.25) / 1.25 / 2.0).abs() < 1e-6, "{pooled:?}");
    }

    #[test]
    fn one_sharp_frame_does_not_carry_a_field_of_soft_ones() {
        let frames = pool((0..10).map(|n| match n {
            0 => Sample { weight: 1.0, ..sample(n, 2.0) },
            _ => Sample { weight: 0.001, ..sample(n, 0.0) },
        }));
        assert_eq!(verdict(&frames, None, FAST_TRACK), FieldVerdict::NotClassifiable(FieldDoubt::BetweenThresholds));
    }

    #[test]
    fn certain_frames_are_stable_however_far_beyond_certainty_they_lie() {
        let frames = pool((0..10).map(|n| sample(n, 8.0 + 4.0 * (n % 3) as f32)));
        assert!(frames.pooled(&Rules::default(), &reader(FAST_TRACK)).unwrap().spread.unwrap() < 1e-6);
        assert_eq!(verdict(&frames, None, FAST_TRACK), FieldVerdict::Positive);
    }

    #[test]
    fn a_long_field_is_kept_to_an_even_sample() {
        let frames = pool((0..6000).map(|n| sample(n, 3.0)));
        assert_eq!(frames.distinct() as usize, MOST_FRAMES);
        let early = frames.kept.values().filter(|s| s.frame.seq < 3000).count();
        assert!((200..400).contains(&early), "{early} of {MOST_FRAMES} from the first half");
        assert!(frames.span() > Duration::from_secs(700));
    }

    #[test]
    fn samples_that_break_their_word_are_refused() {
        let mut pool = Pool::default();
        let reader = reader(FAST_TRACK);
        for bad in [
            Sample { logits: vec![1.0], ..sample(0, 0.0) },
            Sample { logits: vec![f32::NAN, 1.0], ..sample(0, 0.0) },
            Sample { logits: vec![f32::INFINITY, 1.0], ..sample(0, 0.0) },
            Sample { weight: 0.0, ..sample(0, 0.0) },
            Sample { weight: f32::NAN, ..sample(0, 0.0) },
            Sample { weight: 1.5, ..sample(0, 0.0) },
        ] {
            assert!(pool.add(bad.clone(), &reader).is_err(), "{bad:?} was pooled");
        }
        assert_eq!(pool.distinct(), 0);
    }
}
