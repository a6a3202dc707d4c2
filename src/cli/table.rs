//! Results as plain text: the per-finger table at the end of an exam, and one line of where it stands.

use std::collections::BTreeMap;

use super::overlay;
use crate::finger::Finger;
use crate::outcome::Tally;
use crate::report::{FingerResult, ModelWords, NOTICE, Snapshot, Summary};
use crate::view::words;

/// The eight fingers of the protocol and any other that was examined.
pub fn fingers(fingers: &[FingerResult], skipped: &BTreeMap<Finger, String>, model: &ModelWords) -> String {
    let mut rows: Vec<Finger> = Finger::PROTOCOL.to_vec();
    rows.extend(fingers.iter().map(|f| f.finger).filter(|f| !f.in_protocol()));
    let mut text = format!("{:<6}  {:<60}  {:>6}  {:>16}\n", "finger", "result", "fields", "frames read/seen");
    for finger in rows {
        let found = fingers.iter().find(|f| f.finger == finger);
        let (result, fields, frames) = match (found, skipped.get(&finger)) {
            (Some(found), _) => (words::decision(&found.decision), count(found), seen(found)),
            (None, Some(reason)) => (format!("skipped: {reason}"), String::new(), String::new()),
            (None, None) => ("not examined".to_owned(), String::new(), String::new()),
        };
        text.push_str(&format!("{:<6}  {result:<60}  {fields:>6}  {frames:>16}\n", finger.to_string()));
        for second in found.into_iter().flat_map(|found| &found.second) {
            let call = words::decision(&second.decision);
            text.push_str(&format!("{:<6}    {} (does not decide): {call}\n", "", second.model));
        }
    }
    text.push_str(&format!("model {} {} ({})\n{NOTICE}", model.name, model.version, model.cohort));
    text
}

fn count(found: &FingerResult) -> String {
    (found.fields_positive + found.fields_negative + found.fields_not_classifiable).to_string()
}

fn seen(found: &FingerResult) -> String {
    format!("{}/{}", found.frames.scored, found.frames.produced)
}

/// How the frames ended, in one line.
pub fn frames(tally: &Tally) -> String {
    let mut text = format!("frames: {} seen, {} read", tally.produced, tally.scored);
    let refused = tally.rejected.iter().map(|(reason, count)| (overlay::kebab(reason), *count));
    let damaged = tally.undecodable.iter().map(|(damage, count)| (overlay::kebab(damage), *count));
    for (what, kinds) in [("refused", refused.collect::<Vec<_>>()), ("damaged", damaged.collect())] {
        if !kinds.is_empty() {
            let words: Vec<String> = kinds.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
            text.push_str(&format!("; {what}: {}", words.join(", ")));
        }
    }
    for (what, count) in [("given up for newer ones", tally.dropped), ("failed in the runtime", tally.failed)] {
        if count > 0 {
            text.push_str(&format!("; {count} {what}"));
        }
    }
    text
}

/// The summary's counts, policies and fixed wording.
pub fn summary(summary: &Summary) -> String {
    let mut text = format!("{}\n", summary.counts);
    let yes = |held: Option<bool>| held.map_or("not answerable", |held| if held { "yes" } else { "no" });
    text.push_str(&format!(
        "policies, side by side: any finger {}; two or more fingers {}",
        yes(summary.any_finger),
        yes(summary.two_or_more_fingers)
    ));
    for sentence in &summary.wording {
        text.push('\n');
        text.push_str(sentence);
    }
    text
}

/// One line: where the exam stands.
pub fn progress(snapshot: &Snapshot) -> String {
    let place = snapshot.finger.map_or("no finger".to_owned(), |finger| words::place(finger, snapshot.field));
    let quality = snapshot.quality.as_ref().map(words::quality).unwrap_or_default();
    let done = snapshot.fingers.last().map(|f| format!("; last: {} {}", f.finger, words::decision(&f.decision)));
    format!("{place}: {quality}{}", done.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Damage, RejectReason};

    #[test]
    fn every_frame_is_accounted_for_in_one_line() {
        let mut tally = Tally { produced: 10, scored: 4, dropped: 2, failed: 1, ..Tally::default() };
        assert_eq!(frames(&Tally::default()), "frames: 0 seen, 0 read");
        tally.rejected.insert(RejectReason::NoNailfold, 2);
        tally.undecodable.insert(Damage::Cut, 1);
        assert_eq!(
            frames(&tally),
            "frames: 10 seen, 4 read; refused: no-nailfold 2; damaged: cut 1; 2 given up for newer ones; \
             1 failed in the runtime"
        );
    }
}
