//! What travels from thread to thread beside the work itself: how each frame ended, exactly one way and in
//! order, and what the source has to say.

use std::time::{Duration, Instant};

use crate::frame::{FrameId, RawFrame};
use crate::infer::Scores;
use crate::measured::Measured;
use crate::outcome::{Damage, Quality, RejectReason, Tally, View};
use crate::report::{Fault, Recovery, SourceWords};
use crate::time::Stamp;

#[derive(Debug)]
pub enum Tiding {
    Frame(Ended),
    /// The loops of a live frame, which may have gone by some time ago.
    Measured {
        raw: RawFrame,
        measured: Box<Measured>,
    },
    /// What models that do not decide make of a live frame, which may have gone by some time ago.
    Opinions(Box<Opinions>),
    /// The locating network refused a frame.
    NotMeasured(String),
    /// The source is open, for the first time or again.
    Opened(Box<SourceWords>),
    /// The source is gone; it may come back.
    Lost {
        words: Box<SourceWords>,
        fault: Fault,
        /// The fault was told already, ahead of the frames before it.
        told: bool,
    },
    /// What is known of the open source is another than before.
    Changed(Box<SourceWords>),
    /// The lost source is being got back.
    Recovering(Recovery),
    /// The source gave its last frame. When a stop ends it this never comes.
    Finished,
    Fault(Fault),
}

#[derive(Debug)]
pub struct Ended {
    pub id: FrameId,
    pub at: Stamp,
    pub how: End,
    /// Decoded with harmless stray bytes.
    pub tolerated: bool,
    /// Gap in the driver's numbers before this frame.
    pub lost_before: u64,
}

#[derive(Debug)]
pub enum End {
    Scored(Box<Scored>),
    Rejected { reason: RejectReason, figures: Quality, view: View },
    Undecodable(Damage),
    Dropped,
    Failed(String),
}

/// A read frame, with all that its finding and its field need.
#[derive(Debug)]
pub struct Scored {
    pub raw: RawFrame,
    pub quality: Quality,
    pub view: View,
    pub logits: Vec<f32>,
    pub probs: Vec<f32>,
    pub out_of_cohort: bool,
    /// Where the reading waited for it.
    pub measured: Option<Box<Measured>>,
    /// Likewise.
    pub opinions: Option<Box<Opinions>>,
    /// Equal for copies of the same picture.
    pub fingerprint: u64,
    /// Of the model that read it.
    pub generation: u64,
    pub spent: Spent,
}

/// A frame as models that do not decide read it, with what their pools need to know of it.
#[derive(Debug)]
pub struct Opinions {
    pub frame: FrameId,
    pub at: Stamp,
    /// The gate's.
    pub weight: f32,
    pub fingerprint: u64,
    pub read: Vec<Read>,
}

#[derive(Debug)]
pub struct Read {
    /// Its place among the models that do not decide.
    pub model: usize,
    pub scores: Scores,
}

/// Where the time of one frame went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    pub decode: Duration,
    pub gate: Duration,
    pub preprocess: Duration,
    pub infer: Duration,
}

impl Spent {
    pub fn total(&self) -> Duration {
        self.decode + self.gate + self.preprocess + self.infer
    }
}

impl Ended {
    pub fn new(id: FrameId, at: Stamp, how: End) -> Self {
        Self { id, at, how, tolerated: false, lost_before: 0 }
    }

    /// Adds this frame to `tally`.
    pub fn count_in(&self, tally: &mut Tally) {
        tally.produced += 1;
        tally.lost_before_capture += self.lost_before;
        tally.tolerated += u64::from(self.tolerated);
        match &self.how {
            End::Scored(_) => tally.scored += 1,
            End::Rejected { reason, .. } => *tally.rejected.entry(*reason).or_default() += 1,
            End::Undecodable(damage) => *tally.undecodable.entry(*damage).or_default() += 1,
            End::Dropped => tally.dropped += 1,
            End::Failed(_) => tally.failed += 1,
        }
    }
}

/// Runs `work` and says how long it took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}
