//! Hairpin's side: the real pipeline over a film, as fast as it takes frames or at a camera's pace, and the bare
//! session back to back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{bounded, never};
use hairpin::aggregate::Rules;
use hairpin::bundle::Bundle;
use hairpin::capture::{CaptureError, Next, Source, SourceInfo};
use hairpin::command::{Command, Cue};
use hairpin::daemon::assemble::{self, Reading};
use hairpin::decode::{Decoded, Decoder};
use hairpin::exam::timeline;
use hairpin::frame::{FrameId, RawFrame};
use hairpin::infer::{Classifier, Runtime, Scores};
use hairpin::pipeline::desk::{self, Desk, Outlets};
use hairpin::pipeline::gauges::Board;
use hairpin::pipeline::wanted::Wanted;
use hairpin::pipeline::{self, Parts};
use hairpin::preprocess::{Preparer, Tensor};
use hairpin::quality;
use hairpin::record::Records;
use hairpin::report::{Event, ExamEvent};
use hairpin::time::{Clock, Stamp};

use super::{Film, Outcome, PERIOD, Spread, runtime};

/// A source that has its frames at hand.
struct Feed {
    info: SourceInfo,
    film: Vec<Arc<[u8]>>,
    like: RawFrame,
    seq: u64,
    total: u64,
    /// Of a camera; `None` gives frames as fast as they are taken.
    period: Option<Duration>,
    /// When the camera's frame 0 is due.
    first: Option<Stamp>,
    /// When each frame was there, in nanoseconds of the clock.
    there: Arc<Vec<AtomicU64>>,
}

impl Feed {
    fn new(film: &Film, total: u64, period: Option<Duration>) -> Outcome<Self> {
        let at = Stamp::default();
        let script = vec![
            Cue { at, command: Command::Open { subject: "bench-1".parse()? } },
            Cue { at, command: Command::Finger { finger: "R4".parse()? } },
        ];
        let clock = if period.is_some() { Clock::live() } else { Clock::Recorded { started: None } };
        let info = SourceInfo {
            words: film.words.clone(),
            live: period.is_some(),
            clock,
            script,
            frames_total: Some(total),
            stills: false,
        };
        let frames = (0..total).map(|n| film.bytes(n)).collect();
        let there = Arc::new((0..total).map(|_| AtomicU64::new(0)).collect());
        Ok(Self { info, film: frames, like: film.frames[0].clone(), seq: 0, total, period, first: None, there })
    }

    /// The stamp of the next frame, waited for when it is a camera's.
    fn stamp(&mut self, patience: Duration) -> Option<Stamp> {
        let Some(period) = self.period else { return Some(Stamp::default().after(PERIOD * self.seq as u32)) };
        let now = self.info.clock.now()?;
        let first = *self.first.get_or_insert(now);
        let wait = first.after(period * self.seq as u32).since(now);
        std::thread::sleep(wait.min(patience));
        if wait > patience { None } else { self.info.clock.now() }
    }
}

impl Source for Feed {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next(&mut self, patience: Duration) -> Result<Next, CaptureError> {
        if self.seq == self.total {
            return Ok(Next::End);
        }
        let Some(at) = self.stamp(patience) else { return Ok(Next::Idle) };
        self.there[self.seq as usize].store(at.ns(), Ordering::Relaxed);
        let bytes = Arc::clone(&self.film[self.seq as usize]);
        let raw = RawFrame { id: FrameId { run: 0, seq: self.seq }, at, bytes, ..self.like.clone() };
        self.seq += 1;
        Ok(Next::Frame(raw))
    }
}

/// A read frame's event.
pub struct Out {
    pub when: Instant,
    /// From the frame's stamp until the event had been written and sent; zero for a recording.
    pub total: Duration,
    pub infer_ms: f64,
}

pub struct Ran {
    pub events: Vec<Out>,
    pub dropped: u64,
    pub produced: u64,
}

impl Ran {
    /// Leaves out the first `warm` frames, while the threads fill up, and the last two, when nothing is prepared
    /// beside them any more.
    pub fn frames_per_s(&self, warm: usize) -> f64 {
        let steady = &self.events[warm..self.events.len().saturating_sub(2).max(warm + 2)];
        match steady {
            [first, .., last] => (steady.len() - 1) as f64 / last.when.duration_since(first.when).as_secs_f64(),
            _ => f64::NAN,
        }
    }

    /// A frame that was refused costs no inference, and would make us look fast.
    pub fn all_read(&self) -> Outcome<()> {
        let read = self.events.len() as u64;
        if read == self.produced { Ok(()) } else { Err(format!("of {} frames {read} were read", self.produced).into()) }
    }
}

