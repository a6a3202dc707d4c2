//! Decides a finger from its fields: each field is one piece of evidence, however many frames it has.
//!
//! A finger is positive when the finding recurs: enough positive fields, whether of two places or of one place
//! acquired again. It is negative when enough *different* places were read as negative and no field speaks
//! otherwise. Everything else is an abstention, and the first reason in this order is given:
//!
//! 1. `NotConfirmed`: positive, but not often enough; it must not hide behind any other reason;
//! 2. `Contradiction`: the Fast Track rules say otherwise in some field;
//! 3. `BetweenThresholds`: some field was read well and points nowhere;
//! 4. `OutOfCohort`, 5. `Unstable`: some field of that kind does not lean to the negative side;
//! 6. too few negative places: because of `OutOfCohort` or `Unstable` fields, if there are any, else
//!    `NothingReadable` if no field has a readable frame, else `TooFewFields`.
//!
//! Fields that were too short, too poor in frames or unreadable say nothing and stand in nobody's way.

use std::collections::{BTreeMap, BTreeSet};

use super::{LONGEST_ODDS, Reader, Rules, loops, sigmoid};
use crate::finger::Finger;
use crate::outcome::Tally;
use crate::report::{Abstain, Confidence, Decision, FieldDoubt, FieldResult, FieldVerdict, FingerResult};

/// Decides `finger` from its fields, in whatever order they come; fields of other fingers are left aside. A finger
/// of which no field began has no result: it counts as not examined.
pub fn decide(finger: Finger, fields: &[FieldResult], rules: &Rules, reader: &Reader) -> FingerResult {
    let mut fields: Vec<&FieldResult> = fields.iter().filter(|f| f.finger == finger).collect();
    fields.sort_by_key(|f| f.number);
    let count = |is: fn(FieldVerdict) -> bool| fields.iter().filter(|f| is(f.verdict)).count() as u32;
    let decision = match call(&fields, rules, reader) {
        Ok(called) => called,
        Err(why) => Decision::Abstained { why },
    };
    FingerResult {
        finger,
        decision,
        fields_positive: count(|v| v == FieldVerdict::Positive),
        fields_negative: count(|v| v == FieldVerdict::Negative),
        fields_not_classifiable: count(|v| matches!(v, FieldVerdict::NotClassifiable(_))),
        frames: fields.iter().fold(Tally::default(), |sum, field| add(sum, &field.frames)),
        measured: loops::of_finger(fields.iter().filter_map(|f| f.measured.as_ref())),
        second: Vec::new(),
        evidence: fields.iter().flat_map(|f| f.evidence.iter().cloned()).collect(),
    }
}

/// Whether `decision` is a call of the model's positive label.
pub fn is_positive(decision: &Decision, reader: &Reader) -> bool {
    matches!(decision, Decision::Called { label, .. } if label == reader.positive_label())
}

fn call(fields: &[&FieldResult], rules: &Rules, reader: &Reader) -> Result<Decision, Abstain> {
    let places = places(fields);
    let positive: Vec<&FieldResult> = places.iter().flat_map(Place::confirming).collect();
    if positive.len() >= rules.min_positive_fields as usize {
        let label = reader.positive_label().to_owned();
        return Ok(called(label, confidence(&positive, 1.0, reader), reader));
    }
    if fields.iter().any(|f| f.verdict == FieldVerdict::Positive) {
        return Err(Abstain::NotConfirmed);
    }
    if let Some(why) = objection(fields, reader) {
        return Err(why);
    }
    if places.iter().filter(|p| p.reads(FieldVerdict::Negative)).count() < rules.min_negative_fields as usize {
        return Err(shortage(fields));
    }
    let negative: Vec<&FieldResult> = places.iter().flat_map(|p| p.fields(FieldVerdict::Negative)).collect();
    Ok(called(reader.negative_label(), confidence(&negative, -1.0, reader), reader))
}

/// The fields of one place on the nailfold.
struct Place<'a>(Vec<&'a FieldResult>);

