//! Where lines go: the exam's record first, then the plain file, then whoever listens. One place numbers them.

use std::sync::Arc;

use crossbeam_channel::Sender;

use crate::emit::jsonl::JsonlFile;
use crate::emit::{Bus, Present};
use crate::finger::Finger;
use crate::frame::RawFrame;
use crate::record::keyframes::unrecorded;
use crate::record::{RecordError, Writer};
use crate::report::{Event, Evidence, Fault, FaultKind, Line, NOTICE, SCHEMA, Snapshot};
use crate::time::{Clock, Stamp};

/// What is configured, and what only some commands want.
#[derive(Default)]
pub struct Outlets {
    pub bus: Option<Bus>,
    pub file: Option<JsonlFile>,
    /// Takes every line in this process: a replay's own output. Blocks rather than lose one.
    pub tap: Option<Sender<Arc<Line>>>,
}

pub struct Publisher {
    clock: Clock,
    outlets: Outlets,
    record: Option<Writer>,
    exam: Option<String>,
    n: u64,
    record_failing: bool,
    file_failing: bool,
    /// Faults that arose while a line was written; they become lines of their own.
    pending: Vec<Fault>,
}

impl Publisher {
    pub fn new(clock: Clock, outlets: Outlets) -> Self {
        Self {
            clock,
            outlets,
            record: None,
            exam: None,
            n: 0,
            record_failing: false,
            file_failing: false,
            pending: Vec::new(),
        }
    }

    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The exam whose lines follow, with its record where one is kept.
    pub fn begin_exam(&mut self, exam: String, record: Option<Writer>) {
        self.exam = Some(exam);
        self.record = record;
        self.record_failing = false;
    }

    /// The lines that follow belong to no exam.
    pub fn end_exam(&mut self) {
        self.exam = None;
        self.record = None;
    }

    /// Builds the next line without sending it: the first line of a record is needed to make the record.
    pub fn line(&mut self, at: Stamp, exam: Option<String>, event: Event) -> Line {
        self.n += 1;
        Line {
            schema: SCHEMA,
            n: self.n,
            at_ms: at.ms(),
            date: self.clock.date(at),
            exam,
            notice: NOTICE.to_owned(),
            event,
        }
    }

    /// Writes `event` to every outlet. Returns the faults that came of it and are now lines themselves.
    pub fn publish(&mut self, at: Stamp, event: Event) -> Vec<Fault> {
        let line = self.line(at, self.exam.clone(), event);
        self.put_on_record(&line);
        self.send(line);
        let mut told = Vec::new();
        while let Some(fault) = self.pending.pop() {
            let line = self.line(at, self.exam.clone(), Event::Fault(fault.clone()));
            if !self.record_failing {
                self.put_on_record(&line);
            }
            self.send(line);
            told.push(fault);
        }
        told
    }

    /// Sends a line that is on record already, or belongs to none.
    pub fn send(&mut self, line: Line) {
        if let Some(file) = &mut self.outlets.file {
            let written = file.write(&line);
            match written {
                Ok(()) if self.file_failing => {
                    self.file_failing = false;
                    self.pending.push(output_fault("the output file is written again".to_owned(), true));
                }
                Err(error) if !self.file_failing => {
                    self.file_failing = true;
                    self.pending.push(output_fault(error.to_string(), false));
                }
                Ok(()) | Err(_) => {}
            }
        }
        let line = Arc::new(line);
        if let Some(tap) = &self.outlets.tap {
            // A tap that was closed has seen all it wanted.
            let _gone = tap.send(Arc::clone(&line));
        }
        if let Some(bus) = &self.outlets.bus {
            bus.publish(line);
        }
    }

    fn put_on_record(&mut self, line: &Line) {
        let Some(record) = &mut self.record else { return };
        match record.append(line) {
            Ok(caught_up) => {
                self.record_failing = false;
                self.pending.extend(caught_up);
            }
            Err(error) => self.note_record(&error),
        }
    }

    fn note_record(&mut self, error: &RecordError) {
        if !self.record_failing {
            self.record_failing = true;
            tracing::error!(%error, "the record cannot be written");
            self.pending.push(error.fault());
        }
    }

    /// Keeps a frame behind a result; where that fails the frame is still named by its digest.
    pub fn keep(&mut self, finger: Finger, field: u32, frame: &RawFrame) -> Evidence {
        let kept = self.record.as_mut().map(|record| record.keyframe(finger, field, frame));
        match kept {
            Some(Ok(evidence)) => evidence,
            Some(Err(error)) => {
                self.note_record(&error);
                unrecorded(frame)
            }
            None => unrecorded(frame),
        }
    }

    pub fn show(&self, at: Stamp, snapshot: Snapshot) {
        if let Some(bus) = &self.outlets.bus {
            bus.present(Present {
                at_ms: at.ms(),
                date: self.clock.date(at),
                exam: self.exam.clone(),
                snapshot: Arc::new(snapshot),
            });
        }
    }
}

fn output_fault(message: String, cleared: bool) -> Fault {
    let action = "free space or mend the disk; the sockets and the record go on".to_owned();
    Fault { kind: FaultKind::Output, message, action, cleared }
}
