//! Uncompressed frames to RGB, with the colour matrix and range that the frame states, in exact integers.
//!
//! Rows lie without padding. An odd width rounds up: YUYV and UYVY rows hold whole pairs, and a chroma row of NV12
//! holds one Cb-Cr pair for each two columns begun. Chroma is repeated, not interpolated: the same pixels always.

use super::{Verdict, size_is_read};
use crate::frame::{Colour, Format, RawFrame, Size};
use crate::outcome::Damage;

/// Bits behind the point of the fixed-point factors; at sixteen the results are within one level of real numbers.
const POINT: u32 = 16;

pub(super) fn convert(raw: &RawFrame, pixels: &mut Vec<u8>) -> Result<(Size, Verdict), Damage> {
    let size = raw.size;
    if !size_is_read(size) {
        return Err(Damage::Size);
    }
    let (width, height) = (size.width as usize, size.height as usize);
    let pairs = width.div_ceil(2);
    let needed = match raw.format {
        Format::Yuyv | Format::Uyvy => pairs * 4 * height,
        Format::Nv12 => width * height + pairs * 2 * height.div_ceil(2),
        Format::Grey => width * height,
        Format::Rgb24 | Format::Bgr24 => width * height * 3,
        Format::Mjpeg | Format::Png | Format::Tiff | Format::Bmp => return Err(Damage::Foreign),
    };
    let bytes = raw.bytes.get(..needed).ok_or(Damage::Short)?;
    pixels.resize(size.pixels() * 3, 0);
    let matrix = Matrix::new(raw.colour);
    match raw.format {
        Format::Yuyv => packed(bytes, pixels, width, &matrix, [0, 1, 2, 3]),
        Format::Uyvy => packed(bytes, pixels, width, &matrix, [1, 0, 3, 2]),
        Format::Nv12 => planar(bytes, pixels, width, height, &matrix),
        Format::Grey => grey(bytes, pixels),
        Format::Bgr24 => reversed(bytes, pixels),
        _ => pixels.copy_from_slice(bytes),
    }
    // Some drivers hand out the whole buffer and not the used part: bytes past the picture are no part of it.
    Ok((size, if raw.bytes.len() > needed { Verdict::Tolerated } else { Verdict::Clean }))
}

/// Factors of the inverse of a YCbCr matrix, in fixed point.
#[derive(Clone, Copy, Debug)]
struct Matrix {
    black: i32,
    luma: i32,
    red: i32,
    green_blue: i32,
    green_red: i32,
    blue: i32,
}

impl Matrix {
    /// ITU-R BT.601-7 and BT.709-6: R = Y + 2(1-Kr)Cr, B = Y + 2(1-Kb)Cb and G from Y = KrR + KgG + KbB, where
    /// luma spans 219 of 255 levels and chroma 224 in the limited range.
    fn new(colour: Colour) -> Self {
        let (kr, kb) = match colour {
            Colour::Bt601Limited | Colour::Bt601Full => (0.299, 0.114),
            Colour::Bt709Limited | Colour::Bt709Full => (0.2126, 0.0722),
        };
        let (black, luma, chroma) = match colour {
            Colour::Bt601Limited | Colour::Bt709Limited => (16, 255.0 / 219.0, 255.0 / 224.0),
            Colour::Bt601Full | Colour::Bt709Full => (0, 1.0, 1.0),
        };
        let kg = 1.0 - kr - kb;
        let fixed = |factor: f64| (factor * f64::from(1 << POINT)).round() as i32;
        Self {
            black,
            luma: fixed(luma),
            red: fixed(2.0 * (1.0 - kr) * chroma),
            green_blue: fixed(-2.0 * (1.0 - kb) * kb / kg * chroma),
            green_red: fixed(-2.0 * (1.0 - kr) * kr / kg * chroma),
            blue: fixed(2.0 * (1.0 - kb) * chroma),
        }
    }

    /// What a pair of chroma samples adds to red, green and blue.
    #[inline]
    fn chroma(&self, cb: u8, cr: u8) -> [i32; 3] {
        let (cb, cr) = (i32::from(cb) - 128, i32::from(cr) - 128);
        [self.red * cr, self.green_blue * cb + self.green_red * cr, self.blue * cb]
    }

    #[inline]
    fn rgb(&self, y: u8, chroma: [i32; 3]) -> [u8; 3] {
        let luma = (i32::from(y) - self.black) * self.luma + (1 << (POINT - 1));
        chroma.map(|c| ((luma + c) >> POINT).clamp(0, 255) as u8)
    }
}

