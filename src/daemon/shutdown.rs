//! The way down: each thread is waited for at most until a deadline, and whoever is late is named. A device that does not
//! let go of its thread keeps nobody else from ending well.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// All steps together; below systemd's TimeoutStopSec, above the slowest inference.
pub const DEADLINE: Duration = Duration::from_secs(4);
/// How long the capture thread may take to leave its device before the frames are ended without it. A camera that
/// answers nothing holds whoever asks it for ten seconds and more.
const LET_GO: Duration = Duration::from_secs(1);

/// A thread that did not end in time, or ended in a panic.
#[derive(Debug, thiserror::Error)]
pub enum Unclean {
    #[error("the {0} thread did not end within {1:?}")]
    Late(&'static str, Duration),
    #[error("the {0} thread panicked")]
    Panicked(&'static str),
}

type Thread = (&'static str, JoinHandle<()>);

/// Joins the threads in the order given, which is the order of the data; the capture thread last, and not at all when
/// its device holds it. `cut_off` ends the frames for the others.
pub fn join_all(threads: Vec<Thread>, cut_off: Box<dyn FnOnce() + Send>, deadline: Instant) -> Result<(), Unclean> {
    let (capture, others): (Vec<Thread>, Vec<Thread>) = threads.into_iter().partition(|(name, _)| *name == "capture");
    let let_go = deadline.min(Instant::now() + LET_GO);
    if !capture.iter().all(|(_, thread)| ends(thread, let_go)) {
        cut_off();
    }
    for (name, thread) in others {
        join(name, thread, deadline)?;
    }
    for (name, thread) in capture {
        match join(name, thread, deadline) {
            Err(Unclean::Late(..)) => tracing::warn!("the camera does not let go: it is left to the system"),
            joined => joined?,
        }
    }
    Ok(())
}

fn join(name: &'static str, thread: JoinHandle<()>, deadline: Instant) -> Result<(), Unclean> {
    let began = Instant::now();
    if !ends(&thread, deadline) {
        return Err(Unclean::Late(name, DEADLINE));
    }
    thread.join().map_err(|_| Unclean::Panicked(name))?;
    tracing::debug!(thread = name, waited_ms = began.elapsed().as_millis(), "joined");
    Ok(())
}

/// Whether it ends before the deadline.
fn ends(thread: &JoinHandle<()>, deadline: Instant) -> bool {
    while !thread.is_finished() {
        if Instant::now() >= deadline {
            return false;
        }
        // std has no join with a deadline; threads end within milliseconds of their queue's closing.
        std::thread::park_timeout(Duration::from_millis(2));
    }
    true
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    fn in_time() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    #[test]
    fn a_capture_thread_that_hangs_keeps_nobody_from_ending() {
        let (_keep, never) = channel::<()>();
        let stuck = std::thread::spawn(move || assert!(never.recv().is_err()));
        let (cut, when_cut) = channel::<()>();
        let reader = std::thread::spawn(move || when_cut.recv().unwrap());
        let cut_off = Box::new(move || cut.send(()).unwrap());
        let deadline = Instant::now() + LET_GO + Duration::from_secs(1);
        join_all(vec![("capture", stuck), ("read", reader)], cut_off, deadline).unwrap();
    }

    #[test]
    fn who_is_late_and_who_panicked_is_named() {
        let (_keep, never) = channel::<()>();
        let stuck = std::thread::spawn(move || assert!(never.recv().is_err()));
        let late = join_all(vec![("read", stuck)], Box::new(|| ()), Instant::now());
        assert!(matches!(late, Err(Unclean::Late("read", _))), "{late:?}");
        let panics = std::thread::spawn(|| panic!("as a test wants it"));
        let told = join_all(vec![("capture", panics)], Box::new(|| ()), in_time());
        assert!(matches!(told, Err(Unclean::Panicked("capture"))), "{told:?}");
        let well = vec![("capture", std::thread::spawn(|| ())), ("exam", std::thread::spawn(|| ()))];
        join_all(well, Box::new(|| ()), in_time()).unwrap();
    }
}
