//! Features of pictures against OpenCV, mahotas and scikit-image, and a whole bundle that reads them: the figures in
//! tests/data/features come from make.py beside them.

#![expect(clippy::unwrap_used, reason = "what helps a test fails as a test does")]

#[path = "support/hairpin.rs"]
mod hairpin_bench;
#[path = "support/ort.rs"]
mod ort;
#[path = "support/pictures.rs"]
mod pictures;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use hairpin::bundle::{Bundle, Filter, Group};
use hairpin::digest::sha256_of_file;
use hairpin::frame::Size;
use hairpin::infer::{Classifier, Describer, InferError, Intake, Runtime, Scores, Settings, verify};
use hairpin::preprocess::Tensor;
use hairpin::synth::pathology::Cohort;
use hairpin_bench::Bench;
use ort::library;

const GROUPS: [(&str, Group); 4] =
    [("hu", Group::Hu), ("haralick", Group::Haralick), ("colour", Group::Colour), ("lbp", Group::Lbp)];

#[derive(serde::Deserialize)]
struct Reference {
    cases: Vec<Case>,
}

#[derive(serde::Deserialize)]
struct Case {
    width: u32,
    height: u32,
    seed: u32,
    kind: String,
    features: BTreeMap<String, Vec<f64>>,
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn tiny() -> PathBuf {
    data("bundles/tiny-features-0.1.0")
}

/// `drawn` of make.py, by the same arithmetic.
fn drawn(size: Size, seed: u32, kind: &str) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(size.pixels() * 3);
    for y in 0..size.height {
        for x in 0..size.width {
            for c in 0..3u32 {
                let h = x
                    .wrapping_mul(374_761_393)
                    .wrapping_add(y.wrapping_mul(668_265_263))
                    .wrapping_add((c + seed).wrapping_mul(2_246_822_519));
                let h = (h ^ (h >> 13)).wrapping_mul(1_274_126_177);
                let noise = h ^ (h >> 16);
                let slope = 150 + x * (40 + 9 * seed) / size.width - y * 30 / size.height;
                let (u, v) = ((x % 23).wrapping_sub(11), (y % 31).wrapping_sub(15));
                let r = u.wrapping_mul(u).wrapping_add(v.wrapping_mul(v));
                let dark = if r > 20 && r < 60 + 10 * seed { 45 + 20 * c } else { 0 };
                let flat = if (x / 16 + y / 16).is_multiple_of(3) { 0 } else { noise % 6 };
                let skin = (slope + [20, 0, 10][c as usize] - dark + flat).min(255);
                rgb.push(if kind == "noise" { noise % 256 } else { skin } as u8);
            }
        }
    }
    rgb
}

#[test]
fn features_are_the_libraries_own() {
    let reference: Reference = serde_json::from_slice(&fs::read(data("features/golden.json")).unwrap()).unwrap();
    assert_eq!(reference.cases.len(), 5);
    let mut largest = 0.0f64;
    for case in reference.cases {
        let size = Size::new(case.width, case.height);
        let rgb = drawn(size, case.seed, &case.kind);
        for (name, group) in GROUPS {
            let mut found = Tensor::default();
            Describer::new(&[group], size, Filter::Bilinear).describe(size, &rgb, &mut found).unwrap();
            let expected = &case.features[name];
            assert_eq!((found.data.len(), expected.len()), (group.columns().len(), group.columns().len()));
            for ((column, found), expected) in group.columns().iter().zip(&found.data).zip(expected) {
                let apart = (f64::from(*found) - expected).abs() / expected.abs().max(1e-3);
                largest = largest.max(apart);
                assert!(apart < 1e-4, "{size} {}: {column}: expected {expected}, found {found}", case.kind);
            }
        }
    }
    println!("largest difference {largest:.1e} of a feature's size");
}

fn runtime() -> Runtime {
    Runtime::load(&library()).unwrap_or_else(|e| panic!("{e} (or set HAIRPIN_ORT)"))
}

/// A copy of the tiny bundle whose file holds other bytes, with a manifest that agrees.
fn with(file: &str, from: &str, to: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("golden")).unwrap();
    for name in ["CARD.md", "model.onnx", "golden/input.png", "golden/features.json", "manifest.toml"] {
        fs::copy(tiny().join(name), folder.path().join(name)).unwrap();
    }
    let was = sha256_of_file(&tiny().join(file)).unwrap();
    let text = fs::read_to_string(folder.path().join(file)).unwrap();
    assert!(text.contains(from), "{file} has no {from:?}");
    fs::write(folder.path().join(file), text.replacen(from, to, 1)).unwrap();
    let manifest = fs::read_to_string(folder.path().join("manifest.toml")).unwrap();
    let manifest = manifest.replace(&was, &sha256_of_file(&folder.path().join(file)).unwrap());
    fs::write(folder.path().join("manifest.toml"), manifest).unwrap();
    folder
}

fn open(dir: &Path) -> Result<Classifier, InferError> {
    Classifier::open(&runtime(), &Bundle::load(dir)?, &Settings::default())
}

