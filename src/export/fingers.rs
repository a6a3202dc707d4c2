//! Finger by finger: the row of the table, and the card with the best kept frames.

use std::collections::BTreeSet;
use std::path::Path;

use super::ExportError;
use super::exam::{Exam, Keyframe};
use super::overlay::overlay;
use super::page::{Card, Shot, Table};
use super::picture::{Unseen, load};
use super::words::{Lang, Word};
use crate::fast_track::Verdict;
use crate::finger::Finger;
use crate::measured::{FieldMeasured, Interval};
use crate::report::{Confidence, Decision, FieldDoubt, FieldResult, FieldVerdict, FingerResult};

/// What was not measured, in a cell.
const NONE: &str = "–";

/// The eight of the protocol, and a thumb that was examined all the same.
fn shown(exam: &Exam) -> Vec<Finger> {
    let recorded = exam.fingers.keys().copied().chain(exam.fields.iter().map(|field| field.finger));
    let thumbs: BTreeSet<Finger> = recorded.filter(|finger| !finger.in_protocol()).collect();
    Finger::PROTOCOL.into_iter().chain(thumbs).collect()
}

pub(super) fn table(exam: &Exam, lang: Lang) -> Table {
    let columns = [
        Word::ColFinger,
        Word::ColMachine,
        Word::ColReader,
        Word::ColFields,
        Word::ColFrames,
        Word::ColDensity,
        Word::ColMedian,
        Word::ColLargest,
        Word::ColGiants,
        Word::ColHaemorrhages,
        Word::ColGaps,
    ];
    Table {
        heading: lang.say(Word::Fingers).to_owned(),
        columns: columns.map(|word| lang.say(word).to_owned()).to_vec(),
        rows: shown(exam).into_iter().map(|finger| row(exam, finger, lang)).collect(),
        explained: lang.say(Word::ColumnsExplained).to_owned(),
    }
}

fn row(exam: &Exam, finger: Finger, lang: Lang) -> Vec<String> {
    let none = || NONE.to_owned();
    let name = format!("{finger}\n{}", lang.finger(finger));
    let reader = reader(exam, finger, lang).unwrap_or_else(none);
    let Some(result) = exam.fingers.get(&finger) else {
        let mut row = vec![name, call(exam, finger, lang), reader];
        row.resize_with(11, none);
        return row;
    };
    let fields: Vec<&FieldMeasured> = fields_of(exam, finger).filter_map(|field| field.measured.as_ref()).collect();
    let measured = result.measured.as_ref();
    vec![
        name,
        call(exam, finger, lang),
        reader,
        format!("{}/{}/{}", result.fields_positive, result.fields_negative, result.fields_not_classifiable),
        format!("{}/{}", result.frames.scored, result.frames.produced),
        density(result, &fields, lang).unwrap_or_else(none),
        medians(&fields, lang).unwrap_or_else(none),
        measured.and_then(|m| m.widest_apical_um).map_or_else(none, |um| lang.number(um.into(), 0)),
        measured.and_then(|m| m.giants).map_or_else(none, |n| n.to_string()),
        sum(fields.iter().map(|field| field.haemorrhages)).map_or_else(none, |n| n.to_string()),
        gaps(exam, finger, lang).unwrap_or_else(none),
    ]
}

fn fields_of(exam: &Exam, finger: Finger) -> impl Iterator<Item = &FieldResult> {
    exam.fields.iter().filter(move |field| field.finger == finger)
}

/// The machine's call, or why there is none.
pub(super) fn call(exam: &Exam, finger: Finger, lang: Lang) -> String {
    match (exam.fingers.get(&finger), exam.skipped.get(&finger)) {
        (Some(result), _) => decision(&result.decision, lang),
        (None, Some(reason)) => lang.fill(Word::Skipped, &[reason]),
        (None, None) if fields_of(exam, finger).next().is_some() => lang.say(Word::NoCallYet).to_owned(),
        (None, None) if exam.begun.contains(&finger) => {
            lang.say(if exam.report.is_some() { Word::CutOff } else { Word::NoCallYet }).to_owned()
        }
        (None, None) => lang.say(Word::NotExamined).to_owned(),
    }
}

fn decision(decision: &Decision, lang: Lang) -> String {
    match decision {
        Decision::Called { label, confidence, .. } => {
            let (word, figure) = match confidence {
                Confidence::Probability(p) => (Word::Probability, p),
                Confidence::Score(s) => (Word::Score, s),
            };
            lang.list(&[lang.label(label), lang.fill(word, &[&lang.number(f64::from(*figure), 2)])])
        }
        Decision::Abstained { why } => lang.fill(Word::NotClassifiable, &[lang.abstain(*why)]),
    }
}

fn reader(exam: &Exam, finger: Finger, lang: Lang) -> Option<String> {
    exam.call(finger).map(|called| format!("{}\n{}", lang.own_call(called.call), called.by))
}

