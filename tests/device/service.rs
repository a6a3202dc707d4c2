//! The whole service on the camera: an exam with the events read from the socket, the cable pulled in its middle, its
//! record verified afterwards.

use std::time::{Duration, Instant};

use hairpin::calibrate::store::{Entry, Key, Store};
use hairpin::frame::Size;
use hairpin::scale::ScaleMethod;
use rustix::process::Signal;
use serde_json::Value;

use crate::Check;
use crate::frames::SMALL;
use crate::pedal::Pedal;
use crate::rig::{ID, Rig, until};
use crate::support::{Bench, Reader, Service};

pub const CHECKS: &[Check] = &[
    ("an_exam_with_the_cable_pulled", an_exam_with_the_cable_pulled),
    ("a_rate_that_halves_is_told", a_rate_that_halves_is_told),
    ("a_frozen_camera_is_a_fault_and_is_restarted", a_frozen_camera_is_a_fault_and_is_restarted),
    ("damaged_frames_are_counted_and_never_scored", damaged_frames_are_counted_and_never_scored),
    ("the_button_accepts_a_field", the_button_accepts_a_field),
    ("a_pedal_goes_through_the_fingers", a_pedal_goes_through_the_fingers),
    ("calibrated_on_the_live_picture", calibrated_on_the_live_picture),
    ("a_service_waits_for_its_camera", a_service_waits_for_its_camera),
];

pub fn source(size: Size) -> String {
    let (width, height) = (size.width, size.height);
    format!("kind = \"v4l2\"\ndevice = \"{ID}\"\n[source.v4l2]\nsize = {{ width = {width}, height = {height} }}")
}

/// Micrometres a pixel of the small pictures: the simulated microscope shows 1.57 mm.
const UM_PER_PX: f64 = 1570.0 / 640.0;

/// A bench whose camera was calibrated: the tiny model reads nothing without a scale.
pub fn calibrated() -> Bench {
    let bench = Bench::new();
    let key = Key { device: ID.to_owned(), magnification: "200x".to_owned(), size: SMALL };
    let (how, now) = (ScaleMethod::StageMicrometer, jiff::Timestamp::now());
    let entry = Entry::new(key, UM_PER_PX, how, "rig".to_owned(), now, 1);
    Store::at(&bench.path("scales.jsonl")).add(&entry).unwrap();
    bench
}

/// The configuration of such a bench.
pub fn config(bench: &Bench) -> std::path::PathBuf {
    bench.config_of(&source(SMALL), "[scale]\nfile = \"scales.jsonl\"\nmagnification = \"200x\"")
}

pub fn is(line: &Value, event: &str) -> bool {
    line["event"] == event
}

pub fn step(line: &Value, step: &str) -> bool {
    is(line, "exam") && line["step"] == step
}

fn change(line: &Value, change: &str) -> bool {
    is(line, "source") && line["change"] == change
}

/// An exam of one finger, with frames flowing.
fn begin(bench: &Bench, reader: &mut Reader) {
    bench.exam_command(&["open", "RIG-1"]).ok();
    bench.exam_command(&["finger", "R4"]).ok();
    reader.until(|line| is(line, "finding") && line["finger"] == "R4");
}

fn ended_well(bench: &Bench, service: Service) {
    let code = service.end();
    assert_eq!(code, Some(0), "{}", std::fs::read_to_string(bench.path("log")).unwrap());
}

/// Sum of the outcomes of a tally, which must be what was produced.
pub fn ended(tally: &Value) -> u64 {
    let sum = |of: &Value| of.as_object().map_or(0, |map| map.values().filter_map(Value::as_u64).sum::<u64>());
    let plain = |key: &str| tally[key].as_u64().unwrap_or_default();
    plain("scored") + plain("dropped") + plain("failed") + sum(&tally["rejected"]) + sum(&tally["undecodable"])
}

