//! The capture thread: takes frames from the source, notices when none come, and has the source got back when it was
//! lost. `run` is the loop around `stream`, which lasts as long as one opening does.

mod faults;

use std::time::{Duration, Instant};

use self::faults::{bad_frame, frozen, lost, silence, slow, suspended};
use super::counters::Beat;
use super::ended::{End, Ended, Tiding};
use super::queue::{Closed, Frame, Sender};
use super::recover::{Recover, Reopen};
use super::stop::Stop;
use super::wanted::Wanted;
use crate::capture::rate::{News, RateWatch};
use crate::capture::sleep::Sleep;
use crate::capture::{CaptureError, CaptureErrorKind, Next, Source};
use crate::emit::live::Live;
use crate::frame::RawFrame;
use crate::report::{Fault, SourceWords};
use crate::time::Stamp;

/// How long one wait for a frame may last: bounds the answer to a stop and the beat of the watchdog.
pub(super) const PATIENCE: Duration = Duration::from_millis(100);
/// A live source that is silent for longer is reported; at the slowest rates, for longer than so many frames.
const SILENCE: Duration = Duration::from_secs(1);
const SILENT_FRAMES: f64 = 5.0;
/// Silence after which the source is lost: a stream that only stutters is back before.
const STALLED: u32 = 3;
/// After so long with frames whatever was tried has helped.
const WELL: Duration = Duration::from_secs(5);

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

pub struct Capture {
    pub out: Sender<Captured>,
    pub stop: Stop,
    pub beat: Beat,
    /// `None` for a recording, which is read once.
    pub reopen: Option<Box<dyn Reopen>>,
    pub wanted: Wanted,
    /// Where a loss is told at once, ahead of frames that a slow machine still works on. `None` where all is to come in
    /// its order.
    pub urgent: Option<crossbeam_channel::Sender<Fault>>,
    /// Where frames are shown to those who look on.
    pub live: Option<Live>,
}

/// Why a stream of frames came to its end.
enum Over {
    Finished,
    Failed(CaptureError),
}

impl Capture {
    /// Returns when stopping was asked for, the source came to its end, or the next thread is gone.
    pub fn run(mut self, source: Box<dyn Source>) {
        let source = self.frames_of(source);
        // Whoever comes behind need not wait until the device has let go.
        drop(self);
        drop(source);
    }

    /// The source that is still open at the end.
    fn frames_of(&mut self, mut source: Box<dyn Source>) -> Option<Box<dyn Source>> {
        let mut recover = Recover::new(self.reopen.take());
        let mut sleep = Sleep::default();
        let mut run = 0;
        loop {
            let mut stream = Stream::new(source.info().words.clone(), run, recover.possible());
            match stream.last(self, source.as_mut(), &mut sleep) {
                Err(Closed) | Ok(Over::Finished) => return Some(source),
                Ok(Over::Failed(error)) => {
                    tracing::warn!(error = error.chain(), source = source.info().words.name, "source lost");
                    run += u32::from(stream.opened);
                    // A camera that did not live through a suspension is lost before anyone looks at the clocks.
                    if let Some(slept) = sleep.since_last().filter(|_| recover.possible())
                        && self.tell(suspended(slept)).is_err()
                    {
                        return Some(source);
                    }
                    let fault = lost(&error, recover.possible());
                    let told = self.ahead(&fault);
                    let lost = Tiding::Lost { words: Box::new(stream.words), fault, told };
                    if stream.began.elapsed() > WELL && stream.heard_any {
                        recover.well();
                    }
                    if self.out.pass(lost).is_err() {
                        return Some(source);
                    }
                    source = recover.back(self, source, error.kind).ok().flatten()?;
                }
            }
        }
    }
}

impl Capture {
    /// Whether the fault could be told ahead.
    fn ahead(&self, fault: &Fault) -> bool {
        self.urgent.as_ref().is_some_and(|urgent| urgent.try_send(fault.clone()).is_ok())
    }

    fn tell(&self, fault: Fault) -> Result<(), Closed> {
        if self.ahead(&fault) { Ok(()) } else { self.out.pass(Tiding::Fault(fault)) }
    }
}

