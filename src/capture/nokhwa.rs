//! Cameras through the `nokhwa` crate: for Windows and macOS, where there is no V4L2. On Linux it compiles and is no
//! way to run: `v4l2` knows the driver's numbers, stamps and error marks, which this cannot.
//!
//! The crate waits for a frame without a limit and may never come back, so it has a thread of its own, and whoever asks
//! for a frame waits for that thread no longer than he wants to. Frames are numbered and stamped as they arrive.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use nokhwa::utils::{ApiBackend, CameraFormat, CameraInfo, FrameFormat, RequestedFormat, RequestedFormatType};
use nokhwa::{Buffer, NokhwaError};
use serde::Deserialize;

use super::{CaptureError, CaptureErrorKind, Next, Source, SourceInfo};
use crate::frame::{Colour, Format, FrameId, RawFrame, Size};
use crate::report::SourceWords;
use crate::time::Clock;

/// Longest wait for a camera to open.
const OPENING: Duration = Duration::from_secs(15);
/// Frames that wait to be fetched; while one waits newer ones are dropped, and their numbers show as a gap.
const WAITING: usize = 1;
/// So many errors in a row end the thread: the crate repeats them for ever when the cable is out.
const ERRORS_MOST: u32 = 5;

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "snake_case")]
pub struct Settings {
    /// A part of the camera's name; needed where there is more than one.
    pub name: Option<String>,
    pub size: Size,
    pub frames_per_s: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { name: None, size: Size::new(1280, 1024), frames_per_s: 30 }
    }
}

impl Settings {
    pub fn check(&self) -> Result<(), String> {
        if (1..=240).contains(&self.frames_per_s) {
            Ok(())
        } else {
            Err(format!("frames_per_s is {}: it must be from 1 to 240", self.frames_per_s))
        }
    }
}

/// What the thread has to say.
enum News {
    Open { name: String, granted: CameraFormat },
    Frame { seq: u64, format: Format, buffer: Buffer },
    Failed(CaptureError),
}

pub struct Nokhwa {
    info: SourceInfo,
    news: Receiver<News>,
    /// The thread ends at its next frame; it may hang in the crate, so that nobody joins it.
    ended: Arc<AtomicBool>,
}

impl Nokhwa {
    /// Opens the camera and starts its stream.
    ///
    /// Kinds: `NotFound`, `Unsupported` (several fit), `Stalled` (it does not open in time), `Io`.
    pub fn open(settings: Settings, clock: Clock) -> Result<Self, CaptureError> {
        let (to, news) = sync_channel(WAITING);
        let ended = Arc::new(AtomicBool::new(false));
        let stop = ended.clone();
        std::thread::Builder::new()
            .name("nokhwa".to_owned())
            .spawn(move || {
                if let Err(error) = stream(&settings, &to, &stop) {
                    // Nobody listens any more when the source was dropped.
                    let _unheard = to.send(News::Failed(error));
                }
            })
            .map_err(|e| CaptureError::io("cannot start the thread of the camera", e))?;
        match news.recv_timeout(OPENING) {
            Ok(News::Open { name, granted }) => Ok(Self { info: info(name, granted, clock), news, ended }),
            Ok(News::Failed(error)) => Err(error),
            Ok(News::Frame { .. }) | Err(_) => {
                ended.store(true, Ordering::Relaxed);
                let context = format!("the camera did not open within {} s", OPENING.as_secs());
                Err(CaptureError::new(CaptureErrorKind::Stalled, context))
            }
        }
    }
}

