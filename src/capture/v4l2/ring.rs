//! The ring of buffers between driver and us. It waits no longer than it is told to, skips to the newest good picture
//! when it has fallen behind, and gives every buffer back whatever happens.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::abi::{self, Buffer};
use super::node::{Node, Ready, Rows};

/// One is being filled, and five bridge 166 ms at 30 frames/s in which we do not get to run.
const BUFFERS: u32 = 6;

/// Up to so many ready frames are handed on in their order, one right after the other: on a busy machine several are
/// often ready at once, and whoever is slow further down gives up the oldest himself, and counts it. When all buffers
/// are full the driver has begun to lose frames, so we are behind, and only the newest good one counts.
const BACKLOG: usize = BUFFERS as usize - 1;

/// So often in a row a driver may tell of a frame and then have none.
const EMPTY_MOST: u32 = 8;

/// The step of the ring that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    Allocate,
    Start,
    Stop,
    Wait,
    Take,
    GiveBack,
}

impl Doing {
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Allocate => "cannot get buffers from",
            Self::Start => "cannot start the stream of",
            Self::Stop => "cannot stop the stream of",
            Self::Wait => "cannot wait for",
            Self::Take => "cannot take a frame from",
            Self::GiveBack => "cannot give a buffer back to",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) doing: Doing,
    pub(super) errno: Errno,
}

/// A picture out of the ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// The driver's number, counted on over restarts of the stream.
    pub(super) seq: u64,
    /// On CLOCK_MONOTONIC; absent where the driver stamps by another clock.
    pub(super) stamp: Option<Duration>,
    pub(super) bytes: Arc<[u8]>,
    /// The driver says that the picture is damaged.
    pub(super) flagged: bool,
}

pub(super) struct Ring {
    pub(super) node: Box<dyn Node>,
    /// Of raw pictures.
    rows: Option<Rows>,
    /// First pictures of a stream that are thrown away: while a sensor starts they are often torn or dark.
    discard: u32,
    left_to_discard: u32,
    allocated: u32,
    streaming: bool,
    /// Taken from the driver and not handed on yet, oldest first.
    ready: VecDeque<Buffer>,
    numbers: Numbers,
}

impl Ring {
    pub(super) fn new(node: Box<dyn Node>, rows: Option<Rows>, discard: u32) -> Self {
        Self {
            node,
            rows,
            discard,
            left_to_discard: 0,
            allocated: 0,
            streaming: false,
            ready: VecDeque::new(),
            numbers: Numbers::default(),
        }
    }

    pub(super) fn streaming(&self) -> bool {
        self.streaming
    }

    /// Gets the buffers without starting: from here on the driver lets nobody change the format.
    pub(super) fn prepare(&mut self) -> Result<(), Trouble> {
        if self.allocated > 0 {
            return Ok(());
        }
        let failed = |errno| Trouble { doing: Doing::Allocate, errno };
        self.allocated = self.node.allocate(BUFFERS).map_err(failed)?;
        // A driver without memory may give fewer than asked for; with fewer than two nothing flows.
        if self.allocated < 2 { Err(failed(Errno::NOMEM)) } else { Ok(()) }
    }

    pub(super) fn start(&mut self) -> Result<(), Trouble> {
        self.prepare()?;
        for index in 0..self.allocated {
            self.give_back(index)?;
        }
        self.node.start().map_err(|errno| {
            // The buffers are queued all the same: they come back by stopping what never began.
            let _told_already = self.node.stop();
            Trouble { doing: Doing::Start, errno }
        })?;
        self.streaming = true;
        self.left_to_discard = self.discard;
        self.numbers.stream_began();
        Ok(())
    }

    /// All buffers are ours again, even where the driver objects.
    pub(super) fn stop(&mut self) -> Result<(), Trouble> {
        self.ready.clear();
        if !std::mem::take(&mut self.streaming) {
            return Ok(());
        }
        self.node.stop().map_err(|errno| Trouble { doing: Doing::Stop, errno })
    }

