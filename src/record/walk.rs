//! Reads the lines of a record one by one and takes each only if it is the one that was written there.

use std::io::{self, BufRead, BufReader, Read};

use serde::Deserialize;

use crate::record::ExamId;
use crate::record::chain::{Link, check};
use crate::report::{Event, ExamEvent, Line, SCHEMA};

/// The longest line read or written, in bytes. The longest in practice is the report at the close: eight
/// fingers, some 200 bytes for each frame kept as evidence; a mebibyte is a hundred times that.
pub const MAX_LINE: usize = 1 << 20;

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    #[error("it does not end: the writer stopped in the middle, or the end was cut off")]
    Torn,
    #[error("it has more than {MAX_LINE} bytes")]
    TooLong,
    #[error("it is not the line that was written after the one before: changed, moved, removed or added")]
    Chain,
    #[error("it has schema {0} where this Hairpin reads {SCHEMA}: use the version that wrote it, or a newer one")]
    Schema(u32),
    #[error("it is no event: {0}")]
    Event(String),
    #[error("it bears number {0}")]
    Number(u64),
    #[error("it belongs to another exam")]
    Exam,
    #[error("the first line, and no other, opens the exam; none follows the one that closes it")]
    Order,
}

pub(super) enum Step {
    Line(Box<Line>),
    End,
    /// What follows was not read.
    Bad(LineFault),
}

pub(super) struct Walk<R> {
    input: BufReader<R>,
    exam: ExamId,
    buffer: Vec<u8>,
    closed: bool,
    pub(super) link: Link,
    /// Whole lines so far.
    pub(super) lines: u64,
    /// Where the last of them ends.
    pub(super) end: u64,
}

impl<R: Read> Walk<R> {
    pub(super) fn new(exam: &ExamId, input: R) -> Self {
        let link = Link::genesis(exam);
        let input = BufReader::new(input);
        Self { input, exam: exam.clone(), buffer: Vec::new(), closed: false, link, lines: 0, end: 0 }
    }

    pub(super) fn step(&mut self) -> io::Result<Step> {
        let length = read_line(&mut self.input, &mut self.buffer)?;
        if length == 0 {
            return Ok(Step::End);
        }
        let Some(bare) = self.buffer.strip_suffix(b"\n") else {
            let fault = if length > MAX_LINE { LineFault::TooLong } else { LineFault::Torn };
            return Ok(Step::Bad(fault));
        };
        let Some(link) = check(&self.link, bare) else { return Ok(Step::Bad(LineFault::Chain)) };
        match parse(bare, self.lines + 1, &self.exam) {
            Err(fault) => Ok(Step::Bad(fault)),
            Ok(line) => {
                let opens = matches!(line.event, Event::Exam(ExamEvent::Opened { .. }));
                if self.closed || opens != (self.lines == 0) {
                    return Ok(Step::Bad(LineFault::Order));
                }
                self.closed = matches!(line.event, Event::Exam(ExamEvent::Closed { .. }));
                self.link = link;
                self.lines += 1;
                self.end += length as u64;
                Ok(Step::Line(Box::new(line)))
            }
        }
    }
}

/// Reads up to and with the next newline, one byte more than a line may have at most.
pub(super) fn read_line(input: &mut impl BufRead, buffer: &mut Vec<u8>) -> io::Result<usize> {
    buffer.clear();
    input.take(MAX_LINE as u64 + 1).read_until(b'\n', buffer)
}

fn parse(bare: &[u8], number: u64, exam: &ExamId) -> Result<Line, LineFault> {
    #[derive(Deserialize)]
    struct Version {
        schema: u32,
    }
    match serde_json::from_slice::<Version>(bare) {
        Ok(Version { schema: SCHEMA }) => {}
        Ok(Version { schema }) => return Err(LineFault::Schema(schema)),
        Err(e) => return Err(LineFault::Event(e.to_string())),
    }
    let line: Line = serde_json::from_slice(bare).map_err(|e| LineFault::Event(e.to_string()))?;
    if line.n != number {
        return Err(LineFault::Number(line.n));
    }
    if line.exam.as_deref() != Some(exam.as_str()) {
        return Err(LineFault::Exam);
    }
    Ok(line)
}