impl<'a> Place<'a> {
    fn fields(&self, verdict: FieldVerdict) -> Vec<&'a FieldResult> {
        self.0.iter().copied().filter(|f| f.verdict == verdict).collect()
    }

    fn reads(&self, verdict: FieldVerdict) -> bool {
        !self.fields(verdict).is_empty()
    }

    /// Its positive fields; none when the same place was read as negative another time.
    fn confirming(&self) -> Vec<&'a FieldResult> {
        if self.reads(FieldVerdict::Negative) { vec![] } else { self.fields(FieldVerdict::Positive) }
    }
}

/// Sorts the fields by place. A field that shares a kept frame with an earlier one shows the same pictures
/// again (a looped recording, a frozen camera): it is no second piece of evidence and is left out.
fn places<'a>(fields: &[&'a FieldResult]) -> Vec<Place<'a>> {
    let mut places: BTreeMap<u32, Place<'a>> = BTreeMap::new();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for &field in fields {
        let digests = || field.evidence.iter().map(|e| e.sha256.as_str());
        if !digests().any(|d| seen.contains(d)) {
            places.entry(field.place).or_insert_with(|| Place(vec![])).0.push(field);
        }
        seen.extend(digests());
    }
    places.into_values().collect()
}

/// What forbids a negative call whatever the other fields say.
fn objection(fields: &[&FieldResult], reader: &Reader) -> Option<Abstain> {
    let doubted = |doubt| fields.iter().filter(move |f| f.verdict == FieldVerdict::NotClassifiable(doubt));
    let leans_negative =
        |f: &&FieldResult| f.pooled.as_ref().is_some_and(|pooled| reader.below_lower(reader.margin(&pooled.logits)));
    if doubted(FieldDoubt::Contradiction).next().is_some() {
        Some(Abstain::Contradiction)
    } else if doubted(FieldDoubt::BetweenThresholds).next().is_some() {
        Some(Abstain::BetweenThresholds)
    } else if doubted(FieldDoubt::OutOfCohort).any(|f| !leans_negative(f)) {
        Some(Abstain::OutOfCohort)
    } else if doubted(FieldDoubt::Unstable).any(|f| !leans_negative(f)) {
        Some(Abstain::Unstable)
    } else {
        None
    }
}

/// Why there are too few negative places.
fn shortage(fields: &[&FieldResult]) -> Abstain {
    let any = |doubt| fields.iter().any(|f| f.verdict == FieldVerdict::NotClassifiable(doubt));
    if any(FieldDoubt::OutOfCohort) {
        Abstain::OutOfCohort
    } else if any(FieldDoubt::Unstable) {
        Abstain::Unstable
    } else if fields.iter().all(|f| f.pooled.is_none()) {
        Abstain::NothingReadable
    } else {
        Abstain::TooFewFields
    }
}

fn called(label: String, confidence: Confidence, reader: &Reader) -> Decision {
    Decision::Called { label, scheme: reader.scheme().to_owned(), confidence }
}

/// The probability of the called side (`sign` is +1 for the positive, -1 for the negative one) at the mean margin of
/// the agreeing fields, each of which has one vote.
///
/// A mean and not a product: fields of one finger share skin, light and model errors, so two fields at 0.9 are 0.9
/// and not 0.99. Nothing beyond the longest odds is told. Fields that disagree are counted beside the call.
fn confidence(agreeing: &[&FieldResult], sign: f64, reader: &Reader) -> Confidence {
    let margins: Vec<f64> = agreeing.iter().filter_map(|f| margin(f, reader)).collect();
    let mean = margins.iter().sum::<f64>() / margins.len().max(1) as f64;
    let told = sigmoid(sign * mean.clamp(-LONGEST_ODDS, LONGEST_ODDS)) as f32;
    if reader.calibrated() { Confidence::Probability(told) } else { Confidence::Score(told) }
}

/// `None` for a field without a pool, or one out of a record of a model with other labels.
fn margin(field: &FieldResult, reader: &Reader) -> Option<f64> {
    let logits = field.pooled.as_ref().map(|pooled| pooled.logits.as_slice());
    logits.filter(|logits| logits.len() == reader.labels().len()).map(|logits| reader.margin(logits))
}

