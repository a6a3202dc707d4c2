//! The capture thread: takes frames from the source, notices when none come, and has the source got back when it was
//! lost. `run` is the loop around `stream`, which lasts as long as one opening does.

use std::time::{Duration, Instant};

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
use crate::report::{Fault, FaultKind, SourceWords};
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

fn suspended(slept: Duration) -> Fault {
    Fault {
        kind: FaultKind::Source,
        message: format!("the machine was suspended for {:.1} s", slept.as_secs_f64()),
        action: "none: the exam goes on when the microscope is back".to_owned(),
        cleared: false,
    }
}

fn silence(limit: Duration) -> Fault {
    Fault {
        kind: FaultKind::Source,
        message: format!("no frame from the source for {} s", limit.as_secs()),
        action: "check the microscope's cable and light".to_owned(),
        cleared: false,
    }
}

fn frozen(limit: Duration, cleared: bool) -> Fault {
    Fault {
        kind: FaultKind::Source,
        message: if cleared {
            "the microscope sends new frames again".to_owned()
        } else {
            format!(
                "the picture is frozen: for {} s the microscope has sent one frame again and again",
                limit.as_secs()
            )
        },
        action: "unplug the microscope and plug it in again; the exam goes on with its next new frame".to_owned(),
        cleared,
    }
}

fn slow(measured: f64, granted: f64, cleared: bool) -> Fault {
    Fault {
        kind: FaultKind::Source,
        message: if cleared {
            format!("the microscope sends {measured:.1} frames/s again")
        } else {
            format!("the microscope sends {measured:.1} frames/s instead of {granted:.1}")
        },
        action: "raise the light, or set source.v4l2.controls.exposure and dynamic_frame_rate".to_owned(),
        cleared,
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
    let action = match error.kind {
        _ if !comes_back => "the rest of this recording was not read",
        CaptureErrorKind::NotFound | CaptureErrorKind::Stalled | CaptureErrorKind::Io => {
            "check the cable; the exam goes on when the same microscope is back"
        }
        _ => "do as it says; it is tried again until it can be had",
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
    use crate::pipeline::recover::Reopen;
    use crate::report::SourceWords;
    use crate::scale::Scale;
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
                measured_per_s: None,
                scale: None,
                scale_expired: None,
                device: None,
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
        let reopen: Box<dyn Reopen> =
            Box::new(move || then.next().ok_or_else(|| CaptureError::new(CaptureErrorKind::NotFound, "gone")));
        let capture = Capture {
            out,
            stop: Stop::new(),
            beat: Beat::default(),
            reopen: Some(reopen),
            wanted,
            urgent: None,
            live: None,
        };
        capture.run(first);
        told(&received)
    }

    fn told(received: &Receiver<Captured>) -> Vec<String> {
        let mut told = Vec::new();
        while let Popped::Item(item) = received.pop(Duration::ZERO) {
            told.push(match item {
                Item::Work(captured) => format!("frame {} lost {}", captured.raw.id, captured.lost_before),
                Item::Passed(Tiding::Opened(_)) => "opened".to_owned(),
                Item::Passed(Tiding::Changed(_)) => "changed".to_owned(),
                Item::Passed(Tiding::Recovering(step)) => format!("{:?} {}", step.rung, step.times),
                Item::Passed(Tiding::Finished) => "finished".to_owned(),
                Item::Passed(Tiding::Lost { fault, .. }) => format!("lost: {}", fault.message),
                Item::Passed(Tiding::Fault(fault)) => format!("fault: {}", fault.message),
                Item::Passed(Tiding::Frame(_)) => "ended".to_owned(),
                Item::Passed(Tiding::Measured { .. } | Tiding::NotMeasured(_)) => "measured".to_owned(),
                Item::Passed(Tiding::Opinions(_)) => "opinions".to_owned(),
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
        assert_eq!(
            told,
            ["opened", "frame 0.0 lost 0", "lost: as scripted", "Wait 1", "opened", "frame 1.0 lost 0", "finished"]
        );
    }

    /// A stream of its own, with what it tells.
    fn stream(words: impl FnOnce(&mut SourceWords)) -> (Stream, Capture, Receiver<Captured>) {
        let (out, received) = mailbox(64, Policy::Block);
        let mut source = Scripted::source(vec![]).info().words.clone();
        words(&mut source);
        let (stop, beat, wanted) = (Stop::new(), Beat::default(), Wanted::always());
        let capture = Capture { out, stop, beat, reopen: None, wanted, urgent: None, live: None };
        (Stream::new(source, 0, true), capture, received)
    }

    #[test]
    fn one_frame_again_and_again_is_told_as_frozen_until_a_new_one_comes() {
        let (mut stream, capture, received) = stream(|_| {});
        let mut send = |seq, late: u64| {
            let Ok(Next::Frame(raw)) = frame(seq) else { unreachable!() };
            stream.fresh = stream.fresh.checked_sub(Duration::from_secs(late)).unwrap();
            stream.freshness(&capture, &raw).unwrap();
        };
        for (seq, late) in [(4, 0), (5, 0), (5, 0), (5, 2), (5, 2), (6, 0), (6, 0)] {
            send(seq, late);
        }
        let told = told(&received);
        assert!(told.len() == 2 && told[0].contains("is frozen") && told[1].contains("new frames again"), "{told:?}");
    }

    #[test]
    fn a_scale_holds_until_it_expires_and_that_is_told_once() {
        let until = jiff::Timestamp::from_second(1_790_000_000).unwrap();
        let scale = Scale::new(2.0, crate::scale::ScaleMethod::Entered).unwrap();
        let (mut stream, capture, received) = stream(|words| words.scale = Some(Scale { until: Some(until), ..scale }));
        stream.opened = true;
        let second = jiff::SignedDuration::from_secs(1);
        for now in [until - second, until, until + second] {
            stream.expiry(&capture, now).unwrap();
        }
        assert_eq!(told(&received), ["changed"]);
        assert_eq!((stream.words.scale, stream.words.scale_expired), (None, Some(until)));
    }

    #[test]
    fn a_loss_is_told_ahead_of_the_frames_before_it_where_somebody_listens() {
        let (out, received) = mailbox(64, Policy::Block);
        let (urgent, heard) = crossbeam_channel::bounded(4);
        let reopen: Option<Box<dyn Reopen>> = None;
        let (stop, wanted) = (Stop::new(), Wanted::always());
        let capture = Capture { out, stop, beat: Beat::default(), reopen, wanted, urgent: Some(urgent), live: None };
        capture.run(Scripted::source(vec![frame(0), Err(CaptureErrorKind::NotFound)]));
        assert_eq!(heard.try_recv().unwrap().message, "as scripted");
        assert_eq!(told(&received), ["opened", "frame 0.0 lost 0", "lost: as scripted"]);
    }

    #[test]
    fn an_unwanted_source_is_not_asked_and_what_passed_meanwhile_is_not_lost() {
        let looks = std::sync::atomic::AtomicU32::new(0);
        let wanted = Wanted::when(move || looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed) != 1);
        let told = run(Scripted::source(vec![frame(0), frame(40)]), None, wanted);
        assert_eq!(told, ["opened", "frame 0.0 lost 0", "frame 0.40 lost 0", "finished"]);
    }
}
