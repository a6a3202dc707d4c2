//! Each picture is compared with a text file in tests/data/view; HAIRPIN_UPDATE=1 writes them anew.

use std::path::Path;

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::finger::Finger;
use crate::frame::{FrameId, Size};
use crate::outcome::{Damage, Quality, RejectReason};
use crate::report::{
    Abstain, Confidence, Decision, Fault, FaultKind, FieldDoubt, FieldResult, FieldVerdict, FingerResult, NOTICE,
    Pooled, QualityEvent, Rates, SourceWords,
};

fn finger(text: &str) -> Finger {
    text.parse().unwrap()
}

/// An exam that is under way, before any finger.
fn calm() -> Snapshot {
    let mut snapshot = Snapshot::clone(&crate::emit::tests::present().snapshot);
    snapshot.model.name = "densenet121-synth".into();
    snapshot.provider_running = "cpu (all 429 nodes)".into();
    snapshot.source = Some(SourceWords {
        kind: "simulated".into(),
        name: "seed 7".into(),
        format: None,
        size: Some(Size::new(1280, 1024)),
        frames_per_s: Some(30.0),
        measured_per_s: None,
        scale_expired: None,
        scale: None,
        device: None,
    });
    snapshot.limits = Some(Limits { positive: 1, lower: 0.3, upper: 0.8, calibrated: true, min_frames: 10 });
    snapshot.frames.produced = 1200;
    snapshot.frames.scored = 800;
    snapshot.frames.dropped = 298;
    snapshot.frames.rejected.insert(RejectReason::Defocus, 100);
    snapshot.frames.undecodable.insert(Damage::Cut, 2);
    snapshot.frames.lost_before_capture = 3;
    snapshot.rates = Some(Rates {
        captured_per_s: 29.97,
        read_per_s: 19.9,
        latency_p50_ms: 41.2,
        latency_p99_ms: 52.4,
        infer_p50_ms: 33.1,
    });
    snapshot
}

fn judged(rejected: Option<RejectReason>) -> Option<QualityEvent> {
    let advice = rejected.map(|reason| reason.advice().to_owned());
    Some(QualityEvent { frame: FrameId::default(), rejected, advice, figures: Quality::default() })
}

fn field(of: &str, number: u32, verdict: FieldVerdict) -> FieldResult {
    FieldResult {
        finger: finger(of),
        number,
        place: number,
        reacquired: false,
        from_ms: 0,
        to_ms: 2000,
        frames: Tally::default(),
        distinct: 40,
        pooled: None,
        verdict,
        rule: None,
        measured: None,
        second: Vec::new(),
        evidence: Vec::new(),
    }
}

fn result(of: &str, decision: Decision, counts: [u32; 3]) -> FingerResult {
    let [fields_positive, fields_negative, fields_not_classifiable] = counts;
    let (frames, evidence) = (Tally::default(), Vec::new());
    FingerResult {
        finger: finger(of),
        decision,
        fields_positive,
        fields_negative,
        fields_not_classifiable,
        frames,
        measured: None,
        second: Vec::new(),
        evidence,
    }
}

fn called(label: &str, p: f32) -> Decision {
    Decision::Called { label: label.into(), scheme: "fast-track".into(), confidence: Confidence::Probability(p) }
}

fn recording() -> Snapshot {
    let mut snapshot = calm();
    snapshot.subject = Some("P017".into());
    snapshot.finger = Some(finger("R4"));
    snapshot.field = Some(3);
    snapshot.quality = judged(None);
    snapshot.pooling = Some(Pooled { logits: vec![-0.2, 0.3], probs: vec![0.38, 0.62], spread: Some(0.41) });
    snapshot.pooled_frames = 34;
    snapshot.fields = vec![
        field("R4", 1, FieldVerdict::Positive),
        field("R4", 2, FieldVerdict::NotClassifiable(FieldDoubt::Unstable)),
        field("R5", 1, FieldVerdict::Negative),
    ];
    snapshot.fingers =
        vec![result("R2", called("category 2", 0.97), [2, 0, 1]), result("R3", called("category 1", 0.94), [0, 3, 0])];
    snapshot
}

fn fault(message: &str, action: &str) -> Fault {
    Fault { kind: FaultKind::Record, message: message.into(), action: action.into(), cleared: false }
}

