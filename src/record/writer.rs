//! Writes one exam's record. A line that cannot be written harms nothing that was, and is accounted for by the
//! next line that can.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::append::{AppendFile, write_whole};
use crate::finger::Finger;
use crate::frame::RawFrame;
use crate::record::chain::{Link, seal};
use crate::record::keyframes::Keyframes;
use crate::record::{Durability, EVENTS, ExamId, MAX_LINE, REPORT, RecordError, RecordErrorKind};
use crate::report::{Event, Evidence, ExamEvent, ExamReport, Fault, FaultKind, Line, NOTICE, SCHEMA};

/// Lines that are on no record, and why.
#[derive(Debug)]
struct Gap {
    lines: u64,
    from_ms: u64,
    to_ms: u64,
    why: RecordErrorKind,
}

/// The end of an exam takes two steps: its last line, then its report.
#[derive(Debug)]
enum Phase {
    Open,
    /// The last line is written, the report is not.
    Closing(Box<ExamReport>),
    Closed,
}

/// The only writer of one exam's record.
#[derive(Debug)]
pub struct Writer {
    exam: ExamId,
    folder: PathBuf,
    events: AppendFile,
    keyframes: Keyframes,
    link: Link,
    lines: u64,
    gap: Option<Gap>,
    phase: Phase,
}

/// A `Line` as it stands on record: with this record's own number and exam.
#[derive(Serialize)]
struct Entry<'a> {
    schema: u32,
    n: u64,
    at_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    date: Option<jiff::Timestamp>,
    exam: &'a str,
    notice: &'a str,
    #[serde(flatten)]
    event: &'a Event,
}

/// The report as it stands in the exam's folder.
#[derive(Serialize)]
struct Closing<'a> {
    #[serde(flatten)]
    report: &'a ExamReport,
    /// The link of the last line: written down elsewhere, it vouches for the whole record.
    events_sha256: &'a str,
}

impl Writer {
    /// Starts a record in an empty folder.
    pub(super) fn begin(exam: &ExamId, folder: &Path, opening: &Line) -> Result<Self, RecordError> {
        if !matches!(opening.event, Event::Exam(ExamEvent::Opened { .. })) {
            return Err(RecordError::new(RecordErrorKind::Invalid, "a record begins with the opening of its exam"));
        }
        let events = AppendFile::create(&folder.join(EVENTS))?;
        let mut writer = Self::after(exam, folder, events, Link::genesis(exam), 0)?;
        writer.append(opening)?;
        Ok(writer)
    }

    /// Goes on after the last whole line of a record.
    pub(super) fn after(
        exam: &ExamId,
        folder: &Path,
        events: AppendFile,
        link: Link,
        lines: u64,
    ) -> Result<Self, RecordError> {
        let keyframes = Keyframes::of(folder)?;
        Ok(Self {
            exam: exam.clone(),
            folder: folder.to_owned(),
            events,
            keyframes,
            link,
            lines,
            gap: None,
            phase: Phase::Open,
        })
    }

