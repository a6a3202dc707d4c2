//! What pooling, fingers and exams must keep to whatever the frames: properties over random fields, and one test
//! for each rule of the way from frames to an exam.

use std::collections::{BTreeMap, BTreeSet};

use hairpin::aggregate::exam::summarise;
use hairpin::aggregate::field::{self, About, MOST_FRAMES, Pool, Sample};
use hairpin::aggregate::finger::decide;
use hairpin::aggregate::{FAST_TRACK, Reader, Rules};
use hairpin::fast_track::{Category, Rule, Verdict};
use hairpin::finger::Finger;
use hairpin::frame::FrameId;
use hairpin::measured::FieldMeasured;
use hairpin::outcome::{RejectReason, Tally};
use hairpin::report::{
    Abstain, Confidence, Decision, FieldDoubt, FieldResult, FieldVerdict, FingerResult, Pooled, Summary,
};
use hairpin::time::Stamp;
use proptest::prelude::*;

const R4: Finger = Finger::PROTOCOL[2];

fn reader_with(temperature: Option<f32>, lower: f32, upper: f32) -> Reader {
    let labels = vec!["category 1".to_owned(), "category 2".to_owned()];
    Reader::new(labels, 1, FAST_TRACK.to_owned(), temperature, lower, upper).expect("these terms are in range")
}

fn reader() -> Reader {
    reader_with(Some(1.3), 0.2, 0.8)
}

/// A frame of number `seq` at 30 fps whose positive label leads by `margin`.
fn sample(seq: u64, margin: f32) -> Sample {
    Sample {
        frame: FrameId { run: 0, seq },
        at: Stamp::from_ns(seq * 33_333_333),
        fingerprint: seq.wrapping_mul(0x0100_0000_01b3),
        logits: vec![-margin / 2.0, margin / 2.0],
        weight: 0.7,
        out_of_cohort: false,
    }
}

fn pool(samples: &[Sample]) -> Pool {
    let mut pool = Pool::default();
    for sample in samples {
        pool.add(sample.clone(), &reader()).expect("these samples are sound");
    }
    pool
}

fn about(number: u32, frames: Tally, rule: Option<Verdict>) -> About {
    let (from, to) = (Stamp::from_ms(0), Stamp::from_ms(4000));
    let measured = rule.map(|rule| measured(rule, false));
    About { finger: R4, number, place: number, from, to, frames, measured, second: vec![], evidence: vec![] }
}

fn measured(fast_track: Verdict, borderline: bool) -> FieldMeasured {
    FieldMeasured {
        frames: 3,
        agreeing: 3,
        counted: None,
        density_per_mm: None,
        giants: None,
        abnormal: None,
        haemorrhages: None,
        median_apical_um: None,
        widest_apical_um: None,
        fast_track,
        borderline,
        not_measured: None,
    }
}

fn close(samples: &[Sample], number: u32) -> FieldResult {
    field::close(&pool(samples), about(number, Tally::default(), None), &Rules::default(), &reader())
}

/// Forty frames that all read alike: a field without doubt.
fn steady(number: u32, margin: f32) -> FieldResult {
    let samples: Vec<Sample> = (0..40).map(|n| sample(u64::from(number) * 1000 + n, margin)).collect();
    close(&samples, number)
}

fn finger(fields: &[FieldResult]) -> FingerResult {
    decide(R4, fields, &Rules::default(), &reader())
}

fn abstained(why: Abstain) -> Decision {
    Decision::Abstained { why }
}

fn is_call(result: &FingerResult) -> bool {
    matches!(result.decision, Decision::Called { .. })
}

fn told(result: &FingerResult) -> Option<(String, f32)> {
    match &result.decision {
        Decision::Called { label, confidence: Confidence::Probability(p) | Confidence::Score(p), .. } => {
            Some((label.clone(), *p))
        }
        Decision::Abstained { .. } => None,
    }
}

prop_compose! {
    fn frames(most: usize)(
        frames in prop::collection::vec((-6.0f32..6.0, 0.01f32..=1.0, prop::bool::weighted(0.1)), 0..most)
    ) -> Vec<Sample> {
        let number = |n: usize, (margin, weight, out_of_cohort)| Sample {
            weight,
            out_of_cohort,
            ..sample(n as u64, margin)
        };
        frames.into_iter().enumerate().map(|(n, frame)| number(n, frame)).collect()
    }
}

