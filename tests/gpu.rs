//! CUDA and TensorRT, for whoever has the card: every node on the device, and every logit within the bundle's tolerance
//! of the CPU's. The library is the one that HAIRPIN_ORT_GPU names; without it, or without a device, it is said that they
//! were skipped.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside test functions")]
#![allow(clippy::print_stdout, reason = "what was skipped is said, and how far providers are apart")]

#[path = "support/tiny.rs"]
mod support;

use std::path::{Path, PathBuf};

use hairpin::bundle::Bundle;
use hairpin::frame::Size;
use hairpin::infer::{Classifier, InferError, Intake, Provider, Runtime, Scores, Settings};
use hairpin::preprocess::Tensor;
use hairpin::scale::{Scale, ScaleMethod};

fn runtime() -> Option<Runtime> {
    let Some(library) = std::env::var_os("HAIRPIN_ORT_GPU").map(PathBuf::from) else {
        println!("skipped: HAIRPIN_ORT_GPU names no library (docs/gpu.md)");
        return None;
    };
    Some(Runtime::load(&library).unwrap())
}

fn open(runtime: &Runtime, bundle: &Bundle, provider: Provider) -> Result<Classifier, InferError> {
    let engines = Some(std::env::temp_dir().join("hairpin-test-engines"));
    let settings = Settings { providers: vec![provider], engine_cache: engines, ..Settings::default() };
    Classifier::open(runtime, bundle, &settings)
}

fn gives_what_the_cpu_gives(provider: Provider) {
    let Some(runtime) = runtime() else { return };
    if !Path::new("/proc/driver/nvidia/version").exists() {
        println!("skipped: there is no NVIDIA driver");
        return;
    }
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/densenet121-synth-0.1.0");
    for dir in [support::tiny("tiny-resize"), support::tiny("tiny-scale"), shipped] {
        let bundle = Bundle::load(&dir).unwrap();
        let tolerance = bundle.golden().unwrap().tolerance;
        let mut theirs = open(&runtime, &bundle, provider).unwrap_or_else(|e| panic!("{e}"));
        let mut ours = open(&runtime, &bundle, Provider::Cpu).unwrap();
        let running = theirs.words().1.provider_running;
        assert!(!running.contains("CPUExecutionProvider"), "{running}");
        let (mut intake, mut tensor) = (Intake::new(&bundle), Tensor::default());
        let (mut a, mut b) = (Scores::default(), Scores::default());
        let size = Size::new(160, 120);
        let rgb: Vec<u8> = (0..size.pixels() as u32 * 3).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let scale = Scale::new(1.3, ScaleMethod::Entered).unwrap();
        intake.prepare_pixels(size, &rgb, Some(&scale), &mut tensor).unwrap();
        theirs.classify(&tensor, &mut a).unwrap();
        ours.classify(&tensor, &mut b).unwrap();
        let apart = a.logits.iter().zip(&b.logits).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{} on {running}: {apart:.1e} from the CPU", bundle.id.name);
        assert!(apart <= tolerance, "{}: {apart} of {tolerance}", bundle.id.name);
    }
}

#[test]
fn cuda_gives_what_the_cpu_gives() {
    gives_what_the_cpu_gives(Provider::Cuda);
}

#[test]
fn tensorrt_gives_what_the_cpu_gives() {
    gives_what_the_cpu_gives(Provider::TensorRt);
}
