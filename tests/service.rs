//! The real service on the simulated microscope: an exam commanded over the socket, its stream, its record, its health,
//! and every way to end it.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside test functions")]

#[path = "support/hairpin.rs"]
mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::Value;
use support::Bench;

const LIVE: &str = "frames_per_s = 30.0\ntrouble_share = 0.0\nhold_s = 600.0";

fn is(line: &Value, event: &str) -> bool {
    line["event"] == event
}

fn step(line: &Value, step: &str) -> bool {
    is(line, "exam") && line["step"] == step
}

#[test]
fn an_exam_from_open_to_close() {
    let bench = Bench::new();
    let config = bench.config(LIVE, "");
    let service = bench.serve(&config);
    let mut reader = bench.reader();
    assert!(is(&reader.line().unwrap(), "state"), "a late joiner gets the state first");

    bench.exam_command(&["field"]).ends(1, &["no exam is open"]);
    bench.exam_command(&["open", "P017"]).ok();
    let opened = reader.until(|line| step(line, "opened"));
    assert_eq!(opened["subject"], "P017");
    assert_eq!(opened["provenance"]["model"]["validated_on_patients"], false);
    bench.exam_command(&["open", "P018"]).ends(1, &["close it first"]);

    bench.exam_command(&["finger", "R4"]).ok();
    reader.until(|line| step(line, "field_began"));
    let finding = reader.until(|line| is(line, "finding") && line["field"] == 1);
    assert_eq!(finding["finger"], "R4");
    assert!(finding["latency"]["total_ms"].as_f64().unwrap() > 0.0);
    bench.exam_command(&["field"]).ok();
    let field = reader.until(|line| is(line, "field"));
    assert_eq!((&field["finger"], &field["number"]), (&"R4".into(), &1.into()));
    bench.exam_command(&["call", "L2", "category_1"]).ends(1, &["no field was recorded"]);
    bench.exam_command(&["call", "R4", "category_2", "--comment", "two giants"]).ok();
    let own = reader.until(|line| is(line, "own_call"));
    assert_eq!(
        (&own["finger"], &own["call"], &own["comment"]),
        (&"R4".into(), &"category_2".into(), &"two giants".into())
    );
    assert!(own["by"].as_str().unwrap().starts_with("user "), "{own}");
    bench.exam_command(&["skip", "R5", "bandage"]).ok();
    bench.exam_command(&["skip", "R4", "changed my mind"]).ends(1, &["what was recorded of it stands"]);
    bench.exam_command(&["close"]).ok();
    let closed = reader.until(|line| step(line, "closed"));

    let report = &closed["report"];
    let tally = &report["frames"];
    let rejected: u64 = tally["rejected"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    let ended = ["scored", "dropped", "failed"].iter().map(|k| tally[*k].as_u64().unwrap()).sum::<u64>() + rejected;
    assert_eq!(tally["produced"], ended, "{tally}");
    assert_eq!(report["skipped"]["R5"], "bandage");
    assert_eq!(report["summary"]["not_examined"], 7, "R4 alone was examined: {report}");

    let status = bench.exam_command(&["status", "--json"]).ok().json();
    assert_eq!(status["ok"], true);
    service.signal(Signal::TERM);
    assert_eq!(service.end(), Some(0));
    let record = std::fs::read_to_string(bench.exam().join("events.jsonl")).unwrap();
    let lines: Vec<Value> = record.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let commanded = |name: &str| {
        lines.iter().filter(|l| is(l, "command") && l["command"] == name && l["refused"].is_null()).count()
    };
    for name in ["open", "finger", "field", "call", "skip", "close"] {
        assert_eq!(commanded(name), 1, "{name} is not once on the record");
    }
    assert!(lines.iter().any(|line| is(line, "command") && line["refused"].is_string()), "a refusal is not on record");
    let verified = bench.run(&["verify", bench.exam().to_str().unwrap(), "--json"]).ok().json();
    assert_eq!(verified["state"]["closed"], "closed");
    assert!(verified["keyframes"].as_u64().unwrap() >= 1, "{verified}");
}

#[test]
fn a_signal_in_mid_exam_leaves_a_closed_record() {
    for signal in [Signal::TERM, Signal::INT] {
        let bench = Bench::new();
        let config = bench.config(LIVE, "");
        let service = bench.serve(&config);
        let mut reader = bench.reader();
        bench.exam_command(&["open", "P017"]).ok();
        bench.exam_command(&["finger", "L3"]).ok();
        reader.until(|line| is(line, "finding") && line["finger"] == "L3");
        service.signal(signal);
        let closed = reader.until(|line| step(line, "closed"));
        assert_eq!(closed["report"]["ending"], "interrupted");
        assert_eq!(service.end(), Some(0));
        let verified = bench.run(&["verify", bench.exam().to_str().unwrap(), "--json"]).ok().json();
        assert_eq!(verified["state"]["closed"], "interrupted");
    }
}

#[test]
fn after_a_kill_the_exam_is_found_resumed_and_closed() {
    let bench = Bench::new();
    let config = bench.config(LIVE, "");
    let service = bench.serve(&config);
    let mut reader = bench.reader();
    bench.exam_command(&["open", "P017"]).ok();
    bench.exam_command(&["finger", "R2"]).ok();
    reader.until(|line| is(line, "finding") && line["finger"] == "R2");
    bench.exam_command(&["finger", "R3"]).ok();
    reader.until(|line| is(line, "finding") && line["finger"] == "R3");
    service.signal(Signal::KILL);
    service.end();

    let id = bench.exam().file_name().unwrap().to_str().unwrap().to_owned();
    let service = bench.serve(&config);
    let mut reader = bench.reader();
    bench.exam_command(&["resume", "nonsense-1"]).ends(1, &[&id]);
    bench.exam_command(&["resume", &id]).ok();
    reader.until(|line| step(line, "resumed"));
    bench.exam_command(&["finger", "R3"]).ok();
    let began = reader.until(|line| step(line, "field_began"));
    assert_eq!(began["number"], 2, "the field that the crash cut off keeps its number");
    bench.exam_command(&["close"]).ok();
    let closed = reader.until(|line| step(line, "closed"));
    let fingers: Vec<&str> =
        closed["report"]["fingers"].as_array().unwrap().iter().filter_map(|f| f["finger"].as_str()).collect();
    assert_eq!(fingers, ["R2", "R3"]);
    service.signal(Signal::TERM);
    assert_eq!(service.end(), Some(0));
    bench.run(&["verify", bench.exam().to_str().unwrap()]).ok();
}

/// Verdicts of two models must not be pooled into one finger.
#[test]
fn an_exam_is_not_resumed_under_another_model() {
    let bench = Bench::new();
    let config = bench.config(LIVE, "");
    let service = bench.serve(&config);
    let mut reader = bench.reader();
    bench.exam_command(&["open", "P017"]).ok();
    bench.exam_command(&["finger", "R2"]).ok();
    reader.until(|line| is(line, "finding") && line["finger"] == "R2");
    service.signal(Signal::KILL);
    service.end();
    let id = bench.exam().file_name().unwrap().to_str().unwrap().to_owned();
    let events = bench.exam().join("events.jsonl");

    let good = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, good.replace("tiny-resize-0.1.0", "tiny-scale-0.1.0")).unwrap();
    let service = bench.serve(&config);
    let sealed = std::fs::read(&events).unwrap();
    let words = ["was read by tiny-resize 0.1.0", "tiny-scale 0.1.0 runs now", "the model of the exam"];
    bench.exam_command(&["resume", &id]).ends(1, &words);
    assert!(std::fs::read(&events).unwrap() == sealed, "a refused resume writes nothing");
    // The service is not stuck on it: another exam goes on.
    bench.exam_command(&["open", "P018"]).ok();
    bench.exam_command(&["close"]).ok();
    service.signal(Signal::TERM);
    assert_eq!(service.end(), Some(0));

    std::fs::write(&config, good).unwrap();
    let service = bench.serve(&config);
    bench.exam_command(&["resume", &id]).ok();
    bench.exam_command(&["close"]).ok();
    service.signal(Signal::TERM);
    assert_eq!(service.end(), Some(0));
}

