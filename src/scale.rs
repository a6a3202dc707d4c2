//! Micrometres per pixel, and how they came to be known. There is no default: absent is absent.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a scale was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ScaleMethod {
    StageMicrometer,
    RulerInView,
    DeviceReading,
    Entered,
    /// A drawn picture, whose scale is part of the drawing.
    Simulated,
}

/// Micrometres per pixel of the full-resolution frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Scale {
    pub um_per_px: f64,
    pub how: ScaleMethod,
    /// When it was measured, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<jiff::Timestamp>,
    /// Who measured it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// From then on there is no scale until it is measured again; absent where it does not expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<jiff::Timestamp>,
}

/// What is known of a scale at a moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    pub scale: Option<Scale>,
    /// When the one that was measured last expired; absent where it holds, or none was measured.
    pub expired: Option<jiff::Timestamp>,
}

/// Finest and coarsest scale that a nailfold microscope can have: from a 2592 px sensor over half a
/// millimetre to a 320 px one over five.
pub const UM_PER_PX_RANGE: std::ops::RangeInclusive<f64> = 0.1..=20.0;

impl Scale {
    /// `None` when `um_per_px` is not a number within [`UM_PER_PX_RANGE`].
    pub fn new(um_per_px: f64, how: ScaleMethod) -> Option<Self> {
        UM_PER_PX_RANGE.contains(&um_per_px).then_some(Self { um_per_px, how, when: None, by: None, until: None })
    }
}
