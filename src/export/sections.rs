//! The parts of the report that are words: what must be known first, the head, the summary, what people added, what was
//! not measured, and what it was all made with.

use super::exam::{Called, Exam};
use super::fingers::call;
use super::is_final;
use super::page::{Fact, Section, Signature, Summary};
use super::wording::translated;
use super::words::{Lang, Word, utc};
use crate::fast_track::Verdict;
use crate::finger::Finger;
use crate::outcome::Tally;
use crate::record::amend::Amendment;
use crate::record::verify::State;
use crate::report::{
    Decision, Ending, FieldDoubt, FieldResult, FieldVerdict, LocatorWords, ModelWords, Provenance, SourceWords,
};
use crate::scale::Scale;

pub(super) fn alerts(exam: &Exam, lang: Lang) -> Vec<String> {
    let mut alerts = Vec::new();
    match exam.verified.state {
        State::Open => alerts.push(lang.say(Word::AlertOpen).to_owned()),
        State::Interrupted => alerts.push(lang.say(Word::AlertInterrupted).to_owned()),
        State::ReportMissing => alerts.push(lang.say(Word::AlertReportMissing).to_owned()),
        State::Closed(Ending::Interrupted) => alerts.push(lang.say(Word::AlertStopped).to_owned()),
        State::Closed(Ending::Closed) => {}
    }
    match &exam.verified.signed {
        Some(signed) if signed.amended_after => {
            alerts.push(lang.fill(Word::AlertAmendedAfter, &[&utc(signed.date)]));
        }
        Some(_) => {}
        None if is_final(exam.verified.state) => alerts.push(lang.say(Word::AlertUnsigned).to_owned()),
        None => {}
    }
    alerts
}

pub(super) fn head(exam: &Exam, lang: Lang) -> Vec<Fact> {
    let fact = |word, value| Fact { label: lang.say(word).to_owned(), value };
    let mut head = vec![fact(Word::Date, dates(exam, lang)), fact(Word::ExamId, exam.verified.exam.clone())];
    if let Some(made) = exam.provenance() {
        head.push(fact(Word::Device, device(&made.source, lang)));
        head.push(fact(Word::Picture, picture(&made.source)));
        head.push(fact(Word::Scale, scale(&made.source, lang)));
    }
    head.push(fact(Word::Preparation, preparation(exam, lang)));
    let ended = match exam.verified.state {
        State::Closed(Ending::Closed) | State::ReportMissing => Word::ByOperator,
        State::Closed(Ending::Interrupted) => Word::ByStop,
        State::Open => Word::StillOpen,
        State::Interrupted => Word::NotEnded,
    };
    head.push(fact(Word::Ended, lang.say(ended).to_owned()));
    if let Some(report) = &exam.report {
        head.push(fact(Word::FramesSeen, frames(&report.frames, lang)));
    }
    head
}

fn dates(exam: &Exam, lang: Lang) -> String {
    match (exam.opened, exam.report.as_ref().and_then(|report| report.closed)) {
        (Some(opened), Some(closed)) => lang.fill(Word::OpenedClosed, &[&utc(opened), &utc(closed)]),
        (Some(opened), None) => utc(opened),
        (None, _) => lang.say(Word::DateUnknown).to_owned(),
    }
}

fn device(source: &SourceWords, lang: Lang) -> String {
    let Some(device) = &source.device else { return format!("{}: {}", source.kind, source.name) };
    let named: Vec<&str> = [&device.make, &device.model].into_iter().flatten().map(String::as_str).collect();
    let name = if named.is_empty() { source.name.clone() } else { named.join(" ") };
    let serial = match &device.serial {
        Some(serial) => lang.fill(Word::Serial, &[serial]),
        None => lang.say(Word::NoSerial).to_owned(),
    };
    lang.list(&[name, serial, device.id.clone()])
}

