//! The whole pipeline on DenseNet-121 beside the bare session and beside a loop in Python, in turns within one
//! run, so that what else the machine does falls on all of them; and the latency that Hairpin adds at 30 frames/s.

mod common;

use std::time::Duration;

use common::loops::{Decode, Python, Waiting};
use common::ours::{self, Ran};
use common::{Film, Outcome, Report, Spread, Target, median, ms, quantile, say};
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
        let folder = film.to_folder()?;
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
    /// On one frame with all threads, and with a frame for each thread.
    bare: Vec<ours::Bare>,
    pythons: Vec<Python>,
    rates: Vec<Rates>,
}

struct Rates {
    bare: Vec<f64>,
    ours: Vec<f64>,
    theirs: Vec<[f64; 3]>,
}

impl<'a> Contest<'a> {
    fn new(bundle: &'a Bundle, film: &'a Film, folder: &std::path::Path, threads: u32, frames: usize) -> Outcome<Self> {
        let bare = spreads(threads).iter().map(|spread| ours::Bare::new(bundle, film, threads, *spread));
        let waiting = waiting(threads).iter().map(|waiting| Python::start(bundle, folder, threads, *waiting));
        let (bare, pythons) = (bare.collect::<Outcome<_>>()?, waiting.collect::<Outcome<_>>()?);
        Ok(Self { bundle, film, threads, frames, bare, pythons, rates: Vec::new() })
    }

    fn round(&mut self) -> Outcome<()> {
        let mut rates = Rates { bare: Vec::new(), ours: Vec::new(), theirs: Vec::new() };
        for (bare, spread) in self.bare.iter_mut().zip(spreads(self.threads)) {
            rates.bare.push(bare.rate(WARM, self.frames)?);
            let run = ours::run(self.bundle, self.film, (self.threads, *spread), None, WARM + self.frames)?;
            run.all_read()?;
            rates.ours.push(run.frames_per_s(WARM));
        }
        for python in &mut self.pythons {
            let mut theirs = [0.0; 3];
            for (rate, decode) in theirs.iter_mut().zip(Decode::ALL) {
                *rate = python.rate(decode, WARM, self.frames)?;
            }
            rates.theirs.push(theirs);
        }
        self.rates.push(rates);
        Ok(())
    }

    fn newest(&self) -> String {
        self.rates.last().map_or_else(String::new, |r| {
            format!("bare {:.1?}, ours {:.1?}, Python {:.1?} frames/s", r.bare, r.ours, r.theirs)
        })
    }

    fn rows(&self, report: &mut Report, size: Size) {
        let threads = if self.threads == 1 { "1 thread" } else { "2 threads" };
        let of = |pick: &dyn Fn(&Rates) -> f64| median(&self.rates.iter().map(pick).collect::<Vec<_>>());
        let usual = size == common::USUAL;
        let floor = match (usual, self.threads) {
            (true, 1) => Target::AtLeast(0.97),
            (true, _) => Target::AtLeast(0.88),
            (false, _) => Target::None,
        };
        for (s, spread) in spreads(self.threads).iter().enumerate() {
            let how = match spread {
                Spread::OneFrame if self.threads > 1 => ", sharing a frame",
                Spread::OneFrame | Spread::FrameEach => "",
            };
            report.add(format!("bare session, {threads}{how}"), of(&|r| r.bare[s]), "frames/s", Target::None);
            report.add(format!("pipeline {size}, {threads}{how}"), of(&|r| r.ours[s]), "frames/s", Target::None);
            let ratio = of(&|r| r.ours[s] / r.bare[s]);
            report.add(format!("pipeline / bare session {size}, {threads}{how}"), ratio, "x", floor);
        }
        if self.threads > 1 {
            let what = format!("pipeline {size} / bare session sharing a frame, {threads}");
            report.add(what, of(&|r| r.ours[0] / r.bare[1]), "x", floor);
        }
        for (p, waiting) in waiting(self.threads).iter().enumerate() {
            for (i, decode) in Decode::ALL.into_iter().enumerate() {
                let floor = match (usual, decode) {
                    (true, Decode::Full) => Target::AtLeast(1.2),
                    (true, Decode::Half | Decode::Quarter) => Target::AtLeast(1.1),
                    (false, Decode::Full) => Target::AtLeast(1.4),
                    (false, Decode::Half | Decode::Quarter) => Target::None,
                };
                let name = format!("{}, {} {size}, {threads}", waiting.words(), decode.words());
                report.add(&name, of(&|r| r.theirs[p][i]), "frames/s", Target::None);
                report.add(format!("pipeline / {name}"), of(&|r| r.ours[0] / r.theirs[p][i]), "x", floor);
            }
        }
    }
}

/// As Hairpin is set up comes first. One thread has nothing to share, and nobody to wait for.
fn spreads(threads: u32) -> &'static [Spread] {
    if threads == 1 { &[Spread::FrameEach] } else { &[Spread::FrameEach, Spread::OneFrame] }
}

fn waiting(threads: u32) -> &'static [Waiting] {
    if threads == 1 { &[Waiting::Spinning] } else { &Waiting::ALL }
}

/// From the moment a frame is there until its event is out, less the inference itself.
fn latency(report: &mut Report, bundle: &Bundle, film: &Film, threads: u32, per_s: u32, frames: usize) -> Outcome<()> {
    let period = Duration::from_secs(1) / per_s;
    let run = ours::run(bundle, film, (threads, Spread::FrameEach), Some(period), frames)?;
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
