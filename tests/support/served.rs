//! A bundle opened here, and how a server is asked about the same model.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside test functions")]

use std::path::Path;

use hairpin::bundle::Bundle;
use hairpin::infer::{Classifier, Intake, RemoteSettings, Runtime, Settings};
use hairpin::preprocess::Tensor;
use hairpin::scale::{Scale, ScaleMethod};

pub fn open(dir: &Path) -> (Bundle, Classifier) {
    let bundle = Bundle::load(dir).unwrap();
    let runtime = Runtime::load(&crate::ort::library()).unwrap();
    let classifier = Classifier::open(&runtime, &bundle, &Settings::default()).unwrap();
    (bundle, classifier)
}

pub fn settings(url: &str) -> RemoteSettings {
    RemoteSettings { url: url.to_owned(), deadline_ms: 1500, retries: 1, again_after_ms: 10 }
}

/// The golden picture as any frame is prepared.
pub fn golden(bundle: &Bundle) -> Tensor {
    let golden = bundle.golden().unwrap();
    let scale = golden.um_per_px.map(|um| Scale::new(um, ScaleMethod::Entered).unwrap());
    let mut tensor = Tensor::default();
    Intake::new(bundle).prepare_pixels(golden.size, &golden.rgb, scale.as_ref(), &mut tensor).unwrap();
    tensor
}
