//! Whatever is changed in a record is found, and the first wrong line is named.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hairpin::frame::FrameId;
use hairpin::record::chain::{Link, seal};
use hairpin::record::verify::{Broken, FileFault, State, verify};
use hairpin::record::{LineFault, MAX_LINE, RecordErrorKind};
use hairpin::report::{Ending, Event, Evidence, Line};
use proptest::prelude::*;

use crate::sample::{Sample, closing, copy, field_result, finding, line, opening};

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn flip(path: &Path, bit: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[bit / 8] ^= 1 << (bit % 8);
    fs::write(path, bytes).unwrap();
}

/// A closed record that also went through a crash.
fn full() -> Sample {
    let sample = Sample::new();
    drop(sample.begun());
    let torn = fs::read(sample.events()).unwrap();
    fs::write(sample.events(), &torn[..torn.len() - 3]).unwrap();
    let mut writer = crate::crash::reopened(&sample).0;
    writer.append(&line(150, closing(&sample, Ending::Interrupted))).unwrap();
    sample
}

#[test]
fn a_whole_record_is_verified_in_each_of_its_states() {
    let sample = Sample::new();
    let writer = sample.begun();
    let open = verify(&sample.folder()).unwrap();
    assert_eq!((open.state, open.lines, open.keyframes), (State::Open, writer.lines(), 2));
    drop(writer);
    assert_eq!(verify(&sample.folder()).unwrap().state, State::Interrupted);

    let sample = Sample::new();
    let closed = verify(&sample.closed()).unwrap();
    assert_eq!(closed.state, State::Closed(Ending::Closed));
    assert_eq!((closed.torn.len(), closed.unknown.len()), (0, 0));
    assert!(fs::read_to_string(sample.folder().join("exam.json")).unwrap().contains(&closed.head));

    let crashed = verify(&full().folder()).unwrap();
    assert_eq!((crashed.state, crashed.torn.len()), (State::Closed(Ending::Interrupted), 1));
}

#[test]
fn nobody_else_may_read_a_record() {
    let sample = full();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&sample.folder()), 0o700);
    assert_eq!(mode(&sample.folder().join("keyframes")), 0o700);
    for file in files(&sample.folder()) {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[test]
fn every_flipped_bit_of_the_last_line_and_of_the_report_is_found() {
    let sample = full();
    let text = sample.text();
    let last = text.trim_end().rfind('\n').unwrap() + 1;
    let report = sample.folder().join("exam.json");
    let report_bits = fs::metadata(&report).unwrap().len() as usize * 8;
    let flips = (last * 8..text.len() * 8).map(|bit| (sample.events(), bit));
    for (path, bit) in flips.chain((0..report_bits).map(|bit| (report.clone(), bit))) {
        flip(&path, bit);
        assert!(verify(&sample.folder()).is_err(), "bit {bit} of {}", path.display());
        flip(&path, bit);
    }
    verify(&sample.folder()).unwrap();
}

fn cases() -> ProptestConfig {
    ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() }
}

#[test]
fn any_flipped_bit_of_any_file_is_found() {
    let sample = full();
    let files = files(&sample.folder());
    proptest!(cases(), |(file in any::<prop::sample::Index>(), bit in any::<prop::sample::Index>())| {
        let file = file.get(&files);
        let bit = bit.index(fs::metadata(file).unwrap().len() as usize * 8);
        flip(file, bit);
        prop_assert!(verify(&sample.folder()).is_err(), "{}", file.display());
        flip(file, bit);
    });
    verify(&sample.folder()).unwrap();
}

#[test]
fn a_flipped_bit_of_a_record_without_an_end_names_its_line() {
    let sample = Sample::new();
    drop(sample.begun());
    let whole = sample.text();
    proptest!(cases(), |(bit in any::<prop::sample::Index>())| {
        let bit = bit.index(whole.len() * 8);
        let line = 1 + whole.as_bytes()[..bit / 8].iter().filter(|b| **b == b'\n').count() as u64;
        flip(&sample.events(), bit);
        match verify(&sample.folder()).unwrap_err() {
            Broken::Line { number, .. } => prop_assert_eq!(number, line),
            other => prop_assert!(false, "{}", other),
        }
        flip(&sample.events(), bit);
    });
}

