//! `hairpin calibrate` on pictures with a known spacing: what is found, stored, drawn and refused.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside test functions")]

#[path = "support/hairpin.rs"]
mod support;

use std::path::PathBuf;

use support::Bench;

const DEVICE: &str = "usb:1d6b:0104:RIG0001";
const SCALE: &str = "[scale]\nfile = \"scales.jsonl\"\nmagnification = \"200x\"";

/// A stage micrometer: soft dark lines, `period` pixels apart, a little tilted.
fn micrometer(bench: &Bench, period: f64) -> PathBuf {
    let (sin, cos) = 7_f64.to_radians().sin_cos();
    let picture = image::GrayImage::from_fn(640, 480, |x, y| {
        let across = f64::from(x) * cos + f64::from(y) * sin;
        let off = (across - (across / period).round() * period) / (period / 8.0);
        image::Luma([(200.0 - 150.0 * (-off * off).exp()) as u8])
    });
    let path = bench.path("slide.png");
    picture.save(&path).unwrap();
    path
}

#[test]
fn lines_are_found_stored_drawn_and_listed() {
    let bench = Bench::new();
    let config = bench.config("", SCALE);
    let config = config.to_str().unwrap();
    let slide = micrometer(&bench, 12.5);
    let given = ["calibrate", slide.to_str().unwrap(), "--config", config, "--device", DEVICE, "--by", "op-1"];
    let with = |more: &[&str]| bench.run(&[&given[..], more].concat());

    with(&["--division-um", "10", "--dry-run"]).ok();
    assert!(!bench.path("scales.jsonl").exists(), "a dry run stores nothing");
    with(&["--division-um", "10", "--out", "check.svg"]).ok();
    let stored = std::fs::read_to_string(bench.path("scales.jsonl")).unwrap();
    let entry: serde_json::Value = serde_json::from_str(&stored).unwrap();
    let um_per_px = entry["um_per_px"].as_f64().unwrap();
    assert!((um_per_px - 0.8).abs() < 0.0008, "{entry}");
    assert_eq!((&entry["key"]["device"], &entry["key"]["magnification"]), (&DEVICE.into(), &"200x".into()));
    assert_eq!((&entry["by"], &entry["how"]), (&"op-1".into(), &"stage-micrometer".into()));
    assert!(entry["expires"].as_str() > entry["when"].as_str(), "{entry}");
    let drawn = std::fs::read_to_string(bench.path("check.svg")).unwrap();
    assert!(drawn.contains("data:image/png;base64,") && drawn.matches("<path").count() > 20);

    with(&["--points", "20,100,620,100", "--length-um", "500", "--magnification", "300x"]).ok();
    let listed = bench.run(&["calibrate", "--list", "--config", config]).ok().out;
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert!(listed.contains("0.8333 um/px"), "{listed}");
}

#[test]
fn what_cannot_be_measured_is_refused_with_its_status() {
    let bench = Bench::new();
    let config = bench.config("", SCALE);
    let config = config.to_str().unwrap();
    let slide = micrometer(&bench, 12.5);
    let slide = slide.to_str().unwrap();
    let blank = bench.path("blank.png");
    image::GrayImage::from_pixel(640, 480, image::Luma([128])).save(&blank).unwrap();
    let blank = blank.to_str().unwrap();
    let run = |more: &[&str]| bench.run(&[&["calibrate", "--config", config, "--by", "op-1"][..], more].concat());
    let lines = ["--division-um", "10"];

    run(&[&[blank, "--device", DEVICE][..], &lines].concat()).ends(65, &["no evenly spaced lines"]);
    run(&[&[slide][..], &lines].concat()).ends(78, &["which device"]);
    run(&[slide, "--device", DEVICE]).ends(78, &["--division-um"]);
    run(&[slide, "--device", DEVICE, "--division-um", "9000"]).ends(65, &["is no scale of a microscope"]);
    run(&[slide, "--device", DEVICE, "--points", "1,1,9,9", "--length-um", "5"]).ends(78, &["at least 100 px"]);
    run(&[slide, "--device", DEVICE, "--points", "1,1,9000,9", "--length-um", "5"])
        .ends(78, &["must lie in the picture"]);
    run(&lines).ends(78, &["source.kind is not"]);
    let no_place = bench.write("other.toml", &std::fs::read_to_string(config).unwrap().replace(SCALE, ""));
    bench.run(&["calibrate", slide, "--config", no_place.to_str().unwrap(), "--by", "op-1"]).ends(78, &["add [scale]"]);
    assert!(!bench.path("scales.jsonl").exists());
}
