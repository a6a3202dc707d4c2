//! The amendments of a closed exam: a file of its own in the exam's folder, which grows by whole lines and whose chain
//! goes on where that of `exam.json` ends. What was recorded is never opened for writing here.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::append::{AppendError, AppendFile, sync_folder};
use crate::finger::Finger;
use crate::record::amend::{Amendment, AmendmentLine, Name};
use crate::record::chain::{Link, check, seal};
use crate::record::verify::{self, Broken, Record, State};
use crate::record::walk::read_line;
use crate::record::{MAX_LINE, REPORT, RecordError, RecordErrorKind, open_plain};
use crate::report::{ExamReport, NOTICE, SCHEMA};

pub(super) const AMENDMENTS: &str = "amendments.jsonl";
/// What follows is the sha256 of the file.
pub(super) const AMENDMENTS_TORN: &str = "amendments.torn-";

/// What is wrong with a line of the amendments.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmendmentFault {
    #[error("it was cut off while it was written: give the amendment again, and `hairpin amend` puts the piece aside")]
    Torn,
    #[error("it has more than {MAX_LINE} bytes")]
    TooLong,
    #[error("it is not the line that was written after the one before: changed, moved, removed or added")]
    Chain,
    #[error("it has schema {0} where this Hairpin reads {SCHEMA}: use the version that wrote it, or a newer one")]
    Schema(u32),
    #[error("it is no amendment that this Hairpin knows: {0}")]
    Unknown(String),
    #[error("it bears number {0}")]
    Number(u64),
    #[error("it belongs to another exam")]
    Exam,
    #[error("it does not amend the {REPORT} that is here")]
    Report,
    #[error("it signs another state than the one before it")]
    Signature,
}

/// Why an amendment was not written; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum AmendError {
    #[error("{0}; keep the folder as it is and look at it with `hairpin verify`")]
    Broken(#[from] Broken),
    #[error("exam {exam} is not closed: only a closed exam can be amended or signed; {}", .state.what_to_do())]
    NotClosed { exam: String, state: State },
    #[error("the {} was not examined in this exam: only an examined finger can be called", .0.words())]
    NotExamined(Finger),
    #[error("{}", .0.told())]
    Record(#[from] RecordError),
}

impl From<AppendError> for AmendError {
    fn from(error: AppendError) -> Self {
        Self::Record(error.into())
    }
}

/// What all amendments of an exam stand on.
pub(super) struct Base<'a> {
    pub(super) exam: &'a str,
    /// Of `exam.json`.
    pub(super) link: &'a Link,
    pub(super) exam_sha256: &'a str,
}

/// The whole amendments, and what follows them.
pub(super) struct Found {
    pub(super) lines: Vec<AmendmentLine>,
    pub(super) link: Link,
    /// Where the last whole line ends.
    whole: u64,
    pub(super) fault: Option<AmendmentFault>,
}

/// The only writer of one exam's amendments.
#[derive(Debug)]
pub struct Amendments {
    folder: PathBuf,
    /// Absent before the first amendment.
    file: Option<AppendFile>,
    report: Box<ExamReport>,
    exam_sha256: String,
    lines: Vec<AmendmentLine>,
    link: Link,
}

impl Amendments {
    /// Verifies the exam and opens its amendments, or begins them. A line that a crash cut off is put aside.
    pub fn open(folder: &Path) -> Result<Self, AmendError> {
        let Record { verified, closed, report, .. } = match verify::read(folder, |_| {}) {
            // Amendments are read below, where a piece of one can be put aside.
            Err(Broken::Amendment { .. }) => verify::recorded(folder, |_| {})?,
            read => read?,
        };
        let (Some(closed), Some((link, exam_sha256))) = (closed, report) else {
            return Err(AmendError::NotClosed { exam: verified.exam, state: verified.state });
        };
        let folder = folder.to_owned();
        let mut opened = Self { folder, file: None, report: closed, exam_sha256, lines: Vec::new(), link };
        if opened.folder.join(AMENDMENTS).exists() {
            opened.take_up(&verified.exam)?;
        }
        Ok(opened)
    }

    fn take_up(&mut self, exam: &str) -> Result<(), AmendError> {
        let mut file = AppendFile::open(&self.folder.join(AMENDMENTS))?;
        let base = Base { exam, link: &self.link, exam_sha256: &self.exam_sha256 };
        let found = walk(file.reader(0), &base).map_err(|e| AppendError::new("read", file.path(), e))?;
        match found.fault {
            None => {}
            Some(fault) if left_by_crash(&fault, &file, found.whole)? => {
                file.seal(found.whole, AMENDMENTS_TORN)?;
            }
            Some(fault) => return Err(Broken::Amendment { number: found.lines.len() as u64 + 1, fault }.into()),
        }
        (self.file, self.lines, self.link) = (Some(file), found.lines, found.link);
        Ok(())
    }

    /// The file, made where it is missing.
    fn file(&mut self) -> Result<&mut AppendFile, AmendError> {
        if self.file.is_none() {
            let file = AppendFile::open_or_create(&self.folder.join(AMENDMENTS))?;
            sync_folder(&self.folder)?;
            if !file.is_empty() {
                let context = format!("another program has just amended exam {}", self.report.exam);
                return Err(RecordError::new(RecordErrorKind::Busy, context).into());
            }
            self.file = Some(file);
        }
        self.file.as_mut().ok_or_else(|| invalid("it has no file").into())
    }

    /// The exam's report, as it was closed.
    pub fn report(&self) -> &ExamReport {
        &self.report
    }

    pub fn lines(&self) -> &[AmendmentLine] {
        &self.lines
    }

