//! Bundles through ONNX Runtime: what is right runs, what is wrong is refused saying what was expected and found.

#![expect(clippy::unwrap_used, reason = "what helps a test fails as a test does")]

#[path = "support/ort.rs"]
mod ort;
#[path = "support/tiny.rs"]
mod support;

use std::path::Path;
use std::time::Duration;

use hairpin::bundle::Bundle;
use hairpin::digest::sha256_of_file;
use hairpin::infer::{Classifier, InferError, OnMissing, Provider, Runtime, Scores, Settings, probe, verify};
use hairpin::preprocess::{Preparer, Tensor};
use ort::library;
use support::{replace, tiny, with};

fn runtime() -> Runtime {
    Runtime::load(&library()).unwrap_or_else(|e| panic!("{e} (or set HAIRPIN_ORT)"))
}

fn open(dir: &Path) -> Result<Classifier, InferError> {
    Classifier::open(&runtime(), &Bundle::load(dir)?, &Settings::default())
}

/// The golden picture of the tiny resizing bundle, prepared.
fn golden() -> (Bundle, Tensor) {
    let bundle = Bundle::load(&tiny("tiny-resize")).unwrap();
    let golden = bundle.golden().unwrap();
    let mut tensor = Tensor::default();
    Preparer::new(&bundle.input).prepare_pixels(golden.size, &golden.rgb, None, &mut tensor).unwrap();
    (bundle, tensor)
}

fn refused(dir: &Path) -> String {
    open(dir).map(|_| ()).expect_err("the bundle is wrong").to_string()
}

