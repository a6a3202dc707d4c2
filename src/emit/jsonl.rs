//! A plain file of lines beside the records, for programs that read what Hairpin says as it comes. It is an
//! output, not the record: no chain, and nothing is put on the disk before the kernel does so.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::append::{AppendError, AppendFile};
use crate::report::{Event, Line, SCHEMA};

/// How every line of ours begins. Lines are serialised in the order of `report::Line`'s fields.
const BEGINNING: &str = "{\"schema\":";

#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    #[error(transparent)]
    File(#[from] AppendError),
    #[error("{} holds something else than Hairpin's lines and is left as it is; name another file", .0.display())]
    Foreign(PathBuf),
    #[error("an event cannot be written as a line: {0}")]
    Event(#[from] serde_json::Error),
}

/// The open file. Lines that it missed are told before the next one that it gets.
#[derive(Debug)]
pub struct JsonlFile {
    lines: AppendFile,
    missed: u64,
}

impl JsonlFile {
    /// Opens the file to append to it, or makes it. A last line that a crash cut off is moved to a file of its
    /// own beside it.
    pub fn open(path: &Path) -> Result<Self, OutputError> {
        let mut lines = AppendFile::open_or_create(path)?;
        let whole = whole(&lines).map_err(|e| AppendError::new("read", path, e))?;
        let Some(whole) = whole else { return Err(OutputError::Foreign(path.to_owned())) };
        if whole < lines.len() {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            lines.seal(whole, &format!("{name}.torn-"))?;
        }
        Ok(Self { lines, missed: 0 })
    }

    /// Appends one line. An error may be answered with the next line: what was written before is whole.
    pub fn write(&mut self, line: &Line) -> Result<(), OutputError> {
        let written = self.tell_missed(line).and_then(|()| self.put(line));
        if written.is_err() {
            self.missed += 1;
        }
        written
    }

    fn tell_missed(&mut self, next: &Line) -> Result<(), OutputError> {
        if self.missed > 0 {
            let event = Event::Missed { lines: self.missed };
            let n = next.n.saturating_sub(1);
            self.put(&Line { schema: SCHEMA, n, at_ms: next.at_ms, date: next.date, event, ..next.clone() })?;
            self.missed = 0;
        }
        Ok(())
    }

    fn put(&mut self, line: &Line) -> Result<(), OutputError> {
        let mut json = serde_json::to_vec(line)?;
        json.push(b'\n');
        Ok(self.lines.append(&json)?)
    }

    /// Puts all lines on the disk: at the end.
    pub fn sync(&self) -> Result<(), OutputError> {
        Ok(self.lines.sync()?)
    }
}

/// Where the last whole line ends; `None` when the file is not one of ours.
fn whole(lines: &AppendFile) -> io::Result<Option<u64>> {
    const CHUNK: u64 = 64 * 1024;
    let mut beginning = Vec::new();
    lines.reader(0).take(BEGINNING.len() as u64).read_to_end(&mut beginning)?;
    if !BEGINNING.as_bytes().starts_with(&beginning) {
        return Ok(None);
    }
    let mut chunk = Vec::new();
    let mut end = lines.len();
    while end > 0 {
        let start = end.saturating_sub(CHUNK);
        chunk.clear();
        lines.reader(start).take(end - start).read_to_end(&mut chunk)?;
        if let Some(last) = chunk.iter().rposition(|b| *b == b'\n') {
            return Ok(Some(start + last as u64 + 1));
        }
        end = start;
    }
    Ok(Some(0))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::report::NOTICE;

    fn line(n: u64) -> Line {
        let event = Event::Missed { lines: 7 };
        Line { schema: SCHEMA, n, at_ms: n * 10, date: None, exam: None, notice: NOTICE.to_owned(), event }
    }

    #[test]
    fn a_line_begins_as_ours_do() {
        assert!(serde_json::to_string(&line(1)).unwrap().starts_with(BEGINNING));
    }

    #[test]
    fn a_file_cut_at_any_byte_goes_on_with_whole_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        let mut out = JsonlFile::open(&path).unwrap();
        out.write(&line(1)).unwrap();
        out.write(&line(2)).unwrap();
        drop(out);
        let full = fs::read(&path).unwrap();
        for cut in 0..full.len() {
            fs::write(&path, &full[..cut]).unwrap();
            JsonlFile::open(&path).unwrap().write(&line(3)).unwrap();
            let text = fs::read_to_string(&path).unwrap();
            let kept: Vec<Line> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
            assert_eq!(kept.last(), Some(&line(3)), "cut at {cut}");
            assert_eq!(kept.len(), 1 + full[..cut].iter().filter(|b| **b == b'\n').count(), "cut at {cut}");
        }
    }

    #[test]
    fn a_foreign_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("letter.txt");
        fs::write(&path, "Dear colleague").unwrap();
        assert!(matches!(JsonlFile::open(&path), Err(OutputError::Foreign(_))));
        assert_eq!(fs::read(&path).unwrap(), b"Dear colleague");
    }

    #[test]
    fn a_removed_file_is_an_error_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        let mut out = JsonlFile::open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(out.write(&line(1)).is_err());
        assert!(out.write(&line(2)).unwrap_err().to_string().contains("out.jsonl"));
    }
}
