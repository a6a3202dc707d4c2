//! Several readers at one mailbox: each takes the next item when it is free, and hands its result on when it is that
//! item's turn, so that whoever comes behind sees the order of one reader.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::counters::Beat;
use super::queue::{Frame, Item, Popped, Receiver};

/// One reader's place at the mailbox. Cloning makes a place for another.
pub struct Turns<T: Frame>(Arc<Shared<T>>);

impl<T: Frame> Clone for Turns<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Shared<T: Frame> {
    /// Whoever holds it is the next to take an item.
    door: Mutex<Door<T>>,
    /// Items handed on so far; `None` once a reader was lost, whose turn never ends.
    handed_on: Mutex<Option<u64>>,
    changed: Condvar,
    beat: Beat,
}

struct Door<T: Frame> {
    input: Receiver<T>,
    taken: u64,
}

/// The right to hand on what came of one item.
pub struct Turn<'a, T: Frame> {
    shared: &'a Shared<T>,
    number: u64,
    done: bool,
}

pub enum Taken<'a, T: Frame> {
    Item(Item<T>, Turn<'a, T>),
    Idle,
    Closed,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Frame> Turns<T> {
    /// `beat` advances with every item handed on, and while there is nothing to do; not while any reader is stuck.
    pub fn new(input: Receiver<T>, beat: Beat) -> Self {
        let door = Mutex::new(Door { input, taken: 0 });
        Self(Arc::new(Shared { door, handed_on: Mutex::new(Some(0)), changed: Condvar::new(), beat }))
    }

    /// Waits at most `patience` once it is this reader's turn to take.
    pub fn take(&self, patience: Duration) -> Taken<'_, T> {
        let mut door = lock(&self.0.door);
        match door.input.pop(patience) {
            Popped::Item(item) => {
                let number = door.taken;
                door.taken += 1;
                Taken::Item(item, Turn { shared: &self.0, number, done: false })
            }
            Popped::Idle => {
                if *lock(&self.0.handed_on) == Some(door.taken) {
                    self.0.beat.tick();
                }
                Taken::Idle
            }
            Popped::Closed => Taken::Closed,
        }
    }
}

impl<T: Frame> Turn<'_, T> {
    /// Hands on by `send` once all items before have been handed on. False when nobody takes results any more.
    pub fn hand_on(mut self, send: impl FnOnce() -> bool) -> bool {
        let mut handed_on = lock(&self.shared.handed_on);
        while handed_on.is_some_and(|count| count < self.number) {
            handed_on = self.shared.changed.wait(handed_on).unwrap_or_else(PoisonError::into_inner);
        }
        if handed_on.is_none() {
            return false;
        }
        drop(handed_on);
        if !send() {
            return false;
        }
        *lock(&self.shared.handed_on) = Some(self.number + 1);
        self.done = true;
        self.shared.changed.notify_all();
        self.shared.beat.tick();
        true
    }
}

/// A turn that was not taken, because its reader is gone, must not leave the others waiting.
impl<T: Frame> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        if !self.done {
            *lock(&self.shared.handed_on) = None;
            self.shared.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::FrameId;
    use crate::pipeline::ended::{End, Ended};
    use crate::pipeline::queue::{Policy, Sender, mailbox};
    use crate::time::Stamp;

    const LONG: Duration = Duration::from_secs(20);

    struct Numbered(u64);

    impl Frame for Numbered {
        fn ended(&self, how: End) -> Ended {
            Ended::new(FrameId { run: 0, seq: self.0 }, Stamp::from_ms(self.0), how)
        }
    }

    fn numbers(count: u64) -> (Turns<Numbered>, Sender<Numbered>, Beat) {
        let (sender, receiver) = mailbox(count as usize + 1, Policy::Block);
        (0..count).for_each(|n| assert!(sender.push(Numbered(n)).is_ok()));
        let beat = Beat::default();
        (Turns::new(receiver, beat.clone()), sender, beat)
    }

    fn number(item: &Item<Numbered>) -> u64 {
        match item {
            Item::Work(numbered) => numbered.0,
            Item::Passed(_) => panic!("only frames were sent"),
        }
    }

    #[test]
    fn whoever_is_first_done_waits_for_those_before() {
        let (turns, sender, beat) = numbers(2);
        let Taken::Item(first, first_turn) = turns.take(LONG) else { panic!("two items wait") };
        let Taken::Item(second, second_turn) = turns.take(LONG) else { panic!("one item waits") };
        assert_eq!((number(&first), number(&second)), (0, 1));
        let (out, handed_on) = crossbeam_channel::unbounded();
        let later = out.clone();
        std::thread::scope(|scope| {
            scope.spawn(move || second_turn.hand_on(|| later.send(1).is_ok()));
            assert!(matches!(turns.take(Duration::ZERO), Taken::Idle));
            assert_eq!((beat.count(), handed_on.len()), (0, 0), "no sign of life while the first is not done");
            assert!(first_turn.hand_on(|| out.send(0).is_ok()));
        });
        assert_eq!(handed_on.try_iter().collect::<Vec<_>>(), [0, 1]);
        assert!(matches!(turns.take(Duration::ZERO), Taken::Idle));
        assert_eq!(beat.count(), 3, "two results, and one look at an empty mailbox");
        drop(sender);
        assert!(matches!(turns.take(LONG), Taken::Closed));
    }

    #[test]
    fn many_readers_keep_the_order_of_one() {
        let (turns, sender, _) = numbers(2000);
        drop(sender);
        let (out, handed_on) = crossbeam_channel::unbounded();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let (turns, out) = (turns.clone(), out.clone());
                scope.spawn(move || {
                    while let Taken::Item(item, turn) = turns.take(LONG) {
                        assert!(turn.hand_on(|| out.send(number(&item)).is_ok()));
                    }
                });
            }
        });
        drop(out);
        assert!(handed_on.iter().eq(0..2000));
    }

    #[test]
    fn a_lost_reader_frees_those_behind_it() {
        let (turns, _sender, _) = numbers(2);
        let Taken::Item(_, lost) = turns.take(LONG) else { panic!("two items wait") };
        let Taken::Item(_, behind) = turns.take(LONG) else { panic!("one item waits") };
        std::thread::scope(|scope| {
            let waiting = scope.spawn(move || behind.hand_on(|| true));
            drop(lost);
            assert!(!waiting.join().unwrap());
        });
    }
}