fn an_exam_with_the_cable_pulled(rig: &Rig) {
    let bench = calibrated();
    let service = bench.serve(&config(&bench));
    let mut reader = bench.reader();
    begin(&bench, &mut reader);
    let (mut noticed, mut resumed, mut read) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=5_u64 {
        let pulled = Instant::now();
        rig.ctl("unplug");
        let fault = reader.until(|line| is(line, "fault") && line["kind"] == "source" && line["cleared"] == false);
        noticed.push(pulled.elapsed());
        assert!(fault["message"].as_str().unwrap().contains("is gone"), "{fault}");
        let waiting = reader.until(|line| change(line, "recovering"));
        assert_eq!(waiting["recovery"]["rung"], "wait", "{waiting}");
        rig.ctl("plug");
        rig.node();
        let back = Instant::now();
        reader.until(|line| change(line, "opened"));
        resumed.push(back.elapsed());
        // Reading one takes most of a second in here.
        reader.until(|line| is(line, "finding") && line["frame"]["run"] == round);
        read.push(back.elapsed());
    }
    let worst = |spans: &[Duration]| spans.iter().max().unwrap().as_secs_f64();
    println!(
        "       fault after {:.2} s; after the node opened {:.2} s, a frame read {:.2} s (worst of 5)",
        worst(&noticed),
        worst(&resumed),
        worst(&read)
    );
    assert!(worst(&noticed) < 1.0 && worst(&resumed) < 2.0, "{noticed:?} {resumed:?}");
    let measured = reader.until(|line| change(line, "changed") && line["source"]["measured_per_s"].is_number());
    let device = &measured["source"]["device"];
    assert_eq!((&device["id"], &device["driver"]), (&ID.into(), &"uvcvideo".into()));

    bench.exam_command(&["close"]).ok();
    let closed = reader.until(|line| step(line, "closed"));
    let tally = &closed["report"]["frames"];
    assert_eq!(tally["produced"], ended(tally), "{tally}");
    assert!(tally["scored"].as_u64().unwrap() > 0, "{tally}");
    let granted = &closed["report"]["provenance"]["source"];
    assert_eq!((&granted["format"], &granted["frames_per_s"]), (&"mjpeg".into(), &30.0.into()), "{granted}");
    service.signal(Signal::TERM);
    ended_well(&bench, service);
    let verified = bench.run(&["verify", bench.exam().to_str().unwrap(), "--json"]).ok().json();
    assert_eq!(verified["state"]["closed"], "closed");
    let record = std::fs::read_to_string(bench.exam().join("events.jsonl")).unwrap();
    assert_eq!(record.matches("\"change\":\"lost\"").count(), 5, "the gaps are on record");
}

fn a_rate_that_halves_is_told(rig: &Rig) {
    // A rate that the rig's camera keeps also on a machine that has other work.
    let bench = calibrated();
    let text = std::fs::read_to_string(config(&bench)).unwrap();
    let text = text.replace("[source.v4l2]", "[source.v4l2]\nframes_per_s = 5.0");
    let service = bench.serve(&bench.write("slow.toml", &text));
    let mut reader = bench.reader();
    begin(&bench, &mut reader);
    let first = reader.until(|line| change(line, "changed"));
    let rate = first["source"]["measured_per_s"].as_f64().unwrap();
    assert!((4.0..6.0).contains(&rate), "{first}");
    rig.ctl("fps 2");
    let slow = reader.until(|line| is(line, "fault") && line["cleared"] == false);
    assert!(slow["message"].as_str().unwrap().contains("instead of 5.0"), "{slow}");
    rig.ctl("fps off");
    reader.until(|line| is(line, "fault") && line["cleared"] == true);
    drop(service);
}

fn a_frozen_camera_is_a_fault_and_is_restarted(rig: &Rig) {
    let bench = calibrated();
    let service = bench.serve(&config(&bench));
    let mut reader = bench.reader();
    begin(&bench, &mut reader);
    rig.ctl("freeze");
    let silent = reader.until(|line| is(line, "fault"));
    assert!(silent["message"].as_str().unwrap().contains("no frame from the source for 1 s"), "{silent}");
    let first = reader.until(|line| change(line, "recovering"));
    assert_eq!(first["recovery"]["rung"], "restart_stream", "{first}");
    let second = reader.until(|line| change(line, "recovering"));
    assert_eq!(second["recovery"]["rung"], "reopen", "{second}");
    rig.ctl("resume");
    reader.until(|line| is(line, "fault") && line["cleared"] == true);
    reader.until(|line| is(line, "finding"));
    drop(service);
}

fn undecodable(bench: &Bench) -> u64 {
    let status = bench.exam_command(&["status", "--json"]).ok().json();
    status["state"]["frames"]["undecodable"].as_object().unwrap().values().filter_map(Value::as_u64).sum()
}

fn damaged_frames_are_counted_and_never_scored(rig: &Rig) {
    let bench = calibrated();
    let service = bench.serve(&config(&bench));
    let mut reader = bench.reader();
    for (subject, mode) in [("RIG-1", "truncate"), ("RIG-2", "garbage"), ("RIG-3", "bits")] {
        rig.ctl(&format!("corrupt {mode}"));
        bench.exam_command(&["open", subject]).ok();
        bench.exam_command(&["finger", "R4"]).ok();
        let before = undecodable(&bench);
        until("damaged frames are counted", Duration::from_secs(30), || undecodable(&bench) > before + 5);
        bench.exam_command(&["close"]).ok();
        let closed = reader.until(|line| step(line, "closed"));
        let tally = &closed["report"]["frames"];
        println!("       {mode}: {tally}");
        assert_eq!(tally["scored"], 0, "{mode}: {tally}");
        assert!(!tally["undecodable"].as_object().unwrap().is_empty(), "{mode}: {tally}");
        assert_eq!(tally["produced"], ended(tally), "{tally}");
    }
    drop(service);
}