#[test]
fn good_bundles_open_and_say_what_runs() {
    for (name, labels) in [("tiny-resize", 2), ("tiny-scale", 2)] {
        let classifier = open(&tiny(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(classifier.provider(), Provider::Cpu);
        assert!(classifier.passed_over().is_empty());
        let (model, runtime) = classifier.words();
        assert_eq!((model.name.as_str(), model.labels.len(), model.validated_on_patients), (name, labels, false));
        assert!(runtime.provider_running.starts_with("cpu (CPUExecutionProvider "), "{}", runtime.provider_running);
        assert_eq!(runtime.sha256, sha256_of_file(&library()).unwrap());
        assert!(runtime.version.starts_with("1."), "{}", runtime.version);
        assert_eq!((runtime.providers_asked, runtime.threads), (vec!["cpu".to_owned()], 1));
    }
}

#[test]
fn scores_are_the_golden_ones_and_calibrated() {
    let (bundle, tensor) = golden();
    let mut scores = Scores::default();
    open(&bundle.dir).unwrap().classify(&tensor, &mut scores).unwrap();
    let expected = bundle.golden().unwrap();
    for (found, expected) in scores.logits.iter().zip(&expected.logits) {
        assert!((found - expected).abs() < 0.02, "{scores:?}");
    }
    let margin = f64::from(scores.logits[1] - scores.logits[0]) / 1.5;
    let by_hand = 1.0 / (1.0 + (-margin).exp());
    assert!((f64::from(scores.probs[1]) - by_hand).abs() < 1e-6, "{scores:?}");
    assert!((scores.probs.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    assert!(!scores.out_of_cohort, "the golden picture is of the cohort");
}

#[test]
fn a_picture_unlike_the_cohort_is_marked() {
    let (bundle, mut tensor) = golden();
    let size = hairpin::frame::Size::new(64, 64);
    let white = vec![255; size.pixels() * 3];
    Preparer::new(&bundle.input).prepare_pixels(size, &white, None, &mut tensor).unwrap();
    let mut scores = Scores::default();
    open(&bundle.dir).unwrap().classify(&tensor, &mut scores).unwrap();
    assert!(scores.out_of_cohort);
}

#[test]
fn tiles_are_pooled_by_the_mean_of_their_logits() {
    let (bundle, tensor) = golden();
    let mut classifier = open(&bundle.dir).unwrap();
    let mut other = tensor.clone();
    other.data.iter_mut().for_each(|v| *v = -*v);
    let mut both = tensor.clone();
    both.tiles = 2;
    both.data.extend_from_slice(&other.data);
    let [mut one, mut two, mut pooled] = [const { Vec::new() }; 3].map(|v| Scores { logits: v, ..Scores::default() });
    classifier.classify(&tensor, &mut one).unwrap();
    classifier.classify(&other, &mut two).unwrap();
    classifier.classify(&both, &mut pooled).unwrap();
    assert!((one.logits[0] - two.logits[0]).abs() > 0.1, "the two must differ for this test to say anything");
    for i in 0..2 {
        let mean = (f64::from(one.logits[i]) + f64::from(two.logits[i])) / 2.0;
        assert!((f64::from(pooled.logits[i]) - mean).abs() < 1e-6);
    }
}

#[test]
fn scores_do_not_depend_on_what_was_read_before() {
    let (bundle, tensor) = golden();
    let mut classifier = open(&bundle.dir).unwrap();
    let (mut first, mut again) = (Scores::default(), Scores::default());
    classifier.classify(&tensor, &mut first).unwrap();
    let mut other = tensor.clone();
    other.data.fill(3.0);
    classifier.classify(&other, &mut again).unwrap();
    assert_ne!(first, again);
    classifier.classify(&tensor, &mut again).unwrap();
    assert_eq!(first, again);
}

#[test]
fn frames_that_are_none_fail_and_the_next_is_read() {
    let (bundle, tensor) = golden();
    let mut classifier = open(&bundle.dir).unwrap();
    let mut scores = Scores::default();
    let mut fails = |tensor: &Tensor, expected: &str| {
        let error = classifier.classify(tensor, &mut scores).unwrap_err();
        assert!(matches!(error, InferError::Frame { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    };
    for value in [f32::NAN, f32::INFINITY] {
        let mut wrong = tensor.clone();
        wrong.data[700] = value;
        fails(&wrong, "expected finite logits");
    }
    fails(&Tensor { height: 41, ..tensor.clone() }, "expected tiles of [3, 40, 48], found 1 of [3, 41, 48]");
    fails(&Tensor { tiles: 2, ..tensor.clone() }, "found 2 of");
    fails(&Tensor::default(), "found 0 of");
    classifier.classify(&tensor, &mut scores).unwrap();
}

#[test]
fn a_model_that_is_not_what_the_manifest_says_is_refused() {
    let cases = [
        ("name = \"input\"", "name = \"pixels\"", "expected an input named \"pixels\", found [\"input\"]"),
        ("name = \"logits\"", "name = \"probs\"", "expected an output named \"probs\", found [\"logits\"]"),
        ("width = 48", "width = 56", "input \"input\": expected 32-bit floats of shape [1, 3, 40, 56], found"),
        (
            "\"category 2\"]",
            "\"category 2\", \"x\"]",
            "output \"logits\": expected 32-bit floats of shape [1, 3], found",
        ),
    ];
    for (from, to, expected) in cases {
        let folder = with("tiny-resize", from, to);
        // The golden pair is checked for the number of labels first; then the model itself must be at fault.
        if to.contains("\"x\"") {
            let expected = br#"{"um_per_px":null,"logits":[1,2,3],"tolerance":0.02}"#;
            replace(folder.path(), "golden/expected.json", expected);
        }
        let error = refused(folder.path());
        assert!(error.contains(expected), "{to}: {error}");
    }
}

#[test]
fn a_file_that_is_no_model_is_refused() {
    let folder = with("tiny-resize", "schema = 1", "schema = 1");
    replace(folder.path(), "model.onnx", b"this is no model");
    let error = open(folder.path()).map(|_| ()).unwrap_err();
    assert!(matches!(error, InferError::Model { .. }), "no provider is at fault: {error:?}");
    assert!(error.to_string().contains("model.onnx"), "{error}");
}

#[test]
fn a_golden_mismatch_is_told_with_both_logits() {
    let cases = [
        ("mean = [0.485", "mean = [0.385", "another normalisation"),
        ("channels = \"rgb\"", "channels = \"bgr\"", "another order of channels"),
        ("std = [0.229", "std = [0.329", "another normalisation"),
    ];
    for (from, to, why) in cases {
        let error = refused(with("tiny-resize", from, to).path());
        assert!(error.contains("the golden picture gives other logits on provider cpu: expected ["), "{why}: {error}");
        assert!(error.contains("found ["), "{why}: {error}");
    }
    for (from, to) in [("um_per_px = 2.0", "um_per_px = 2.4"), ("overlap = 0.25", "overlap = 0.6")] {
        assert!(refused(with("tiny-scale", from, to).path()).contains("other logits"), "{to}");
    }
}

#[test]
fn cuda_from_a_library_without_it_is_refused_naming_what_to_install() {
    let (bundle, _) = golden();
    let runtime = runtime();
    if runtime.has(Provider::Cuda) {
        println!("skipped: this library has CUDA");
        return;
    }
    let settings = Settings { providers: vec![Provider::Cuda, Provider::Cpu], ..Settings::default() };
    let error = Classifier::open(&runtime, &bundle, &settings).map(|_| ()).unwrap_err();
    assert!(matches!(error, InferError::Provider { provider: Provider::Cuda, .. }), "{error:?}");
    let error = error.to_string();
    for words in ["cuda", "onnxruntime-gpu", "CUDA 13", "cuDNN 9", "[runtime] library", "on_missing = \"next\""] {
        assert!(error.contains(words), "{words:?} is missing: {error}");
    }
    assert!(error.contains("not enabled in this build"), "{error}");

    let settings = Settings { on_missing: OnMissing::Next, ..settings };
    let classifier = Classifier::open(&runtime, &bundle, &settings).unwrap();
    assert_eq!(classifier.provider(), Provider::Cpu);
    let [(Provider::Cuda, why)] = classifier.passed_over() else { panic!("{:?}", classifier.passed_over()) };
    assert!(why.contains("not enabled in this build"), "{why}");
    let words = classifier.words().1;
    assert_eq!(words.providers_asked, ["cuda", "cpu"]);
    assert!(words.provider_running.starts_with("cpu "), "{}", words.provider_running);

    let settings = Settings { providers: vec![Provider::TensorRt, Provider::Cuda], ..settings };
    let error = Classifier::open(&runtime, &bundle, &settings).map(|_| ()).unwrap_err();
    assert!(
        matches!(error, InferError::Provider { provider: Provider::Cuda, .. }),
        "nothing else was allowed: {error}"
    );
}

#[test]
fn verification_goes_as_far_as_the_bundle_is_right() {
    let steps = |dir: &Path| -> Vec<(&str, bool)> {
        let checks = verify(&runtime(), dir, &Settings::default());
        checks.into_iter().map(|c| (c.step, c.outcome.is_ok())).collect()
    };
    let all = [("manifest", true), ("files", true), ("session", true), ("golden", true)];
    assert_eq!(steps(&tiny("tiny-scale")), all);
    assert_eq!(steps(with("tiny-scale", "[0.5, 0.4", "[0.4, 0.4").path()), [&all[..3], &[("golden", false)]].concat());
    assert_eq!(steps(with("tiny-scale", "\"logits\"", "\"x\"").path()), [&all[..2], &[("session", false)]].concat());
    let spoilt = with("tiny-scale", "schema = 1", "schema = 1");
    std::fs::write(spoilt.path().join("CARD.md"), "other").unwrap();
    assert_eq!(steps(spoilt.path()), [("manifest", true), ("files", false)]);
    assert_eq!(steps(with("tiny-scale", "schema = 1", "schema = 9").path()), [("manifest", false)]);
}

#[test]
fn probing_says_of_each_provider_whether_it_could_run() {
    let (bundle, _) = golden();
    let runtime = runtime();
    let reports = probe(&runtime, &bundle, 1, Duration::from_secs(120)).unwrap();
    assert_eq!(reports.iter().map(|r| r.provider).collect::<Vec<_>>(), Provider::ALL);
    for report in reports {
        match (report.provider, report.compiled_in) {
            (Provider::Cpu, _) => assert!(report.compiled_in && report.session.is_ok(), "{report:?}"),
            (provider, false) => assert!(report.session.unwrap_err().contains(provider.install())),
            // Compiled in: whether it runs depends on the machine.
            (_, true) => {}
        }
    }
}

#[test]
fn classifiers_can_be_given_to_another_thread() {
    let (bundle, tensor) = golden();
    let mut classifier = open(&bundle.dir).unwrap();
    let there = std::thread::spawn(move || {
        let mut scores = Scores::default();
        classifier.classify(&tensor, &mut scores).map(|()| scores.logits.len())
    });
    assert_eq!(there.join().unwrap().unwrap(), 2);
}
