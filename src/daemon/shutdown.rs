//! The way down: each thread is waited for at most until a deadline, and whoever is late is named.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// All steps together; below systemd's TimeoutStopSec, above the slowest inference.
pub const DEADLINE: Duration = Duration::from_secs(4);

/// A thread that did not end in time, or ended in a panic.
#[derive(Debug, thiserror::Error)]
pub enum Unclean {
    #[error("the {0} thread did not end within {1:?}")]
    Late(&'static str, Duration),
    #[error("the {0} thread panicked")]
    Panicked(&'static str),
}

/// Joins the threads in the order given, which is the order of the data.
pub fn join_all(threads: Vec<(&'static str, JoinHandle<()>)>, deadline: Instant) -> Result<(), Unclean> {
    for (name, thread) in threads {
        let began = Instant::now();
        while !thread.is_finished() {
            if Instant::now() >= deadline {
                return Err(Unclean::Late(name, DEADLINE));
            }
            // std has no join with a deadline; threads end within milliseconds of their queue's closing.
            std::thread::park_timeout(Duration::from_millis(2));
        }
        thread.join().map_err(|_| Unclean::Panicked(name))?;
        tracing::debug!(thread = name, waited_ms = began.elapsed().as_millis(), "joined");
    }
    Ok(())
}
