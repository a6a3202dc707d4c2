//! All that leaves the daemon: one line of JSON an event, versioned by `SCHEMA`.

mod provenance;
mod second;
mod state;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fast_track::Verdict;
use crate::finger::Finger;
use crate::frame::{Format, FrameId, Size};
use crate::measured::{ExamMeasured, FieldMeasured, FingerMeasured, FrameMeasured};
use crate::outcome::{Quality, RejectReason, Tally};
use crate::reader::{CommandEvent, OwnCallEvent, PreparationEvent};
use crate::scale::Scale;

pub use provenance::{LocatorWords, ModelWords, Provenance, RuntimeWords};
pub use second::{Disagreement, ModelChange, ModelEvent, Opinion, Opinions, SecondField, SecondFinger, SecondWords};
pub use state::{Limits, Rates, Snapshot};

/// Version of everything in this module; raised when a reader of the old form could misread the new.
pub const SCHEMA: u32 = 1;

/// Stands on every line that leaves Hairpin.
pub const NOTICE: &str = "research use only; not validated on patients; not a diagnosis";

/// One line of a stream or of a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    pub schema: u32,
    /// Counts the lines of this run of the service, or of this exam's record.
    pub n: u64,
    /// Milliseconds on the source's clock.
    pub at_ms: u64,
    /// Absent in replays of recordings that do not say when they were made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<jiff::Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exam: Option<String>,
    pub notice: String,
    #[serde(flatten)]
    pub event: Event,
}

/// The one serialised type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The source was opened, lost or ended.
    Source(SourceEvent),
    /// The gate's verdict changed.
    Quality(QualityEvent),
    /// A frame was read.
    Finding(Finding),
    /// The loops of a frame were measured.
    Measured(Box<FrameMeasured>),
    /// Models that do not decide have read a frame.
    Opinions(Opinions),
    /// A field was pooled.
    Field(FieldResult),
    /// A finger was decided.
    Finger(FingerResult),
    /// A model that does not decide says the opposite of the one that does.
    Disagreement(Disagreement),
    /// The deciding model was asked to be another.
    Model(ModelEvent),
    /// The exam went a step on.
    Exam(ExamEvent),
    /// The reader's own call of a finger.
    OwnCall(OwnCallEvent),
    /// How the subject was prepared.
    Preparation(PreparationEvent),
    /// Somebody commanded the exam.
    Command(CommandEvent),
    /// Something is wrong that a person should know of.
    Fault(Fault),
    /// This reader was too slow and missed so many lines.
    Missed { lines: u64 },
    /// What a late joiner needs first.
    State(Box<Snapshot>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SourceEvent {
    pub change: SourceChange,
    pub source: SourceWords,
    /// What is tried to get the source back; there when `change` is `recovering`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
}

/// One step of getting a source back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Recovery {
    pub rung: Rung,
    /// How often this rung was tried in this run of the service, this time included.
    pub times: u64,
}

/// From the least that can be tried to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// The stream of the open device is started anew.
    RestartStream,
    /// The device is opened anew.
    Reopen,
    /// The device is not there: it is waited for.
    Wait,
    /// The device is reset on its USB port.
    UsbReset,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceChange {
    Opened,
    Lost,
    Ended,
    /// What is known of it changed: the rate was measured, the scale has expired.
    Changed,
    /// It is being got back.
    Recovering,
}

/// What is known of a source; `capture` fills it in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SourceWords {
    /// `simulated`, `replay`, ...
    pub kind: String,
    /// Make, model, path or seed: what tells this source from another.
    pub name: String,
    pub format: Option<Format>,
    pub size: Option<Size>,
    /// As negotiated; absent where the source has no rate of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames_per_s: Option<f64>,
    /// By the driver's own numbers and stamps; absent before two seconds of frames.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured_per_s: Option<f64>,
    /// Absent where nobody measured it: then nothing in micrometres is reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
    /// When the scale that was measured last expired: then there is none until it is measured again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_expired: Option<jiff::Timestamp>,
    /// There when the source is a camera.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Box<DeviceWords>>,
}

/// Which camera it is, what was asked of it, and what it made of that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceWords {
    /// The name under which it is known again: `usb:VID:PID[:SERIAL][@PORT]` where it is on USB.
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub make: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// The USB port, or the place on another bus.
    pub port: String,
    pub path: String,
    pub driver: String,
    pub asked_size: Size,
    pub asked_frames_per_s: f64,
    /// Of each control that the configuration names, what was asked and what came of it.
    pub controls: Vec<ControlWords>,
}

/// A control of the camera, in the camera's own units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ControlWords {
    pub name: String,
    /// Absent when it was to stay as it is and could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted: Option<i32>,
    /// Why it was not granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QualityEvent {
    pub frame: FrameId,
    /// Absent when the picture is readable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<RejectReason>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    pub figures: Quality,
}

/// One read frame. Never a verdict by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    pub frame: FrameId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finger: Option<Finger>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<u32>,
    /// One a label of the model, in its order, before calibration.
    pub logits: Vec<f32>,
    /// After calibration; they sum to one.
    pub probs: Vec<f32>,
    /// The picture's colour or contrast lies outside what the model was trained on.
    pub out_of_cohort: bool,
    pub quality: Quality,
    /// Absent in replays, where no frame is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
}

/// Where the time of one frame went, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// Waiting in queues.
    pub waited_ms: f32,
    pub decode_ms: f32,
    pub gate_ms: f32,
    pub preprocess_ms: f32,
    pub infer_ms: f32,
    /// From the capture stamp to this event.
    pub total_ms: f32,
}

