//! The record of an exam: one folder with its events, the frames behind them and, at the close, its report.
//! Owns where these stand, how they are made safe, and how they are found again after a crash; docs/record.md
//! describes the folder for those who read it without Hairpin.

use std::fmt;
use std::fs::{self, DirBuilder, File};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::append::{AppendError, AppendFile, Trouble, sync_folder};
use crate::report::{Event, ExamEvent, Fault, FaultKind, Line};

pub mod amend;
pub mod amendments;
pub mod chain;
pub mod keyframes;
mod reopen;
pub mod verify;
mod walk;
mod writer;

pub use reopen::Reopened;
pub use walk::{LineFault, MAX_LINE};
pub use writer::Writer;

const EVENTS: &str = "events.jsonl";
const REPORT: &str = "exam.json";
/// What follows is the sha256 of the file.
const TORN: &str = "events.torn-";

/// Names an exam and its folder: letters, digits, `-` and `_`, 100 at most.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExamId(String);

impl ExamId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ExamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Does not repeat what was given: it may be longer than a screen, or a name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an exam's id has 1 to 100 letters, digits, '-' and '_'; `hairpin exam status` lists those that can be resumed"
)]
pub struct NotAnExamId;

impl FromStr for ExamId {
    type Err = NotAnExamId;

    fn from_str(text: &str) -> Result<Self, NotAnExamId> {
        let fits = (1..=100).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        fits.then(|| Self(text.to_owned())).ok_or(NotAnExamId)
    }
}

/// What the caller can do about a failed write or opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordErrorKind {
    /// Show a fault and go on: later lines are written again once there is room.
    Full,
    /// Show a fault and go on; a person must change rights or mounts.
    Denied,
    /// The exam's folder or its disk is gone: show a fault, close the exam.
    Gone,
    /// Another process writes this exam.
    Busy,
    /// Choose another id.
    Exists,
    /// The exam is closed; its record is complete and takes no more lines.
    Closed,
    /// The record does not hold what was written: verify it; it cannot be resumed.
    Damaged,
    /// The line is not one for a record; a mistake in this program.
    Invalid,
    /// Show a fault and go on.
    Io,
}

/// Says what happened, where, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{context}")]
pub struct RecordError {
    pub kind: RecordErrorKind,
    context: String,
    #[source]
    source: Option<AppendError>,
}

impl RecordError {
    fn new(kind: RecordErrorKind, context: impl Into<String>) -> Self {
        Self { kind, context: context.into(), source: None }
    }

    /// What happened and what to do, for whoever asked for it.
    pub fn told(&self) -> String {
        format!("{}: {}", self.context, self.kind.action())
    }

    /// The event that tells a person of it.
    pub fn fault(&self) -> Fault {
        Fault {
            kind: FaultKind::Record,
            message: self.context.clone(),
            action: self.kind.action().to_owned(),
            cleared: false,
        }
    }
}

impl RecordErrorKind {
    const fn action(self) -> &'static str {
        match self {
            Self::Full => Trouble::Full.advice(),
            Self::Denied => Trouble::Denied.advice(),
            Self::Gone => "close this exam, put the folder or its disk back, and open a new exam",
            Self::Busy => Trouble::Busy.advice(),
            Self::Exists => "open the exam again a second later",
            Self::Closed => "open a new exam",
            Self::Damaged => "keep the folder as it is, look at it with `hairpin verify`, and open a new exam",
            Self::Invalid => "report this as a defect of Hairpin, with the record",
            Self::Io => Trouble::Io.advice(),
        }
    }
}

impl From<AppendError> for RecordError {
    fn from(error: AppendError) -> Self {
        let kind = match error.trouble {
            Trouble::Full => RecordErrorKind::Full,
            Trouble::Denied => RecordErrorKind::Denied,
            Trouble::Gone => RecordErrorKind::Gone,
            Trouble::Busy => RecordErrorKind::Busy,
            Trouble::Changed => RecordErrorKind::Damaged,
            Trouble::Io => RecordErrorKind::Io,
        };
        Self { kind, context: error.to_string(), source: Some(error) }
    }
}

/// How safe a line must be before the exam goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// With the kernel: lost by a power cut, not by a crash of ours.
    Written,
    /// The same, but the frames it names are on the disk before it is written.
    FramesSynced,
    /// On the disk, with the frames it names.
    Synced,
}

impl Durability {
    /// Results of fingers, own calls and steps of the exam are what cannot be had again; a field that begins decides nothing.
    pub fn of(event: &Event) -> Self {
        match event {
            Event::Finger(_) | Event::Model(_) => Self::Synced,
            Event::Exam(ExamEvent::FieldBegan { .. }) => Self::Written,
            Event::Exam(_) | Event::OwnCall(_) | Event::Preparation(_) => Self::Synced,
            Event::Field(_) => Self::FramesSynced,
            Event::Command(_)
            | Event::Source(_)
            | Event::Quality(_)
            | Event::Finding(_)
            | Event::Measured(_)
            | Event::Opinions(_)
            | Event::Disagreement(_)
            | Event::Fault(_)
            | Event::Missed { .. }
            | Event::State(_) => Self::Written,
        }
    }
}

