//! A service that is killed at any moment loses the line it was writing, and no other.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use hairpin::exam::journal::Recovered;
use hairpin::record::verify::{State, verify};
use hairpin::record::{ExamId, RecordErrorKind, Records, Reopened, Writer};
use hairpin::report::{Ending, Event, ExamEvent, Line};

use crate::sample::{Sample, closing, finding, line, opening, provenance};

pub fn reopened(sample: &Sample) -> (Writer, Recovered) {
    match sample.records.reopen(&sample.exam, None).unwrap() {
        Reopened::Interrupted { writer, recovered } => (*writer, *recovered),
        other => panic!("{other:?}"),
    }
}

fn events(sample: &Sample) -> Vec<Event> {
    sample.text().lines().map(|l| serde_json::from_str::<Line>(l).unwrap().event).collect()
}

#[test]
fn a_record_cut_at_any_byte_of_its_last_two_lines_goes_on() {
    let sample = Sample::new();
    drop(sample.begun());
    let whole = fs::read(sample.events()).unwrap();
    let ends: Vec<usize> = whole.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(i, _)| i + 1).collect();
    for cut in ends[ends.len() - 3]..whole.len() {
        fs::write(sample.events(), &whole[..cut]).unwrap();
        let kept = ends.iter().filter(|end| **end <= cut).count();
        let torn = cut > ends[kept - 1];

        let (mut writer, recovered) = reopened(&sample);
        // The mark of the interruption, and the fault that names the torn line.
        assert_eq!(writer.lines(), kept as u64 + 1 + u64::from(torn), "cut at {cut}");
        assert_eq!(recovered.lines, writer.lines());
        assert!(fs::read(sample.events()).unwrap().starts_with(&whole[..ends[kept - 1]]), "cut at {cut}");
        writer.append(&line(200, closing(&sample, Ending::Interrupted))).unwrap();
        let verified = verify(&sample.folder()).unwrap();
        assert_eq!(verified.state, State::Closed(Ending::Interrupted));

        if torn {
            let [piece] = &verified.torn[..] else { panic!("{:?}", verified.torn) };
            assert_eq!(fs::read(sample.folder().join(piece)).unwrap(), whole[ends[kept - 1]..cut]);
            assert!(sample.text().contains(piece.as_str()), "the fault names the piece");
            fs::remove_file(sample.folder().join(piece)).unwrap();
        }
        fs::remove_file(sample.folder().join("exam.json")).unwrap();
    }
}

#[test]
fn an_exam_is_marked_as_interrupted_once() {
    let sample = Sample::new();
    drop(sample.begun());
    let lines = reopened(&sample).0.lines();
    let (mut writer, recovered) = reopened(&sample);
    assert_eq!(writer.lines(), lines);
    assert!(recovered.interrupted);
    let resumed = ExamEvent::Resumed { provenance: Box::new(provenance()) };
    writer.append(&line(300, Event::Exam(resumed))).unwrap();
    drop(writer);
    assert_eq!(reopened(&sample).0.lines(), lines + 2, "resumed, and interrupted again");
    assert_eq!(events(&sample).last(), Some(&Event::Exam(ExamEvent::Interrupted)));
}

#[test]
fn what_a_power_cut_leaves_behind_is_put_aside() {
    let sample = Sample::new();
    drop(sample.begun());
    let whole = sample.text();
    let findings = whole.lines().last().unwrap();
    let left = format!("{whole}{}\n{findings}\n", "\0".repeat(4096));
    fs::write(sample.events(), left).unwrap();
    drop(reopened(&sample));
    assert!(sample.text().starts_with(&whole));
    assert_eq!(verify(&sample.folder()).unwrap().torn.len(), 1);
}

#[test]
fn damage_before_a_synced_line_is_no_crash_and_is_left_alone() {
    let sample = Sample::new();
    drop(sample.begun());
    let mut bytes = fs::read(sample.events()).unwrap();
    bytes[10] ^= 1;
    fs::write(sample.events(), &bytes).unwrap();
    let refused = sample.records.reopen(&sample.exam, None).unwrap_err();
    assert_eq!(refused.kind, RecordErrorKind::Damaged);
    let text = sample.text();
    let second = text.find('\n').unwrap() + 20;
    bytes[10] ^= 1;
    bytes[second] ^= 1;
    fs::write(sample.events(), &bytes).unwrap();
    let refused = sample.records.reopen(&sample.exam, None).unwrap_err();
    assert!(refused.to_string().contains("line 2 of "), "{refused}");
    assert_eq!(fs::read(sample.events()).unwrap(), bytes);
}

#[test]
fn an_exam_that_is_not_there_is_named() {
    let refused = Sample::new().records.reopen(&"E404-1".parse().unwrap(), None).unwrap_err();
    assert!(refused.to_string().contains("there is no exam E404-1 in "), "{refused}");
    assert_eq!(refused.kind, RecordErrorKind::Gone);
}

#[test]
fn one_exam_has_one_writer_and_one_folder() {
    let sample = Sample::new();
    let writer = sample.begun();
    assert_eq!(sample.records.reopen(&sample.exam, None).unwrap_err().kind, RecordErrorKind::Busy);
    assert!(sample.records.interrupted().unwrap().is_empty());
    assert_eq!(sample.records.create(&sample.exam, &opening()).unwrap_err().kind, RecordErrorKind::Exists);
    drop(writer);
    let [found] = &sample.records.interrupted().unwrap()[..] else { panic!("one exam is interrupted") };
    assert_eq!((found.exam.clone(), found.subject.as_deref()), (sample.exam.clone(), Some("P017")));
    assert_eq!(sample.records.create(&sample.exam, &opening()).unwrap_err().kind, RecordErrorKind::Exists);
}

const ROOT: &str = "HAIRPIN_TEST_RECORD_ROOT";

/// The other side of `a_killed_service_loses_no_line_it_had_written`; nothing by itself.
#[test]
fn child_that_writes_until_it_is_killed() {
    let Ok(root) = std::env::var(ROOT) else { return };
    let exam: ExamId = crate::sample::EXAM.parse().unwrap();
    let mut writer = Records::at(Path::new(&root)).unwrap().create(&exam, &opening()).unwrap();
    for seq in 0.. {
        writer.append(&line(seq, finding(seq, "R2"))).unwrap();
        println!("wrote {}", writer.lines());
    }
}

#[test]
fn a_killed_service_loses_no_line_it_had_written() {
    for least in [2, 17, 90, 400, 1500] {
        let sample = Sample::new();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::child_that_writes_until_it_is_killed", "--nocapture"])
            .env(ROOT, sample.root.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut wrote = said.filter_map(|l| l.strip_prefix("wrote ")?.parse::<u64>().ok());
        let mut last = wrote.find(|n| *n >= least).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        last = wrote.last().unwrap_or(last);

        let (mut writer, recovered) = reopened(&sample);
        assert!(writer.lines() > last, "{} lines after {last} were written", writer.lines());
        assert_eq!(recovered.subject, "P017");
        writer.append(&line(0, closing(&sample, Ending::Interrupted))).unwrap();
        assert_eq!(verify(&sample.folder()).unwrap().state, State::Closed(Ending::Interrupted));
    }
}
