//! What the lines of a record come to, as far as a report shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::ExportError;
use crate::exam::journal::Recovered;
use crate::finger::Finger;
use crate::frame::FrameId;
use crate::measured::{Limits, Measured};
use crate::reader::{OwnCall, OwnCallEvent, PreparationEvent};
use crate::record::amend::{Amendment, AmendmentLine, Remark};
use crate::record::verify::{Record, Verified, read};
use crate::report::{Event, Evidence, ExamEvent, ExamReport, Fault, FieldResult, FingerResult, Line, Provenance};

/// A kept frame and what was measured on it.
#[derive(Debug)]
pub(super) struct Keyframe {
    pub(super) finger: Finger,
    pub(super) field: u32,
    pub(super) evidence: Evidence,
    /// The gate's weight of this frame.
    pub(super) weight: Option<f32>,
    pub(super) measured: Option<Measured>,
}

/// A reader's own call, from the exam itself or added to it later.
#[derive(Debug)]
pub(super) struct Called {
    pub(super) finger: Finger,
    pub(super) call: OwnCall,
    pub(super) comment: Option<String>,
    pub(super) by: String,
    pub(super) date: Option<jiff::Timestamp>,
    pub(super) blinded: Option<bool>,
    pub(super) amended: bool,
}

#[derive(Debug)]
pub(super) struct Exam {
    pub(super) verified: Verified,
    pub(super) subject: String,
    pub(super) opened: Option<jiff::Timestamp>,
    /// There once the exam is closed.
    pub(super) report: Option<Box<ExamReport>>,
    /// Of the opening, and of each resumption.
    pub(super) provenances: Vec<Provenance>,
    /// The newest result of each finger.
    pub(super) fingers: BTreeMap<Finger, FingerResult>,
    pub(super) fields: Vec<FieldResult>,
    pub(super) skipped: BTreeMap<Finger, String>,
    pub(super) begun: BTreeSet<Finger>,
    pub(super) preparation: Option<PreparationEvent>,
    /// In the order in which they were given.
    pub(super) calls: Vec<Called>,
    pub(super) keyframes: Vec<Keyframe>,
    /// Faults of the exam that were not over on the same line.
    pub(super) faults: Vec<Fault>,
    pub(super) amendments: Vec<AmendmentLine>,
}

impl Exam {
    pub(super) fn read(folder: &Path) -> Result<Self, ExportError> {
        let mut gathered = Gathered::default();
        let record = read(folder, |line| gathered.take(line))?;
        gathered.pair();
        Ok(gathered.into_exam(record))
    }

    /// What the results were made with; of several, the newest.
    pub(super) fn provenance(&self) -> Option<&Provenance> {
        self.report.as_ref().map(|report| &report.provenance).or(self.provenances.last())
    }

    /// What counted as a loop when it was measured; of several, the newest. Records from before that was kept are taken to have had the defaults.
    pub(super) fn limits(&self) -> Limits {
        self.provenance().and_then(|made| made.limits.clone()).unwrap_or_default()
    }

    /// When the newest of it was written.
    pub(super) fn dated(&self) -> Option<jiff::Timestamp> {
        let amended = self.amendments.last().map(|line| line.date);
        amended.or(self.report.as_ref().and_then(|report| report.closed)).or(self.opened)
    }

    /// The newest call of a finger holds.
    pub(super) fn call(&self, finger: Finger) -> Option<&Called> {
        self.calls.iter().rev().find(|called| called.finger == finger)
    }

    pub(super) fn comments(&self) -> impl Iterator<Item = (&AmendmentLine, &Remark)> {
        self.amendments.iter().filter_map(|line| match &line.amendment {
            Amendment::Comment { text } => Some((line, text)),
            Amendment::OwnCall { .. } | Amendment::Loop { .. } | Amendment::Signature { .. } => None,
        })
    }
}

