//! The suite against a real uvcvideo driver: runs inside the rig's guest (`make test-device`), where a camera that we
//! feed and torment is plugged into the kernel. Anywhere else it says that it was skipped.
//!
//!     device frames DIR         on the host: draws the camera's pictures
//!     device suite [FILTER]     in the guest: every check whose name holds FILTER
//!     device figures            in the guest: latency, processor time, and the same for other programs
//!     device soak MINUTES       in the guest: an exam with an unplug a minute

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test program that tells what it does")]

mod capture;
mod figures;
mod frames;
mod pedal;
mod rig;
mod service;
mod soak;
#[path = "../support/hairpin.rs"]
mod support;
mod vivid;

use std::panic::catch_unwind;
use std::process::ExitCode;
use std::time::Instant;

use rig::Rig;

type Check = (&'static str, fn(&Rig));

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["frames", folder] => frames::draw(folder.as_ref()),
        ["suite", filter @ ..] => return suite(filter.first().copied().unwrap_or_default()),
        ["figures"] => figures::measure(&Rig::start()),
        ["soak", minutes] => soak::run(&Rig::start(), minutes.parse().expect("soak MINUTES")),
        _ => println!("device: skipped: it needs the rig's guest (`make test-device`)"),
    }
    ExitCode::SUCCESS
}

fn suite(filter: &str) -> ExitCode {
    let checks = [capture::CHECKS, vivid::CHECKS, service::CHECKS].concat();
    let rig = Rig::start();
    let began = Instant::now();
    let mut failed = Vec::new();
    for (name, check) in checks.into_iter().filter(|(name, _)| name.contains(filter)) {
        rig.reset();
        let at = Instant::now();
        let passed = catch_unwind(|| check(&rig)).is_ok();
        println!("{} {name} ({:.1} s)", if passed { "ok    " } else { "FAILED" }, at.elapsed().as_secs_f32());
        if !passed {
            failed.push(name);
        }
    }
    let complaints = rig::kernel_complaints();
    if !complaints.is_empty() {
        println!("FAILED the kernel complains:\n{complaints}");
        failed.push("kernel");
    }
    println!("{} s in all; failed: {failed:?}", began.elapsed().as_secs());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
