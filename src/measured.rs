//! What was measured on a picture: loops, the row they stand in, and what follows from them. Every length that
//! needs a scale is absent without one; what could not be measured is absent, never zero.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fast_track::Verdict;
use crate::finger::Finger;
use crate::frame::FrameId;

/// Apical width above which a loop of normal shape is a giant, in um. Texts differ between "above" and "from"
/// 50 um; this is "above".
pub const GIANT_UM: f32 = 50.0;
/// Apical width from which a loop is ectatic, in um.
pub const ECTATIC_UM: f32 = 20.0;

/// What counts as a loop of the row. Set on 51 real frames of nine subjects that the network never saw; how each
/// figure did is in docs/measure.md.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Score from which a tip is one. From 0.25 to 0.34 the density on traced frames goes from 1.0 a mm too many to
    /// 0.3 too few; at 0.30 it is right in the middle.
    pub least_score: f32,
    /// A tip of the row from here on may be a loop, though it is not counted; a counted one below `sure_score` may be
    /// none. Both widen the density's interval: with 0.20 and 0.50 it holds what was traced on nine frames in ten, where
    /// a loop either way alone held it on half (docs/measure.md).
    pub faint_score: f32,
    pub sure_score: f32,
    /// Two tips closer than this, or than 0.6 of their mean width, are one loop: the higher score stands. On traced
    /// frames 48 um gave the best densities of 24 to 64.
    pub apart_um: f32,
    /// How far behind its line, away from the nail, a tip of the row may stand, in um: which tips are distal the network says, and this only
    /// leaves out what is far astray. From 370 to 460 um counts agree best with a reader's; with 220 loops of full rows
    /// are missed, and on traced frames the counts are no better (docs/measure.md).
    pub band_um: f32,
    /// How far before the line, towards the nail, in um. No distal loop stands far before the others, but scales and dirt
    /// on the nail do; with `band_um` there too, one more tip in a thousand counted on real frames.
    pub ahead_um: f32,
    /// Mean difference of the nail's probability ahead of the line and behind it, below which there is no row.
    /// The 19 real frames with a counted line have 0.42 to 0.85.
    pub least_edge: f32,
    /// Probability of an abnormal shape from which a loop is not evaluable, and from which it is abnormal. Of drawn
    /// loops three in four abnormal ones have more than 0.95, nine in ten more than 0.19, and 99 in 100 others less
    /// than 0.15.
    pub doubtful_shape: f32,
    pub abnormal_shape: f32,
    /// Share by which an apical width may be off: nearly twice the mean error on drawn giants, for on real ones nobody knows it.
    pub width_error: f32,
    /// Two widths of one loop, told by two networks, of which one is more than this many times the other leave it unknown
    /// where a giant is in question. On drawn frames that is so of one wide loop in sixty, and both are off by 20 um and
    /// more (docs/measure.md).
    pub widths_apart: f32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            least_score: 0.30,
            faint_score: 0.20,
            sure_score: 0.50,
            apart_um: 48.0,
            band_um: 400.0,
            ahead_um: 220.0,
            least_edge: 0.3,
            doubtful_shape: 0.3,
            abnormal_shape: 0.6,
            width_error: 0.16,
            widths_apart: 1.5,
        }
    }
}

impl Limits {
    /// The first limit that has another value in `other`, with both values.
    pub fn first_other(&self, other: &Self) -> Option<String> {
        // By way of text, in which a limit has the digits that it is written with.
        let by_name = |limits: &Self| -> serde_json::Map<String, serde_json::Value> {
            serde_json::to_string(limits).and_then(|text| serde_json::from_str(&text)).unwrap_or_default()
        };
        let (ours, theirs) = (by_name(self), by_name(other));
        let (name, value) = ours.iter().find(|(name, value)| theirs.get(*name) != Some(value))?;
        let found = theirs.get(name).unwrap_or(&serde_json::Value::Null);
        Some(format!("{name}: expected {value}, found {found}"))
    }
}

/// What a loop is, by its apical width and the shape of its tip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoopClass {
    /// Normal shape, apical width below 20 um.
    Normal,
    /// Normal shape, 20 to 50 um.
    Ectatic,
    /// Normal shape, above 50 um.
    Giant,
    /// Branched, bushy, or with a tip that is not convex; of any width.
    Abnormal,
    /// Shape or width cannot be told.
    NotEvaluable,
}

/// One loop. Places are pixels of the frame, from its upper left corner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Loop {
    pub apex: [f32; 2],
    /// Unit vector from the limbs to the tip.
    pub toward: [f32; 2],
    /// Absent without a scale, or where no wall of the vessel could be found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apical_um: Option<f32>,
    pub class: LoopClass,
    /// Stands in the distal row and was counted.
    pub counted: bool,
    /// The network's own certainty, 0 to 1; no probability.
    pub score: f32,
    /// From the tip along the limbs, as far as they are seen.
    pub centreline: Vec<[f32; 2]>,
}

/// A bleeding near the row.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Haemorrhage {
    pub at: [f32; 2],
    /// Of a circle of the same area, in pixels.
    pub radius_px: f32,
}

/// A stretch of the row without a loop.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Gap {
    pub from: [f32; 2],
    pub to: [f32; 2],
    pub length_um: f32,
}

/// A figure and how far off it may be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    pub value: f32,
    pub low: f32,
    pub high: f32,
}

impl Interval {
    /// Whether `edge` lies within it, so that loops in doubt could change which side the figure is on.
    pub fn crosses(&self, edge: f32) -> bool {
        self.low <= edge && edge <= self.high
    }
}

