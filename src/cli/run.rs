//! `hairpin run`: the service, with a live view in the terminal when one is asked for.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::daemon::Service;
use crate::emit::Bus;
use crate::failure::{Failure, OrFail, Status};
use crate::pipeline::stop::Stop;
use crate::report::{NOTICE, Snapshot};
use crate::view::screen::{Asked, Screen};
use crate::view::{Link, Scene};
use crate::{config, telemetry};

use super::{out, table};

/// Ten pictures a second: smooth for bars and numbers, and nothing beside the inference.
const DRAW_EVERY: Duration = Duration::from_millis(100);

#[derive(clap::Args)]
pub struct Args {
    /// The configuration; else HAIRPIN_CONFIG, /etc/hairpin/hairpin.toml or config/hairpin.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Show the exam live in this terminal
    #[arg(long)]
    view: bool,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let path = super::find_config(args.config.as_deref())?;
    let drawn = args.view && io::stdout().is_terminal();
    let mut config = config::load(&path).or_fail(Status::Config)?;
    if drawn {
        // Log lines would tear the picture; faults are part of it.
        "error".clone_into(&mut config.log.level);
    }
    telemetry::start(&config.log).or_fail(Status::Config)?;
    let folder = config.record.as_ref().map(|record| record.folder.clone());
    let service = Service::start(config, args.view)?;
    if !args.view {
        return service.run();
    }
    let last = if drawn { run_drawn(service)? } else { run_told(service)? };
    match &last.closed {
        None => out::line("no exam was closed"),
        Some(report) => {
            out::line(table::fingers(&report.fingers, &report.skipped, &report.provenance.model))?;
            out::line(table::summary(&report.summary))?;
            folder.map_or(Ok(()), |folder| out::line(format!("record: {}", folder.join(&report.exam).display())))
        }
    }
}

fn run_drawn(service: Service) -> Result<Arc<Snapshot>, Failure> {
    let (bus, stop) = (service.bus().clone(), service.stopper());
    let ended = Stop::new();
    let told = ended.clone();
    let view = std::thread::Builder::new()
        .name("view".to_owned())
        // A terminal that went away ends the exam as a keypress would.
        .spawn(move || draw(&bus, &stop, &told).inspect_err(|_| stop.ask()))
        .or_fail(Status::Unavailable)?;
    let service = service.run();
    ended.ask();
    let last = view.join().map_err(|_| Failure::new(Status::Internal, "the view panicked"))?;
    service?;
    last.or_fail(Status::Io)
}

fn draw(bus: &Bus, stop: &Stop, ended: &Stop) -> io::Result<Arc<Snapshot>> {
    let mut screen = Screen::open()?;
    while !ended.asked() {
        let now = bus.latest();
        screen.draw(&Scene {
            snapshot: &now.snapshot,
            exam: now.exam.as_deref(),
            notice: NOTICE,
            link: Link::Live,
            hint: "q ends",
        })?;
        if screen.asked(DRAW_EVERY)? == Asked::Quit {
            stop.ask();
        }
    }
    Ok(bus.latest().snapshot)
}

/// Without a terminal: a line whenever finger, field or verdict changes.
fn run_told(service: Service) -> Result<Arc<Snapshot>, Failure> {
    let bus = service.bus().clone();
    let worker = std::thread::Builder::new()
        .name("service".to_owned())
        .spawn(move || service.run())
        .or_fail(Status::Unavailable)?;
    let mut told = String::new();
    while !worker.is_finished() {
        let now = table::progress(&bus.latest().snapshot);
        if now != told {
            out::line(&now)?;
            told = now;
        }
        std::thread::park_timeout(DRAW_EVERY);
    }
    worker.join().map_err(|_| Failure::new(Status::Internal, "the service panicked"))??;
    Ok(bus.latest().snapshot)
}