    pub fn exam(&self) -> &ExamId {
        &self.exam
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Lines on record.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Lines that could not be written and that no line on record accounts for yet.
    pub fn unrecorded(&self) -> u64 {
        self.gap.as_ref().map_or(0, |gap| gap.lines)
    }

    /// Writes a line, under this record's own numbers, as safe as its event asks for. `Closed` also writes the
    /// exam's report and ends the record.
    ///
    /// When lines before it could not be written, a fault that says so is put on record first and returned.
    /// An error other than `Closed` may be answered with the next line: what was written before is whole, and a
    /// line that could not be written is counted. An exam's `Closed` line is not: it has to be tried again.
    ///
    /// Kinds: `Full`, `Denied`, `Gone`, `Damaged`, `Closed`, `Invalid`, `Io`.
    pub fn append(&mut self, line: &Line) -> Result<Option<Fault>, RecordError> {
        let closing = match &line.event {
            Event::Exam(ExamEvent::Closed { report }) => Some(report),
            _ => None,
        };
        match (&self.phase, closing) {
            (Phase::Open, _) => {}
            (Phase::Closing(_), Some(_)) => return self.finish().map(|()| None),
            (Phase::Closing(_), None) | (Phase::Closed, _) => {
                return Err(RecordError::new(RecordErrorKind::Closed, format!("exam {} is closed", self.exam)));
            }
        }
        let durability = Durability::of(&line.event);
        // A result whose frames may be lost is still better on record than not.
        let frames = if durability == Durability::Written { Ok(()) } else { self.keyframes.sync() };
        let caught_up = self.catch_up(line).and_then(|fault| self.put(line).map(|()| fault));
        let caught_up = caught_up.inspect_err(|error| self.count(line, error.kind))?;
        if let Some(report) = closing {
            self.phase = Phase::Closing(report.clone());
            self.finish()?;
        } else if durability == Durability::Synced {
            self.events.sync()?;
        }
        frames?;
        Ok(caught_up)
    }

    /// Keeps a frame as the camera gave it. On an error nothing is kept, and `keyframes::unrecorded` still
    /// names the frame.
    ///
    /// Kinds: `Full`, `Denied`, `Gone`, `Io`.
    pub fn keyframe(&mut self, finger: Finger, field: u32, frame: &RawFrame) -> Result<Evidence, RecordError> {
        Ok(self.keyframes.keep(finger, field, frame)?)
    }

    fn finish(&mut self) -> Result<(), RecordError> {
        let Phase::Closing(report) = &self.phase else { return Ok(()) };
        self.events.sync()?;
        let json = serde_json::to_vec_pretty(&Closing { report, events_sha256: self.link.as_str() });
        let (sealed, _) = seal(&self.link, json.map_err(|e| invalid(&e))?).map_err(|_| invalid(&"no object"))?;
        write_whole(&self.folder.join(REPORT), &sealed)?;
        self.phase = Phase::Closed;
        Ok(())
    }

    /// Takes up a record whose last line closes the exam.
    pub(super) fn close_again(&mut self, report: Box<ExamReport>) -> Result<(), RecordError> {
        self.phase = Phase::Closing(report);
        self.finish()
    }

    fn catch_up(&mut self, next: &Line) -> Result<Option<Fault>, RecordError> {
        let Some(gap) = &self.gap else { return Ok(None) };
        let fault = Fault {
            kind: FaultKind::Record,
            message: format!(
                "{} events were not recorded between {} ms and {} ms of the source's clock ({:?})",
                gap.lines, gap.from_ms, gap.to_ms, gap.why
            ),
            action: "none: the record goes on; what is missing was shown, but is not on record".to_owned(),
            cleared: true,
        };
        self.put(&Line {
            schema: SCHEMA,
            n: 0,
            at_ms: next.at_ms,
            date: next.date,
            exam: None,
            notice: NOTICE.to_owned(),
            event: Event::Fault(fault.clone()),
        })?;
        self.gap = None;
        Ok(Some(fault))
    }

    fn count(&mut self, line: &Line, why: RecordErrorKind) {
        if matches!(line.event, Event::Exam(ExamEvent::Closed { .. })) {
            return;
        }
        let gap = self.gap.get_or_insert(Gap { lines: 0, from_ms: line.at_ms, to_ms: line.at_ms, why });
        gap.lines += 1;
        gap.to_ms = line.at_ms;
    }

    fn put(&mut self, line: &Line) -> Result<(), RecordError> {
        let json = serde_json::to_vec(&Entry {
            schema: line.schema,
            n: self.lines + 1,
            at_ms: line.at_ms,
            date: line.date,
            exam: self.exam.as_str(),
            notice: &line.notice,
            event: &line.event,
        });
        let json = json.map_err(|e| invalid(&e))?;
        // A number that is no number is written as null and could never be read again.
        serde_json::from_slice::<Line>(&json).map_err(|e| invalid(&e))?;
        let (sealed, link) = seal(&self.link, json).map_err(|_| invalid(&"no object"))?;
        if sealed.len() > MAX_LINE {
            return Err(invalid(&format!("{} bytes are more than the {MAX_LINE} of a line", sealed.len())));
        }
        self.events.append(&sealed)?;
        self.link = link;
        self.lines += 1;
        Ok(())
    }
}

fn invalid(why: &dyn std::fmt::Display) -> RecordError {
    RecordError::new(RecordErrorKind::Invalid, format!("an event does not fit a record: {why}"))
}
