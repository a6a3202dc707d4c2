//! The capture thread: takes frames from the source, notices when none come, and opens the source again when
//! it was lost. `run` is the loop around `stream`, which lasts as long as one opening does.

use std::time::{Duration, Instant};

use super::counters::Beat;
use super::ended::{End, Ended, Tiding};
use super::queue::{Closed, Frame, Sender};
use super::stop::Stop;
use super::wanted::Wanted;
use crate::capture::{CaptureError, CaptureErrorKind, Next, Source};
use crate::frame::RawFrame;
use crate::report::{Fault, FaultKind};

/// How long one wait for a frame may last: bounds the answer to a stop and the beat of the watchdog.
const PATIENCE: Duration = Duration::from_millis(100);
/// A live source that is silent for longer is reported; ten frame times at the slowest usual rate.
const SILENCE: Duration = Duration::from_secs(1);
/// First and longest pause before a lost source is tried again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// A frame on its way to be prepared.
pub struct Captured {
    pub raw: RawFrame,
    /// Gap in the driver's numbers before it.
    pub lost_before: u64,
}

impl Frame for Captured {
    fn ended(&self, how: End) -> Ended {
        Ended { lost_before: self.lost_before, ..Ended::new(self.raw.id, self.raw.at, how) }
    }
}

/// Opens the source again.
pub type Opener = Box<dyn FnMut() -> Result<Box<dyn Source>, CaptureError> + Send>;

pub struct Capture {
    pub out: Sender<Captured>,
    pub stop: Stop,
    pub beat: Beat,
    /// `None` for a recording, which is read once.
    pub reopen: Option<Opener>,
    pub wanted: Wanted,
}

/// Why a stream of frames came to its end.
enum Over {
    Finished,
    Failed(CaptureError),
}

impl Capture {
    /// Returns when stopping was asked for, the source came to its end, or the next thread is gone.
    pub fn run(mut self, mut source: Box<dyn Source>) {
        let mut run = 0;
        loop {
            match self.stream(source.as_mut(), run) {
                Err(Closed) | Ok(Over::Finished) => return,
                Ok(Over::Failed(error)) => {
                    tracing::warn!(error = error.chain(), source = source.info().words.name, "source lost");
                    let lost = Tiding::Lost(source.info().words.clone(), lost(&error, self.reopen.is_some()));
                    drop(source);
                    if self.out.pass(lost).is_err() {
                        return;
                    }
                    run += 1;
                    match self.open_again() {
                        Some(again) => source = again,
                        None => return,
                    }
                }
            }
        }
    }

    /// Frames bear the number of the opening they came from, whatever the source says.
    fn stream(&mut self, source: &mut dyn Source, run: u32) -> Result<Over, Closed> {
        self.out.pass(Tiding::Opened(source.info().words.clone()))?;
        let live = source.info().live;
        let mut next_seq = None;
        let mut heard = Instant::now();
        let mut silent = false;
        while !self.stop.asked() {
            self.beat.tick();
            if !self.wanted.now() {
                // Numbers go on in the device; what passed meanwhile was not lost, it was not asked for.
                next_seq = None;
                self.stop.wait(PATIENCE);
                heard = Instant::now();
                continue;
            }
            match source.next(PATIENCE) {
                Ok(Next::Frame(mut raw)) => {
                    raw.id.run = run;
                    heard = Instant::now();
                    if std::mem::take(&mut silent) {
                        self.out.pass(Tiding::Fault(Fault { cleared: true, ..silence() }))?;
                    }
                    let expected = next_seq.replace(raw.id.seq + 1).unwrap_or(raw.id.seq);
                    self.out.push(Captured { lost_before: raw.id.seq.saturating_sub(expected), raw })?;
                }
                Ok(Next::Idle) if live && !silent && heard.elapsed() > SILENCE => {
                    silent = true;
                    self.out.pass(Tiding::Fault(silence()))?;
                }
                Ok(Next::Idle) => {}
                Ok(Next::End) => {
                    self.out.pass(Tiding::Finished)?;
                    return Ok(Over::Finished);
                }
                Err(error) if error.kind == CaptureErrorKind::BadFrame => {
                    self.out.pass(Tiding::Fault(bad_frame(&error)))?;
                }
                Err(error) => return Ok(Over::Failed(error)),
            }
        }
        Ok(Over::Finished)
    }

    fn open_again(&mut self) -> Option<Box<dyn Source>> {
        let reopen = self.reopen.as_mut()?;
        let mut pause = PAUSE.0;
        while !self.stop.wait(pause) {
            self.beat.tick();
            match reopen() {
                Ok(source) => return Some(source),
                Err(error) => tracing::debug!(error = error.chain(), "source not back yet"),
            }
            pause = (pause * 2).min(PAUSE.1);
        }
        None
    }
}

fn silence() -> Fault {
    Fault {
        kind: FaultKind::Source,
        message: format!("no frame from the source for {} s", SILENCE.as_secs()),
        action: "check the microscope's cable and light".to_owned(),
        cleared: false,
    }
}

