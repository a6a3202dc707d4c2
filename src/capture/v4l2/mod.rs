//! Cameras through Linux's V4L2: found by what survives replugging, asked for the best they offer, read through a ring
//! of mapped buffers. What is decided stands in `select`, `offers` and `controls`; what the kernel is asked, in
//! `node` and `ring`.

mod abi;
pub mod controls;
mod describe;
#[cfg(test)]
mod fixture;
mod node;
mod offers;
mod ring;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;
use serde::Deserialize;

use self::abi::{PixelFormat, StreamParameters};
use self::controls::Held;
pub use self::describe::{FormatWords, Probed, SizeWords, denied, probe};
use self::node::{DeviceFile, Node, Rows};
use self::offers::{Choice, Wanted};
use self::ring::{Doing, Ring, Taken, Trouble};
use super::devices::{self, Device, Tree};
use super::select::{Identity, Selector};
use super::{CaptureError, CaptureErrorKind, Next, Source, SourceInfo};
use crate::frame::{Colour, Format, FrameId, RawFrame, Size};
use crate::report::{DeviceWords, SourceWords};
use crate::scale::Scale;
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
pub type ScaleOf = Box<dyn Fn(&DeviceWords, Size) -> Option<Scale> + Send + Sync>;

/// A named camera, open or not: opens it, and after a loss opens the same one again and no other.
pub struct Camera {
    selector: Selector,
    settings: Settings,
    tree: Tree,
    clock: Clock,
    scale: std::sync::Arc<ScaleOf>,
    pinned: Option<(Identity, Device)>,
}

impl Camera {
    pub fn new(selector: Selector, settings: Settings, clock: Clock, scale: ScaleOf) -> Self {
        let scale = std::sync::Arc::new(scale);
        Self { selector, settings, tree: Tree::default(), clock, scale, pinned: None }
    }

    /// Opens the camera and starts its stream.
    ///
    /// Kinds: all but `BadFrame`.
    pub fn open(&mut self) -> Result<V4l2, CaptureError> {
        let found = capture_nodes(&self.tree);
        let device = match &self.pinned {
            Some((identity, _)) => identity.find(&found)?,
            None => self.selector.choose(&found)?,
        };
        let identity = match &self.pinned {
            Some((identity, _)) => identity.clone(),
            None => Identity::of(device, &found),
        };
        let node = DeviceFile::open(&device.path).map_err(|error| self.cannot_open(device, error))?;
        let opened = Opening { device, identity: &identity, tree: &self.tree, settings: &self.settings };
        let source = opened.open(Box::new(node), self.clock.clone(), self.scale.clone())?;
        self.pinned = Some((identity, device.clone()));
        Ok(source)
    }

    /// What stands in until the camera is there for the first time.
    pub fn absent(&self, why: CaptureError) -> Absent {
        let words = SourceWords {
            kind: "v4l2".to_owned(),
            name: self.selector.to_string(),
            format: None,
            size: None,
            frames_per_s: None,
            measured_per_s: None,
            scale: None,
            device: None,
        };
        Absent { info: info(words, self.clock.clone()), why: Some(why) }
    }

    /// Resets the lost camera on its USB port.
    pub fn reset(&self) -> Result<(), CaptureError> {
        let nothing = |why: &str| CaptureError::new(CaptureErrorKind::Unsupported, why);
        if !self.settings.usb_reset {
            return Err(nothing("USB reset is off (source.v4l2.usb_reset)"));
        }
        let found = devices::scan(&self.tree);
        let (identity, _) = self.pinned.as_ref().ok_or_else(|| nothing("no camera was open that could be reset"))?;
        let usb = identity.find(&found)?.usb.as_ref().ok_or_else(|| nothing("only a USB camera can be reset"))?;
        let path = self.tree.dev.join("bus/usb").join(&usb.bus_device);
        node::reset_usb(&path).map_err(|error| CaptureError::io(format!("cannot reset {}", path.display()), error))
    }

    fn cannot_open(&self, device: &Device, error: std::io::Error) -> CaptureError {
        let path = device.path.display();
        let errno = Errno::from_io_error(&error);
        let context = match errno {
            Some(Errno::ACCESS | Errno::PERM) => describe::denied(&device.path),
            Some(Errno::BUSY) => describe::busy(device, &self.tree),
            _ => format!("cannot open {path}"),
        };
        let kind = errno.map_or(CaptureErrorKind::Io, |errno| kind_of(None, errno));
        CaptureError::new(kind, context).because(error)
    }
}

/// The nodes that pictures can be had from. What cannot be opened is judged by its place among its device's nodes.
pub fn capture_nodes(tree: &Tree) -> Vec<Device> {
    let mut found = devices::scan(tree);
    found.retain(|device| captures(&device.path).unwrap_or(device.index == 0));
    found
}

fn captures(path: &Path) -> Option<bool> {
    Some(DeviceFile::open(path).ok()?.capability().ok()?.captures())
}

fn info(words: SourceWords, clock: Clock) -> SourceInfo {
    SourceInfo { words, live: true, clock, script: Vec::new(), frames_total: None, stills: false }
}

/// The camera is not there yet. It gives its reason once, and is then waited for like one that was lost.
pub struct Absent {
    info: SourceInfo,
    why: Option<CaptureError>,
}

impl Source for Absent {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next(&mut self, _: Duration) -> Result<Next, CaptureError> {
        Err(self.gone())
    }

    fn rest(&mut self) -> Result<(), CaptureError> {
        Err(self.gone())
    }
}

