//! What the pipeline shows of itself to health checks and metrics: a board that the exam thread writes now and
//! then and the network reads, and the depths of the mailboxes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::emit::metrics::{Gauges, Queue, Snapshot};

#[derive(Clone, Default)]
pub struct Board(Arc<Mutex<Snapshot>>);

impl Board {
    /// Holds the board for a moment; nothing slow may be done meanwhile.
    pub fn write(&self) -> MutexGuard<'_, Snapshot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells how many frames wait in a mailbox.
pub struct Depth {
    pub name: &'static str,
    pub capacity: usize,
    pub depth: Box<dyn Fn() -> usize + Send + Sync>,
}

/// What the network asks at each scrape.
pub fn gauges(board: Board, depths: Vec<Depth>) -> Gauges {
    Arc::new(move || {
        let mut snapshot = board.write().clone();
        snapshot.queues =
            depths.iter().map(|d| Queue { name: d.name, depth: (d.depth)(), capacity: d.capacity }).collect();
        snapshot
    })
}
