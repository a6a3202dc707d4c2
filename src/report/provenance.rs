//! What produced a result: software, configuration, models, runtime, source.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SecondWords, SourceWords};
use crate::measured::Limits;

/// What produced a result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Provenance {
    /// Name and version.
    pub software: String,
    pub config_sha256: String,
    pub model: ModelWords,
    /// What finds the loops; absent where none are measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locator: Option<LocatorWords>,
    /// What counted as a loop; absent where none are measured, and in records from before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// Models that read along and do not decide.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub second: Vec<SecondWords>,
    pub runtime: RuntimeWords,
    pub source: SourceWords,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LocatorWords {
    pub name: String,
    pub version: String,
    /// Of the manifest, which names the digest of every other file of the bundle.
    pub sha256: String,
    pub cohort: String,
    pub validated_on_patients: bool,
    pub provider_running: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModelWords {
    pub name: String,
    pub version: String,
    /// Of the manifest, which names the digest of every other file of the bundle.
    pub sha256: String,
    pub scheme: String,
    pub labels: Vec<String>,
    pub cohort: String,
    pub validated_on_patients: bool,
}

impl ModelWords {
    /// Name and version.
    pub fn id(&self) -> String {
        format!("{} {}", self.name, self.version)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuntimeWords {
    pub library: String,
    pub version: String,
    pub sha256: String,
    pub providers_asked: Vec<String>,
    /// What really runs the nodes, with their number.
    pub provider_running: String,
    pub threads: u32,
}
