//! Getting a lost source back: carries out what the ladder of `capture::supervisor` decides, counts it and tells it.
//! Each try stands on a thread of its own, because a camera that answers nothing holds whoever asks it for many seconds:
//! neither a stop nor the watchdog waits for that.

use std::collections::BTreeMap;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, bounded};

use super::capture::{Capture, PATIENCE};
use super::ended::Tiding;
use super::queue::Closed;
use crate::capture::supervisor::Ladder;
use crate::capture::{CaptureError, CaptureErrorKind, Source};
use crate::report::{Recovery, Rung};

/// How long after a hint the device is looked for: bounds what a hint costs of the two seconds to be back.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Whoever can open the source again.
pub trait Reopen: Send {
    /// The same source as before, and no other, on the clock that it had: frames belong to fingers by their time.
    fn open(&mut self) -> Result<Box<dyn Source>, CaptureError>;

    /// Whether something was told that makes it worth looking for the source at once. Never waits.
    fn hinted(&mut self) -> bool {
        false
    }

    fn may_reset(&self) -> bool {
        false
    }

    /// Resets the device on its bus.
    fn reset(&mut self) -> Result<(), CaptureError> {
        Err(CaptureError::new(CaptureErrorKind::Unsupported, "this source cannot be reset"))
    }
}

impl<F: FnMut() -> Result<Box<dyn Source>, CaptureError> + Send> Reopen for F {
    fn open(&mut self) -> Result<Box<dyn Source>, CaptureError> {
        self()
    }
}

/// What became of a try, if its thread did not die of it.
type Tried = Result<(Box<dyn Reopen>, Result<Box<dyn Source>, CaptureError>), CaptureError>;

pub struct Recover {
    /// Absent for what cannot be opened again, and while a try has it.
    reopen: Option<Box<dyn Reopen>>,
    possible: bool,
    ladder: Ladder,
    times: BTreeMap<Rung, u64>,
    /// The rung that was told last: a row of the same is told once.
    told: Option<Rung>,
}

impl Recover {
    pub fn new(reopen: Option<Box<dyn Reopen>>) -> Self {
        let ladder = Ladder::new(reopen.as_ref().is_some_and(|reopen| reopen.may_reset()));
        Self { possible: reopen.is_some(), reopen, ladder, times: BTreeMap::new(), told: None }
    }

    pub fn possible(&self) -> bool {
        self.possible
    }

    /// The source gave frames for a while.
    pub fn well(&mut self) {
        self.ladder.well();
    }

    /// Tries until the source is back. `None` when a stop was asked for, or it cannot come back.
    pub fn back(
        &mut self,
        capture: &Capture,
        source: Box<dyn Source>,
        lost: CaptureErrorKind,
    ) -> Result<Option<Box<dyn Source>>, Closed> {
        let mut held = Some(source);
        let mut kind = lost;
        self.told = None;
        while self.possible {
            let next = self.ladder.next(kind);
            self.tell(capture, next.rung)?;
            if !self.pause(capture, next.pause, next.rung) {
                return Ok(None);
            }
            let Some(tried) = self.carry_out(capture, next.rung, &mut held) else { return Ok(None) };
            match tried {
                Ok(source) => {
                    self.ladder.opened();
                    return Ok(Some(source));
                }
                Err(error) => {
                    tracing::debug!(error = error.chain(), rung = ?next.rung, "source not back yet");
                    kind = error.kind;
                }
            }
        }
        Ok(None)
    }

    fn tell(&mut self, capture: &Capture, rung: Rung) -> Result<(), Closed> {
        let times = self.times.entry(rung).or_default();
        *times += 1;
        let recovery = Recovery { rung, times: *times };
        if self.told.replace(rung) == Some(rung) {
            return Ok(());
        }
        tracing::info!(?rung, times = recovery.times, "getting the source back");
        capture.out.pass(Tiding::Recovering(recovery))
    }

