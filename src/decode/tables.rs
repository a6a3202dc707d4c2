//! Motion JPEG for viewers: they know no frame without Huffman tables, which many cameras leave out.

use std::borrow::Cow;

use super::huffman::{Kind, Spec};
use super::markers;

/// The frame with the standard tables put in where it has none (ITU-T T.81, annex K.3); nothing else is changed. What
/// is no such frame is given back as it is.
pub fn with_tables(jpeg: &[u8]) -> Cow<'_, [u8]> {
    let Some(scan) = scan_without_tables(jpeg) else { return Cow::Borrowed(jpeg) };
    let mut body = Vec::new();
    for (kind, class) in [(Kind::Dc, 0x00), (Kind::Ac, 0x10)] {
        for slot in [0, 1] {
            let Some(spec) = Spec::standard(kind, slot) else { return Cow::Borrowed(jpeg) };
            body.push(class | slot as u8);
            body.extend_from_slice(spec.counts());
            body.extend_from_slice(spec.symbols());
        }
    }
    let length = (body.len() + 2) as u16;
    let mut whole = Vec::with_capacity(jpeg.len() + body.len() + 4);
    whole.extend_from_slice(&jpeg[..scan]);
    whole.extend_from_slice(&[0xFF, markers::DHT]);
    whole.extend_from_slice(&length.to_be_bytes());
    whole.extend_from_slice(&body);
    whole.extend_from_slice(&jpeg[scan..]);
    Cow::Owned(whole)
}

/// Where the header of the scan begins, in a frame without a table of its own.
fn scan_without_tables(jpeg: &[u8]) -> Option<usize> {
    if !jpeg.starts_with(&[0xFF, markers::SOI]) {
        return None;
    }
    let mut at = 2;
    loop {
        let segment = markers::segment(jpeg, at).ok()?;
        match segment.marker {
            markers::DHT | markers::EOI => return None,
            markers::SOS => return Some(at),
            _ => at = segment.end,
        }
    }
}

#[cfg(test)]
mod tests {
    use turbojpeg::Subsamp;

    use super::*;
    use crate::decode::fixture;
    use crate::frame::Size;

    #[test]
    fn a_frame_gets_back_the_tables_that_it_was_made_with() {
        let size = Size::new(96, 80);
        let jpeg = fixture::jpeg(&fixture::picture(size), size, 85, Subsamp::Sub2x1);
        let bare = fixture::without_tables(&jpeg);
        assert_eq!(scan_without_tables(&jpeg), None);
        let whole = with_tables(&bare);
        assert_eq!(scan_without_tables(&whole), None, "a viewer finds no table");
        assert!(matches!(with_tables(&whole), Cow::Borrowed(_)), "tables are put in once");
        let mut decompressor = turbojpeg::Decompressor::new().unwrap();
        let mut pixels = |jpeg: &[u8]| {
            let mut pixels = vec![0; size.pixels() * 3];
            let (width, height) = (size.width as usize, size.height as usize);
            let image = turbojpeg::Image {
                pixels: &mut pixels[..],
                width,
                pitch: width * 3,
                height,
                format: turbojpeg::PixelFormat::RGB,
            };
            decompressor.decompress(jpeg, image).unwrap();
            pixels
        };
        assert_eq!(pixels(&whole), pixels(&jpeg));
    }

    #[test]
    fn what_is_no_frame_stays_as_it_is() {
        for bytes in [&b""[..], b"\xFF", b"\xFF\xD8", b"\xFF\xD8\xFF\xDA", b"\xFF\xD8\xFF\xD9", b"GIF89a"] {
            assert_eq!(&*with_tables(bytes), bytes);
        }
    }
}
