//! The exam thread: the one place where frames, commands and time meet. It gives frames their finger, pools them,
//! decides, and hands every line to the outlets. What is decided is decided by `exam` and `aggregate`; this only
//! carries it out.

mod commands;
mod frames;
mod model;
mod outlets;
mod provider;
mod rates;
mod run;
mod second;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, never, select};

pub use self::outlets::Outlets;
use self::outlets::Publisher;
use self::rates::Meter;
use self::run::ExamRun;
use super::counters::Beat;
use super::ended::Tiding;
use super::gauges::Board;
use super::swap::{Incoming, Loading, Swap};
use super::wanted::Wanted;
use crate::aggregate::{Reader, Rules};
use crate::command::Cue;
use crate::emit::control::Request;
use crate::emit::metrics::SourceState;
use crate::exam::timeline::{self, Timeline};
use crate::exam::{Exam, State};
use crate::measured::FrameMeasured;
use crate::outcome::{RejectReason, Tally};
use crate::record::Records;
use crate::report::{
    Event, ExamReport, Fault, FaultKind, Limits, Provenance, QualityEvent, Rung, Snapshot, SourceChange, SourceEvent,
    SourceWords,
};
use crate::time::{Clock, Stamp};

/// Bounds the wait for news, and so the beat of the watchdog.
const PATIENCE: Duration = Duration::from_millis(100);
/// A command waits for the frames captured before it, but no longer than this when no frames come at all.
const QUIET: Duration = Duration::from_millis(400);
/// How often the present state is shown. Five times a second is faster than a reader can follow.
const SHOW_EVERY: Duration = Duration::from_millis(200);

/// What the desk is made with.
pub struct Settings {
    pub clock: Clock,
    pub rules: Rules,
    pub terms: Reader,
    pub timeline: timeline::Settings,
    pub keyframes_per_field: u32,
    pub provenance: Provenance,
    /// The terms of the models that do not decide, in the order of `provenance.second`.
    pub seconds: Vec<Reader>,
    /// `None` records nothing.
    pub records: Option<Records>,
    /// Exams that an earlier run of the service left open.
    pub interrupted: Vec<Exam>,
    pub script: Vec<Cue>,
    /// Who loads other models; `None` where the first one stays.
    pub loading: Option<Loading>,
    pub outlets: Outlets,
}

pub struct Desk {
    settings: Fixed,
    publisher: Publisher,
    script: VecDeque<Cue>,
    pending: VecDeque<Pending>,
    loading: Option<Loading>,
    swap: Swap,
    /// Of the deciding model; the first is 0.
    generation: u64,
    /// The model that waits for its turn.
    incoming: Option<Box<Incoming>>,
    interrupted: Vec<Exam>,
    state: State,
    timeline: Timeline,
    run: Option<ExamRun>,
    /// Of this run of the service.
    frames: Tally,
    meter: Meter,
    source: Option<SourceWords>,
    source_state: SourceState,
    /// How often each rung was tried to get the source back.
    recoveries: BTreeMap<Rung, u64>,
    faults: Vec<Fault>,
    /// The source gave all that it had.
    finished: bool,
    closed: Option<Box<ExamReport>>,
    quality: Option<QualityEvent>,
    /// The loops measured last.
    loops: Option<Box<FrameMeasured>>,
    /// The verdict of the frame before; outer `None` before the first.
    verdict: Option<Option<RejectReason>>,
    /// Capture time of the newest frame that has come through.
    watermark: Stamp,
    live: bool,
    shown: Option<Instant>,
    changed: bool,
}

/// Models that do not decide: name and version, and their terms.
type Seconds = [(String, Reader)];

/// The part of the settings that stays.
struct Fixed {
    rules: Rules,
    terms: Reader,
    seconds: Vec<(String, Reader)>,
    timeline: timeline::Settings,
    keyframes: usize,
    provenance: Provenance,
    records: Option<Records>,
}

