//! Cameras through Linux's V4L2: found by what survives replugging, asked for the best they offer, read through a ring
//! of mapped buffers. What is decided stands in `select`, `offers` and `controls`; what the kernel is asked, in
//! `node` and `ring`.

mod abi;
mod camera;
pub mod controls;
mod describe;
#[cfg(test)]
mod fixture;
mod node;
mod offers;
mod opening;
mod ring;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use serde::Deserialize;

use self::abi::PixelFormat;
pub use self::camera::{Absent, Camera, capture_nodes};
use self::controls::Held;
pub use self::describe::{FormatWords, Probed, SizeWords, denied, probe};
use self::ring::{Doing, Ring, Taken, Trouble};
use super::devices::{Device, Tree};
use super::{CaptureError, CaptureErrorKind, Next, Source, SourceInfo};
use crate::frame::{Colour, Format, FrameId, RawFrame, Size};
use crate::report::{DeviceWords, SourceWords};
use crate::scale;
use crate::time::{Clock, Stamp};

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "snake_case")]
pub struct Settings {
    /// 1280x1024 is what the common USB microscopes have at 30 frames/s.
    pub size: Size,
    pub frames_per_s: f64,
    /// Only this one; else the best by the rules of `offers`.
    pub format: Option<Format>,
    /// First frames of each stream that are thrown away: while a sensor starts they are often torn or dark. Two is
    /// what the drivers' own lists of such cameras name most; ours.
    pub discard: u32,
    pub controls: controls::Settings,
    /// Whether a camera that stays silent may be reset on its port. Needs write access to its USB node.
    pub usb_reset: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            size: Size::new(1280, 1024),
            frames_per_s: 30.0,
            format: None,
            discard: 2,
            controls: controls::Settings::default(),
            usb_reset: false,
        }
    }
}

impl Settings {
    pub fn check(&self) -> Result<(), String> {
        let rates = 1.0..=240.0;
        if !rates.contains(&self.frames_per_s) {
            return Err(format!("frames_per_s is {}: it must be from 1 to 240", self.frames_per_s));
        }
        for (key, side) in [("size.width", self.size.width), ("size.height", self.size.height)] {
            if !(64..=8192).contains(&side) {
                return Err(format!("{key} is {side}: it must be from 64 to 8192"));
            }
        }
        if self.discard > 60 {
            return Err(format!("discard is {}: it must be 0 to 60", self.discard));
        }
        if matches!(self.format, Some(Format::Png | Format::Tiff | Format::Bmp)) {
            return Err("format is that of a still: no camera sends it".to_owned());
        }
        Ok(())
    }
}

/// Looks up the scale of a device at a picture size, at this moment.
pub type ScaleOf = Box<dyn Fn(&DeviceWords, Size) -> scale::Known + Send + Sync>;

fn info(words: SourceWords, clock: Clock) -> SourceInfo {
    SourceInfo { words, live: true, clock, script: Vec::new(), frames_total: None, stills: false }
}

/// An open camera.
pub struct V4l2 {
    ring: Ring,
    device: Device,
    tree: Tree,
    granted: PixelFormat,
    colour: Colour,
    settings: Settings,
    held: Held,
    info: SourceInfo,
    scale: Arc<ScaleOf>,
    format: Format,
    size: Size,
}

/// What can be done about the kernel's answer.
fn kind_of(doing: Option<Doing>, errno: Errno) -> CaptureErrorKind {
    match errno {
        Errno::NODEV | Errno::NXIO | Errno::NOENT => CaptureErrorKind::NotFound,
        Errno::BUSY => CaptureErrorKind::Busy,
        Errno::ACCESS | Errno::PERM => CaptureErrorKind::Denied,
        // "No space left on device": the device is the bus.
        Errno::NOSPC if matches!(doing, Some(Doing::Start | Doing::Allocate) | None) => CaptureErrorKind::NoBandwidth,
        Errno::TIMEDOUT | Errno::TIME => CaptureErrorKind::Stalled,
        Errno::INVAL | Errno::NOTTY | Errno::NOTSUP if doing.is_none() => CaptureErrorKind::Unsupported,
        _ => CaptureErrorKind::Io,
    }
}

fn failure(
    doing: Option<Doing>,
    what: &str,
    errno: Errno,
    device: &Device,
    tree: &Tree,
    stream: Option<String>,
) -> CaptureError {
    let kind = kind_of(doing, errno);
    let path = device.path.display();
    let context = match kind {
        CaptureErrorKind::NoBandwidth => format!(
            "no USB bandwidth for {} from {path}: take other cameras off this bus, use a port of another one, or ask for a smaller picture, fewer frames or MJPEG",
            stream.unwrap_or_else(|| "this stream".to_owned())
        ),
        CaptureErrorKind::Busy => describe::busy(device, tree),
        CaptureErrorKind::NotFound => format!("{} ({path}) is gone", device.name),
        _ => format!("{what} {path}"),
    };
    // The kernel's own words for a full bus are those for a full disk.
    if kind == CaptureErrorKind::NoBandwidth {
        return CaptureError::new(kind, context);
    }
    CaptureError::new(kind, context).because(std::io::Error::from(errno))
}

