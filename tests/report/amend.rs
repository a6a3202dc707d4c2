//! Amendments and signatures: added beside the record, chained, found out when changed, and shown on the page.

use std::fs;
use std::path::Path;

use hairpin::export::{Lang, correctable, html::html, page};
use hairpin::measured::{Correction, Limits};
use hairpin::reader::OwnCall;
use hairpin::record::amend::Amendment;
use hairpin::record::amendments::{AmendError, AmendmentFault, Amendments};
use hairpin::record::verify::{Broken, State, verify};
use proptest::prelude::*;

use crate::exam::{Plan, contents, finger};
use crate::support::Bench;

const NAME: &str = "amendments.jsonl";

fn at(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_764_000_000 + second).unwrap()
}

fn comment(text: &str) -> Amendment {
    Amendment::Comment { text: text.parse().unwrap() }
}

/// A comment, a call and a signature.
fn amended(folder: &Path) {
    let mut amendments = Amendments::open(folder).unwrap();
    let by = || "Dr. B. Second".parse().unwrap();
    amendments.add(by(), at(0), comment("seen with the patient's hand cold")).unwrap();
    let call = Amendment::OwnCall { finger: finger("R2"), call: OwnCall::Category2, comment: None };
    amendments.add(by(), at(1), call).unwrap();
    amendments.sign(by(), at(2)).unwrap();
}

#[test]
fn what_was_recorded_stays_and_what_was_added_is_verified_and_shown() {
    let exam = Plan::default().closed();
    let before = contents(&exam.folder);
    amended(&exam.folder);
    let mut after = contents(&exam.folder);
    after.remove(&exam.folder.join(NAME)).unwrap();
    assert_eq!(after, before);

    let verified = verify(&exam.folder).unwrap();
    assert_eq!((verified.amendments, verified.unknown.len()), (3, 0));
    let signed = verified.signed.unwrap();
    assert_eq!((signed.by.as_str(), signed.amended_after), ("Dr. B. Second", false));
    let shown = html(&page(&exam.folder, Lang::En, 1).unwrap());
    for words in [
        "seen with the patient's hand cold",
        "right index finger: category 2 (Dr. B. Second, 2025-11-24 16:00 UTC, added after the close)",
        "right index finger: category 1 (Dr. A. Reader",
        "<td>category 2\nDr. B. Second</td>",
        "Signed by Dr. B. Second on 2025-11-24 16:00 UTC",
    ] {
        assert!(shown.contains(words), "{words:?} is not on the page");
    }
    assert!(!shown.contains("Not signed.") && !shown.contains("Amended after signature"));
}

#[test]
fn what_follows_a_signature_is_told_until_it_is_signed() {
    let exam = Plan::default().closed();
    amended(&exam.folder);
    let mut amendments = Amendments::open(&exam.folder).unwrap();
    amendments.add("X".parse().unwrap(), at(3), comment("later")).unwrap();
    let after = |folder: &Path| verify(folder).unwrap().signed.unwrap().amended_after;
    assert!(after(&exam.folder));
    let shown = html(&page(&exam.folder, Lang::En, 1).unwrap());
    assert!(shown.contains("Amended after signature: what was added after 2025-11-24 16:00 UTC is signed by nobody."));
    amendments.sign("X".parse().unwrap(), at(4)).unwrap();
    assert!(!after(&exam.folder));
}

fn fault(folder: &Path) -> (u64, AmendmentFault) {
    match verify(folder) {
        Err(Broken::Amendment { number, fault }) => (number, fault),
        other => panic!("{other:?}"),
    }
}

#[test]
fn any_flipped_bit_is_found_and_names_its_line() {
    let exam = Plan::default().closed();
    amended(&exam.folder);
    let path = exam.folder.join(NAME);
    let whole = fs::read(&path).unwrap();
    let config = ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(bit in any::<prop::sample::Index>())| {
        let bit = bit.index(whole.len() * 8);
        let line = 1 + whole[..bit / 8].iter().filter(|b| **b == b'\n').count() as u64;
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &bytes).unwrap();
        prop_assert_eq!(fault(&exam.folder).0, line);
    });
}

