//! Reads the pictures of an AVI file: motion JPEG as it stands, and uncompressed 24-bit pictures turned the
//! right way up.
//!
//! Chunks are walked in the order of the file. Neither an index nor the sizes of lists are believed: recorders
//! that lost power leave them empty or wrong, and the frames are there nevertheless.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use super::{MAX_FRAME_BYTES, Rate};
use crate::frame::{Format, Size};

/// Largest side of a picture that is believed; beyond the largest sensor of any microscope.
const MAX_SIDE: u32 = 1 << 15;
/// Room for `strh` and for `strf` with all colour masks; what is longer is passed over.
const MAX_HEADER_BYTES: u64 = 256;

#[derive(Debug, thiserror::Error)]
pub(super) enum AviError {
    #[error("the file cannot be read")]
    Io(#[from] io::Error),
    /// Holds the reason.
    #[error("{0}")]
    Unsupported(String),
    #[error("the file ends before its first picture")]
    NoHeader,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Mjpeg,
    /// Device-independent bitmap: BGR, rows padded to four bytes, the last row first unless the height is negative.
    Dib {
        bottom_up: bool,
    },
}

/// What the headers say of the first video stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) size: Size,
    /// Absent where the file gives none that can be believed.
    pub(super) rate: Option<Rate>,
    coding: Coding,
    /// The two digits with which the stream's chunks begin.
    digits: [u8; 2],
}

impl Header {
    pub(super) fn format(&self) -> Format {
        match self.coding {
            Coding::Mjpeg => Format::Mjpeg,
            Coding::Dib { .. } => Format::Bgr24,
        }
    }

    fn is_picture(&self, id: [u8; 4]) -> bool {
        id[..2] == self.digits && matches!(&id[2..], b"dc" | b"db")
    }

    /// Whether ten bytes that begin like a picture's chunk can be one; an index holds the same names.
    fn plausible(&self, chunk: &[u8; 10]) -> bool {
        let size = u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]);
        match self.coding {
            Coding::Mjpeg => chunk[8..] == [0xFF, 0xD8],
            Coding::Dib { .. } => size as usize == self.dib_stride() * self.size.height as usize,
        }
    }

    fn dib_stride(&self) -> usize {
        (self.size.width as usize * 3).next_multiple_of(4)
    }
}

/// How many pictures a file holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// Moments at which there should be one.
    pub(super) slots: u64,
    pub(super) pictures: u64,
}

/// A picture whose bytes stand at the reader's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Payload {
    slot: u64,
    length: u64,
}

pub(super) struct Avi<R> {
    input: BufReader<R>,
    /// Where the next chunk begins.
    at: u64,
    end: u64,
    header: Header,
    /// Moments passed, those included at which the recorder had no picture.
    slots: u64,
    padded: Vec<u8>,
}

impl<R: Read + Seek> Avi<R> {
    pub(super) fn open(mut input: R) -> Result<Self, AviError> {
        let end = input.seek(SeekFrom::End(0))?;
        input.rewind()?;
        // Small, because a count jumps from chunk to chunk and would read what it jumps over.
        let mut input = BufReader::with_capacity(4096, input);
        let (header, at) = read_header(&mut input, end)?;
        Ok(Self { input, at, end, header, slots: 0, padded: Vec::new() })
    }

    pub(super) fn header(&self) -> Header {
        self.header
    }

    /// Counts what [`Avi::next`] would give, reading no picture.
    pub(super) fn count(mut self) -> io::Result<Count> {
        let mut count = Count::default();
        while self.step()?.is_some() {
            count.pictures += 1;
        }
        count.slots = self.slots;
        Ok(count)
    }

    /// Puts the next picture into `out` and gives its slot, and whether the file still held all of it.
    pub(super) fn next(&mut self, out: &mut Vec<u8>) -> io::Result<Option<(u64, bool)>> {
        let Some(payload) = self.step()? else { return Ok(None) };
        let raw = match self.header.coding {
            Coding::Mjpeg => &mut *out,
            Coding::Dib { .. } => &mut self.padded,
        };
        raw.clear();
        let read = self.input.by_ref().take(payload.length).read_to_end(raw)?;
        if let Coding::Dib { bottom_up } = self.header.coding {
            upright(&self.padded, self.header.size, self.header.dib_stride(), bottom_up, out);
        }
        Ok(Some((payload.slot, read as u64 == payload.length)))
    }