#[test]
fn every_line_of_the_stream_and_of_the_record_fits_the_schema() {
    let bench = Bench::new();
    let schema = bench.run(&["schema"]).ok().json();
    let line_fits = jsonschema::validator_for(&schema).unwrap();
    let report_fits = jsonschema::validator_for(&bench.run(&["schema", "--exam"]).ok().json()).unwrap();
    let scripted = "paced = false\nscripted = true\nfingers = [\"R4\"]\nfields = 2\nhold_s = 2.0";
    let config = bench.config(scripted, "[file]\npath = \"lines.jsonl\"");
    bench.run(&["run", "--config", config.to_str().unwrap()]).ok();
    let exam = bench.exam();
    for file in [exam.join("events.jsonl"), bench.path("lines.jsonl")] {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.lines().count() > 20, "{}: {text}", file.display());
        for line in text.lines() {
            let value: Value = serde_json::from_str(line).unwrap();
            if let Err(error) = line_fits.validate(&value) {
                panic!("{}: {error}: {line}", file.display());
            }
        }
    }
    let report: Value = serde_json::from_slice(&std::fs::read(exam.join("exam.json")).unwrap()).unwrap();
    assert!(report_fits.is_valid(&report), "{report}");
    assert!(!report_fits.is_valid(&serde_json::json!({ "schema": 1 })), "the schema accepts anything");
}

