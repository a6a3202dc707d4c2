//! An exam to record: two fingers, three kept frames.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hairpin::finger::Finger;
use hairpin::frame::{Colour, Format, FrameId, RawFrame, Size};
use hairpin::outcome::{Quality, RejectReason, Tally};
use hairpin::record::{ExamId, Records, Writer};
use hairpin::report::{
    Confidence, Decision, Ending, Event, Evidence, ExamEvent, ExamReport, FieldBegan, FieldResult, FieldVerdict,
    Finding, FingerResult, Line, ModelWords, NOTICE, Pooled, Provenance, RuntimeWords, SCHEMA, SourceWords, Summary,
};
use hairpin::time::Stamp;
use tempfile::TempDir;

pub const EXAM: &str = "20261123T103000Z-P017";

pub struct Sample {
    /// Removed when dropped.
    pub root: TempDir,
    pub records: Records,
    pub exam: ExamId,
}

impl Sample {
    pub fn new() -> Self {
        // In memory where that can be had: these tests put thousands of lines on the disk.
        let root = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let records = Records::at(root.path()).unwrap();
        Self { root, records, exam: EXAM.parse().unwrap() }
    }

    pub fn folder(&self) -> PathBuf {
        self.records.folder(&self.exam)
    }

    pub fn events(&self) -> PathBuf {
        self.folder().join("events.jsonl")
    }

    /// An exam with one finger done and the second begun.
    pub fn begun(&self) -> Writer {
        let mut writer = self.records.create(&self.exam, &opening()).unwrap();
        writer.append(&line(10, Event::Exam(ExamEvent::FingerBegan { finger: finger("R2") }))).unwrap();
        let evidence = one_field(&mut writer, "R2", 20);
        writer.append(&line(90, Event::Finger(finger_result("R2", evidence)))).unwrap();
        writer.append(&line(100, Event::Exam(ExamEvent::FingerBegan { finger: finger("R3") }))).unwrap();
        writer.append(&line(130, finding(9, "R3"))).unwrap();
        writer
    }

    /// The same, gone on with to the close.
    pub fn closed(&self) -> PathBuf {
        let mut writer = self.begun();
        writer.append(&line(140, closing(self, Ending::Closed))).unwrap();
        self.folder()
    }

    pub fn text(&self) -> String {
        fs::read_to_string(self.events()).unwrap()
    }
}

pub fn closing(sample: &Sample, ending: Ending) -> Event {
    let evidence = vec![Evidence { frame: FrameId { run: 0, seq: 1 }, file: None, sha256: "0".repeat(64) }];
    let report = report(sample.exam.as_str(), ending, vec![finger_result("R2", evidence)]);
    Event::Exam(ExamEvent::Closed { report: Box::new(report) })
}

pub fn one_field(writer: &mut Writer, name: &str, at_ms: u64) -> Vec<Evidence> {
    let began = ExamEvent::FieldBegan { finger: finger(name), number: 1, because: FieldBegan::Finger };
    writer.append(&line(at_ms, Event::Exam(began))).unwrap();
    for seq in 1..4 {
        writer.append(&line(at_ms + seq, finding(seq, name))).unwrap();
    }
    let evidence: Vec<Evidence> = (1..3).map(|seq| writer.keyframe(finger(name), 1, &frame(seq)).unwrap()).collect();
    writer.append(&line(at_ms + 9, Event::Field(field_result(name, evidence.clone())))).unwrap();
    evidence
}

pub fn line(at_ms: u64, event: Event) -> Line {
    let date = Some("2026-11-23T10:30:00.25Z".parse().unwrap());
    // The number and the exam are the record's own: these must not be what is written.
    Line { schema: SCHEMA, n: 4711, at_ms, date, exam: None, notice: NOTICE.to_owned(), event }
}

pub fn opening() -> Line {
    line(0, Event::Exam(ExamEvent::Opened { subject: "P017".to_owned(), provenance: Box::new(provenance()) }))
}

pub fn finger(name: &str) -> Finger {
    name.parse().unwrap()
}

