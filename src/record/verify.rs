//! Checks that a record holds what was written: every line, every kept frame, the report.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufReader, Read};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::digest::{sha256, sha256_of};
use crate::record::amend::{AmendmentLine, Signed, signed};
use crate::record::amendments::{self, AMENDMENTS, AMENDMENTS_TORN, AmendmentFault, Base};
use crate::record::chain::{Link, check};
use crate::record::walk::{Step, Walk, read_line};
use crate::record::{EVENTS, ExamId, LineFault, MAX_LINE, REPORT, TORN, is_being_written, keyframes, open_plain};
use crate::report::{Ending, Event, Evidence, ExamEvent, ExamReport, Line};

/// What a whole record holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    pub exam: String,
    pub state: State,
    pub lines: u64,
    /// The link of the last line: written down elsewhere, it vouches for the whole record.
    pub head: String,
    pub keyframes: usize,
    /// What was added after the close.
    pub amendments: u64,
    /// The link of the last amendment: written down elsewhere, it vouches for the record and all amendments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amendments_head: Option<String>,
    /// Absent where nobody has signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed: Option<Signed>,
    /// Pieces of lines that crashes cut off. They are kept, and part of no result.
    pub torn: Vec<String>,
    /// Files of which the record does not speak.
    pub unknown: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// A process is writing it.
    Open,
    /// It has no end, and nobody is writing it. That lines are missing at its end cannot be seen.
    Interrupted,
    /// It was closed, but a crash came before its report; the next start of the service completes it.
    ReportMissing,
    Closed(Ending),
}

impl State {
    /// How such an exam comes to its end.
    pub const fn what_to_do(self) -> &'static str {
        match self {
            Self::Open => "close it first, with `hairpin exam close`",
            Self::Interrupted => "resume it with `hairpin exam resume`, then close it",
            Self::ReportMissing => "start the service once: it writes the missing report",
            Self::Closed(_) => "nothing is to be done",
        }
    }
}

/// A whole record, as far as those who read on need it.
#[derive(Debug)]
pub struct Record {
    pub verified: Verified,
    /// The report of the line that closes the exam.
    pub closed: Option<Box<ExamReport>>,
    pub amendments: Vec<AmendmentLine>,
    /// Of `exam.json`, and the sha256 of that file; absent where there is none.
    pub(super) report: Option<(Link, String)>,
}

/// The first thing that is wrong. A record that gives one of these holds no result to rely on.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error("cannot read {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("line {number} of {EVENTS} is wrong: {fault}")]
    Line { number: u64, fault: LineFault },
    #[error("line {line} of {EVENTS} names the frame {file}, which {fault}")]
    Keyframe { line: u64, file: String, fault: FileFault },
    #[error("{REPORT} does not end the record of {lines} lines: it was changed, or lines are missing at the end")]
    Report { lines: u64 },
    #[error("{file} was changed: its name is not its digest any more")]
    TornPiece { file: String },
    #[error("line {number} of {AMENDMENTS} is wrong: {fault}")]
    Amendment { number: u64, fault: AmendmentFault },
    #[error("{AMENDMENTS} amends a {REPORT} that is missing")]
    AmendedWithoutReport,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileFault {
    #[error("is missing")]
    Missing,
    #[error("was changed: it has not the digest that was written")]
    Changed,
    #[error("stands outside the exam's folder")]
    Outside,
    #[error("has another digest in a line before")]
    Contradicted,
}

/// Checks the whole folder and names the first thing that is wrong.
pub fn verify(folder: &Path) -> Result<Verified, Broken> {
    read(folder, |_| {}).map(|record| record.verified)
}

/// The same, handing on each line as it is found to be whole. What was handed on counts only if all is.
pub fn read(folder: &Path, each: impl FnMut(Line)) -> Result<Record, Broken> {
    let mut record = recorded(folder, each)?;
    let Some((link, exam_sha256)) = &record.report else {
        return if amendments::any(folder) { Err(Broken::AmendedWithoutReport) } else { Ok(record) };
    };
    let Some(found) = amendments::read_file(folder, &Base { exam: &record.verified.exam, link, exam_sha256 })? else {
        return Ok(record);
    };
    if let Some(fault) = found.fault {
        return Err(Broken::Amendment { number: found.lines.len() as u64 + 1, fault });
    }
    record.verified.amendments = found.lines.len() as u64;
    record.verified.amendments_head = (!found.lines.is_empty()).then(|| found.link.as_str().to_owned());
    record.verified.signed = signed(&found.lines);
    record.amendments = found.lines;
    Ok(record)
}

