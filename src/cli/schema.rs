//! `hairpin schema`: the JSON Schema of every line that Hairpin writes, made from the types themselves.

use schemars::schema_for;

use super::out;
use crate::failure::Failure;
use crate::record::amend::AmendmentLine;
use crate::report::{ExamReport, Line};

#[derive(clap::Args)]
pub struct Args {
    /// The schema of exam.json instead of that of an event line.
    #[arg(long)]
    exam: bool,
    /// The schema of a line of amendments.jsonl instead.
    #[arg(long, conflicts_with = "exam")]
    amendments: bool,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    match (args.exam, args.amendments) {
        (true, _) => out::json(&schema_for!(ExamReport)),
        (_, true) => out::json(&schema_for!(AmendmentLine)),
        (false, false) => out::json(&schema_for!(Line)),
    }
}