fn picture(source: &SourceWords) -> String {
    let size = source.size.map(|size| size.to_string());
    let format = source.format.map(|format| format!("{format:?}").to_uppercase());
    let rate = source.measured_per_s.or(source.frames_per_s).map(|rate| format!("{rate:.1}/s"));
    [size, format, rate].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn scale(source: &SourceWords, lang: Lang) -> String {
    let Some(Scale { um_per_px, how, when, by, until }) = &source.scale else {
        return match source.scale_expired {
            Some(expired) => lang.fill(Word::ScaleExpired, &[&utc(expired)]),
            None => lang.say(Word::NoScale).to_owned(),
        };
    };
    let when = when.map_or_else(|| lang.say(Word::ScaleUndated).to_owned(), utc);
    let known = lang.fill(Word::ScaleKnown, &[&lang.number(*um_per_px, 3), lang.scale_method(*how), &when]);
    let by = by.as_ref().map(|by| lang.fill(Word::ScaleBy, &[by]));
    let until = until.map(|until| lang.fill(Word::ScaleUntil, &[&utc(until)]));
    let wide = source
        .size
        .map(|size| lang.fill(Word::FieldWidth, &[&lang.number(f64::from(size.width) * um_per_px / 1000.0, 2)]));
    lang.list(&[Some(known), by, until, wide].into_iter().flatten().collect::<Vec<_>>())
}

fn preparation(exam: &Exam, lang: Lang) -> String {
    let Some(told) = &exam.preparation else { return lang.say(Word::NotRecorded).to_owned() };
    let known = &told.preparation;
    let minutes = known.acclimatised_min.map(|min| lang.fill(Word::Acclimatised, &[&min.to_string()]));
    let room = known.room_celsius.map(|celsius| lang.fill(Word::RoomTemperature, &[&celsius.to_string()]));
    let done = known.done.iter().map(|point| lang.prepared(*point).to_owned());
    let by = lang.fill(Word::ToldBy, &[&told.by]);
    lang.list(&minutes.into_iter().chain(room).chain(done).chain([by]).collect::<Vec<_>>())
}

fn frames(tally: &Tally, lang: Lang) -> String {
    let counts = [tally.produced, tally.scored, tally.rejected(), tally.undecodable(), tally.dropped, tally.failed];
    let counts = counts.map(|n| n.to_string());
    lang.fill(Word::FramesWords, &counts.each_ref().map(String::as_str))
}

pub(super) fn summary(exam: &Exam, lang: Lang) -> Summary {
    let heading = lang.say(Word::Summary).to_owned();
    let Some(report) = &exam.report else {
        let counts = lang.say(Word::NoSummary).to_owned();
        return Summary { heading, counts, lines: Vec::new(), recorded: Vec::new() };
    };
    let recorded = &report.summary;
    if lang == Lang::En {
        let (counts, lines) = (recorded.counts.clone(), recorded.wording.clone());
        return Summary { heading, counts, lines, recorded: Vec::new() };
    }
    let told = |sentence: &String| translated(sentence, lang).unwrap_or_else(|| sentence.clone());
    Summary {
        heading,
        counts: told(&recorded.counts),
        lines: recorded.wording.iter().map(told).collect(),
        recorded: [vec![lang.say(Word::AsRecorded).to_owned(), recorded.counts.clone()], recorded.wording.clone()]
            .concat(),
    }
}

/// That nothing contradicts says only as much as was there to be compared.
fn compared(exam: &Exam) -> Word {
    use FieldVerdict::{Negative, NotClassifiable, Positive};
    let by_rule = |field: &FieldResult| {
        matches!(field.rule, Some(Verdict::Decided { .. }))
            && matches!(field.verdict, Positive | Negative | NotClassifiable(FieldDoubt::Contradiction))
    };
    let by_reader = |called: &Called| {
        exam.fingers.get(&called.finger).is_some_and(|found| matches!(found.decision, Decision::Called { .. }))
    };
    match (exam.fields.iter().any(by_rule), exam.calls.iter().any(by_reader)) {
        (true, true) => Word::NoContradictions,
        (true, false) => Word::NoContradictionsOfRules,
        (false, true) => Word::NoContradictionsOfReader,
        (false, false) => Word::NothingToCompare,
    }
}

/// What people added, where things contradict each other, what was not measured, what went wrong.
pub(super) fn remarks(exam: &Exam, lang: Lang) -> Vec<Section> {
    let section = |word, lines| Section { heading: lang.say(word).to_owned(), lines };
    let or = |lines: Vec<String>, word| if lines.is_empty() { vec![lang.say(word).to_owned()] } else { lines };
    let mut all = vec![
        section(Word::OwnCalls, or(added(exam, lang), Word::NoOwnCalls)),
        section(Word::Contradictions, or(contradictions(exam, lang), compared(exam))),
        section(
            Word::NotMeasuredHeading,
            or(not_measured(exam, lang), if exam.fields.is_empty() { Word::NoField } else { Word::AllMeasured }),
        ),
    ];
    let faults: Vec<String> = exam.faults.iter().map(|fault| fault.message.clone()).collect();
    if !faults.is_empty() {
        all.push(section(Word::Faults, faults));
    }
    all
}

/// Calls and comments of readers in the order in which they were given.
fn added(exam: &Exam, lang: Lang) -> Vec<String> {
    let calls = exam.calls.iter().map(|called| own_call(called, lang));
    let comments = exam.comments().map(|(line, text)| {
        let who = lang.list(&[line.by.to_string(), utc(line.date)]);
        lang.pair(&format!("{} ({who})", lang.say(Word::Comment)), text.as_str())
    });
    calls.chain(comments).collect()
}

fn own_call(called: &Called, lang: Lang) -> String {
    let when = called.date.map(utc);
    let sight =
        called.blinded.map(|blinded| lang.say(if blinded { Word::Blinded } else { Word::Unblinded }).to_owned());
    let later = called.amended.then(|| lang.say(Word::AddedLater).to_owned());
    let about: Vec<String> = [Some(called.by.clone()), when, sight, later].into_iter().flatten().collect();
    let told = lang.pair(lang.finger(called.finger), lang.own_call(called.call));
    let comment = called.comment.as_ref().map(|comment| format!(" — {comment}")).unwrap_or_default();
    format!("{told} ({}){comment}", lang.list(&about))
}

/// A line for each finger and each thing that is said of some of its fields.
fn of_fields(said: impl Iterator<Item = (Finger, u32, String)>, lang: Lang, one: Word, more: Word) -> Vec<String> {
    let mut all: Vec<(Finger, String, Vec<String>)> = Vec::new();
    for (finger, number, what) in said {
        match all.iter_mut().find(|(of, same, _)| *of == finger && *same == what) {
            Some((_, _, numbers)) => numbers.push(number.to_string()),
            None => all.push((finger, what, vec![number.to_string()])),
        }
    }
    let line = |(finger, what, numbers): &(Finger, String, Vec<String>)| {
        let word = if numbers.len() > 1 { more } else { one };
        lang.fill(word, &[lang.finger(*finger), &lang.list(numbers), what])
    };
    all.iter().map(line).collect()
}

fn contradictions(exam: &Exam, lang: Lang) -> Vec<String> {
    let against = exam.fields.iter().filter_map(|field| against_rule(field, lang));
    let mut found = of_fields(against, lang, Word::ContradictsRule, Word::ContradictRule);
    for (finger, result) in &exam.fingers {
        let name = lang.finger(*finger);
        if result.fields_positive > 0 && result.fields_negative > 0 {
            found.push(lang.fill(Word::ContradictsFields, &[name]));
        }
        let machine = match &result.decision {
            Decision::Called { label, .. } => lang.label(label),
            // That the machine abstains contradicts nobody.
            Decision::Abstained { .. } => continue,
        };
        match exam.call(*finger).map(|called| lang.own_call(called.call)) {
            Some(own) if own != machine => {
                found.push(lang.fill(Word::ContradictsReader, &[name, &call(exam, *finger, lang), own]));
            }
            _ => {}
        }
    }
    found
}

fn against_rule(field: &FieldResult, lang: Lang) -> Option<(Finger, u32, String)> {
    if field.verdict != FieldVerdict::NotClassifiable(FieldDoubt::Contradiction) {
        return None;
    }
    let rule = match field.rule {
        Some(Verdict::Decided { rule, .. }) => lang.rule(rule),
        Some(Verdict::Undetermined) | None => lang.say(Word::Undetermined),
    };
    Some((field.finger, field.number, rule.to_owned()))
}

fn not_measured(exam: &Exam, lang: Lang) -> Vec<String> {
    let mut lines = Vec::new();
    let Some(made) = exam.provenance() else { return lines };
    if made.source.scale.is_none() {
        lines.push(lang.pair(lang.say(Word::Scale), &scale(&made.source, lang)));
    }
    if made.locator.is_none() {
        lines.push(lang.say(Word::NoLocator).to_owned());
        return lines;
    }
    let why = |field: &FieldResult| match &field.measured {
        None => Some(lang.say(Word::NoMeasuredFrame)),
        Some(measured) => measured.not_measured.map(|why| lang.not_measured(why)),
    };
    let said = exam.fields.iter().filter_map(|field| Some((field.finger, field.number, why(field)?.to_owned())));
    lines.extend(of_fields(said, lang, Word::FieldNotMeasured, Word::FieldsNotMeasured));
    lines
}

pub(super) fn signature(exam: &Exam, lang: Lang) -> Signature {
    let signed = exam.amendments.iter().filter_map(|line| match &line.amendment {
        Amendment::Signature { signs } => Some((line, signs)),
        Amendment::Comment { .. } | Amendment::OwnCall { .. } | Amendment::Loop { .. } => None,
    });
    let mut lines: Vec<String> = signed
        .map(|(line, signs)| {
            let by = lang.fill(Word::SignedBy, &[line.by.as_str(), &utc(line.date)]);
            lang.list(&[by, lang.fill(Word::Signs, &[signs])])
        })
        .collect();
    let place = is_final(exam.verified.state).then(|| lang.say(Word::SignHere).to_owned());
    if place.is_none() {
        lines.push(lang.say(Word::SignOpen).to_owned());
    }
    Signature { heading: lang.say(Word::Signature).to_owned(), lines, place }
}

pub(super) fn made_with(exam: &Exam, lang: Lang) -> Vec<Fact> {
    let fact = |word, value| Fact { label: lang.say(word).to_owned(), value };
    let mut facts = Vec::new();
    if let Some(Provenance { software, config_sha256, model, locator, runtime, .. }) = exam.provenance() {
        facts.push(fact(Word::Software, software.clone()));
        facts.push(fact(Word::Configuration, format!("sha256 {config_sha256}")));
        facts.push(fact(Word::Classifier, classifier(model, lang)));
        facts.extend(locator.as_ref().map(|locator| fact(Word::Locator, loop_finder(locator, lang))));
        let running = lang.fill(Word::ProviderRunning, &[&runtime.provider_running]);
        let library = format!("{} {}", runtime.library, runtime.version);
        facts.push(fact(Word::Runtime, lang.list(&[running, library, format!("sha256 {}", runtime.sha256)])));
    }
    let verified = &exam.verified;
    let counts = [verified.lines.to_string(), verified.keyframes.to_string()];
    facts.push(fact(Word::RecordHead, lang.fill(Word::RecordWords, &[&counts[0], &counts[1], &verified.head])));
    let amendments = match &verified.amendments_head {
        Some(head) => lang.fill(Word::AmendmentsWords, &[&verified.amendments.to_string(), head]),
        None => lang.say(Word::NoAmendments).to_owned(),
    };
    facts.push(fact(Word::AmendmentsHead, amendments));
    if exam.provenances.len() > 1 {
        facts.push(fact(Word::ExamId, lang.say(Word::SeveralProvenances).to_owned()));
    }
    facts
}

fn classifier(model: &ModelWords, lang: Lang) -> String {
    let ModelWords { name, version, sha256, scheme, labels, cohort, validated_on_patients } = model;
    let validated = lang.say(if *validated_on_patients { Word::Validated } else { Word::NotValidated });
    let told = lang.fill(Word::ModelWords, &[name, version, scheme, &lang.list(labels), cohort, validated]);
    lang.list(&[told, format!("sha256 {sha256}")])
}

fn loop_finder(locator: &LocatorWords, lang: Lang) -> String {
    let LocatorWords { name, version, sha256, cohort, validated_on_patients, provider_running } = locator;
    let validated = lang.say(if *validated_on_patients { Word::Validated } else { Word::NotValidated });
    let told = lang.fill(Word::LocatorWords, &[name, version, cohort, validated]);
    let running = lang.fill(Word::ProviderRunning, &[provider_running]);
    lang.list(&[told, running, format!("sha256 {sha256}")])
}