/// All but the amendments.
pub(super) fn recorded(folder: &Path, mut each: impl FnMut(Line)) -> Result<Record, Broken> {
    let path = folder.join(EVENTS);
    let events = open_plain(&path).map_err(unreadable(&path))?;
    let writing = is_being_written(&events).map_err(unreadable(&path))?;
    let exam = named_exam(&path)?;
    let mut walk = Walk::new(&exam, events);
    let mut named = Named::default();
    let mut closed = None;
    loop {
        match walk.step().map_err(unreadable(&path))? {
            Step::Line(line) => {
                named.take(walk.lines, &line)?;
                if let Event::Exam(ExamEvent::Closed { report }) = &line.event {
                    closed = Some(report.clone());
                }
                each(*line);
            }
            // The writer may be in the middle of it.
            Step::Bad(LineFault::Torn) if writing && walk.lines > 0 => break,
            Step::End if walk.lines > 0 => break,
            Step::End => return Err(Broken::Line { number: 1, fault: LineFault::Torn }),
            Step::Bad(fault) => return Err(Broken::Line { number: walk.lines + 1, fault }),
        }
    }
    named.check(folder)?;
    let (state, report) = check_report(folder, &walk.link, walk.lines, closed.as_deref(), writing)?;
    let Listed { torn, unknown } = list(folder, &named)?;
    let verified = Verified {
        exam: exam.to_string(),
        state,
        lines: walk.lines,
        head: walk.link.as_str().to_owned(),
        keyframes: named.0.len(),
        amendments: 0,
        amendments_head: None,
        signed: None,
        torn,
        unknown,
    };
    Ok(Record { verified, closed, amendments: Vec::new(), report })
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Broken {
    let path = path.to_owned();
    move |source| Broken::Unreadable { path, source }
}

/// The exam's id as the first line has it, so that a record can be checked in a folder of another name. A wrong
/// id is found by the chain, which begins with it.
fn named_exam(events: &Path) -> Result<ExamId, Broken> {
    #[derive(Deserialize)]
    struct First {
        exam: String,
    }
    let mut line = Vec::new();
    let file = open_plain(events).map_err(unreadable(events))?;
    read_line(&mut BufReader::new(file), &mut line).map_err(unreadable(events))?;
    let fault = match serde_json::from_slice::<First>(&line) {
        Ok(First { exam }) => match exam.parse() {
            Ok(exam) => return Ok(exam),
            Err(_) => LineFault::Exam,
        },
        Err(_) if !line.ends_with(b"\n") => LineFault::Torn,
        Err(e) => LineFault::Event(e.to_string()),
    };
    Err(Broken::Line { number: 1, fault })
}

/// The frames that the lines name: file, then the first line that names it and its digest.
#[derive(Default)]
struct Named(BTreeMap<String, (u64, String)>);

impl Named {
    fn take(&mut self, number: u64, line: &Line) -> Result<(), Broken> {
        match &line.event {
            Event::Field(field) => self.all(number, &field.evidence),
            Event::Finger(finger) => self.all(number, &finger.evidence),
            Event::Exam(ExamEvent::Closed { report }) => {
                report.fingers.iter().try_for_each(|finger| self.all(number, &finger.evidence))
            }
            Event::Exam(_)
            | Event::OwnCall(_)
            | Event::Preparation(_)
            | Event::Command(_)
            | Event::Source(_)
            | Event::Quality(_)
            | Event::Finding(_)
            | Event::Measured(_)
            | Event::Opinions(_)
            | Event::Disagreement(_)
            | Event::Model(_)
            | Event::Fault(_)
            | Event::Missed { .. }
            | Event::State(_) => Ok(()),
        }
    }

    fn all(&mut self, line: u64, evidence: &[Evidence]) -> Result<(), Broken> {
        for Evidence { file, sha256, .. } in evidence {
            let Some(file) = file else { continue };
            let (_, before) = self.0.entry(file.clone()).or_insert_with(|| (line, sha256.clone()));
            if before != sha256 {
                return Err(Broken::Keyframe { line, file: file.clone(), fault: FileFault::Contradicted });
            }
        }
        Ok(())
    }

    fn check(&self, folder: &Path) -> Result<(), Broken> {
        let mut in_order: Vec<_> = self.0.iter().collect();
        in_order.sort_by_key(|(_, (line, _))| *line);
        for (file, (line, sha256)) in in_order {
            check_frame(folder, file, sha256)?
                .map_or(Ok(()), |fault| Err(Broken::Keyframe { line: *line, file: file.clone(), fault }))?;
        }
        Ok(())
    }
}

fn check_frame(folder: &Path, file: &str, sha256: &str) -> Result<Option<FileFault>, Broken> {
    let mut parts = Path::new(file).components();
    let inside = parts.next() == Some(Component::Normal(keyframes::FOLDER.as_ref()))
        && matches!(parts.next(), Some(Component::Normal(_)))
        && parts.next().is_none();
    if !inside {
        return Ok(Some(FileFault::Outside));
    }
    let path = folder.join(file);
    match digest(&path) {
        Ok(found) if found == sha256 => Ok(None),
        Ok(_) => Ok(Some(FileFault::Changed)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Some(FileFault::Missing)),
        Err(e) => Err(unreadable(&path)(e)),
    }
}

fn digest(path: &Path) -> io::Result<String> {
    sha256_of(open_plain(path)?)
}

fn check_report(
    folder: &Path,
    head: &Link,
    lines: u64,
    closed: Option<&ExamReport>,
    writing: bool,
) -> Result<(State, Option<(Link, String)>), Broken> {
    #[derive(Deserialize)]
    struct Closing {
        #[serde(flatten)]
        report: ExamReport,
        events_sha256: String,
    }
    let path = folder.join(REPORT);
    let mut bytes = Vec::new();
    // The report is written indented, which makes it longer than the line it stands in, but never tenfold.
    match open_plain(&path).and_then(|file| file.take(10 * MAX_LINE as u64).read_to_end(&mut bytes)) {
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let state = match (writing, closed) {
                (true, _) => State::Open,
                (false, Some(_)) => State::ReportMissing,
                (false, None) => State::Interrupted,
            };
            return Ok((state, None));
        }
        Err(e) => return Err(unreadable(&path)(e)),
    }
    let sealed = bytes.strip_suffix(b"\n").and_then(|sealed| Some((sealed, check(head, sealed)?)));
    let told = sealed.and_then(|(sealed, link)| Some((serde_json::from_slice::<Closing>(sealed).ok()?, link)));
    match (told, closed) {
        (Some((told, link)), Some(closed)) if told.events_sha256 == head.as_str() && told.report == *closed => {
            Ok((State::Closed(closed.ending), Some((link, sha256(&bytes)))))
        }
        _ => Err(Broken::Report { lines }),
    }
}