impl Absent {
    fn gone(&mut self) -> CaptureError {
        let why = self.why.take();
        why.unwrap_or_else(|| CaptureError::new(CaptureErrorKind::NotFound, format!("no {}", self.info.words.name)))
    }
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
    scale: std::sync::Arc<ScaleOf>,
    format: Format,
    size: Size,
}

/// What opening needs to know.
struct Opening<'a> {
    device: &'a Device,
    identity: &'a Identity,
    tree: &'a Tree,
    settings: &'a Settings,
}

impl Opening<'_> {
    fn open(
        &self,
        mut node: Box<dyn Node>,
        clock: Clock,
        scale: std::sync::Arc<ScaleOf>,
    ) -> Result<V4l2, CaptureError> {
        let capability = node.capability().map_err(|e| self.failed("cannot ask", e))?;
        if !capability.captures() {
            let context = format!("{} gives no pictures: it is no capture device", self.device.path.display());
            return Err(CaptureError::new(CaptureErrorKind::Unsupported, context));
        }
        let choice = self.choose(node.as_ref())?;
        let granted = self.set_format(node.as_mut(), &choice)?;
        let frames_per_s = self.set_rate(node.as_mut(), &choice);
        let size = Size::new(granted.width, granted.height);
        let rows = rows(choice.format, &granted);
        let words = SourceWords {
            kind: "v4l2".to_owned(),
            name: self.device.name.clone(),
            format: Some(choice.format),
            size: Some(size),
            frames_per_s,
            measured_per_s: None,
            scale: None,
            device: Some(Box::new(self.words(abi::text(&capability.driver)))),
        };
        let mut source = V4l2 {
            ring: Ring::new(node, rows, self.settings.discard),
            device: self.device.clone(),
            tree: self.tree.clone(),
            granted,
            colour: describe::colour(&granted),
            settings: self.settings.clone(),
            held: Held::default(),
            info: info(words, clock),
            scale,
            format: choice.format,
            size,
        };
        source.wake()?;
        Ok(source)
    }

    fn choose(&self, node: &dyn Node) -> Result<Choice, CaptureError> {
        let offers = offers::enumerate(node).map_err(|e| self.failed("cannot ask the formats of", e))?;
        let wanted = Wanted {
            size: self.settings.size,
            frames_per_s: self.settings.frames_per_s,
            format: self.settings.format,
            bus: self.device.usb.as_ref().and_then(devices::Usb::payload),
        };
        offers::choose(&offers, &wanted).ok_or_else(|| {
            let only =
                self.settings.format.map_or(String::new(), |f| format!(" as {} (source.v4l2.format)", f.extension()));
            let there: Vec<String> = offers.iter().map(|offer| describe::code(offer.code)).collect();
            let context = format!(
                "{} offers nothing that can be read{only}: it has {}",
                self.device.path.display(),
                if there.is_empty() { "no format at all".to_owned() } else { there.join(", ") }
            );
            CaptureError::new(CaptureErrorKind::Unsupported, context)
        })
    }

    fn set_format(&self, node: &mut dyn Node, choice: &Choice) -> Result<PixelFormat, CaptureError> {
        let wanted = PixelFormat {
            width: choice.size.width,
            height: choice.size.height,
            pixel_format: choice.code,
            field: abi::FIELD_NONE,
            ..Default::default()
        };
        let granted = node.set_format(wanted).map_err(|e| self.failed("cannot set the format of", e))?;
        // Another size is granted and told; another format would be read as what it is not.
        if granted.pixel_format != choice.code {
            let (asked, got) = (describe::code(choice.code), describe::code(granted.pixel_format));
            let context = format!("{} was asked for {asked} and gives {got}", self.device.path.display());
            return Err(CaptureError::new(CaptureErrorKind::Unsupported, context));
        }
        Ok(granted)
    }

    /// The rate that was granted, where the driver tells one. That it is kept is measured, not believed.
    fn set_rate(&self, node: &mut dyn Node, choice: &Choice) -> Option<f64> {
        let interval = choice.interval?;
        let settable = node.parameters().is_ok_and(|p| p.capability & abi::TIME_PER_FRAME != 0);
        let told = if settable { node.set_parameters(StreamParameters::new(interval)) } else { node.parameters() };
        told.ok()?.time_per_frame.per_s()
    }

    fn words(&self, driver: String) -> DeviceWords {
        let usb = self.device.usb.as_ref();
        DeviceWords {
            id: self.identity.to_string(),
            make: usb.and_then(|usb| usb.make.clone()),
            model: usb.and_then(|usb| usb.model.clone()),
            serial: usb.and_then(|usb| usb.serial.clone()),
            port: self.device.place.clone(),
            path: self.device.path.display().to_string(),
            driver,
            asked_size: self.settings.size,
            asked_frames_per_s: self.settings.frames_per_s,
            controls: Vec::new(),
        }
    }

    fn failed(&self, what: &str, errno: Errno) -> CaptureError {
        failure(None, what, errno, self.device, self.tree, None)
    }
}

/// Where a raw picture's rows end. MJPEG has none.
fn rows(format: Format, granted: &PixelFormat) -> Option<Rows> {
    let width = granted.width as usize;
    let used = match format {
        Format::Yuyv | Format::Uyvy => width.div_ceil(2) * 4,
        Format::Nv12 => width.next_multiple_of(2),
        Format::Grey => width,
        Format::Rgb24 | Format::Bgr24 => width * 3,
        Format::Mjpeg | Format::Png | Format::Tiff | Format::Bmp => return None,
    };
    Some(Rows { stride: granted.bytes_per_line as usize, width: used })
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
            // An expiry falls into no exam: it is looked at when frames are wanted anew.
            self.info.words.scale = (self.scale)(device, self.size);
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
