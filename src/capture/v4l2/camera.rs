//! A named camera, whether it is there or not: which device it is, and the same one again after a loss.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;

use super::node::{self, DeviceFile, Node as _};
use super::opening::Opening;
use super::{ScaleOf, Settings, V4l2, describe, info, kind_of};
use crate::capture::devices::{self, Device, Tree};
use crate::capture::select::{Identity, Selector};
use crate::capture::{CaptureError, CaptureErrorKind, Next, Source, SourceInfo};
use crate::report::SourceWords;
use crate::time::Clock;

/// A named camera, open or not: opens it, and after a loss opens the same one again and no other.
pub struct Camera {
    selector: Selector,
    settings: Settings,
    tree: Tree,
    clock: Clock,
    scale: Arc<ScaleOf>,
    pinned: Option<(Identity, Device)>,
}

impl Camera {
    pub fn new(selector: Selector, settings: Settings, clock: Clock, scale: ScaleOf) -> Self {
        let scale = Arc::new(scale);
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
            scale_expired: None,
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