    /// False when a stop was asked for. While a device is waited for, a hint ends the pause.
    fn pause(&mut self, capture: &Capture, pause: Duration, rung: Rung) -> bool {
        let mut left = pause;
        while !left.is_zero() {
            capture.beat.tick();
            if capture.stop.wait(left.min(LOOK_EVERY)) {
                return false;
            }
            if rung == Rung::Wait && self.reopen.as_mut().is_some_and(|reopen| reopen.hinted()) {
                return true;
            }
            left = left.saturating_sub(LOOK_EVERY);
        }
        !capture.stop.asked()
    }

    /// `None` when a stop was asked for.
    fn carry_out(
        &mut self,
        capture: &Capture,
        rung: Rung,
        held: &mut Option<Box<dyn Source>>,
    ) -> Option<Result<Box<dyn Source>, CaptureError>> {
        let held = held.take();
        let mut reopen = self.reopen.take()?;
        let tried: Option<Tried> = apart(capture, move || {
            let result = match (rung, held) {
                (Rung::RestartStream, Some(mut source)) => source.restart().map(|()| source),
                (_, held) => {
                    // The device must be free before it can be reset or opened.
                    drop(held);
                    if rung == Rung::UsbReset { reopen.reset() } else { Ok(()) }.and_then(|()| reopen.open())
                }
            };
            (reopen, result)
        });
        match tried {
            Some(Ok((reopen, result))) => {
                self.reopen = Some(reopen);
                Some(result)
            }
            Some(Err(error)) => {
                self.possible = false;
                Some(Err(error))
            }
            None => None,
        }
    }
}

