//! How well loops are found and counted on frames that somebody has labelled: pure, from labels and measures to
//! figures and their page. What each figure is stands in docs/measure.md.

pub mod agreement;
mod distal;
pub mod drawn;
pub mod figures;
pub mod frame;
pub mod labels;
pub mod masks;
pub mod matching;
pub mod page;
mod peaks;
pub mod plot;
pub mod report;
mod thinning;

/// A place in a picture: pixels right and down from its upper left corner.
pub type Point = [f64; 2];

/// A found tip this near to a labelled one is that loop: half the least distance of neighbours in a normal row (7 to
/// 10 a mm) and the width of its head.
pub const MATCH_UM: f64 = 60.0;

/// Loops this near to a line that a reader has marked are on it: rows are curved, and the line is straight.
pub const LINE_BAND_UM: f64 = 500.0;