/// `order` names the places of Y0, Cb, Y1 and Cr in four bytes.
fn packed(bytes: &[u8], pixels: &mut [u8], width: usize, matrix: &Matrix, order: [usize; 4]) {
    let [first, cb, second, cr] = order;
    for (source, row) in bytes.chunks_exact(width.div_ceil(2) * 4).zip(pixels.chunks_exact_mut(width * 3)) {
        for (quad, out) in source.chunks_exact(4).zip(row.chunks_mut(6)) {
            let chroma = matrix.chroma(quad[cb], quad[cr]);
            out[..3].copy_from_slice(&matrix.rgb(quad[first], chroma));
            if let Some(out) = out.get_mut(3..6) {
                out.copy_from_slice(&matrix.rgb(quad[second], chroma));
            }
        }
    }
}

fn planar(bytes: &[u8], pixels: &mut [u8], width: usize, height: usize, matrix: &Matrix) {
    let (luma, chroma) = bytes.split_at(width * height);
    let chroma_rows = chroma.chunks_exact(width.div_ceil(2) * 2).flat_map(|row| [row, row]);
    let rows = luma.chunks_exact(width).zip(chroma_rows).zip(pixels.chunks_exact_mut(width * 3));
    for ((luma, chroma), row) in rows {
        for ((ys, cbcr), out) in luma.chunks(2).zip(chroma.chunks_exact(2)).zip(row.chunks_mut(6)) {
            let chroma = matrix.chroma(cbcr[0], cbcr[1]);
            for (&y, out) in ys.iter().zip(out.chunks_exact_mut(3)) {
                out.copy_from_slice(&matrix.rgb(y, chroma));
            }
        }
    }
}

fn grey(bytes: &[u8], pixels: &mut [u8]) {
    for (&grey, out) in bytes.iter().zip(pixels.chunks_exact_mut(3)) {
        out.fill(grey);
    }
}

