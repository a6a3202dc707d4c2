//! `hairpin completions SHELL`: what a shell needs to complete Hairpin's commands.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, out};
use crate::failure::{Failure, Status};

#[derive(clap::Args)]
pub struct Args {
    shell: Shell,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "hairpin", &mut script);
    let script = String::from_utf8(script).map_err(|e| Failure::new(Status::Internal, e))?;
    out::line(script.trim_end())
}
