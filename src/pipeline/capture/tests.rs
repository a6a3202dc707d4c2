//! Streams that end, fall silent, freeze and come back, without a camera.

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
        let info =
            SourceInfo { words, live: true, clock: Clock::live(), script: vec![], frames_total: None, stills: false };
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