impl V4l2 {
    fn trouble(&self, trouble: Trouble) -> CaptureError {
        let Trouble { doing, errno } = trouble;
        let rate = self.info.words.frames_per_s.map(|rate| format!(" at {rate:.0} frames/s")).unwrap_or_default();
        let stream = format!("{} as {}{rate}", self.size, describe::code(self.granted.pixel_format));
        failure(Some(doing), doing.words(), errno, &self.device, &self.tree, Some(stream))
    }

    /// Sets the controls and starts the stream, for the first time or after a rest.
    fn wake(&mut self) -> Result<(), CaptureError> {
        self.ring.prepare().map_err(|t| self.trouble(t))?;
        self.same_format()?;
        let (held, controls) = controls::apply(self.ring.node.as_mut(), &self.settings.controls);
        self.held = held;
        if let Some(device) = &mut self.info.words.device {
            device.controls = controls;
            // It may have been measured anew meanwhile. That it expires while frames flow is seen where they are taken.
            let known = (self.scale)(device, self.size);
            (self.info.words.scale, self.info.words.scale_expired) = (known.scale, known.expired);
        }
        self.ring.start().map_err(|t| self.trouble(t))
    }

    /// Another program may have changed the format before the buffers were ours, or while we had none.
    fn same_format(&self) -> Result<(), CaptureError> {
        let format = self.ring.node.format();
        let now = format.map_err(|e| self.trouble(Trouble { doing: Doing::Allocate, errno: e }))?;
        let what = |f: &PixelFormat| (f.width, f.height, f.pixel_format, f.bytes_per_line);
        if what(&now) == what(&self.granted) {
            return Ok(());
        }
        let context = format!(
            "the format of {} changed under us: {}x{} {} instead of {} {}",
            self.device.path.display(),
            now.width,
            now.height,
            describe::code(now.pixel_format),
            self.size,
            describe::code(self.granted.pixel_format)
        );
        Err(CaptureError::new(CaptureErrorKind::Io, context))
    }

    fn frame(&self, taken: Taken) -> RawFrame {
        RawFrame {
            id: FrameId { run: 0, seq: taken.seq },
            at: self.moment(taken.stamp),
            format: self.format,
            size: self.size,
            colour: self.colour,
            bytes: taken.bytes,
            flagged: taken.flagged,
        }
    }

    /// The driver's stamp on the clock of the source. A stamp of another clock, one of the future, or one from before
    /// the frame can have been waiting in the ring, is no moment of capture: then the moment of arrival has to do.
    fn moment(&self, stamp: Option<Duration>) -> Stamp {
        let now = self.info.clock.now().unwrap_or_default();
        let monotonic = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let monotonic = Duration::new(monotonic.tv_sec.unsigned_abs(), monotonic.tv_nsec.unsigned_abs() as u32);
        match stamp.and_then(|stamp| monotonic.checked_sub(stamp)).filter(|age| *age <= OLDEST) {
            Some(age) => Stamp::from_ns(now.ns().saturating_sub(age.as_nanos() as u64)),
            None => now,
        }
    }
}

/// A frame that was captured longer ago was not waiting in the ring: its six buffers hold five seconds at the slowest
/// rate there is.
const OLDEST: Duration = Duration::from_secs(5);

impl Source for V4l2 {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next(&mut self, patience: Duration) -> Result<Next, CaptureError> {
        if !self.ring.streaming() {
            self.wake()?;
        }
        match self.ring.take(patience) {
            Ok(Some(taken)) => Ok(Next::Frame(self.frame(taken))),
            Ok(None) => Ok(Next::Idle),
            Err(trouble) => Err(self.trouble(trouble)),
        }
    }

    fn rest(&mut self) -> Result<(), CaptureError> {
        if self.ring.streaming() {
            self.ring.stop().map_err(|t| self.trouble(t))?;
            self.held.put_back(self.ring.node.as_mut());
        }
        // The only question whose answer tells that a silent camera is still there.
        let there = self.ring.node.capability();
        there.map(drop).map_err(|errno| self.trouble(Trouble { doing: Doing::Wait, errno }))
    }

    fn restart(&mut self) -> Result<(), CaptureError> {
        // What the driver says to stopping is of no matter: starting tells whether it helped.
        if let Err(trouble) = self.ring.stop() {
            tracing::debug!(?trouble, "while the stream was restarted");
        }
        self.same_format()?;
        self.ring.start().map_err(|t| self.trouble(t))
    }
}

impl Drop for V4l2 {
    fn drop(&mut self) {
        self.held.put_back(self.ring.node.as_mut());
    }
}