/// One field: near copies of one view, pooled into one piece of evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FieldResult {
    pub finger: Finger,
    /// Counts the fields of this finger from 1.
    pub number: u32,
    /// The number of the first field that showed this place: its own, unless the place was acquired again.
    pub place: u32,
    /// The same place as an earlier field of this finger, recorded again.
    pub reacquired: bool,
    pub from_ms: u64,
    pub to_ms: u64,
    pub frames: Tally,
    /// Frames in the pool: scored, and no copy of another. Of a long field an even sample of 600.
    pub distinct: u32,
    /// Absent when nothing was scored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooled: Option<Pooled>,
    pub verdict: FieldVerdict,
    /// What the Fast Track rules say of measured loops; absent while no loops are measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Verdict>,
    /// The loops measured in this field; absent where none were looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<FieldMeasured>,
    /// What models that do not decide make of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub second: Vec<SecondField>,
    pub evidence: Vec<Evidence>,
}

/// Quality-weighted, trimmed mean of the logits of a field's frames.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pooled {
    pub logits: Vec<f32>,
    pub probs: Vec<f32>,
    /// Weighted standard deviation of the positive label's margin over the frames, in calibrated logits; absent for
    /// a single frame, which has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<f32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "is", content = "why")]
pub enum FieldVerdict {
    /// Stable and above the upper threshold.
    Positive,
    /// Stable and below the lower threshold.
    Negative,
    NotClassifiable(FieldDoubt),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldDoubt {
    NothingReadable,
    TooFewFrames,
    TooShort,
    Unstable,
    BetweenThresholds,
    OutOfCohort,
    /// Classifier and Fast Track rules disagree.
    Contradiction,
}

/// A kept frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    pub frame: FrameId,
    /// Inside the exam's folder; absent where nothing is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Of the camera's original bytes.
    pub sha256: String,
}

/// A finger's result. Abstaining is a result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FingerResult {
    pub finger: Finger,
    pub decision: Decision,
    pub fields_positive: u32,
    pub fields_negative: u32,
    pub fields_not_classifiable: u32,
    pub frames: Tally,
    /// Over its measured fields; absent where none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<FingerMeasured>,
    /// What models that do not decide would call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub second: Vec<SecondFinger>,
    pub evidence: Vec<Evidence>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Decision {
    Called { label: String, scheme: String, confidence: Confidence },
    Abstained { why: Abstain },
}

/// A calibrated model gives a probability; any other gives a score, which is not one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    Probability(f32),
    Score(f32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Abstain {
    NothingReadable,
    TooFewFields,
    /// Positive, but not in enough fields.
    NotConfirmed,
    BetweenThresholds,
    Unstable,
    OutOfCohort,
    Contradiction,
}

impl Abstain {
    pub const fn words(self) -> &'static str {
        match self {
            Self::NothingReadable => "no readable frame",
            Self::TooFewFields => "too few readable fields",
            Self::NotConfirmed => "positive but not confirmed",
            Self::BetweenThresholds => "between the thresholds",
            Self::Unstable => "unstable from frame to frame",
            Self::OutOfCohort => "unlike the pictures the model was trained on",
            Self::Contradiction => "classifier and Fast Track rules contradict each other",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum ExamEvent {
    Opened {
        subject: String,
        provenance: Box<Provenance>,
    },
    FingerBegan {
        finger: Finger,
    },
    FieldBegan {
        finger: Finger,
        number: u32,
        because: FieldBegan,
    },
    Skipped {
        finger: Finger,
        reason: String,
    },
    /// Found open at a start of the service, or left open at its end.
    Interrupted,
    Resumed {
        provenance: Box<Provenance>,
    },
    Closed {
        report: Box<ExamReport>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldBegan {
    Finger,
    Operator,
    /// The view moved by more than half its width.
    Moved,
}

/// A whole exam, as written at its close. Reproducible from its own contents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExamReport {
    pub schema: u32,
    pub notice: String,
    pub exam: String,
    pub subject: String,
    pub from_ms: u64,
    pub to_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened: Option<jiff::Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<jiff::Timestamp>,
    pub ending: Ending,
    pub fingers: Vec<FingerResult>,
    /// Over the measured fingers; absent where none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<ExamMeasured>,
    pub skipped: BTreeMap<Finger, String>,
    pub summary: Summary,
    /// All frames of the exam, those outside any finger included.
    pub frames: Tally,
    pub provenance: Provenance,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    Closed,
    Interrupted,
}

/// Counts first, then named policies beside each other; no single yes or no.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// "category 2 on k of n evaluable fingers; m not classifiable; r not examined".
    pub counts: String,
    pub positive: u32,
    pub evaluable: u32,
    pub not_classifiable: u32,
    pub not_examined: u32,
    /// At least one finger: the sensitive convention. Absent where too few fingers were evaluable to say no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub any_finger: Option<bool>,
    /// At least two fingers: specific; ours, not a consensus. Absent where too few fingers were evaluable to say no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub two_or_more_fingers: Option<bool>,
    /// One positive among clean fingers: kept, marked, never averaged away.
    pub discordant: bool,
    /// Fewer than the eight fingers of the protocol were evaluable.
    pub incomplete: bool,
    /// The fixed wording for this outcome, its limits included.
    pub wording: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fault {
    pub kind: FaultKind,
    /// What happened and where.
    pub message: String,
    /// What to do.
    pub action: String,
    /// The trouble is over.
    pub cleared: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The source is gone or gives no frames.
    Source,
    /// The record cannot be written.
    Record,
    /// There is little room on a disk that is written to.
    Disk,
    /// An output failed after it had opened.
    Output,
    /// The runtime refuses frames.
    Inference,
    /// The model runs on the processor, although a quicker provider was asked for first.
    Provider,
    /// The server that runs the model does not answer.
    Remote,
    /// A model that does not decide refuses frames.
    SecondOpinion,
    /// Frames do not add up, or another promise was broken.
    Internal,
}