fn density(result: &FingerResult, fields: &[&FieldMeasured], lang: Lang) -> Option<String> {
    let measured = result.measured.as_ref()?;
    let least = fields.iter().filter_map(|f| f.density_per_mm).min_by(|a, b| a.value.total_cmp(&b.value))?;
    let mean = lang.number(measured.density_mean_per_mm.into(), 1);
    Some(format!("{mean}\n{}", lang.fill(Word::Least, &[&interval(least, lang)])))
}

fn interval(Interval { value, low, high }: Interval, lang: Lang) -> String {
    let [value, low, high] = [value, low, high].map(|figure| lang.number(figure.into(), 1));
    format!("{value} ({low}–{high})")
}

/// The middle width of each measured field.
fn medians(fields: &[&FieldMeasured], lang: Lang) -> Option<String> {
    let all: Vec<String> =
        fields.iter().filter_map(|f| f.median_apical_um).map(|um| lang.number(um.into(), 0)).collect();
    (!all.is_empty()).then(|| all.join(" · "))
}

/// `None` where one is not known, or there is none.
fn sum(counts: impl Iterator<Item = Option<u32>>) -> Option<u32> {
    let counts = counts.collect::<Option<Vec<u32>>>()?;
    (!counts.is_empty()).then(|| counts.iter().sum())
}

/// Of the picture that is shown first.
fn gaps(exam: &Exam, finger: Finger, lang: Lang) -> Option<String> {
    let best = *best(exam, finger, 1).first()?;
    let measured = best.measured.as_ref().filter(|measured| measured.row_mm.is_some())?;
    let longest = measured.gaps.iter().map(|gap| gap.length_um).max_by(f32::total_cmp);
    Some(match longest {
        None => "0".to_owned(),
        Some(um) => format!("{} ({} µm)", measured.gaps.len(), lang.number(um.into(), 0)),
    })
}

/// The kept frames that show most, best first, each of another field as long as there are fields: those of positive
/// and contradictory fields before those of negative ones, then those with a measured row, those with more of it, those
/// that the gate weighs more.
fn best(exam: &Exam, finger: Finger, most: usize) -> Vec<&Keyframe> {
    let rank = |kept: &Keyframe| {
        let field = exam.fields.iter().rev().find(|f| f.finger == finger && f.number == kept.field);
        let bears = match field.map(|f| f.verdict) {
            Some(FieldVerdict::Positive | FieldVerdict::NotClassifiable(FieldDoubt::Contradiction)) => 2,
            Some(FieldVerdict::Negative) => 1,
            Some(FieldVerdict::NotClassifiable(_)) | None => 0,
        };
        let row = kept.measured.as_ref().and_then(|m| m.row_mm).unwrap_or(-1.0);
        (kept.evidence.file.is_some(), bears, row, kept.weight.unwrap_or(0.0))
    };
    let mut all: Vec<&Keyframe> = exam.keyframes.iter().filter(|kept| kept.finger == finger).collect();
    all.sort_by(|a, b| {
        let (a, b) = (rank(a), rank(b));
        (b.0, b.1).cmp(&(a.0, a.1)).then(b.2.total_cmp(&a.2)).then(b.3.total_cmp(&a.3))
    });
    let first_of_field = |i: usize| !all[..i].iter().any(|before| before.field == all[i].field);
    let (firsts, others): (Vec<usize>, Vec<usize>) = (0..all.len()).partition(|i| first_of_field(*i));
    firsts.into_iter().chain(others).take(most).map(|i| all[i]).collect()
}

/// One card an examined finger.
pub(super) fn cards(folder: &Path, exam: &Exam, lang: Lang, frames: usize) -> Result<Vec<Card>, ExportError> {
    let examined = |finger: &Finger| fields_of(exam, *finger).next().is_some() || exam.fingers.contains_key(finger);
    shown(exam).into_iter().filter(examined).map(|finger| card(folder, exam, finger, lang, frames)).collect()
}

fn card(folder: &Path, exam: &Exam, finger: Finger, lang: Lang, frames: usize) -> Result<Card, ExportError> {
    let mut shots = Vec::new();
    let mut unseen = None;
    for kept in best(exam, finger, frames) {
        match shot(folder, exam, kept, lang)? {
            Ok(shot) => shots.push(shot),
            Err(Unseen::NotKept) => unseen = Some(lang.say(Word::FrameNotKept).to_owned()),
            Err(Unseen::Damaged(damage)) => unseen = Some(lang.fill(Word::FrameDamaged, &[lang.damage(damage)])),
        }
    }
    if shots.is_empty() && unseen.is_none() {
        unseen = Some(lang.say(Word::NoFrame).to_owned());
    }
    Ok(Card {
        finger: format!("{finger}  {}", lang.finger(finger)),
        call: call(exam, finger, lang),
        called: matches!(exam.fingers.get(&finger), Some(FingerResult { decision: Decision::Called { .. }, .. })),
        reader: match exam.call(finger) {
            Some(called) => lang.pair(lang.say(Word::ColReader), lang.own_call(called.call)),
            None => lang.say(Word::NoOwnCall).to_owned(),
        },
        shots,
        unseen,
        fields: fields_of(exam, finger)
            .map(|field| field_line(field, lang))
            .chain(corrections(exam, finger, lang))
            .collect(),
    })
}

