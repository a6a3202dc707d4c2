//! A device for tests: keeps the kernel's rules about buffers, plays a script of what comes, and fails where it is
//! told to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rustix::io::Errno;

use super::abi::{self, fourcc};
use super::node::{Node, Ready, Rows, copied};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Call {
    Capability,
    FormatAt,
    SizeAt,
    IntervalAt,
    Format,
    SetFormat,
    Parameters,
    SetParameters,
    QueryControl,
    Control,
    SetControl,
    Allocate,
    Queue,
    Dequeue,
    Start,
    Stop,
    Wait,
}

impl Call {
    pub(super) const ALL: [Self; 17] = [
        Self::Capability,
        Self::FormatAt,
        Self::SizeAt,
        Self::IntervalAt,
        Self::Format,
        Self::SetFormat,
        Self::Parameters,
        Self::SetParameters,
        Self::QueryControl,
        Self::Control,
        Self::SetControl,
        Self::Allocate,
        Self::Queue,
        Self::Dequeue,
        Self::Start,
        Self::Stop,
        Self::Wait,
    ];
}

/// What comes out of the device, in order. Frames that follow each other are ready at the same time.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Frame {
        seq: u32,
        flags: u32,
        bytes: Vec<u8>,
    },
    /// The wait ends with nothing.
    Timeout,
    /// Nothing more is ready now; what follows comes later.
    Later,
    /// The wait tells of trouble.
    Trouble,
}

pub(super) fn frame(seq: u32) -> Event {
    Event::Frame { seq, flags: abi::BUF_STAMP_MONOTONIC, bytes: vec![seq as u8; 4] }
}

pub(super) fn flagged(seq: u32) -> Event {
    Event::Frame { seq, flags: abi::BUF_ERROR | abi::BUF_STAMP_MONOTONIC, bytes: vec![seq as u8; 4] }
}

#[derive(Default)]
pub(super) struct State {
    pub(super) events: VecDeque<Event>,
    /// Calls that fail, until they are taken out again.
    pub(super) failing: BTreeMap<Call, Errno>,
    /// Buffers with the driver.
    pub(super) queued: BTreeSet<u32>,
    pub(super) streaming: bool,
    pub(super) allocated: u32,
    pub(super) controls: BTreeMap<u32, i32>,
    /// Each control that was set, in order.
    pub(super) set: Vec<(u32, i32)>,
    pub(super) format: abi::PixelFormat,
    taken: BTreeMap<u32, Vec<u8>>,
    pub(super) starts: u32,
}

#[derive(Clone, Default)]
pub(super) struct Fake(Arc<Mutex<State>>);

impl Fake {
    pub(super) fn playing(events: impl IntoIterator<Item = Event>) -> Self {
        let fake = Self::default();
        fake.state().events.extend(events);
        fake
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(super) fn failing(self, call: Call, errno: Errno) -> Self {
        self.state().failing.insert(call, errno);
        self
    }

    fn called(&self, call: Call) -> Result<MutexGuard<'_, State>, Errno> {
        let state = self.state();
        match state.failing.get(&call) {
            Some(errno) => Err(*errno),
            None => Ok(state),
        }
    }
}

const SIZES: [(u32, u32); 2] = [(640, 480), (1280, 1024)];

impl Node for Fake {
    fn capability(&self) -> Result<abi::Capability, Errno> {
        drop(self.called(Call::Capability)?);
        let mut driver = [0; 16];
        driver[..4].copy_from_slice(b"fake");
        let node = abi::CAP_CAPTURE | abi::CAP_STREAMING;
        Ok(abi::Capability {
            driver,
            card: [0; 32],
            bus_info: [0; 32],
            version: 0,
            capabilities: node | abi::CAP_DEVICE_CAPS,
            device_caps: node,
            reserved: [0; 3],
        })
    }

    fn format_at(&self, index: u32) -> Result<abi::FormatDescription, Errno> {
        drop(self.called(Call::FormatAt)?);
        if index > 0 {
            return Err(Errno::INVAL);
        }
        Ok(abi::FormatDescription { index, pixel_format: fourcc(*b"MJPG"), ..Default::default() })
    }

    fn size_at(&self, _: u32, index: u32) -> Result<abi::FrameSize, Errno> {
        drop(self.called(Call::SizeAt)?);
        let (width, height) = *SIZES.get(index as usize).ok_or(Errno::INVAL)?;
        Ok(abi::FrameSize { kind: abi::DISCRETE, numbers: [width, height, 0, 0, 0, 0], ..Default::default() })
    }

