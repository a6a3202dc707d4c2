//! What leaves the service while it runs. This file owns the bus between the exam thread, which never waits,
//! and the readers, each of which has its own place in a bounded ring and is told what it missed.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use crate::report::{Event, Line, NOTICE, SCHEMA, Snapshot};

mod bounded;
pub mod control;
mod door;
pub mod http;
pub mod jsonl;
pub mod listen;
pub mod live;
pub mod metrics;
pub mod net;
pub mod protocol;
pub mod stream;
pub mod tls;
pub mod token;
pub mod web;

pub use net::{EmitError, Net, Settings, Wires};

/// Lines that a reader may fall behind before it misses some: half a minute at 30 lines a second.
pub const RING: usize = 1024;

/// The present state, with the head that its line bears.
#[derive(Clone, Debug)]
pub struct Present {
    pub at_ms: u64,
    pub date: Option<jiff::Timestamp>,
    pub exam: Option<String>,
    pub snapshot: Arc<Snapshot>,
}

/// The exam thread's end of all live outputs. Nothing here waits, for a reader or for the network.
#[derive(Clone, Debug)]
pub struct Bus {
    lines: broadcast::Sender<Arc<Entry>>,
    present: watch::Sender<Arc<Numbered>>,
    newest: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Numbered {
    n: u64,
    present: Present,
    text: OnceLock<Arc<str>>,
}

impl Numbered {
    fn new(n: u64, present: Present) -> Self {
        Self { n, present, text: OnceLock::new() }
    }

    /// Its line; serialised once, by the first reader that needs it.
    fn text(&self) -> Arc<str> {
        let make = || {
            let state = Event::State(Box::new(Snapshot::clone(&self.present.snapshot)));
            serialise(&own_line(self.n, &self.present, state))
        };
        self.text.get_or_init(make).clone()
    }
}

/// A published line. It is serialised once, by the first reader that needs it, on the network's thread.
#[derive(Debug)]
struct Entry {
    line: Arc<Line>,
    text: OnceLock<Arc<str>>,
}

impl Entry {
    fn text(&self) -> Arc<str> {
        self.text.get_or_init(|| serialise(&self.line)).clone()
    }
}

fn serialise(line: &Line) -> Arc<str> {
    let mut text = serde_json::to_string(line).expect("a line holds only numbers, text and maps with text keys");
    text.push('\n');
    text.into()
}

impl Bus {
    /// `first` is what a reader is told that comes before anything has happened.
    pub fn new(ring: usize, first: Present) -> Self {
        Self {
            lines: broadcast::Sender::new(ring.max(1)),
            present: watch::Sender::new(Arc::new(Numbered::new(0, first))),
            newest: Arc::new(AtomicU64::new(0)),
        }
    }

    /// Overwrites the oldest line of a full ring.
    pub fn publish(&self, line: Arc<Line>) {
        self.newest.store(line.n, Ordering::Relaxed);
        // An error means that nobody reads, which is no trouble of the publisher's.
        let _ = self.lines.send(Arc::new(Entry { line, text: OnceLock::new() }));
    }

    /// Replaces the present state. Readers are shown the newest one, not each.
    pub fn present(&self, present: Present) {
        let n = self.newest.load(Ordering::Relaxed);
        self.present.send_replace(Arc::new(Numbered::new(n, present)));
    }

    /// Readers that are there now.
    pub fn readers(&self) -> usize {
        self.lines.receiver_count()
    }

    pub fn latest(&self) -> Present {
        self.present.borrow().present.clone()
    }

    /// Number of the newest line.
    pub fn newest(&self) -> u64 {
        self.newest.load(Ordering::Relaxed)
    }

    pub(crate) fn reader(&self, state_every: Duration) -> Reader {
        let lines = self.lines.subscribe();
        let present = self.present.subscribe();
        Reader { lines, present, state_every, state_due: None, waiting: VecDeque::new() }
    }
}

/// What a reader is given next.
#[derive(Debug)]
pub(crate) struct Given {
    pub text: Arc<str>,
    /// Lines lost to this reader since the last.
    pub missed: u64,
}

/// One reader's place in the ring.
#[derive(Debug)]
pub(crate) struct Reader {
    lines: broadcast::Receiver<Arc<Entry>>,
    present: watch::Receiver<Arc<Numbered>>,
    state_every: Duration,
    /// When the next state may go out; `None` before the first one, which goes out at once.
    state_due: Option<Instant>,
    waiting: VecDeque<Given>,
}

impl Reader {
    /// The next text to send; `None` when the bus is closed and all has been given. May be cancelled.
    pub async fn next(&mut self) -> Option<Given> {
        if let Some(given) = self.waiting.pop_front() {
            return Some(given);
        }
        let Some(due) = self.state_due else { return Some(self.state()) };
        tokio::select! {
            line = self.lines.recv() => match line {
                Ok(entry) => Some(Given { text: entry.text(), missed: 0 }),
                Err(RecvError::Lagged(missed)) => Some(self.jump(missed)),
                Err(RecvError::Closed) => None,
            },
            true = fresh_state(due, &mut self.present) => Some(self.state()),
        }
    }

    /// What can be had without waiting: the rest, at the end of the service.
    pub fn try_next(&mut self) -> Option<Given> {
        if let Some(given) = self.waiting.pop_front() {
            return Some(given);
        }
        match self.lines.try_recv() {
            Ok(entry) => Some(Given { text: entry.text(), missed: 0 }),
            Err(TryRecvError::Lagged(missed)) => Some(self.jump(missed)),
            Err(TryRecvError::Empty | TryRecvError::Closed) => None,
        }
    }

