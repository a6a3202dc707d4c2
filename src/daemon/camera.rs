//! A camera as the service has it: opened at the start or waited for, got back when it was lost, with the scale that
//! was measured for it.

use crate::calibrate::store::{Key, NoScale, Store};
use crate::capture::hotplug::Hotplug;
use crate::capture::v4l2::{Camera, ScaleOf};
use crate::capture::{CaptureError, CaptureErrorKind, Source};
use crate::config::{OnMissing, ScaleChoice};
use crate::pipeline::recover::Reopen;
use crate::scale::Known;

/// Opens it, or lets something stand in for it until it is there. What waiting does not mend is a failure.
pub fn open(camera: &mut Camera, on_missing: OnMissing) -> Result<Box<dyn Source>, CaptureError> {
    match camera.open() {
        Ok(source) => Ok(Box::new(source)),
        Err(error) if error.kind == CaptureErrorKind::NotFound && on_missing == OnMissing::Wait => {
            tracing::warn!(error = error.chain(), "no microscope yet: it is waited for");
            Ok(Box::new(camera.absent(error)))
        }
        Err(error) => Err(error),
    }
}

pub struct CameraOpener {
    camera: Camera,
    may_reset: bool,
    /// Absent where the system does not let us listen: then looking now and then has to do.
    hotplug: Option<Hotplug>,
}

impl CameraOpener {
    pub fn new(camera: Camera, may_reset: bool) -> Self {
        let hotplug = Hotplug::listen().inspect_err(|error| {
            tracing::warn!(%error, "cannot hear of devices that come and go: they are looked for once a second");
        });
        Self { camera, may_reset, hotplug: hotplug.ok() }
    }
}

impl Reopen for CameraOpener {
    fn open(&mut self) -> Result<Box<dyn Source>, CaptureError> {
        self.camera.open().map(|source| Box::new(source) as Box<dyn Source>)
    }

    fn hinted(&mut self) -> bool {
        self.hotplug.as_ref().is_some_and(Hotplug::told)
    }

    fn may_reset(&self) -> bool {
        self.may_reset
    }

    fn reset(&mut self) -> Result<(), CaptureError> {
        self.camera.reset()
    }
}

/// Looks the scale up each time frames are wanted: it may have been measured anew, or have expired.
pub fn scale_of(choice: Option<ScaleChoice>) -> ScaleOf {
    let Some(ScaleChoice { file, magnification }) = choice else { return Box::new(|_, _| Known::default()) };
    Box::new(move |device, size| {
        let key = Key { device: device.id.clone(), magnification: magnification.clone(), size };
        match Store::at(&file).scale(&key, jiff::Timestamp::now()) {
            Ok(scale) => Known { scale: Some(scale), expired: None },
            Err(why) => {
                tracing::warn!("nothing is measured in micrometres: {why}");
                let expired = if let NoScale::Expired { expires, .. } = why { Some(expires) } else { None };
                Known { scale: None, expired }
            }
        }
    })
}
