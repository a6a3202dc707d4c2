//! Several models: second opinions beside the one that decides, another deciding model put in while the service runs,
//! and the commands that compare them. With the real binary.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside test functions")]

#[path = "support/hairpin.rs"]
mod hairpin_bench;
#[path = "support/pictures.rs"]
mod pictures;
#[path = "support/tiny.rs"]
mod tiny;

use std::fs;
use std::path::{Path, PathBuf};

use hairpin::synth::pathology::Cohort;
use hairpin_bench::Bench;
use pictures::put;
use rustix::process::Signal;
use serde_json::Value;

const LIVE: &str = "frames_per_s = 30.0\ntrouble_share = 0.0\nhold_s = 600.0";
/// Frames of each of two fields: more than the ten and the second that a field needs.
const EACH: usize = 14;

/// A copy of the tiny bundle under another name, with further texts of its manifest put for others. What it was trained
/// on is forgotten, so that drawn frames are readable by it.
fn model(bench: &Bench, name: &str, changes: &[(&str, &str)]) -> PathBuf {
    let folder = bench.path(name);
    fs::create_dir_all(folder.join("golden")).unwrap();
    for file in ["CARD.md", "model.onnx", "golden/input.png", "golden/expected.json"] {
        fs::copy(tiny::tiny("tiny-resize").join(file), folder.join(file)).unwrap();
    }
    let text = fs::read_to_string(tiny::tiny("tiny-resize").join("manifest.toml")).unwrap();
    let (head, rest) = text.split_once("[input.seen]").unwrap();
    let mut text = format!("{head}{}", &rest[rest.find("[output]").unwrap()..]);
    let renamed = format!("name = \"{name}\"");
    for (from, to) in [("name = \"tiny-resize\"", renamed.as_str())].iter().chain(changes) {
        assert!(text.contains(from), "the fixture has no {from:?}");
        text = text.replacen(from, to, 1);
    }
    fs::write(folder.join("manifest.toml"), text).unwrap();
    folder
}

/// Calls the drawn frames negative.
const NO: [(&str, &str); 2] = [("lower = 0.3", "lower = 0.49"), ("upper = 0.7", "upper = 0.5")];
/// The same network with its outputs named the other way round: calls them positive.
const YES: [(&str, &str); 3] = [
    ("[\"category 1\", \"category 2\"]", "[\"category 2\", \"category 1\"]"),
    ("lower = 0.3", "lower = 0.49"),
    ("upper = 0.7", "upper = 0.5"),
];

/// The configuration with another deciding model.
fn config(bench: &Bench, source: &str, deciding: &Path, more: &str) -> PathBuf {
    let path = bench.config(source, more);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen(hairpin_bench::tiny().to_str().unwrap(), deciding.to_str().unwrap(), 1)).unwrap();
    path
}

fn recording(bench: &Bench) -> PathBuf {
    for (field, frames) in pictures::held(Cohort::Scleroderma, 2, EACH).iter().enumerate() {
        for (number, frame) in frames.iter().enumerate() {
            put(&bench.path("film/R2").join(format!("{}-{number:02}.jpg", ["a", "b"][field])), frame);
        }
    }
    let basics = format!(
        "frames_per_s = {}\nscale = {{ um_per_px = {}, how = \"simulated\" }}\n",
        pictures::RATE,
        pictures::UM_PER_PX
    );
    let fields = "[[files]]\nname = \"*/a-*\"\nfield = 1\n[[files]]\nname = \"*/b-*\"\nfield = 2\n";
    bench.write("film/replay.toml", &format!("subject = \"P017\"\n{basics}{fields}"));
    bench.path("film")
}

fn replay(bench: &Bench, config: &Path) -> String {
    let film = bench.path("film");
    bench.run(&["replay", film.to_str().unwrap(), "--config", config.to_str().unwrap(), "--json"]).ok().out
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

fn of<'a>(lines: &'a [Value], event: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["event"] == event).collect()
}

