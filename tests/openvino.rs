//! A provider that is not the CPU, for real: the OpenVINO build of ONNX Runtime, which runs on a CPU too. Skipped by name
//! where its library is not there; `make test-openvino` fetches it.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside test functions")]
#![allow(clippy::print_stdout, reason = "what was skipped is said, and how far providers are apart")]

#[path = "support/tiny.rs"]
mod support;

use std::path::{Path, PathBuf};

use hairpin::bundle::Bundle;
use hairpin::frame::Size;
use hairpin::infer::{
    Classifier, CpuNodes, InferError, Intake, OnMissing, Provider, Runtime, Scores, Settings, trials,
};
use hairpin::preprocess::Tensor;
use hairpin::scale::{Scale, ScaleMethod};
use support::tiny;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The library, or word that these tests are skipped.
fn runtime() -> Option<Runtime> {
    let library = std::env::var_os("HAIRPIN_ORT_OPENVINO")
        .map_or_else(|| root().join("lib/openvino/libonnxruntime.so.1.24.1"), PathBuf::from);
    if !library.exists() {
        println!("skipped: no OpenVINO build of ONNX Runtime at {} (make test-openvino)", library.display());
        return None;
    }
    let runtime = Runtime::load(&library).unwrap();
    assert!(runtime.has(Provider::OpenVino), "{} has no OpenVINO", library.display());
    Some(runtime)
}

fn on(providers: &[Provider]) -> Settings {
    Settings { providers: providers.to_vec(), ..Settings::default() }
}

fn open(runtime: &Runtime, dir: &Path, settings: &Settings) -> Result<Classifier, InferError> {
    Classifier::open(runtime, &Bundle::load(dir)?, settings)
}

/// What the golden pair allows, on pictures that are not it.
#[test]
fn it_runs_every_node_and_gives_what_the_cpu_gives() {
    let Some(runtime) = runtime() else { return };
    for dir in [tiny("tiny-resize"), tiny("tiny-scale"), root().join("models/densenet121-synth-0.1.0")] {
        let bundle = Bundle::load(&dir).unwrap();
        let tolerance = bundle.golden().unwrap().tolerance;
        let mut theirs = open(&runtime, &dir, &on(&[Provider::OpenVino])).unwrap();
        let mut ours = open(&runtime, &dir, &on(&[Provider::Cpu])).unwrap();
        let running = theirs.words().1.provider_running;
        assert!(running.starts_with("openvino (OpenVINOExecutionProvider "), "{running}");
        assert!(!running.contains("CPUExecutionProvider"), "{running}");
        let (mut intake, mut tensor) = (Intake::new(&bundle), Tensor::default());
        let (mut a, mut b) = (Scores::default(), Scores::default());
        let scale = Scale::new(1.3, ScaleMethod::Entered).unwrap();
        let mut largest = 0.0f32;
        for seed in 0..5u32 {
            let size = Size::new(160, 120);
            let noise =
                |i: u32| (i.wrapping_mul(2_654_435_761).wrapping_add(seed << 20) >> 24) as u8 / (seed as u8 + 1);
            let rgb: Vec<u8> = (0..size.pixels() as u32 * 3).map(noise).collect();
            intake.prepare_pixels(size, &rgb, Some(&scale), &mut tensor).unwrap();
            theirs.classify(&tensor, &mut a).unwrap();
            ours.classify(&tensor, &mut b).unwrap();
            let apart = a.logits.iter().zip(&b.logits).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            largest = largest.max(apart);
        }
        println!("{}: {running}; largest difference of a logit from the CPU's {largest:.1e}", bundle.id.name);
        assert!(largest <= tolerance, "{}: {largest} of {tolerance}", bundle.id.name);
    }
}

#[test]
fn nodes_that_fall_back_are_a_refusal_unless_they_are_allowed() {
    let Some(runtime) = runtime() else { return };
    let dir = tiny("tiny-mixed");
    let settings = on(&[Provider::OpenVino]);
    let error = open(&runtime, &dir, &settings).map(|_| ()).unwrap_err();
    assert!(matches!(error, InferError::Provider { provider: Provider::OpenVino, .. }), "{error:?}");
    for words in ["left some of the model's nodes to others", "CPUExecutionProvider", "cpu_nodes = \"allow\""] {
        assert!(error.to_string().contains(words), "{words:?} is missing: {error}");
    }
    let classifier = open(&runtime, &dir, &Settings { cpu_nodes: CpuNodes::Allow, ..settings }).unwrap();
    let running = classifier.words().1.provider_running;
    assert!(running.contains("OpenVINOExecutionProvider") && running.contains("CPUExecutionProvider"), "{running}");
}

#[test]
fn a_model_of_which_it_takes_nothing_goes_to_the_next_provider_if_that_is_wanted() {
    let Some(runtime) = runtime() else { return };
    let dir = tiny("tiny-features");
    let error = open(&runtime, &dir, &on(&[Provider::OpenVino, Provider::Cpu])).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("took none of the model's nodes"), "{error}");
    let next = Settings { on_missing: OnMissing::Next, ..on(&[Provider::OpenVino, Provider::Cpu]) };
    let classifier = open(&runtime, &dir, &next).unwrap();
    assert_eq!(classifier.provider(), Provider::Cpu);
    assert_eq!(classifier.passed_over()[0].0, Provider::OpenVino);
}

#[test]
fn engines_are_kept_by_model_and_option_and_checked_when_they_come_back() {
    let Some(runtime) = runtime() else { return };
    let cache = tempfile::tempdir().unwrap();
    let settings = Settings { engine_cache: Some(cache.path().to_owned()), ..on(&[Provider::OpenVino]) };
    let folders = || std::fs::read_dir(cache.path()).unwrap().count();
    open(&runtime, &tiny("tiny-resize"), &settings).unwrap();
    assert_eq!(folders(), 1);
    let kept = || {
        let folder = std::fs::read_dir(cache.path()).unwrap().next().unwrap().unwrap().path();
        std::fs::read_dir(folder).unwrap().count()
    };
    assert!(kept() > 0, "nothing was kept");
    open(&runtime, &tiny("tiny-resize"), &settings).unwrap();
    assert_eq!(folders(), 1, "the same model again");
    open(&runtime, &tiny("tiny-scale"), &settings).unwrap();
    assert_eq!(folders(), 2, "another model");
}

#[test]
fn the_golden_pair_is_tried_on_both() {
    let Some(runtime) = runtime() else { return };
    let bundle = Bundle::load(&tiny("tiny-resize")).unwrap();
    let agreeing: Vec<Provider> = trials(&runtime, &bundle, &Settings::default())
        .into_iter()
        .filter(|trial| trial.outcome.as_ref().is_ok_and(|tried| tried.agreement.holds()))
        .map(|trial| trial.provider)
        .collect();
    assert_eq!(agreeing, [Provider::OpenVino, Provider::Cpu]);
}
