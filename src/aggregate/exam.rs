//! Sums up an exam: counts first, the named policies beside each other, and the fixed wording with its limits.
//! No consensus says how many fingers make a patient positive, so nothing here does.

use std::collections::{BTreeMap, BTreeSet};

use super::finger::is_positive;
use super::{FAST_TRACK, Reader};
use crate::finger::Finger;
use crate::report::{Decision, FingerResult, Summary};

/// Stands under every negative; the one sentence that no wording may lose.
const NOT_EXCLUDED: &str = "this does not exclude systemic sclerosis";

/// Dinsdale et al., Rheumatology (Oxford) 2019;58:284-288 (online 2018), 101 people with systemic sclerosis, read by
/// an international panel: sensitivity against the diagnostic criteria.
const SENSITIVITY: &str = "published sensitivity by fingers examined, read by experts and not by this model: \
    all eight 74.6 %, both ring and both middle fingers 66.7 %, both ring fingers 59.8 %, \
    one finger 31.7 % to 46.6 % (Dinsdale 2018, 101 people with systemic sclerosis)";

const NOT_NORMAL: &str =
    "category 1 is not the same as normal: it holds normal capillaries and non-specific abnormalities";

/// Few megacapillaries without loss were mostly acrocyanosis, 11 of 15 (Clin Rheumatol 1992, PubMed 1486747).
const DISCORDANT: &str = "discordant: one positive finger among negative ones; \
    image this finger again, and consider local trauma or acrocyanosis";

/// Sums up the fingers of an exam. A finger that was skipped and recorded all the same counts as recorded; of two
/// results of one finger the later counts; thumbs are named but not counted. `cut` are fingers that were begun before a
/// crash; of those without a result no field was complete.
pub fn summarise(
    fingers: &[FingerResult],
    skipped: &BTreeMap<Finger, String>,
    cut: &BTreeSet<Finger>,
    reader: &Reader,
) -> Summary {
    let sorted = Sorted::new(fingers, skipped, cut, reader);
    let (positive, evaluable) = (sorted.positive.len(), sorted.positive.len() + sorted.negative.len());
    let (not_classifiable, not_examined) = (sorted.abstained.len(), sorted.unseen.len());
    Summary {
        counts: format!(
            "{} on {positive} of {evaluable} evaluable fingers; {not_classifiable} not classifiable; {not_examined} not examined",
            reader.words(true)
        ),
        positive: positive as u32,
        evaluable: evaluable as u32,
        not_classifiable: not_classifiable as u32,
        not_examined: not_examined as u32,
        any_finger: at_least(1, positive, evaluable),
        two_or_more_fingers: at_least(2, positive, evaluable),
        discordant: sorted.discordant(),
        incomplete: evaluable < Finger::PROTOCOL.len(),
        wording: wording(&sorted, reader),
    }
}

/// Whether so many fingers were positive; `None` where fewer could have been, which is no "no".
fn at_least(needed: usize, positive: usize, evaluable: usize) -> Option<bool> {
    (positive >= needed || evaluable >= needed).then_some(positive >= needed)
}