/// Of every event that a run without second opinions has too, what it says but its number.
fn without_seconds(lines: &[Value]) -> Vec<Value> {
    let mut kept = Vec::new();
    for line in lines.iter().filter(|line| line["event"] != "opinions" && line["event"] != "disagreement") {
        let mut line = line.clone();
        let forget = |of: &mut Value| {
            if let Some(of) = of.as_object_mut() {
                of.remove("second");
                of.remove("config_sha256");
            }
        };
        forget(&mut line);
        forget(&mut line["provenance"]);
        forget(&mut line["report"]["provenance"]);
        if let Some(fingers) = line["report"]["fingers"].as_array_mut() {
            fingers.iter_mut().for_each(forget);
        }
        line["n"] = Value::Null;
        kept.push(line);
    }
    kept
}

#[test]
fn second_opinions_are_told_pooled_and_change_nothing() {
    let bench = Bench::new();
    let deciding = model(&bench, "decides", &NO);
    recording(&bench);
    let alone = lines(&replay(&bench, &config(&bench, "", &deciding, "")));
    let features = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bundles/tiny-features-0.1.0");
    let second = format!("[[second]]\nbundle = {features:?}\n[[second]]\nbundle = \"beside\"\nevery_ms = 200\n");
    model(&bench, "beside", &NO);
    let path = config(&bench, "", &deciding, &second);
    let told = replay(&bench, &path);
    let all = lines(&told);

    let opinions = of(&all, "opinions");
    assert_eq!(opinions.len(), 2 * EACH, "one a read frame of the model that reads them all");
    assert_eq!(opinions[0]["finger"], "R2");
    let by = |name: &str| -> usize {
        let names = opinions.iter().flat_map(|line| line["opinions"].as_array().unwrap());
        names.filter(|opinion| opinion["model"] == name).count()
    };
    assert_eq!((by("tiny-features 0.1.0"), by("beside 0.1.0")), (2 * EACH, EACH), "every frame, and every other");
    let field = of(&all, "field")[0];
    assert_eq!(field["second"].as_array().unwrap().len(), 2, "{field}");
    let beside = &field["second"][1];
    assert_eq!((&beside["model"], &beside["distinct"]), (&"beside 0.1.0".into(), &7.into()), "{field}");
    assert_eq!(beside["verdict"]["why"], "too_few_frames", "the rules are the same for all: {field}");
    assert_eq!(of(&all, "finger")[0]["second"].as_array().unwrap().len(), 2);
    let opened = all.iter().find(|line| line["step"] == "opened").unwrap();
    assert_eq!(opened["provenance"]["second"][1]["name"], "beside");

    assert_eq!(without_seconds(&all), without_seconds(&alone), "the deciding model's results are as without them");
    assert!(told == replay(&bench, &path), "the same recording gives the same lines");
}

#[test]
fn models_that_call_a_finger_to_opposite_sides_are_told() {
    let bench = Bench::new();
    let deciding = model(&bench, "no", &NO);
    model(&bench, "yes", &YES);
    recording(&bench);
    let all = lines(&replay(&bench, &config(&bench, "", &deciding, "[[second]]\nbundle = \"yes\"\n")));
    let finger = of(&all, "finger")[0];
    assert_eq!(finger["decision"]["label"], "category 1", "the deciding model decides: {finger}");
    assert_eq!(finger["second"][0]["decision"]["label"], "category 2", "{finger}");
    let [disagreement] = of(&all, "disagreement")[..] else { panic!("{:?}", of(&all, "disagreement")) };
    assert_eq!((&disagreement["finger"], &disagreement["model"]), (&"R2".into(), &"no 0.1.0".into()));
    assert_eq!(disagreement["others"][0]["model"], "yes 0.1.0");

    let agreeing = model(&bench, "too", &NO);
    let more = format!("[[second]]\nbundle = {agreeing:?}\n");
    let all = lines(&replay(&bench, &config(&bench, "", &deciding, &more)));
    assert!(of(&all, "disagreement").is_empty());
}

#[test]
fn second_opinions_that_make_no_sense_are_refused() {
    let bench = Bench::new();
    let deciding = model(&bench, "no", &NO);
    let cases = [
        ("[[second]]\nbundle = \"gone\"\n", "gone/manifest.toml"),
        ("[[second]]\nbundle = \"no\"\nevery_ms = 1\n", "second.every_ms: is 1: it must be 10 to 60000"),
        ("[[second]]\nbundle = \"no\"\n[[second]]\nbundle = \"no\"\n", "second.bundle: "),
        ("[[second]]\nbundle = \"no\"\nweight = 2\n", "unknown field `weight`"),
    ];
    recording(&bench);
    for (more, expected) in cases {
        let path = config(&bench, "", &deciding, more);
        let film = bench.path("film");
        bench.run(&["replay", film.to_str().unwrap(), "--config", path.to_str().unwrap()]).ends(78, &[expected]);
    }
}

