//! Notices that the machine was suspended: the clock that stands still in the meantime falls behind the one that does
//! not. Frames bear stamps of the former, so that nothing else would tell.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The two clocks are read one after the other: less than this apart is the reading, more is sleep.
const LEAST: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub struct Sleep {
    behind: Duration,
}

impl Default for Sleep {
    fn default() -> Self {
        Self { behind: behind() }
    }
}

/// How far the one clock has fallen behind the other since the machine was started.
fn behind() -> Duration {
    let read = |id| {
        let now = clock_gettime(id);
        Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
    };
    let monotonic = read(ClockId::Monotonic);
    read(ClockId::Boottime).saturating_sub(monotonic)
}

impl Sleep {
    /// How long the machine has slept since it was last asked.
    pub fn since_last(&mut self) -> Option<Duration> {
        self.fell(behind())
    }

    fn fell(&mut self, behind: Duration) -> Option<Duration> {
        let slept = behind.saturating_sub(self.behind);
        self.behind = behind;
        (slept >= LEAST).then_some(slept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_is_told_once_and_the_reading_of_two_clocks_is_none() {
        let s = Duration::from_secs;
        let mut sleep = Sleep { behind: s(100) };
        assert_eq!(sleep.fell(s(100) + Duration::from_millis(3)), None);
        assert_eq!(sleep.fell(s(130)), Some(s(30) - Duration::from_millis(3)));
        assert_eq!(sleep.fell(s(130)), None);
        assert_eq!(sleep.fell(s(90)), None, "a clock that was set back is no sleep");
        assert_eq!(Sleep::default().since_last(), None);
    }
}