#[test]
fn health_and_metrics_tell_what_runs() {
    let bench = Bench::new();
    let port = free_port();
    let config = bench.config(LIVE, "");
    let text = std::fs::read_to_string(&config).unwrap().replace("127.0.0.1:0", &format!("127.0.0.1:{port}"));
    std::fs::write(&config, text).unwrap();
    let service = bench.serve(&config);
    bench.reader().until(|line| is(line, "finding"));
    let health = get(port, "/health");
    assert!(health.starts_with("HTTP/1.1 200"), "{health}");
    assert!(health.contains("CPUExecutionProvider"), "{health}");
    let metrics = get(port, "/metrics");
    for family in ["hairpin_frames", "hairpin_stage", "hairpin_queue_depth"] {
        assert!(metrics.contains(family), "no {family} in {metrics}");
    }
    if !promtool_agrees(metrics.split_once("\r\n\r\n").unwrap().1) {
        println!("skipped: promtool is not installed");
    }
    drop(service);
}

/// Prometheus' own check, which also knows its habits of naming. Where it is not installed the strict reading in
/// src/emit/metrics.rs stands alone, and this returns false.
fn promtool_agrees(metrics: &str) -> bool {
    let mut check = std::process::Command::new("promtool");
    check.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = check.spawn() else { return false };
    child.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "promtool: {said}\n{metrics}");
    true
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(support::TIMEOUT)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_reload_takes_what_can_change_and_refuses_the_rest_by_name() {
    let bench = Bench::new();
    let config = bench.config(LIVE, "");
    let mut service = bench.serve(&config);
    let text = std::fs::read_to_string(&config).unwrap();

    std::fs::write(&config, text.replace("level = \"info\"", "level = \"warn\"")).unwrap();
    service.signal(Signal::HUP);
    service.await_notice("RELOADING=1");
    service.await_notice("READY=1");
    std::fs::write(&config, text.replace("stream.sock", "other.sock")).unwrap();
    service.signal(Signal::HUP);
    service.await_notice("RELOADING=1");
    service.await_notice("READY=1");
    std::fs::write(&config, "[sauce]\n").unwrap();
    service.signal(Signal::HUP);
    service.await_notice("RELOADING=1");
    service.await_notice("READY=1");
    let log = service.log();
    assert!(log.contains("[emit] cannot change while the service runs"), "{log}");
    assert!(log.contains("unknown field `sauce`"), "{log}");
    bench.exam_command(&["status"]).ok();
    service.signal(Signal::TERM);
    assert_eq!(service.end(), Some(0));
}

#[test]
fn a_second_service_on_the_same_sockets_is_refused_and_harms_nothing() {
    let bench = Bench::new();
    let config = bench.config(LIVE, "");
    let service = bench.serve(&config);
    bench.run(&["run", "--config", config.to_str().unwrap()]).ends(69, &["another Hairpin listens on"]);
    bench.exam_command(&["status"]).ok();
    drop(service);
}