#[test]
fn live_second_opinions_come_beside_the_findings() {
    let bench = Bench::new();
    let features = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bundles/tiny-features-0.1.0");
    let deciding = model(&bench, "no", &NO);
    let service = bench.serve(&config(&bench, LIVE, &deciding, &format!("[[second]]\nbundle = {features:?}\n")));
    let mut reader = bench.reader();
    bench.exam_command(&["open", "P017"]).ok();
    bench.exam_command(&["finger", "R4"]).ok();
    let opinions = reader.until(|line| line["event"] == "opinions" && line["field"] == 1);
    assert_eq!(opinions["opinions"][0]["model"], "tiny-features 0.1.0");
    bench.exam_command(&["close"]).ok();
    let closed = reader.until(|line| line["step"] == "closed");
    assert_eq!(closed["report"]["fingers"][0]["second"][0]["model"], "tiny-features 0.1.0", "{closed}");
    service.signal(Signal::TERM);
    assert_eq!(service.end(), Some(0));
}

fn changed<'a>(change: &'a str) -> impl Fn(&Value) -> bool + 'a {
    move |line| line["event"] == "model" && line["change"] == change
}

#[test]
fn another_model_reads_from_the_next_finger_on() {
    let bench = Bench::new();
    let (first, second) = (model(&bench, "first", &NO), model(&bench, "second", &NO));
    let service = bench.serve(&config(&bench, LIVE, &first, ""));
    let mut reader = bench.reader();
    bench.exam_command(&["open", "P017"]).ok();
    bench.exam_command(&["finger", "R4"]).ok();
    reader.until(|line| line["event"] == "finding" && line["field"] == 1);
    bench.exam_command(&["model", second.to_str().unwrap()]).ok();
    let ready = reader.until(changed("ready"));
    assert_eq!(ready["model"]["name"], "second");
    // Not within the finger, not even between its fields.
    bench.exam_command(&["field"]).ok();
    reader.until(|line| line["event"] == "finding" && line["field"] == 2);
    let state = bench.exam_command(&["status", "--json"]).ok().json();
    assert_eq!(state["state"]["model"]["name"], "first");

    bench.exam_command(&["finger", "R5"]).ok();
    let mut ended = false;
    let running = reader.until(|line| {
        ended |= line["event"] == "finger" && line["finger"] == "R4";
        changed("running")(line)
    });
    assert!(ended, "the finger ends first");
    assert_eq!(running["provenance"]["model"]["name"], "second");
    reader.until(|line| line["event"] == "finding" && line["finger"] == "R5");
    // Back to the first finger: what the model before has read of it is not pooled with what this one reads.
    bench.exam_command(&["finger", "R4"]).ok();
    reader.until(|line| line["event"] == "finding" && line["finger"] == "R4" && line["field"] == 3);
    bench.exam_command(&["close"]).ok();
    let closed = reader.until(|line| line["step"] == "closed");
    let report = &closed["report"];
    assert_eq!(report["provenance"]["model"]["name"], "second");
    let r4 = report["fingers"].as_array().unwrap().iter().find(|finger| finger["finger"] == "R4").unwrap();
    let fields = ["fields_positive", "fields_negative", "fields_not_classifiable"].map(|key| r4[key].as_u64().unwrap());
    assert_eq!(fields.iter().sum::<u64>(), 1, "its newest field alone: {r4}");
    service.signal(Signal::TERM);
    assert_eq!(service.end(), Some(0));
    bench.run(&["verify", bench.exam().to_str().unwrap()]).ok();
}

