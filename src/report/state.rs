//! The present state of the service and its exam, in one value.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ExamReport, Fault, FieldResult, FingerResult, ModelWords, Pooled, QualityEvent, SourceWords};
use crate::finger::Finger;
use crate::measured::FrameMeasured;
use crate::outcome::Tally;
use crate::reader::{OwnCallEvent, PreparationEvent};

/// The present, for those who come late and for `hairpin watch`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Snapshot {
    pub source: Option<SourceWords>,
    pub model: ModelWords,
    pub provider_running: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finger: Option<Finger>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<QualityEvent>,
    /// The loops of the frame that was measured last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Box<FrameMeasured>>,
    /// Of the field being recorded, so far; becomes a result only when the field ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooling: Option<Pooled>,
    pub pooled_frames: u32,
    /// Where the pooled score turns into a verdict; absent before the model is loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    pub fields: Vec<FieldResult>,
    pub fingers: Vec<FingerResult>,
    pub skipped: BTreeMap<Finger, String>,
    /// The reader's own call of each finger that has one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub own_calls: BTreeMap<Finger, OwnCallEvent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preparation: Option<PreparationEvent>,
    pub faults: Vec<Fault>,
    /// The exam that was closed last in this run of the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Box<ExamReport>>,
    /// Of this run of the service.
    pub frames: Tally,
    /// Over the last seconds; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rates: Option<Rates>,
}

impl Snapshot {
    /// The state before the first frame.
    pub fn before(model: ModelWords, provider_running: String) -> Self {
        Self {
            source: None,
            model,
            provider_running,
            subject: None,
            finger: None,
            field: None,
            quality: None,
            measured: None,
            pooling: None,
            pooled_frames: 0,
            limits: None,
            fields: Vec::new(),
            fingers: Vec::new(),
            skipped: BTreeMap::new(),
            own_calls: BTreeMap::new(),
            preparation: None,
            faults: Vec::new(),
            closed: None,
            frames: Tally::default(),
            rates: None,
        }
    }
}

/// What a field must reach for a verdict, so that a screen can show how far it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Limits {
    /// Which of the model's labels the thresholds are about.
    pub positive: u32,
    /// On that label's pooled `probs`: below is negative, at or above `upper` positive, between neither.
    pub lower: f32,
    pub upper: f32,
    /// Whether `probs` may be called probabilities; otherwise they are scores.
    pub calibrated: bool,
    pub min_frames: u32,
}

/// Measured over the last seconds of a live source.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rates {
    pub captured_per_s: f32,
    pub read_per_s: f32,
    pub latency_p50_ms: f32,
    pub latency_p99_ms: f32,
    /// Of it, inference.
    pub infer_p50_ms: f32,
}
