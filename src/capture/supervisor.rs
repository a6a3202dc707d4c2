//! What is tried next when a source was lost: a ladder from the least to the most, with a pause between two tries that
//! grows up to a limit. It decides and does nothing itself.

use std::time::Duration;

use super::CaptureErrorKind;
use crate::report::Rung;

/// Second pause, doubled from try to try, and the longest. The first try is made at once: most losses are a cable that
/// was touched.
const PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));
/// Longest pause while the device is waited for: a look at the kernel's tree of devices costs next to nothing, and
/// frames are to flow within two seconds of its return even where no event tells of it.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Try {
    pub rung: Rung,
    /// Before it.
    pub pause: Duration,
}

#[derive(Debug, Default)]
pub struct Ladder {
    may_reset: bool,
    /// Rungs that did not help since the source was last well.
    restarted: bool,
    reopened: bool,
    reset: bool,
    /// Tries since it was last open.
    tries: u32,
}

impl Ladder {
    pub fn new(may_reset: bool) -> Self {
        Self { may_reset, ..Self::default() }
    }

    /// The next try, after a failure of this kind.
    pub fn next(&mut self, kind: CaptureErrorKind) -> Try {
        let waiting = kind == CaptureErrorKind::NotFound;
        let rung = if waiting {
            Rung::Wait
        } else if kind == CaptureErrorKind::Stalled && !std::mem::replace(&mut self.restarted, true) {
            Rung::RestartStream
        } else if hangs(kind) && self.reopened && self.may_reset && !std::mem::replace(&mut self.reset, true) {
            Rung::UsbReset
        } else {
            self.reopened |= hangs(kind);
            Rung::Reopen
        };
        let pause = match self.tries {
            0 => Duration::ZERO,
            tries => (PAUSE.0 * 2_u32.saturating_pow((tries - 1).min(10))).min(if waiting { LOOK } else { PAUSE.1 }),
        };
        self.tries += 1;
        Try { rung, pause }
    }

    /// It is open again; whether that helped shows only when it gives frames for a while.
    pub fn opened(&mut self) {
        self.tries = 0;
    }

    /// It gave frames for a while: what comes next begins at the lowest rung.
    pub fn well(&mut self) {
        *self = Self::new(self.may_reset);
    }
}

/// The device is there and does not work: what a reset may mend.
fn hangs(kind: CaptureErrorKind) -> bool {
    matches!(kind, CaptureErrorKind::Stalled | CaptureErrorKind::Io)
}

#[cfg(test)]
mod tests {
    use super::*;
    use CaptureErrorKind::{Busy, Io, NotFound, Stalled};
    use Rung::{Reopen, RestartStream, UsbReset, Wait};

    fn climb(ladder: &mut Ladder, kinds: &[CaptureErrorKind]) -> Vec<Rung> {
        kinds.iter().map(|kind| ladder.next(*kind).rung).collect()
    }

    #[test]
    fn a_stalled_stream_is_restarted_then_reopened_then_reset_only_where_allowed() {
        let stalled = [Stalled; 5];
        assert_eq!(climb(&mut Ladder::new(false), &stalled), [RestartStream, Reopen, Reopen, Reopen, Reopen]);
        assert_eq!(climb(&mut Ladder::new(true), &stalled), [RestartStream, Reopen, UsbReset, Reopen, Reopen]);
    }

    #[test]
    fn a_rung_that_led_to_a_stream_without_frames_is_not_tried_again() {
        let mut ladder = Ladder::new(false);
        assert_eq!(ladder.next(Stalled).rung, RestartStream);
        ladder.opened();
        assert_eq!(ladder.next(Stalled).rung, Reopen);
        ladder.opened();
        ladder.well();
        assert_eq!(ladder.next(Stalled).rung, RestartStream);
    }

    #[test]
    fn what_is_gone_is_waited_for_and_what_is_taken_is_asked_for_again() {
        let kinds = [NotFound, NotFound, Busy, Io, Io];
        assert_eq!(climb(&mut Ladder::new(true), &kinds), [Wait, Wait, Reopen, Reopen, UsbReset]);
    }

    #[test]
    fn the_first_try_is_made_at_once_and_the_pauses_grow_to_a_limit() {
        let pauses = |kind| {
            let mut ladder = Ladder::new(false);
            (0..12).map(|_| ladder.next(kind).pause.as_millis()).collect::<Vec<_>>()
        };
        assert_eq!(pauses(Busy)[..7], [0, 250, 500, 1000, 2000, 4000, 5000]);
        assert_eq!(pauses(Busy)[11], 5000);
        assert_eq!(pauses(NotFound)[..5], [0, 250, 500, 1000, 1000]);
    }
}
