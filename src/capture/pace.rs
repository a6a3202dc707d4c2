//! How fast a recording is played: when each of its frames is due, and how long to wait for that.

use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::time::Stamp;

/// How fast a recording is played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// As it was recorded.
    RealTime,
    /// So many times as fast as it was recorded.
    Factor(f64),
    /// As fast as its frames are taken.
    #[default]
    AsFast,
}

impl Pace {
    /// Slower than a hundredth nothing seems to happen; beyond a thousand nothing waits any more.
    pub(super) const FACTORS: std::ops::RangeInclusive<f64> = 0.01..=1000.0;

    fn factor(self) -> Option<f64> {
        match self {
            Self::RealTime => Some(1.0),
            Self::Factor(factor) => Some(factor),
            Self::AsFast => None,
        }
    }

    /// Where a recorded stamp falls when it is played at this pace.
    pub(super) fn played(self, at: Stamp) -> Stamp {
        match self.factor() {
            None | Some(1.0) => at,
            Some(factor) => Stamp::from_ns((at.ns() as f64 / factor) as u64),
        }
    }
}

/// When the frames of one playing are due. Decides only; what waits is [`Hands`].
#[derive(Debug)]
pub(super) struct Pacer {
    pace: Pace,
    /// A moment on the clock of [`Hands`], and the played stamp that is due then.
    anchor: Option<(Duration, Duration)>,
}

impl Pacer {
    /// Stamp 0 is due when the clock began: what a camera does, whether or not someone looks.
    pub(super) fn from_zero(pace: Pace) -> Self {
        Self { pace, anchor: Some((Duration::ZERO, Duration::ZERO)) }
    }

    /// The first frame is due when it is first asked for.
    pub(super) fn from_first_frame(pace: Pace) -> Self {
        Self { pace, anchor: None }
    }

    /// How long frame `at` is not yet due. A late frame is due at once, and the frames after it catch up.
    pub(super) fn wait(&mut self, now: Duration, at: Stamp) -> Duration {
        if self.pace == Pace::AsFast {
            return Duration::ZERO;
        }
        let due = Duration::from_nanos(self.pace.played(at).ns());
        let (began, first) = *self.anchor.get_or_insert((now, due));
        (began + due.saturating_sub(first)).saturating_sub(now)
    }
}

/// A clock and a way to wait on it; tests bring their own.
pub(super) struct Hands {
    pub(super) now: Box<dyn Fn() -> Duration + Send>,
    pub(super) sleep: Box<dyn Fn(Duration) + Send>,
}

impl Hands {
    pub(super) fn real(origin: Instant) -> Self {
        Self { now: Box::new(move || origin.elapsed()), sleep: Box::new(std::thread::sleep) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn frames_fall_due_at_their_own_distance_divided_by_the_factor() {
        let mut pacer = Pacer::from_first_frame(Pace::Factor(2.0));
        assert_eq!(pacer.wait(7 * MS, Stamp::from_ms(2000)), Duration::ZERO);
        assert_eq!(pacer.wait(7 * MS, Stamp::from_ms(2100)), 50 * MS);
        assert_eq!(pacer.wait(40 * MS, Stamp::from_ms(2100)), 17 * MS);
    }

    #[test]
    fn a_late_frame_is_due_at_once_and_the_next_ones_catch_up() {
        let mut pacer = Pacer::from_first_frame(Pace::RealTime);
        pacer.wait(Duration::ZERO, Stamp::from_ms(0));
        assert_eq!(pacer.wait(500 * MS, Stamp::from_ms(100)), Duration::ZERO);
        assert_eq!(pacer.wait(500 * MS, Stamp::from_ms(600)), 100 * MS);
    }

    #[test]
    fn as_a_camera_the_time_runs_before_anyone_looks() {
        let mut pacer = Pacer::from_zero(Pace::RealTime);
        assert_eq!(pacer.wait(300 * MS, Stamp::from_ms(100)), Duration::ZERO);
        assert_eq!(pacer.wait(300 * MS, Stamp::from_ms(400)), 100 * MS);
    }

    #[test]
    fn as_fast_as_it_goes_nothing_waits() {
        let mut pacer = Pacer::from_first_frame(Pace::AsFast);
        assert_eq!(pacer.wait(Duration::ZERO, Stamp::from_ms(0)), Duration::ZERO);
        assert_eq!(pacer.wait(Duration::ZERO, Stamp::from_ms(1 << 40)), Duration::ZERO);
    }
}
