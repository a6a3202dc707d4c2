//! A record whose disk is full, or whose folder is gone.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use hairpin::emit::jsonl::JsonlFile;
use hairpin::record::verify::{State, verify};
use hairpin::record::{ExamId, RecordErrorKind, Records, Writer};
use hairpin::report::{Ending, Event, ExamEvent, Line};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::sample::{Sample, closing, finding, frame, line, opening};

const ROOT: &str = "HAIRPIN_TEST_FULL_ROOT";

/// Runs one test of this program again, by a shell that first does `before`.
fn child(before: &str, test: &str, root: &Path) -> Output {
    let script = format!("{before}; exec \"$@\"");
    let program = std::env::current_exe().unwrap();
    let args = ["--exact", test, "--nocapture"];
    Command::new("sh").args(["-c", &script, "sh"]).arg(program).args(args).env(ROOT, root).output().unwrap()
}

fn passed(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("went on"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

/// Writes until there is no room, checks that nothing is harmed, makes room and goes on to the close.
fn fill_and_go_on(writer: &mut Writer, make_room: impl FnOnce()) {
    let events = writer.folder().join("events.jsonl");
    let mut seq = 0;
    let refused = loop {
        let before = fs::read(&events).unwrap();
        if let Err(refused) = writer.append(&line(seq, finding(seq, "R2"))) {
            assert_eq!(fs::read(&events).unwrap(), before, "a failed line leaves nothing behind");
            break refused;
        }
        seq += 1;
    };
    assert_eq!(refused.kind, RecordErrorKind::Full, "{refused}");
    assert!(refused.fault().action.contains("free space"), "{refused}");
    let lines = writer.lines();
    assert_eq!(lines, seq + 1);
    for at_ms in [seq + 1, seq + 2] {
        writer.append(&line(at_ms, finding(at_ms, "R2"))).unwrap_err();
    }
    assert_eq!((writer.lines(), writer.unrecorded()), (lines, 3));
    let kept = writer.keyframe("R2".parse().unwrap(), 1, &frame(1));
    assert!(kept.is_ok() || kept.unwrap_err().kind == RecordErrorKind::Full);
    assert_eq!(verify(writer.folder()).unwrap().lines, lines);

    make_room();
    let told = writer.append(&line(seq + 9, finding(seq, "R2"))).unwrap().unwrap();
    assert!(told.cleared && told.message.starts_with("3 events were not recorded"), "{}", told.message);
    assert_eq!((writer.lines(), writer.unrecorded()), (lines + 2, 0));
    let text = fs::read_to_string(&events).unwrap();
    let fault: Line = serde_json::from_str(text.lines().nth(lines as usize).unwrap()).unwrap();
    assert_eq!(fault.event, Event::Fault(told));
    assert_eq!(verify(writer.folder()).unwrap().state, State::Open);
}

fn begin() -> Option<Writer> {
    let root = std::env::var(ROOT).ok()?;
    let exam: ExamId = crate::sample::EXAM.parse().unwrap();
    Some(Records::at(Path::new(&root)).unwrap().create(&exam, &opening()).unwrap())
}

/// The other side of `a_limit_is_met_and_lifted`; nothing by itself.
#[test]
fn child_under_a_limit() {
    let Some(mut writer) = begin() else { return };
    let before = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: Some(10_000), ..before }).unwrap();
    fill_and_go_on(&mut writer, || setrlimit(Resource::Fsize, before).unwrap());
    println!("went on");
}

/// The limit on the size of files makes the kernel cut a write short and refuse the next, as a full disk does,
/// and needs no rights.
#[test]
fn a_limit_is_met_and_lifted() {
    let sample = Sample::new();
    passed(&child("trap '' XFSZ", "room::child_under_a_limit", sample.root.path()));
}

/// The other side of `a_full_disk_is_met_and_emptied`; nothing by itself.
#[test]
fn child_on_a_small_disk() {
    let Ok(root) = std::env::var(ROOT) else { return };
    let ballast = Path::new(&root).join("ballast");
    fs::write(&ballast, vec![0; 40 * 1024]).unwrap();
    let mut writer = begin().unwrap();
    fill_and_go_on(&mut writer, || fs::remove_file(&ballast).unwrap());
    println!("went on");
}

#[test]
fn a_full_disk_is_met_and_emptied() {
    let sample = Sample::new();
    let root = sample.root.path();
    let small_disk = "mount -t tmpfs -o size=64k none \"$HAIRPIN_TEST_FULL_ROOT\" || exit 77";
    let script = format!("unshare -rm sh -c '{small_disk}; exec \"$@\"' sh \"$@\" || exit $?; exit 0");
    let output = child(&script, "room::child_on_a_small_disk", root);
    if !output.status.success() && !String::from_utf8_lossy(&output.stdout).contains("running") {
        println!("skipped: a_full_disk_is_met_and_emptied: no right to mount a small disk");
        return;
    }
    passed(&output);
}