prop_compose! {
    /// Fields around one side or the other, so that calls happen and not only doubts.
    fn field_of(number: u32)(
        centre in prop_oneof![Just(-4.0f32), Just(4.0), -4.0f32..4.0],
        wobble in 0.0f32..2.0,
        count in 0u64..60,
        place in 1..=number,
    ) -> FieldResult {
        let margin = |n: u64| centre + if n.is_multiple_of(2) { wobble } else { -wobble };
        let samples: Vec<Sample> = (0..count).map(|n| sample(u64::from(number) * 1000 + n, margin(n))).collect();
        let mut field = close(&samples, number);
        field.place = place;
        field.reacquired = place != number;
        field
    }
}

fn some_fields() -> impl Strategy<Value = Vec<FieldResult>> {
    (0usize..5).prop_flat_map(|count| (1..=count as u32).map(field_of).collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn the_order_of_the_frames_does_not_matter(
        (ordered, shuffled) in frames(80).prop_flat_map(|f| (Just(f.clone()), Just(f).prop_shuffle()))
    ) {
        prop_assert_eq!(close(&ordered, 1), close(&shuffled, 1));
    }

    #[test]
    fn nor_does_it_in_a_field_too_long_to_keep(seed in any::<u64>()) {
        let ordered: Vec<Sample> = (0..MOST_FRAMES as u64 + 200)
            .map(|n| sample(n, ((n.wrapping_mul(seed | 1) >> 7) % 100) as f32 / 20.0))
            .collect();
        let mut shuffled = ordered.clone();
        shuffled.sort_by_key(|s| s.frame.seq.wrapping_mul(seed | 1).rotate_left(17));
        let (a, b) = (close(&ordered, 1), close(&shuffled, 1));
        prop_assert_eq!(a.distinct as usize, MOST_FRAMES);
        prop_assert_eq!(a, b);
    }

    #[test]
    fn frames_sent_twice_change_nothing(
        original in frames(80),
        copies in prop::collection::vec((any::<prop::sample::Index>(), 0.01f32..=1.0), 0..200),
    ) {
        let mut repeated = original.clone();
        for (n, (of, weight)) in copies.into_iter().enumerate() {
            if let Some(frame) = (!original.is_empty()).then(|| of.get(&original)) {
                // A copy comes later, and standing still may have been given another weight.
                let later = sample(10_000 + n as u64, 0.0);
                repeated.push(Sample { frame: later.frame, at: later.at, weight, ..frame.clone() });
            }
        }
        prop_assert_eq!(close(&original, 1), close(&repeated, 1));
    }

    #[test]
    fn a_pool_of_copies_is_one_frame_and_no_verdict(margin in -9.0f32..9.0, copies in 1u64..500) {
        let one = sample(0, margin);
        let copies: Vec<Sample> =
            (0..copies).map(|n| Sample { fingerprint: one.fingerprint, ..sample(n, margin) }).collect();
        let result = close(&copies, 1);
        prop_assert_eq!(result.distinct, 1);
        prop_assert_eq!(result.verdict, FieldVerdict::NotClassifiable(FieldDoubt::TooFewFrames));
    }

    #[test]
    fn more_rejected_frames_never_change_a_verdict(samples in frames(80), rejected in 0u64..10_000) {
        let tally = |rejected: u64| Tally {
            produced: samples.len() as u64 + rejected,
            scored: samples.len() as u64,
            rejected: BTreeMap::from([(RejectReason::Defocus, rejected)]),
            ..Tally::default()
        };
        let closed = |r| field::close(&pool(&samples), about(1, tally(r), None), &Rules::default(), &reader());
        let (few, many) = (closed(0), closed(rejected));
        prop_assert_eq!(few.verdict, many.verdict);
        prop_assert_eq!(few.pooled, many.pooled);
    }

    #[test]
    fn fields_of_rejected_frames_only_never_turn_into_a_call(fields in some_fields(), empty in 1u32..5) {
        let before = finger(&fields);
        let mut more = fields.clone();
        for number in (fields.len() as u32 + 1..).take(empty as usize) {
            more.push(close(&[], number));
        }
        let after = finger(&more);
        prop_assert_eq!(told(&before), told(&after));
    }

    #[test]
    fn the_order_of_the_fields_does_not_matter(
        (ordered, shuffled) in some_fields().prop_flat_map(|f| (Just(f.clone()), Just(f).prop_shuffle()))
    ) {
        prop_assert_eq!(finger(&ordered), finger(&shuffled));
    }

    #[test]
    fn one_place_is_never_enough_for_a_negative_nor_one_field_for_a_call(fields in some_fields()) {
        for one in &fields {
            prop_assert!(!is_call(&finger(std::slice::from_ref(one))));
        }
        let same: Vec<FieldResult> = fields.iter().map(|f| FieldResult { place: 1, ..f.clone() }).collect();
        prop_assert!(told(&finger(&same)).is_none_or(|(label, _)| label == "category 2"));
    }

    #[test]
    fn a_call_is_never_surer_than_its_surest_field(fields in some_fields()) {
        if let Some((label, told)) = told(&finger(&fields)) {
            let column = usize::from(label == "category 2");
            let most = fields.iter().filter_map(|f| f.pooled.as_ref()).map(|p| p.probs[column]).fold(0.0, f32::max);
            prop_assert!(told <= most + 1e-6, "{} is told, {} is the most of a field", told, most);
        }
    }

    #[test]
    fn a_call_is_backed_by_as_many_fields_as_the_rules_ask(fields in some_fields()) {
        let result = finger(&fields);
        match told(&result) {
            Some((label, p)) if label == "category 2" => prop_assert!(result.fields_positive >= 2 && p > 0.8),
            Some((_, p)) => prop_assert!(result.fields_negative >= 2 && result.fields_positive == 0 && p > 0.8),
            None => {}
        }
    }

    #[test]
    fn logits_of_any_size_give_probabilities(margin in -1e30f32..1e30, other in -1e30f32..1e30) {
        let samples: Vec<Sample> = (0..40).map(|n| sample(n, if n % 2 == 0 { margin } else { other })).collect();
        let pooled = close(&samples, 1).pooled.unwrap();
        prop_assert!(pooled.probs.iter().all(|p| (0.0..=1.0).contains(p)), "{:?}", pooled);
        prop_assert!(pooled.spread.is_none_or(f32::is_finite) && pooled.logits.iter().all(|z| z.is_finite()));
    }
}

#[test]
fn rule_1_six_hundred_frames_of_one_view_are_one_field_of_evidence() {
    let samples: Vec<Sample> = (0..600).map(|n| sample(n, 4.0)).collect();
    let one = close(&samples, 1);
    assert_eq!(one.verdict, FieldVerdict::Positive);
    assert_eq!(finger(&[one]).decision, abstained(Abstain::NotConfirmed));
}

#[test]
fn rule_2_a_rejected_frame_is_counted_and_never_pooled() {
    let rejected = BTreeMap::from([(RejectReason::Glare, 500), (RejectReason::Motion, 7)]);
    let frames = Tally { produced: 507, rejected, ..Tally::default() };
    let field = field::close(&pool(&[]), about(1, frames.clone(), None), &Rules::default(), &reader());
    assert_eq!((field.distinct, field.pooled.as_ref()), (0, None));
    assert_eq!(field.verdict, FieldVerdict::NotClassifiable(FieldDoubt::NothingReadable));
    let result = finger(&[field]);
    assert_eq!(result.frames, frames);
    assert_eq!(result.decision, abstained(Abstain::NothingReadable));
}

#[test]
fn rule_3_only_a_calibrated_model_speaks_of_probability() {
    let fields = [steady(1, 4.0), steady(2, 4.0)];
    for (temperature, calibrated) in [(Some(1.3), true), (None, false)] {
        let decision = decide(R4, &fields, &Rules::default(), &reader_with(temperature, 0.2, 0.8)).decision;
        let Decision::Called { confidence, .. } = decision else { panic!("{decision:?}") };
        assert_eq!(matches!(confidence, Confidence::Probability(_)), calibrated);
    }
}

#[test]
fn rule_3_the_temperature_softens_the_probability() {
    let samples: Vec<Sample> = (0..40).map(|n| sample(n, 2.0)).collect();
    let at = |temperature| {
        let reader = reader_with(Some(temperature), 0.2, 0.8);
        field::close(&pool(&samples), about(1, Tally::default(), None), &Rules::default(), &reader)
    };
    assert_eq!(at(1.0).verdict, FieldVerdict::Positive);
    assert_eq!(at(2.0).verdict, FieldVerdict::NotClassifiable(FieldDoubt::BetweenThresholds));
    let Some(Pooled { logits, probs, .. }) = at(2.0).pooled else { panic!("nothing was pooled") };
    assert_eq!(logits, [-1.0, 1.0], "logits are told as the model gave them");
    assert!((probs[1] - 0.731_058_6).abs() < 1e-6, "{probs:?}");
}

#[test]
fn rule_4_a_field_needs_ten_frames_over_a_second_that_hold_together() {
    let doubt = FieldVerdict::NotClassifiable;
    let every = |step: u64, count: u64| -> Vec<Sample> { (0..count).map(|n| sample(n * step, 4.0)).collect() };
    let flicker: Vec<Sample> = (0..60).map(|n| sample(n, if n % 3 == 0 { 4.0 } else { -4.0 })).collect();
    for (samples, expected) in [
        (every(30, 9), doubt(FieldDoubt::TooFewFrames)),
        (every(1, 30), doubt(FieldDoubt::TooShort)),
        (every(4, 10), FieldVerdict::Positive),
        (every(1, 40), FieldVerdict::Positive),
        (flicker, doubt(FieldDoubt::Unstable)),
    ] {
        let result = close(&samples, 1);
        assert_eq!(result.verdict, expected, "{} frames", samples.len());
        assert_eq!(result.distinct as usize, samples.len());
    }
}

#[test]
fn rule_5_classifier_and_fast_track_rules_that_disagree_give_no_category() {
    let decided = |category| Some(Verdict::Decided { category, rule: Rule::Otherwise });
    let contradiction = FieldVerdict::NotClassifiable(FieldDoubt::Contradiction);
    for (margin, rule, expected) in [
        (4.0, decided(Category::Two), FieldVerdict::Positive),
        (4.0, decided(Category::One), contradiction),
        (-4.0, decided(Category::One), FieldVerdict::Negative),
        (-4.0, decided(Category::Two), contradiction),
        (4.0, Some(Verdict::Undetermined), FieldVerdict::Positive),
    ] {
        let samples: Vec<Sample> = (0..40).map(|n| sample(n, margin)).collect();
        let field = field::close(&pool(&samples), about(1, Tally::default(), rule), &Rules::default(), &reader());
        assert_eq!((field.verdict, field.rule), (expected, rule), "margin {margin}, rule {rule:?}");
        if expected == contradiction {
            let fields = [field, steady(2, -4.0), steady(3, -4.0)];
            assert_eq!(finger(&fields).decision, abstained(Abstain::Contradiction));
        }
    }
}

#[test]
fn rules_that_stand_on_an_edge_contradict_nobody() {
    let samples: Vec<Sample> = (0..40).map(|n| sample(n, 4.0)).collect();
    let rule = Verdict::Decided { category: Category::One, rule: Rule::Otherwise };
    let about = About { measured: Some(measured(rule, true)), ..about(1, Tally::default(), None) };
    let field = field::close(&pool(&samples), about, &Rules::default(), &reader());
    assert_eq!((field.verdict, field.rule), (FieldVerdict::Positive, Some(rule)));
}

#[test]
fn rule_6_never_the_maximum_over_frames() {
    // Three flickers near certainty in a field that is else clearly negative.
    let samples: Vec<Sample> = (0..300).map(|n| sample(n, if n % 100 == 50 { 9.0 } else { -4.0 })).collect();
    let field = close(&samples, 1);
    assert_eq!(field.verdict, FieldVerdict::Negative);
    assert!(field.pooled.unwrap().probs[1] < 0.05);
}

#[test]
fn rule_6_a_finger_is_called_on_what_recurs_and_abstains_otherwise() {
    let again = |field: FieldResult| FieldResult { place: 1, reacquired: true, ..field };
    let called = |fields: &[FieldResult]| told(&finger(fields)).map(|(label, _)| label);
    let (two, one) = (Some("category 2".to_owned()), Some("category 1".to_owned()));
    assert_eq!(called(&[steady(1, 4.0), steady(2, 4.0)]), two);
    assert_eq!(called(&[steady(1, 4.0), again(steady(2, 4.0))]), two);
    assert_eq!(called(&[steady(1, 4.0), steady(2, -4.0), steady(3, 4.0)]), two);
    assert_eq!(called(&[steady(1, -4.0), steady(2, -4.0)]), one);
    for (fields, why) in [
        (vec![steady(1, 4.0), steady(2, -4.0), steady(3, -4.0)], Abstain::NotConfirmed),
        (vec![steady(1, -4.0), again(steady(2, -4.0))], Abstain::TooFewFields),
        (vec![steady(1, -4.0)], Abstain::TooFewFields),
        (vec![steady(1, -4.0), steady(2, -4.0), steady(3, 0.0)], Abstain::BetweenThresholds),
        (vec![], Abstain::NothingReadable),
    ] {
        assert_eq!(finger(&fields).decision, abstained(why));
    }
}

#[test]
fn rule_6_pictures_unlike_the_cohort_are_not_classifiable() {
    let strange: Vec<Sample> = (0..40).map(|n| Sample { out_of_cohort: true, ..sample(n, 6.0) }).collect();
    let fields = [close(&strange, 1), close(&strange, 2)];
    assert_eq!(fields[0].verdict, FieldVerdict::NotClassifiable(FieldDoubt::OutOfCohort));
    assert_eq!(finger(&fields).decision, abstained(Abstain::OutOfCohort));
}

#[test]
fn rule_7_the_thresholds_are_the_bundles_own_and_must_be_passed_not_met() {
    let samples: Vec<Sample> = (0..40).map(|n| sample(n, 0.0)).collect();
    for (lower, upper, expected) in [
        (0.5, 0.5, FieldVerdict::NotClassifiable(FieldDoubt::BetweenThresholds)),
        (0.4, 0.49, FieldVerdict::Positive),
        (0.51, 0.6, FieldVerdict::Negative),
    ] {
        let reader = reader_with(None, lower, upper);
        let field = field::close(&pool(&samples), about(1, Tally::default(), None), &Rules::default(), &reader);
        assert_eq!(field.verdict, expected, "thresholds {lower} and {upper}");
    }
}

/// The eight fingers of the protocol, each read on its own: `+` positive, `-` negative, `?` not classifiable.
fn exam(reads: &str) -> Summary {
    let fingers: Vec<FingerResult> = Finger::PROTOCOL
        .iter()
        .zip(reads.chars())
        .filter(|(_, read)| *read != '.')
        .map(|(finger, read)| {
            let margin = match read {
                '+' => 4.0,
                '-' => -4.0,
                _ => 0.0,
            };
            let on = |field: FieldResult| FieldResult { finger: *finger, ..field };
            decide(*finger, &[on(steady(1, margin)), on(steady(2, margin))], &Rules::default(), &reader())
        })
        .collect();
    summarise(&fingers, &BTreeMap::new(), &BTreeSet::new(), &reader())
}

#[test]
fn rule_8_counts_with_the_named_policies_beside_each_other() {
    let summary = exam("++---?..");
    assert_eq!(summary.counts, "category 2 on 2 of 5 evaluable fingers; 1 not classifiable; 2 not examined");
    assert_eq!((summary.any_finger, summary.two_or_more_fingers), (Some(true), Some(true)));
    assert_eq!((exam("+-------").any_finger, exam("+-------").two_or_more_fingers), (Some(true), Some(false)));
    // The words say what the figures say.
    for (reads, two, words) in [
        ("++---?..", Some(true), "(specific): met;"),
        ("+-------", Some(false), "(specific): not met;"),
        ("+???....", None, "(specific): not answerable, too few fingers were evaluable;"),
    ] {
        let summary = exam(reads);
        let wording = summary.wording.join("\n");
        assert_eq!(summary.two_or_more_fingers, two, "{reads}");
        assert!(wording.contains(words) && wording.contains("(sensitive): met;"), "{reads}: {wording}");
    }
}

#[test]
fn rule_9_an_incomplete_negative_says_so_and_even_a_complete_one_excludes_nothing() {
    for (reads, incomplete) in [("--------", false), ("-------?", true), ("--......", true)] {
        let summary = exam(reads);
        assert_eq!(summary.incomplete, incomplete, "{reads}");
        assert_eq!(
            summary.wording[0],
            "no scleroderma pattern seen on the examined fingers; this does not exclude systemic sclerosis"
        );
        let wording = summary.wording.join("\n");
        assert_eq!(wording.contains("incomplete: "), incomplete, "{wording}");
        for figure in ["74.6 %", "66.7 %", "59.8 %", "31.7 % to 46.6 %", "Dinsdale 2018"] {
            assert!(wording.contains(figure), "{figure} is missing in\n{wording}");
        }
    }
}

#[test]
fn rule_10_one_positive_among_clean_fingers_is_kept_marked_and_questioned() {
    let summary = exam("--+-----");
    assert!(summary.discordant && summary.any_finger == Some(true));
    assert_eq!(summary.positive, 1);
    let wording = summary.wording.join("\n");
    for part in ["right ring finger", "image this finger again", "trauma", "acrocyanosis"] {
        assert!(wording.contains(part), "{part} is missing in\n{wording}");
    }
    assert!(!exam("+???....").discordant && !exam("++------").discordant);
}

#[test]
fn rule_11_nothing_is_staged() {
    for reads in ["++++++++", "+-------", "--------"] {
        let wording = exam(reads).wording.join("\n");
        assert!(!["early", "active", "late", "stage"].iter().any(|w| wording.contains(w)), "{wording}");
    }
}
