//! The newest frame, for those who look on: one place that holds one frame. Whoever is slow misses frames, and the
//! thread that puts them there waits for nobody.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use axum::body::Bytes;
use tokio::sync::watch;

use crate::decode::with_tables;
use crate::frame::{Colour, Format, RawFrame};

/// Before the frame's own bytes. docs/protocol.md describes it.
pub const HEADER: usize = 32;
/// Of the header; raised when an old page could misread a new one.
const VERSION: u8 = 1;

/// Where frames are put for viewers. Clones share the place.
#[derive(Clone, Debug)]
pub struct Live(watch::Sender<Option<Arc<Shown>>>);

impl Default for Live {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

/// A frame on its way to viewers. Its message is made once, by the first that sends it.
#[derive(Debug)]
pub(crate) struct Shown {
    raw: RawFrame,
    message: OnceLock<Bytes>,
}

impl Live {
    /// Shows a frame, if anyone looks on: the bytes are shared, not copied.
    pub fn show(&self, raw: &RawFrame) {
        if self.0.receiver_count() > 0 {
            self.0.send_replace(Some(Arc::new(Shown { raw: raw.clone(), message: OnceLock::new() })));
        }
    }

    pub fn viewers(&self) -> usize {
        self.0.receiver_count()
    }

    pub(crate) fn watch(&self) -> Watch {
        let mut frames = self.0.subscribe();
        // What was shown before anyone looked is not live.
        frames.mark_unchanged();
        Watch(frames)
    }
}

/// One viewer's look at it.
#[derive(Debug)]
pub(crate) struct Watch(watch::Receiver<Option<Arc<Shown>>>);

impl Watch {
    /// The newest frame that this viewer was not given; waits for one. `None` when no more can come.
    pub async fn next(&mut self) -> Option<Bytes> {
        loop {
            self.0.changed().await.ok()?;
            let shown = self.0.borrow_and_update().clone();
            if let Some(shown) = shown {
                return Some(shown.message());
            }
        }
    }
}

impl Shown {
    fn message(&self) -> Bytes {
        self.message.get_or_init(|| message(&self.raw)).clone()
    }
}

/// The camera's own bytes behind the header; no browser shows a motion JPEG without Huffman tables, which many cameras leave
/// out, so they are put in.
fn message(raw: &RawFrame) -> Bytes {
    let picture = if raw.format == Format::Mjpeg { with_tables(&raw.bytes) } else { Cow::Borrowed(&*raw.bytes) };
    let mut bytes = Vec::with_capacity(HEADER + picture.len());
    bytes.extend([VERSION, format_code(raw.format), colour_code(raw.colour), 0]);
    bytes.extend(raw.id.run.to_le_bytes());
    bytes.extend(raw.id.seq.to_le_bytes());
    bytes.extend((raw.at.ns() / 1000).to_le_bytes());
    bytes.extend(raw.size.width.to_le_bytes());
    bytes.extend(raw.size.height.to_le_bytes());
    bytes.extend_from_slice(&picture);
    bytes.into()
}

const fn format_code(format: Format) -> u8 {
    match format {
        Format::Mjpeg => 0,
        Format::Yuyv => 1,
        Format::Uyvy => 2,
        Format::Nv12 => 3,
        Format::Grey => 4,
        Format::Rgb24 => 5,
        Format::Bgr24 => 6,
        Format::Png => 7,
        Format::Tiff => 8,
        Format::Bmp => 9,
    }
}

const fn colour_code(colour: Colour) -> u8 {
    match colour {
        Colour::Bt601Limited => 0,
        Colour::Bt601Full => 1,
        Colour::Bt709Limited => 2,
        Colour::Bt709Full => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{FrameId, Size};
    use crate::time::Stamp;

    fn frame(seq: u64) -> RawFrame {
        RawFrame {
            id: FrameId { run: 2, seq },
            at: Stamp::from_ms(1500),
            format: Format::Mjpeg,
            size: Size::new(1280, 1024),
            colour: Colour::Bt601Full,
            bytes: Arc::from([0xff, 0xd8, 0xff, 0xd9]),
            flagged: false,
        }
    }

    #[test]
    fn without_a_viewer_nothing_is_kept() {
        let live = Live::default();
        let raw = frame(1);
        live.show(&raw);
        assert_eq!(Arc::strong_count(&raw.bytes), 1);
    }

    #[tokio::test]
    async fn a_slow_viewer_gets_the_newest_frame_only() {
        let live = Live::default();
        let mut watch = live.watch();
        for seq in 0..100 {
            live.show(&frame(seq));
        }
        let seen = watch.next().await.unwrap();
        assert_eq!(u64::from_le_bytes(seen[8..16].try_into().unwrap()), 99);
        let mut again = std::pin::pin!(watch.next());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(again.as_mut().poll(&mut context).is_pending(), "a frame was given twice");
    }

    #[tokio::test]
    async fn who_comes_late_is_not_shown_an_old_frame() {
        let live = Live::default();
        let _first = live.watch();
        live.show(&frame(7));
        let mut late = live.watch();
        live.show(&frame(8));
        let seen = late.next().await.unwrap();
        assert_eq!(u64::from_le_bytes(seen[8..16].try_into().unwrap()), 8);
    }

    #[test]
    fn a_frame_without_huffman_tables_is_given_them() {
        let scan = [0xff, 0xda, 0, 8, 1, 1, 0, 0, 0x3f, 0, 0x12, 0xff, 0xd9];
        let raw = RawFrame { bytes: [&[0xff, 0xd8], &scan[..]].concat().into(), ..frame(1) };
        let shown = message(&raw);
        let picture = &shown[HEADER..];
        assert_eq!((&picture[..4], &picture[picture.len() - scan.len()..]), (&[0xff, 0xd8, 0xff, 0xc4][..], &scan[..]));
        let grey = RawFrame { format: Format::Grey, ..raw };
        assert_eq!(message(&grey)[HEADER..], *grey.bytes, "what is no JPEG stays as it is");
    }

    #[test]
    fn the_header_says_which_frame_and_when() {
        let bytes = message(&frame(0x0102_0304_0506));
        assert_eq!(bytes.len(), HEADER + 4);
        assert_eq!(&bytes[..4], [VERSION, 0, 1, 0]);
        assert_eq!(u32::from_le_bytes(bytes[4..8].try_into().unwrap()), 2);
        assert_eq!(u64::from_le_bytes(bytes[8..16].try_into().unwrap()), 0x0102_0304_0506);
        assert_eq!(u64::from_le_bytes(bytes[16..24].try_into().unwrap()), 1_500_000);
        assert_eq!(u32::from_le_bytes(bytes[24..28].try_into().unwrap()), 1280);
        assert_eq!(u32::from_le_bytes(bytes[28..32].try_into().unwrap()), 1024);
        assert_eq!(&bytes[HEADER..], [0xff, 0xd8, 0xff, 0xd9]);
    }
}
