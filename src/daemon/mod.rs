//! The service: starts everything in order, listens to signals, feeds the watchdog while the data moves, and takes
//! everything down again in order.

mod archive;
pub mod assemble;
mod camera;
mod disk;
mod loader;
mod memory;
pub mod notify;
mod reload;
pub mod shutdown;
pub mod signals;
mod trigger;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;

use self::archive::Exams;
use self::assemble::Reading;
use self::signals::{Signal, Signals};
use self::trigger::Trigger;
use crate::config::Resolved;
use crate::emit::jsonl::JsonlFile;
use crate::emit::live::Live;
use crate::emit::web::{self, Archive};
use crate::emit::{Bus, EmitError, Net, Present, RING, Wires};
use crate::exam::Exam;
use crate::failure::{Failure, OrFail, Status};
use crate::pipeline::counters::Progress;
use crate::pipeline::desk::{self, Desk, Outlets};
use crate::pipeline::gauges::{Board, gauges};
use crate::pipeline::wanted::Wanted;
use crate::pipeline::{self, COMMANDS, Parts, Running};
use crate::record::{RecordErrorKind, Records, Reopened};
use crate::report::Snapshot;

/// How often the main thread looks at signals and at the data's progress.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Progress is judged over this span: five times the longest wait of a data thread, and a tenth of the unit's
/// WatchdogSec.
const PROGRESS_EVERY: Duration = Duration::from_secs(2);

/// Everything that was started.
pub struct Service {
    running: Running,
    net: Option<Net>,
    bus: Bus,
    board: Board,
    signals: Signals,
    config: Resolved,
    handles: reload::Handles,
}

impl Service {
    /// Starts from the configuration: model first, then record, outputs, source, threads. Whatever cannot start is
    /// a failure here, and nothing is left behind.
    ///
    /// `watched`: somebody in this process looks on. Without, frames are read while an exam is open or a reader is
    /// connected.
    pub fn start(config: Resolved, watched: bool) -> Result<Self, Failure> {
        let began = Instant::now();
        let signals = Signals::listen().or_fail(Status::Internal)?;
        let (remote, measure) = (config.remote.as_ref(), config.measure.as_ref());
        let reading = assemble::reading(&config.bundle, &config.runtime, remote, measure, &config.gate, None)?;
        let records = config.record.as_ref().map(|r| Records::at(&r.folder)).transpose().or_fail(Status::Io)?;
        let interrupted = records.as_ref().map(recover).transpose()?.unwrap_or_default();
        let file = config.file.as_deref().map(JsonlFile::open).transpose().or_fail(Status::Io)?;
        let (source, reopen) =
            assemble::source(&config).map_err(|error| assemble::source_failure(&config.source, error))?;

        let info = source.info();
        let live = info.live;
        let loops = assemble::loops(measure)?;
        let second = assemble::seconds(&config.second, &config.runtime, measure)?;
        let provenance = assemble::provenance(Some(&config), &reading, loops.as_ref(), &second, info.words.clone());
        let bus = Bus::new(RING, first_present(&reading));
        let page = web::Wires {
            live: Live::default(),
            clock: info.clock.clone(),
            archive: records.as_ref().map(|records| Arc::new(Exams::of(records)) as Arc<dyn Archive>),
        };
        let shown = config.emit.page.is_some().then(|| page.live.clone());
        let board = Board::default();
        let readers = reading.classifier.frames_at_once();
        let (loader, loading) =
            loader::Loader::start(&config, readers, reading.model.sha256.clone()).or_fail(Status::Unavailable)?;
        let desk = Desk::new(desk::Settings {
            clock: info.clock.clone(),
            rules: config.pool.clone(),
            terms: reading.terms.clone(),
            timeline: config.exam.clone(),
            keyframes_per_field: config
                .record
                .as_ref()
                .map_or(pipeline::KEYFRAMES_PER_FIELD, |r| r.keyframes_per_field),
            provenance,
            seconds: second.iter().map(|second| second.terms.clone()).collect(),
            records,
            interrupted,
            script: info.script.clone(),
            loading: Some(loading),
            outlets: Outlets { bus: Some(bus.clone()), file, tap: None },
        });
        let readers = bus.clone();
        let wanted = if live && !watched && info.script.is_empty() {
            Wanted::when(move || readers.readers() > 0)
        } else {
            Wanted::always()
        };
        let Reading { step, classifier, runtime, .. } = reading;
        board.write().runtime = Some(runtime.clone());
        let handles = reload::Handles { gate: step.gate_handle(), loader };
        let (command_queue, commands) = bounded(COMMANDS);
        let (faults, output_faults) = bounded(COMMANDS);
        let running = pipeline::start(Parts {
            source,
            reopen,
            step,
            classifier,
            loops,
            second,
            desk,
            commands,
            faults: output_faults,
            urgent: live.then(|| faults.clone()),
            wanted,
            board: board.clone(),
            live: shown,
        })
        .or_fail(Status::Unavailable)?;
        let mut service = Self { running, net: None, bus, board, signals, config, handles };
        let trigger = Trigger {
            bindings: service.config.trigger.clone(),
            bus: service.bus.clone(),
            commands: command_queue.clone(),
            stop: service.running.stop.clone(),
        };
        let trigger = trigger.start().or_fail(Status::Unavailable)?;
        let (paths, least_mb) = service.config.written_to();
        if !paths.is_empty() {
            let watched = disk::Disks { paths, least_mb }.watch(faults.clone(), service.running.stop.clone());
            watched.or_fail(Status::Unavailable)?;
        }
        // Joined first: commands come to their end before the frames do.
        service.running.threads.insert(0, ("trigger", trigger));
        let wires = Wires {
            control: command_queue,
            faults,
            gauges: gauges(service.board.clone(), std::mem::take(&mut service.running.depths)),
            page,
        };
        match Net::start(&service.config.emit, &service.bus, wires) {
            Ok(net) => service.net = Some(net),
            Err(error) => {
                // The outputs' failure is the one to tell.
                let _stopped = service.stop();
                let status = match error {
                    EmitError::Settings(_) => Status::Config,
                    EmitError::Taken(_) => Status::Unavailable,
                    EmitError::Open { .. } => Status::Io,
                };
                return Err(Failure::new(status, error));
            }
        }
        // What opening the source took is over too: the simulated microscope draws its first field.
        memory::give_back();
        service.board.write().ready = true;
        let status = format!("{} on {}", service.config.bundle.display(), runtime.provider_running);
        notify::ready(&status);
        tracing::info!(after_ms = began.elapsed().as_millis(), provider = runtime.provider_running, "ready");
        Ok(service)
    }

    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// Asks for the end, from wherever.
    pub fn stopper(&self) -> pipeline::stop::Stop {
        self.running.stop.clone()
    }