fn the_button_accepts_a_field(rig: &Rig) {
    let bench = calibrated();
    let service = bench.serve(&config(&bench));
    let mut reader = bench.reader();
    begin(&bench, &mut reader);
    let listens = until("the service listens to the button", Duration::from_secs(10), || {
        service.log().contains("trigger: listening")
    });
    println!("       the button is heard after {listens:.1?}");
    rig.ctl("button");
    let field = reader.until(|line| is(line, "field"));
    assert_eq!((&field["finger"], &field["number"]), (&"R4".into(), &1.into()), "{field}");
    reader.until(|line| step(line, "field_began") && line["number"] == 2 && line["because"] == "operator");
    // It hangs on the camera: pulled and plugged, it is heard again.
    rig.ctl("unplug");
    reader.until(|line| change(line, "lost"));
    rig.ctl("plug");
    reader.until(|line| is(line, "finding") && line["frame"]["run"] == 1);
    until("the service listens again", Duration::from_secs(10), || {
        service.log().matches("trigger: listening").count() == 2
    });
    rig.ctl("button");
    reader.until(|line| step(line, "field_began") && line["number"] == 3);
    drop(service);
}

fn a_pedal_goes_through_the_fingers(_: &Rig) {
    const B: u16 = 48;
    const SPACE: u16 = 57;
    let mut pedal = Pedal::plug(&[B, SPACE]);
    let path = pedal.path();
    let bench = calibrated();
    let binding =
        |key: &str, does: &str| format!("\n[[trigger]]\nkey = \"{key}\"\ndoes = \"{does}\"\nfrom = {path:?}\n");
    let text = std::fs::read_to_string(config(&bench)).unwrap();
    let text = text + &binding("b", "next-finger") + &binding("space", "skip");
    let service = bench.serve(&bench.write("pedal.toml", &text));
    let mut reader = bench.reader();
    until("the service listens to the pedal", Duration::from_secs(10), || service.log().contains("trigger: listening"));
    bench.exam_command(&["open", "RIG-1"]).ok();
    pedal.press(B);
    let first = reader.until(|line| step(line, "finger_began"));
    // Skipped before a field of it began; the settling time after a change of finger is half a second.
    pedal.press(SPACE);
    let skipped = reader.until(|line| step(line, "skipped") || step(line, "field_began"));
    if step(&skipped, "skipped") {
        assert_eq!(skipped["finger"], first["finger"]);
    }
    pedal.press(B);
    let second = reader.until(|line| step(line, "finger_began"));
    assert_ne!(second["finger"], first["finger"], "the next of the protocol");
    drop(service);
}

fn calibrated_on_the_live_picture(_: &Rig) {
    let bench = Bench::new();
    let config = config(&bench);
    let length = format!("{:.3}", UM_PER_PX * 600.0);
    let given = ["calibrate", "--config", config.to_str().unwrap(), "--by", "rig", "--out", "check.svg"];
    let points = ["--points", "20,100,620,100", "--length-um", &length];
    bench.run(&[&given[..], &points].concat()).ok();
    let listed = bench.run(&["calibrate", "--list", "--config", config.to_str().unwrap()]).ok().out;
    assert!(listed.contains(&format!("{ID} at 200x, {SMALL}: 2.4531 um/px")), "{listed}");
    let drawn = std::fs::read_to_string(bench.path("check.svg")).unwrap();
    assert!(drawn.contains("data:image/jpeg;base64,"), "the camera's own picture");
    let service = bench.serve(&config);
    let mut reader = bench.reader();
    begin(&bench, &mut reader);
    drop(service);
}

fn a_service_waits_for_its_camera(rig: &Rig) {
    rig.ctl("unplug");
    let bench = calibrated();
    let refusing = source(SMALL).replace("[source.v4l2]", "on_missing = \"refuse\"\n[source.v4l2]");
    let refusing = bench.config_of(&refusing, "");
    bench.run(&["run", "--config", refusing.to_str().unwrap()]).ends(69, &["no device fits", ID]);
    bench.run(&["devices"]).ends(69, &["no capture device"]);
    let service = bench.serve(&config(&bench));
    let mut reader = bench.reader();
    bench.exam_command(&["open", "RIG-1"]).ok();
    bench.exam_command(&["finger", "R4"]).ok();
    rig.ctl("plug");
    rig.node();
    let back = Instant::now();
    reader.until(|line| is(line, "finding"));
    assert!(back.elapsed() < Duration::from_secs(10), "{:?}", back.elapsed());
    service.signal(Signal::TERM);
    ended_well(&bench, service);
}