    /// Goes to the next picture's bytes; the place after them is already noted.
    fn step(&mut self) -> io::Result<Option<Payload>> {
        // Not beyond the end as it was at opening: what is written to the file since has no place in the count.
        while self.at + 8 <= self.end {
            self.go_to(self.at)?;
            let Some((id, size)) = chunk_header(&mut self.input)? else { return Ok(None) };
            let body = self.at + 8;
            let fits = body + u64::from(size) <= self.end;
            match &id {
                b"RIFF" | b"LIST" => {
                    let kind: Option<[u8; 4]> = array(&mut self.input)?;
                    // Entered, whatever size they claim: it is filled in last, or never.
                    let holds_pictures = matches!(kind.as_ref(), Some(b"movi" | b"rec " | b"AVIX" | b"AVI "));
                    self.at = if holds_pictures || !fits { body + 4 } else { after(body, size) };
                }
                // The recorder had no picture at this moment: a loss that its numbering keeps.
                _ if self.header.is_picture(id) && size == 0 => {
                    self.at = body;
                    self.slots += 1;
                }
                _ if self.header.is_picture(id) => {
                    self.at =
                        if fits && u64::from(size) <= MAX_FRAME_BYTES { after(body, size) } else { self.find(body)? };
                    let length = (self.at.min(self.end) - body).min(size.into()).min(MAX_FRAME_BYTES);
                    self.go_to(body)?;
                    self.slots += 1;
                    return Ok(Some(Payload { slot: self.slots - 1, length }));
                }
                _ if fits && id.iter().all(|b| b.is_ascii_graphic() || *b == b' ') => self.at = after(body, size),
                // One byte back as well: some recorders leave out the byte that pads an odd chunk.
                _ => self.at = self.find(self.at.saturating_sub(1))?,
            }
        }
        Ok(None)
    }

    fn go_to(&mut self, place: u64) -> io::Result<()> {
        let here = self.input.stream_position()?;
        match i64::try_from(i128::from(place) - i128::from(here)) {
            Ok(offset) => self.input.seek_relative(offset),
            Err(_) => self.input.seek(SeekFrom::Start(place)).map(|_| ()),
        }
    }

    /// Where the next chunk that looks like a picture begins, at `from` or after it; else the file's end.
    fn find(&mut self, from: u64) -> io::Result<u64> {
        self.go_to(from)?;
        let mut window = [0u8; 10];
        let mut place = from;
        let mut bytes = self.input.by_ref().bytes();
        for slot in &mut window {
            let Some(byte) = bytes.next() else { return Ok(self.end) };
            *slot = byte?;
        }
        loop {
            if self.header.is_picture([window[0], window[1], window[2], window[3]]) && self.header.plausible(&window) {
                return Ok(place);
            }
            let Some(byte) = bytes.next() else { return Ok(self.end) };
            window.copy_within(1.., 0);
            window[9] = byte?;
            place += 1;
        }
    }
}

/// Where the chunk after this one begins: chunks stand at even places.
fn after(body: u64, size: u32) -> u64 {
    body + u64::from(size) + u64::from(size & 1)
}

