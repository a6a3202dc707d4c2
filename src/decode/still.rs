//! Stills of recordings: PNG, TIFF and BMP through the `image` crate, within stated limits of size and memory.

use std::io::{Cursor, ErrorKind};

use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::{MOST_PIXELS, SIDE_RANGE, Verdict, size_is_read};
use crate::frame::{Format, Size};
use crate::outcome::Damage;

/// Bytes that a decoder may allocate: the largest picture at sixteen bits and four channels.
const MOST_MEMORY: u64 = MOST_PIXELS as u64 * 8;

pub(super) fn decode(format: Format, bytes: &[u8], pixels: &mut Vec<u8>) -> Result<(Size, Verdict), Damage> {
    let (kind, begins): (ImageFormat, &[&[u8]]) = match format {
        Format::Png => (ImageFormat::Png, &[b"\x89PNG\r\n\x1a\n"]),
        Format::Tiff => (ImageFormat::Tiff, &[b"II\x2a\0", b"MM\0\x2a"]),
        Format::Bmp => (ImageFormat::Bmp, &[b"BM"]),
        _ => return Err(Damage::Foreign),
    };
    if !begins.iter().any(|magic| bytes.starts_with(magic)) {
        return Err(Damage::Foreign);
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), kind);
    reader.limits(limits());
    let decoder = reader.into_decoder().map_err(damage)?;
    let (width, height) = decoder.dimensions();
    let size = Size::new(width, height);
    if !size_is_read(size) {
        return Err(Damage::Size);
    }
    if decoder.color_type() == ColorType::Rgb8 {
        pixels.resize(size.pixels() * 3, 0);
        decoder.read_image(pixels).map_err(damage)?;
    } else {
        let converted = DynamicImage::from_decoder(decoder).map_err(damage)?.into_rgb8();
        pixels.clear();
        pixels.extend_from_slice(converted.as_raw());
    }
    Ok((size, Verdict::Clean))
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_image_width = Some(*SIDE_RANGE.end());
    limits.max_image_height = Some(*SIDE_RANGE.end());
    limits.max_alloc = Some(MOST_MEMORY);
    limits
}

fn damage(error: ImageError) -> Damage {
    match error {
        ImageError::Limits(_) => Damage::Size,
        ImageError::Unsupported(_) => Damage::Foreign,
        ImageError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => Damage::Cut,
        _ => Damage::Broken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ImageBuffer, Luma, Rgb, Rgba};

    fn encoded(picture: &DynamicImage, kind: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, kind).unwrap();
        bytes.into_inner()
    }

    fn rgb(width: u32, height: u32) -> DynamicImage {
        ImageBuffer::from_fn(width, height, |x, y| Rgb([x as u8, y as u8, (x * y) as u8])).into()
    }

    #[test]
    fn stills_come_back_to_the_byte() {
        let picture = rgb(97, 65);
        for (format, kind) in
            [(Format::Png, ImageFormat::Png), (Format::Tiff, ImageFormat::Tiff), (Format::Bmp, ImageFormat::Bmp)]
        {
            let mut pixels = vec![7; 3];
            let done = decode(format, &encoded(&picture, kind), &mut pixels).unwrap();
            assert_eq!(done, (Size::new(97, 65), Verdict::Clean));
            assert_eq!(pixels, picture.as_bytes(), "{format:?}");
        }
    }

    #[test]
    fn grey_deep_and_transparent_stills_become_rgb() {
        let deep: DynamicImage = ImageBuffer::from_pixel(64, 64, Luma([0x8080u16])).into();
        let clear: DynamicImage = ImageBuffer::from_pixel(64, 64, Rgba([1u8, 2, 3, 0])).into();
        for (picture, expected) in [(deep, [128, 128, 128]), (clear, [1, 2, 3])] {
            let mut pixels = Vec::new();
            decode(Format::Png, &encoded(&picture, ImageFormat::Png), &mut pixels).unwrap();
            assert_eq!(pixels[..3], expected);
        }
    }

    #[test]
    fn damaged_stills_are_refused_with_their_reason() {
        let whole = encoded(&rgb(640, 480), ImageFormat::Png);
        let bmp = encoded(&rgb(640, 480), ImageFormat::Bmp);
        let mut flipped = whole.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 0x10;
        let mut pixels = Vec::new();
        for (format, bytes, expected) in [
            (Format::Png, &whole[..whole.len() / 2], Damage::Cut),
            (Format::Png, &whole[..20], Damage::Cut),
            (Format::Bmp, &bmp[..bmp.len() / 2], Damage::Cut),
            (Format::Png, &flipped[..], Damage::Broken),
            (Format::Png, b"not a picture at all", Damage::Foreign),
            (Format::Bmp, &whole[..], Damage::Foreign),
            (Format::Tiff, b"II\x2a\0", Damage::Cut),
            (Format::Png, &encoded(&rgb(63, 64), ImageFormat::Png), Damage::Size),
            (Format::Bmp, &encoded(&rgb(64, 8193), ImageFormat::Bmp), Damage::Size),
        ] {
            assert_eq!(decode(format, bytes, &mut pixels), Err(expected), "{format:?}, {} bytes", bytes.len());
        }
    }

    #[test]
    fn a_forged_header_allocates_nothing() {
        let mut forged = encoded(&rgb(64, 64), ImageFormat::Bmp);
        forged[18..26].copy_from_slice(&[0x20, 0x4E, 0, 0, 0x20, 0x4E, 0, 0]);
        let mut pixels = Vec::new();
        assert_eq!(decode(Format::Bmp, &forged, &mut pixels), Err(Damage::Size));
        assert_eq!(pixels.capacity(), 0);
    }
}