/// The other side of `a_full_disk_fails_the_opening`; nothing by itself.
#[test]
fn child_without_any_room() {
    let Ok(root) = std::env::var(ROOT) else { return };
    let records = Records::at(Path::new(&root)).unwrap();
    setrlimit(Resource::Fsize, Rlimit { current: Some(100), ..getrlimit(Resource::Fsize) }).unwrap();
    let refused = records.create(&crate::sample::EXAM.parse().unwrap(), &opening()).unwrap_err();
    assert_eq!(refused.kind, RecordErrorKind::Full, "{refused}");
    assert_eq!(fs::read_dir(&root).unwrap().count(), 0, "nothing is left behind");
    println!("went on");
}

#[test]
fn a_full_disk_fails_the_opening() {
    let sample = Sample::new();
    passed(&child("trap '' XFSZ", "room::child_without_any_room", sample.root.path()));
}

/// The other side of `the_close_is_tried_again`; nothing by itself.
#[test]
fn child_that_closes_without_room() {
    let Some(mut writer) = begin() else { return };
    let sample = Sample::new();
    let close = line(5, closing(&sample, Ending::Closed));
    let before = getrlimit(Resource::Fsize);
    let room = |bytes| setrlimit(Resource::Fsize, Rlimit { current: Some(bytes), ..before }).unwrap();
    let length = fs::metadata(writer.folder().join("events.jsonl")).unwrap().len();
    room(length + 10);
    assert_eq!(writer.append(&close).unwrap_err().kind, RecordErrorKind::Full);
    assert_eq!((writer.lines(), writer.unrecorded()), (1, 0));
    setrlimit(Resource::Fsize, before).unwrap();
    writer.append(&close).unwrap();
    assert_eq!(writer.append(&close).unwrap_err().kind, RecordErrorKind::Closed);
    assert_eq!(verify(writer.folder()).unwrap().lines, 2);
    println!("went on");
}

#[test]
fn the_close_is_tried_again() {
    let sample = Sample::new();
    passed(&child("trap '' XFSZ", "room::child_that_closes_without_room", sample.root.path()));
}

/// The other side of `a_full_output_file_tells_what_it_missed`; nothing by itself.
#[test]
fn child_with_a_full_output_file() {
    let Ok(root) = std::env::var(ROOT) else { return };
    let path = Path::new(&root).join("out.jsonl");
    let mut out = JsonlFile::open(&path).unwrap();
    out.write(&opening()).unwrap();
    let whole = fs::read(&path).unwrap();
    let before = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: Some(whole.len() as u64 + 10), ..before }).unwrap();
    out.write(&opening()).unwrap_err();
    out.write(&opening()).unwrap_err();
    assert_eq!(fs::read(&path).unwrap(), whole);
    setrlimit(Resource::Fsize, before).unwrap();
    out.write(&opening()).unwrap();
    out.write(&opening()).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let events: Vec<Event> = text.lines().map(|l| serde_json::from_str::<Line>(l).unwrap().event).collect();
    assert_eq!(events[1], Event::Missed { lines: 2 });
    assert!(events[2..].iter().all(|event| matches!(event, Event::Exam(ExamEvent::Opened { .. }))), "told once");
    assert_eq!(events.len(), 4);
    println!("went on");
}

#[test]
fn a_full_output_file_tells_what_it_missed() {
    let sample = Sample::new();
    passed(&child("trap '' XFSZ", "room::child_with_a_full_output_file", sample.root.path()));
}

#[test]
fn a_removed_folder_is_told_at_each_line() {
    let sample = Sample::new();
    let mut writer = sample.begun();
    fs::remove_dir_all(sample.folder()).unwrap();
    for at_ms in [500, 510] {
        let refused = writer.append(&line(at_ms, finding(1, "R3"))).unwrap_err();
        assert_eq!(refused.kind, RecordErrorKind::Gone, "{refused}");
    }
    assert_eq!(writer.keyframe("R3".parse().unwrap(), 1, &frame(1)).unwrap_err().kind, RecordErrorKind::Gone);
    assert_eq!(writer.unrecorded(), 2);
}

#[test]
fn what_could_not_be_read_again_is_not_written() {
    let sample = Sample::new();
    let mut writer = sample.begun();
    let before = sample.text();
    let Event::Finding(mut bad) = finding(1, "R3") else { unreachable!() };
    bad.probs = vec![f32::NAN, 1.0];
    assert_eq!(writer.append(&line(500, Event::Finding(bad))).unwrap_err().kind, RecordErrorKind::Invalid);
    assert_eq!(sample.text(), before);
    writer.append(&line(510, finding(1, "R3"))).unwrap();
    assert!(sample.text().contains("1 events were not recorded"));
}