fn array<const N: usize>(input: &mut impl Read) -> io::Result<Option<[u8; N]>> {
    let mut bytes = [0; N];
    match input.read_exact(&mut bytes) {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

fn chunk_header(input: &mut impl Read) -> io::Result<Option<([u8; 4], u32)>> {
    Ok(array::<8>(input)?.map(|[a, b, c, d, size @ ..]| ([a, b, c, d], u32::from_le_bytes(size))))
}

/// The headers up to the list of pictures, and where that list begins.
fn read_header<R: Read + Seek>(input: &mut BufReader<R>, end: u64) -> Result<(Header, u64), AviError> {
    let mut streams = 0u8;
    let mut micros_per_frame = 0;
    let mut video: Option<Vec<u8>> = None;
    let mut header = None;
    let mut at = 0;
    while at < end {
        input.seek(SeekFrom::Start(at))?;
        let Some((id, size)) = chunk_header(input)? else { break };
        let body = at + 8;
        at = after(body, size);
        match &id {
            b"RIFF" | b"LIST" => match array::<4>(input)?.as_ref() {
                Some(b"movi") => return header.map(|h| (h, body - 8)).ok_or_else(no_video),
                Some(b"AVI " | b"hdrl" | b"strl") => at = body + 4,
                _ => {}
            },
            b"avih" => micros_per_frame = word(&some_of(input, size)?, 0).unwrap_or(0),
            b"strh" => {
                let fields = some_of(input, size)?;
                streams = streams.saturating_add(1);
                video = fields.starts_with(b"vids").then_some(fields);
            }
            b"strf" if header.is_none() => {
                if let Some(strh) = video.take() {
                    header = Some(stream_header(streams - 1, &strh, &some_of(input, size)?, micros_per_frame)?);
                }
            }
            _ => {}
        }
    }
    Err(AviError::NoHeader)
}

fn no_video() -> AviError {
    AviError::Unsupported("it has no video stream".to_owned())
}

fn some_of(input: &mut impl Read, size: u32) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(u64::from(size).min(MAX_HEADER_BYTES)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

fn stream_header(number: u8, strh: &[u8], strf: &[u8], micros_per_frame: u32) -> Result<Header, AviError> {
    let short = || AviError::Unsupported("the header of its video stream is too short".to_owned());
    let field = |at| word(strf, at).ok_or_else(short);
    let (width, height) = (field(4)?, field(8)?.cast_signed());
    let bits = field(12)? >> 16;
    let coding = match &field(16)?.to_le_bytes() {
        b"MJPG" | b"mjpg" => Coding::Mjpeg,
        [0, 0, 0, 0] | b"DIB " | b"RGB " if bits == 24 => Coding::Dib { bottom_up: height > 0 },
        [0, 0, 0, 0] => {
            return Err(AviError::Unsupported(format!(
                "its pictures are uncompressed with {bits} bits a pixel; only 24 can be read"
            )));
        }
        code => {
            return Err(AviError::Unsupported(format!(
                "its pictures are coded as {:?}; only MJPG and uncompressed 24-bit pictures can be read",
                code.escape_ascii().to_string()
            )));
        }
    };
    let size = Size::new(width, height.unsigned_abs());
    if [size.width, size.height].iter().any(|side| !(1..=MAX_SIDE).contains(side)) {
        return Err(AviError::Unsupported(format!("it claims pictures of {size}")));
    }
    let rate = word(strh, 24)
        .zip(word(strh, 20))
        .and_then(|(rate, scale)| Rate::fraction(rate, scale))
        .or_else(|| Rate::fraction(1_000_000, micros_per_frame));
    Ok(Header { size, rate, coding, digits: [b'0' + number / 10 % 10, b'0' + number % 10] })
}

/// Takes the padding out of a bitmap's rows and puts them in the order from top to bottom. What is missing
/// stays missing, so that the picture is found to be too short.
fn upright(padded: &[u8], size: Size, stride: usize, bottom_up: bool, out: &mut Vec<u8>) {
    let used = size.width as usize * 3;
    let rows = padded.chunks_exact(stride).take(size.height as usize).map(|row| &row[..used]);
    out.clear();
    if bottom_up {
        rows.rev().for_each(|row| out.extend_from_slice(row));
    } else {
        rows.for_each(|row| out.extend_from_slice(row));
    }
}

#[cfg(test)]
#[path = "../../tests/support/avi.rs"]
mod muxer;

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn jpeg(number: u8, length: usize) -> Vec<u8> {
        [&[0xFF, 0xD8, 0xFF, number], vec![number; length].as_slice(), &[0xFF, 0xD9]].concat()
    }

    fn film(frames: u8) -> muxer::Avi {
        let mut film = muxer::Avi::new(muxer::Coding::Mjpeg, 64, 48, (20, 1));
        for number in 0..frames {
            film.push(jpeg(number, 50 + usize::from(number)));
        }
        film
    }

    fn read(bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
        let mut avi = Avi::open(Cursor::new(bytes)).unwrap();
        let mut out = Vec::new();
        let mut all = Vec::new();
        while let Some((slot, whole)) = avi.next(&mut out).unwrap() {
            assert!(whole, "slot {slot} lost bytes in memory");
            all.push((slot, out.clone()));
        }
        let count = Avi::open(Cursor::new(bytes)).unwrap().count().unwrap();
        assert_eq!(count.pictures, all.len() as u64, "count and reading differ");
        all
    }

    fn expected(frames: u8) -> Vec<(u64, Vec<u8>)> {
        (0..frames).map(|n| (n.into(), jpeg(n, 50 + usize::from(n)))).collect()
    }

    #[test]
    fn frames_come_out_as_they_went_in_however_the_file_is_built() {
        let plain = film(5);
        assert_eq!(read(&plain.bytes()), expected(5));
        for film in [
            muxer::Avi { index: false, ..film(5) },
            muxer::Avi { audio_first: true, ..film(5) },
            muxer::Avi { part_after: Some(2), ..film(5) },
            muxer::Avi { unfinished: true, ..film(5) },
        ] {
            assert_eq!(read(&film.bytes()), expected(5));
        }
        let header = Avi::open(Cursor::new(plain.bytes())).unwrap().header();
        assert_eq!(
            (header.size, header.rate, header.format()),
            (Size::new(64, 48), Rate::fraction(20, 1), Format::Mjpeg)
        );
    }

    #[test]
    fn a_moment_without_a_picture_keeps_its_number() {
        let mut film = film(1);
        film.push([]).push(jpeg(7, 9)).push([]);
        let bytes = film.bytes();
        assert_eq!(read(&bytes).iter().map(|(slot, _)| *slot).collect::<Vec<_>>(), [0, 2]);
        assert_eq!(Avi::open(Cursor::new(bytes)).unwrap().count().unwrap(), Count { slots: 4, pictures: 2 });
    }

    #[test]
    fn a_cut_file_gives_what_it_still_holds() {
        let film = muxer::Avi { index: false, ..film(5) };
        let bytes = film.bytes();
        let all = read(&bytes[..bytes.len() - 20]);
        assert_eq!(all[..4], expected(4));
        assert!(expected(5)[4].1.starts_with(&all[4].1) && all[4].1.len() < expected(5)[4].1.len());
    }

    #[test]
    fn an_absurd_size_costs_one_frame_not_the_rest() {
        for size in [u32::MAX, 0x7FFF_FFFF, MAX_FRAME_BYTES as u32 + 1] {
            let mut bytes = film(5).bytes();
            let second = bytes.windows(4).enumerate().filter(|(_, w)| *w == b"00dc").nth(1).unwrap().0;
            bytes[second + 4..second + 8].copy_from_slice(&size.to_le_bytes());
            let all = read(&bytes);
            assert_eq!(all.len(), 5);
            assert!(all[1].1.starts_with(&expected(2)[1].1));
            assert_eq!(all[2..], expected(5)[2..]);
        }
    }

    #[test]
    fn an_odd_chunk_without_its_padding_is_followed_by_the_next_frame() {
        let mut bytes = film(3).bytes();
        let at = |bytes: &[u8], n| bytes.windows(4).enumerate().filter(|(_, w)| *w == b"00dc").nth(n).unwrap().0;
        let third = at(&bytes, 2);
        bytes.remove(third - 1);
        assert_eq!(read(&bytes).len(), 3);
    }

    #[test]
    fn bitmaps_are_turned_upright_and_lose_their_padding() {
        let bottom_row = [1, 2, 3, 0];
        let top_row = [7, 8, 9, 0];
        for (coding, rows) in
            [(muxer::Coding::BottomUp, [bottom_row, top_row]), (muxer::Coding::TopDown, [top_row, bottom_row])]
        {
            let mut film = muxer::Avi::new(coding, 1, 2, (20, 1));
            film.push(rows.concat());
            film.push(rows[0]);
            let all = read(&film.bytes());
            assert_eq!(all[0].1, [7, 8, 9, 1, 2, 3]);
            assert!(all[1].1.len() < 6, "a short bitmap must stay short");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (film, what) in [
            (muxer::Avi::new(muxer::Coding::Other(*b"MP41"), 64, 48, (20, 1)), "\"MP41\""),
            (muxer::Avi::new(muxer::Coding::Mjpeg, 0, 48, (20, 1)), "0x48"),
            (muxer::Avi::new(muxer::Coding::Mjpeg, 1 << 20, 48, (20, 1)), "1048576x48"),
        ] {
            let error = Avi::open(Cursor::new(film.bytes())).err().unwrap();
            assert!(error.to_string().contains(what), "{error}");
        }
        let bytes = film(1).bytes();
        assert!(matches!(Avi::open(Cursor::new(&bytes[..60])), Err(AviError::NoHeader)));
        let timeless = muxer::Avi::new(muxer::Coding::Mjpeg, 64, 48, (0, 0)).bytes();
        assert_eq!(Avi::open(Cursor::new(timeless)).unwrap().header().rate, None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn a_damaged_file_never_panics_or_hangs(
            hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
            cut in any::<prop::sample::Index>(),
            whole in any::<bool>(),
            bitmap in any::<bool>(),
        ) {
            let coding = if bitmap { muxer::Coding::BottomUp } else { muxer::Coding::Mjpeg };
            let mut bytes = muxer::Avi { part_after: Some(2), coding, ..film(4) }.bytes();
            for (place, value) in hits {
                let place = place.index(bytes.len());
                bytes[place] = value;
            }
            bytes.truncate(if whole { bytes.len() } else { cut.index(bytes.len()) });
            if let Ok(mut avi) = Avi::open(Cursor::new(&bytes)) {
                let mut out = Vec::new();
                let mut given = 0;
                while avi.next(&mut out).unwrap().is_some() {
                    given += 1;
                    prop_assert!(given <= bytes.len() / 8, "more frames than headers fit into the file");
                }
            }
        }
    }
}