/// Why nothing, or not all, was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotMeasured {
    /// Micrometres per pixel are not known: loops are counted, as if the picture showed 1.57 mm, and nothing is measured.
    NoScale,
    /// No distal row could be found, or loops and the nail's edge disagree on where it is.
    NoRow,
    /// Less than half a millimetre of the row is in view.
    ShortRow,
    /// The frames of a field do not agree with each other.
    Disagreement,
}

impl NotMeasured {
    pub const fn words(self) -> &'static str {
        match self {
            Self::NoScale => "the scale is not known: loops are only counted",
            Self::NoRow => "no distal row was found",
            Self::ShortRow => "less than half a millimetre of the distal row is in view",
            Self::Disagreement => "the frames of the field do not agree on the loops",
        }
    }
}

/// Everything measured on one picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Measured {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub um_per_px: Option<f64>,
    /// The line on which the distal tips stand; empty where no row was found.
    pub row: Vec<[f32; 2]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_mm: Option<f32>,
    pub loops: Vec<Loop>,
    /// Loops of the distal row; absent where no row was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<u32>,
    /// Loops a millimetre of the row: from without those that may be none to with those too faint to be counted, and a
    /// loop either way at the least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub density_per_mm: Option<Interval>,
    /// Of the counted ones. Absent where a width or a shape that decides it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub giants: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ectatic: Option<u32>,
    /// Counted loops of abnormal shape. Absent where no shape could be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abnormal: Option<u32>,
    /// Middle of the counted loops' apical widths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub median_apical_um: Option<f32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub widest_apical_um: Option<f32>,
    pub haemorrhages: Vec<Haemorrhage>,
    /// Stretches of more than half a millimetre without a loop.
    pub gaps: Vec<Gap>,
    pub fast_track: Verdict,
    /// Loops in doubt, or a width a little other, would change the density's side of 3 or 7 a mm, or the category.
    pub borderline: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_measured: Option<NotMeasured>,
}

/// The figures of the loops that classical models may read, by name and in this order.
pub const FIGURES: [&str; 5] =
    ["shape_density_per_mm", "shape_median_width_um", "shape_largest_width_um", "shape_giants", "shape_loops"];

impl Measured {
    /// What `FIGURES` names, or why it is not all known.
    pub fn figures(&self) -> Result<[f32; 5], &'static str> {
        let density = self.density_per_mm.ok_or_else(|| self.not_measured.unwrap_or(NotMeasured::NoRow).words())?;
        let (median, widest) =
            self.median_apical_um.zip(self.widest_apical_um).ok_or("no width of a counted loop is known")?;
        let giants = self.giants.ok_or("whether a counted loop is a giant is not known")?;
        let counted = self.counted.ok_or("how many loops stand in the row is not known")?;
        Ok([density.value, median, widest, giants as f32, counted as f32])
    }
}

/// A picture on which nothing was measured, and why.
pub fn nothing(why: NotMeasured) -> Measured {
    Measured {
        um_per_px: None,
        row: Vec::new(),
        row_mm: None,
        loops: Vec::new(),
        counted: None,
        density_per_mm: None,
        giants: None,
        ectatic: None,
        abnormal: None,
        median_apical_um: None,
        widest_apical_um: None,
        haemorrhages: Vec::new(),
        gaps: Vec::new(),
        fast_track: Verdict::Undetermined,
        borderline: false,
        not_measured: Some(why),
    }
}

/// What a reader says of a loop on a frame that was measured. The loop is told by a place near its tip, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "correction", rename_all = "snake_case")]
pub enum Correction {
    /// Stands in the distal row and was not found, or was found and not counted.
    Added {
        apex: [f32; 2],
        class: LoopClass,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        apical_um: Option<f32>,
    },
    /// Is no loop of the distal row.
    Removed { apex: [f32; 2] },
    /// Is of another class, or of another width. A width that the reader does not give is not known any more.
    Reclassified {
        apex: [f32; 2],
        class: LoopClass,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        apical_um: Option<f32>,
    },
}

/// The loops of one frame. Frames are measured at their own pace, so its finding may stand some lines before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FrameMeasured {
    pub frame: FrameId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finger: Option<Finger>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<u32>,
    #[serde(flatten)]
    pub measured: Measured,
}

/// A field: its measured frames that agree with each other, pooled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FieldMeasured {
    /// Frames on which a density was measured.
    pub frames: u32,
    /// Of them, those that agree with the middle one within a loop and a half a mm: the figures are theirs.
    pub agreeing: u32,
    /// Loops of the distal row in view; absent where no row was found. The one figure that needs no scale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub density_per_mm: Option<Interval>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub giants: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abnormal: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub haemorrhages: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub median_apical_um: Option<f32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub widest_apical_um: Option<f32>,
    pub fast_track: Verdict,
    pub borderline: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_measured: Option<NotMeasured>,
}

/// An exam: over its measured fingers, thumbs left out. No rule says what these make of a patient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExamMeasured {
    pub fingers: u32,
    /// Mean of the fingers' means.
    pub density_mean_per_mm: f32,
    /// Of any field.
    pub density_least_per_mm: f32,
    /// Fingers with a giant in any field; absent where giants are not known in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingers_with_giants: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub widest_apical_um: Option<f32>,
}

/// A finger: over its measured fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FingerMeasured {
    pub fields: u32,
    pub density_mean_per_mm: f32,
    pub density_least_per_mm: f32,
    /// Of all its fields; absent where they are not known in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub giants: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub widest_apical_um: Option<f32>,
}
