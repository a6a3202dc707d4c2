//! What an open exam has come to so far: its fields, its fingers, and the field that is being recorded.

use std::collections::{BTreeMap, BTreeSet};

use super::Seconds;
use crate::aggregate::loops::{LoopPool, of_exam};
use crate::aggregate::{Reader, Rules, exam, field, finger, second};
use crate::exam::journal::Recovered;
use crate::finger::Finger;
use crate::frame::RawFrame;
use crate::measured::Measured;
use crate::outcome::Tally;
use crate::reader::{OwnCallEvent, PreparationEvent};
use crate::report::{Ending, ExamReport, FieldResult, FingerResult, NOTICE, Pooled, Provenance, SCHEMA};
use crate::time::Stamp;

pub struct ExamRun {
    pub id: String,
    pub subject: String,
    from_ms: u64,
    opened: Option<jiff::Timestamp>,
    pub frames: Tally,
    pub fields: Vec<FieldResult>,
    /// How many of `fields` were read before the model changed last.
    pub read_by_another: usize,
    pub fingers: BTreeMap<Finger, FingerResult>,
    pub skipped: BTreeMap<Finger, String>,
    /// Begun before a crash; those of them that have no result were cut off by it.
    cut: BTreeSet<Finger>,
    pub own_calls: BTreeMap<Finger, OwnCallEvent>,
    pub preparation: Option<PreparationEvent>,
    pub field: Option<OpenField>,
}

/// The field being recorded.
pub struct OpenField {
    pub finger: Finger,
    pub number: u32,
    pub from: Stamp,
    pub to: Stamp,
    pub frames: Tally,
    pub pool: field::Pool,
    pub loops: LoopPool,
    /// One a model that does not decide.
    pub second: Vec<field::Pool>,
    /// The best frames so far, best first.
    best: Vec<(f32, RawFrame)>,
    /// The measured frame that shows most of the row, in mm.
    measured: Option<(f32, RawFrame)>,
}

impl OpenField {
    /// With pools for so many models that do not decide.
    pub fn new(finger: Finger, number: u32, from: Stamp, second: usize) -> Self {
        Self {
            finger,
            number,
            from,
            to: from,
            frames: Tally::default(),
            pool: field::Pool::default(),
            loops: LoopPool::default(),
            second: vec![field::Pool::default(); second],
            best: Vec::new(),
            measured: None,
        }
    }

    /// Keeps the frame if it is among the `most` best. Of equals the earlier stays, so that a replay keeps the same.
    pub fn consider(&mut self, weight: f32, raw: &RawFrame, most: usize) {
        let place = self.best.iter().position(|(other, _)| weight > *other).unwrap_or(self.best.len());
        if place < most {
            self.best.insert(place, (weight, raw.clone()));
            self.best.truncate(most);
        }
    }

    /// Keeps a measured frame if more of the row is in view than in those before: that its loops can be shown on it.
    pub fn consider_measured(&mut self, measured: &Measured, raw: &RawFrame) {
        let Some(row_mm) = measured.row_mm else { return };
        if self.measured.as_ref().is_none_or(|(most, _)| row_mm > *most) {
            self.measured = Some((row_mm, raw.clone()));
        }
    }

    /// The best frames, `most` of them. Where any was measured one of them is, in the last place if it is not among
    /// the best anyway.
    pub fn take_best(&mut self, most: usize) -> Vec<RawFrame> {
        let mut best: Vec<RawFrame> = std::mem::take(&mut self.best).into_iter().map(|(_, raw)| raw).collect();
        if let Some((_, raw)) = self.measured.take()
            && !best.iter().any(|kept| kept.id == raw.id)
        {
            best.truncate(most.saturating_sub(1));
            best.push(raw);
        }
        best
    }

    pub fn pooled(&self, rules: &Rules, terms: &Reader) -> Option<Pooled> {
        self.pool.pooled(rules, terms)
    }
}

impl ExamRun {
    pub fn new(id: String, subject: String, at: Stamp, opened: Option<jiff::Timestamp>) -> Self {
        Self {
            id,
            subject,
            from_ms: at.ms(),
            opened,
            frames: Tally::default(),
            fields: Vec::new(),
            read_by_another: 0,
            fingers: BTreeMap::new(),
            skipped: BTreeMap::new(),
            cut: BTreeSet::new(),
            own_calls: BTreeMap::new(),
            preparation: None,
            field: None,
        }
    }

    /// What a crash left. The frames of fields that were lost with it are on no tally.
    pub fn recovered(recovered: Recovered) -> Self {
        let frames = recovered.fields.iter().fold(Tally::default(), |sum, field| finger::add(sum, &field.frames));
        Self {
            id: recovered.exam,
            subject: recovered.subject,
            from_ms: recovered.from_ms,
            opened: recovered.opened,
            frames,
            fields: recovered.fields,
            read_by_another: recovered.read_by_another,
            fingers: recovered.fingers.into_iter().map(|result| (result.finger, result)).collect(),
            skipped: recovered.skipped,
            cut: recovered.begun,
            own_calls: recovered.own_calls,
            preparation: recovered.preparation,
            field: None,
        }
    }

    /// The fields that the present model has read.
    pub fn own_fields(&self) -> impl Iterator<Item = &FieldResult> {
        self.fields.iter().skip(self.read_by_another)
    }

    /// Decides a finger from all its fields that the present model has read, those of an earlier round included.
    pub fn decide(&mut self, finger: Finger, rules: &Rules, terms: &Reader, seconds: &Seconds) -> FingerResult {
        let fields = self.fields.get(self.read_by_another..).unwrap_or_default();
        let mut result = finger::decide(finger, fields, rules, terms);
        let calls = |(model, terms): &(String, Reader)| second::decide(model, finger, fields, rules, terms);
        result.second = seconds.iter().map(calls).collect();
        self.fingers.insert(finger, result.clone());
        result
    }

    pub fn report(
        &self,
        at: Stamp,
        closed: Option<jiff::Timestamp>,
        ending: Ending,
        terms: &Reader,
        provenance: Provenance,
    ) -> ExamReport {
        let fingers: Vec<FingerResult> = self.fingers.values().cloned().collect();
        let summary = exam::summarise(&fingers, &self.skipped, &self.cut, terms);
        let measured = of_exam(fingers.iter().map(|f| (f.finger, f.measured.as_ref())));
        ExamReport {
            schema: SCHEMA,
            notice: NOTICE.to_owned(),
            exam: self.id.clone(),
            subject: self.subject.clone(),
            from_ms: self.from_ms,
            to_ms: at.ms(),
            opened: self.opened,
            closed,
            ending,
            fingers,
            measured,
            skipped: self.skipped.clone(),
            summary,
            frames: self.frames.clone(),
            provenance,
        }
    }
}