struct Listed {
    torn: Vec<String>,
    unknown: Vec<String>,
}

fn list(folder: &Path, named: &Named) -> Result<Listed, Broken> {
    let mut listed = Listed { torn: Vec::new(), unknown: Vec::new() };
    for name in names(folder)? {
        match name.strip_prefix(TORN).or_else(|| name.strip_prefix(AMENDMENTS_TORN)) {
            Some(sha256) => {
                let path = folder.join(&name);
                if digest(&path).map_err(unreadable(&path))? != sha256 {
                    return Err(Broken::TornPiece { file: name });
                }
                listed.torn.push(name);
            }
            None if [EVENTS, REPORT, AMENDMENTS, keyframes::FOLDER].contains(&name.as_str()) => {}
            None => listed.unknown.push(name),
        }
    }
    let frames = folder.join(keyframes::FOLDER);
    if frames.is_dir() {
        let files = names(&frames)?.into_iter().map(|name| format!("{}/{name}", keyframes::FOLDER));
        listed.unknown.extend(files.filter(|file| !named.0.contains_key(file)));
    }
    Ok(listed)
}

fn names(folder: &Path) -> Result<Vec<String>, Broken> {
    let fail = || unreadable(folder);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(fail())? {
        names.push(entry.map_err(fail())?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}
