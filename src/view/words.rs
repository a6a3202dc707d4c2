//! Events and results as plain words, for screens and for lines of text. No colour, no layout.

use crate::fast_track::{Category, Verdict};
use crate::finger::Finger;
use crate::measured::Measured;
use crate::report::{
    Abstain, Confidence, Decision, Event, ExamEvent, Fault, FieldDoubt, FieldResult, FieldVerdict, Line, ModelChange,
    ModelEvent, ModelWords, QualityEvent, SecondField, SecondFinger, Snapshot, SourceChange,
};

/// Text from outside, made harmless for a terminal: what a control character would do, a space does.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

pub fn decision(decision: &Decision) -> String {
    match decision {
        Decision::Called { label, confidence: how, .. } => format!("{label}, {}", confidence(*how)),
        Decision::Abstained { why } => format!("not classifiable: {}", why.words()),
    }
}

pub fn confidence(confidence: Confidence) -> String {
    match confidence {
        Confidence::Probability(p) => format!("probability {p:.2}"),
        Confidence::Score(s) => format!("score {s:.2}"),
    }
}

/// Fits into a finger's box.
pub const fn short(why: Abstain) -> &'static str {
    match why {
        Abstain::NothingReadable => "no readable frame",
        Abstain::TooFewFields => "too few fields",
        Abstain::NotConfirmed => "positive once, not confirmed",
        Abstain::BetweenThresholds => "between the thresholds",
        Abstain::Unstable => "unstable",
        Abstain::OutOfCohort => "unlike the training pictures",
        Abstain::Contradiction => "model and rules contradict",
    }
}

pub const fn doubt(doubt: FieldDoubt) -> &'static str {
    match doubt {
        FieldDoubt::NothingReadable => "no readable frame",
        FieldDoubt::TooFewFrames => "too few frames",
        FieldDoubt::TooShort => "too short",
        FieldDoubt::Unstable => "unstable from frame to frame",
        FieldDoubt::BetweenThresholds => "between the thresholds",
        FieldDoubt::OutOfCohort => "unlike the pictures the model was trained on",
        FieldDoubt::Contradiction => "classifier and Fast Track rules contradict each other",
    }
}

/// "2 fields: 1 above the threshold, 0 below, 1 not classifiable".
pub fn support<'a>(fields: impl Iterator<Item = &'a FieldResult>) -> String {
    let (mut above, mut below, mut neither) = (0, 0, 0);
    for field in fields {
        *match field.verdict {
            FieldVerdict::Positive => &mut above,
            FieldVerdict::Negative => &mut below,
            FieldVerdict::NotClassifiable(_) => &mut neither,
        } += 1;
    }
    match above + below + neither {
        0 => "no field finished yet".to_owned(),
        n => format!("{}: {above} above the threshold, {below} below, {neither} not classifiable", fields_of(n)),
    }
}

pub fn fields_of(n: u32) -> String {
    if n == 1 { "1 field".to_owned() } else { format!("{n} fields") }
}

/// The one thing to do now, or that all is well.
pub fn quality(quality: &QualityEvent) -> String {
    match (&quality.rejected, &quality.advice) {
        (None, _) => "readable".to_owned(),
        (Some(_), Some(advice)) => plain(advice),
        (Some(reason), None) => reason.advice().to_owned(),
    }
}

pub fn fault(fault: &Fault) -> String {
    plain(&format!("{}: {}", fault.message, fault.action))
}

/// One event as one line of text. A read frame is told without its scores: they are no verdict.
pub fn line(line: &Line) -> String {
    let when = line.date.map_or_else(|| format!("{}.{:03} s", line.at_ms / 1000, line.at_ms % 1000), |d| d.to_string());
    plain(&format!("{when}  {}", event(&line.event)))
}

fn event(event: &Event) -> String {
    match event {
        Event::Source(source) => {
            let change = match source.change {
                SourceChange::Opened => "opened",
                SourceChange::Lost => "lost",
                SourceChange::Ended => "ended",
                SourceChange::Changed => "changed",
                SourceChange::Recovering => "being got back",
            };
            format!("source {change}: {} {}", source.source.kind, source.source.name)
        }
        Event::Quality(now) => format!("picture: {}", quality(now)),
        Event::Finding(finding) => format!("frame {} read", finding.frame),
        Event::Measured(found) => format!("frame {}: {}", found.frame, loops(&found.measured)),
        Event::Opinions(read) => format!("frame {} read by {} more", read.frame, models(read.opinions.len())),
        Event::Field(field) => {
            format!("{} field {}: {}{}{}", field.finger, field.number, verdict(field), rule(field), seconds(field))
        }
        Event::Finger(result) => {
            format!("{}: {}{}", result.finger, decision(&result.decision), second_calls(&result.second))
        }
        Event::Disagreement(found) => {
            let (own, others) = (decision(&found.decision), second_calls(&found.others));
            format!("{}: MODELS DISAGREE: {} {own}{others}", found.finger, found.model)
        }
        Event::Model(asked) => model(asked),
        Event::Exam(step) => exam(step),
        Event::OwnCall(own) => format!("{}: called {} by {}", own.finger, own.call.name(), own.by),
        Event::Preparation(told) => format!("preparation told by {}", told.by),
        Event::Command(given) => match &given.refused {
            None => format!("{} commanded by {}", given.command, given.by),
            Some(why) => format!("{} of {} refused: {why}", given.command, given.by),
        },
        Event::Fault(now) if now.cleared => format!("over: {}", now.message),
        Event::Fault(now) => format!("FAULT: {}", fault(now)),
        Event::Missed { lines } => format!("{lines} lines missed: this reader was too slow"),
        Event::State(snapshot) => format!("now: {}", state(snapshot)),
    }
}