#[test]
fn removed_swapped_doubled_and_added_lines_are_named() {
    let sample = Sample::new();
    sample.closed();
    let whole = sample.text();
    let lines: Vec<&str> = whole.lines().collect();
    let wrong = |lines: &[&str]| {
        fs::write(sample.events(), lines.join("\n") + "\n").unwrap();
        match verify(&sample.folder()) {
            Err(Broken::Line { number, fault: LineFault::Chain | LineFault::Exam }) => number as usize - 1,
            other => panic!("{other:?}"),
        }
    };
    for i in 0..lines.len() - 1 {
        let mut removed = lines.clone();
        removed.remove(i);
        assert_eq!(wrong(&removed), i, "removed");
        let mut swapped = lines.clone();
        swapped.swap(i, i + 1);
        assert_eq!(wrong(&swapped), i, "swapped");
        let mut doubled = lines.clone();
        doubled.insert(i, lines[i]);
        assert_eq!(wrong(&doubled), i + 1, "doubled");
    }
    // Missing lines at the end are seen by the report.
    fs::write(sample.events(), lines[..lines.len() - 1].join("\n") + "\n").unwrap();
    assert!(matches!(verify(&sample.folder()), Err(Broken::Report { .. })));
}

#[test]
fn missing_and_foreign_files_are_told_apart() {
    let sample = full();
    let frame = sample.folder().join("keyframes/R2-1-0.2.jpg");
    fs::write(sample.folder().join("notes.txt"), "x").unwrap();
    fs::write(sample.folder().join("keyframes/R9.jpg"), "x").unwrap();
    assert_eq!(verify(&sample.folder()).unwrap().unknown, ["notes.txt", "keyframes/R9.jpg"]);
    fs::remove_file(&frame).unwrap();
    let broken = verify(&sample.folder()).unwrap_err();
    assert!(matches!(&broken, Broken::Keyframe { line: 7, fault: FileFault::Missing, .. }), "{broken}");
    fs::create_dir(&frame).unwrap();
    assert!(matches!(verify(&sample.folder()), Err(Broken::Unreadable { .. })));
}

#[test]
fn a_missing_report_is_written_again_from_the_record() {
    let sample = full();
    let report = sample.folder().join("exam.json");
    let before = fs::read(&report).unwrap();
    fs::remove_file(&report).unwrap();
    assert_eq!(verify(&sample.folder()).unwrap().state, State::ReportMissing);
    sample.records.reopen(&sample.exam, None).unwrap();
    assert_eq!(fs::read(&report).unwrap(), before);
    assert_eq!(sample.records.reopen(&sample.exam, None).unwrap_err().kind, RecordErrorKind::Closed);
}

/// A record of these lines with a good chain, as a defect or a forger could make it.
fn forged(sample: &Sample, lines: &[Line]) -> Result<(), Broken> {
    let mut link = Link::genesis(&sample.exam);
    let mut text = Vec::new();
    for line in lines {
        let (sealed, next) = seal(&link, serde_json::to_vec(line).unwrap()).unwrap();
        text.extend(sealed);
        link = next;
    }
    fs::create_dir_all(sample.folder()).unwrap();
    fs::write(sample.events(), text).unwrap();
    verify(&sample.folder()).map(drop)
}

