//! A small exam on record: one finger called with its loops measured, one that contradicts itself, one without a
//! measure, one skipped.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use hairpin::fast_track::{Category, Rule, Verdict};
use hairpin::finger::Finger;
use hairpin::frame::{Colour, Format, FrameId, RawFrame, Size};
use hairpin::measured::{
    FieldMeasured, FingerMeasured, FrameMeasured, Gap, Haemorrhage, Interval, Limits, Loop, LoopClass, Measured,
    NotMeasured, nothing,
};
use hairpin::outcome::{Quality, RejectReason, Tally};
use hairpin::reader::{OwnCall, OwnCallEvent, Preparation, PreparationEvent, Prepared};
use hairpin::record::{Records, Writer};
use hairpin::report::{
    Abstain, Confidence, Decision, DeviceWords, Ending, Event, Evidence, ExamEvent, ExamReport, FieldDoubt,
    FieldResult, FieldVerdict, Finding, FingerResult, Line, LocatorWords, ModelWords, NOTICE, Provenance, RuntimeWords,
    SCHEMA, SourceWords, Summary,
};
use hairpin::scale::{Scale, ScaleMethod};
use hairpin::time::Stamp;
use tempfile::TempDir;

pub const EXAM: &str = "20261123T103000Z-P017";
pub const SIZE: Size = Size::new(128, 96);
pub const EIGHT: [&str; 8] = ["R2", "R3", "R4", "R5", "L2", "L3", "L4", "L5"];

/// What an exam is made of here.
pub struct Plan {
    pub subject: String,
    pub comment: Option<String>,
    pub scale: bool,
    pub locator: bool,
    /// What the record says of what counted as a loop.
    pub limits: Option<Limits>,
    pub dated: bool,
    pub format: Format,
    pub fingers: Vec<&'static str>,
    /// Of each finger.
    pub fields: u32,
    /// Fingers that the reader has called.
    pub called: Vec<&'static str>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            subject: "P017".to_owned(),
            comment: Some("two giants at the left edge".to_owned()),
            scale: true,
            locator: true,
            limits: None,
            dated: true,
            format: Format::Mjpeg,
            fingers: vec!["R2", "R3", "R4"],
            fields: 1,
            called: vec!["R2"],
        }
    }
}

pub struct Recorded {
    /// Removed when dropped.
    pub root: TempDir,
    pub folder: PathBuf,
    pub writer: Option<Writer>,
}

impl Plan {
    /// Records it up to the close.
    pub fn closed(&self) -> Recorded {
        let mut recorded = self.open();
        let mut writer = recorded.writer.take().unwrap();
        let report = Box::new(self.report(Ending::Closed));
        self.write(&mut writer, 9000, Event::Exam(ExamEvent::Closed { report }));
        recorded
    }

    /// Records all but the close; the writer is still at it.
    pub fn open(&self) -> Recorded {
        let root = tempfile::tempdir().unwrap();
        let records = Records::at(root.path()).unwrap();
        let exam = EXAM.parse().unwrap();
        let provenance = Box::new(self.provenance());
        let opened = ExamEvent::Opened { subject: self.subject.clone(), provenance };
        let mut writer = records.create(&exam, &self.line(0, Event::Exam(opened))).unwrap();
        let preparation = Preparation {
            acclimatised_min: Some(15),
            room_celsius: Some(21),
            done: [Prepared::OilApplied, Prepared::NoManicure].into(),
        };
        self.write(&mut writer, 1, Event::Preparation(PreparationEvent { preparation, by: "a reader".to_owned() }));
        for (i, name) in self.fingers.iter().enumerate() {
            self.finger(&mut writer, finger(name), 100 + i as u64 * 1000);
        }
        let skipped = ExamEvent::Skipped { finger: finger("L5"), reason: "dressing".to_owned() };
        self.write(&mut writer, 8000, Event::Exam(skipped));
        for name in &self.called {
            let call = OwnCallEvent {
                finger: finger(name),
                call: OwnCall::Category1,
                comment: self.comment.clone(),
                blinded: Some(true),
                by: "Dr. A. Reader".to_owned(),
            };
            self.write(&mut writer, 8001, Event::OwnCall(call));
        }
        Recorded { folder: records.folder(&exam), root, writer: Some(writer) }
    }

