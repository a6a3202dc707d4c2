//! Results as plain text: the per-finger table at the end of an exam, and one line of where it stands.

use std::collections::BTreeMap;

use crate::finger::Finger;
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