    /// Runs until a signal, the end of a recording, or a stop asked for elsewhere.
    pub fn run(mut self) -> Result<(), Failure> {
        let mut progress = Progress::new(self.running.beats.clone());
        let mut looked = Instant::now();
        let watchdog = notify::watchdog().is_some();
        while !self.running.finished() && !self.running.stop.asked() {
            match self.signals.next(LOOK_EVERY) {
                Some(Signal::Stop) => break,
                Some(Signal::Reload) => self.reload(),
                None => {}
            }
            if looked.elapsed() >= PROGRESS_EVERY {
                looked = Instant::now();
                let stuck = progress.stuck();
                if stuck.is_empty() && watchdog {
                    notify::alive();
                }
                if !stuck.is_empty() {
                    tracing::error!(threads = ?stuck, "no progress");
                }
                self.board.write().stuck = stuck.into_iter().map(str::to_owned).collect();
            }
        }
        self.stop()
    }

    fn reload(&mut self) {
        notify::reloading();
        match reload::reload(&mut self.config, &self.handles) {
            Ok(changed) => tracing::info!(?changed, "reloaded"),
            Err(error) => tracing::error!(%error, "not reloaded: the old configuration stays in force"),
        }
        notify::ready("reloaded");
    }

    /// Capture first, then along the data, then the network. A second signal ends at once.
    fn stop(self) -> Result<(), Failure> {
        notify::stopping();
        self.board.write().ready = false;
        self.signals.end_at_once();
        let deadline = Instant::now() + shutdown::DEADLINE;
        self.running.stop.ask();
        let joined = shutdown::join_all(self.running.threads, self.running.cut_off, deadline);
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(200));
        let net = self.net.map_or(Ok(()), |net| net.stop(left));
        joined.or_fail(Status::Internal)?;
        net.or_fail(Status::Internal)?;
        tracing::info!("stopped");
        Ok(())
    }
}

fn first_present(reading: &Reading) -> Present {
    let snapshot = Snapshot::before(reading.model.clone(), reading.runtime.provider_running.clone());
    Present { at_ms: 0, date: Some(jiff::Timestamp::now()), exam: None, snapshot: std::sync::Arc::new(snapshot) }
}

/// Seals and marks what an earlier run left open, so that it can be resumed or closed.
pub fn recover(records: &Records) -> Result<Vec<Exam>, Failure> {
    let mut exams = Vec::new();
    for found in records.interrupted().or_fail(Status::Io)? {
        match records.reopen(&found.exam, Some(jiff::Timestamp::now())) {
            Ok(Reopened::Completed { .. }) => {
                tracing::warn!(exam = %found.exam, "its report was missing and is written now");
            }
            Ok(Reopened::Interrupted { recovered, .. }) => {
                tracing::warn!(exam = %found.exam, "was interrupted: resume it or leave it as it is");
                let Ok(subject) = recovered.subject.parse() else { continue };
                let fields = recovered.fields.iter().map(|f| (f.finger, f.number));
                let began = recovered.recording.zip(recovered.field);
                exams.push(Exam::restore(recovered.exam.clone(), subject, fields.chain(began), recovered.skipped));
            }
            // Another service's exam, or one that only a person can judge: left as it is, and said.
            Err(error) if matches!(error.kind, RecordErrorKind::Busy | RecordErrorKind::Damaged) => {
                tracing::error!(exam = %found.exam, %error, "left as it is");
            }
            Err(error) => return Err(Failure::new(Status::Io, error)),
        }
    }
    Ok(exams)
}
