//! Parses the command line, hands over to the subcommand, and turns a failure into words and an exit status.

use std::process::ExitCode;

use clap::Parser;
use hairpin::cli::Cli;

fn main() -> ExitCode {
    bound_kept_memory();
    match Cli::parse().run() {
        Ok(code) => code,
        Err(failure) => {
            failure.tell();
            failure.exit_code()
        }
    }
}

/// Left to itself, glibc takes each large piece that is freed for a sign that such pieces come and go, and keeps up to
/// 64 MB of them. Fixed thresholds keep it to what a frame takes and gives back: the largest raw frame of a usual size
/// (2.6 MB) stays at hand, and a model's file or a drawn field goes back to the system.
fn bound_kept_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for (threshold, bytes) in [(libc::M_MMAP_THRESHOLD, 4 << 20), (libc::M_TRIM_THRESHOLD, 16 << 20)] {
        // SAFETY: no other thread is there yet; a value that is refused leaves the usual one.
        unsafe { libc::mallopt(threshold, bytes) };
    }
}
