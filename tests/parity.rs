//! Preprocessing against Pillow, and whole bundles against numpy and ONNX Runtime for Python: the figures in
//! tests/data come from tests/support/make_fixtures.py.

#![expect(clippy::unwrap_used, reason = "what helps a test fails as a test does")]

use std::fs;
use std::path::{Path, PathBuf};

use hairpin::bundle::{Bundle, Channels, Filter, Fit, InputSpec};
use hairpin::frame::Size;
use hairpin::preprocess::{Preparer, Tensor};
use hairpin::scale::{Scale, ScaleMethod};

#[derive(serde::Deserialize)]
struct Case {
    width: u32,
    height: u32,
    seed: u32,
    filter: Filter,
    to_width: u32,
    to_height: u32,
    file: String,
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

/// `drawn` of make_fixtures.py, by the same arithmetic.
fn drawn(width: u32, height: u32, seed: u32) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(Size::new(width, height).pixels() * 3);
    for y in 0..height {
        for x in 0..width {
            for c in 0..3u32 {
                let h = x
                    .wrapping_mul(374_761_393)
                    .wrapping_add(y.wrapping_mul(668_265_263))
                    .wrapping_add((c + seed).wrapping_mul(2_246_822_519));
                let h = (h ^ (h >> 13)).wrapping_mul(1_274_126_177);
                let noise = (h ^ (h >> 16)) % 64;
                let slope = x * 160 / width + y * 32 / height;
                let bars = if (x / 7 + c).is_multiple_of(5) { 0 } else { noise };
                let (u, v) = ((x % 31).wrapping_sub(15), (y % 29).wrapping_sub(14));
                let disc = u.wrapping_mul(u).wrapping_add(v.wrapping_mul(v)) < 40;
                let light = if (x / 31 + y / 29).is_multiple_of(2) { 255 } else { 0 };
                rgb.push(if disc { light } else { (slope + bars).min(255) } as u8);
            }
        }
    }
    rgb
}

/// A model input that leaves bytes as they are, but for the resizing.
fn plain(case: &Case) -> InputSpec {
    InputSpec {
        name: "input".to_owned(),
        width: case.to_width,
        height: case.to_height,
        fit: Fit::Resize,
        filter: case.filter,
        mean: [0.0; 3],
        std: [1.0 / 255.0; 3],
        channels: Channels::Rgb,
        max_um_per_px: None,
        seen: None,
    }
}

#[test]
fn resizing_is_pillows_to_the_bit_or_within_one_of_255() {
    let cases: Vec<Case> = serde_json::from_slice(&fs::read(data().join("parity/cases.json")).unwrap()).unwrap();
    assert_eq!(cases.len(), 30);
    let (mut samples, mut off) = (0, 0);
    for case in cases {
        let expected = fs::read(data().join("parity").join(&case.file)).unwrap();
        let mut found = Tensor::default();
        let size = Size::new(case.width, case.height);
        let rgb = drawn(case.width, case.height, case.seed);
        Preparer::new(&plain(&case)).prepare_pixels(size, &rgb, None, &mut found).unwrap();
        let plane = found.height * found.width;
        assert_eq!(expected.len(), 3 * plane);
        let allowed = if case.filter == Filter::Bilinear { 1.0 } else { 0.0 };
        for (i, expected) in expected.iter().enumerate() {
            let found = found.data[i % 3 * plane + i / 3];
            let difference = (found - f32::from(*expected)).abs().round();
            assert!(difference <= allowed, "{}: sample {i}: expected {expected}, found {found}", case.file);
            off += u32::from(difference > 0.0);
            samples += u32::from(allowed > 0.0);
        }
    }
    // Pillow's rounding between its passes makes a few samples differ; more would be another filter.
    println!("{off} of {samples} bilinear samples differ by one");
    assert!(f64::from(off) < 0.15 * f64::from(samples), "{off} of {samples} samples differ");
}

/// The bundle's golden picture, prepared here and by numpy.
fn compared(bundle: &str, reference: &str, tiles: usize) {
    let bundle = Bundle::load(&data().join("bundles").join(bundle)).unwrap();
    let golden = bundle.golden().unwrap();
    let scale = golden.um_per_px.map(|v| Scale::new(v, ScaleMethod::Entered).unwrap());
    let mut found = Tensor::default();
    Preparer::new(&bundle.input).prepare_pixels(golden.size, &golden.rgb, scale.as_ref(), &mut found).unwrap();
    let expected = fs::read(data().join("parity").join(reference)).unwrap();
    let expected: Vec<f32> = expected.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    assert_eq!((found.tiles, found.data.len()), (tiles, expected.len()));
    let plane = found.height * found.width;
    for (i, (found, expected)) in found.data.iter().zip(&expected).enumerate() {
        let step = 1.0 / (255.0 * bundle.input.std[i / plane % 3]);
        assert!((found - expected).abs() <= step * 1.001, "sample {i}: expected {expected}, found {found}");
    }
    let same = found.data.iter().zip(&expected).filter(|(a, b)| a.to_bits() == b.to_bits()).count();
    assert!(same as f64 > 0.75 * expected.len() as f64, "{same} of {} are the very same floats", expected.len());
}

#[test]
fn a_resized_tensor_is_the_references() {
    compared("tiny-resize-0.1.0", "tiny-resize.f32", 1);
}

#[test]
fn tiles_of_a_scaled_picture_are_the_references() {
    compared("tiny-scale-0.1.0", "tiny-scale.f32", 9);
}
