//! Moments on a source's own clock, and the clock that the edges read. No stage reads a clock.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Nanoseconds on the source's monotonic clock, taken when the frame was captured.
///
/// Live sources count from the start of the process; recordings count from their own first frame, so
/// that the same recording always bears the same stamps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Stamp(u64);

impl Stamp {
    pub const fn from_ns(ns: u64) -> Self {
        Self(ns)
    }

    pub const fn from_ms(ms: u64) -> Self {
        Self(ms * 1_000_000)
    }

    pub const fn ns(self) -> u64 {
        self.0
    }

    pub const fn ms(self) -> u64 {
        self.0 / 1_000_000
    }

    /// The time from `earlier` to here; zero when `earlier` is in fact later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// What the edges ask for the time.
///
/// `Live` counts from the start of the process and knows the date. `Recorded` stands still between
/// frames: its time is the stamp of the newest frame, and it knows the date only when the recording
/// says when it was made. A replay therefore writes the same bytes every time.
#[derive(Clone, Debug)]
pub enum Clock {
    Live { origin: Instant },
    Recorded { started: Option<jiff::Timestamp> },
}

impl Clock {
    pub fn live() -> Self {
        Self::Live { origin: Instant::now() }
    }

    /// The present moment; `None` for a recording, whose time only its frames know.
    pub fn now(&self) -> Option<Stamp> {
        match self {
            Self::Live { origin } => Some(Stamp::default().after(origin.elapsed())),
            Self::Recorded { .. } => None,
        }
    }

    /// The date at which `at` was, where it is known.
    pub fn date(&self, at: Stamp) -> Option<jiff::Timestamp> {
        match self {
            Self::Live { origin } => {
                let ago = origin.elapsed().saturating_sub(Duration::from_nanos(at.ns()));
                Some(jiff::Timestamp::now() - jiff::SignedDuration::try_from(ago).unwrap_or_default())
            }
            Self::Recorded { started } => {
                started.map(|s| s + jiff::SignedDuration::from_nanos(i64::try_from(at.ns()).unwrap_or(i64::MAX)))
            }
        }
    }
}