    fn interval_at(&self, _: u32, _: (u32, u32), index: u32) -> Result<abi::FrameInterval, Errno> {
        drop(self.called(Call::IntervalAt)?);
        let per_s = *[30, 15].get(index as usize).ok_or(Errno::INVAL)?;
        let fraction = abi::Fraction { numerator: 1, denominator: per_s };
        Ok(abi::FrameInterval { kind: abi::DISCRETE, fractions: [fraction; 3], ..Default::default() })
    }

    fn format(&self) -> Result<abi::PixelFormat, Errno> {
        Ok(self.called(Call::Format)?.format)
    }

    fn set_format(&mut self, wanted: abi::PixelFormat) -> Result<abi::PixelFormat, Errno> {
        let mut state = self.called(Call::SetFormat)?;
        if state.allocated > 0 {
            return Err(Errno::BUSY);
        }
        state.format = wanted;
        Ok(wanted)
    }

    fn parameters(&self) -> Result<abi::StreamParameters, Errno> {
        drop(self.called(Call::Parameters)?);
        let mut parameters = abi::StreamParameters::new(abi::Fraction { numerator: 1, denominator: 15 });
        parameters.capability = abi::TIME_PER_FRAME;
        Ok(parameters)
    }

    fn set_parameters(&mut self, wanted: abi::StreamParameters) -> Result<abi::StreamParameters, Errno> {
        drop(self.called(Call::SetParameters)?);
        Ok(wanted)
    }

    fn query_control(&self, id: u32) -> Result<abi::QueryControl, Errno> {
        let state = self.called(Call::QueryControl)?;
        state.controls.get(&id).map(|_| abi::QueryControl { id, ..Default::default() }).ok_or(Errno::INVAL)
    }

    fn control(&self, id: u32) -> Result<i32, Errno> {
        self.called(Call::Control)?.controls.get(&id).copied().ok_or(Errno::INVAL)
    }

    fn set_control(&mut self, id: u32, value: i32) -> Result<(), Errno> {
        let mut state = self.called(Call::SetControl)?;
        if !(0..=5000).contains(&value) {
            return Err(Errno::RANGE);
        }
        state.set.push((id, value));
        state.controls.insert(id, value).map(drop).ok_or(Errno::INVAL)
    }

    fn allocate(&mut self, count: u32) -> Result<u32, Errno> {
        let mut state = self.called(Call::Allocate)?;
        state.allocated = count;
        Ok(count)
    }

    fn queue(&mut self, index: u32) -> Result<(), Errno> {
        let mut state = self.called(Call::Queue)?;
        // As the kernel does to whoever gives a buffer that is not his to give.
        if index >= state.allocated || !state.queued.insert(index) {
            return Err(Errno::INVAL);
        }
        Ok(())
    }

    fn dequeue(&mut self) -> Result<abi::Buffer, Errno> {
        let mut state = self.called(Call::Dequeue)?;
        if !state.streaming {
            return Err(Errno::INVAL);
        }
        match state.events.pop_front() {
            Some(Event::Frame { seq, flags, bytes }) => {
                let Some(index) = state.queued.pop_first() else { return Err(Errno::AGAIN) };
                let bytes_used = bytes.len() as u32;
                state.taken.insert(index, bytes);
                Ok(abi::Buffer { sequence: seq, flags, bytes_used, seconds: seq.into(), ..abi::Buffer::of(index) })
            }
            Some(Event::Later) | None => Err(Errno::AGAIN),
            Some(other) => {
                state.events.push_front(other);
                Err(Errno::AGAIN)
            }
        }
    }

    fn start(&mut self) -> Result<(), Errno> {
        let mut state = self.called(Call::Start)?;
        state.streaming = true;
        state.starts += 1;
        Ok(())
    }

    fn stop(&mut self) -> Result<(), Errno> {
        let mut state = self.state();
        state.streaming = false;
        state.queued.clear();
        drop(state);
        self.called(Call::Stop).map(drop)
    }

    fn wait(&self, _: Duration) -> Result<Ready, Errno> {
        let mut state = self.called(Call::Wait)?;
        Ok(match state.events.front() {
            Some(Event::Frame { .. }) => Ready::Frame,
            Some(Event::Trouble) => {
                state.events.pop_front();
                Ready::Trouble
            }
            Some(Event::Timeout | Event::Later) => {
                state.events.pop_front();
                Ready::Not
            }
            None => Ready::Not,
        })
    }

    fn copy(&self, index: u32, used: usize, rows: Option<Rows>) -> Arc<[u8]> {
        let state = self.state();
        let bytes = state.taken.get(&index).map(Vec::as_slice).unwrap_or_default();
        copied(&bytes[..used.min(bytes.len())], rows)
    }
}
