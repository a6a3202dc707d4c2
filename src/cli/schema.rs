//! `hairpin schema`: the JSON Schema of every line that Hairpin writes, made from the types themselves.

use schemars::schema_for;

use super::out;
use crate::failure::Failure;
use crate::report::{ExamReport, Line};

#[derive(clap::Args)]
pub struct Args {
    /// The schema of exam.json instead of that of an event line.
    #[arg(long)]
    exam: bool,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    if args.exam { out::json(&schema_for!(ExamReport)) } else { out::json(&schema_for!(Line)) }
}