#[derive(Default)]
struct Gathered {
    recovered: Option<Recovered>,
    calls: Vec<Called>,
    keyframes: Vec<Keyframe>,
    faults: Vec<Fault>,
    /// Since the source's numbers began: after a restart they begin again.
    measured: BTreeMap<FrameId, Measured>,
    weights: BTreeMap<FrameId, f32>,
    /// Keyframes before this one are paired.
    paired: usize,
}

impl Gathered {
    fn take(&mut self, line: Line) {
        match &line.event {
            Event::Measured(found) => {
                self.measured.insert(found.frame, found.measured.clone());
            }
            Event::Finding(finding) => {
                self.weights.insert(finding.frame, finding.quality.weight);
            }
            Event::Field(field) => self.keep(field),
            Event::OwnCall(call) => self.call(call, line.date),
            Event::Exam(ExamEvent::Interrupted | ExamEvent::Resumed { .. }) => self.pair(),
            Event::Fault(fault) if !fault.cleared => self.faults.push(fault.clone()),
            _ => {}
        }
        match &mut self.recovered {
            Some(recovered) => recovered.take(line),
            None => self.recovered = Recovered::begin(&line),
        }
    }

    fn keep(&mut self, field: &FieldResult) {
        self.keyframes.extend(field.evidence.iter().map(|evidence| Keyframe {
            finger: field.finger,
            field: field.number,
            evidence: evidence.clone(),
            weight: None,
            measured: None,
        }));
    }

    fn call(&mut self, call: &OwnCallEvent, date: Option<jiff::Timestamp>) {
        let OwnCallEvent { finger, call, comment, blinded, by } = call.clone();
        self.calls.push(Called { finger, call, comment, by, date, blinded, amended: false });
    }

    /// Gives each kept frame what was measured on it. The loops of a live frame may be told after its field's result.
    fn pair(&mut self) {
        for kept in &mut self.keyframes[self.paired..] {
            kept.measured = self.measured.get(&kept.evidence.frame).cloned();
            kept.weight = self.weights.get(&kept.evidence.frame).copied();
        }
        self.paired = self.keyframes.len();
        self.measured.clear();
        self.weights.clear();
    }

    fn into_exam(self, record: Record) -> Exam {
        let Record { verified, closed, amendments, .. } = record;
        let amended = amendments.iter().filter_map(amended_call);
        let calls = self.calls.into_iter().chain(amended).collect();
        let recovered = self.recovered;
        let mut exam = Exam {
            subject: recovered.as_ref().map(|r| r.subject.clone()).unwrap_or_default(),
            opened: recovered.as_ref().and_then(|r| r.opened),
            report: closed,
            provenances: Vec::new(),
            fingers: BTreeMap::new(),
            fields: Vec::new(),
            skipped: BTreeMap::new(),
            begun: BTreeSet::new(),
            preparation: None,
            calls,
            keyframes: self.keyframes,
            faults: self.faults,
            amendments,
            verified,
        };
        if let Some(recovered) = recovered {
            exam.provenances = recovered.provenances;
            exam.fields = recovered.fields;
            exam.fingers = recovered.fingers.into_iter().map(|result| (result.finger, result)).collect();
            exam.skipped = recovered.skipped;
            exam.begun = recovered.begun;
            exam.preparation = recovered.preparation;
        }
        if let Some(report) = &exam.report {
            exam.fingers = report.fingers.iter().map(|result| (result.finger, result.clone())).collect();
            exam.skipped = report.skipped.clone();
        }
        exam
    }
}

fn amended_call(line: &AmendmentLine) -> Option<Called> {
    let Amendment::OwnCall { finger, call, comment } = &line.amendment else { return None };
    Some(Called {
        finger: *finger,
        call: *call,
        comment: comment.as_ref().map(ToString::to_string),
        by: line.by.to_string(),
        date: Some(line.date),
        blinded: None,
        amended: true,
    })
}
