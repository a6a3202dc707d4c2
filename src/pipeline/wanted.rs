//! Whether anyone needs frames. With no exam open and nobody looking, a live source is left alone: a workstation that
//! waits for its next patient has better things to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

type Look = Arc<dyn Fn() -> bool + Send + Sync>;

#[derive(Clone)]
pub struct Wanted {
    exam: Arc<AtomicBool>,
    watched: Look,
}

impl Wanted {
    /// Frames are wanted whenever `watched` says so, and while an exam is open.
    pub fn when(watched: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { exam: Arc::default(), watched: Arc::new(watched) }
    }

    /// A recording is read to its end, and a script to its last cue.
    pub fn always() -> Self {
        Self::when(|| true)
    }

    pub fn exam_open(&self, open: bool) {
        self.exam.store(open, Ordering::Relaxed);
    }

    pub fn now(&self) -> bool {
        self.exam.load(Ordering::Relaxed) || (self.watched)()
    }
}