/// Runs the pipeline over `frames` frames, an exam open and on record.
pub fn run(
    bundle: &Bundle,
    film: &Film,
    (threads, spread): (u32, Spread),
    period: Option<Duration>,
    frames: usize,
) -> Outcome<Ran> {
    let feed = Feed::new(film, frames as u64, period)?;
    let (clock, there) = (feed.info.clock.clone(), Arc::clone(&feed.there));
    let gate = quality::Settings::default();
    let reading =
        assemble::reading(&bundle.dir, &runtime(threads, spread), None, None, &gate, film.words.scale.clone())
            .map_err(|failure| format!("{failure:?}"))?;
    let folder = tempfile::tempdir()?;
    let (tap, lines) = bounded(64);
    let desk = Desk::new(desk::Settings {
        clock: clock.clone(),
        rules: Rules::default(),
        terms: reading.terms.clone(),
        timeline: timeline::Settings::default(),
        keyframes_per_field: pipeline::KEYFRAMES_PER_FIELD,
        provenance: assemble::provenance(None, &reading, None, &[], film.words.clone()),
        seconds: Vec::new(),
        records: Some(Records::at(folder.path())?),
        interrupted: Vec::new(),
        script: feed.info.script.clone(),
        loading: None,
        outlets: Outlets { bus: None, file: None, tap: Some(tap) },
    });
    let Reading { step, classifier, .. } = reading;
    let running = pipeline::start(Parts {
        live: None,
        source: Box::new(feed),
        reopen: None,
        step,
        classifier,
        loops: None,
        second: Vec::new(),
        desk,
        commands: never(),
        faults: never(),
        urgent: None,
        board: Board::default(),
        wanted: Wanted::always(),
    })?;
    let mut ran = Ran { events: Vec::with_capacity(frames), dropped: 0, produced: 0 };
    // The tap closes when the exam thread ends.
    for line in lines {
        match &line.event {
            Event::Finding(finding) => {
                let at = Stamp::from_ns(there[finding.frame.seq as usize].load(Ordering::Relaxed));
                let total = clock.now().map_or(Duration::ZERO, |now| now.since(at));
                let infer_ms = finding.latency.map_or(0.0, |l| f64::from(l.infer_ms));
                ran.events.push(Out { when: Instant::now(), total, infer_ms });
            }
            Event::Exam(ExamEvent::Closed { report }) => {
                (ran.dropped, ran.produced) = (report.frames.dropped, report.frames.produced);
            }
            _ => {}
        }
    }
    for (name, thread) in running.threads {
        thread.join().map_err(|_| format!("the thread {name} panicked"))?;
    }
    Ok(ran)
}

/// The session on one prepared frame, again and again; with a frame for each thread, one classifier a thread.
pub struct Bare {
    classifiers: Vec<Classifier>,
    tensor: Tensor,
}

impl Bare {
    pub fn new(bundle: &Bundle, film: &Film, threads: u32, spread: Spread) -> Outcome<Self> {
        let settings = runtime(threads, spread);
        let first = Classifier::open(&Runtime::load(&settings.library)?, bundle, &settings)?;
        let more = (1..first.frames_at_once()).map(|_| first.another()).collect::<Result<Vec<_>, _>>()?;
        let Decoded::Clean(image) = Decoder::new()?.decode(&film.frames[0], Vec::new()) else {
            return Err("the first frame is not clean".into());
        };
        let mut tensor = Tensor::default();
        Preparer::new(&bundle.input).prepare_pixels(
            image.size(),
            image.rgb(),
            film.words.scale.as_ref(),
            &mut tensor,
        )?;
        if tensor.tiles != 1 {
            return Err(format!("expected one tile a frame, found {}", tensor.tiles).into());
        }
        Ok(Self { classifiers: [vec![first], more].into_iter().flatten().collect(), tensor })
    }

    pub fn rate(&mut self, warm: usize, frames: usize) -> Outcome<f64> {
        self.read(warm)?;
        let start = Instant::now();
        self.read(frames)?;
        Ok(frames as f64 / start.elapsed().as_secs_f64())
    }

    fn read(&mut self, frames: usize) -> Outcome<()> {
        let (tensor, each) = (&self.tensor, frames / self.classifiers.len());
        std::thread::scope(|scope| {
            let work = |classifier: &'_ mut Classifier| {
                let mut scores = Scores::default();
                (0..each).try_for_each(|_| classifier.classify(tensor, &mut scores))
            };
            let running: Vec<_> = self.classifiers.iter_mut().map(|c| scope.spawn(move || work(c))).collect();
            running
                .into_iter()
                .try_for_each(|thread| thread.join().map_err(|_| "a session panicked")?.map_err(Into::into))
        })
    }
}