/// The fingers by what became of them, in the order of the protocol.
struct Sorted<'a> {
    positive: Vec<Finger>,
    negative: Vec<Finger>,
    /// With the reason.
    abstained: Vec<(Finger, &'static str)>,
    unseen: Vec<(Finger, Unseen<'a>)>,
    /// With what was read, and whether it is positive.
    thumbs: Vec<(Finger, String, bool)>,
}

/// Why a finger has no result.
#[derive(Clone, Copy, PartialEq)]
enum Unseen<'a> {
    /// With the operator's reason.
    Skipped(&'a str),
    Cut,
    Untold,
}

impl<'a> Sorted<'a> {
    fn new(
        fingers: &[FingerResult],
        skipped: &'a BTreeMap<Finger, String>,
        cut: &BTreeSet<Finger>,
        reader: &Reader,
    ) -> Self {
        let why = |finger| match skipped.get(&finger) {
            Some(reason) => Unseen::Skipped(reason),
            None if cut.contains(&finger) => Unseen::Cut,
            None => Unseen::Untold,
        };
        let decisions: BTreeMap<Finger, &Decision> = fingers.iter().map(|f| (f.finger, &f.decision)).collect();
        let mut sorted = Self { positive: vec![], negative: vec![], abstained: vec![], unseen: vec![], thumbs: vec![] };
        for finger in Finger::PROTOCOL {
            match decisions.get(&finger) {
                None => sorted.unseen.push((finger, why(finger))),
                Some(Decision::Abstained { why }) => sorted.abstained.push((finger, why.words())),
                Some(called) if is_positive(called, reader) => sorted.positive.push(finger),
                Some(_) => sorted.negative.push(finger),
            }
        }
        for (finger, decision) in decisions.into_iter().filter(|(finger, _)| !finger.in_protocol()) {
            let positive = is_positive(decision, reader);
            let read = match decision {
                Decision::Abstained { why } => format!("not classifiable ({})", why.words()),
                Decision::Called { .. } => reader.words(positive),
            };
            sorted.thumbs.push((finger, read, positive));
        }
        sorted
    }

    fn evaluable(&self) -> usize {
        self.positive.len() + self.negative.len()
    }

    fn discordant(&self) -> bool {
        self.positive.len() == 1 && !self.negative.is_empty()
    }
}

/// The lines in their order: what was seen, on what, its limits, what to do.
fn wording(sorted: &Sorted<'_>, reader: &Reader) -> Vec<String> {
    let mut lines = vec![];
    lines.extend(finding(sorted, reader));
    lines.extend(roll(sorted, reader));
    if reader.scheme() == FAST_TRACK && !sorted.negative.is_empty() {
        lines.push(NOT_NORMAL.to_owned());
    }
    lines.extend(incomplete(sorted));
    if sorted.positive.is_empty() && !sorted.negative.is_empty() {
        lines.push(SENSITIVITY.to_owned());
    }
    if sorted.discordant() {
        lines.push(DISCORDANT.to_owned());
    }
    if !sorted.positive.is_empty() {
        lines.push(policies(sorted.positive.len(), sorted.evaluable()));
    }
    lines
}

fn finding(sorted: &Sorted<'_>, reader: &Reader) -> Option<String> {
    let fast_track = reader.scheme() == FAST_TRACK;
    if sorted.evaluable() == 0 {
        let examined = !sorted.abstained.is_empty();
        let why = if examined { "no examined finger was classifiable" } else { "no finger was examined" };
        return Some(format!("{why}: nothing can be said about a scleroderma pattern; {NOT_EXCLUDED}"));
    }
    if !sorted.positive.is_empty() {
        let (label, on) = (reader.words(true), names(&sorted.positive));
        return Some(if fast_track {
            format!("scleroderma pattern ({label}) seen on the {on}")
        } else {
            format!("\"{label}\" (scheme {}) read on the {on}", reader.scheme())
        });
    }
    let thumbs: Vec<Finger> = sorted.thumbs.iter().filter(|(_, _, positive)| *positive).map(|(f, ..)| *f).collect();
    let but = if thumbs.is_empty() {
        String::new()
    } else {
        format!(" of the protocol, but {} read on the {}", reader.words(true), names(&thumbs))
    };
    Some(if fast_track {
        format!("no scleroderma pattern seen on the examined fingers{but}; {NOT_EXCLUDED}")
    } else {
        let (label, scheme) = (reader.words(true), reader.scheme());
        format!("\"{label}\" (scheme {scheme}) not read on the examined fingers{but}; {NOT_EXCLUDED}")
    })
}

/// Which finger came to what: a count without its fingers cannot be checked.
fn roll(sorted: &Sorted<'_>, reader: &Reader) -> Vec<String> {
    let mut lines = vec![];
    if !sorted.negative.is_empty() {
        lines.push(format!("{}: {}", reader.words(false), names(&sorted.negative)));
    }
    for (finger, why) in &sorted.abstained {
        lines.push(format!("{}: not classifiable ({why})", finger.words()));
    }
    for (finger, why) in &sorted.unseen {
        match why {
            Unseen::Skipped(reason) => lines.push(format!("{}: not examined ({reason})", finger.words())),
            Unseen::Cut => {
                lines.push(format!("{}: begun, and cut off before a field of it was complete", finger.words()));
            }
            Unseen::Untold => {}
        }
    }
    let silent: Vec<Finger> =
        sorted.unseen.iter().filter(|(_, why)| *why == Unseen::Untold).map(|(finger, _)| *finger).collect();
    if !silent.is_empty() {
        lines.push(format!("not examined, no reason given: {}", names(&silent)));
    }
    for (finger, read, _) in &sorted.thumbs {
        lines.push(format!("{}: {read}; outside the eight-finger protocol and not counted", finger.words()));
    }
    lines
}

fn incomplete(sorted: &Sorted<'_>) -> Option<String> {
    let (evaluable, all) = (sorted.evaluable(), Finger::PROTOCOL.len());
    (evaluable < all).then(|| format!("incomplete: {evaluable} of the {all} fingers of the protocol were evaluable"))
}

fn policies(positive: usize, evaluable: usize) -> String {
    let met = |needed: usize| match at_least(needed, positive, evaluable) {
        Some(true) => "met",
        Some(false) => "not met",
        None => "not answerable, too few fingers were evaluable",
    };
    format!(
        "policy \"any finger\" (sensitive): {}; policy \"two or more fingers\" (specific): {}; neither is a consensus \
         rule for a patient",
        met(1),
        met(2)
    )
}

fn names(fingers: &[Finger]) -> String {
    fingers.iter().map(|f| f.words()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Tally;
    use crate::report::{Abstain, Confidence};

    fn reader(scheme: &str, labels: [&str; 2]) -> Reader {
        Reader::new(labels.map(str::to_owned).to_vec(), 1, scheme.to_owned(), Some(1.0), 0.2, 0.8).unwrap()
    }

    fn fast_track() -> Reader {
        reader(FAST_TRACK, ["cat1", "cat2"])
    }

    fn result(finger: &str, read: char) -> FingerResult {
        let called = |label: &str| Decision::Called {
            label: label.to_owned(),
            scheme: FAST_TRACK.to_owned(),
            confidence: Confidence::Probability(0.9),
        };
        FingerResult {
            finger: finger.parse().unwrap(),
            decision: match read {
                '+' => called("cat2"),
                '-' => called("cat1"),
                _ => Decision::Abstained { why: Abstain::Unstable },
            },
            fields_positive: 0,
            fields_negative: 0,
            fields_not_classifiable: 0,
            frames: Tally::default(),
            measured: None,
            second: Vec::new(),
            evidence: vec![],
        }
    }

    /// `reads` in the order of the protocol: `+`, `-`, `?` not classifiable, `.` no result.
    fn exam(reads: &str) -> Vec<FingerResult> {
        let named = Finger::PROTOCOL.iter().zip(reads.chars());
        named.filter(|(_, read)| *read != '.').map(|(finger, read)| result(&finger.to_string(), read)).collect()
    }

    fn summary(reads: &str) -> Summary {
        summarise(&exam(reads), &BTreeMap::new(), &BTreeSet::new(), &fast_track())
    }

    #[test]
    fn counts_policies_and_marks() {
        // reads, counts, any, two, discordant, incomplete
        for (reads, counts, any, two, discordant, incomplete) in [
            ("--------", [0, 8, 0, 0], Some(false), Some(false), false, false),
            ("+-------", [1, 8, 0, 0], Some(true), Some(false), true, false),
            ("++------", [2, 8, 0, 0], Some(true), Some(true), false, false),
            ("++++++++", [8, 8, 0, 0], Some(true), Some(true), false, false),
            ("-------?", [0, 7, 1, 0], Some(false), Some(false), false, true),
            ("+??.....", [1, 1, 2, 5], Some(true), None, false, true),
            ("+-......", [1, 2, 0, 6], Some(true), Some(false), true, true),
            ("????....", [0, 0, 4, 4], None, None, false, true),
            ("........", [0, 0, 0, 8], None, None, false, true),
        ] {
            let s = summary(reads);
            assert_eq!([s.positive, s.evaluable, s.not_classifiable, s.not_examined], counts, "{reads}");
            let [k, n, m, r] = counts;
            let words = format!("category 2 on {k} of {n} evaluable fingers; {m} not classifiable; {r} not examined");
            assert_eq!(s.counts, words, "{reads}");
            assert_eq!((s.any_finger, s.two_or_more_fingers), (any, two), "{reads}");
            assert_eq!((s.discordant, s.incomplete), (discordant, incomplete), "{reads}");
        }
    }

    #[test]
    fn a_complete_negative_says_what_it_does_not_exclude() {
        assert_eq!(
            summary("--------").wording,
            [
                "no scleroderma pattern seen on the examined fingers; this does not exclude systemic sclerosis",
                "category 1: right index finger, right middle finger, right ring finger, right little finger, \
                 left index finger, left middle finger, left ring finger, left little finger",
                NOT_NORMAL,
                SENSITIVITY,
            ]
        );
    }

    #[test]
    fn an_incomplete_negative_gives_the_published_sensitivities_and_their_source() {
        let wording = summary("--?.....").wording.join("\n");
        for part in [
            "incomplete: 2 of the 8 fingers of the protocol were evaluable",
            "all eight 74.6 %, both ring and both middle fingers 66.7 %, both ring fingers 59.8 %",
            "one finger 31.7 % to 46.6 %",
            "Dinsdale 2018",
            "right ring finger: not classifiable (unstable from frame to frame)",
            "not examined, no reason given: right little finger, left index finger",
        ] {
            assert!(wording.contains(part), "{part:?} is missing in\n{wording}");
        }
    }

    #[test]
    fn one_positive_among_negatives_is_kept_and_questioned() {
        let wording = summary("---+----").wording;
        assert_eq!(wording[0], "scleroderma pattern (category 2) seen on the right little finger");
        assert!(wording.contains(&DISCORDANT.to_owned()), "{wording:?}");
        assert!(!summary("--++----").wording.contains(&DISCORDANT.to_owned()));
    }

    #[test]
    fn nothing_evaluable_is_no_negative() {
        let nothing_said = "nothing can be said about a scleroderma pattern; this does not exclude systemic sclerosis";
        assert_eq!(summary("????????").wording[0], format!("no examined finger was classifiable: {nothing_said}"));
        assert_eq!(summary("........").wording[0], format!("no finger was examined: {nothing_said}"));
    }

    #[test]
    fn a_finger_that_a_crash_cut_off_is_told_as_begun() {
        let cut = "R2 R3 R4 L2".split(' ').map(|finger| finger.parse().unwrap()).collect();
        let skipped = BTreeMap::from([("L2".parse().unwrap(), "bandage".to_owned())]);
        let s = summarise(&exam("-?......"), &skipped, &cut, &fast_track());
        assert_eq!((s.evaluable, s.not_examined), (1, 6));
        let wording = s.wording.join("\n");
        assert!(
            wording.contains("right ring finger: begun, and cut off before a field of it was complete"),
            "{wording}"
        );
        assert!(wording.contains("left index finger: not examined (bandage)"), "{wording}");
        assert!(!wording.contains("right index finger: begun") && !wording.contains("right middle finger: begun"));
        assert!(wording.contains("no reason given: right little finger, left middle finger"), "{wording}");
    }

    #[test]
    fn no_wording_excludes_a_disease_or_decides_for_the_patient() {
        let kinds = ['+', '-', '?', '.'];
        for code in 0..4_usize.pow(8) {
            let reads: String = (0..8).map(|i| kinds[code / 4_usize.pow(i) % 4]).collect();
            let wording = summary(&reads).wording.join("\n");
            assert_eq!(wording.contains("exclude"), !reads.contains('+'), "{reads}: {wording}");
            assert!(!wording.replace(NOT_EXCLUDED, "").contains("exclude"), "{reads}: {wording}");
            for word in ["healthy", "the patient has", "diagnosis", "ruled out"] {
                assert!(!wording.contains(word), "{reads}: {wording}");
            }
        }
    }

    #[test]
    fn thumbs_are_named_and_not_counted() {
        let mut fingers = exam("--------");
        fingers.push(result("R1", '+'));
        let s = summarise(&fingers, &BTreeMap::new(), &BTreeSet::new(), &fast_track());
        assert_eq!((s.positive, s.evaluable, s.any_finger, s.incomplete), (0, 8, Some(false), false));
        assert_eq!(
            s.wording[0],
            "no scleroderma pattern seen on the examined fingers of the protocol, but category 2 read on the right \
             thumb; this does not exclude systemic sclerosis"
        );
        let thumb = "right thumb: category 2; outside the eight-finger protocol and not counted";
        assert!(s.wording.iter().any(|line| line == thumb), "{:?}", s.wording);
    }

    #[test]
    fn skipped_fingers_are_not_examined_with_their_reason_unless_they_were_recorded_after_all() {
        let skip = |finger: &str| (finger.parse().unwrap(), "wound".to_owned());
        let skipped = BTreeMap::from([skip("L5"), skip("R2")]);
        let s = summarise(&exam("-------."), &skipped, &BTreeSet::new(), &fast_track());
        assert_eq!((s.evaluable, s.not_examined), (7, 1));
        let lines: Vec<&String> = s.wording.iter().filter(|line| line.contains("wound")).collect();
        assert_eq!(lines, ["left little finger: not examined (wound)"]);
    }

    #[test]
    fn other_schemes_speak_in_their_own_labels() {
        let reader = reader("normal-abnormal", ["normal", "abnormal"]);
        let mut finger = result("R4", '+');
        let called = |label: &str| Decision::Called {
            label: label.to_owned(),
            scheme: "normal-abnormal".to_owned(),
            confidence: Confidence::Score(0.9),
        };
        finger.decision = called("abnormal");
        let s = summarise(&[finger.clone()], &BTreeMap::new(), &BTreeSet::new(), &reader);
        assert_eq!(s.counts, "abnormal on 1 of 1 evaluable fingers; 0 not classifiable; 7 not examined");
        assert_eq!(s.wording[0], "\"abnormal\" (scheme normal-abnormal) read on the right ring finger");
        finger.decision = called("normal");
        let wording = summarise(&[finger], &BTreeMap::new(), &BTreeSet::new(), &reader).wording.join("\n");
        assert!(!wording.contains("category") && !wording.contains("no scleroderma pattern"), "{wording}");
        assert!(wording.contains(NOT_EXCLUDED), "{wording}");
    }
}