/// One opening of the source, or one restart of its stream.
struct Stream {
    words: SourceWords,
    /// As the source itself has them; told anew when they change.
    base: SourceWords,
    run: u32,
    comes_back: bool,
    /// It has shown that it is there.
    opened: bool,
    began: Instant,
    heard: Instant,
    heard_any: bool,
    silent: bool,
    next_seq: Option<u64>,
    /// Number and stamp of the last frame.
    last: Option<(u64, Stamp)>,
    /// When a frame came that was another than the one before.
    fresh: Instant,
    frozen: bool,
    rate: RateWatch,
}

impl Stream {
    fn new(words: SourceWords, run: u32, comes_back: bool) -> Self {
        let now = Instant::now();
        Self {
            rate: RateWatch::new(words.frames_per_s, None),
            base: words.clone(),
            words,
            run,
            comes_back,
            opened: false,
            began: now,
            heard: now,
            heard_any: false,
            silent: false,
            next_seq: None,
            last: None,
            fresh: now,
            frozen: false,
        }
    }

    /// Frames bear the number of the opening they came from, whatever the source says.
    fn last(&mut self, capture: &mut Capture, source: &mut dyn Source, sleep: &mut Sleep) -> Result<Over, Closed> {
        let live = source.info().live;
        let mut resting = false;
        while !capture.stop.asked() {
            capture.beat.tick();
            if let Some(slept) = sleep.since_last().filter(|_| live) {
                self.woken(capture, slept)?;
            }
            if live {
                self.expiry(capture, jiff::Timestamp::now())?;
            }
            if !capture.wanted.now() {
                resting = true;
                // Numbers go on in the device; what passed meanwhile was not lost, it was not asked for.
                self.next_seq = None;
                self.rate.interrupted();
                self.last = None;
                if let Err(error) = source.rest() {
                    return Ok(Over::Failed(error));
                }
                self.told_open(capture)?;
                capture.stop.wait(PATIENCE);
                self.heard = Instant::now();
                continue;
            }
            let next = source.next(PATIENCE);
            if !matches!(&next, Err(error) if error.kind != CaptureErrorKind::BadFrame) {
                self.told_open(capture)?;
                if std::mem::take(&mut resting) {
                    self.told_changed(capture, &source.info().words)?;
                }
            }
            match next {
                Ok(Next::Frame(raw)) => self.frame(capture, raw, live)?,
                Ok(Next::Idle) if live => {
                    if let Some(over) = self.idle(capture)? {
                        return Ok(over);
                    }
                }
                Ok(Next::Idle) => {}
                Ok(Next::End) => {
                    capture.out.pass(Tiding::Finished)?;
                    return Ok(Over::Finished);
                }
                Err(error) if error.kind == CaptureErrorKind::BadFrame => {
                    capture.out.pass(Tiding::Fault(bad_frame(&error)))?;
                }
                Err(error) => return Ok(Over::Failed(error)),
            }
        }
        Ok(Over::Finished)
    }

    /// A camera that is waited for has a source that stands in for it: it was not opened before it answered.
    fn told_open(&mut self, capture: &Capture) -> Result<(), Closed> {
        if std::mem::replace(&mut self.opened, true) {
            return Ok(());
        }
        capture.out.pass(Tiding::Opened(Box::new(self.words.clone())))
    }

    fn told_changed(&mut self, capture: &Capture, now: &SourceWords) -> Result<(), Closed> {
        if *now == self.base {
            return Ok(());
        }
        self.base = now.clone();
        self.words = SourceWords { measured_per_s: self.words.measured_per_s, ..now.clone() };
        capture.out.pass(Tiding::Changed(Box::new(self.words.clone())))
    }