/// The tally of two stretches together.
pub fn add(mut sum: Tally, more: &Tally) -> Tally {
    sum.produced += more.produced;
    sum.scored += more.scored;
    for (why, count) in &more.rejected {
        *sum.rejected.entry(*why).or_default() += count;
    }
    for (why, count) in &more.undecodable {
        *sum.undecodable.entry(*why).or_default() += count;
    }
    sum.dropped += more.dropped;
    sum.failed += more.failed;
    sum.lost_before_capture += more.lost_before_capture;
    sum.tolerated += more.tolerated;
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::FAST_TRACK;
    use crate::report::{Evidence, Pooled};

    fn reader(temperature: Option<f32>) -> Reader {
        let labels = vec!["cat1".to_owned(), "cat2".to_owned()];
        Reader::new(labels, 1, FAST_TRACK.to_owned(), temperature, 0.2, 0.8).unwrap()
    }

    const FINGER: Finger = Finger::PROTOCOL[2];

    fn field(number: u32, place: u32, verdict: FieldVerdict, margin: f32) -> FieldResult {
        let logits = vec![-margin / 2.0, margin / 2.0];
        FieldResult {
            finger: FINGER,
            number,
            place,
            reacquired: place != number,
            from_ms: 0,
            to_ms: 2000,
            frames: Tally { produced: 12, scored: 12, ..Tally::default() },
            distinct: 12,
            pooled: Some(Pooled { logits, probs: vec![], spread: Some(0.1) }),
            verdict,
            rule: None,
            measured: None,
            second: Vec::new(),
            evidence: vec![],
        }
    }

    /// `P` positive, `N` negative, `B` between, `C` contradiction, `O`/`o` out of cohort leaning positive/negative,
    /// `U`/`u` unstable likewise, `F` too few frames, `S` too short, `0` nothing readable; after `r` the place of the field before, after `1` that of the first.
    fn fields(plan: &str) -> Vec<FieldResult> {
        let mut again = None;
        let mut fields: Vec<FieldResult> = vec![];
        for letter in plan.chars() {
            let doubt = |why| FieldVerdict::NotClassifiable(why);
            let (verdict, margin) = match letter {
                'r' | '1' => {
                    again = if letter == 'r' { fields.last() } else { fields.first() }.map(|f| f.place);
                    continue;
                }
                'P' => (FieldVerdict::Positive, 3.0),
                'N' => (FieldVerdict::Negative, -3.0),
                'B' => (doubt(FieldDoubt::BetweenThresholds), 0.0),
                'C' => (doubt(FieldDoubt::Contradiction), -3.0),
                'O' => (doubt(FieldDoubt::OutOfCohort), 3.0),
                'o' => (doubt(FieldDoubt::OutOfCohort), -3.0),
                'U' => (doubt(FieldDoubt::Unstable), 0.0),
                'u' => (doubt(FieldDoubt::Unstable), -3.0),
                'F' => (doubt(FieldDoubt::TooFewFrames), 3.0),
                'S' => (doubt(FieldDoubt::TooShort), 3.0),
                _ => (doubt(FieldDoubt::NothingReadable), 0.0),
            };
            let number = fields.len() as u32 + 1;
            let mut new = field(number, again.take().unwrap_or(number), verdict, margin);
            if letter == '0' {
                new.pooled = None;
            }
            fields.push(new);
        }
        fields
    }

    fn decision(fields: &[FieldResult]) -> String {
        match decide(FINGER, fields, &Rules::default(), &reader(Some(1.0))).decision {
            Decision::Called { label, .. } => label,
            Decision::Abstained { why } => format!("{why:?}"),
        }
    }

    #[test]
    fn calls_and_abstentions_in_their_order() {
        for (plan, expected) in [
            ("", "NothingReadable"),
            ("0", "NothingReadable"),
            ("000", "NothingReadable"),
            ("F", "TooFewFields"),
            ("S0", "TooFewFields"),
            ("N", "TooFewFields"),
            ("NF", "TooFewFields"),
            ("NN", "cat1"),
            ("NNNN", "cat1"),
            ("NNF0S", "cat1"),
            ("NrN", "TooFewFields"),
            ("NrNrN", "TooFewFields"),
            ("NrNN", "cat1"),
            ("NFrN", "cat1"),
            ("NF1N", "TooFewFields"),
            ("NN1N", "cat1"),
            ("NNuo", "cat1"),
            ("NNU", "Unstable"),
            ("NNO", "OutOfCohort"),
            ("NNUO", "OutOfCohort"),
            ("Nu", "Unstable"),
            ("No", "OutOfCohort"),
            ("NNB", "BetweenThresholds"),
            ("BB", "BetweenThresholds"),
            ("NNBO", "BetweenThresholds"),
            ("NNC", "Contradiction"),
            ("NNBC", "Contradiction"),
            ("P", "NotConfirmed"),
            ("PN", "NotConfirmed"),
            ("PNNN", "NotConfirmed"),
            ("PCBOU", "NotConfirmed"),
            ("PU", "NotConfirmed"),
            ("PP", "cat2"),
            ("PrP", "cat2"),
            ("PNP", "cat2"),
            ("PPCBOUN", "cat2"),
            ("PrN", "NotConfirmed"),
            ("PrNrP", "NotConfirmed"),
            ("PrNP", "NotConfirmed"),
            ("PrNPP", "cat2"),
            ("FrP", "NotConfirmed"),
            ("PN1P", "cat2"),
            ("PF1N", "NotConfirmed"),
        ] {
            assert_eq!(decision(&fields(plan)), expected, "fields {plan:?}");
        }
    }

    #[test]
    fn the_order_of_the_fields_and_fields_of_other_fingers_do_not_matter() {
        let mut mixed = fields("NrNP");
        mixed.reverse();
        let stray = FieldResult { finger: Finger::PROTOCOL[3], ..field(9, 9, FieldVerdict::Positive, 3.0) };
        mixed.push(stray);
        let result = decide(FINGER, &mixed, &Rules::default(), &reader(Some(1.0)));
        assert_eq!(result, decide(FINGER, &fields("NrNP"), &Rules::default(), &reader(Some(1.0))));
        assert_eq!((result.fields_positive, result.fields_negative, result.fields_not_classifiable), (1, 2, 0));
        assert_eq!(result.frames.produced, 36);
    }

    #[test]
    fn the_same_pictures_in_two_fields_are_one_piece_of_evidence() {
        let kept = |seq: u64, digest: &str| Evidence {
            frame: crate::frame::FrameId { run: 0, seq },
            file: None,
            sha256: digest.to_owned(),
        };
        for (plan, alone) in [("PP", "NotConfirmed"), ("NN", "TooFewFields")] {
            let mut looped = fields(plan);
            looped[0].evidence = vec![kept(3, "aa"), kept(9, "bb")];
            looped[1].evidence = vec![kept(70, "cc"), kept(99, "aa")];
            assert_eq!(decision(&looped), alone);
            looped[1].evidence.pop();
            assert_ne!(decision(&looped), alone);
        }
    }

    fn confidence_of(margins: &[f32], temperature: Option<f32>) -> Confidence {
        let verdict = if margins[0] > 0.0 { FieldVerdict::Positive } else { FieldVerdict::Negative };
        let fields: Vec<FieldResult> =
            margins.iter().zip(1..).map(|(m, number)| field(number, number, verdict, *m)).collect();
        match decide(FINGER, &fields, &Rules::default(), &reader(temperature)).decision {
            Decision::Called { confidence, .. } => confidence,
            Decision::Abstained { why } => panic!("abstained: {why:?}"),
        }
    }

    #[test]
    fn agreeing_fields_have_one_vote_each_and_do_not_multiply() {
        let near = |is: Confidence, expected: f64| match is {
            Confidence::Probability(p) => assert!((f64::from(p) - expected).abs() < 1e-6, "{p} is not {expected}"),
            Confidence::Score(_) => panic!("a calibrated model gives a probability"),
        };
        near(confidence_of(&[2.2, 2.2], Some(1.0)), sigmoid(2.2));
        near(confidence_of(&[2.2, 2.2, 2.2, 2.2], Some(1.0)), sigmoid(2.2));
        near(confidence_of(&[2.0, 4.0], Some(1.0)), sigmoid(3.0));
        near(confidence_of(&[-2.0, -4.0], Some(1.0)), sigmoid(3.0));
        near(confidence_of(&[4.0, 8.0], Some(2.0)), sigmoid(3.0));
        near(confidence_of(&[50.0, 90.0], Some(1.0)), 1000.0 / 1001.0);
    }

    #[test]
    fn a_model_without_calibration_gives_a_score() {
        assert!(matches!(confidence_of(&[3.0, 3.0], None), Confidence::Score(_)));
    }
}