pub fn frame(seq: u64) -> RawFrame {
    let bytes: Vec<u8> = (0..200_u64).map(|i| (i * 31 + seq * 7) as u8).collect();
    RawFrame {
        id: FrameId { run: 0, seq },
        at: Stamp::from_ms(seq),
        format: Format::Mjpeg,
        size: Size::new(64, 48),
        colour: Colour::Bt601Full,
        bytes: Arc::from(bytes),
        flagged: false,
    }
}

pub fn finding(seq: u64, name: &str) -> Event {
    Event::Finding(Finding {
        frame: FrameId { run: 0, seq },
        finger: Some(finger(name)),
        field: Some(1),
        logits: vec![-0.1, 1.7e-7],
        probs: vec![0.3, 0.7],
        out_of_cohort: false,
        quality: Quality { motion: Some(1.5), weight: 0.9, ..Quality::default() },
        latency: None,
    })
}

pub fn tally() -> Tally {
    Tally { produced: 5, scored: 3, rejected: BTreeMap::from([(RejectReason::Defocus, 2)]), ..Tally::default() }
}

pub fn field_result(name: &str, evidence: Vec<Evidence>) -> FieldResult {
    FieldResult {
        finger: finger(name),
        number: 1,
        place: 1,
        reacquired: false,
        from_ms: 20,
        to_ms: 29,
        frames: tally(),
        distinct: 2,
        pooled: Some(Pooled { logits: vec![-0.1, 0.2], probs: vec![0.4, 0.6], spread: Some(0.01) }),
        verdict: FieldVerdict::Positive,
        rule: None,
        measured: None,
        second: Vec::new(),
        evidence,
    }
}

pub fn finger_result(name: &str, evidence: Vec<Evidence>) -> FingerResult {
    FingerResult {
        finger: finger(name),
        decision: Decision::Called {
            label: "category 2".to_owned(),
            scheme: "fast-track".to_owned(),
            confidence: Confidence::Probability(0.6),
        },
        fields_positive: 1,
        fields_negative: 0,
        fields_not_classifiable: 0,
        frames: tally(),
        measured: None,
        second: Vec::new(),
        evidence,
    }
}

pub fn provenance() -> Provenance {
    Provenance {
        software: "hairpin 0.1.0".to_owned(),
        config_sha256: "c".repeat(64),
        model: ModelWords {
            name: "demo".to_owned(),
            version: "1".to_owned(),
            sha256: "d".repeat(64),
            scheme: "fast-track".to_owned(),
            labels: vec!["category 1".to_owned(), "category 2".to_owned()],
            cohort: "synthetic".to_owned(),
            validated_on_patients: false,
        },
        locator: None,
        limits: None,
        second: Vec::new(),
        runtime: RuntimeWords {
            library: "libonnxruntime.so".to_owned(),
            version: "1.32.0".to_owned(),
            sha256: "e".repeat(64),
            providers_asked: vec!["cpu".to_owned()],
            provider_running: "cpu".to_owned(),
            threads: 1,
        },
        source: SourceWords {
            kind: "simulated".to_owned(),
            name: "seed 1".to_owned(),
            format: Some(Format::Mjpeg),
            size: Some(Size::new(64, 48)),
            frames_per_s: Some(30.0),
            measured_per_s: None,
            scale_expired: None,
            scale: None,
            device: None,
        },
    }
}

fn report(exam: &str, ending: Ending, fingers: Vec<FingerResult>) -> ExamReport {
    ExamReport {
        schema: SCHEMA,
        notice: NOTICE.to_owned(),
        exam: exam.to_owned(),
        subject: "P017".to_owned(),
        from_ms: 0,
        to_ms: 140,
        opened: None,
        closed: None,
        ending,
        fingers,
        measured: None,
        skipped: BTreeMap::from([(finger("L5"), "dressing".to_owned())]),
        summary: Summary {
            counts: "category 2 on 1 of 1 evaluable fingers; 0 not classifiable; 7 not examined".to_owned(),
            positive: 1,
            evaluable: 1,
            not_classifiable: 0,
            not_examined: 7,
            any_finger: Some(true),
            two_or_more_fingers: Some(false),
            discordant: false,
            incomplete: true,
            wording: vec!["Seven fingers were not examined.".to_owned()],
        },
        frames: tally(),
        provenance: provenance(),
    }
}

/// Copies a folder and the folders in it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &target) } else { fs::copy(&path, &target).map(drop).unwrap() }
    }
}
