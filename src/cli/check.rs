//! `hairpin check`: everything that can be known before running, without disturbing a service that runs.

use std::path::{Path, PathBuf};

use super::{find_config, out};
use crate::bundle::Bundle;
use crate::capture::devices::Tree;
use crate::capture::select::Selector;
use crate::capture::v4l2::capture_nodes;
use crate::capture::{CaptureErrorKind, Replay, Source};
use crate::config::{Resolved, SourceChoice};
use crate::daemon::assemble;
use crate::failure::{Failure, OrFail, Status};

#[derive(clap::Args)]
pub struct Args {
    /// The configuration; else as for `hairpin run`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let path = find_config(args.config.as_deref())?;
    let config = crate::config::load(&path).or_fail(Status::Config)?;
    out::line(format!("{}: every key is known and in range", path.display()))?;
    let bundle = Bundle::load(&config.bundle).or_fail(Status::Config)?;
    out::line(format!("model {} {}: every file has its digest", bundle.id.name, bundle.id.version))?;
    let (remote, measure) = (config.remote.as_ref(), config.measure.as_ref());
    let reading = assemble::reading(&config.bundle, &config.runtime, remote, measure, &config.gate, None)?;
    out::line(format!(
        "ONNX Runtime {} runs it on {}; the golden pair agrees",
        reading.runtime.version, reading.runtime.provider_running
    ))?;
    if let Some(loops) = assemble::loops(measure)? {
        let words = loops.measurer.locator().words();
        out::line(format!("loops by {} {}: what it answers to its golden picture agrees", words.name, words.version))?;
    }
    source(&config.source)?;
    outputs(&config)?;
    out::line("ok")
}

fn source(choice: &SourceChoice) -> Result<(), Failure> {
    match choice {
        SourceChoice::Simulated(_) => out::line("source: the simulated microscope"),
        SourceChoice::Replay { path, settings } => {
            let replay = Replay::open(path, settings.clone()).map_err(assemble::capture_failure)?;
            let frames = replay.info().frames_total.map_or("frames".to_owned(), |n| format!("{n} frames"));
            out::line(format!("source: {frames} in {}", path.display()))
        }
        SourceChoice::V4l2 { device, .. } => camera(device),
        #[cfg(feature = "nokhwa")]
        SourceChoice::Nokhwa(_) => out::line("source: a camera through nokhwa, looked for at the start"),
    }
}

/// Whether the camera is there; not opened, so that a service that has it goes on. That it is unplugged is no error of
/// the configuration, that several fit is.
fn camera(device: &Selector) -> Result<(), Failure> {
    match device.choose(&capture_nodes(&Tree::default())) {
        Ok(found) => out::line(format!("source: {}", found.told())),
        Err(error) if error.kind == CaptureErrorKind::NotFound => {
            out::line(format!("source: {error}; the service waits for it"))
        }
        Err(error) => Err(Failure::new(Status::Config, error)),
    }
}

/// Whether each output's folder is there and can be written to; nothing is opened or made.
fn outputs(config: &Resolved) -> Result<(), Failure> {
    let sockets = [config.emit.stream.as_ref(), config.emit.control.as_ref()];
    let token = config.emit.page.as_ref().and_then(|page| page.token.as_deref());
    let files = sockets.into_iter().flatten().map(|s| s.path.as_path()).chain(config.file.as_deref()).chain(token);
    for path in files {
        writable(path.parent().unwrap_or(Path::new(".")))?;
        out::line(format!("output {}: its folder can be written to", path.display()))?;
    }
    if let Some(record) = &config.record {
        let nearest = record.folder.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
        writable(nearest)?;
        out::line(format!("record {}: can be written", record.folder.display()))?;
    }
    Ok(())
}

fn writable(folder: &Path) -> Result<(), Failure> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    if folder.exists() && !folder.is_dir() {
        return Err(Failure::new(Status::Io, format!("{} is no folder: name another", folder.display())));
    }
    rustix::fs::access(folder, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).map_err(|e| {
        Failure::new(Status::Io, format!("cannot write in {}: {e}: make the folder, or name another", folder.display()))
    })
}
