//! Where frames come from: the contract that every source keeps, and what can go wrong with one.
//!
//! A source hands out `RawFrame`s and looks at no pixel: whether a frame can be read is decided further down.

mod avi;
pub mod button;
pub mod devices;
pub mod hotplug;
mod mishap;
mod mjpeg_stream;
#[cfg(feature = "nokhwa")]
pub mod nokhwa;
mod pace;
mod plan;
pub mod rate;
pub mod replay;
pub mod select;
mod sidecar;
pub mod simulated;
pub mod sleep;
mod stills;
pub mod supervisor;
pub mod v4l2;

use std::error::Error;
use std::io;
use std::time::Duration;

pub use self::pace::Pace;
pub use self::replay::Replay;
pub use self::sidecar::StillAs;
pub use self::stills::Skipped;
use crate::command::Cue;
use crate::frame::RawFrame;
use crate::report::SourceWords;
use crate::time::Clock;

/// A camera, a drawn microscope or a recording.
pub trait Source: Send {
    fn info(&self) -> &SourceInfo;

    /// The next frame, waited for no longer than `patience`, so that a stop is never far away.
    ///
    /// Kinds: `BadFrame` leaves the source usable, ask again; after any other kind it gives no more frames.
    fn next(&mut self, patience: Duration) -> Result<Next, CaptureError>;

    /// Nobody needs frames for now: told again and again while that is so. A camera stops its stream, and an error
    /// says that it was lost meanwhile. The next `next` wakes it, and `info` may have changed by then.
    fn rest(&mut self) -> Result<(), CaptureError> {
        Ok(())
    }

    /// Starts a stream anew that fell silent, without opening the source anew: the least that can be tried.
    fn restart(&mut self) -> Result<(), CaptureError> {
        Err(CaptureError::new(CaptureErrorKind::Unsupported, "this source has no stream that could be restarted"))
    }
}

#[derive(Debug)]
pub enum Next {
    Frame(RawFrame),
    /// Nothing came within the patience.
    Idle,
    /// A recording is over. Cameras never end.
    End,
}

/// What is known of a source once it is open.
#[derive(Clone, Debug)]
pub struct SourceInfo {
    pub words: SourceWords,
    /// Live sources never wait for a reader, so the oldest frame is given up when one is slow. Others wait, and
    /// lose nothing.
    pub live: bool,
    pub clock: Clock,
    /// The commands that the source itself brings, in order, by its own stamps. A cue at a frame's stamp comes
    /// before that frame.
    pub script: Vec<Cue>,
    /// For progress bars.
    pub frames_total: Option<u64>,
    /// Photographs rather than a film: each frame is a field of its own, and no field can have more than one.
    pub stills: bool,
}

/// What the caller can do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CaptureErrorKind {
    /// Not there, or there no more. Wait until it comes, and tell someone to look at the cable or the path.
    NotFound,
    /// Another program has it. Retry later; tell someone when it lasts.
    Busy,
    /// No permission. Retrying does not help: tell someone.
    Denied,
    /// What was asked for cannot be had from this source. Change the settings or the recording.
    Unsupported,
    /// It is there, and gives no frames. Open it again.
    Stalled,
    /// One frame was lost or unusable. Go on with the next.
    BadFrame,
    /// The bus has no room for this picture size and rate. Ask for less, or use another port.
    NoBandwidth,
    /// The device or disk failed. Open again after a pause; tell someone when it lasts.
    Io,
}

/// What happened, where, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{context}")]
pub struct CaptureError {
    pub kind: CaptureErrorKind,
    context: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl CaptureError {
    pub fn new(kind: CaptureErrorKind, context: impl Into<String>) -> Self {
        Self { kind, context: context.into(), source: None }
    }

    pub fn because(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..self }
    }

    /// The kind is told by the operating system's error.
    pub fn io(context: impl Into<String>, error: io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => CaptureErrorKind::NotFound,
            io::ErrorKind::PermissionDenied => CaptureErrorKind::Denied,
            io::ErrorKind::ResourceBusy => CaptureErrorKind::Busy,
            io::ErrorKind::TimedOut => CaptureErrorKind::Stalled,
            _ => CaptureErrorKind::Io,
        };
        Self::new(kind, context).because(error)
    }

    /// The message with all its causes, as one line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

/// Largest frame that is read from any recording: a 5-megapixel sensor at 16 bits a channel takes 30 MB, and
/// what claims more than twice that is damage, not a frame.
const MAX_FRAME_BYTES: u64 = 64 << 20;

/// Each frame's place in time: `frames` frames take `ns` nanoseconds. A fraction, because 29.97 frames/s drift
/// by a frame in half a minute when rounded to whole microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rate {
    frames: u64,
    ns: u64,
}

/// Slowest and fastest film that is believed: a time lapse of a frame in 100 s, and a high-speed camera.
const FRAMES_PER_S: std::ops::RangeInclusive<f64> = 0.01..=1000.0;

impl Rate {
    /// `None` when the rate lies outside [`FRAMES_PER_S`].
    fn per_s(frames_per_s: f64) -> Option<Self> {
        FRAMES_PER_S
            .contains(&frames_per_s)
            .then(|| Self { frames: (frames_per_s * 1000.0).round() as u64, ns: 1_000_000_000_000 })
    }

    /// As AVI writes it: `rate / scale` frames a second.
    fn fraction(rate: u32, scale: u32) -> Option<Self> {
        let per_s = f64::from(rate) / f64::from(scale);
        FRAMES_PER_S.contains(&per_s).then(|| Self { frames: u64::from(rate), ns: u64::from(scale) * 1_000_000_000 })
    }

    fn frames_per_s(self) -> f64 {
        self.frames as f64 * 1e9 / self.ns as f64
    }

    /// From the first frame to frame `index`.
    fn span(self, index: u64) -> Duration {
        let ns = u128::from(index) * u128::from(self.ns) / u128::from(self.frames);
        Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operating_system_s_error_tells_what_can_be_done() {
        for (os, kind) in [
            (io::ErrorKind::NotFound, CaptureErrorKind::NotFound),
            (io::ErrorKind::PermissionDenied, CaptureErrorKind::Denied),
            (io::ErrorKind::ResourceBusy, CaptureErrorKind::Busy),
            (io::ErrorKind::UnexpectedEof, CaptureErrorKind::Io),
        ] {
            assert_eq!(CaptureError::io("a", os.into()).kind, kind);
        }
        let error = CaptureError::io("cannot read x", io::Error::other("disk on fire"));
        assert_eq!(error.chain(), "cannot read x: disk on fire");
    }

    #[test]
    fn a_fractional_rate_does_not_drift() {
        let ntsc = Rate::fraction(30_000, 1001).unwrap();
        assert_eq!(ntsc.span(30_000), Duration::from_secs(1001));
        assert_eq!(Rate::per_s(20.0).unwrap().span(3), Duration::from_millis(150));
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e9] {
            assert_eq!(Rate::per_s(wrong), None);
        }
        assert_eq!(Rate::fraction(0, 0), None);
        assert_eq!(Rate::fraction(30, 0), None);
    }
}
