//! Earlier exams as the page asks for them, read from their records.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::decode::with_tables;
use crate::emit::web::Archive;
use crate::emit::web::archive::{ArchiveError, Asked, Listed, Loops, Told};
use crate::export::{self, ExportError, html::html};
use crate::finger::Finger;
use crate::record::amend::{Amendment, Name};
use crate::record::amendments::Amendments;
use crate::record::{ExamId, MAX_LINE, Records};
use crate::report::{Event, ExamEvent, ExamReport, Line};

/// Exams that are listed at most: the newest. Ten a day for two years.
const LISTED_MOST: usize = 5000;
/// A kept frame is a picture of a camera; what is larger was not kept by us.
const KEYFRAME_MOST: u64 = 64 << 20;

pub struct Exams {
    records: Records,
}

impl Exams {
    pub fn of(records: &Records) -> Self {
        Self { records: records.clone() }
    }

    /// The folder of an exam that is there.
    fn folder(&self, exam: &str) -> Result<PathBuf, ArchiveError> {
        let exam: ExamId = exam.parse().map_err(|_| ArchiveError::NotFound)?;
        let folder = self.records.folder(&exam);
        if folder.is_dir() { Ok(folder) } else { Err(ArchiveError::NotFound) }
    }
}

impl Archive for Exams {
    fn list(&self) -> Result<Vec<Listed>, ArchiveError> {
        let unreadable = |e| ArchiveError::Unreadable(format!("cannot list {}: {e}", self.records.root().display()));
        let mut exams: Vec<ExamId> = Vec::new();
        for entry in fs::read_dir(self.records.root()).map_err(unreadable)? {
            let name = entry.map_err(unreadable)?.file_name();
            exams.extend(name.to_str().and_then(|name| name.parse::<ExamId>().ok()));
        }
        // Names begin with the date.
        exams.sort_by(|a, b| b.cmp(a));
        exams.truncate(LISTED_MOST);
        Ok(exams.iter().map(|exam| listed(exam, &self.records.folder(exam))).collect())
    }

    fn exam(&self, exam: &str) -> Result<Told, ArchiveError> {
        let folder = self.folder(exam)?;
        let (damaged, reread) = match export::reread(&folder) {
            Ok(reread) => (None, serde_json::to_value(reread).map_err(|e| ArchiveError::Unreadable(e.to_string()))?),
            Err(ExportError::Broken(broken)) => (Some(broken.to_string()), serde_json::Value::Null),
            Err(other) => return Err(ArchiveError::Unreadable(other.to_string())),
        };
        // What is no event is what `damaged` speaks of.
        let lines = lines_of(&folder.join("events.jsonl"), told)?;
        let amendments = folder.join("amendments.jsonl");
        let amended = |line: &[u8]| serde_json::from_slice(line).ok();
        let amendments = if amendments.exists() { lines_of(&amendments, amended)? } else { Vec::new() };
        Ok(Told { exam: exam.to_owned(), damaged, lines, amendments, reread })
    }

    fn keyframe(&self, exam: &str, file: &str) -> Result<(Vec<u8>, &'static str), ArchiveError> {
        let plain = file.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        if !plain || file.starts_with('.') || file.len() > 100 {
            return Err(ArchiveError::NotFound);
        }
        let path = self.folder(exam)?.join("keyframes").join(file);
        let found = fs::symlink_metadata(&path).map_err(|_| ArchiveError::NotFound)?;
        if !found.is_file() || found.len() > KEYFRAME_MOST {
            return Err(ArchiveError::NotFound);
        }
        let bytes =
            fs::read(&path).map_err(|e| ArchiveError::Unreadable(format!("cannot read {}: {e}", path.display())))?;
        Ok((with_tables(&bytes).into_owned(), media_type(&path)))
    }

    fn report(&self, exam: &str, language: &str) -> Result<String, ArchiveError> {
        let folder = self.folder(exam)?;
        let language = language.parse().map_err(|_| ArchiveError::NotFound)?;
        let page = export::page(&folder, language, 1).map_err(|e| ArchiveError::Unreadable(e.to_string()))?;
        Ok(html(&page))
    }

    fn loops(&self, exam: &str, finger: Finger, field: u32) -> Result<Loops, ArchiveError> {
        let found = export::correctable(&self.folder(exam)?, finger, field).map_err(|error| refused(&error))?;
        let corrected = found.so_far().map_err(|why| ArchiveError::Refused(why.to_string()))?;
        Ok(Loops { frame: found.frame, corrections: found.before.len(), measured: found.measured, corrected })
    }

    fn picture(&self, exam: &str, finger: Finger, field: u32) -> Result<(Vec<u8>, &'static str), ArchiveError> {
        let picture =
            export::correctable_picture(&self.folder(exam)?, finger, field).map_err(|error| refused(&error))?;
        Ok((picture.bytes, picture.media.name()))
    }

