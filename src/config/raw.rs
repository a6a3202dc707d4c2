//! The configuration as written. Each stage's own `Settings` stand under their section, so that a key is documented
//! where it is used; `config/hairpin.toml` shows them all.

use std::path::PathBuf;

use serde::Deserialize;

use crate::exam::timeline;
use crate::{aggregate, capture, emit, infer, measure, quality, telemetry};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    pub source: Source,
    pub model: Model,
    /// Models that read along and do not decide.
    #[serde(default)]
    pub second: Vec<Second>,
    pub runtime: infer::Settings,
    /// Without it no loops are measured.
    pub measure: Option<Measure>,
    #[serde(default)]
    pub gate: quality::Settings,
    #[serde(default)]
    pub pool: aggregate::Rules,
    #[serde(default)]
    pub exam: timeline::Settings,
    /// Keys that command the exam; the microscope's button accepts the field unless this says otherwise.
    pub trigger: Option<Vec<capture::button::Binding>>,
    /// Where calibrations are kept, and the magnification in use; without it nothing is measured in micrometres.
    pub scale: Option<Scale>,
    pub record: Option<Record>,
    /// A plain file of every line, exams or not.
    pub file: Option<File>,
    #[serde(default)]
    pub emit: emit::Settings,
    #[serde(default)]
    pub log: telemetry::Settings,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    pub kind: SourceKind,
    /// Of a replay: the recording.
    pub path: Option<PathBuf>,
    /// Of a camera: which one.
    pub device: Option<capture::select::Selector>,
    /// What is done while the camera is not there at the start.
    pub on_missing: Option<OnMissing>,
    pub v4l2: Option<capture::v4l2::Settings>,
    #[cfg(feature = "nokhwa")]
    pub nokhwa: Option<capture::nokhwa::Settings>,
    pub simulated: Option<capture::simulated::Settings>,
    pub replay: Option<capture::replay::Settings>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    Simulated,
    Replay,
    V4l2,
    /// Needs the cargo feature of that name.
    Nokhwa,
}

impl SourceKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Simulated => "simulated",
            Self::Replay => "replay",
            Self::V4l2 => "v4l2",
            Self::Nokhwa => "nokhwa",
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnMissing {
    /// The service starts all the same, with a fault, and takes the camera when it comes.
    #[default]
    Wait,
    /// A failure to start.
    Refuse,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// A bundle's folder.
    pub bundle: PathBuf,
    /// A server that runs the same model.
    pub remote: Option<infer::RemoteSettings>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Second {
    /// A bundle's folder.
    pub bundle: PathBuf,
    /// At most one frame in so much of capture time, and live no more than the machine allows.
    #[serde(default = "second_every_ms")]
    pub every_ms: u64,
}

/// Ten frames a second: the ten that a field needs come together in a second.
fn second_every_ms() -> u64 {
    100
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// The folder of a bundle that locates loops.
    pub bundle: PathBuf,
    /// At most one frame in so much of capture time.
    #[serde(default = "every_ms")]
    pub every_ms: u64,
    /// Of the locating network, beside those of `runtime`.
    #[serde(default = "one_thread")]
    pub threads: u32,
    #[serde(default)]
    pub limits: measure::Settings,
}

fn every_ms() -> u64 {
    1000
}

fn one_thread() -> u32 {
    1
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// Written by `hairpin calibrate`.
    pub file: PathBuf,
    /// As the lens says it, such as "200x".
    pub magnification: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Holds one folder an exam.
    pub folder: PathBuf,
    #[serde(default = "keyframes_per_field")]
    pub keyframes_per_field: u32,
    /// With less than so many megabytes free on a disk that is written to that is a fault.
    #[serde(default = "least_free_mb")]
    pub least_free_mb: u64,
}

fn keyframes_per_field() -> u32 {
    crate::pipeline::KEYFRAMES_PER_FIELD
}

/// Room for some ten exams, a long day's work, so that it can be made between two of them: a large one keeps 64 frames of
/// a quarter of a megabyte, and half an hour of lines at 30 frames/s is some 50 megabytes.
pub fn least_free_mb() -> u64 {
    1000
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub path: PathBuf,
}
