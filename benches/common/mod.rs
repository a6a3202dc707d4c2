//! What both benches need: the shipped model, drawn frames of one steady field, order statistics, and the table.

#![allow(dead_code, reason = "each bench uses a part")]

pub mod loops;
pub mod ours;

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hairpin::capture::simulated::{Settings, Simulated};
use hairpin::capture::{Next, Source};
use hairpin::finger::Finger;
use hairpin::frame::{RawFrame, Size};
use hairpin::infer;
use hairpin::report::SourceWords;
use serde_json::{Value, json};

pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// What USB microscopes usually send, and the largest still of a five-megapixel one.
pub const USUAL: Size = Size::new(1280, 1024);
pub const LARGE: Size = Size::new(2592, 1944);

/// Between two frames of the simulated microscope.
pub const PERIOD: Duration = Duration::from_nanos(33_333_333);

/// The lens is down and in focus from here: the first finger's field is found after 2.5 s of 30 frames each.
const FIRST_HELD: usize = 80;

pub fn bundle() -> PathBuf {
    from_root("HAIRPIN_BENCH_BUNDLE", "models/densenet121-synth-0.1.0")
}

pub fn library() -> PathBuf {
    from_root("HAIRPIN_ORT", "lib/libonnxruntime.so.1.32.0")
}

fn from_root(variable: &str, path: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(path), PathBuf::from)
}

/// How a session spreads its threads.
#[derive(Clone, Copy)]
pub enum Spread {
    /// Each thread reads a frame of its own, as Hairpin does unless it is told otherwise.
    FrameEach,
    /// All threads read one frame.
    OneFrame,
}

pub fn runtime(threads: u32, spread: Spread) -> infer::Settings {
    let frames_at_once = match spread {
        Spread::FrameEach => None,
        Spread::OneFrame => Some(1),
    };
    infer::Settings { library: library(), threads, frames_at_once, ..infer::Settings::default() }
}

/// A number behind `--name`, or `usual`.
pub fn option(name: &str, usual: usize) -> Outcome<usize> {
    let mut words = std::env::args().skip_while(|word| word != name).skip(1);
    words.next().map_or(Ok(usual), |word| word.parse().map_err(|_| format!("{name} {word}: expected a number").into()))
}

/// Encoded frames of a field that is held still and in focus, as the microscope sends them.
pub struct Film {
    pub words: SourceWords,
    pub frames: Vec<RawFrame>,
}

impl Film {
    pub fn draw(size: Size, count: usize) -> Outcome<Self> {
        let settings = Settings {
            size,
            paced: false,
            scripted: true,
            fingers: vec!["R4".parse::<Finger>()?],
            fields: 1,
            hold_s: 10.0,
            trouble_share: 0.0,
            ..Settings::default()
        };
        let mut source = Simulated::open(settings)?;
        let mut frames = Vec::new();
        for n in 0..FIRST_HELD + count {
            match source.next(Duration::from_secs(60))? {
                Next::Frame(raw) if n >= FIRST_HELD => frames.push(raw),
                Next::Frame(_) => {}
                Next::Idle | Next::End => return Err("the simulated microscope gave no frame".into()),
            }
        }
        Ok(Self { words: source.info().words.clone(), frames })
    }

    /// Frame `n` of a film without end: to and fro, so that the field never jumps.
    pub fn bytes(&self, n: u64) -> Arc<[u8]> {
        let last = self.frames.len() as u64 - 1;
        let place = n % (2 * last);
        let place = if place > last { 2 * last - place } else { place };
        Arc::clone(&self.frames[place as usize].bytes)
    }

    /// The frames as files, for who reads them from there.
    pub fn to_folder(&self) -> Outcome<tempfile::TempDir> {
        let folder = tempfile::tempdir()?;
        for (n, raw) in self.frames.iter().enumerate() {
            std::fs::write(folder.path().join(format!("{n:04}.jpg")), &raw.bytes)?;
        }
        Ok(folder)
    }

    pub fn mean_bytes(&self) -> usize {
        self.frames.iter().map(|raw| raw.bytes.len()).sum::<usize>() / self.frames.len()
    }
}

/// The `share`-quantile of the values, in their own unit; of none, not a number.
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (sorted.len().saturating_sub(1)) as f64 * share;
    sorted.get(place.round() as usize).copied().unwrap_or(f64::NAN)
}

pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

pub fn ms(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

/// Milliseconds that `work` takes.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let result = work();
    (result, ms(start.elapsed()))
}

#[derive(Clone, Copy)]
pub enum Target {
    AtLeast(f64),
    AtMost(f64),
    /// Shown to understand the others.
    None,
}

impl Target {
    fn words(self) -> String {
        match self {
            Self::AtLeast(limit) => format!(">= {limit}"),
            Self::AtMost(limit) => format!("<= {limit}"),
            Self::None => String::new(),
        }
    }

    fn met(self, value: f64) -> Option<bool> {
        match self {
            Self::AtLeast(limit) => Some(value >= limit),
            Self::AtMost(limit) => Some(value <= limit),
            Self::None => None,
        }
    }
}

/// Figures under way: shown as a table at the end, and kept as JSON.
#[derive(Default)]
pub struct Report {
    rows: Vec<(String, f64, String, Target)>,
}

impl Report {
    /// `figure` with its `unit`, and where one was set, its target.
    pub fn add(&mut self, what: impl Into<String>, figure: f64, unit: impl Into<String>, target: Target) {
        self.rows.push((what.into(), figure, unit.into(), target));
    }

    /// Prints the table, and writes `target/bench/NAME.json`.
    pub fn finish(&self, name: &str) -> Outcome<()> {
        let mut out = std::io::stdout().lock();
        let width = self.rows.iter().map(|row| row.0.chars().count()).max().unwrap_or(0);
        for (what, figure, unit, target) in &self.rows {
            let verdict = match target.met(*figure) {
                Some(true) => "met",
                Some(false) => "MISSED",
                None => "",
            };
            writeln!(out, "{what:<width$}  {figure:>9.3} {unit:<9} {:<9} {verdict}", target.words())?;
        }
        let rows: Vec<Value> = self.rows.iter().map(row).collect();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(format!("{name}.json")), serde_json::to_string_pretty(&rows)?)?;
        Ok(())
    }
}

fn row((what, figure, unit, target): &(String, f64, String, Target)) -> Value {
    json!({ "what": what, "figure": figure, "unit": unit, "target": target.words(), "met": target.met(*figure) })
}

/// Says on the standard error what is going on.
pub fn say(what: impl AsRef<str>) {
    // A closed standard error is no reason to stop measuring.
    let _ = writeln!(std::io::stderr(), "{}", what.as_ref());
}