    fn finger(&self, writer: &mut Writer, name: Finger, at_ms: u64) {
        self.write(writer, at_ms, Event::Exam(ExamEvent::FingerBegan { finger: name }));
        let mut evidence = Vec::new();
        for number in 1..=self.fields {
            let at_ms = at_ms + u64::from(number - 1) * 10;
            let frame = self.frame(at_ms);
            let measures = self.locator && name != finger("R4");
            self.write(writer, at_ms + 1, finding(frame.id, name));
            if measures {
                let measured = if self.scale { measured() } else { nothing(NotMeasured::NoScale) };
                let told = FrameMeasured { frame: frame.id, finger: Some(name), field: Some(number), measured };
                self.write(writer, at_ms + 2, Event::Measured(Box::new(told)));
            }
            evidence = vec![writer.keyframe(name, number, &frame).unwrap()];
            let field = FieldResult { number, place: number, ..self.field(name, measures, evidence.clone()) };
            self.write(writer, at_ms + 3, Event::Field(field));
        }
        self.write(writer, at_ms + 4, Event::Finger(self.result(name, evidence)));
    }

    fn field(&self, name: Finger, measures: bool, evidence: Vec<Evidence>) -> FieldResult {
        let contradicts = name == finger("R3");
        let giant = Verdict::Decided { category: Category::Two, rule: Rule::Giant };
        FieldResult {
            finger: name,
            number: 1,
            place: 1,
            reacquired: false,
            from_ms: 0,
            to_ms: 2000,
            frames: tally(),
            distinct: 12,
            pooled: None,
            verdict: if contradicts {
                FieldVerdict::NotClassifiable(FieldDoubt::Contradiction)
            } else {
                FieldVerdict::Positive
            },
            rule: measures.then_some(giant),
            measured: measures.then(|| if self.scale { field_measured() } else { unmeasured() }),
            second: vec![],
            evidence,
        }
    }

    fn result(&self, name: Finger, evidence: Vec<Evidence>) -> FingerResult {
        let contradicts = name == finger("R3");
        let decision = if contradicts {
            Decision::Abstained { why: Abstain::Contradiction }
        } else {
            Decision::Called {
                label: "category_2".to_owned(),
                scheme: "fast-track".to_owned(),
                confidence: Confidence::Probability(0.93),
            }
        };
        let measured = FingerMeasured {
            fields: 1,
            density_mean_per_mm: 6.25,
            density_least_per_mm: 6.25,
            giants: Some(1),
            widest_apical_um: Some(61.4),
        };
        FingerResult {
            finger: name,
            decision,
            fields_positive: u32::from(!contradicts),
            fields_negative: 0,
            fields_not_classifiable: u32::from(contradicts),
            frames: tally(),
            measured: (self.scale && self.locator && name != finger("R4")).then_some(measured),
            second: vec![],
            evidence,
        }
    }

