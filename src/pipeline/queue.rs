//! The mailbox between two data threads: bounded, in order, and honest about what it gave up.
//!
//! A live source must never wait, so its mailboxes give up the oldest frame when they are full; the frame
//! does not vanish but becomes an `Ended` in its old place, and reaches the exam thread in order. That is what
//! crossbeam's channels cannot do, and why this one is our own. Replays block instead, and lose nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::ended::{End, Ended, Tiding};

/// Tidings that may wait behind a reader that does not read; more than two minutes at 30 frames/s. Beyond
/// it even a live source waits, and the driver counts what it loses.
const PASSED_MAX: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Live: the newest frame is worth more than the oldest.
    DropOldest,
    /// Replay: every frame is read.
    Block,
}

/// What can be given up, and leaves its name behind.
pub trait Frame {
    fn ended(&self, how: End) -> Ended;
}

#[derive(Debug)]
pub enum Item<T> {
    /// A frame to work on.
    Work(T),
    /// What was settled further up; to be handed on in order.
    Passed(Tiding),
}

/// The other end is gone: the pipeline is being shut down.
#[derive(Debug, PartialEq, Eq)]
pub struct Closed;

pub enum Popped<T> {
    Item(Item<T>),
    Idle,
    Closed,
}

struct State<T> {
    items: VecDeque<Item<T>>,
    work: usize,
    closed: bool,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    not_empty: Condvar,
    not_full: Condvar,
    depth: usize,
    policy: Policy,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn close(&self) {
        self.lock().closed = true;
        self.not_empty.notify_all();
        self.not_full.notify_all();
    }
}

pub struct Sender<T: Frame>(Arc<Shared<T>>);
pub struct Receiver<T: Frame>(Arc<Shared<T>>);

/// A mailbox for at most `depth` frames of work; one sender, one receiver.
pub fn mailbox<T: Frame>(depth: usize, policy: Policy) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State { items: VecDeque::with_capacity(PASSED_MAX + depth), work: 0, closed: false }),
        not_empty: Condvar::new(),
        not_full: Condvar::new(),
        depth: depth.max(1),
        policy,
    });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

impl<T: Frame> Sender<T> {
    /// Hands a frame on. When an older one had to be given up for it, that one comes back, so that its buffers
    /// can serve again.
    pub fn push(&self, frame: T) -> Result<Option<T>, Closed> {
        let mut state = self.0.lock();
        let mut evicted = None;
        loop {
            if state.closed {
                return Err(Closed);
            }
            if state.work < self.0.depth {
                break;
            }
            match self.0.policy {
                Policy::DropOldest => evicted = state.evict_oldest(),
                Policy::Block => {
                    state = self.0.not_full.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
                }
            }
        }
        state.items.push_back(Item::Work(frame));
        state.work += 1;
        drop(state);
        self.0.not_empty.notify_one();
        Ok(evicted)
    }

    /// Hands on what was settled before it got here.
    pub fn pass(&self, tiding: Tiding) -> Result<(), Closed> {
        let mut state = self.0.lock();
        loop {
            if state.closed {
                return Err(Closed);
            }
            if state.items.len() - state.work < PASSED_MAX {
                break;
            }
            state = self.0.not_full.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        state.items.push_back(Item::Passed(tiding));
        drop(state);
        self.0.not_empty.notify_one();
        Ok(())
    }

    /// Closes the mailbox from anywhere, for a sender that is stuck.
    pub fn closer(&self) -> impl FnOnce() + Send + 'static + use<T>
    where
        T: Send + 'static,
    {
        let shared = Arc::clone(&self.0);
        move || shared.close()
    }

    /// Tells from anywhere how many frames of work wait in here.
    pub fn depth(&self) -> impl Fn() -> usize + Send + Sync + 'static + use<T>
    where
        T: Send + 'static,
    {
        let shared = Arc::clone(&self.0);
        move || shared.lock().work
    }
}

impl<T: Frame> State<T> {
    fn evict_oldest(&mut self) -> Option<T> {
        let place = self.items.iter().position(|item| matches!(item, Item::Work(_)))?;
        let Item::Work(frame) = &self.items[place] else { return None };
        let ended = frame.ended(End::Dropped);
        self.work -= 1;
        match std::mem::replace(&mut self.items[place], Item::Passed(Tiding::Frame(ended))) {
            Item::Work(frame) => Some(frame),
            Item::Passed(_) => None,
        }
    }
}

impl<T: Frame> Receiver<T> {
    /// Waits at most `patience`; `Closed` once the sender is gone and everything was taken.
    pub fn pop(&self, patience: Duration) -> Popped<T> {
        let deadline = Instant::now() + patience;
        let mut state = self.0.lock();
        loop {
            if let Some(item) = state.items.pop_front() {
                if matches!(item, Item::Work(_)) {
                    state.work -= 1;
                }
                drop(state);
                self.0.not_full.notify_one();
                return Popped::Item(item);
            }
            if state.closed {
                return Popped::Closed;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Popped::Idle;
            }
            state = self.0.not_empty.wait_timeout(state, left).unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }
}

impl<T: Frame> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<T: Frame> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::FrameId;
    use crate::time::Stamp;