fn reversed(bytes: &[u8], pixels: &mut [u8]) {
    for (bgr, out) in bytes.chunks_exact(3).zip(pixels.chunks_exact_mut(3)) {
        out.copy_from_slice(&[bgr[2], bgr[1], bgr[0]]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::FrameId;
    use crate::time::Stamp;

    const COLOURS: [Colour; 4] = [Colour::Bt601Limited, Colour::Bt601Full, Colour::Bt709Limited, Colour::Bt709Full];

    fn raw(format: Format, size: Size, colour: Colour, bytes: Vec<u8>) -> RawFrame {
        let bytes = bytes.into();
        RawFrame { id: FrameId::default(), at: Stamp::default(), format, size, colour, bytes, flagged: false }
    }

    /// The matrices as the recommendations print them, in real numbers.
    fn reference(colour: Colour, y: u8, cb: u8, cr: u8) -> [f64; 3] {
        let (y, cb, cr) = (f64::from(y), f64::from(cb) - 128.0, f64::from(cr) - 128.0);
        let (y, cb, cr) = match colour {
            Colour::Bt601Full | Colour::Bt709Full => (y, cb, cr),
            _ => ((y - 16.0) * 255.0 / 219.0, cb * 255.0 / 224.0, cr * 255.0 / 224.0),
        };
        let rgb = match colour {
            Colour::Bt601Limited | Colour::Bt601Full => {
                [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb]
            }
            _ => [y + 1.5748 * cr, y - 0.187_324 * cb - 0.468_124 * cr, y + 1.8556 * cb],
        };
        rgb.map(|value| value.clamp(0.0, 255.0))
    }

    #[test]
    fn every_matrix_is_within_one_level_of_real_numbers() {
        for colour in COLOURS {
            let matrix = Matrix::new(colour);
            for (y, cb, cr) in (0..=255u8).step_by(5).flat_map(|y| {
                (0..=255u8).step_by(15).flat_map(move |cb| (0..=255u8).step_by(15).map(move |cr| (y, cb, cr)))
            }) {
                let exact = reference(colour, y, cb, cr);
                let ours = matrix.rgb(y, matrix.chroma(cb, cr));
                for (a, b) in ours.iter().zip(exact) {
                    assert!((f64::from(*a) - b).abs() <= 1.0, "{colour:?} {y} {cb} {cr}: {ours:?}, not {exact:?}");
                }
            }
        }
    }

    #[test]
    fn neutral_samples_are_grey_and_the_range_is_whole() {
        for (colour, black, white) in [
            (Colour::Bt601Limited, 16, 235),
            (Colour::Bt601Full, 0, 255),
            (Colour::Bt709Limited, 16, 235),
            (Colour::Bt709Full, 0, 255),
        ] {
            let matrix = Matrix::new(colour);
            assert_eq!(matrix.rgb(black, matrix.chroma(128, 128)), [0; 3]);
            assert_eq!(matrix.rgb(white, matrix.chroma(128, 128)), [255; 3]);
        }
    }

    #[test]
    fn packed_orders_and_odd_widths_agree() {
        let size = Size::new(65, 64);
        let (mut yuyv, mut uyvy, mut expected) = (Vec::new(), Vec::new(), Vec::new());
        let matrix = Matrix::new(Colour::Bt601Limited);
        for y in 0..64u8 {
            for pair in 0..33u8 {
                let (a, cb, b, cr) = (pair * 3, y * 2, pair * 3 + 1, 255 - y);
                yuyv.extend([a, cb, b, cr]);
                uyvy.extend([cb, a, cr, b]);
                expected.extend(matrix.rgb(a, matrix.chroma(cb, cr)));
                if pair < 32 {
                    expected.extend(matrix.rgb(b, matrix.chroma(cb, cr)));
                }
            }
        }
        for (format, bytes) in [(Format::Yuyv, yuyv), (Format::Uyvy, uyvy)] {
            let mut pixels = Vec::new();
            let frame = raw(format, size, Colour::Bt601Limited, bytes);
            assert_eq!(convert(&frame, &mut pixels), Ok((size, Verdict::Clean)));
            assert_eq!(pixels, expected, "{format:?}");
        }
    }

    #[test]
    fn planar_frames_share_chroma_among_four_pixels() {
        let size = Size::new(67, 65);
        let luma: Vec<u8> = (0..67 * 65).map(|n| (n % 251) as u8).collect();
        let chroma: Vec<u8> = (0..34 * 2 * 33).map(|n| (n % 241) as u8).collect();
        let matrix = Matrix::new(Colour::Bt709Full);
        let mut pixels = Vec::new();
        let frame = raw(Format::Nv12, size, Colour::Bt709Full, [luma.clone(), chroma.clone()].concat());
        assert_eq!(convert(&frame, &mut pixels), Ok((size, Verdict::Clean)));
        for (x, y) in [(0, 0), (66, 0), (66, 64), (33, 31), (1, 63)] {
            let pair = (y / 2) * 68 + (x / 2) * 2;
            let expected = matrix.rgb(luma[y * 67 + x], matrix.chroma(chroma[pair], chroma[pair + 1]));
            assert_eq!(pixels[(y * 67 + x) * 3..][..3], expected, "at {x} {y}");
        }
    }

    #[test]
    fn plain_formats_are_copied_turned_and_spread() {
        let size = Size::new(64, 64);
        let rgb: Vec<u8> = (0..64 * 64 * 3).map(|n| (n % 253) as u8).collect();
        let bgr: Vec<u8> = rgb.chunks(3).flat_map(|p| [p[2], p[1], p[0]]).collect();
        let mut pixels = Vec::new();
        for (format, bytes) in [(Format::Rgb24, rgb.clone()), (Format::Bgr24, bgr)] {
            convert(&raw(format, size, Colour::Bt601Full, bytes), &mut pixels).unwrap();
            assert_eq!(pixels, rgb, "{format:?}");
        }
        convert(&raw(Format::Grey, size, Colour::Bt601Full, vec![9; 4096]), &mut pixels).unwrap();
        assert_eq!(pixels, vec![9; 4096 * 3]);
    }

    #[test]
    fn short_and_long_buffers_and_bad_sizes_are_told_apart() {
        let mut pixels = Vec::new();
        let formats =
            [Format::Yuyv, Format::Uyvy, Format::Nv12, Format::Grey, Format::Rgb24, Format::Bgr24].into_iter();
        for (format, needed) in formats.zip([8192, 8192, 6144, 4096, 12288, 12288]) {
            let mut go = |size, length| convert(&raw(format, size, Colour::Bt601Full, vec![128; length]), &mut pixels);
            let size = Size::new(64, 64);
            assert_eq!(go(size, needed - 1), Err(Damage::Short), "{format:?}");
            assert_eq!(go(size, needed), Ok((size, Verdict::Clean)), "{format:?}");
            assert_eq!(go(size, needed + 9), Ok((size, Verdict::Tolerated)), "{format:?}");
            assert_eq!(go(Size::new(1, 1), needed), Err(Damage::Size));
            assert_eq!(go(Size::new(20000, 20000), needed), Err(Damage::Size));
            assert_eq!(go(Size::new(0, 64), needed), Err(Damage::Size));
        }
    }
}