    fn correct(&self, asked: &Asked, by: &str) -> Result<(), ArchiveError> {
        let Asked { exam, finger, field, frame, correction } = asked;
        let folder = self.folder(exam)?;
        let by = by.parse::<Name>().map_err(|why| ArchiveError::Refused(format!("the operator's name: {why}")))?;
        let found = export::correctable(&folder, *finger, *field).map_err(|error| refused(&error))?;
        if found.frame != *frame {
            let why = format!("frame {} stands for this field now: look at it again", found.frame);
            return Err(ArchiveError::Refused(why));
        }
        found.with(*correction).map_err(|why| ArchiveError::Refused(why.to_string()))?;
        let amendment = Amendment::Loop { finger: *finger, field: *field, frame: *frame, correction: *correction };
        let amended = |error: crate::record::amendments::AmendError| ArchiveError::Refused(error.to_string());
        let mut amendments = Amendments::open(&folder).map_err(amended)?;
        amendments.add(by, jiff::Timestamp::now(), amendment).map(drop).map_err(amended)
    }
}

fn refused(error: &ExportError) -> ArchiveError {
    match error {
        ExportError::NothingToCorrect { .. } => ArchiveError::Refused(error.to_string()),
        _ => ArchiveError::Unreadable(error.to_string()),
    }
}

/// What `take` makes of each line of a file.
fn lines_of(
    path: &Path,
    take: impl Fn(&[u8]) -> Option<serde_json::Value>,
) -> Result<Vec<serde_json::Value>, ArchiveError> {
    let unreadable = |e| ArchiveError::Unreadable(format!("cannot read {}: {e}", path.display()));
    let mut input = BufReader::new(File::open(path).map_err(unreadable)?);
    let (mut lines, mut line) = (Vec::new(), Vec::new());
    loop {
        line.clear();
        if input.by_ref().take(MAX_LINE as u64).read_until(b'\n', &mut line).map_err(unreadable)? == 0 {
            return Ok(lines);
        }
        lines.extend(take(&line));
    }
}

fn listed(exam: &ExamId, folder: &Path) -> Listed {
    let report: Option<ExamReport> =
        File::open(folder.join("exam.json")).ok().and_then(|file| serde_json::from_reader(BufReader::new(file)).ok());
    if let Some(report) = report {
        return Listed {
            exam: exam.to_string(),
            subject: Some(report.subject),
            opened: report.opened,
            closed: true,
            counts: Some(report.summary.counts),
        };
    }
    let mut first = Vec::new();
    let read = File::open(folder.join("events.jsonl"))
        .and_then(|file| BufReader::new(file).take(MAX_LINE as u64).read_until(b'\n', &mut first));
    let opening = read.ok().and_then(|_| serde_json::from_slice::<Line>(&first).ok());
    let subject = match opening.as_ref().map(|line| &line.event) {
        Some(Event::Exam(ExamEvent::Opened { subject, .. })) => Some(subject.clone()),
        _ => None,
    };
    Listed { exam: exam.to_string(), subject, opened: opening.and_then(|line| line.date), closed: false, counts: None }
}

/// The line, unless it speaks of a single frame.
fn told(line: &[u8]) -> Option<serde_json::Value> {
    #[derive(Deserialize)]
    struct Kind<'a> {
        event: &'a str,
    }
    let Kind { event } = serde_json::from_slice(line).ok()?;
    let single = matches!(event, "finding" | "measured" | "quality");
    if single { None } else { serde_json::from_slice(line).ok() }
}

fn media_type(path: &Path) -> &'static str {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("jpg") => "image/jpeg",
        Some("png") => "image/png",
        Some("bmp") => "image/bmp",
        Some("tiff") => "image/tiff",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_the_exams() {
        let dir = tempfile::tempdir().unwrap();
        let exams = Exams::of(&Records::at(&dir.path().join("exams")).unwrap());
        let kept = dir.path().join("exams/e-1/keyframes");
        fs::create_dir_all(&kept).unwrap();
        fs::write(kept.join("R2-1-0.1.jpg"), "a picture").unwrap();
        fs::write(dir.path().join("secret"), "x").unwrap();
        std::os::unix::fs::symlink(dir.path().join("secret"), kept.join("link.jpg")).unwrap();
        assert_eq!(exams.keyframe("e-1", "R2-1-0.1.jpg").unwrap(), (b"a picture".to_vec(), "image/jpeg"));
        for (exam, file) in [
            ("e-1", "../../../secret"),
            ("..", "secret"),
            ("e-1", ".."),
            ("e-1", "link.jpg"),
            ("e-1", "none.jpg"),
            ("e-1", ""),
            ("e-2", "R2-1-0.1.jpg"),
        ] {
            assert!(exams.keyframe(exam, file).is_err(), "{exam} {file}");
        }
        assert!(matches!(exams.exam("../exams/e-1"), Err(ArchiveError::NotFound)));
    }

    #[test]
    fn a_folder_without_a_whole_line_is_listed_and_its_damage_told() {
        let dir = tempfile::tempdir().unwrap();
        let exams = Exams::of(&Records::at(dir.path()).unwrap());
        fs::create_dir(dir.path().join("e-1")).unwrap();
        fs::write(dir.path().join("e-1/events.jsonl"), "{\"event\":\"ex").unwrap();
        let list = exams.list().unwrap();
        assert_eq!((list.len(), list[0].closed, list[0].subject.as_deref()), (1, false, None));
        let told = exams.exam("e-1").unwrap();
        assert!(told.damaged.is_some() && told.lines.is_empty(), "{told:?}");
    }
}
