//! Bytes to pixels, or to the reason why they give none. A damaged frame is a value here, not a failure, and a
//! picture is handed on only when there is evidence that every row of it is there.

mod entropy;
#[cfg(test)]
mod fixture;
mod huffman;
mod markers;
mod mjpeg;
mod steps;
mod still;
#[cfg(test)]
mod sweep;
mod tables;
mod yuv;

pub use tables::with_tables;

use crate::frame::{Format, Image, RawFrame, Size};
use crate::outcome::Damage;

/// Shortest and longest side of a frame we read, in pixels. The smallest sensor mode of a USB microscope is
/// 160x120; 8192 is past the largest still of one (5 megapixels, 2592x1944) and keeps a forged header from
/// asking for gigabytes.
pub const SIDE_RANGE: std::ops::RangeInclusive<u32> = 64..=8192;
/// Most pixels of a frame we read: 100 MB of RGB, six times a five-megapixel sensor.
pub const MOST_PIXELS: usize = 1 << 25;

pub(crate) fn size_is_read(size: Size) -> bool {
    SIDE_RANGE.contains(&size.width) && SIDE_RANGE.contains(&size.height) && size.pixels() <= MOST_PIXELS
}

/// The decoder library could not be started: out of memory.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the JPEG decoder; free memory and start again")]
pub struct DecodeError {
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// What became of a frame's bytes.
#[derive(Debug)]
pub enum Decoded {
    Clean(Image),
    /// Stray or missing bytes that are no part of the picture: padding, bytes after the end, a missing end mark.
    Tolerated(Image),
    /// No picture, or none that may be trusted. The buffer comes back for the next frame.
    Rejected {
        damage: Damage,
        buffer: Vec<u8>,
    },
}

/// How good a complete picture was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Clean,
    Tolerated,
}

/// Decodes frames of any format one after the other, reusing its memory.
#[derive(Debug)]
pub struct Decoder {
    mjpeg: mjpeg::Mjpeg,
}

impl Decoder {
    pub fn new() -> Result<Self, DecodeError> {
        Ok(Self { mjpeg: mjpeg::Mjpeg::new()? })
    }

    /// Decodes `raw` into `buffer`, whose content is of no matter and whose memory is reused.
    pub fn decode(&mut self, raw: &RawFrame, mut buffer: Vec<u8>) -> Decoded {
        let (size, verdict) = match self.pixels(raw, &mut buffer) {
            Ok(done) => done,
            Err(damage) => return Decoded::Rejected { damage, buffer },
        };
        match (Image::new(raw.id, raw.at, size, buffer), verdict) {
            (Some(image), Verdict::Clean) => Decoded::Clean(image),
            (Some(image), Verdict::Tolerated) => Decoded::Tolerated(image),
            (None, _) => Decoded::Rejected { damage: Damage::Short, buffer: Vec::new() },
        }
    }

    fn pixels(&mut self, raw: &RawFrame, buffer: &mut Vec<u8>) -> Result<(Size, Verdict), Damage> {
        if raw.flagged {
            return Err(Damage::Flagged);
        }
        if raw.bytes.is_empty() {
            return Err(Damage::Empty);
        }
        match raw.format {
            Format::Mjpeg => self.mjpeg.decode(&raw.bytes, buffer),
            Format::Png | Format::Tiff | Format::Bmp => still::decode(raw.format, &raw.bytes, buffer),
            Format::Yuyv | Format::Uyvy | Format::Nv12 | Format::Grey | Format::Rgb24 | Format::Bgr24 => {
                yuv::convert(raw, buffer)
            }
        }
    }
}