fn bad_frame(error: &CaptureError) -> Fault {
    Fault {
        kind: FaultKind::Source,
        message: error.chain(),
        action: "none: the frames after it are read".to_owned(),
        cleared: false,
    }
}

fn lost(error: &CaptureError, comes_back: bool) -> Fault {
    let action = if comes_back {
        "check the cable; the exam goes on when the same microscope is back"
    } else {
        "the rest of this recording was not read"
    };
    Fault { kind: FaultKind::Source, message: error.chain(), action: action.to_owned(), cleared: false }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Arc;

    use super::*;
    use crate::capture::SourceInfo;
    use crate::frame::{Colour, Format, FrameId, Size};
    use crate::pipeline::queue::{Item, Policy, Popped, Receiver, mailbox};
    use crate::report::SourceWords;
    use crate::time::{Clock, Stamp};

    /// Gives what it was told to, then ends.
    struct Scripted {
        info: SourceInfo,
        news: VecDeque<Result<Next, CaptureErrorKind>>,
    }

    impl Scripted {
        fn source(news: Vec<Result<Next, CaptureErrorKind>>) -> Box<dyn Source> {
            let words = SourceWords {
                kind: "scripted".to_owned(),
                name: "test".to_owned(),
                format: Some(Format::Grey),
                size: None,
                frames_per_s: None,
                scale: None,
            };
            let info = SourceInfo {
                words,
                live: true,
                clock: Clock::live(),
                script: vec![],
                frames_total: None,
                stills: false,
            };
            Box::new(Self { info, news: news.into() })
        }
    }

    impl Source for Scripted {
        fn info(&self) -> &SourceInfo {
            &self.info
        }

        fn next(&mut self, _: Duration) -> Result<Next, CaptureError> {
            self.news.pop_front().unwrap_or(Ok(Next::End)).map_err(|kind| CaptureError::new(kind, "as scripted"))
        }
    }

    fn frame(seq: u64) -> Result<Next, CaptureErrorKind> {
        Ok(Next::Frame(RawFrame {
            id: FrameId { run: 0, seq },
            at: Stamp::from_ms(seq),
            format: Format::Grey,
            size: Size::new(1, 1),
            colour: Colour::Bt601Full,
            bytes: Arc::from([0]),
            flagged: false,
        }))
    }

    fn run(first: Box<dyn Source>, then: Option<Box<dyn Source>>, wanted: Wanted) -> Vec<String> {
        let (out, received) = mailbox(64, Policy::Block);
        let mut then = then.into_iter();
        let reopen: Opener =
            Box::new(move || then.next().ok_or_else(|| CaptureError::new(CaptureErrorKind::NotFound, "gone")));
        let capture = Capture { out, stop: Stop::new(), beat: Beat::default(), reopen: Some(reopen), wanted };
        capture.run(first);
        told(&received)
    }

    fn told(received: &Receiver<Captured>) -> Vec<String> {
        let mut told = Vec::new();
        while let Popped::Item(item) = received.pop(Duration::ZERO) {
            told.push(match item {
                Item::Work(captured) => format!("frame {} lost {}", captured.raw.id, captured.lost_before),
                Item::Passed(Tiding::Opened(_)) => "opened".to_owned(),
                Item::Passed(Tiding::Finished) => "finished".to_owned(),
                Item::Passed(Tiding::Lost(_, fault)) => format!("lost: {}", fault.message),
                Item::Passed(Tiding::Fault(fault)) => format!("fault: {}", fault.message),
                Item::Passed(Tiding::Frame(_)) => "ended".to_owned(),
                Item::Passed(Tiding::Measured { .. } | Tiding::NotMeasured(_)) => "measured".to_owned(),
            });
        }
        told
    }

    #[test]
    fn gaps_are_counted_and_a_bad_frame_ends_nothing() {
        let news = vec![frame(7), frame(8), Err(CaptureErrorKind::BadFrame), frame(11)];
        let told = run(Scripted::source(news), None, Wanted::always());
        assert_eq!(
            told,
            ["opened", "frame 0.7 lost 0", "frame 0.8 lost 0", "fault: as scripted", "frame 0.11 lost 2", "finished"]
        );
    }

    #[test]
    fn a_lost_source_comes_back_as_a_new_run() {
        let first = Scripted::source(vec![frame(0), Err(CaptureErrorKind::NotFound)]);
        let told = run(first, Some(Scripted::source(vec![frame(0)])), Wanted::always());
        assert_eq!(told, ["opened", "frame 0.0 lost 0", "lost: as scripted", "opened", "frame 1.0 lost 0", "finished"]);
    }

    #[test]
    fn an_unwanted_source_is_not_asked_and_what_passed_meanwhile_is_not_lost() {
        let looks = std::sync::atomic::AtomicU32::new(0);
        let wanted = Wanted::when(move || looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed) != 1);
        let told = run(Scripted::source(vec![frame(0), frame(40)]), None, wanted);
        assert_eq!(told, ["opened", "frame 0.0 lost 0", "frame 0.40 lost 0", "finished"]);
    }
}
