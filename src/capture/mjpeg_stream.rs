//! Splits a raw motion-JPEG stream into its pictures by walking the segments of each, so that a preview inside
//! a picture's metadata is not taken for a picture. Says nothing of what can be decoded.

use std::io::{self, BufRead, BufReader, Read};

use super::MAX_FRAME_BYTES;
use crate::frame::Size;

const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;

/// One picture of a stream; its bytes are in the caller's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Split {
    /// From its first marker to its last.
    Whole,
    /// The stream ended, or the next picture began, before its last marker.
    Cut,
    /// Its segments do not follow each other, or it is larger than any frame.
    Malformed,
}

/// What stands where a marker is expected.
enum Met {
    Marker(u8),
    End,
    Garbage,
}

/// A stream of JPEG pictures, perhaps with other bytes between them.
pub(super) struct Splitter<R> {
    input: BufReader<R>,
    /// The start marker of the next picture was read with the end of the last one.
    started: bool,
    most: u64,
}

impl<R: Read> Splitter<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input: BufReader::with_capacity(1 << 16, input), started: false, most: MAX_FRAME_BYTES }
    }

    /// Puts the next picture into `out`; `None` when the stream holds no further one.
    pub(super) fn next(&mut self, out: &mut Vec<u8>) -> io::Result<Option<Split>> {
        out.clear();
        if !std::mem::take(&mut self.started) && !self.find_start()? {
            return Ok(None);
        }
        out.extend([0xFF, SOI]);
        let mut met = self.marker(out)?;
        while out.len() as u64 <= self.most {
            met = match met {
                Met::Marker(EOI) => return Ok(Some(Split::Whole)),
                Met::Marker(SOI) => return self.next_began(out).map(Some),
                Met::Marker(0x01 | 0xD0..=0xD7) => self.marker(out)?,
                Met::Marker(code) => match self.segment(out)? {
                    Split::Whole if code == SOS => self.entropy(out)?,
                    Split::Whole => self.marker(out)?,
                    broken => return Ok(Some(broken)),
                },
                Met::End => return Ok(Some(Split::Cut)),
                Met::Garbage => return Ok(Some(Split::Malformed)),
            };
        }
        Ok(Some(Split::Malformed))
    }

    /// A start marker inside a picture: the next one, unless it is noise in a damaged one.
    fn next_began(&mut self, out: &mut Vec<u8>) -> io::Result<Split> {
        if self.peek()? != Some(0xFF) {
            return Ok(Split::Malformed);
        }
        out.truncate(out.len() - 2);
        self.started = true;
        Ok(Split::Cut)
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        Ok(self.input.fill_buf()?.first().copied())
    }

    fn byte(&mut self) -> io::Result<Option<u8>> {
        let byte = self.peek()?;
        if byte.is_some() {
            self.input.consume(1);
        }
        Ok(byte)
    }

    /// Passes over everything up to and with the next start of a picture; false at the stream's end.
    fn find_start(&mut self) -> io::Result<bool> {
        let mut last = 0;
        loop {
            let Some(byte) = self.byte()? else { return Ok(false) };
            // A picture's first marker is followed by another; the two bytes alone stand in any garbage.
            if last == 0xFF && byte == SOI && self.peek()? == Some(0xFF) {
                return Ok(true);
            }
            last = byte;
        }
    }

    /// Copies one marker, with the fill bytes that may stand before it.
    fn marker(&mut self, out: &mut Vec<u8>) -> io::Result<Met> {
        match self.peek()? {
            None => return Ok(Met::End),
            Some(0xFF) => {}
            Some(_) => return Ok(Met::Garbage),
        }
        while self.peek()? == Some(0xFF) && out.len() as u64 <= self.most {
            self.input.consume(1);
            out.push(0xFF);
        }
        match self.byte()? {
            None => Ok(Met::End),
            Some(0x00 | 0xFF) => Ok(Met::Garbage),
            Some(code) => {
                out.push(code);
                Ok(Met::Marker(code))
            }
        }
    }

    /// Copies a segment's length and body.
    fn segment(&mut self, out: &mut Vec<u8>) -> io::Result<Split> {
        let (Some(high), Some(low)) = (self.byte()?, self.byte()?) else { return Ok(Split::Cut) };
        out.extend([high, low]);
        let Some(body) = u16::from_be_bytes([high, low]).checked_sub(2) else { return Ok(Split::Malformed) };
        let copied = self.input.by_ref().take(body.into()).read_to_end(out)?;
        Ok(if copied == usize::from(body) { Split::Whole } else { Split::Cut })
    }

    /// Copies entropy-coded bytes up to and with the marker that ends them.
    fn entropy(&mut self, out: &mut Vec<u8>) -> io::Result<Met> {
        loop {
            let held = self.input.fill_buf()?;
            if held.is_empty() {
                return Ok(Met::End);
            }
            let plain = held.iter().position(|&b| b == 0xFF).unwrap_or(held.len());
            out.extend_from_slice(&held[..plain]);
            let ended = plain == held.len();
            self.input.consume(plain);
            if out.len() as u64 > self.most {
                return Ok(Met::Garbage);
            }
            if ended {
                continue;
            }
            self.input.consume(1);
            out.push(0xFF);
            match self.peek()? {
                None => return Ok(Met::End),
                // Fill: the byte after it decides.
                Some(0xFF) => {}
                // A stuffed zero and a restart marker belong to the data.
                Some(code @ (0x00 | 0xD0..=0xD7)) => {
                    self.input.consume(1);
                    out.push(code);
                }
                Some(code) => {
                    self.input.consume(1);
                    out.push(code);
                    return Ok(Met::Marker(code));
                }
            }
        }
    }
}

