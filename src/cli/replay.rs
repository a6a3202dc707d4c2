//! `hairpin replay PATH`: recordings through the same pipeline as live frames. Nothing is dropped, and the same input
//! gives the same lines.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded, never};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{find_config, out, table};
use crate::capture::replay::Settings;
use crate::capture::{Pace, Replay, Source, StillAs};
use crate::command::Subject;
use crate::config::Resolved;
use crate::daemon::assemble::{self, Reading};
use crate::daemon::shutdown;
use crate::daemon::signals::{Signal, Signals};
use crate::failure::{Failure, OrFail, Status};
use crate::finger::Finger;
use crate::pipeline::desk::{self, Desk, Outlets};
use crate::pipeline::gauges::Board;
use crate::pipeline::wanted::Wanted;
use crate::pipeline::{self, Parts, Running};
use crate::record::Records;
use crate::report::{Event, ExamEvent, ExamReport, Fault, FaultKind, Line};

#[derive(clap::Args)]
pub struct Args {
    /// A picture, a folder of pictures, an MJPEG AVI or a .mjpeg stream
    path: PathBuf,
    /// Whose model, gate, pool and exam sections are used; else as for `hairpin run`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print every line of the exam as JSON
    #[arg(long)]
    json: bool,
    /// Record the exam below this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Pseudonym, where no sidecar gives one
    #[arg(long)]
    subject: Option<Subject>,
    /// The finger, where no sidecar or folder name gives one
    #[arg(long)]
    finger: Option<Finger>,
    /// Micrometres per pixel, where no sidecar gives them
    #[arg(long, value_name = "UM")]
    um_per_px: Option<f64>,
    /// `as-fast`, `real-time`, or a factor such as 0.5
    #[arg(long, default_value = "as-fast", value_parser = pace)]
    pace: Pace,
    /// Frames per second of pictures in a folder
    #[arg(long, value_name = "RATE")]
    frames_per_s: Option<f64>,
    /// Each picture of a folder is a field of its own
    #[arg(long)]
    stills_are_fields: bool,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let config = crate::config::load(&find_config(args.config.as_deref())?).or_fail(Status::Config)?;
    crate::telemetry::start(&config.log).or_fail(Status::Config)?;
    let signals = Signals::listen().or_fail(Status::Internal)?;
    let settings = settings(args);
    settings.check().or_fail(Status::Config)?;
    let replay = Replay::open(&args.path, settings).map_err(assemble::capture_failure)?;
    for skipped in replay.skipped() {
        tracing::warn!(file = %skipped.path.display(), why = skipped.why, "left out");
    }
    let no_exam = replay.why_no_exam();
    if let Some(why) = no_exam.filter(|_| args.json) {
        tracing::warn!("{why}");
    }
    let total = replay.info().frames_total;
    let (running, lines, board) = start(args, &config, Box::new(replay))?;
    let (closed, lasting) = follow(&running, &lines, &signals, args.json, total)?;
    let deadline = std::time::Instant::now() + shutdown::DEADLINE;
    shutdown::join_all(running.threads, running.cut_off, deadline).or_fail(Status::Internal)?;
    match no_exam {
        _ if args.json => {}
        Some(why) => {
            let message = format!("{why}\ngive --subject, and --finger or a folder named after it (R4/), or a sidecar");
            out::line(message)?;
        }
        None => closed.iter().try_for_each(|report| tell(args, report))?,
    }
    if !args.json {
        // Those outside any exam too: nobody is to wonder where the frames of a recording have gone.
        out::line(table::frames(&board.write().frames))?;
    }
    lasting.map_or(Ok(()), Err)
}

/// What is told stands, but a script must not take part of a recording for the whole.
fn failure(fault: &Fault) -> Failure {
    let status = match fault.kind {
        FaultKind::Source => Status::Data,
        FaultKind::Record | FaultKind::Disk | FaultKind::Output => Status::Io,
        FaultKind::Inference
        | FaultKind::Provider
        | FaultKind::Remote
        | FaultKind::SecondOpinion
        | FaultKind::Internal => Status::Internal,
    };
    Failure::new(status, fault.message.clone())
}

fn pace(text: &str) -> Result<Pace, String> {
    match text {
        "as-fast" => Ok(Pace::AsFast),
        "real-time" => Ok(Pace::RealTime),
        _ => text.parse().map(Pace::Factor).map_err(|_| "write as-fast, real-time, or a factor such as 0.5".to_owned()),
    }
}