    /// The link of the last line: written down elsewhere, it vouches for the record and its amendments.
    pub fn head(&self) -> &str {
        self.link.as_str()
    }

    /// Adds a signature under everything up to here.
    pub fn sign(&mut self, by: Name, date: jiff::Timestamp) -> Result<&AmendmentLine, AmendError> {
        let signs = self.link.as_str().to_owned();
        self.add(by, date, Amendment::Signature { signs })
    }

    /// Adds one amendment and puts it on the disk. On an error the file is as it was before.
    pub fn add(&mut self, by: Name, date: jiff::Timestamp, amendment: Amendment) -> Result<&AmendmentLine, AmendError> {
        self.fits(&amendment)?;
        let n = self.lines.len() as u64 + 1;
        let line = AmendmentLine {
            schema: SCHEMA,
            n,
            date,
            exam: self.report.exam.clone(),
            notice: NOTICE.to_owned(),
            exam_sha256: (n == 1).then(|| self.exam_sha256.clone()),
            by,
            amendment,
        };
        let json = serde_json::to_vec(&line).map_err(|e| invalid(&e.to_string()))?;
        let (sealed, link) = seal(&self.link, json).map_err(|_| invalid("no object"))?;
        let file = self.file()?;
        file.append(&sealed)?;
        file.sync()?;
        self.link = link;
        let place = self.lines.len();
        self.lines.push(line);
        Ok(&self.lines[place])
    }

    fn fits(&self, amendment: &Amendment) -> Result<(), AmendError> {
        match amendment {
            Amendment::OwnCall { finger, .. } => {
                let examined = self.report.fingers.iter().any(|result| result.finger == *finger);
                examined.then_some(()).ok_or(AmendError::NotExamined(*finger))
            }
            Amendment::Signature { signs } => {
                (signs == self.link.as_str()).then_some(()).ok_or_else(|| invalid("it signs another state").into())
            }
            Amendment::Comment { .. } => Ok(()),
        }
    }
}

fn invalid(why: &str) -> RecordError {
    RecordError::new(RecordErrorKind::Invalid, format!("an amendment does not fit the exam: {why}"))
}

/// Reads the amendments of an exam that nobody need be amending; none where there is no file.
pub(super) fn read_file(folder: &Path, base: &Base<'_>) -> Result<Option<Found>, Broken> {
    let path = folder.join(AMENDMENTS);
    let unreadable = |source| Broken::Unreadable { path: path.clone(), source };
    match open_plain(&path) {
        Ok(file) => walk(file, base).map(Some).map_err(unreadable),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(unreadable(e)),
    }
}

/// Whether there are amendments, which an exam without a report cannot have.
pub(super) fn any(folder: &Path) -> bool {
    File::open(folder.join(AMENDMENTS)).and_then(|file| file.metadata()).is_ok_and(|meta| meta.len() > 0)
}

fn walk(input: impl Read, base: &Base<'_>) -> io::Result<Found> {
    let mut input = BufReader::new(input);
    let mut buffer = Vec::new();
    let mut found = Found { lines: Vec::new(), link: base.link.clone(), whole: 0, fault: None };
    loop {
        let length = read_line(&mut input, &mut buffer)?;
        if length == 0 {
            return Ok(found);
        }
        let Some(bare) = buffer.strip_suffix(b"\n") else {
            let fault = if length > MAX_LINE { AmendmentFault::TooLong } else { AmendmentFault::Torn };
            return Ok(Found { fault: Some(fault), ..found });
        };
        match take(bare, found.lines.len() as u64 + 1, &found.link, base) {
            Ok((line, link)) => {
                found.link = link;
                found.whole += length as u64;
                found.lines.push(line);
            }
            Err(fault) => return Ok(Found { fault: Some(fault), ..found }),
        }
    }
}

fn take(bare: &[u8], number: u64, before: &Link, base: &Base<'_>) -> Result<(AmendmentLine, Link), AmendmentFault> {
    #[derive(Deserialize)]
    struct Version {
        schema: u32,
    }
    let link = check(before, bare).ok_or(AmendmentFault::Chain)?;
    let unknown = |e: serde_json::Error| AmendmentFault::Unknown(e.to_string());
    match serde_json::from_slice(bare).map_err(unknown)? {
        Version { schema: SCHEMA } => {}
        Version { schema } => return Err(AmendmentFault::Schema(schema)),
    }
    let line: AmendmentLine = serde_json::from_slice(bare).map_err(unknown)?;
    if line.n != number {
        return Err(AmendmentFault::Number(line.n));
    }
    if line.exam != base.exam {
        return Err(AmendmentFault::Exam);
    }
    if line.exam_sha256.as_deref() != (number == 1).then_some(base.exam_sha256) {
        return Err(AmendmentFault::Report);
    }
    if matches!(&line.amendment, Amendment::Signature { signs } if signs != before.as_str()) {
        return Err(AmendmentFault::Signature);
    }
    Ok((line, link))
}

/// Whether a crash can have left what stands from `whole` on. Each amendment is on the disk before the next is begun,
/// so that is a piece of one line, in any state, and never an amendment that can be read.
fn left_by_crash(fault: &AmendmentFault, file: &AppendFile, whole: u64) -> Result<bool, AmendError> {
    if !matches!(fault, AmendmentFault::Torn | AmendmentFault::TooLong | AmendmentFault::Chain) {
        return Ok(false);
    }
    let mut rest = BufReader::new(file.reader(whole));
    let mut line = Vec::new();
    while read_line(&mut rest, &mut line).map_err(|e| AppendError::new("read", file.path(), e))? > 0 {
        if line.ends_with(b"\n") && serde_json::from_slice::<AmendmentLine>(&line).is_ok() {
            return Ok(false);
        }
    }
    Ok(true)
}
