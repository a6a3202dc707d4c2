//! What the capture thread tells of a source that does not do what it should: what happened, and what to do.

use std::time::Duration;

use crate::capture::{CaptureError, CaptureErrorKind};
use crate::report::{Fault, FaultKind};

pub(super) fn suspended(slept: Duration) -> Fault {
    Fault {
        kind: FaultKind::Source,
        message: format!("the machine was suspended for {:.1} s", slept.as_secs_f64()),
        action: "none: the exam goes on when the microscope is back".to_owned(),
        cleared: false,
    }
}

pub(super) fn silence(limit: Duration) -> Fault {
    Fault {
        kind: FaultKind::Source,
        message: format!("no frame from the source for {} s", limit.as_secs()),
        action: "check the microscope's cable and light".to_owned(),
        cleared: false,
    }
}

pub(super) fn frozen(limit: Duration, cleared: bool) -> Fault {
    Fault {
        kind: FaultKind::Source,
        message: if cleared {
            "the microscope sends new frames again".to_owned()
        } else {
            format!(
                "the picture is frozen: for {} s the microscope has sent one frame again and again",
                limit.as_secs()
            )
        },
        action: "unplug the microscope and plug it in again; the exam goes on with its next new frame".to_owned(),
        cleared,
    }
}

pub(super) fn slow(measured: f64, granted: f64, cleared: bool) -> Fault {
    Fault {
        kind: FaultKind::Source,
        message: if cleared {
            format!("the microscope sends {measured:.1} frames/s again")
        } else {
            format!("the microscope sends {measured:.1} frames/s instead of {granted:.1}")
        },
        action: "raise the light, or set source.v4l2.controls.exposure and dynamic_frame_rate".to_owned(),
        cleared,
    }
}

pub(super) fn bad_frame(error: &CaptureError) -> Fault {
    Fault {
        kind: FaultKind::Source,
        message: error.chain(),
        action: "none: the frames after it are read".to_owned(),
        cleared: false,
    }
}

pub(super) fn lost(error: &CaptureError, comes_back: bool) -> Fault {
    let action = match error.kind {
        _ if !comes_back => "the rest of this recording was not read",
        CaptureErrorKind::NotFound | CaptureErrorKind::Stalled | CaptureErrorKind::Io => {
            "check the cable; the exam goes on when the same microscope is back"
        }
        _ => "do as it says; it is tried again until it can be had",
    };
    Fault { kind: FaultKind::Source, message: error.chain(), action: action.to_owned(), cleared: false }
}