#[test]
fn removed_swapped_foreign_and_forged_lines_are_found() {
    let exam = Plan::default().closed();
    amended(&exam.folder);
    let path = exam.folder.join(NAME);
    let whole = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    for (kept, number) in [(vec![1, 2], 1), (vec![0, 2], 2), (vec![1, 0, 2], 1), (vec![0, 0, 1, 2], 2)] {
        let text: String = kept.iter().map(|i| format!("{}\n", lines[*i])).collect();
        fs::write(&path, text).unwrap();
        assert_eq!(fault(&exam.folder), (number, AmendmentFault::Chain), "{kept:?}");
        // Lines that can be read were on the disk: no crash has left them, and they are not put aside.
        assert!(matches!(Amendments::open(&exam.folder), Err(AmendError::Broken(Broken::Amendment { .. }))));
    }
    // The amendments of one exam do not stand under another.
    let other = Plan { dated: false, ..Plan::default() }.closed();
    fs::write(other.folder.join(NAME), &whole).unwrap();
    assert_eq!(fault(&other.folder), (1, AmendmentFault::Chain));
    // Nor do they stand alone.
    fs::write(&path, &whole).unwrap();
    fs::remove_file(exam.folder.join("exam.json")).unwrap();
    assert!(matches!(verify(&exam.folder), Err(Broken::AmendedWithoutReport)));
}

#[test]
fn an_amendment_cut_at_any_byte_is_put_aside_and_loses_none_before_it() {
    let exam = Plan::default().closed();
    amended(&exam.folder);
    let path = exam.folder.join(NAME);
    let whole = fs::read(&path).unwrap();
    let last = whole[..whole.len() - 1].iter().rposition(|b| *b == b'\n').unwrap() + 1;
    for cut in [last + 1, (last + whole.len()) / 2, whole.len() - 1] {
        fs::write(&path, &whole[..cut]).unwrap();
        assert_eq!(fault(&exam.folder), (3, AmendmentFault::Torn), "cut at {cut}");
        let refused = page(&exam.folder, Lang::En, 1).unwrap_err().to_string();
        assert!(refused.contains("hairpin amend"), "{refused}");
        let mut amendments = Amendments::open(&exam.folder).unwrap();
        assert_eq!(amendments.lines().len(), 2);
        amendments.add("X".parse().unwrap(), at(9), comment("again")).unwrap();
        drop(amendments);
        let verified = verify(&exam.folder).unwrap();
        assert_eq!(verified.amendments, 3);
        let [piece] = &verified.torn[..] else { panic!("{:?}", verified.torn) };
        assert_eq!(fs::read(exam.folder.join(piece)).unwrap(), whole[last..cut]);
        fs::remove_file(exam.folder.join(piece)).unwrap();
    }
    // What a power cut leaves of a block that never reached the disk.
    fs::write(&path, [&whole[..last], &[0; 300]].concat()).unwrap();
    assert_eq!(Amendments::open(&exam.folder).unwrap().lines().len(), 2);
}

#[test]
fn an_exam_that_is_not_closed_is_not_amended() {
    let mut exam = Plan::default().open();
    for (state, words) in [(State::Open, "hairpin exam close"), (State::Interrupted, "hairpin exam resume")] {
        let refused = Amendments::open(&exam.folder).unwrap_err();
        assert!(matches!(&refused, AmendError::NotClosed { state: found, .. } if *found == state), "{refused}");
        assert!(refused.to_string().contains(words), "{refused}");
        exam.writer = None;
    }
    assert!(!exam.folder.join(NAME).exists());
}

#[test]
fn a_call_of_a_finger_that_nobody_examined_is_refused() {
    let exam = Plan::default().closed();
    let mut amendments = Amendments::open(&exam.folder).unwrap();
    let call = Amendment::OwnCall { finger: finger("L2"), call: OwnCall::Category1, comment: None };
    let refused = amendments.add("X".parse().unwrap(), at(0), call).unwrap_err();
    assert!(matches!(refused, AmendError::NotExamined(_)), "{refused}");
    let forged = Amendment::Signature { signs: "0".repeat(64) };
    amendments.add("X".parse().unwrap(), at(0), forged).unwrap_err();
    assert!(!exam.folder.join(NAME).exists(), "a refused amendment left a file");
}