    fn state(&mut self) -> Given {
        self.state_due = Some(Instant::now() + self.state_every);
        let numbered = self.present.borrow_and_update().clone();
        Given { text: numbered.text(), missed: 0 }
    }

    /// Skips to the newest line, says how many were lost on the way, and lets a state follow at once.
    fn jump(&mut self, mut missed: u64) -> Given {
        let mut newest: Option<Arc<Entry>> = None;
        for _ in 0..self.lines.len() {
            match self.lines.try_recv() {
                Ok(entry) => missed += u64::from(newest.replace(entry).is_some()),
                Err(TryRecvError::Lagged(more)) => missed += more + u64::from(newest.take().is_some()),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        let numbered = self.present.borrow().clone();
        let before = newest.as_ref().map_or(numbered.n, |entry| entry.line.n.saturating_sub(1));
        let line = own_line(before, &numbered.present, Event::Missed { lines: missed });
        self.waiting.extend(newest.map(|entry| Given { text: entry.text(), missed: 0 }));
        self.state_due = self.state_due.map(|_| Instant::now());
        self.present.mark_changed();
        Given { text: serialise(&line), missed }
    }
}

/// A line made for one reader: it bears the number of the last line before it.
fn own_line(n: u64, present: &Present, event: Event) -> Line {
    Line {
        schema: SCHEMA,
        n,
        at_ms: present.at_ms,
        date: present.date,
        exam: present.exam.clone(),
        notice: NOTICE.to_owned(),
        event,
    }
}

async fn fresh_state(due: Instant, present: &mut watch::Receiver<Arc<Numbered>>) -> bool {
    tokio::time::sleep_until(due).await;
    present.changed().await.is_ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::report::{Fault, FaultKind, ModelWords};

    pub(crate) fn present() -> Present {
        let model = ModelWords {
            name: "arithmetic".into(),
            version: "1.0.0".into(),
            sha256: "00".repeat(32),
            scheme: "fast-track".into(),
            labels: vec!["category 1".into(), "category 2".into()],
            cohort: "synthetic".into(),
            validated_on_patients: false,
        };
        let snapshot = Snapshot::before(model, "cpu".into());
        Present { at_ms: 0, date: None, exam: None, snapshot: Arc::new(snapshot) }
    }

    pub(crate) fn line(n: u64) -> Arc<Line> {
        let fault =
            Fault { kind: FaultKind::Source, message: format!("message {n}"), action: "look".into(), cleared: false };
        Arc::new(own_line(n, &present(), Event::Fault(fault)))
    }

    fn read(given: &Given) -> Line {
        assert!(given.text.ends_with('\n') && given.text.matches('\n').count() == 1, "{:?}", given.text);
        serde_json::from_str(&given.text).unwrap()
    }

    #[tokio::test]
    async fn the_state_comes_first_and_then_each_line_once() {
        let bus = Bus::new(8, present());
        bus.publish(line(1));
        let mut reader = bus.reader(Duration::from_secs(1));
        bus.publish(line(2));
        bus.publish(line(3));
        assert!(matches!(read(&reader.next().await.unwrap()).event, Event::State(_)));
        assert_eq!(read(&reader.next().await.unwrap()).n, 2);
        assert_eq!(read(&reader.next().await.unwrap()).n, 3);
        drop(bus);
        assert!(reader.next().await.is_none());
    }

    #[tokio::test]
    async fn a_slow_reader_is_told_the_exact_number_and_jumps_to_the_newest() {
        let bus = Bus::new(8, present());
        let mut reader = bus.reader(Duration::from_secs(1));
        reader.next().await.unwrap();
        for n in 1..=1000 {
            bus.publish(line(n));
        }
        let missed = read(&reader.next().await.unwrap());
        assert_eq!((missed.n, missed.event), (999, Event::Missed { lines: 999 }));
        assert_eq!(read(&reader.next().await.unwrap()).n, 1000);
        assert!(matches!(read(&reader.next().await.unwrap()).event, Event::State(_)), "no state after a miss");
    }

    #[tokio::test]
    async fn states_are_sent_newest_only_and_not_more_often_than_asked() {
        let bus = Bus::new(8, present());
        let (mut eager, mut calm) = (bus.reader(Duration::ZERO), bus.reader(Duration::from_secs(3600)));
        for reader in [&mut eager, &mut calm] {
            reader.next().await.unwrap();
        }
        for at_ms in 1..=50 {
            bus.present(Present { at_ms, ..present() });
        }
        assert_eq!(read(&eager.next().await.unwrap()).at_ms, 50);
        for reader in [&mut eager, &mut calm] {
            let mut next = std::pin::pin!(reader.next());
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(next.as_mut().poll(&mut context).is_pending(), "a state went out that nobody was owed");
        }
    }

    #[tokio::test]
    async fn at_the_end_the_rest_is_given_without_waiting() {
        let bus = Bus::new(8, present());
        let mut reader = bus.reader(Duration::from_secs(1));
        bus.publish(line(1));
        bus.publish(line(2));
        let rest: Vec<u64> = std::iter::from_fn(|| reader.try_next()).map(|g| read(&g).n).collect();
        assert_eq!(rest, [1, 2]);
    }
}