#[test]
fn a_good_chain_is_not_enough() {
    let sample = Sample::new();
    let entry = |n, event| Line { n, exam: Some(sample.exam.to_string()), ..line(0, event) };
    let first = entry(1, opening().event);
    let second = entry(2, finding(1, "R2"));
    forged(&sample, &[first.clone(), second.clone()]).unwrap();

    let close = entry(2, closing(&sample, Ending::Closed));
    for (lines, wrong, expected) in [
        (vec![first.clone(), Line { schema: 2, ..second.clone() }], 2, LineFault::Schema(2)),
        (vec![first.clone(), Line { n: 3, ..second.clone() }], 2, LineFault::Number(3)),
        (vec![first.clone(), Line { exam: Some("E2".to_owned()), ..second.clone() }], 2, LineFault::Exam),
        (vec![Line { n: 1, ..second.clone() }], 1, LineFault::Order),
        (vec![first.clone(), Line { n: 2, ..first.clone() }], 2, LineFault::Order),
        (vec![first.clone(), close, Line { n: 3, ..second }], 3, LineFault::Order),
    ] {
        match forged(&sample, &lines).unwrap_err() {
            Broken::Line { number, fault } => assert_eq!((number, fault), (wrong, expected)),
            other => panic!("{other}"),
        }
        assert_eq!(sample.records.reopen(&sample.exam, None).unwrap_err().kind, RecordErrorKind::Damaged);
    }

    let outside = |file: &str, sha256: &str| {
        let evidence = Evidence { frame: FrameId::default(), file: Some(file.to_owned()), sha256: sha256.to_owned() };
        entry(2, Event::Field(field_result("R2", vec![evidence])))
    };
    let again = Line { n: 3, ..outside("keyframes/a.jpg", "1") };
    for (lines, expected) in [
        (vec![first.clone(), outside("../../secret", "0")], FileFault::Outside),
        (vec![first.clone(), outside("/etc/passwd", "0")], FileFault::Outside),
        (vec![first.clone(), outside("keyframes/../exam.json", "0")], FileFault::Outside),
        (vec![first, outside("keyframes/a.jpg", "0"), again], FileFault::Contradicted),
    ] {
        match forged(&sample, &lines).unwrap_err() {
            Broken::Keyframe { fault, .. } => assert_eq!(fault, expected),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_line_without_end_is_not_read_into_memory() {
    let sample = Sample::new();
    drop(sample.begun());
    let endless = sample.text() + &"x".repeat(MAX_LINE + 10);
    fs::write(sample.events(), endless).unwrap();
    assert!(matches!(verify(&sample.folder()), Err(Broken::Line { fault: LineFault::TooLong, .. })));
    drop(crate::crash::reopened(&sample));
    verify(&sample.folder()).unwrap();
}

/// As docs/record.md gives it, so that the words there are true.
fn documented_verifier(folder: &Path) -> Option<Output> {
    let page = include_str!("../../docs/record.md");
    let script = page.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    Command::new("python3").arg("-c").arg(script).arg(folder).output().ok()
}

#[test]
fn the_documented_verifier_agrees() {
    let sample = full();
    let Some(good) = documented_verifier(&sample.folder()) else {
        println!("skipped: the_documented_verifier_agrees: no python3");
        return;
    };
    assert!(good.status.success(), "{}", String::from_utf8_lossy(&good.stderr));
    let head = verify(&sample.folder()).unwrap().head;
    assert!(String::from_utf8_lossy(&good.stdout).contains(&head));
    for file in files(&sample.folder()).iter().filter(|file| !file.to_string_lossy().contains("torn")) {
        for part in [0, 1, 2, 3] {
            let bit = (fs::metadata(file).unwrap().len() as usize * 8 - 1) * part / 3;
            flip(file, bit);
            let bad = documented_verifier(&sample.folder()).unwrap();
            assert!(!bad.status.success(), "bit {bit} of {}", file.display());
            flip(file, bit);
        }
    }
}

#[test]
fn a_copy_in_a_folder_of_another_name_is_as_good() {
    let sample = Sample::new();
    let archive = sample.root.path().join("archive of today");
    copy(&sample.closed(), &archive);
    assert_eq!(verify(&archive).unwrap().exam, sample.exam.as_str());
}
