//! The whole pipeline on DenseNet-121 beside the bare session and beside a loop in Python, in turns within one
//! run, so that what else the machine does falls on all of them; and the latency that Hairpin adds at 30 frames/s.

mod common;

use std::time::Duration;

use common::loops::{Decode, Python};
use common::ours::{self, Ran};
use common::{Film, Outcome, Report, Target, median, ms, quantile, say};
use hairpin::bundle::Bundle;
use hairpin::frame::Size;

/// Frames before the clock starts, of every contender.
const WARM: usize = 10;

fn main() -> Outcome<()> {
    let rounds = common::option("--rounds", 9)?;
    let frames = common::option("--frames", 120)?;
    let bundle = Bundle::load(&common::bundle())?;
    let mut report = Report::default();
    for (size, rounds) in [(common::USUAL, rounds), (common::LARGE, rounds.div_ceil(2))] {
        say(format!("drawing frames of {size}"));
        let film = Film::draw(size, 30)?;
        let folder = tempfile::tempdir()?;
        for (n, raw) in film.frames.iter().enumerate() {
            std::fs::write(folder.path().join(format!("{n:04}.jpg")), &raw.bytes)?;
        }
        for threads in [1, 2] {
            let mut contest = Contest::new(&bundle, &film, folder.path(), threads, frames)?;
            for round in 1..=rounds {
                contest.round()?;
                say(format!("{size}, {threads} inference threads, round {round} of {rounds}: {}", contest.newest()));
            }
            contest.rows(&mut report, size);
        }
        if size == common::USUAL {
            for (threads, per_s) in [(1, 30), (2, 30), (1, 20), (2, 20)] {
                latency(&mut report, &bundle, &film, threads, per_s, frames * 5)?;
            }
        }
    }
    report.finish("pipeline")
}

/// The contenders with one number of threads, and the frames per second of each round.
struct Contest<'a> {
    bundle: &'a Bundle,
    film: &'a Film,
    threads: u32,
    frames: usize,
    bare: ours::Bare,
    python: Python,
    rates: Vec<Rates>,
}

struct Rates {
    bare: f64,
    ours: f64,
    theirs: [f64; 3],
}

impl<'a> Contest<'a> {
    fn new(bundle: &'a Bundle, film: &'a Film, folder: &std::path::Path, threads: u32, frames: usize) -> Outcome<Self> {
        let bare = ours::Bare::new(bundle, film, threads)?;
        let python = Python::start(bundle, folder, threads)?;
        Ok(Self { bundle, film, threads, frames, bare, python, rates: Vec::new() })
    }

    fn round(&mut self) -> Outcome<()> {
        let bare = self.bare.rate(WARM, self.frames)?;
        let run = ours::run(self.bundle, self.film, self.threads, None, WARM + self.frames)?;
        run.all_read()?;
        let mut theirs = [0.0; 3];
        for (rate, decode) in theirs.iter_mut().zip(Decode::ALL) {
            *rate = self.python.rate(decode, WARM, self.frames)?;
        }
        self.rates.push(Rates { bare, ours: run.frames_per_s(WARM), theirs });
        Ok(())
    }

    fn newest(&self) -> String {
        self.rates.last().map_or_else(String::new, |r| {
            format!("bare {:.1}, ours {:.1}, Python {:.1?} frames/s", r.bare, r.ours, r.theirs)
        })
    }

    fn rows(&self, report: &mut Report, size: Size) {
        let threads = if self.threads == 1 { "1 thread" } else { "2 threads" };
        let of = |pick: &dyn Fn(&Rates) -> f64| median(&self.rates.iter().map(pick).collect::<Vec<_>>());
        let usual = size == common::USUAL;
        report.add(format!("bare session, {threads}"), of(&|r| r.bare), "frames/s", Target::None);
        report.add(format!("pipeline {size}, {threads}"), of(&|r| r.ours), "frames/s", Target::None);
        let floor = match (usual, self.threads) {
            (true, 1) => Target::AtLeast(0.97),
            (true, _) => Target::AtLeast(0.88),
            (false, _) => Target::None,
        };
        report.add(format!("pipeline / bare session {size}, {threads}"), of(&|r| r.ours / r.bare), "x", floor);
        for (i, decode) in Decode::ALL.into_iter().enumerate() {
            let floor = match (usual, decode) {
                (true, Decode::Full) => Target::AtLeast(1.2),
                (true, Decode::Half | Decode::Quarter) => Target::AtLeast(1.1),
                (false, Decode::Full) => Target::AtLeast(1.4),
                (false, Decode::Half | Decode::Quarter) => Target::None,
            };
            let name = decode.words();
            report.add(format!("Python, {name} {size}, {threads}"), of(&|r| r.theirs[i]), "frames/s", Target::None);
            let ratio = of(&|r| r.ours / r.theirs[i]);
            report.add(format!("pipeline / Python, {name} {size}, {threads}"), ratio, "x", floor);
        }
    }
}

/// From the moment a frame is there until its event is out, less the inference itself.
fn latency(report: &mut Report, bundle: &Bundle, film: &Film, threads: u32, per_s: u32, frames: usize) -> Outcome<()> {
    let period = Duration::from_secs(1) / per_s;
    let run = ours::run(bundle, film, threads, Some(period), frames)?;
    let Ran { events, dropped, .. } = &run;
    let steady = &events[events.len().min(per_s as usize)..];
    let added: Vec<f64> = steady.iter().map(|e| ms(e.total) - e.infer_ms).collect();
    let infer: Vec<f64> = steady.iter().map(|e| e.infer_ms).collect();
    let total: Vec<f64> = steady.iter().map(|e| ms(e.total)).collect();
    let at = format!("at {per_s} frames/s, {threads} threads");
    say(format!("latency {at}: {} read, {dropped} dropped", events.len()));
    let most = if per_s == 30 { Target::AtMost(10.0) } else { Target::None };
    report.add(format!("added latency {at}: p50"), median(&added), "ms", Target::None);
    report.add(format!("added latency {at}: p99"), quantile(&added, 0.99), "ms", most);
    report.add(format!("inference {at}: p50"), median(&infer), "ms", Target::None);
    report.add(format!("whole latency {at}: p99"), quantile(&total, 0.99), "ms", Target::None);
    report.add(format!("dropped {at}"), 100.0 * *dropped as f64 / frames as f64, "%", Target::None);
    Ok(())
}
