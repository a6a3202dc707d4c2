//! The loops in Python, each started once and asked round by round.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use hairpin::bundle::Bundle;

use super::{Outcome, say};

#[derive(Clone, Copy)]
pub enum Decode {
    Full,
    Half,
    Quarter,
}

impl Decode {
    pub const ALL: [Self; 3] = [Self::Full, Self::Half, Self::Quarter];

    pub fn words(self) -> &'static str {
        match self {
            Self::Full => "full decode",
            Self::Half => "reduced by 2",
            Self::Quarter => "reduced by 4",
        }
    }

    /// As benches/python/loop.py calls it.
    fn request(self) -> &'static str {
        match self {
            Self::Full => "color",
            Self::Half => "reduced_2",
            Self::Quarter => "reduced_4",
        }
    }
}

/// Whether the threads of its session spin while they wait, which is ONNX Runtime's default. Hairpin's do not: they would
/// take most of a core from whatever else the workstation does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    Spinning,
    Sleeping,
}

impl Waiting {
    pub const ALL: [Self; 2] = [Self::Spinning, Self::Sleeping];

    pub fn words(self) -> &'static str {
        match self {
            Self::Spinning => "Python",
            Self::Sleeping => "Python without spinning",
        }
    }
}

fn interpreter(variable: &str, venv: &str) -> PathBuf {
    std::env::var_os(variable)
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(venv).join("bin/python"), PathBuf::from)
}

fn script(python: &Path, name: &str, model: &Path, frames: &Path) -> Command {
    let mut command = Command::new(python);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/python").join(name));
    command.arg("--model").arg(model).arg("--frames").arg(frames);
    command
}

pub struct Python {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Python {
    pub fn start(bundle: &Bundle, frames: &Path, threads: u32, waiting: Waiting) -> Outcome<Self> {
        if bundle.input.width != bundle.input.height {
            return Err("the loop in Python is written for square input".into());
        }
        let numbers = |values: [f32; 3]| values.map(|v| v.to_string());
        let spinning = if waiting == Waiting::Spinning { "1" } else { "0" };
        let python = interpreter("HAIRPIN_BENCH_PYTHON", ".venv-bench");
        Self::spawn(
            script(&python, "loop.py", &bundle.dir.join(&bundle.model), frames)
                .args(["--spinning", spinning])
                .args(["--threads", &threads.to_string(), "--side", &bundle.input.width.to_string()])
                .arg("--mean")
                .args(numbers(bundle.input.mean))
                .arg("--std")
                .args(numbers(bundle.input.std)),
        )
    }

    /// The chain of a classical model, which is a pickled pipeline of scikit-learn.
    pub fn classical(pipeline: &Path, frames: &Path) -> Outcome<Self> {
        let python = interpreter("HAIRPIN_KIT_PYTHON", ".venv-kit");
        Self::spawn(
            script(&python, "classical.py", pipeline, frames)
                .env("OMP_NUM_THREADS", "1")
                .env("OPENBLAS_NUM_THREADS", "1"),
        )
    }

    fn spawn(command: &mut Command) -> Outcome<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(|e| {
            format!("cannot start {}: {e}; benches/run and benches/models make it", command.get_program().display())
        })?;
        let (Some(requests), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the loop in Python has no pipes".into());
        };
        let mut python = Self { child, requests, answers: BufReader::new(answers) };
        say(format!("beside it: {}", python.answer()?));
        Ok(python)
    }

    pub fn rate(&mut self, decode: Decode, warm: usize, frames: usize) -> Outcome<f64> {
        self.ask(&format!("{} {warm} {frames}", decode.request()))
    }

    pub fn classical_rate(&mut self, warm: usize, frames: usize) -> Outcome<f64> {
        self.ask(&format!("{warm} {frames}"))
    }

    fn ask(&mut self, request: &str) -> Outcome<f64> {
        writeln!(self.requests, "{request}")?;
        Ok(self.answer()?.parse()?)
    }

    fn answer(&mut self) -> Outcome<String> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err("the loop in Python has died".into());
        }
        Ok(line.trim().to_owned())
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // It may have died before; either way it must not outlive the bench.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