fn drawn_at(snapshot: &Snapshot, link: Link, (width, height): (u16, u16)) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let scene = Scene { snapshot, exam: None, notice: NOTICE, link, hint: "q quits" };
    terminal.draw(|frame| draw(frame, &scene)).unwrap();
    let cells = terminal.backend().buffer().content();
    let rows = cells.chunks(usize::from(width)).map(|row| {
        let text: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        text.trim_end().to_owned() + "\n"
    });
    rows.collect()
}

#[track_caller]
fn compare(name: &str, drawn: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/view").join(name);
    if std::env::var_os("HAIRPIN_UPDATE").is_some() {
        std::fs::write(&path, drawn).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(drawn == expected, "{name} has changed; HAIRPIN_UPDATE=1 accepts what is drawn now:\n{drawn}");
}

#[test]
fn a_field_being_recorded() {
    compare("recording.txt", &drawn_at(&recording(), Link::Live, SIZE));
}

#[test]
fn before_any_exam() {
    let mut snapshot = calm();
    snapshot.rates = None;
    snapshot.source = None;
    compare("idle.txt", &drawn_at(&snapshot, Link::Live, SIZE));
}

#[test]
fn too_few_frames_show_no_score() {
    let mut snapshot = recording();
    snapshot.pooled_frames = 9;
    snapshot.quality = judged(Some(RejectReason::Glare));
    let drawn = drawn_at(&snapshot, Link::Live, SIZE);
    assert!(!drawn.contains("0.62"), "a score of too few frames is shown:\n{drawn}");
    compare("too-few.txt", &drawn);
}

#[test]
fn an_uncalibrated_score_is_not_called_a_probability() {
    let mut snapshot = recording();
    snapshot.fingers.clear();
    snapshot.limits = snapshot.limits.map(|limits| Limits { calibrated: false, ..limits });
    let drawn = drawn_at(&snapshot, Link::Live, SIZE);
    assert!(drawn.contains("score of category 2") && !drawn.contains("probability"), "{drawn}");
}

#[test]
fn every_state_that_a_finger_can_have() {
    let mut snapshot = calm();
    snapshot.subject = Some("P017".into());
    snapshot.fields = vec![field("L3", 1, FieldVerdict::Negative)];
    let abstained = |why| Decision::Abstained { why };
    snapshot.fingers = vec![
        result("R2", called("category 2", 0.97), [2, 0, 1]),
        result("R3", called("category 1", 0.94), [0, 3, 0]),
        result("R4", abstained(Abstain::NotConfirmed), [1, 1, 0]),
        result("R5", abstained(Abstain::OutOfCohort), [0, 0, 2]),
        result("L2", abstained(Abstain::Contradiction), [0, 0, 2]),
    ];
    snapshot.skipped.insert(finger("L4"), "bandage over the whole nailfold since yesterday".into());
    compare("states.txt", &drawn_at(&snapshot, Link::Live, SIZE));
}

#[test]
fn faults_and_a_lost_service() {
    let mut snapshot = recording();
    snapshot.faults = vec![
        fault("the record in /var/lib/hairpin cannot be written: disk full", "make room"),
        Fault { cleared: true, ..fault("this one is over", "nothing") },
        fault("the microscope gives no frames", "check the cable"),
        fault("reader\u{1b}[2J", "close it"),
    ];
    let drawn = drawn_at(&snapshot, Link::Lost, SIZE);
    assert!(!drawn.contains("this one is over"));
    assert!(!drawn.contains("● readable"), "an old verdict is shown as the present:\n{drawn}");
    compare("faults.txt", &drawn);
}

#[test]
fn a_small_terminal_still_shows_the_essentials_and_the_notice() {
    compare("small.txt", &drawn_at(&recording(), Link::Live, (40, 8)));
    for size in [(1, 1), (5, 2), (79, 24), (80, 23), (300, 100)] {
        drawn_at(&recording(), Link::Live, size);
    }
}

#[test]
fn nothing_is_cut_off_in_the_usual_terminal() {
    let [narrow, wide] = [SIZE, (200, SIZE.1)].map(|size| drawn_at(&recording(), Link::Live, size));
    for (narrow, wide) in narrow.lines().skip(12).zip(wide.lines().skip(12)) {
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(narrow), words(wide));
    }
}

#[test]
fn the_notice_stands_in_every_picture() {
    for snapshot in [calm(), recording()] {
        for link in [Link::Live, Link::Lost] {
            assert!(drawn_at(&snapshot, link, SIZE).contains(NOTICE));
            assert!(drawn_at(&snapshot, link, (200, 60)).contains(NOTICE));
        }
    }
}