/// Does it on another thread, and goes on beating meanwhile. `None` when a stop was asked for: then whoever is stuck in
/// the kernel is left there.
fn apart<T: Send + 'static>(
    capture: &Capture,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<Result<T, CaptureError>> {
    let (done, when_done) = bounded(1);
    let spawned = std::thread::Builder::new().name("reopen".to_owned()).spawn(move || {
        // Nobody waits any more when a stop was asked for.
        let _unheard = done.send(work());
    });
    if let Err(error) = spawned {
        return Some(Err(CaptureError::io("cannot start a thread to open the source", error)));
    }
    loop {
        capture.beat.tick();
        match when_done.recv_timeout(PATIENCE) {
            Ok(result) => return Some(Ok(result)),
            Err(RecvTimeoutError::Timeout) if !capture.stop.asked() => {}
            Err(RecvTimeoutError::Timeout) => return None,
            Err(RecvTimeoutError::Disconnected) => {
                return Some(Err(CaptureError::new(CaptureErrorKind::Io, "opening the source ended in a panic")));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Instant;

    use super::*;
    use crate::capture::{Next, SourceInfo};
    use crate::pipeline::counters::Beat;
    use crate::pipeline::queue::{Item, Policy, Popped, Receiver, mailbox};
    use crate::pipeline::stop::Stop;
    use crate::pipeline::wanted::Wanted;
    use crate::report::SourceWords;
    use crate::time::Clock;

    /// A source that can be restarted or not.
    struct Still {
        info: SourceInfo,
        restarts: bool,
    }

    impl Source for Still {
        fn info(&self) -> &SourceInfo {
            &self.info
        }

        fn next(&mut self, _: Duration) -> Result<Next, CaptureError> {
            Ok(Next::Idle)
        }

        fn restart(&mut self) -> Result<(), CaptureError> {
            if self.restarts { Ok(()) } else { Err(CaptureError::new(CaptureErrorKind::Io, "will not")) }
        }
    }

    fn still(restarts: bool) -> Box<dyn Source> {
        let words = SourceWords {
            kind: "still".to_owned(),
            name: "test".to_owned(),
            format: None,
            size: None,
            frames_per_s: None,
            measured_per_s: None,
            scale: None,
            scale_expired: None,
            device: None,
        };
        let (clock, script) = (Clock::live(), Vec::new());
        let info = SourceInfo { words, live: true, clock, script, frames_total: None, stills: false };
        Box::new(Still { info, restarts })
    }

    fn capture() -> (Capture, Receiver<crate::pipeline::capture::Captured>) {
        let (out, received) = mailbox(64, Policy::Block);
        let wanted = Wanted::always();
        (
            Capture { out, stop: Stop::new(), beat: Beat::default(), reopen: None, wanted, urgent: None, live: None },
            received,
        )
    }

    fn told(received: &Receiver<crate::pipeline::capture::Captured>) -> Vec<(Rung, u64)> {
        let mut told = Vec::new();
        while let Popped::Item(Item::Passed(Tiding::Recovering(step))) = received.pop(Duration::ZERO) {
            told.push((step.rung, step.times));
        }
        told
    }

    #[test]
    fn a_stalled_stream_is_restarted_and_when_that_does_not_help_opened_anew() {
        let (capture, received) = capture();
        let mut recover = Recover::new(Some(Box::new(|| Ok(still(true)))));
        let back = recover.back(&capture, still(true), CaptureErrorKind::Stalled).unwrap().unwrap();
        let back = recover.back(&capture, back, CaptureErrorKind::Stalled).unwrap();
        assert!(back.is_some());
        assert_eq!(told(&received), [(Rung::RestartStream, 1), (Rung::Reopen, 1)]);
        recover.well();
        recover.back(&capture, still(false), CaptureErrorKind::Stalled).unwrap();
        assert_eq!(told(&received), [(Rung::RestartStream, 2), (Rung::Reopen, 2)]);
    }

    #[test]
    fn a_row_of_the_same_tries_is_told_once_and_counted_each_time() {
        let (capture, received) = capture();
        let mut tries = 0;
        let open = move || {
            tries += 1;
            let gone = CaptureError::new(CaptureErrorKind::NotFound, "gone");
            if tries < 3 { Err(gone) } else { Ok(still(true)) }
        };
        let mut recover = Recover::new(Some(Box::new(open)));
        assert!(recover.back(&capture, still(true), CaptureErrorKind::NotFound).unwrap().is_some());
        assert_eq!(told(&received), [(Rung::Wait, 1)]);
        recover.back(&capture, still(true), CaptureErrorKind::NotFound).unwrap();
        assert_eq!(told(&received), [(Rung::Wait, 4)]);
    }

    #[test]
    fn a_stop_does_not_wait_for_an_opener_that_hangs() {
        let (capture, _received) = capture();
        let (entered, when_entered) = channel();
        let (_keep, never) = channel::<()>();
        let open = move || {
            entered.send(()).unwrap();
            never.recv().map(|()| still(true)).map_err(|e| CaptureError::new(CaptureErrorKind::Io, e.to_string()))
        };
        let stop = capture.stop.clone();
        let asking = std::thread::spawn(move || {
            when_entered.recv().unwrap();
            stop.ask();
            Instant::now()
        });
        let mut recover = Recover::new(Some(Box::new(open)));
        assert!(recover.back(&capture, still(true), CaptureErrorKind::Busy).unwrap().is_none());
        assert!(asking.join().unwrap().elapsed() < PATIENCE * 5);
    }

    #[test]
    fn what_cannot_be_opened_again_is_given_up() {
        let (capture, received) = capture();
        let mut recover = Recover::new(None);
        assert!(recover.back(&capture, still(true), CaptureErrorKind::Io).unwrap().is_none());
        assert_eq!(told(&received), []);
        let panics = || -> Result<Box<dyn Source>, CaptureError> { panic!("as a driver's binding might") };
        let mut recover = Recover::new(Some(Box::new(panics)));
        assert!(recover.back(&capture, still(true), CaptureErrorKind::Io).unwrap().is_none());
        assert!(!recover.possible());
    }
}
