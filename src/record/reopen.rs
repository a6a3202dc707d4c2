//! Opens the record of an exam that did not reach its end: what a crash left in the middle is put aside, the
//! exam is marked as interrupted, and what it had come to is read back.

use std::io::BufReader;
use std::path::Path;

use crate::append::{AppendError, AppendFile};
use crate::exam::journal::Recovered;
use crate::record::chain::Link;
use crate::record::walk::{Step, Walk, read_line};
use crate::record::{
    Durability, EVENTS, ExamId, LineFault, REPORT, RecordError, RecordErrorKind, Records, TORN, Writer,
};
use crate::report::{Event, ExamEvent, ExamReport, Fault, FaultKind, Line, NOTICE, SCHEMA};

/// What became of an exam without a report.
#[derive(Debug)]
pub enum Reopened {
    /// Marked as interrupted; to be resumed with a `Resumed` line, or closed with a `Closed` one.
    Interrupted { writer: Box<Writer>, recovered: Box<Recovered> },
    /// It had been closed, and only its report was missing; the record is complete now.
    Completed { report: Box<ExamReport> },
}

/// The whole lines of a record, and what follows them.
struct Found {
    recovered: Option<Recovered>,
    link: Link,
    lines: u64,
    /// Where the last whole line ends.
    whole: u64,
    fault: Option<LineFault>,
}

impl Records {
    /// Opens an exam that has no report. `date` is the present one, where it is known.
    ///
    /// What follows the last whole line is moved to a file of its own, never deleted. That is done only where a
    /// crash or a power cut can have left it: when it holds no event that had been put on the disk.
    ///
    /// Kinds: `Busy`, `Closed`, `Damaged`, `Full`, `Denied`, `Gone`, `Io`.
    pub fn reopen(&self, exam: &ExamId, date: Option<jiff::Timestamp>) -> Result<Reopened, RecordError> {
        let folder = self.folder(exam);
        if !folder.is_dir() {
            let context = format!("there is no exam {exam} in {}", self.root.display());
            return Err(RecordError::new(RecordErrorKind::Gone, context));
        }
        if folder.join(REPORT).exists() {
            return Err(RecordError::new(RecordErrorKind::Closed, format!("exam {exam} is closed")));
        }
        let mut events = AppendFile::open(&folder.join(EVENTS))?;
        let found = read(exam, &events)?;
        let Some(mut recovered) = found.recovered else {
            return Err(damaged(&events, 1, "the opening of the exam is not on record"));
        };
        let torn = match found.fault {
            None => None,
            Some(fault) if left_by_crash(&fault, &events, found.whole)? => {
                let bytes = events.len() - found.whole;
                Some(torn(bytes, &events.seal(found.whole, TORN)?))
            }
            Some(fault) => return Err(damaged(&events, found.lines + 1, &fault.to_string())),
        };
        let mut writer = Writer::after(exam, &folder, events, found.link, found.lines)?;
        if let Some(report) = recovered.closed.take() {
            writer.close_again(report.clone())?;
            return Ok(Reopened::Completed { report });
        }
        let mark = (!recovered.interrupted).then_some(Event::Exam(ExamEvent::Interrupted));
        for event in torn.into_iter().chain(mark) {
            let (n, at_ms) = (writer.lines() + 1, recovered.last_ms);
            let notice = NOTICE.to_owned();
            let line = Line { schema: SCHEMA, n, at_ms, date, exam: Some(exam.to_string()), notice, event };
            writer.append(&line)?;
            recovered.take(line);
        }
        Ok(Reopened::Interrupted { writer: Box::new(writer), recovered: Box::new(recovered) })
    }
}

fn read(exam: &ExamId, events: &AppendFile) -> Result<Found, RecordError> {
    let mut walk = Walk::new(exam, events.reader(0));
    let mut recovered: Option<Recovered> = None;
    let fault = loop {
        match walk.step().map_err(|e| AppendError::new("read", events.path(), e))? {
            Step::Line(line) => match &mut recovered {
                Some(so_far) => so_far.take(*line),
                None => recovered = Recovered::begin(&line),
            },
            Step::End => break None,
            Step::Bad(fault) => break Some(fault),
        }
    };
    Ok(Found { recovered, link: walk.link, lines: walk.lines, whole: walk.end, fault })
}

/// Whether a crash can have left what stands from `whole` on.
///
/// A killed process leaves the beginning of one line; a power cut can leave several lines in any state, blocks
/// of zeros among them, but none that had been put on the disk. Lines whose chain holds were written as they are.
fn left_by_crash(fault: &LineFault, events: &AppendFile, whole: u64) -> Result<bool, RecordError> {
    if !matches!(fault, LineFault::Torn | LineFault::TooLong | LineFault::Chain) {
        return Ok(false);
    }
    let mut rest = BufReader::new(events.reader(whole));
    let mut line = Vec::new();
    while read_line(&mut rest, &mut line).map_err(|e| AppendError::new("read", events.path(), e))? > 0 {
        let event = serde_json::from_slice::<Line>(&line).map(|line| line.event);
        if line.ends_with(b"\n") && event.is_ok_and(|event| Durability::of(&event) == Durability::Synced) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn damaged(events: &AppendFile, line: u64, what: &str) -> RecordError {
    let context = format!("line {line} of {} is damaged: {what}", events.path().display());
    RecordError::new(RecordErrorKind::Damaged, context)
}

fn torn(bytes: u64, kept: &Path) -> Event {
    let name = kept.file_name().unwrap_or_default().to_string_lossy();
    Event::Fault(Fault {
        kind: FaultKind::Record,
        message: format!("the service stopped while it wrote this line; its {bytes} bytes are kept in {name}"),
        action: "none: all lines before are whole".to_owned(),
        cleared: true,
    })
}