/// A command that waits for the frames before it.
struct Pending {
    at: Stamp,
    since: Instant,
    request: Request,
}

impl Desk {
    pub fn new(settings: Settings) -> Self {
        let live = matches!(settings.clock, Clock::Live { .. });
        Self {
            timeline: Timeline::new(&settings.timeline, BTreeMap::new()),
            settings: Fixed {
                rules: settings.rules,
                terms: settings.terms,
                seconds: settings.provenance.second.iter().map(|s| s.model.id()).zip(settings.seconds).collect(),
                timeline: settings.timeline,
                keyframes: settings.keyframes_per_field as usize,
                provenance: settings.provenance,
                records: settings.records,
            },
            publisher: Publisher::new(settings.clock, settings.outlets),
            script: settings.script.into(),
            pending: VecDeque::new(),
            loading: settings.loading,
            swap: Swap::default(),
            generation: 0,
            incoming: None,
            interrupted: settings.interrupted,
            state: State::default(),
            run: None,
            frames: Tally::default(),
            meter: Meter::default(),
            source: None,
            source_state: SourceState::default(),
            recoveries: BTreeMap::new(),
            faults: Vec::new(),
            finished: false,
            closed: None,
            quality: None,
            loops: None,
            verdict: None,
            watermark: Stamp::default(),
            live,
            shown: None,
            changed: true,
        }
    }

    /// Where another model is laid for the threads before this one.
    pub(super) fn swap(&self) -> Swap {
        self.swap.clone()
    }

    /// Runs until no more findings can come, then ends an exam that is still open.
    pub fn run(
        mut self,
        findings: &Receiver<Tiding>,
        mut commands: Receiver<Request>,
        mut faults: Receiver<Fault>,
        beat: &Beat,
        board: &Board,
        wanted: &Wanted,
    ) {
        let mut models = self.loading.as_ref().map_or_else(never, |loading| loading.loaded.clone());
        self.tell_provider();
        loop {
            beat.tick();
            select! {
                recv(findings) -> tiding => match tiding {
                    Ok(tiding) => self.take(tiding),
                    Err(_) => break,
                },
                recv(commands) -> request => match request {
                    Ok(request) => self.queue(request),
                    Err(_) => commands = never(),
                },
                recv(faults) -> fault => match fault {
                    Ok(fault) => self.fault(fault),
                    Err(_) => faults = never(),
                },
                recv(models) -> loaded => match loaded {
                    Ok(loaded) => self.model_loaded(loaded),
                    Err(_) => models = never(),
                },
                default(PATIENCE) => {}
            }
            self.pending_commands();
            self.swap_when_due();
            wanted.exam_open(self.run.is_some());
            self.show(board, false);
        }
        self.end();
        self.show(board, true);
    }

    fn take(&mut self, tiding: Tiding) {
        match tiding {
            Tiding::Frame(ended) => self.frame(ended),
            Tiding::Measured { raw, measured } => self.measured(&raw, *measured),
            Tiding::Opinions(opinions) => self.opinions(*opinions),
            Tiding::NotMeasured(message) => self.failed(message),
            Tiding::Opened(words) => {
                self.source_state = SourceState::Streaming;
                self.settings.provenance.source = (*words).clone();
                self.source_changed(SourceChange::Opened, *words);
                if self.faults.iter().any(|f| f.kind == FaultKind::Source) {
                    self.fault(Fault {
                        kind: FaultKind::Source,
                        message: "the source is back".to_owned(),
                        action: "none: the exam goes on".to_owned(),
                        cleared: true,
                    });
                }
            }
            Tiding::Lost { words, fault, told } => {
                self.source_state = SourceState::Lost;
                self.source_changed(SourceChange::Lost, *words);
                // An opening that was still on its way may have cleared it meanwhile.
                if told { self.keep_fault(fault) } else { self.fault(fault) }
            }
            Tiding::Changed(words) => {
                self.settings.provenance.source = (*words).clone();
                self.source_changed(SourceChange::Changed, *words);
            }
            Tiding::Recovering(recovery) => {
                *self.recoveries.entry(recovery.rung).or_default() = recovery.times;
                if let Some(source) = self.source.clone() {
                    let change = SourceChange::Recovering;
                    self.publish(self.now(), Event::Source(SourceEvent { change, source, recovery: Some(recovery) }));
                }
            }
            Tiding::Finished => self.finished = true,
            Tiding::Fault(fault) => self.fault(fault),
        }
    }

