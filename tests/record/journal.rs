//! What is read back of an interrupted exam is what was written, and the exam goes on from there.

use std::collections::BTreeMap;
use std::fs;

use hairpin::record::verify::{State, verify};
use hairpin::report::{Ending, Event, ExamEvent, Fault, FaultKind};

use crate::crash::reopened;
use crate::sample::{Sample, closing, finger, finger_result, frame, line, one_field, provenance};

#[test]
fn an_interrupted_exam_is_read_back_and_resumed() {
    let sample = Sample::new();
    let mut writer = sample.begun();
    let skipped = ExamEvent::Skipped { finger: finger("L5"), reason: "dressing".to_owned() };
    writer.append(&line(131, Event::Exam(skipped))).unwrap();
    let fault = Fault { kind: FaultKind::Source, message: "x".into(), action: "y".into(), cleared: false };
    writer.append(&line(132, Event::Fault(fault))).unwrap();
    drop(writer);

    let (mut writer, so_far) = reopened(&sample);
    assert_eq!((so_far.exam.as_str(), so_far.subject.as_str()), (sample.exam.as_str(), "P017"));
    assert_eq!(so_far.provenances, [provenance()]);
    let [done] = &so_far.fingers[..] else { panic!("{:?}", so_far.fingers) };
    assert_eq!(*done, finger_result("R2", done.evidence.clone()));
    assert_eq!(done.evidence.len(), 2);
    assert_eq!((so_far.fields.len(), so_far.undecided.len()), (1, 0));
    assert_eq!(so_far.skipped, BTreeMap::from([(finger("L5"), "dressing".to_owned())]));
    assert_eq!((so_far.recording, so_far.field, so_far.unpooled), (Some(finger("R3")), None, 1));
    assert_eq!((so_far.from_ms, so_far.last_ms, so_far.lines), (0, 132, writer.lines()));
    assert!(so_far.interrupted && so_far.closed.is_none());

    let resumed = ExamEvent::Resumed { provenance: Box::new(provenance()) };
    writer.append(&line(3, Event::Exam(resumed))).unwrap();
    writer.append(&line(4, Event::Exam(ExamEvent::FingerBegan { finger: finger("L5") }))).unwrap();
    one_field(&mut writer, "L5", 5);
    drop(writer);

    let (mut writer, so_far) = reopened(&sample);
    assert_eq!(so_far.provenances.len(), 2);
    assert!(so_far.skipped.is_empty(), "examined after all");
    assert_eq!((so_far.recording, so_far.undecided.len(), so_far.unpooled), (Some(finger("L5")), 1, 0));
    writer.append(&line(50, closing(&sample, Ending::Interrupted))).unwrap();
    assert_eq!(verify(&sample.folder()).unwrap().state, State::Closed(Ending::Interrupted));
}

#[test]
fn a_frame_of_the_same_name_after_a_restart_has_its_own_file() {
    let sample = Sample::new();
    drop(sample.begun());
    let (mut writer, _) = reopened(&sample);
    let kept = writer.keyframe(finger("R2"), 1, &frame(1)).unwrap();
    assert_eq!(kept.file.as_deref(), Some("keyframes/R2-1-0.1_2.jpg"));
    assert_eq!(fs::read(sample.folder().join(kept.file.unwrap())).unwrap(), *frame(1).bytes);
}