    /// The next picture, or nothing within the patience. Those that are skipped show as a gap in the numbers.
    pub(super) fn take(&mut self, patience: Duration) -> Result<Option<Taken>, Trouble> {
        let began = Instant::now();
        let mut empty = 0;
        loop {
            if let Some(buffer) = self.ready.pop_front() {
                return self.read(&buffer).map(Some);
            }
            let left = patience.saturating_sub(began.elapsed());
            let discarded = self.left_to_discard;
            let ready = self.node.wait(left).map_err(|errno| Trouble { doing: Doing::Wait, errno })?;
            if ready == Ready::Not {
                return Ok(None);
            }
            self.drain()?;
            if self.ready.is_empty() && discarded == self.left_to_discard {
                // Told of something, and yet nothing to take: asking on and on would be a loop without end.
                if ready == Ready::Trouble || empty == EMPTY_MOST {
                    return Err(Trouble { doing: Doing::Wait, errno: Errno::IO });
                }
                empty += 1;
            }
        }
    }

    /// Takes all that is ready, and skips to the newest good one when that is too much.
    fn drain(&mut self) -> Result<(), Trouble> {
        loop {
            let buffer = match self.node.dequeue() {
                Ok(buffer) => buffer,
                Err(Errno::AGAIN) => break,
                // What lasts is met again at the next call; the pictures at hand are good.
                Err(_) if !self.ready.is_empty() => break,
                Err(errno) => return Err(Trouble { doing: Doing::Take, errno }),
            };
            if self.left_to_discard > 0 {
                self.left_to_discard -= 1;
                self.give_back(buffer.index)?;
            } else {
                self.ready.push_back(buffer);
            }
        }
        if self.ready.len() > BACKLOG {
            let newest = self.ready.iter().rposition(|buffer| !flagged(buffer)).unwrap_or(self.ready.len() - 1);
            let keep = self.ready[newest];
            for buffer in std::mem::take(&mut self.ready).iter().filter(|buffer| buffer.index != keep.index) {
                self.give_back(buffer.index)?;
            }
            self.ready.push_back(keep);
        }
        Ok(())
    }

    fn read(&mut self, buffer: &Buffer) -> Result<Taken, Trouble> {
        let bytes = self.node.copy(buffer.index, buffer.bytes_used as usize, self.rows);
        self.give_back(buffer.index)?;
        let (seq, flagged) = (self.numbers.of(buffer.sequence, flagged(buffer)), flagged(buffer));
        Ok(Taken { seq, stamp: stamp(buffer), bytes, flagged })
    }

    fn give_back(&mut self, index: u32) -> Result<(), Trouble> {
        self.node.queue(index).map_err(|errno| Trouble { doing: Doing::GiveBack, errno })
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // At a torn cable this fails, and there is nothing left to do about it: closing the file frees the rest.
        if let Err(trouble) = self.stop() {
            tracing::debug!(?trouble, "while the ring was closed");
        }
    }
}

fn flagged(buffer: &Buffer) -> bool {
    buffer.flags & abi::BUF_ERROR != 0
}

fn stamp(buffer: &Buffer) -> Option<Duration> {
    let monotonic = buffer.flags & abi::BUF_STAMP_MASK == abi::BUF_STAMP_MONOTONIC;
    let seconds = u64::try_from(buffer.seconds).ok().filter(|_| monotonic)?;
    let microseconds = u64::try_from(buffer.microseconds).ok().filter(|us| *us < 1_000_000)?;
    Some(Duration::from_secs(seconds) + Duration::from_micros(microseconds))
}

/// Turns the driver's 32-bit numbers, which begin anew with each stream, into one row of numbers. A number that stands
/// still or goes back does so in ours as well: that is how a frozen camera shows.
#[derive(Debug, Default)]
struct Numbers {
    next: u64,
    /// The driver's number, ours, and whether it came with an error.
    last: Option<(u32, u64, bool)>,
}

impl Numbers {
    fn stream_began(&mut self) {
        self.last = None;
    }

    /// What ended in an error may bear the number of its buffer's last use: it moves nothing back, and what follows it
    /// does not go back for it.
    fn of(&mut self, driver: u32, flagged: bool) -> u64 {
        let number = match self.last {
            None => self.next,
            Some((before, number, doubtful)) => {
                let step = driver.wrapping_sub(before).cast_signed();
                match step {
                    ..=0 if flagged => return number,
                    ..0 if doubtful => self.next,
                    _ => number.saturating_add_signed(step.into()),
                }
            }
        };
        self.last = Some((driver, number, flagged));
        self.next = number + 1;
        number
    }
}