/// What the first model said of a finished finger stands; what the exam is resumed with is the model that read it last.
#[test]
fn an_exam_with_another_model_put_in_is_resumed_by_that_one() {
    let bench = Bench::new();
    let (first, second) = (model(&bench, "first", &NO), model(&bench, "second", &NO));
    let config = config(&bench, LIVE, &first, "");
    let service = bench.serve(&config);
    let mut reader = bench.reader();
    bench.exam_command(&["open", "P017"]).ok();
    bench.exam_command(&["finger", "R4"]).ok();
    reader.until(|line| line["event"] == "finding" && line["finger"] == "R4");
    bench.exam_command(&["model", second.to_str().unwrap()]).ok();
    reader.until(changed("ready"));
    bench.exam_command(&["finger", "R5"]).ok();
    reader.until(changed("running"));
    reader.until(|line| line["event"] == "finding" && line["finger"] == "R5");
    service.signal(Signal::KILL);
    service.end();

    let id = bench.exam().file_name().unwrap().to_str().unwrap().to_owned();
    let service = bench.serve(&config);
    let mut reader = bench.reader();
    bench.exam_command(&["resume", &id]).ends(1, &["was read by second 0.1.0", "first 0.1.0 runs now"]);
    bench.exam_command(&["model", second.to_str().unwrap()]).ok();
    reader.until(changed("running"));
    bench.exam_command(&["resume", &id]).ok();
    let resumed = reader.until(|line| line["step"] == "resumed");
    bench.exam_command(&["finger", "R5"]).ok();
    let began = reader.until(|line| line["step"] == "field_began");
    assert_eq!(began["number"], 2, "the field that the crash cut off keeps its number: {resumed}");
    reader.until(|line| line["event"] == "finding" && line["finger"] == "R5");
    bench.exam_command(&["close"]).ok();
    let closed = reader.until(|line| line["step"] == "closed");
    let report = &closed["report"];
    assert_eq!(report["provenance"]["model"]["name"], "second", "{report}");
    let fingers: Vec<&str> =
        report["fingers"].as_array().unwrap().iter().filter_map(|f| f["finger"].as_str()).collect();
    assert_eq!(fingers, ["R4", "R5"], "{report}");
    service.signal(Signal::TERM);
    assert_eq!(service.end(), Some(0));
    bench.run(&["verify", bench.exam().to_str().unwrap()]).ok();
    let record = fs::read_to_string(bench.exam().join("events.jsonl")).unwrap();
    let took_over: Vec<Value> = lines(&record).into_iter().filter(changed("running")).collect();
    assert_eq!(took_over.len(), 1, "on record once, within the exam: {took_over:?}");
    assert_eq!(took_over[0]["provenance"]["model"]["name"], "second");
}

#[test]
fn a_bundle_that_fails_leaves_the_model_before_running_and_says_why() {
    let bench = Bench::new();
    let first = model(&bench, "first", &NO);
    let broken = model(&bench, "broken", &[("mean = [0.485", "mean = [0.185")]);
    let other_scheme = model(&bench, "other-scheme", &[("scheme = \"fast-track\"", "scheme = \"normal-abnormal\"")]);
    let service = bench.serve(&config(&bench, LIVE, &first, ""));
    let mut reader = bench.reader();
    bench.exam_command(&["open", "P017"]).ok();
    let cases = [
        (broken.to_str().unwrap(), "the golden picture gives other logits"),
        ("/nowhere/at-all", "/nowhere/at-all/manifest.toml"),
        (other_scheme.to_str().unwrap(), "close the exam first"),
    ];
    for (bundle, why) in cases {
        bench.exam_command(&["model", bundle]).ends(1, &[why]);
        let refused = reader.until(changed("refused"));
        assert!(refused["why"].as_str().unwrap().contains(why), "{refused}");
    }
    bench.exam_command(&["finger", "R4"]).ok();
    reader.until(|line| line["event"] == "finding" && line["finger"] == "R4");
    let state = bench.exam_command(&["status", "--json"]).ok().json();
    assert_eq!(state["state"]["model"]["name"], "first");
    bench.exam_command(&["close"]).ok();
    // With no exam open another scheme is as good as any.
    bench.exam_command(&["model", other_scheme.to_str().unwrap()]).ok();
    let running = reader.until(changed("running"));
    assert_eq!(running["model"]["scheme"], "normal-abnormal");
    service.signal(Signal::TERM);
    assert_eq!(service.end(), Some(0));
}

