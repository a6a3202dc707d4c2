//! Models that read what is measured of the loops: the figures are the measuring's own, nothing but the network and the
//! limits they were made with will do, and a picture without measurable loops is refused. With the real binary.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside test functions")]

#[path = "support/hairpin.rs"]
mod hairpin_bench;
#[path = "support/pictures.rs"]
mod pictures;
#[path = "support/tiny.rs"]
mod tiny;

use std::fs;
use std::path::PathBuf;

use hairpin::bundle::Bundle;
use hairpin::config::MeasureChoice;
use hairpin::daemon::assemble;
use hairpin::frame::Size;
use hairpin::infer::{Classifier, Intake, Runtime, Scores, Settings};
use hairpin::measured::Limits;
use hairpin::preprocess::{Field, FieldPreparer, PrepareError, Tensor};
use hairpin::scale::{Scale, ScaleMethod};
use hairpin::synth::pathology::Cohort;
use hairpin_bench::{Bench, library, root};
use rustix::process::Signal;
use serde_json::Value;

const EACH: usize = 14;

fn locator() -> PathBuf {
    root().join("models/locator-synth-0.2.0")
}

/// `[measure]` as the bundle tiny-shape was made with.
fn measure() -> String {
    format!("[measure]\nbundle = {:?}\nevery_ms = 1000\n", locator())
}

/// A configuration whose deciding model is tiny-shape.
fn config(bench: &Bench, source: &str, more: &str) -> PathBuf {
    let path = bench.config(source, more);
    let text = fs::read_to_string(&path).unwrap();
    let (from, to) = (hairpin_bench::tiny(), tiny::tiny("tiny-shape"));
    fs::write(&path, text.replacen(from.to_str().unwrap(), to.to_str().unwrap(), 1)).unwrap();
    path
}

fn picture(bench: &Bench) -> PathBuf {
    let frame = pictures::held(Cohort::Scleroderma, 1, 1).remove(0).remove(0);
    pictures::put(&bench.path("frame.jpg"), &frame);
    bench.path("frame.jpg")
}

fn choice() -> MeasureChoice {
    let runtime = Settings { library: library(), threads: 1, ..Settings::default() };
    MeasureChoice { bundle: locator(), every: std::time::Duration::from_secs(1), runtime, limits: Limits::default() }
}

