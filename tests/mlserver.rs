//! The same models in a real MLServer, asked by the Open Inference Protocol. Skipped by name where it is not there; `make
//! test-mlserver` fetches it.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside test functions")]
#![allow(clippy::print_stdout, reason = "what was skipped is said, and how far the two are apart")]

#[path = "support/ort.rs"]
mod ort;
#[path = "support/served.rs"]
mod served;
#[path = "support/tiny.rs"]
mod tiny;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use hairpin::infer::{RemoteSettings, Scores};
use serde_json::json;
use served::{golden, open};

/// Python begins, imports and loads, on a machine that may be busy.
const PATIENCE: Duration = Duration::from_secs(120);

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn densenet() -> PathBuf {
    root().join("models/densenet121-synth-0.1.0")
}

/// MLServer with some bundles' ONNX files, in a folder and a process of its own that end with it.
struct MlServer {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl MlServer {
    /// On any port, or word that these tests are skipped.
    fn start(models: &[(&str, PathBuf)]) -> Option<Self> {
        Self::start_on(0, models)
    }

    fn start_on(port: u16, models: &[(&str, PathBuf)]) -> Option<Self> {
        let program = root().join(".venv-mlserver/bin/mlserver");
        if !program.exists() {
            println!("skipped: no MLServer at {} (make test-mlserver)", program.display());
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        for (name, bundle) in models {
            let settings = json!({
                "name": name, "implementation": "onnx_model.OnnxModel",
                "parameters": { "uri": bundle.join("model.onnx"), "version": "1" },
            });
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("model-settings.json"), settings.to_string()).unwrap();
        }
        let settings = json!({
            "host": "127.0.0.1", "http_port": port, "grpc_port": 0, "parallel_workers": 0, "metrics_endpoint": null, "debug": false,
        });
        fs::write(folder.path().join("settings.json"), settings.to_string()).unwrap();
        let child = Command::new(program)
            .args(["start", "."])
            .current_dir(folder.path())
            .env("PYTHONPATH", root().join("tests/mlserver"))
            .env("PYTHONUNBUFFERED", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut server = Self { child, port, _folder: folder };
        let lines = server.lines();
        server.await_ready(&lines, models.len());
        Some(server)
    }

    /// What it says, on either of its two outputs.
    fn lines(&mut self) -> Receiver<String> {
        let (tell, told) = channel();
        let outputs: [Box<dyn std::io::Read + Send>; 2] =
            [Box::new(self.child.stdout.take().unwrap()), Box::new(self.child.stderr.take().unwrap())];
        for output in outputs {
            let tell = tell.clone();
            // Read to the end, so that it never waits for us; whoever listened may have gone on.
            std::thread::spawn(move || {
                BufReader::new(output).lines().map_while(Result::ok).for_each(|l| drop(tell.send(l)));
            });
        }
        told
    }

    fn await_ready(&mut self, lines: &Receiver<String>, models: usize) {
        let (mut said, mut loaded) = (Vec::new(), 0);
        while loaded < models || self.port == 0 || !said.iter().any(|line: &String| line.contains("Uvicorn running on"))
        {
            let line = lines
                .recv_timeout(PATIENCE)
                .unwrap_or_else(|e| panic!("MLServer is not ready: {e}\n{}", said.join("\n")));
            loaded += usize::from(line.contains("Loaded model") && line.contains("successfully"));
            if let Some((_, rest)) = line.split_once("Uvicorn running on http://127.0.0.1:") {
                self.port = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap();
            }
            said.push(line);
        }
    }

    fn settings(&self, model: &str) -> RemoteSettings {
        let url = format!("http://127.0.0.1:{}/v2/models/{model}", self.port);
        RemoteSettings { deadline_ms: 10_000, ..served::settings(&url) }
    }
}

impl Drop for MlServer {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// How far apart the two are on pictures that are not the golden one.
fn apart(dir: &Path, settings: &RemoteSettings) -> f32 {
    let (bundle, mut here) = open(dir);
    let (_, mut there) = open(dir);
    assert_eq!(there.ask_remotely(settings, &bundle).unwrap(), None);
    let running = there.words().1.provider_running;
    assert!(running.starts_with(&settings.url) && running.contains("metadata sha256"), "{running}");
    let (mut a, mut b, mut largest) = (Scores::default(), Scores::default(), 0.0f32);
    let mut tensor = golden(&bundle);
    for _ in 0..4 {
        here.classify(&tensor, &mut a).unwrap();
        there.classify(&tensor, &mut b).unwrap();
        assert_eq!(there.take_news(), None, "the server read it");
        assert_eq!(a.out_of_cohort, b.out_of_cohort);
        largest = a.logits.iter().zip(&b.logits).map(|(a, b)| (a - b).abs()).fold(largest, f32::max);
        let step = tensor.data.len() / 5;
        tensor.data.rotate_left(step);
    }
    largest
}

#[test]
fn it_gives_what_the_bundle_gives() {
    let models = [
        ("resize", tiny::tiny("tiny-resize")),
        ("scale", tiny::tiny("tiny-scale")),
        ("trees", tiny::tiny("tiny-features")),
        ("densenet", densenet()),
    ];
    let Some(server) = MlServer::start(&models) else { return };
    for (name, dir) in &models {
        for path in [(*name).to_owned(), format!("{name}/versions/1")] {
            let largest = apart(dir, &server.settings(&path));
            println!("{path}: largest difference of a logit {largest:.1e}");
            assert!(largest <= 1e-5, "{path}: {largest}");
        }
    }
}

#[test]
fn what_it_does_not_have_or_refuses_is_told_with_its_words() {
    let Some(server) =
        MlServer::start(&[("resize", tiny::tiny("tiny-resize")), ("trees", tiny::tiny("tiny-features"))])
    else {
        return;
    };
    let (bundle, mut classifier) = open(&tiny::tiny("tiny-resize"));
    let why = classifier.ask_remotely(&server.settings("other"), &bundle).unwrap().unwrap();
    assert!(why.contains("it answered 404") && why.contains("Model other not found"), "{why}");
    // Another input: ONNX Runtime on the server refuses the name, and the bundle reads.
    let why = classifier.ask_remotely(&server.settings("trees"), &bundle).unwrap().unwrap();
    assert!(why.contains("it answered 400") && why.contains("reads meanwhile"), "{why}");
    let mut scores = Scores::default();
    classifier.classify(&golden(&bundle), &mut scores).unwrap();
    assert!(classifier.words().1.provider_running.starts_with("cpu "));
}

#[test]
fn it_dies_and_comes_back() {
    let models = [("resize", tiny::tiny("tiny-resize"))];
    let Some(server) = MlServer::start(&models) else { return };
    let (bundle, mut here) = open(&models[0].1);
    let (_, mut there) = open(&models[0].1);
    let settings = server.settings("resize");
    there.ask_remotely(&settings, &bundle).unwrap();
    let tensor = golden(&bundle);
    let (mut a, mut b) = (Scores::default(), Scores::default());
    here.classify(&tensor, &mut a).unwrap();
    let port = server.port;
    drop(server);
    there.classify(&tensor, &mut b).unwrap();
    assert_eq!(a, b);
    let news = there.take_news().unwrap();
    assert!(!news.back && news.message.contains(&settings.url), "{news:?}");
    let _again = MlServer::start_on(port, &models).unwrap();
    let news = std::iter::repeat_with(|| {
        there.classify(&tensor, &mut b).unwrap();
        assert_eq!(a, b);
        there.take_news()
    });
    assert!(news.flatten().next().unwrap().back);
}
