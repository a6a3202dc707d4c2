//! What is said of models that do not decide, and of another model for the one that does.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Decision, FieldVerdict, ModelWords, Pooled, Provenance};
use crate::finger::Finger;
use crate::frame::FrameId;

/// A model that reads along and does not decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecondWords {
    #[serde(flatten)]
    pub model: ModelWords,
    pub provider_running: String,
}

/// What models that do not decide make of a frame. It may stand some lines behind the frame's finding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Opinions {
    pub frame: FrameId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finger: Option<Finger>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<u32>,
    pub opinions: Vec<Opinion>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Opinion {
    /// Name and version; `provenance.second` says all of it.
    pub model: String,
    /// One a label of that model, in its order, before calibration.
    pub logits: Vec<f32>,
    /// After calibration; they sum to one.
    pub probs: Vec<f32>,
    pub out_of_cohort: bool,
}

/// A field as a model that does not decide reads it, pooled by the same rules. It changes no verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SecondField {
    pub model: String,
    /// Frames in its pool: fewer than the field's own, since it reads only as the machine allows.
    pub distinct: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooled: Option<Pooled>,
    pub verdict: FieldVerdict,
}

/// A finger as a model that does not decide would decide it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SecondFinger {
    pub model: String,
    pub decision: Decision,
}

/// Both models called the finger, in the same scheme, and to opposite sides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Disagreement {
    pub finger: Finger,
    /// The deciding model and its call, which stands.
    pub model: String,
    pub decision: Decision,
    /// Those that say the opposite.
    pub others: Vec<SecondFinger>,
}

/// What became of another model for the deciding one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModelEvent {
    pub change: ModelChange,
    /// The bundle's folder.
    pub bundle: String,
    /// Absent when the bundle could not be loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelWords>,
    /// Why it does not run; there when `change` is `refused`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What produces results from here on; there when `change` is `running`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Box<Provenance>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelChange {
    /// Loaded, verified and warm; it waits for a finger to end, or for its first frame.
    Ready,
    /// Reads every frame from here on.
    Running,
    /// The model before stays.
    Refused,
}
