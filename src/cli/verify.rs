//! `hairpin verify EXAM`: whether an exam's folder still holds what was written into it.

use std::path::PathBuf;

use super::out;
use crate::failure::{Failure, Status};
use crate::record::amend::Signed;
use crate::record::verify::{State, Verified, verify};
use crate::report::Ending;

#[derive(clap::Args)]
pub struct Args {
    /// The exam's folder
    exam: PathBuf,
    /// The verdict as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    match verify(&args.exam) {
        Ok(verified) if args.json => out::json(&verified),
        Ok(verified) => out::line(words(&verified)),
        Err(broken) => Err(Failure::new(Status::Data, broken)),
    }
}

fn words(verified: &Verified) -> String {
    let state = match verified.state {
        State::Open => "open: a service is writing it",
        State::Interrupted => "interrupted: whether lines are missing at its end cannot be seen",
        State::ReportMissing => "closed, its report still to be written by the next start of the service",
        State::Closed(Ending::Closed) => "closed",
        State::Closed(Ending::Interrupted) => "ended by a stop of the service",
    };
    let mut text = format!(
        "exam {}: whole\nstate: {state}\n{} lines, {} keyframes\nhead {}",
        verified.exam, verified.lines, verified.keyframes, verified.head
    );
    if let Some(head) = &verified.amendments_head {
        text.push_str(&format!("\n{} amendments, head {head}", verified.amendments));
    }
    match &verified.signed {
        None => {}
        Some(Signed { by, date, amended_after: false }) => text.push_str(&format!("\nsigned by {by} on {date}")),
        Some(Signed { by, date, amended_after: true }) => {
            text.push_str(&format!("\namended after the signature of {by} on {date}"));
        }
    }
    for torn in &verified.torn {
        text.push_str(&format!("\ncut off by a crash and kept: {torn}"));
    }
    for unknown in &verified.unknown {
        text.push_str(&format!("\nnot part of the record: {unknown}"));
    }
    text
}
