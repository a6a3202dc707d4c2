//! Parses the command line, hands over to the subcommand, and turns a failure into words and an exit status.

use std::process::ExitCode;

use clap::Parser;
use hairpin::cli::Cli;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(code) => code,
        Err(failure) => {
            failure.tell();
            failure.exit_code()
        }
    }
}
