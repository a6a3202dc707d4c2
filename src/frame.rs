//! A frame as the camera gave it (`RawFrame`) and as pixels (`Image`).

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::Stamp;

/// Names one frame: which opening of the source it came from, and the driver's own number in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct FrameId {
    /// Counts the openings of the source: a camera that was lost and came back starts a new run.
    pub run: u32,
    /// The driver's sequence number; gaps are frames lost before they reached us.
    pub seq: u64,
}

impl fmt::Display for FrameId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.run, self.seq)
    }
}

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Size {
    pub width: u32,
    pub height: u32,
}

impl Size {
    pub const fn new(width: u32, height: u32) -> Self {
        Self { width, height }
    }

    pub const fn pixels(self) -> usize {
        self.width as usize * self.height as usize
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// How the bytes of a `RawFrame` are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One JPEG a frame, perhaps without Huffman tables (USB video class 1.5, motion JPEG payload).
    Mjpeg,
    Yuyv,
    Uyvy,
    Nv12,
    Grey,
    Rgb24,
    Bgr24,
    /// Stills, from recordings only.
    Png,
    Tiff,
    Bmp,
}

impl Format {
    /// The usual ending of a file that holds such bytes.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Mjpeg => "jpg",
            Self::Yuyv => "yuyv",
            Self::Uyvy => "uyvy",
            Self::Nv12 => "nv12",
            Self::Grey => "grey",
            Self::Rgb24 => "rgb",
            Self::Bgr24 => "bgr",
            Self::Png => "png",
            Self::Tiff => "tiff",
            Self::Bmp => "bmp",
        }
    }
}

/// Which YCbCr matrix and range uncompressed YUV frames bear. JPEG is always full-range BT.601 (JFIF).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Colour {
    /// 16-235 luma, BT.601: what UVC cameras send as YUYV unless their colour descriptor says otherwise.
    Bt601Limited,
    Bt601Full,
    Bt709Limited,
    Bt709Full,
}

/// A frame as the source gave it. Cloning shares the bytes.
#[derive(Clone, Debug)]
pub struct RawFrame {
    pub id: FrameId,
    pub at: Stamp,
    pub format: Format,
    /// As negotiated with the device; for encoded formats the picture itself has the last word.
    pub size: Size,
    pub colour: Colour,
    /// Cut to the used length.
    pub bytes: Arc<[u8]>,
    /// The driver itself marked this frame as damaged.
    pub flagged: bool,
}

/// RGB pixels, three bytes each, rows without padding.
#[derive(Debug)]
pub struct Image {
    id: FrameId,
    at: Stamp,
    size: Size,
    rgb: Vec<u8>,
}

impl Image {
    /// `None` unless `rgb` holds exactly `size` pixels of three bytes.
    pub fn new(id: FrameId, at: Stamp, size: Size, rgb: Vec<u8>) -> Option<Self> {
        (size.pixels() > 0 && rgb.len() == size.pixels() * 3).then_some(Self { id, at, size, rgb })
    }

    pub fn id(&self) -> FrameId {
        self.id
    }

    pub fn at(&self) -> Stamp {
        self.at
    }

    pub fn size(&self) -> Size {
        self.size
    }

    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// Gives the buffer back, to decode the next frame into.
    pub fn into_buffer(self) -> Vec<u8> {
        self.rgb
    }
}