    fn report(&self, ending: Ending) -> ExamReport {
        let evidence = || vec![Evidence { frame: FrameId::default(), file: None, sha256: "0".repeat(64) }];
        let at = |text: &str| self.dated.then(|| text.parse().unwrap());
        ExamReport {
            schema: SCHEMA,
            notice: NOTICE.to_owned(),
            exam: EXAM.to_owned(),
            subject: self.subject.clone(),
            from_ms: 0,
            to_ms: 9000,
            opened: at("2026-11-23T10:30:00Z"),
            closed: at("2026-11-23T10:41:09Z"),
            ending,
            fingers: self.fingers.iter().map(|name| self.result(finger(name), evidence())).collect(),
            measured: None,
            skipped: BTreeMap::from([(finger("L5"), "dressing".to_owned())]),
            summary: Summary {
                counts: "category 2 on 2 of 2 evaluable fingers; 1 not classifiable; 5 not examined".to_owned(),
                positive: 2,
                evaluable: 2,
                not_classifiable: 1,
                not_examined: 5,
                any_finger: Some(true),
                two_or_more_fingers: Some(true),
                discordant: false,
                incomplete: true,
                wording: vec![
                    "scleroderma pattern (category 2) seen on the right index finger, right ring finger".to_owned(),
                    "incomplete: 2 of the 8 fingers of the protocol were evaluable".to_owned(),
                ],
            },
            frames: tally(),
            provenance: self.provenance(),
        }
    }

    fn provenance(&self) -> Provenance {
        let scale = Scale {
            when: Some("2026-11-20T08:00:00Z".parse().unwrap()),
            by: Some("T. Echnician".to_owned()),
            until: Some("2027-05-19T08:00:00Z".parse().unwrap()),
            ..Scale::new(2.5, ScaleMethod::StageMicrometer).unwrap()
        };
        let locator = LocatorWords {
            name: "locator-synth".to_owned(),
            version: "0.1.0".to_owned(),
            sha256: "a".repeat(64),
            cohort: "drawn nailfolds".to_owned(),
            validated_on_patients: false,
            provider_running: "cpu".to_owned(),
        };
        Provenance {
            software: "hairpin 0.1.0".to_owned(),
            config_sha256: "c".repeat(64),
            model: ModelWords {
                name: "demo".to_owned(),
                version: "1".to_owned(),
                sha256: "d".repeat(64),
                scheme: "fast-track".to_owned(),
                labels: vec!["category_1".to_owned(), "category_2".to_owned()],
                cohort: "drawn nailfolds".to_owned(),
                validated_on_patients: false,
            },
            locator: self.locator.then_some(locator),
            limits: self.limits.clone(),
            second: vec![],
            runtime: RuntimeWords {
                library: "libonnxruntime.so".to_owned(),
                version: "1.32.0".to_owned(),
                sha256: "e".repeat(64),
                providers_asked: vec!["cpu".to_owned()],
                provider_running: "cpu".to_owned(),
                threads: 1,
            },
            source: SourceWords {
                kind: "v4l2".to_owned(),
                name: "/dev/video0".to_owned(),
                format: Some(self.format),
                size: Some(SIZE),
                frames_per_s: Some(30.0),
                measured_per_s: Some(29.97),
                scale_expired: None,
                scale: self.scale.then_some(scale),
                device: Some(Box::new(device())),
            },
        }
    }

    fn frame(&self, seq: u64) -> RawFrame {
        RawFrame {
            id: FrameId { run: 0, seq },
            at: Stamp::from_ms(seq),
            format: self.format,
            size: SIZE,
            colour: Colour::Bt601Limited,
            bytes: Arc::from(bytes(self.format)),
            flagged: false,
        }
    }

    fn line(&self, at_ms: u64, event: Event) -> Line {
        let date = self.dated.then(|| "2026-11-23T10:30:00Z".parse().unwrap());
        Line { schema: SCHEMA, n: 0, at_ms, date, exam: None, notice: NOTICE.to_owned(), event }
    }

    fn write(&self, writer: &mut Writer, at_ms: u64, event: Event) {
        writer.append(&self.line(at_ms, event)).unwrap();
    }
}

pub fn finger(name: &str) -> Finger {
    name.parse().unwrap()
}

fn tally() -> Tally {
    Tally { produced: 150, scored: 120, rejected: BTreeMap::from([(RejectReason::Defocus, 30)]), ..Tally::default() }
}

