//! The subcommands, one file each: `Args` as typed, `run` to do it.

mod amend;
mod calibrate;
mod check;
mod completions;
mod devices;
mod doctor;
mod eval;
mod exam;
mod models;
mod out;
mod overlay;
mod picture;
mod read;
mod replay;
mod report;
mod run;
mod schema;
mod scores;
mod synth;
mod table;
mod token;
mod verify;
mod watch;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::{Failure, OrFail, Status};
use crate::telemetry;

/// Live reader of nailfold capillaries. Research use only; not validated on patients; not a diagnosis.
#[derive(Parser)]
#[command(name = "hairpin", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// Level of the log on standard error, until a configuration says otherwise.
    #[arg(long, global = true, default_value = "warn", value_name = "LEVEL")]
    log: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the service: grab, judge, read, report, until told to stop.
    Run(run::Args),
    /// Run recordings through the same pipeline; the same input gives the same output.
    Replay(replay::Args),
    /// Read single pictures and say what was found.
    Read(read::Args),
    /// Say how well loops are found and counted on labelled frames.
    Eval(eval::Args),
    /// Check a configuration, its bundle and its outputs without running.
    Check(check::Args),
    /// Say what this machine has: library, providers, permissions, disk.
    Doctor(doctor::Args),
    /// Measure how many micrometres a pixel is, on a picture of a stage micrometer or ruler.
    Calibrate(calibrate::Args),
    /// List the cameras of this machine: what they are, what they offer, whether they can be had.
    Devices(devices::Args),
    /// Command the running service's exam.
    Exam(exam::Args),
    /// List, verify, try or compare model bundles.
    Models(models::Args),
    /// Verify the record of an exam: hash chain, keyframes, report.
    Verify(verify::Args),
    /// Write an exam's report: one HTML page that stands alone, or a PDF.
    Report(report::Args),
    /// Add a comment or a call of your own to a closed exam.
    Amend(amend::Args),
    /// Sign a closed exam: the record and all that was added so far.
    Sign(amend::SignArgs),
    /// Scores that the literature makes of counted loops, of a closed exam: for research alone, no part of any result.
    Scores(scores::Args),
    /// Watch the running service live in the terminal.
    Watch(watch::Args),
    /// Show the tokens of the page.
    Token(token::Args),
    /// Draw pictures of nailfolds with known truth.
    Synth(synth::Args),
    /// Print the JSON Schema of everything Hairpin writes.
    Schema(schema::Args),
    /// Print a completion script for a shell.
    Completions(completions::Args),
}

impl Cli {
    pub fn run(self) -> Result<ExitCode, Failure> {
        telemetry::start(&telemetry::Settings { level: self.log, ..Default::default() }).or_fail(Status::Config)?;
        let done = |()| ExitCode::SUCCESS;
        match &self.command {
            Command::Run(args) => run::run(args).map(done),
            Command::Replay(args) => replay::run(args).map(done),
            Command::Read(args) => read::run(args).map(done),
            Command::Eval(args) => eval::run(args).map(done),
            Command::Check(args) => check::run(args).map(done),
            Command::Doctor(args) => doctor::run(args).map(done),
            Command::Calibrate(args) => calibrate::run(args).map(done),
            Command::Devices(args) => devices::run(args).map(done),
            Command::Exam(args) => exam::run(args).map_err(|e| Failure::new(Status::of(e.exit_code()), e)),
            Command::Models(args) => models::run(args).map(done),
            Command::Verify(args) => verify::run(args).map(done),
            Command::Report(args) => report::run(args).map(done),
            Command::Amend(args) => amend::run(args).map(done),
            Command::Sign(args) => amend::sign(args).map(done),
            Command::Scores(args) => scores::run(args).map(done),
            Command::Watch(args) => watch::run(args).map_err(|e| Failure::new(Status::of(e.exit_code()), e)),
            Command::Token(args) => token::run(args).map(done),
            Command::Synth(args) => synth::run(args).or_fail(Status::Io).map(done),
            Command::Schema(args) => schema::run(args).map(done),
            Command::Completions(args) => completions::run(args).map(done),
        }
    }
}

/// The configuration that was named, or the first that is found where one belongs.
fn find_config(given: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(path) = given {
        return Ok(path.to_owned());
    }
    if let Some(path) = std::env::var_os("HAIRPIN_CONFIG") {
        return Ok(path.into());
    }
    let places = [Path::new("/etc/hairpin/hairpin.toml"), Path::new("config/hairpin.toml")];
    places.into_iter().find(|path| path.exists()).map(Path::to_owned).ok_or_else(|| {
        let message =
            "no configuration: name one with --config or HAIRPIN_CONFIG, or put it at /etc/hairpin/hairpin.toml";
        Failure::new(Status::Config, message)
    })
}