    fn source_changed(&mut self, change: SourceChange, words: SourceWords) {
        self.source = Some(words.clone());
        self.publish(self.now(), Event::Source(SourceEvent { change, source: words, recovery: None }));
    }

    /// The moment of an event that is not a frame's.
    fn now(&self) -> Stamp {
        self.publisher.clock().now().unwrap_or(self.watermark)
    }

    fn publish(&mut self, at: Stamp, event: Event) {
        let faults = self.publisher.publish(at, event);
        faults.into_iter().for_each(|fault| self.keep_fault(fault));
        self.changed = true;
    }

    fn fault(&mut self, fault: Fault) {
        tracing::warn!(kind = ?fault.kind, cleared = fault.cleared, "{}", fault.message);
        self.keep_fault(fault.clone());
        self.publish(self.now(), Event::Fault(fault));
    }

    /// One fault of a kind stands at a time: the newest.
    fn keep_fault(&mut self, fault: Fault) {
        self.faults.retain(|f| f.kind != fault.kind);
        if !fault.cleared {
            self.faults.push(fault);
        }
    }

    fn show(&mut self, board: &Board, last: bool) {
        let due = self.shown.is_none_or(|shown| shown.elapsed() >= SHOW_EVERY);
        if !(last || (due && (self.changed || self.live))) {
            return;
        }
        self.shown = Some(Instant::now());
        self.changed = false;
        self.publisher.show(self.now(), self.snapshot());
        let mut board = board.write();
        board.source.clone_from(&self.source);
        board.source_state = self.source_state;
        board.runtime = Some(self.settings.provenance.runtime.clone());
        board.recoveries.clone_from(&self.recoveries);
        board.frames.clone_from(&self.frames);
        board.stages.clone_from(&self.meter.stages);
    }

    /// Shows the state at once: an answer to a command carries it.
    fn show_now(&mut self) {
        self.publisher.show(self.now(), self.snapshot());
    }

    fn snapshot(&self) -> Snapshot {
        let Fixed { rules, terms, provenance, .. } = &self.settings;
        let run = self.run.as_ref();
        let field = run.and_then(|run| run.field.as_ref());
        Snapshot {
            source: self.source.clone(),
            model: provenance.model.clone(),
            provider_running: provenance.runtime.provider_running.clone(),
            subject: run.map(|run| run.subject.clone()),
            finger: self.state.finger(),
            field: field.map(|field| field.number),
            quality: self.quality.clone(),
            measured: self.loops.clone(),
            pooling: field.and_then(|field| field.pooled(rules, terms)),
            pooled_frames: field.map_or(0, |field| field.pool.distinct()),
            limits: Some(Limits {
                positive: terms.positive_index(),
                lower: terms.limits().0,
                upper: terms.limits().1,
                calibrated: terms.calibrated(),
                min_frames: rules.min_frames,
            }),
            fields: run.map(|run| run.fields.clone()).unwrap_or_default(),
            fingers: run.map(|run| run.fingers.values().cloned().collect()).unwrap_or_default(),
            skipped: run.map(|run| run.skipped.clone()).unwrap_or_default(),
            own_calls: run.map(|run| run.own_calls.clone()).unwrap_or_default(),
            preparation: run.and_then(|run| run.preparation.clone()),
            faults: self.faults.clone(),
            closed: self.closed.clone(),
            frames: self.frames.clone(),
            rates: if self.live { self.meter.rates(self.now()) } else { None },
        }
    }
}