#[test]
fn a_reload_brings_the_model_that_the_configuration_names() {
    let bench = Bench::new();
    let (first, second) = (model(&bench, "first", &NO), model(&bench, "second", &NO));
    let path = config(&bench, LIVE, &first, "");
    let mut service = bench.serve(&path);
    let mut reader = bench.reader();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace(first.to_str().unwrap(), second.to_str().unwrap())).unwrap();
    service.signal(Signal::HUP);
    service.await_notice("READY=1");
    let running = reader.until(changed("running"));
    assert_eq!(running["model"]["name"], "second");
    reader.until(|line| line["event"] == "finding");
    service.signal(Signal::TERM);
    assert_eq!(service.end(), Some(0));
}

#[test]
fn the_golden_pair_is_tried_on_every_provider() {
    let bench = Bench::new();
    let path = bench.config("", "");
    for (bundle, what) in [("tiny-resize", "logits"), ("tiny-features", "probabilities")] {
        let folder = tiny::tiny(bundle);
        let args = ["models", "try", folder.to_str().unwrap(), "--config", path.to_str().unwrap()];
        let rows = bench.run(&[&args[..], &["--json"]].concat()).ok().json();
        let cpu = rows.as_array().unwrap().iter().find(|row| row["provider"] == "cpu").unwrap();
        assert_eq!((&cpu["agrees"], &cpu["what"]), (&true.into(), &what.into()), "{cpu}");
        assert!(cpu["largest_difference"].as_f64().unwrap() <= cpu["tolerance"].as_f64().unwrap(), "{cpu}");
        let told = bench.run(&args).ok().out;
        assert!(told.contains("agrees with the reference: largest difference of"), "{told}");
    }
    let wrong = model(&bench, "wrong", &[("mean = [0.485", "mean = [0.185")]);
    let args = ["models", "try", wrong.to_str().unwrap(), "--config", path.to_str().unwrap()];
    bench.run(&args).ends(78, &["another model on provider cpu"]);
}

#[test]
fn every_bundle_that_ships_gives_its_golden_answer() {
    let bench = Bench::new();
    let path = bench.config("", "");
    let ships =
        fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/models")).unwrap().map(|entry| entry.unwrap().path());
    let bundles: Vec<_> = ships.filter(|folder| folder.join("manifest.toml").exists()).collect();
    assert!(bundles.len() >= 9, "{bundles:?}");
    for bundle in bundles {
        let args = ["models", "verify", bundle.to_str().unwrap(), "--config", path.to_str().unwrap()];
        let told = bench.run(&args).ok().out;
        assert!(told.contains("golden"), "{}: {told}", bundle.display());
        let card = fs::read_to_string(bundle.join("CARD.md")).unwrap();
        assert!(card.to_lowercase().contains("not validated on patients"), "{}", bundle.display());
    }
}

#[test]
fn models_are_compared_on_ones_own_frames() {
    let bench = Bench::new();
    let (no, yes) = (model(&bench, "no", &NO), model(&bench, "yes", &YES));
    let film = recording(&bench);
    fs::write(film.join("R2/c-00.jpg"), b"no picture").unwrap();
    let path = bench.config("", "");
    let features = tiny::tiny("tiny-features");
    let scale = tiny::tiny("tiny-scale");
    let bundles = [&no, &yes, &features, &scale].map(|dir| dir.to_str().unwrap()).join(",");
    let args = ["models", "compare", "--bundles", &bundles, film.to_str().unwrap(), "--config", path.to_str().unwrap()];
    let found = bench.run(&[&args[..], &["--json"]].concat()).ok().json();
    assert_eq!((&found["frames"], &found["models"][0]["read"]), (&(2 * EACH).into(), &(2 * EACH).into()), "{found}");
    assert_eq!(found["models"].as_array().unwrap().len(), 4);
    assert!(found["models"][2]["frames_per_s"].as_f64().unwrap() > 0.0, "{found}");
    let pairs = found["pairs"].as_array().unwrap();
    assert_eq!(pairs.len(), 6);
    // One network with its outputs named both ways: never of one mind.
    assert_eq!((&pairs[0]["models"][1], &pairs[0]["agreement"]), (&"yes 0.1.0".into(), &0.0.into()), "{found}");
    assert!(pairs[2]["agreement"].is_null(), "of another scheme: {}", pairs[2]);
    let told = bench.run(&args).ok().out;
    assert!(told.contains("of different schemes: not compared") && told.contains("not a diagnosis"), "{told}");
    bench
        .run(&["models", "compare", "--bundles", no.to_str().unwrap(), film.to_str().unwrap()])
        .ends(78, &["two or more"]);
}