    /// A scale that expires is none from that moment on, also in the middle of an exam.
    fn expiry(&mut self, capture: &Capture, now: jiff::Timestamp) -> Result<(), Closed> {
        let until = self.words.scale.as_ref().and_then(|scale| scale.until);
        let Some(until) = until.filter(|until| *until <= now) else { return Ok(()) };
        tracing::warn!("nothing is measured in micrometres any more: the scale expired on {until}");
        (self.words.scale, self.words.scale_expired) = (None, Some(until));
        // What opens later is told as it is then.
        if self.opened { capture.out.pass(Tiding::Changed(Box::new(self.words.clone()))) } else { Ok(()) }
    }

    fn frame(&mut self, capture: &Capture, mut raw: RawFrame, live: bool) -> Result<(), Closed> {
        raw.id.run = self.run;
        if let Some(live) = &capture.live {
            live.show(&raw);
        }
        self.heard = Instant::now();
        self.heard_any = true;
        if std::mem::take(&mut self.silent) {
            self.rate.interrupted();
            capture.out.pass(Tiding::Fault(Fault { cleared: true, ..silence(self.silence()) }))?;
        }
        if live {
            self.freshness(capture, &raw)?;
            if let Some(news) = self.rate.note(raw.id.seq, raw.at) {
                self.rate_news(capture, news)?;
            }
        }
        let expected = self.next_seq.replace(raw.id.seq + 1).unwrap_or(raw.id.seq);
        capture.out.push(Captured { lost_before: raw.id.seq.saturating_sub(expected), raw }).map(drop)
    }

    /// A camera that sends one frame for ever still sends frames: only the driver's number and stamp tell.
    fn freshness(&mut self, capture: &Capture, raw: &RawFrame) -> Result<(), Closed> {
        let before = self.last.replace((raw.id.seq, raw.at));
        if before.is_some_and(|(seq, at)| raw.id.seq <= seq || raw.at <= at) {
            let limit = self.silence();
            if self.fresh.elapsed() > limit && !std::mem::replace(&mut self.frozen, true) {
                capture.tell(frozen(limit, false))?;
            }
            return Ok(());
        }
        self.fresh = Instant::now();
        if std::mem::take(&mut self.frozen) {
            self.rate.interrupted();
            capture.out.pass(Tiding::Fault(frozen(self.silence(), true)))?;
        }
        Ok(())
    }

    fn rate_news(&mut self, capture: &Capture, news: News) -> Result<(), Closed> {
        let (News::Rate(rate) | News::Slow { measured: rate, .. } | News::Recovered(rate)) = news;
        self.words.measured_per_s = Some((rate * 100.0).round() / 100.0);
        capture.out.pass(Tiding::Changed(Box::new(self.words.clone())))?;
        match news {
            News::Rate(_) => Ok(()),
            News::Slow { measured, granted } => capture.out.pass(Tiding::Fault(slow(measured, granted, false))),
            News::Recovered(rate) => capture.out.pass(Tiding::Fault(slow(rate, rate, true))),
        }
    }

    fn silence(&self) -> Duration {
        let frames = self.words.frames_per_s.map(|rate| Duration::from_secs_f64(SILENT_FRAMES / rate.max(0.1)));
        frames.unwrap_or_default().max(SILENCE)
    }

    /// Nothing came. Silence is told first; when it lasts, the source is lost, if it is one that can be got back.
    fn idle(&mut self, capture: &Capture) -> Result<Option<Over>, Closed> {
        let limit = self.silence();
        if self.heard.elapsed() > limit && !std::mem::replace(&mut self.silent, true) {
            capture.tell(silence(limit))?;
        }
        let lost = self.comes_back && self.heard.elapsed() > limit * STALLED;
        Ok(lost.then(|| {
            let context =
                format!("{} is there, but gave no frame for {:.0} s", self.words.name, (limit * STALLED).as_secs_f64());
            Over::Failed(CaptureError::new(CaptureErrorKind::Stalled, context))
        }))
    }

    /// What the source did not give meanwhile is no silence of its own.
    fn woken(&mut self, capture: &Capture, slept: Duration) -> Result<(), Closed> {
        self.heard = Instant::now();
        self.silent = true;
        self.rate.interrupted();
        capture.tell(suspended(slept))
    }
}

#[cfg(test)]
mod tests;