fn device() -> DeviceWords {
    DeviceWords {
        id: "usb:a168:0980:SN123".to_owned(),
        make: Some("Made Up".to_owned()),
        model: Some("Scope 200".to_owned()),
        serial: Some("SN123".to_owned()),
        port: "1-2".to_owned(),
        path: "/dev/video0".to_owned(),
        driver: "uvcvideo".to_owned(),
        asked_size: SIZE,
        asked_frames_per_s: 30.0,
        controls: Vec::new(),
    }
}

fn finding(frame: FrameId, name: Finger) -> Event {
    Event::Finding(Finding {
        frame,
        finger: Some(name),
        field: Some(1),
        logits: vec![-1.0, 1.0],
        probs: vec![0.1, 0.9],
        out_of_cohort: false,
        quality: Quality { weight: 0.9, ..Quality::default() },
        latency: None,
    })
}

fn field_measured() -> FieldMeasured {
    FieldMeasured {
        frames: 5,
        agreeing: 4,
        counted: Some(10),
        density_per_mm: Some(Interval { value: 6.25, low: 5.0, high: 7.5 }),
        giants: Some(1),
        abnormal: Some(0),
        haemorrhages: Some(2),
        median_apical_um: Some(16.2),
        widest_apical_um: Some(61.4),
        fast_track: Verdict::Decided { category: Category::Two, rule: Rule::Giant },
        borderline: true,
        not_measured: None,
    }
}

fn unmeasured() -> FieldMeasured {
    FieldMeasured {
        frames: 0,
        agreeing: 0,
        counted: None,
        density_per_mm: None,
        giants: None,
        abnormal: None,
        haemorrhages: None,
        median_apical_um: None,
        widest_apical_um: None,
        fast_track: Verdict::Undetermined,
        borderline: false,
        not_measured: Some(NotMeasured::NoScale),
    }
}

fn measured() -> Measured {
    let one = |x: f32, class, um: Option<f32>, counted| Loop {
        apex: [x, 40.0],
        toward: [0.0, -1.0],
        apical_um: um,
        class,
        counted,
        score: 0.9,
        centreline: vec![[x, 40.0], [x, 60.0]],
    };
    Measured {
        um_per_px: Some(2.5),
        row: vec![[4.0, 40.0], [124.0, 40.0]],
        row_mm: Some(0.64),
        loops: vec![
            one(20.0, LoopClass::Normal, Some(14.0), true),
            one(50.0, LoopClass::Ectatic, Some(27.0), true),
            one(80.0, LoopClass::Giant, Some(61.4), true),
            one(95.0, LoopClass::Abnormal, None, true),
            one(110.0, LoopClass::NotEvaluable, None, false),
        ],
        counted: Some(4),
        density_per_mm: Some(Interval { value: 6.25, low: 5.0, high: 7.5 }),
        haemorrhages: vec![Haemorrhage { at: [64.0, 30.0], radius_px: 4.0 }],
        gaps: vec![Gap { from: [98.0, 40.0], to: [118.0, 40.0], length_um: 520.0 }],
        not_measured: None,
        ..nothing(NotMeasured::NoRow)
    }
}

/// A picture of skin without anything in it, in each format that is kept.
pub fn bytes(format: Format) -> Vec<u8> {
    let pixels = SIZE.pixels();
    match format {
        Format::Mjpeg => {
            let rgb: Vec<u8> = [205, 150, 130].repeat(pixels);
            let picture = turbojpeg::Image {
                pixels: &rgb[..],
                width: SIZE.width as usize,
                pitch: SIZE.width as usize * 3,
                height: SIZE.height as usize,
                format: turbojpeg::PixelFormat::RGB,
            };
            turbojpeg::compress(picture, 85, turbojpeg::Subsamp::Sub2x1).unwrap().to_vec()
        }
        Format::Yuyv => [160, 118, 160, 150].repeat(pixels / 2),
        Format::Grey => vec![150; pixels],
        other => panic!("no test frame is made as {other:?}"),
    }
}

/// Everything below a folder, with what it holds.
pub fn contents(folder: &std::path::Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    found
}