#[test]
fn the_model_reads_what_is_measured() {
    let frame = pictures::held(Cohort::Scleroderma, 1, 1).remove(0).remove(0);
    let decoded = turbojpeg::decompress(&frame, turbojpeg::PixelFormat::RGB).unwrap();
    let size = Size::new(decoded.width as u32, decoded.height as u32);
    let scale = Scale::new(pictures::UM_PER_PX.parse().unwrap(), ScaleMethod::Entered).unwrap();
    let bundle = Bundle::load(&tiny::tiny("tiny-shape")).unwrap();
    assert!(bundle.needs_scale(), "no density without a scale");

    let mut loops = assemble::loops(Some(&choice())).unwrap().unwrap();
    let mut field = Field::default();
    let mut preparer = FieldPreparer::new(loops.measurer.locator().spec());
    preparer.prepare(size, &decoded.pixels, Some(&scale), &mut field).unwrap();
    let measured = loops.measurer.measure(&field).unwrap();
    let expected = measured.figures().unwrap();
    assert_eq!(expected[0].to_bits(), measured.density_per_mm.unwrap().value.to_bits());
    assert_eq!(expected[4] as u32, measured.counted.unwrap());
    assert!(expected[1] > 5.0 && expected[2] >= expected[1], "{expected:?}");

    let mut intake = assemble::intake(&bundle, Some(&choice())).unwrap();
    let (mut tensor, mut scores) = (Tensor::default(), Scores::default());
    intake.prepare_pixels(size, &decoded.pixels, Some(&scale), &mut tensor).unwrap();
    assert_eq!((tensor.data.len(), &tensor.data[7..]), (12, &expected[..]), "moments, then the loops' figures");
    let runtime = Runtime::load(&library()).unwrap();
    let mut classifier = Classifier::open(&runtime, &bundle, &Settings::default()).unwrap();
    classifier.classify(&tensor, &mut scores).unwrap();
    assert!((scores.probs.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{scores:?}");

    // A picture with nothing on it has no figures, not noughts; the next is read again.
    let bare = vec![150; size.pixels() * 3];
    let refused = intake.prepare_pixels(size, &bare, Some(&scale), &mut tensor);
    assert!(matches!(refused, Err(PrepareError::LoopsUnmeasured(_))), "{refused:?}");
    let refused = intake.prepare_pixels(size, &decoded.pixels, None, &mut tensor);
    assert!(matches!(refused, Err(PrepareError::LoopsUnmeasured(_))), "no scale, no figures: {refused:?}");
    intake.prepare_pixels(size, &decoded.pixels, Some(&scale), &mut tensor).unwrap();
    assert_eq!(tensor.data[7..], expected);
    let alone = Intake::new(&bundle).prepare_pixels(size, &decoded.pixels, Some(&scale), &mut tensor);
    assert!(matches!(alone, Err(PrepareError::Measuring(_))), "{alone:?}");
}

#[test]
fn a_recording_is_read_by_a_model_of_loops_and_by_one_beside_it() {
    let bench = Bench::new();
    for (number, frame) in pictures::held(Cohort::Scleroderma, 1, EACH).remove(0).iter().enumerate() {
        pictures::put(&bench.path("film").join("R2").join(format!("{number:02}.jpg")), frame);
    }
    let scale = format!("scale = {{ um_per_px = {}, how = \"simulated\" }}\n", pictures::UM_PER_PX);
    bench.write("film/replay.toml", &format!("subject = \"P017\"\nframes_per_s = {}\n{scale}", pictures::RATE));
    let film = bench.path("film");
    let run = |config: &PathBuf| {
        let args = ["replay", film.to_str().unwrap(), "--config", config.to_str().unwrap(), "--json"];
        bench.run(&args).ok().out
    };
    let told = run(&config(&bench, "", &measure()));
    let lines: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |event: &str| lines.iter().filter(|line| line["event"] == event).collect::<Vec<_>>();
    assert_eq!(of("finding").len(), EACH, "{told}");
    assert_eq!(of("measured").len(), 2, "those that are shown come at their own pace: 1.4 s of recording");
    let opened = lines.iter().find(|line| line["step"] == "opened").unwrap();
    assert_eq!(opened["provenance"]["model"]["name"], "tiny-shape");
    assert!(told == run(&config(&bench, "", &measure())), "the same recording gives the same lines");

    let beside = format!("{}[[second]]\nbundle = {:?}\n", measure(), tiny::tiny("tiny-shape"));
    let config = bench.config("", &beside);
    let second = run(&config);
    let opinions: Vec<Value> = second.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let opinions: Vec<&Value> = opinions.iter().filter(|line| line["event"] == "opinions").collect();
    let probs = |line: &Value| line["probs"].clone();
    assert_eq!(opinions[0]["opinions"][0]["model"], "tiny-shape 0.1.0");
    let (first, again) = (probs(of("finding")[0]), &opinions[0]["opinions"][0]["probs"]);
    assert_eq!(&first, again, "beside another or alone, it reads the same of a frame");
}

#[test]
fn a_model_of_loops_that_were_measured_otherwise_is_refused() {
    let bench = Bench::new();
    let int8 = root().join("models/locator-synth-int8-0.2.0");
    let cases = [
        (String::new(), "which none is configured to do: name that bundle in [measure] bundle"),
        (format!("[measure]\nbundle = {int8:?}\n"), "and [measure] bundle is locator-synth-int8 0.2.0"),
        (
            format!("{}[measure.limits]\nleast_score = 0.25\n", measure()),
            "[measure.limits] least_score: expected 0.3, found 0.25",
        ),
    ];
    for (more, why) in cases {
        let path = config(&bench, "", &more);
        let refused = bench.run(&["check", "--config", path.to_str().unwrap()]).ends(78, &[why]);
        assert!(
            refused.err.contains("model tiny-shape 0.1.0 reads what locator-synth 0.2.0 measures"),
            "{}",
            refused.err
        );
        let second = bench.config("", &format!("{more}[[second]]\nbundle = {:?}\n", tiny::tiny("tiny-shape")));
        let image = picture(&bench);
        bench.run(&["replay", image.to_str().unwrap(), "--config", second.to_str().unwrap()]).ends(78, &[why]);
    }
    bench.run(&["check", "--config", config(&bench, "", &measure()).to_str().unwrap()]).ok();
}

#[test]
fn a_picture_without_measurable_loops_is_not_read_and_says_what_to_do() {
    let bench = Bench::new();
    let path = config(&bench, "", &measure());
    let image = picture(&bench);
    let read = |scale: &[&str]| {
        let args = ["read", image.to_str().unwrap(), "--config", path.to_str().unwrap(), "--json"];
        bench.run(&[&args[..], scale].concat()).ok().json()
    };
    let document = read(&["--um-per-px", pictures::UM_PER_PX]);
    assert_eq!(document["images"][0]["outcome"], "scored", "{document}");
    assert_eq!(
        (&document["locator"]["name"], &document["limits"]["apart_um"]),
        (&"locator-synth".into(), &48.0.into())
    );
    // As if it showed a fifth of a millimetre: too short a row to tell a density.
    let document = read(&["--um-per-px", "0.3"]);
    let one = &document["images"][0];
    assert_eq!((&one["outcome"], &one["reason"]), (&"rejected".into(), &"loops-unmeasured".into()), "{document}");
    assert!(one["advice"].as_str().unwrap().contains("show the row of loops"), "{document}");
    let document = read(&[]);
    assert_eq!(document["images"][0]["reason"], "no-scale", "{document}");
}

#[test]
fn a_model_of_loops_takes_over_where_they_are_measured_and_is_refused_where_not() {
    const LIVE: &str = "frames_per_s = 10.0\ntrouble_share = 0.0\nhold_s = 600.0";
    let shape = tiny::tiny("tiny-shape");
    for measured in [true, false] {
        let bench = Bench::new();
        let more = if measured { measure() } else { String::new() };
        let service = bench.serve(&bench.config(LIVE, &more));
        let mut reader = bench.reader();
        bench.exam_command(&["open", "P017"]).ok();
        let put_in = bench.exam_command(&["model", shape.to_str().unwrap()]);
        if measured {
            put_in.ok();
            bench.exam_command(&["finger", "R4"]).ok();
            reader.until(|line| line["event"] == "model" && line["change"] == "running");
            let finding = reader.until(|line| line["event"] == "finding" && line["field"] == 1);
            assert_eq!(finding["probs"].as_array().unwrap().len(), 2, "{finding}");
        } else {
            put_in.ends(1, &["name that bundle in [measure] bundle"]);
        }
        bench.exam_command(&["close"]).ok();
        let closed = reader.until(|line| line["step"] == "closed");
        let name = if measured { "tiny-shape" } else { "tiny-resize" };
        assert_eq!(closed["report"]["provenance"]["model"]["name"], name, "{closed}");
        service.signal(Signal::TERM);
        assert_eq!(service.end(), Some(0));
        bench.run(&["verify", bench.exam().to_str().unwrap()]).ok();
    }
}