#[test]
fn a_features_bundle_opens_and_reads_pictures_of_any_size() {
    let bundle = Bundle::load(&tiny()).unwrap();
    let mut classifier = open(&tiny()).unwrap();
    let (mut intake, mut tensor, mut scores) = (Intake::new(&bundle), Tensor::default(), Scores::default());
    for (size, seed) in [(Size::new(64, 48), 0), (Size::new(1280, 1024), 3), (Size::new(100, 300), 5)] {
        intake.prepare_pixels(size, &drawn(size, seed, "skin"), None, &mut tensor).unwrap();
        classifier.classify(&tensor, &mut scores).unwrap();
        assert_eq!((tensor.data.len(), scores.probs.len()), (48, 2));
        assert!((scores.probs.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{scores:?}");
        // By docs/bundles.md: logits are logarithms, divided by the temperature.
        let margin = f64::from(scores.logits[1] - scores.logits[0]) / 1.5;
        assert!((f64::from(scores.probs[1]) - 1.0 / (1.0 + (-margin).exp())).abs() < 1e-6, "{scores:?}");
    }
}

#[test]
fn a_picture_beyond_what_was_seen_is_marked() {
    let bundle = Bundle::load(&tiny()).unwrap();
    let mut classifier = open(&tiny()).unwrap();
    let (mut intake, mut tensor, mut scores) = (Intake::new(&bundle), Tensor::default(), Scores::default());
    let size = Size::new(64, 48);
    intake.prepare_pixels(size, &drawn(size, 0, "skin"), None, &mut tensor).unwrap();
    classifier.classify(&tensor, &mut scores).unwrap();
    assert!(!scores.out_of_cohort, "the golden picture is of the cohort");
    intake.prepare_pixels(size, &vec![255; size.pixels() * 3], None, &mut tensor).unwrap();
    classifier.classify(&tensor, &mut scores).unwrap();
    assert!(scores.out_of_cohort);
}

#[test]
fn features_that_are_no_numbers_fail_and_the_next_are_read() {
    let bundle = Bundle::load(&tiny()).unwrap();
    let golden = bundle.golden().unwrap();
    let mut classifier = open(&tiny()).unwrap();
    let (mut tensor, mut scores) = (Tensor::default(), Scores::default());
    Intake::new(&bundle).prepare_pixels(golden.size, &golden.rgb, None, &mut tensor).unwrap();
    let mut wrong = tensor.clone();
    wrong.data[8] = f32::NAN;
    let error = classifier.classify(&wrong, &mut scores).unwrap_err().to_string();
    assert!(error.contains("the feature haralick_contrast is NaN"), "{error}");
    classifier.classify(&tensor, &mut scores).unwrap();
}

#[test]
fn what_is_wrong_with_a_features_bundle_is_said() {
    let cases = [
        ("golden/features.json", "\"features\": [", "\"features\": [1", "expected 1"),
        ("golden/features.json", "\"probabilities\": [0.5", "\"probabilities\": [0.4", "gives other probabilities"),
        ("golden/features.json", "\"hu_1\", \"hu_2\"", "\"hu_2\", \"hu_1\"", "columns: expected [\"hu_1\""),
        ("golden/features.json", "golden/input.png", "golden/other.png", "picture: expected \"golden/input.png\""),
        (
            "manifest.toml",
            "name = \"probabilities\"",
            "name = \"probs\"",
            "an output named \"probs\", found [\"label\"",
        ),
        ("manifest.toml", "size = [64, 48]", "size = [64, 50]", "expected features.size, 64x50, found 64x48"),
    ];
    for (file, from, to, expected) in cases {
        let error = open(with(file, from, to).path()).map(|_| ()).expect_err(to).to_string();
        assert!(error.contains(expected), "{to}: {error}");
    }
}

#[test]
fn verifying_shows_each_step() {
    let checks = verify(&runtime(), &tiny(), &Settings::default());
    let steps: Vec<_> = checks.iter().map(|check| (check.step, check.outcome.is_ok())).collect();
    assert_eq!(steps, [("manifest", true), ("files", true), ("session", true), ("golden", true)], "{checks:?}");
    assert!(checks[3].outcome.as_ref().unwrap().starts_with("probabilities ["), "{checks:?}");
}

/// The same way as any frame: decoded, judged, described and read by the pipeline's threads.
#[test]
fn a_recording_is_read_by_features() {
    let bench = Bench::new();
    for (number, frame) in pictures::held(Cohort::Scleroderma, 1, 14).remove(0).iter().enumerate() {
        pictures::put(&bench.path("film").join("R2").join(format!("{number:02}.jpg")), frame);
    }
    let scale = format!("scale = {{ um_per_px = {}, how = \"simulated\" }}\n", pictures::UM_PER_PX);
    bench.write("film/replay.toml", &format!("subject = \"P017\"\nframes_per_s = {}\n{scale}", pictures::RATE));
    let config = bench.config("", "");
    let text = fs::read_to_string(&config).unwrap();
    let text = text.replace(hairpin_bench::tiny().to_str().unwrap(), tiny().to_str().unwrap());
    fs::write(&config, text).unwrap();
    let film = bench.path("film");
    let args = ["replay", film.to_str().unwrap(), "--config", config.to_str().unwrap(), "--json"];
    let out = bench.run(&args).ok().out;
    let lines: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let findings: Vec<_> = lines.iter().filter(|line| line["event"] == "finding").collect();
    assert_eq!(findings.len(), 14, "{out}");
    assert!(findings.iter().all(|line| line["probs"].as_array().unwrap().len() == 2));
    let field = lines.iter().find(|line| line["event"] == "field").unwrap();
    assert_eq!(field["distinct"], 14, "{field}");
    let opened = lines.iter().find(|line| line["step"] == "opened").unwrap();
    assert_eq!(opened["provenance"]["model"]["name"], "tiny-features");
    assert_eq!(out, bench.run(&args).ok().out, "the same recording gives the same lines");
}