#[test]
fn two_at_once_do_not_write_over_each_other() {
    let exam = Plan::default().closed();
    amended(&exam.folder);
    let first = Amendments::open(&exam.folder).unwrap();
    let second = Amendments::open(&exam.folder).unwrap_err();
    assert!(second.to_string().contains("stop the other program"), "{second}");
    drop(first);
    Amendments::open(&exam.folder).unwrap();
}

#[test]
fn a_loop_that_the_reader_corrects_is_worked_out_anew_beside_the_measure() {
    let exam = Plan::default().closed();
    let bench = Bench::new();
    let folder = exam.folder.to_str().unwrap();
    let amend = |words: &[&str]| bench.run(&[&["amend", folder, "--by", "Dr. B", "loop", "R2", "1"], words].concat());
    let told = amend(&["reclassify", "81,43", "ectatic", "--width-um", "44"]).ok().out;
    assert!(told.contains("measured:  4 loops, 6.2 a mm"), "{told}");
    assert!(told.contains("corrected: 4 loops, 6.2 a mm (4.7 to 7.8), giants 0, abnormal 1"), "{told}");
    let told = amend(&["remove", "95,40"]).ok().out;
    assert!(told.contains("corrected: 3 loops, 4.7 a mm"), "both corrections hold: {told}");
    amend(&["add", "110,40", "normal"]).ok();
    let page = html(&page(&exam.folder, Lang::En, 1).unwrap());
    assert!(page.contains("field 1 as corrected by Dr. B (3 loops)"), "{page}");
    assert!(page.contains("with the corrections: 6.2 loops a mm on average"), "{page}");
    assert!(page.contains("rule 2: a giant"), "what was measured is still there: {page}");
    bench.run(&["verify", folder]).ok();

    amend(&["remove", "20,400"]).ends(78, &["no counted loop within 50 um of 20,400"]);
    amend(&["add", "20,40", "normal"]).ends(78, &["counted already at 20,40"]);
    amend(&["reclassify", "20,40", "giant", "--width-um", "12"]).ends(78, &["a width of 12 um is none of a"]);
    amend(&["add", "here", "normal"]).ends(2, &["410,220"]);
    amend(&["add", "64,40", "bushy"]).ends(2, &["normal, ectatic, giant"]);
    bench.run(&["amend", folder, "--by", "X", "loop", "R4", "1", "remove", "20,40"]).ends(78, &["nothing to correct"]);
    bench.run(&["amend", folder, "--by", "X", "loop", "R2", "7", "remove", "20,40"]).ends(78, &["nothing to correct"]);
    assert_eq!(fs::read_to_string(exam.folder.join(NAME)).unwrap().lines().count(), 3, "what was refused is not there");
}

#[test]
fn a_correction_is_worked_out_with_the_limits_that_the_exam_was_measured_with() {
    // The loops on record have a score of 0.9: here the network was not sure of any of them.
    let limits = Some(Limits { sure_score: 0.95, ..Limits::default() });
    let exam = Plan { limits, ..Plan::default() }.closed();
    let words = ["amend", exam.folder.to_str().unwrap(), "--by", "Dr. B", "loop", "R2", "1"];
    let told =
        Bench::new().run(&[&words[..], &["reclassify", "81,43", "ectatic", "--width-um", "44"]].concat()).ok().out;
    assert!(told.contains("corrected: 4 loops, 6.2 a mm (0.0 to 7.8)"), "{told}");
}

#[test]
fn a_correction_on_record_that_cannot_be_applied_is_told() {
    let exam = Plan::default().closed();
    let mut amendments = Amendments::open(&exam.folder).unwrap();
    let found = correctable(&exam.folder, finger("R2"), 1).unwrap();
    let correction = Correction::Removed { apex: [20.0, 400.0] };
    let amendment = Amendment::Loop { finger: finger("R2"), field: 1, frame: found.frame, correction };
    amendments.add("Dr. B".parse().unwrap(), at(0), amendment).unwrap();
    let page = html(&page(&exam.folder, Lang::En, 1).unwrap());
    assert!(page.contains("field 1: the corrections on record cannot be applied: there is no counted loop"), "{page}");
}

