//! Pictures and motion JPEG frames for tests: skin with loops drawn by a formula, compressed by libjpeg-turbo.

use turbojpeg::{PixelFormat, Subsamp};

use crate::frame::{Colour, Format, FrameId, RawFrame, Size};
use crate::time::Stamp;

/// A small generator of numbers, the same for a seed on every machine (xorshift).
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 16) as usize % limit
    }
}

/// Skin that grows darker to one side, a level row of loops and sensor noise.
pub(super) fn picture(size: Size) -> Vec<u8> {
    let mut numbers = Numbers(0x2545_F491_4F6C_DD1D);
    let mut rgb = Vec::with_capacity(size.pixels() * 3);
    for y in 0..size.height {
        for x in 0..size.width {
            let (fx, fy) = (x as f32 / size.width as f32, y as f32 / size.height as f32);
            let limb =
                ((fx * 60.0 + fy * 3.0).sin() * 0.5 + 0.5).powi(6) * (1.0 - ((fy - 0.55) * 4.0).powi(2)).max(0.0);
            let shade = 170.0 - 50.0 * fx - 30.0 * fy * fy;
            for (level, absorbed) in [(1.0, 12.0), (0.78, 55.0), (0.75, 40.0)] {
                let noise = numbers.below(7) as f32 - 3.0;
                rgb.push((shade * level - absorbed * limb + noise) as u8);
            }
        }
    }
    rgb
}

pub(super) fn jpeg(rgb: &[u8], size: Size, quality: i32, subsamp: Subsamp) -> Vec<u8> {
    let image = turbojpeg::Image {
        pixels: rgb,
        width: size.width as usize,
        pitch: size.width as usize * 3,
        height: size.height as usize,
        format: PixelFormat::RGB,
    };
    turbojpeg::compress(image, quality, subsamp).unwrap().to_vec()
}

/// The same with a restart marker after every row of units: each row is compressed as a picture of its own, and
/// since prediction begins anew at a restart, the rows can be put one after the other.
pub(super) fn jpeg_with_restarts(rgb: &[u8], size: Size, quality: i32, subsamp: Subsamp) -> Vec<u8> {
    let stride = size.width as usize * 3;
    let mut frame = Vec::new();
    for (n, rows) in rgb.chunks(stride * subsamp.mcu_height()).enumerate() {
        let row_size = Size::new(size.width, (rows.len() / stride) as u32);
        let row = jpeg(rows, row_size, quality, subsamp);
        let (scan, data) = (find(&row, 0xDA), entropy_start(&row));
        if n == 0 {
            frame.extend_from_slice(&row[..scan]);
            let header = find(&frame, 0xC0);
            frame[header + 5..header + 7].copy_from_slice(&(size.height as u16).to_be_bytes());
            let units = size.width.div_ceil(subsamp.mcu_width() as u32) as u16;
            frame.extend_from_slice(&[0xFF, 0xDD, 0, 4]);
            frame.extend_from_slice(&units.to_be_bytes());
            frame.extend_from_slice(&row[scan..data]);
        } else {
            frame.extend_from_slice(&[0xFF, 0xD0 + ((n - 1) % 8) as u8]);
        }
        frame.extend_from_slice(&row[data..row.len() - 2]);
    }
    frame.extend_from_slice(&[0xFF, 0xD9]);
    frame
}

/// Where the first marker of a kind stands.
pub(super) fn find(jpeg: &[u8], marker: u8) -> usize {
    let mut at = 2;
    while jpeg[at + 1] != marker {
        at += 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
    }
    at
}

/// Where the entropy-coded data begin.
pub(super) fn entropy_start(jpeg: &[u8]) -> usize {
    let scan = find(jpeg, 0xDA);
    scan + 2 + usize::from(u16::from_be_bytes([jpeg[scan + 2], jpeg[scan + 3]]))
}

/// The frame as cameras send it that leave the Huffman tables out.
pub(super) fn without_tables(jpeg: &[u8]) -> Vec<u8> {
    let mut frame = jpeg.to_vec();
    while find(&frame, 0xDA) > find_or_end(&frame, 0xC4) {
        let at = find(&frame, 0xC4);
        let length = usize::from(u16::from_be_bytes([frame[at + 2], frame[at + 3]]));
        frame.drain(at..at + 2 + length);
    }
    frame
}

fn find_or_end(jpeg: &[u8], marker: u8) -> usize {
    let scan = find(jpeg, 0xDA);
    let mut at = 2;
    while at < scan && jpeg[at + 1] != marker {
        at += 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
    }
    if at < scan { at } else { jpeg.len() }
}

pub(super) fn raw(format: Format, bytes: &[u8]) -> RawFrame {
    RawFrame {
        id: FrameId { run: 0, seq: 7 },
        at: Stamp::from_ms(40),
        format,
        size: Size::new(640, 480),
        colour: Colour::Bt601Limited,
        bytes: bytes.into(),
        flagged: false,
    }
}