/// Width and height as the picture's own header gives them.
pub(super) fn jpeg_size(bytes: &[u8]) -> Option<Size> {
    let mut rest = bytes.strip_prefix(&[0xFF, SOI])?;
    loop {
        let start = rest.iter().position(|&b| b != 0xFF)?;
        let (&code, after) = rest[start..].split_first()?;
        let length = usize::from(u16::from_be_bytes(after.first_chunk().copied()?));
        match code {
            // Frame headers; DHT, JPG and DAC stand among them without being one.
            0xC0..=0xCF if !matches!(code, 0xC4 | 0xC8 | 0xCC) => {
                let at = |i| after.get(i..)?.first_chunk().copied().map(u16::from_be_bytes);
                return Some(Size::new(at(5)?.into(), at(3)?.into()));
            }
            SOS | EOI => return None,
            _ => rest = after.get(length.max(2)..)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    /// The markers of a JPEG around `scan`, a preview of its own in the metadata; no decoder would take it.
    fn picture(metadata: &[u8], scan: &[u8]) -> Vec<u8> {
        let preview = [&[0xFF, SOI, 0xFF, 0xDB], metadata, &[0xFF, EOI]].concat();
        let length = u16::try_from(preview.len() + 2).unwrap().to_be_bytes();
        let stuffed: Vec<u8> = scan.iter().flat_map(|&b| if b == 0xFF { vec![0xFF, 0x00] } else { vec![b] }).collect();
        let header = [0xFF, 0xC0, 0, 8, 8, 0x04, 0x00, 0x05, 0x00, 1];
        [
            &[0xFF, SOI, 0xFF, 0xE1],
            &length[..],
            &preview,
            &header,
            &[0xFF, SOS, 0, 2],
            &stuffed,
            &[0xFF, 0xD3],
            &stuffed,
            &[0xFF, 0xFF, EOI],
        ]
        .concat()
    }

    fn split(stream: &[u8]) -> Vec<(Split, Vec<u8>)> {
        let mut splitter = Splitter::new(Cursor::new(stream));
        let mut out = Vec::new();
        let mut all = Vec::new();
        while let Some(how) = splitter.next(&mut out).unwrap() {
            all.push((how, out.clone()));
        }
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn a_row_of_pictures_comes_apart_where_it_was_joined(
            parts in prop::collection::vec(
                (prop::collection::vec(any::<u8>(), 0..60), prop::collection::vec(any::<u8>(), 0..300),
                 prop::collection::vec(0u8..0xFF, 0..40)), 0..8),
        ) {
            let pictures: Vec<_> = parts.iter().map(|(m, s, _)| (Split::Whole, picture(m, s))).collect();
            let joined: Vec<u8> = pictures.iter().flat_map(|(_, p)| p.clone()).collect();
            prop_assert_eq!(&split(&joined), &pictures);
            let with_garbage: Vec<u8> =
                pictures.iter().zip(&parts).flat_map(|((_, p), (_, _, g))| [&g[..], p].concat()).collect();
            prop_assert_eq!(&split(&with_garbage), &pictures);
        }

        #[test]
        fn any_bytes_come_to_an_end(
            bytes in prop::collection::vec(prop_oneof![Just(0xFFu8), Just(SOI), Just(EOI), Just(SOS), any::<u8>()], 0..2000),
        ) {
            let all = split(&bytes);
            let given: usize = all.iter().map(|(_, p)| p.len()).sum();
            prop_assert!(given <= bytes.len());
            let _ = jpeg_size(&bytes);
        }
    }

    #[test]
    fn a_cut_picture_does_not_swallow_the_next() {
        let whole = picture(b"m", &[1, 2, 3, 0xFF, 4]);
        let cut = &whole[..whole.len() - 6];
        let all = split(&[cut, &whole, cut].concat());
        assert_eq!(all, [(Split::Cut, cut.to_vec()), (Split::Whole, whole.clone()), (Split::Cut, cut.to_vec())]);
    }

    #[test]
    fn a_picture_without_end_is_given_up_at_the_limit() {
        let endless = [picture(b"", b"")[..20].to_vec(), vec![0xFF; 5000]].concat();
        let mut splitter = Splitter { most: 1000, ..Splitter::new(Cursor::new(endless)) };
        let mut out = Vec::new();
        assert_eq!(splitter.next(&mut out).unwrap(), Some(Split::Malformed));
        assert!(out.len() < 2000, "{} bytes were kept", out.len());
    }

    #[test]
    fn the_size_stands_in_the_frame_header_not_in_the_preview() {
        assert_eq!(jpeg_size(&picture(b"abc", b"xyz")), Some(Size::new(1280, 1024)));
        assert_eq!(jpeg_size(&[0xFF, SOI, 0xFF, EOI]), None);
    }
}