#[test]
fn scores_are_of_closed_exams_and_say_what_cannot_be_computed() {
    let exam = Plan::default().closed();
    let bench = Bench::new();
    let folder = exam.folder.to_str().unwrap();
    let told = bench.run(&["scores", folder]).ok().out;
    assert!(told.contains("CSURI, D x M / N^2") && told.contains("for research alone"), "{told}");
    let json = bench.run(&["scores", folder, "--json"]).ok().json();
    assert_eq!(json["images"], 2, "{json}");
    assert!(json["semi_quantitative"]["capillary_loss"]["not_computable"]["why"].is_string(), "{json}");
    bench.run(&["scores", Plan::default().open().folder.to_str().unwrap()]).ends(78, &["is not closed"]);
}

#[test]
fn the_documented_verifier_checks_amendments_too() {
    let document = include_str!("../../docs/record.md");
    let script = document.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    let exam = Plan::default().closed();
    amended(&exam.folder);
    let agrees = || {
        let ran = std::process::Command::new("python3").arg("-c").arg(script).arg(&exam.folder).output().ok()?;
        Some((ran.status.success(), String::from_utf8_lossy(&ran.stderr).into_owned()))
    };
    let Some((whole, told)) = agrees() else {
        println!("skipped: the_documented_verifier_checks_amendments_too: no python3");
        return;
    };
    assert!(whole, "{told}");
    let path = exam.folder.join(NAME);
    let bytes = fs::read(&path).unwrap();
    for part in [0, 1, 2, 3, 4] {
        let bit = (bytes.len() * 8 - 1) * part / 4;
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &flipped).unwrap();
        assert_eq!(agrees().map(|(whole, _)| whole), Some(false), "bit {bit}");
    }
}

#[test]
fn the_commands_amend_sign_and_verify() {
    let exam = Plan::default().closed();
    let bench = Bench::new();
    let folder = exam.folder.to_str().unwrap();
    bench.run(&["amend", folder, "--by", "Dr. B", "comment", "clear pictures"]).ok();
    bench.run(&["amend", folder, "--by", "Dr. B", "call", "R3", "not_classifiable", "--comment", "blurred"]).ok();
    let signed = bench.run(&["sign", folder, "--by", "Dr. B"]).ok();
    assert!(signed.out.contains("signed; 3 amendments, head "), "{}", signed.out);
    let verified = bench.run(&["verify", folder]).ok().out;
    assert!(verified.contains("3 amendments, head ") && verified.contains("signed by Dr. B on "), "{verified}");
    let json = bench.run(&["verify", folder, "--json"]).ok().json();
    assert_eq!((&json["amendments"], &json["signed"]["amended_after"]), (&3.into(), &false.into()));

    let schema = bench.run(&["schema", "--amendments"]).ok().json();
    let fits = jsonschema::validator_for(&schema).unwrap();
    let text = fs::read_to_string(exam.folder.join(NAME)).unwrap();
    for line in text.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(fits.is_valid(&value), "{:?}: {line}", fits.validate(&value).err().map(|e| e.to_string()));
    }
    assert_eq!(text.lines().count(), 3);

    bench.run(&["amend", folder, "--by", "", "comment", "x"]).ends(2, &["it is empty"]);
    bench.run(&["amend", folder, "--by", "X", "comment", "a\nb"]).ends(2, &["control character"]);
    bench.run(&["amend", folder, "--by", "X", "comment", &"x".repeat(2001)]).ends(2, &["more than 2000 characters"]);
    bench.run(&["amend", folder, "--by", "X", "call", "R3", "active"]).ends(2, &["category_1, category_2"]);
    bench.run(&["amend", folder, "--by", "X", "call", "L2", "category_1"]).ends(78, &["left index finger"]);
    fs::write(exam.folder.join(NAME), text.replace("clear", "cleax")).unwrap();
    bench.run(&["verify", folder]).ends(65, &["line 1 of amendments.jsonl is wrong"]);
    bench.run(&["sign", folder, "--by", "X"]).ends(65, &["amendments.jsonl"]);
}