    const LONG: Duration = Duration::from_secs(20);

    #[derive(Debug, PartialEq)]
    struct Numbered(u64);

    impl Frame for Numbered {
        fn ended(&self, how: End) -> Ended {
            Ended::new(FrameId { run: 0, seq: self.0 }, Stamp::from_ms(self.0), how)
        }
    }

    fn drain(receiver: &Receiver<Numbered>) -> Vec<(u64, bool)> {
        let mut taken = Vec::new();
        loop {
            match receiver.pop(LONG) {
                Popped::Item(Item::Work(frame)) => taken.push((frame.0, true)),
                Popped::Item(Item::Passed(Tiding::Frame(ended))) => taken.push((ended.id.seq, false)),
                Popped::Item(Item::Passed(other)) => panic!("{other:?} was never sent"),
                Popped::Idle => panic!("waited for a sender that was gone"),
                Popped::Closed => return taken,
            }
        }
    }

    #[test]
    fn a_live_mailbox_gives_up_the_oldest_and_keeps_the_order() {
        let (sender, receiver) = mailbox(2, Policy::DropOldest);
        assert_eq!(sender.push(Numbered(1)), Ok(None));
        sender.pass(Tiding::Frame(Numbered(2).ended(End::Dropped))).unwrap();
        assert_eq!(sender.push(Numbered(3)), Ok(None));
        assert_eq!(sender.push(Numbered(4)), Ok(Some(Numbered(1))));
        drop(sender);
        assert_eq!(drain(&receiver), [(1, false), (2, false), (3, true), (4, true)]);
    }

    #[test]
    fn a_replay_mailbox_waits_and_loses_nothing() {
        let (sender, receiver) = mailbox(1, Policy::Block);
        let pusher = std::thread::spawn(move || {
            for n in 0..500 {
                assert_eq!(sender.push(Numbered(n)), Ok(None));
            }
        });
        let taken = drain(&receiver);
        pusher.join().unwrap();
        assert_eq!(taken, (0..500).map(|n| (n, true)).collect::<Vec<_>>());
    }

    #[test]
    fn a_sender_that_waits_is_woken_when_the_receiver_goes() {
        let (sender, receiver) = mailbox(1, Policy::Block);
        sender.push(Numbered(0)).unwrap();
        let pusher = std::thread::spawn(move || sender.push(Numbered(1)));
        drop(receiver);
        assert_eq!(pusher.join().unwrap(), Err(Closed));
    }

    proptest::proptest! {
        #[test]
        fn every_frame_comes_out_once_and_in_order(pops in proptest::collection::vec(0_usize..4, 1..60), depth in 1_usize..4) {
            let (sender, receiver) = mailbox(depth, Policy::DropOldest);
            let mut out = Vec::new();
            for (n, pops) in pops.iter().enumerate() {
                sender.push(Numbered(n as u64)).unwrap();
                for _ in 0..*pops {
                    match receiver.pop(Duration::ZERO) {
                        Popped::Item(Item::Work(frame)) => out.push(frame.0),
                        Popped::Item(Item::Passed(Tiding::Frame(ended))) => out.push(ended.id.seq),
                        Popped::Item(Item::Passed(_)) | Popped::Idle | Popped::Closed => {}
                    }
                }
                proptest::prop_assert!(sender.depth()() <= depth);
            }
            drop(sender);
            out.extend(drain(&receiver).iter().map(|(n, _)| n));
            proptest::prop_assert_eq!(out, (0..pops.len() as u64).collect::<Vec<_>>());
        }
    }
}