fn shot(folder: &Path, exam: &Exam, kept: &Keyframe, lang: Lang) -> Result<Result<Shot, Unseen>, ExportError> {
    let announced = exam.provenance().and_then(|made| made.source.size);
    let picture = match load(folder, &kept.evidence, announced)? {
        Ok(picture) => picture,
        Err(unseen) => return Ok(Err(unseen)),
    };
    let measured = exam.shown_on(kept);
    let measured = measured.as_ref();
    let bar = format!("{} mm", lang.number(0.5, 1));
    let overlay = overlay(picture.size, measured, &bar);
    let mut caption = vec![lang.fill(Word::Caption, &[&kept.field.to_string(), &kept.evidence.frame.to_string()])];
    match measured {
        None => caption.push(lang.say(Word::CaptionNotMeasured).to_owned()),
        Some(measured) => {
            caption.extend(measured.density_per_mm.map(|density| format!("{}/mm", interval(density, lang))));
            caption.extend(measured.not_measured.map(|why| lang.not_measured(why).to_owned()));
        }
    }
    let alt = lang.fill(Word::CaptionAlt, &[lang.finger(kept.finger), &overlay.loops.to_string()]);
    Ok(Ok(Shot { picture, overlay, caption: lang.list(&caption), alt }))
}

/// What the reader's corrections come to: a line a corrected field, and one for the finger.
fn corrections(exam: &Exam, finger: Finger, lang: Lang) -> Vec<String> {
    let corrected = |field: &FieldResult| Some((field.number, exam.corrected(finger, field.number)?));
    let mut lines: Vec<String> = fields_of(exam, finger)
        .filter_map(corrected)
        .map(|(number, corrected)| {
            let corrected = match corrected {
                Ok(corrected) => corrected,
                Err(why) => return lang.fill(Word::NotCorrectable, &[&number.to_string(), &why.to_string()]),
            };
            let (number, count) = (number.to_string(), corrected.corrections.to_string());
            let head = lang.fill(Word::CorrectedField, &[&number, corrected.by.as_str(), &count]);
            let mut parts = measures(&corrected.field, lang);
            parts.pop();
            match corrected.field.fast_track {
                Verdict::Decided { rule, .. } => parts.insert(0, lang.rule(rule).to_owned()),
                Verdict::Undetermined => parts.insert(0, lang.say(Word::Undetermined).to_owned()),
            }
            lang.pair(&head, &parts.join("; "))
        })
        .collect();
    if let Some(measured) = exam.corrected_finger(finger) {
        let [mean, least] =
            [measured.density_mean_per_mm, measured.density_least_per_mm].map(|d| lang.number(d.into(), 1));
        lines.push(lang.fill(Word::CorrectedFinger, &[&mean, &least]));
    }
    lines
}

/// What one field came to, in a line.
fn field_line(field: &FieldResult, lang: Lang) -> String {
    let mut parts = vec![match field.verdict {
        FieldVerdict::Positive => lang.say(Word::Above).to_owned(),
        FieldVerdict::Negative => lang.say(Word::Below).to_owned(),
        FieldVerdict::NotClassifiable(doubt) => lang.doubt(doubt).to_owned(),
    }];
    match field.rule {
        Some(Verdict::Decided { rule, .. }) => parts.push(lang.rule(rule).to_owned()),
        Some(Verdict::Undetermined) => parts.push(lang.say(Word::Undetermined).to_owned()),
        None => {}
    }
    if let Some(measured) = &field.measured {
        parts.extend(measures(measured, lang));
    }
    lang.pair(&lang.fill(Word::FieldLine, &[&field.number.to_string()]), &parts.join("; "))
}

fn measures(field: &FieldMeasured, lang: Lang) -> Vec<String> {
    let mut parts = Vec::new();
    if field.borderline {
        parts.push(lang.say(Word::Borderline).to_owned());
    }
    if let Some(Interval { value, low, high }) = field.density_per_mm {
        let figures = [value, low, high].map(|figure| lang.number(figure.into(), 1));
        parts.push(lang.fill(Word::MeasuredDensity, &figures.each_ref().map(String::as_str)));
    }
    let um = |word, figure: Option<f32>| figure.map(|um| lang.fill(word, &[&lang.number(um.into(), 0)]));
    parts.extend(um(Word::MeasuredMedian, field.median_apical_um));
    parts.extend(um(Word::MeasuredLargest, field.widest_apical_um));
    let count = |word, figure: Option<u32>| figure.map(|n| lang.fill(word, &[&n.to_string()]));
    parts.extend(count(Word::MeasuredGiants, field.giants));
    parts.extend(count(Word::MeasuredAbnormal, field.abnormal));
    parts.extend(count(Word::MeasuredHaemorrhages, field.haemorrhages));
    parts.extend(field.not_measured.map(|why| lang.not_measured(why).to_owned()));
    let (agreeing, frames) = (field.agreeing.to_string(), field.frames.to_string());
    parts.push(lang.fill(Word::MeasuredFrames, &[&agreeing, &frames]));
    parts
}
