//! Signs of life of the data threads, read by the watchdog.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Advances once a turn of its thread's loop, whether or not there was a frame; every wait in those loops is
/// bounded, so a thread that does not advance is stuck.
#[derive(Clone, Debug, Default)]
pub struct Beat(Arc<AtomicU64>);

impl Beat {
    pub fn tick(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// There is no such thread: nothing is to be waited for.
    pub fn rest(&self) {
        self.0.store(RESTING, Ordering::Relaxed);
    }
}

/// A beat that never moves and is not missed; no thread turns so often.
const RESTING: u64 = u64::MAX;

/// One for each data thread.
#[derive(Clone, Debug, Default)]
pub struct Beats {
    pub capture: Beat,
    pub prepare: Beat,
    /// Of a thread that need not be there.
    pub measure: Beat,
    /// Likewise.
    pub second: Beat,
    pub read: Beat,
    pub exam: Beat,
}

impl Beats {
    pub fn counts(&self) -> [(&'static str, u64); 6] {
        [
            ("capture", self.capture.count()),
            ("prepare", self.prepare.count()),
            ("measure", self.measure.count()),
            ("second", self.second.count()),
            ("read", self.read.count()),
            ("exam", self.exam.count()),
        ]
    }
}

/// Compares two looks at the beats; feeds the watchdog only when every thread moved on.
#[derive(Debug)]
pub struct Progress {
    beats: Beats,
    last: [(&'static str, u64); 6],
}

impl Progress {
    pub fn new(beats: Beats) -> Self {
        let last = beats.counts();
        Self { beats, last }
    }

    /// The threads that have not moved since the look before; empty when all is well.
    pub fn stuck(&mut self) -> Vec<&'static str> {
        let now = self.beats.counts();
        let stuck = now
            .iter()
            .zip(&self.last)
            .filter(|(now, last)| now.1 == last.1 && now.1 != RESTING)
            .map(|(now, _)| now.0)
            .collect();
        self.last = now;
        stuck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_still_thread_is_named() {
        let beats = Beats::default();
        beats.measure.rest();
        beats.second.rest();
        let mut progress = Progress::new(beats.clone());
        beats.capture.tick();
        beats.prepare.tick();
        beats.exam.tick();
        assert_eq!(progress.stuck(), ["read"]);
        beats.capture.tick();
        beats.prepare.tick();
        beats.read.tick();
        beats.exam.tick();
        assert_eq!(progress.stuck(), [""; 0]);
    }
}