impl Drop for Nokhwa {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

impl Source for Nokhwa {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next(&mut self, patience: Duration) -> Result<Next, CaptureError> {
        match self.news.recv_timeout(patience) {
            Ok(News::Frame { seq, format, buffer }) => Ok(Next::Frame(RawFrame {
                id: FrameId { run: 0, seq },
                at: self.info.clock.now().unwrap_or_default(),
                format,
                size: Size::new(buffer.resolution().width(), buffer.resolution().height()),
                colour: Colour::Bt601Limited,
                bytes: buffer.buffer().into(),
                flagged: false,
            })),
            Ok(News::Open { .. }) | Err(RecvTimeoutError::Timeout) => Ok(Next::Idle),
            Ok(News::Failed(error)) => Err(error),
            Err(RecvTimeoutError::Disconnected) => {
                Err(CaptureError::new(CaptureErrorKind::Io, "the thread of the camera has ended"))
            }
        }
    }
}

fn info(name: String, granted: CameraFormat, clock: Clock) -> SourceInfo {
    let words = SourceWords {
        kind: "nokhwa".to_owned(),
        name,
        format: format(granted.format()),
        size: Some(Size::new(granted.width(), granted.height())),
        frames_per_s: Some(granted.frame_rate().into()),
        measured_per_s: None,
        scale: None,
        scale_expired: None,
        device: None,
    };
    SourceInfo { words, live: true, clock, script: Vec::new(), frames_total: None, stills: false }
}

const fn format(format: FrameFormat) -> Option<Format> {
    Some(match format {
        FrameFormat::MJPEG => Format::Mjpeg,
        FrameFormat::YUYV => Format::Yuyv,
        FrameFormat::NV12 => Format::Nv12,
        FrameFormat::GRAY => Format::Grey,
        FrameFormat::RAWRGB => Format::Rgb24,
        FrameFormat::RAWBGR => Format::Bgr24,
    })
}

fn failed(what: &str, error: &NokhwaError) -> CaptureError {
    // The crate's errors are text: there is nothing in them that tells what could be done.
    CaptureError::new(CaptureErrorKind::Io, what).because(error.to_string())
}

/// The only camera that fits.
fn choose(settings: &Settings) -> Result<CameraInfo, CaptureError> {
    let found = nokhwa::query(ApiBackend::Auto).map_err(|e| failed("cannot list the cameras", &e))?;
    let name = settings.name.as_deref().unwrap_or_default();
    let mut fitting: Vec<&CameraInfo> = found.iter().filter(|camera| camera.human_name().contains(name)).collect();
    match (fitting.pop(), fitting.as_slice()) {
        (Some(one), []) => Ok(one.clone()),
        (None, _) => {
            let context = format!("no camera whose name holds {name:?}; there are {}", names(&found));
            Err(CaptureError::new(CaptureErrorKind::NotFound, context))
        }
        (Some(_), _) => {
            let context = format!("several cameras fit, name one in source.nokhwa.name: {}", names(&found));
            Err(CaptureError::new(CaptureErrorKind::Unsupported, context))
        }
    }
}

fn names(found: &[CameraInfo]) -> String {
    let names: Vec<String> = found.iter().map(|camera| format!("{:?}", camera.human_name())).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn stream(settings: &Settings, to: &SyncSender<News>, ended: &AtomicBool) -> Result<(), CaptureError> {
    let chosen = choose(settings)?;
    let Size { width, height } = settings.size;
    let wanted = CameraFormat::new_from(width, height, FrameFormat::MJPEG, settings.frames_per_s);
    let read = [FrameFormat::MJPEG, FrameFormat::YUYV, FrameFormat::NV12, FrameFormat::RAWRGB, FrameFormat::RAWBGR];
    let request = RequestedFormat::with_formats(RequestedFormatType::Closest(wanted), &read);
    let name = chosen.human_name();
    let opened = nokhwa::Camera::new(chosen.index().clone(), request);
    let mut camera = opened.map_err(|e| failed("cannot open the camera", &e))?;
    camera.open_stream().map_err(|e| failed("cannot start the stream of the camera", &e))?;
    if to.send(News::Open { name, granted: camera.camera_format() }).is_err() {
        return Ok(());
    }
    let (mut seq, mut errors) = (0, 0);
    while !ended.load(Ordering::Relaxed) {
        let buffer = match camera.frame() {
            Ok(buffer) => buffer,
            Err(error) if errors + 1 == ERRORS_MOST => return Err(failed("the camera gives no frames", &error)),
            Err(_) => {
                errors += 1;
                continue;
            }
        };
        errors = 0;
        seq += 1;
        let Some(format) = format(buffer.source_frame_format()) else { continue };
        match to.try_send(News::Frame { seq, format, buffer }) {
            Ok(()) | Err(TrySendError::Full(_)) => {}
            Err(TrySendError::Disconnected(_)) => return Ok(()),
        }
    }
    camera.stop_stream().map_err(|e| failed("cannot stop the stream of the camera", &e))
}
