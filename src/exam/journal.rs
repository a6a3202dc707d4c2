//! What the lines of an exam say of how far it came, so that it can be resumed or closed after a crash.
//! A pure fold over the lines; reading them from the disk is `record`'s work.

use std::collections::{BTreeMap, BTreeSet};

use crate::finger::Finger;
use crate::reader::{OwnCallEvent, PreparationEvent};
use crate::report::{Event, ExamEvent, ExamReport, FieldResult, FingerResult, Line, ModelEvent, Provenance};

/// Plain facts of an exam that did not reach its end. Nothing here is inferred.
#[derive(Clone, Debug, PartialEq)]
pub struct Recovered {
    pub exam: String,
    pub subject: String,
    pub opened: Option<jiff::Timestamp>,
    /// On the clock of the source that the exam was opened with.
    pub from_ms: u64,
    /// Of the exam's opening, of each time it was resumed, and of each change of model.
    pub provenances: Vec<Provenance>,
    /// All results, in the order in which they were written; a finger examined again stands here again.
    pub fingers: Vec<FingerResult>,
    /// All results, in the order in which they were written.
    pub fields: Vec<FieldResult>,
    /// How many of `fields` were read before the model changed last.
    pub read_by_another: usize,
    pub skipped: BTreeMap<Finger, String>,
    /// The newest of each finger.
    pub own_calls: BTreeMap<Finger, OwnCallEvent>,
    /// The newest.
    pub preparation: Option<PreparationEvent>,
    /// Every finger that was begun.
    pub begun: BTreeSet<Finger>,
    /// Begun and without a result.
    pub recording: Option<Finger>,
    /// The newest field of that finger, begun and without a result.
    pub field: Option<u32>,
    /// Those of `fields` whose finger has no result yet: their frames are in no finger's tally.
    pub undecided: Vec<FieldResult>,
    /// Frames scored after the last field result, whose field was lost. The frames that the gate refused
    /// meanwhile are not on record.
    pub unpooled: u64,
    pub lines: u64,
    /// On the clock of the newest line's source: after a resumption this may be less than `from_ms`.
    pub last_ms: u64,
    pub last: Option<jiff::Timestamp>,
    /// The newest step of the exam is `Interrupted`.
    pub interrupted: bool,
    /// The exam was closed, whatever else is missing.
    pub closed: Option<Box<ExamReport>>,
}

impl Recovered {
    /// `None` unless the line opens an exam.
    pub fn begin(line: &Line) -> Option<Self> {
        let Event::Exam(ExamEvent::Opened { subject, provenance }) = &line.event else { return None };
        Some(Self {
            exam: line.exam.clone()?,
            subject: subject.clone(),
            opened: line.date,
            from_ms: line.at_ms,
            provenances: vec![(**provenance).clone()],
            fingers: Vec::new(),
            fields: Vec::new(),
            read_by_another: 0,
            skipped: BTreeMap::new(),
            own_calls: BTreeMap::new(),
            preparation: None,
            begun: BTreeSet::new(),
            recording: None,
            field: None,
            undecided: Vec::new(),
            unpooled: 0,
            lines: 1,
            last_ms: line.at_ms,
            last: line.date,
            interrupted: false,
            closed: None,
        })
    }

    /// Takes the next line.
    pub fn take(&mut self, line: Line) {
        self.lines += 1;
        self.last_ms = line.at_ms;
        self.last = line.date.or(self.last);
        match line.event {
            Event::Exam(step) => self.step(step),
            Event::Finding(finding) if finding.finger.is_some() => self.unpooled += 1,
            Event::Field(field) => self.take_field(field),
            Event::Finger(finger) => self.take_finger(finger),
            Event::OwnCall(call) => {
                self.own_calls.insert(call.finger, call);
            }
            Event::Preparation(preparation) => self.preparation = Some(preparation),
            Event::Model(ModelEvent { provenance: Some(provenance), .. }) => {
                self.provenances.push(*provenance);
                self.read_by_another = self.fields.len();
            }
            Event::Finding(_)
            | Event::Command(_)
            | Event::Model(_)
            | Event::Source(_)
            | Event::Quality(_)
            | Event::Measured(_)
            | Event::Opinions(_)
            | Event::Disagreement(_)
            | Event::Fault(_)
            | Event::Missed { .. }
            | Event::State(_) => {}
        }
    }

    fn step(&mut self, step: ExamEvent) {
        self.interrupted = matches!(step, ExamEvent::Interrupted);
        match step {
            ExamEvent::FingerBegan { finger } => {
                self.begun.insert(finger);
                self.recording = Some(finger);
                self.field = None;
                self.skipped.remove(&finger);
            }
            ExamEvent::FieldBegan { finger, number, .. } => {
                self.recording = Some(finger);
                self.field = Some(number);
            }
            ExamEvent::Skipped { finger, reason } => {
                self.skipped.insert(finger, reason);
            }
            ExamEvent::Resumed { provenance } => self.provenances.push(*provenance),
            ExamEvent::Closed { report } => self.closed = Some(report),
            ExamEvent::Opened { .. } | ExamEvent::Interrupted => {}
        }
    }

    fn take_field(&mut self, field: FieldResult) {
        self.unpooled = 0;
        if self.field == Some(field.number) {
            self.field = None;
        }
        self.undecided.push(field.clone());
        self.fields.push(field);
    }

    fn take_finger(&mut self, finger: FingerResult) {
        if self.recording == Some(finger.finger) {
            self.recording = None;
            self.field = None;
        }
        self.unpooled = 0;
        self.undecided.retain(|field| field.finger != finger.finger);
        self.fingers.push(finger);
    }
}