/// What was measured, in a line; what is not known is not said.
pub fn loops(measured: &Measured) -> String {
    if let Some(why) = measured.not_measured {
        let head = measured.counted.map_or_else(|| "loops not measured".to_owned(), |n| format!("{n} loops in view"));
        return format!("{head}: {}", why.words());
    }
    let density = measured.density_per_mm.map(|d| format!("{:.1} a mm ({:.1} to {:.1})", d.value, d.low, d.high));
    let parts = [
        measured.counted.map(|n| format!("{n} loops")),
        density,
        measured.giants.map(|n| format!("giants {n}")),
        measured.abnormal.map(|n| format!("abnormal {n}")),
        measured.borderline.then(|| "borderline".to_owned()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// What the Fast Track rules say of a field's loops, where any were measured.
fn rule(field: &FieldResult) -> String {
    let Some(measured) = &field.measured else { return String::new() };
    let density = measured.density_per_mm.map(|d| format!("{:.1} loops a mm, ", d.value)).unwrap_or_default();
    let edge = if measured.borderline { " (borderline)" } else { "" };
    match measured.fast_track {
        Verdict::Decided { category, rule } => {
            let category = if category == Category::One { "category 1" } else { "category 2" };
            format!("; {density}Fast Track {category} by {}{edge}", rule.words())
        }
        Verdict::Undetermined => format!("; {density}Fast Track undetermined"),
    }
}

fn verdict(field: &FieldResult) -> String {
    format!("{}, {} frames of {}", side(field.verdict), field.distinct, field.frames.produced)
}

fn side(verdict: FieldVerdict) -> String {
    match verdict {
        FieldVerdict::Positive => "above the threshold".to_owned(),
        FieldVerdict::Negative => "below the threshold".to_owned(),
        FieldVerdict::NotClassifiable(why) => format!("not classifiable, {}", doubt(why)),
    }
}

fn models(n: usize) -> String {
    if n == 1 { "1 model".to_owned() } else { format!("{n} models") }
}

/// What models that do not decide make of a field.
fn seconds(field: &FieldResult) -> String {
    let words = |s: &SecondField| format!("; {} (does not decide) {}, {} frames", s.model, side(s.verdict), s.distinct);
    field.second.iter().map(words).collect()
}

/// What models that do not decide would call.
pub fn second_calls(second: &[SecondFinger]) -> String {
    second.iter().map(|s| format!("; {} (does not decide) {}", s.model, decision(&s.decision))).collect()
}

fn model(asked: &ModelEvent) -> String {
    let name = asked.model.as_ref().map_or_else(|| asked.bundle.clone(), ModelWords::id);
    match asked.change {
        ModelChange::Ready => format!("model {name} is ready, and reads once the finger has ended"),
        ModelChange::Running => format!("model {name} reads from here on"),
        ModelChange::Refused => {
            format!("model {name} refused, the one before stays: {}", asked.why.as_deref().unwrap_or_default())
        }
    }
}

fn exam(step: &ExamEvent) -> String {
    match step {
        ExamEvent::Opened { subject, .. } => format!("exam opened for {subject}"),
        ExamEvent::FingerBegan { finger } => format!("{finger} begun"),
        ExamEvent::FieldBegan { finger, number, .. } => format!("{finger} field {number} begun"),
        ExamEvent::Skipped { finger, reason } => format!("{finger} skipped: {reason}"),
        ExamEvent::Interrupted => "exam interrupted".to_owned(),
        ExamEvent::Resumed { .. } => "exam resumed".to_owned(),
        ExamEvent::Closed { report } => format!("exam closed: {}", report.summary.counts),
    }
}

fn state(snapshot: &Snapshot) -> String {
    let doing = match (snapshot.finger, snapshot.field) {
        (Some(finger), field) => place(finger, field),
        (None, _) => "no finger is being recorded".to_owned(),
    };
    let faults = snapshot.faults.iter().filter(|fault| !fault.cleared).count();
    format!("{doing}; {} fingers decided; {faults} faults", snapshot.fingers.len())
}

/// "right ring finger, field 2".
pub fn place(finger: Finger, field: Option<u32>) -> String {
    match field {
        Some(number) => format!("{}, field {number}", finger.words()),
        None => finger.words().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_commands_the_terminal() {
        let said = plain("file\u{1b}[2J\r\n\u{9b}31m name");
        assert!(!said.chars().any(char::is_control), "{said:?}");
    }

    #[test]
    fn short_reasons_fit_into_two_lines_of_a_box() {
        for why in [
            Abstain::NothingReadable,
            Abstain::TooFewFields,
            Abstain::NotConfirmed,
            Abstain::BetweenThresholds,
            Abstain::Unstable,
            Abstain::OutOfCohort,
            Abstain::Contradiction,
        ] {
            let [first, second] = super::super::hands::two_lines(short(why), 18);
            let told: Vec<&str> = [first.as_str(), second.as_str()].into_iter().filter(|s| !s.is_empty()).collect();
            assert_eq!(told.join(" "), short(why), "cut: {first:?} {second:?}");
        }
    }
}