/// An exam without a report, which no process is writing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interrupted {
    pub exam: ExamId,
    /// Absent when not even the first line is whole.
    pub subject: Option<String>,
    pub opened: Option<jiff::Timestamp>,
}

/// The folder that holds the exams, one folder each.
#[derive(Clone, Debug)]
pub struct Records {
    root: PathBuf,
}

impl Records {
    /// Makes the folder where it is missing, and proves that it can be written to.
    ///
    /// Done once, at the start: a root that vanishes later is an error, not a new folder on the disk below.
    pub fn at(root: &Path) -> Result<Self, RecordError> {
        let fail = |e| AppendError::new("make the folder", root, e);
        DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(fail)?;
        let probe = root.join(format!(".writable-{}", std::process::id()));
        drop(AppendFile::open_or_create(&probe)?);
        fs::remove_file(&probe).map_err(|e| AppendError::new("remove", &probe, e))?;
        Ok(Self { root: root.to_owned() })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn folder(&self, exam: &ExamId) -> PathBuf {
        self.root.join(exam.as_str())
    }

    /// Makes the folder of a new exam and writes its first line, which opens it. On an error nothing is left behind.
    ///
    /// Kinds: `Exists`, `Full`, `Denied`, `Gone`, `Invalid`, `Io`.
    pub fn create(&self, exam: &ExamId, opening: &Line) -> Result<Writer, RecordError> {
        let folder = self.folder(exam);
        DirBuilder::new().mode(0o700).create(&folder).map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => {
                RecordError::new(RecordErrorKind::Exists, format!("there is a record of exam {exam} already"))
            }
            _ => AppendError::new("make the folder", &folder, e).into(),
        })?;
        let written = Writer::begin(exam, &folder, opening).and_then(|writer| {
            sync_folder(&folder)?;
            sync_folder(&self.root)?;
            Ok(writer)
        });
        if written.is_err() {
            // The first error is the one to tell; what cannot be removed is an exam without a whole line.
            let _ = fs::remove_dir_all(&folder);
        }
        written
    }

    /// The exams that have no report and that no process is writing, oldest name first.
    pub fn interrupted(&self) -> Result<Vec<Interrupted>, RecordError> {
        let fail = |e| AppendError::new("list", &self.root, e);
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.root).map_err(fail)? {
            let name = entry.map_err(fail)?.file_name();
            let Some(exam) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            found.extend(look(&self.folder(&exam), exam));
        }
        found.sort_by(|a, b| a.exam.cmp(&b.exam));
        Ok(found)
    }
}

fn look(folder: &Path, exam: ExamId) -> Option<Interrupted> {
    if folder.join(REPORT).exists() {
        return None;
    }
    let events = open_plain(&folder.join(EVENTS)).ok()?;
    if is_being_written(&events).ok()? {
        return None;
    }
    let mut first = Vec::new();
    BufReader::new(events).take(MAX_LINE as u64).read_until(b'\n', &mut first).ok()?;
    let opening = serde_json::from_slice::<Line>(&first).ok();
    let subject = match opening.as_ref().map(|line| &line.event) {
        Some(Event::Exam(ExamEvent::Opened { subject, .. })) => Some(subject.clone()),
        _ => None,
    };
    Some(Interrupted { exam, subject, opened: opening.and_then(|line| line.date) })
}

/// Whether a process holds the writer's lock. Held any longer, this lock would keep the service from opening the
/// exam.
fn is_being_written(events: &File) -> io::Result<bool> {
    let writing = events.try_lock_shared().is_err();
    events.unlock()?;
    Ok(writing)
}

/// Opens a plain file for reading; a pipe or device that stands in its place must not be waited for.
fn open_plain(path: &Path) -> io::Result<File> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(io::Error::other("not a plain file"));
    }
    File::open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_cannot_leave_the_root() {
        for bad in ["", ".", "..", "a/b", "../x", ".hidden", "a b", "\0", &"x".repeat(101)] {
            assert_eq!(bad.parse::<ExamId>(), Err(NotAnExamId), "{bad:?}");
        }
        "20261123T103000Z-P017".parse::<ExamId>().unwrap();
    }

    #[test]
    fn a_root_that_cannot_be_made_is_refused() {
        let refused = Records::at(Path::new("/sys/hairpin-exams")).unwrap_err();
        assert_eq!(refused.kind, RecordErrorKind::Denied, "{refused}");
        assert!(refused.to_string().contains("/sys/hairpin-exams"), "{refused}");
    }
}
