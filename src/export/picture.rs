//! A kept frame as any viewer shows it. The camera's JPEG and a PNG stay as they are, byte for byte; what a browser
//! cannot show becomes a PNG of the same pixels.

use std::borrow::Cow;
use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use image::{ColorType, ImageFormat};

use super::ExportError;
use crate::decode::{Decoded, Decoder, with_tables};
use crate::frame::{Colour, Format, RawFrame, Size};
use crate::outcome::Damage;
use crate::report::Evidence;
use crate::time::Stamp;

/// What a viewer is told of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    Jpeg,
    Png,
}

impl Media {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
        }
    }
}

/// The bytes of a picture and its size in pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    pub media: Media,
    pub bytes: Vec<u8>,
    pub size: Size,
}

/// Why a kept frame is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unseen {
    /// It could not be kept when it was taken.
    NotKept,
    Damaged(Damage),
}

/// Reads a kept frame. `announced` is the size that the source gave, for formats that do not bear their own.
pub(super) fn load(
    folder: &Path,
    evidence: &Evidence,
    announced: Option<Size>,
) -> Result<Result<Picture, Unseen>, ExportError> {
    let Some(file) = &evidence.file else { return Ok(Err(Unseen::NotKept)) };
    let path = folder.join(file);
    let Some(format) = format_of(&path) else { return Ok(Err(Unseen::Damaged(Damage::Foreign))) };
    let bytes = fs::read(&path).map_err(|source| ExportError::Unreadable { path, source })?;
    let raw = RawFrame {
        id: evidence.frame,
        at: Stamp::default(),
        format,
        size: announced.unwrap_or(Size::new(0, 0)),
        // Only YUV bears no word of its colours; what USB cameras send unless they say otherwise.
        colour: Colour::Bt601Limited,
        bytes: Arc::from(bytes),
        flagged: false,
    };
    let image = match Decoder::new()?.decode(&raw, Vec::new()) {
        Decoded::Clean(image) | Decoded::Tolerated(image) => image,
        Decoded::Rejected { damage, .. } => return Ok(Err(Unseen::Damaged(damage))),
    };
    let size = image.size();
    let (media, bytes) = match format {
        Format::Mjpeg => (Media::Jpeg, with_tables(&raw.bytes)),
        Format::Png => (Media::Png, Cow::Borrowed(&raw.bytes[..])),
        _ => (Media::Png, Cow::Owned(png(size, image.rgb())?)),
    };
    Ok(Ok(Picture { media, bytes: bytes.into_owned(), size }))
}

fn format_of(path: &Path) -> Option<Format> {
    const ALL: [Format; 10] = [
        Format::Mjpeg,
        Format::Yuyv,
        Format::Uyvy,
        Format::Nv12,
        Format::Grey,
        Format::Rgb24,
        Format::Bgr24,
        Format::Png,
        Format::Tiff,
        Format::Bmp,
    ];
    let ending = path.extension()?.to_str()?;
    ALL.into_iter().find(|format| format.extension() == ending)
}

fn png(size: Size, rgb: &[u8]) -> Result<Vec<u8>, ExportError> {
    let mut bytes = Cursor::new(Vec::new());
    image::write_buffer_with_format(&mut bytes, rgb, size.width, size.height, ColorType::Rgb8, ImageFormat::Png)
        .map_err(|e| ExportError::Png(e.to_string()))?;
    Ok(bytes.into_inner())
}
