//! What can become of a frame: the words for damage and refusal, the figures of the gate, and the tally
//! that must add up.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why the bytes of a frame gave no picture that may be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Damage {
    /// The driver marked the frame as damaged.
    Flagged,
    Empty,
    /// Not in the format that the source announced.
    Foreign,
    /// The picture ends before its last row.
    Cut,
    /// Bytes are missing or overwritten inside the entropy-coded data.
    Broken,
    /// Two pictures in one: the driver missed the end of the first.
    Merged,
    /// Fewer bytes than the announced size needs.
    Short,
    /// Larger or smaller than any frame we read.
    Size,
}

/// Why the gate refused a whole picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RejectReason {
    /// The driver's number or stamp did not advance.
    Frozen,
    Underexposed,
    /// Overexposed, or blanched by pressure: both leave a pale picture without loops.
    Overexposed,
    Glare,
    Motion,
    Defocus,
    NoNailfold,
    /// Fewer pixels a millimetre than the model was made for.
    Magnification,
    /// The model needs a scale and the source has none.
    NoScale,
    /// The model reads what is measured of the loops, and not all of that could be.
    LoopsUnmeasured,
}

impl RejectReason {
    /// The one thing for the operator to do now.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Frozen => "picture is frozen: check the cable, then restart the microscope",
            Self::Underexposed => "too dark: raise the light or the exposure",
            Self::Overexposed => "too bright or blanched: lower the light, ease the pressure",
            Self::Glare => "glare: add oil, or tilt the probe",
            Self::Motion => "hold still",
            Self::Defocus => "focus",
            Self::NoNailfold => "no nailfold in view: move to the cuticle",
            Self::Magnification => "magnification too low for the model: use the 200x lens",
            Self::NoScale => "no scale: calibrate this microscope and magnification",
            Self::LoopsUnmeasured => "loops cannot be measured: show the row of loops along the cuticle",
        }
    }
}

/// The gate's figures for one picture, all on a reduced luma picture; see `quality` for how each is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quality {
    /// Mean luma, 0 to 255.
    pub luma: f32,
    /// Share of the picture that is too dark to show a loop, 0 to 1.
    pub dark: f32,
    /// Share of the picture at or near white, 0 to 1.
    pub bright: f32,
    /// Share of the picture covered by specular highlights and their halo, 0 to 1.
    pub glare: f32,
    /// Fine contrast against noise; without unit, higher is sharper.
    pub sharpness: f32,
    /// Shift against the frame before, in thousandths of the picture's width; `None` for the first frame.
    pub motion: Option<f32>,
    /// How much the picture looks like perfused skin with loops in it; without unit.
    pub nailfold: f32,
    /// Weight of this frame when its field is pooled, above 0 and at most 1.
    pub weight: f32,
}

/// Where the view stands, by registration of pictures: offset since the source was opened, in widths and
/// heights of the picture. `None` once the track was lost (a jump, or nothing to hold on to).
pub type View = Option<[f32; 2]>;

/// How many frames ended how. `scored + rejected + undecodable + dropped + failed = produced`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tally {
    pub produced: u64,
    pub scored: u64,
    pub rejected: BTreeMap<RejectReason, u64>,
    pub undecodable: BTreeMap<Damage, u64>,
    /// Given up because a newer frame was there; live sources only.
    pub dropped: u64,
    /// Refused by the inference runtime.
    pub failed: u64,
    /// Gaps in the driver's numbers: frames that never reached us. Not part of `produced`.
    pub lost_before_capture: u64,
    /// Decoded with harmless stray bytes; these are counted under their own outcome as well.
    pub tolerated: u64,
}

impl Tally {
    pub fn ended(&self) -> u64 {
        self.scored + self.rejected() + self.undecodable() + self.dropped + self.failed
    }

    pub fn rejected(&self) -> u64 {
        self.rejected.values().sum()
    }

    pub fn undecodable(&self) -> u64 {
        self.undecodable.values().sum()
    }

    /// Whether every produced frame ended as exactly one thing.
    pub fn adds_up(&self) -> bool {
        self.ended() == self.produced
    }
}
