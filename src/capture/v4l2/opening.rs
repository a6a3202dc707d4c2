//! From a device file to a stream: what it offers, which of it is taken, and what the driver made of that.

use std::sync::Arc;

use rustix::io::Errno;

use super::abi::{self, PixelFormat, StreamParameters};
use super::controls::Held;
use super::node::{Node, Rows};
use super::offers::{self, Choice, Wanted};
use super::ring::Ring;
use super::{ScaleOf, Settings, V4l2, describe, failure, info};
use crate::capture::devices::{self, Device, Tree};
use crate::capture::select::Identity;
use crate::capture::{CaptureError, CaptureErrorKind};
use crate::frame::{Format, Size};
use crate::report::{DeviceWords, SourceWords};
use crate::time::Clock;

/// What opening needs to know.
pub(super) struct Opening<'a> {
    pub(super) device: &'a Device,
    pub(super) identity: &'a Identity,
    pub(super) tree: &'a Tree,
    pub(super) settings: &'a Settings,
}

impl Opening<'_> {
    pub(super) fn open(
        &self,
        mut node: Box<dyn Node>,
        clock: Clock,
        scale: Arc<ScaleOf>,
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
            scale_expired: None,
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