fn settings(args: &Args) -> Settings {
    Settings {
        pace: args.pace,
        frames_per_s: args.frames_per_s,
        subject: args.subject.clone(),
        finger: args.finger,
        um_per_px: args.um_per_px,
        still_as: args.stills_are_fields.then_some(StillAs::Field),
        ..Settings::default()
    }
}

fn start(
    args: &Args,
    config: &Resolved,
    source: Box<dyn Source>,
) -> Result<(Running, Receiver<Arc<Line>>, Board), Failure> {
    let info = source.info();
    let (remote, measure, scale) = (config.remote.as_ref(), config.measure.as_ref(), info.words.scale.clone());
    let reading = assemble::reading(&config.bundle, &config.runtime, remote, measure, &config.gate, scale)?;
    let loops = assemble::loops(measure)?;
    let second = assemble::seconds(&config.second, &config.runtime, measure)?;
    let (tap, lines) = bounded(64);
    let desk = Desk::new(desk::Settings {
        clock: info.clock.clone(),
        rules: config.pool.clone(),
        terms: reading.terms.clone(),
        timeline: config.exam.clone(),
        keyframes_per_field: pipeline::KEYFRAMES_PER_FIELD,
        provenance: assemble::provenance(Some(config), &reading, loops.as_ref(), &second, info.words.clone()),
        seconds: second.iter().map(|second| second.terms.clone()).collect(),
        records: args.out.as_deref().map(Records::at).transpose().or_fail(Status::Io)?,
        interrupted: Vec::new(),
        script: info.script.clone(),
        loading: None,
        outlets: Outlets { bus: None, file: None, tap: Some(tap) },
    });
    let Reading { step, classifier, .. } = reading;
    let (commands, faults, board, wanted) = (never(), never(), Board::default(), Wanted::always());
    let parts = Parts {
        live: None,
        source,
        reopen: None,
        step,
        classifier,
        loops,
        second,
        desk,
        commands,
        faults,
        urgent: None,
        board: board.clone(),
        wanted,
    };
    Ok((pipeline::start(parts).or_fail(Status::Unavailable)?, lines, board))
}

/// Prints or counts the lines until the last, and keeps the first fault that was not over by then. A first Ctrl-C
/// ends the exam as interrupted.
fn follow(
    running: &Running,
    lines: &Receiver<Arc<Line>>,
    signals: &Signals,
    json: bool,
    total: Option<u64>,
) -> Result<(Vec<ExamReport>, Option<Failure>), Failure> {
    let bar = if json || !io::stderr().is_terminal() { ProgressBar::hidden() } else { progress(total) };
    let mut closed = Vec::new();
    let mut lasting: Option<Fault> = None;
    loop {
        if signals.next(Duration::ZERO) == Some(Signal::Stop) {
            running.stop.ask();
        }
        let line = match lines.recv_timeout(Duration::from_millis(100)) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        if json && !print(&line)? {
            running.stop.ask();
        }
        if let Event::Fault(fault) = &line.event {
            lasting = match lasting.take() {
                Some(shown) if fault.cleared && shown.kind == fault.kind => None,
                shown => shown.or_else(|| (!fault.cleared).then(|| fault.clone())),
            };
        }
        match &line.event {
            Event::Finding(_) => bar.inc(1),
            Event::Fault(fault) if !json => bar.suspend(|| tracing::warn!("{}: {}", fault.message, fault.action)),
            Event::Exam(ExamEvent::Closed { report }) => closed.push((**report).clone()),
            _ => {}
        }
    }
    bar.finish_and_clear();
    Ok((closed, lasting.as_ref().map(failure)))
}

fn progress(total: Option<u64>) -> ProgressBar {
    let form = "{bar:40} {pos}/{len} frames read, {per_sec}";
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
    // The form is constant and known to be sound; a bar without it is still a bar.
    match ProgressStyle::with_template(form) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// False once nobody reads any more.
fn print(line: &Line) -> Result<bool, Failure> {
    let text = serde_json::to_string(line).or_fail(Status::Internal)?;
    match writeln!(io::stdout().lock(), "{text}") {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::new(Status::Io, error)),
    }
}

fn tell(args: &Args, report: &ExamReport) -> Result<(), Failure> {
    out::line(table::fingers(&report.fingers, &report.skipped, &report.provenance.model))?;
    out::line(table::summary(&report.summary))?;
    if let Some(folder) = &args.out {
        out::line(format!("record: {}", folder.join(&report.exam).display()))?;
    }
    Ok(())
}
