//! The damage that cables, drivers and cameras do, at many places of many frames: what is harmless must pass with
//! every pixel, and nothing that changed the picture noticeably may.

use turbojpeg::Subsamp;

use super::fixture::{self, Numbers};
use super::{Decoded, Decoder};
use crate::frame::{Format, Size};
use crate::outcome::Damage;

const SIZE: Size = Size::new(640, 480);
const SAMPLINGS: [Subsamp; 4] = [Subsamp::Sub2x2, Subsamp::Sub2x1, Subsamp::None, Subsamp::Gray];

/// A picture has changed noticeably when more than this share of its samples is off by more than eight levels:
/// half a row of units of a picture with 128 of them.
const NOTICEABLE: f64 = 0.004;

/// A frame in every sampling, with and without restart markers.
fn frames() -> Vec<(String, Vec<u8>)> {
    let rgb = fixture::picture(SIZE);
    let mut frames = Vec::new();
    for sampling in SAMPLINGS {
        frames.push((format!("{sampling:?}"), fixture::jpeg(&rgb, SIZE, 88, sampling)));
        frames.push((format!("{sampling:?} with restarts"), fixture::jpeg_with_restarts(&rgb, SIZE, 88, sampling)));
    }
    frames
}

fn decode(decoder: &mut Decoder, bytes: &[u8]) -> Decoded {
    decoder.decode(&fixture::raw(Format::Mjpeg, bytes), Vec::new())
}

fn pixels(decoder: &mut Decoder, bytes: &[u8]) -> Vec<u8> {
    match decode(decoder, bytes) {
        Decoded::Clean(image) | Decoded::Tolerated(image) => image.into_buffer(),
        Decoded::Rejected { damage, .. } => panic!("refused as {damage:?}"),
    }
}

fn verdict(decoder: &mut Decoder, bytes: &[u8]) -> Result<&'static str, Damage> {
    match decode(decoder, bytes) {
        Decoded::Clean(_) => Ok("clean"),
        Decoded::Tolerated(_) => Ok("tolerated"),
        Decoded::Rejected { damage, .. } => Err(damage),
    }
}

#[test]
fn whole_frames_are_clean_and_as_the_plain_decoder_has_them() {
    let mut decoder = Decoder::new().unwrap();
    for (name, jpeg) in frames() {
        let plain: turbojpeg::Image<Vec<u8>> = turbojpeg::decompress(&jpeg, turbojpeg::PixelFormat::RGB).unwrap();
        assert_eq!(verdict(&mut decoder, &jpeg), Ok("clean"), "{name}");
        assert_eq!(pixels(&mut decoder, &jpeg), plain.pixels, "{name}");
    }
}

#[test]
fn odd_sizes_are_clean_in_every_sampling() {
    let mut decoder = Decoder::new().unwrap();
    for size in [Size::new(64, 64), Size::new(65, 97), Size::new(333, 67), Size::new(71, 500)] {
        let rgb = fixture::picture(size);
        for sampling in SAMPLINGS {
            let jpeg = fixture::jpeg(&rgb, size, 75, sampling);
            assert_eq!(verdict(&mut decoder, &jpeg), Ok("clean"), "{size} {sampling:?}");
            let jpeg = fixture::jpeg_with_restarts(&rgb, size, 75, sampling);
            assert_eq!(verdict(&mut decoder, &jpeg), Ok("clean"), "{size} {sampling:?} with restarts");
        }
    }
}

#[test]
fn frames_without_huffman_tables_use_the_standard_ones() {
    let mut decoder = Decoder::new().unwrap();
    let rgb = fixture::picture(SIZE);
    let jpeg = fixture::jpeg(&rgb, SIZE, 88, Subsamp::Sub2x1);
    let bare = fixture::without_tables(&jpeg);
    assert!(bare.len() < jpeg.len() - 400, "the tables are still there");
    let expected = pixels(&mut decoder, &jpeg);
    assert_eq!(pixels(&mut decoder, &bare), expected);

    let mut compressor = turbojpeg::Compressor::new().unwrap();
    compressor.set_optimize(true).unwrap();
    let image = turbojpeg::Image {
        pixels: rgb.as_slice(),
        width: 640,
        pitch: 1920,
        height: 480,
        format: turbojpeg::PixelFormat::RGB,
    };
    let own_tables = compressor.compress_to_vec(image).unwrap();
    pixels(&mut decoder, &own_tables);
    assert_eq!(pixels(&mut decoder, &bare), expected, "the tables of the frame before were used");
    assert_eq!(verdict(&mut decoder, &fixture::without_tables(&own_tables)), Err(Damage::Broken));
}

#[test]
fn harmless_bytes_are_tolerated_and_no_pixel_changes() {
    let mut decoder = Decoder::new().unwrap();
    for (name, jpeg) in frames() {
        let expected = pixels(&mut decoder, &jpeg);
        let body = &jpeg[..jpeg.len() - 2];
        let cases = [
            ("no end mark", body.to_vec()),
            ("a megabyte of zeros behind", [&jpeg[..], &vec![0; 1 << 20]].concat()),
            ("foreign bytes behind", [&jpeg[..], &b"leftover of an older frame \xFF\xD8\xFF"[..]].concat()),
            ("zeros instead of the end mark", [body, &[0; 512]].concat()),
            ("stray bytes before the end mark", [body, &[0x5A, 0x17, 0xFF, 0xD9]].concat()),
            ("zeros before the end mark", [body, &[0; 300], &[0xFF, 0xD9]].concat()),
            ("fill bytes before the end mark", [body, &[0xFF; 9], &[0xFF, 0xD9]].concat()),
        ];
        for (what, bytes) in cases {
            let expect = if what.starts_with("fill") { "clean" } else { "tolerated" };
            assert_eq!(verdict(&mut decoder, &bytes), Ok(expect), "{name}: {what}");
            assert_eq!(pixels(&mut decoder, &bytes), expected, "{name}: {what}");
        }
    }
}

#[test]
fn stray_bytes_before_restart_markers_are_tolerated() {
    let mut decoder = Decoder::new().unwrap();
    let rgb = fixture::picture(SIZE);
    let jpeg = fixture::jpeg_with_restarts(&rgb, SIZE, 88, Subsamp::Sub2x1);
    let start = fixture::entropy_start(&jpeg);
    let expected = pixels(&mut decoder, &jpeg);
    let mut strewn = jpeg[..start].to_vec();
    for pair in jpeg[start..].windows(2) {
        if pair[0] == 0xFF && (0xD0..=0xD7).contains(&pair[1]) {
            strewn.extend_from_slice(&[0x00, 0x00]);
        }
        strewn.push(pair[0]);
    }
    strewn.push(0xD9);
    assert_eq!(verdict(&mut decoder, &strewn), Ok("tolerated"));
    assert_eq!(pixels(&mut decoder, &strewn), expected);
}

#[test]
fn cut_frames_are_refused_as_cut() {
    let mut decoder = Decoder::new().unwrap();
    for (name, jpeg) in frames() {
        let half = &jpeg[..jpeg.len() / 2];
        assert_eq!(verdict(&mut decoder, half), Err(Damage::Cut), "{name}");
        assert_eq!(verdict(&mut decoder, &[half, &[0xFF, 0xD9]].concat()), Err(Damage::Cut), "{name}, closed");
        assert_eq!(verdict(&mut decoder, &[&jpeg[..], &jpeg[..]].concat()), Err(Damage::Merged), "{name}, twice");
        for length in [3, 20, 200, fixture::entropy_start(&jpeg)] {
            assert_eq!(verdict(&mut decoder, &jpeg[..length]), Err(Damage::Cut), "{name}, {length} bytes");
        }
    }
}

#[test]
fn every_frame_cut_near_its_end_is_refused() {
    let mut decoder = Decoder::new().unwrap();
    let jpeg = fixture::jpeg(&fixture::picture(SIZE), SIZE, 88, Subsamp::Sub2x1);
    for gone in 4..400 {
        let got = verdict(&mut decoder, &jpeg[..jpeg.len() - gone]);
        assert_eq!(got, Err(Damage::Cut), "{gone} bytes gone");
    }
}

#[test]
fn restart_markers_out_of_turn_are_refused() {
    let mut decoder = Decoder::new().unwrap();
    let jpeg = fixture::jpeg_with_restarts(&fixture::picture(SIZE), SIZE, 88, Subsamp::Sub2x1);
    let marks: Vec<usize> = (fixture::entropy_start(&jpeg)..jpeg.len() - 1)
        .filter(|&at| jpeg[at] == 0xFF && (0xD0..=0xD7).contains(&jpeg[at + 1]))
        .collect();
    let mut swapped = jpeg.clone();
    swapped[marks[4] + 1] = 0xD7;
    let lost_one = [&jpeg[..marks[4]], &jpeg[marks[5]..]].concat();
    let lost_eight = [&jpeg[..marks[4]], &jpeg[marks[12]..]].concat();
    assert_eq!(verdict(&mut decoder, &swapped), Err(Damage::Broken));
    assert_eq!(verdict(&mut decoder, &lost_one), Err(Damage::Broken));
    assert_eq!(verdict(&mut decoder, &lost_eight), Err(Damage::Cut));
}

#[test]
fn sizes_and_kinds_beyond_motion_jpeg_are_refused() {
    let mut decoder = Decoder::new().unwrap();
    let small = fixture::jpeg(&fixture::picture(Size::new(1, 1)), Size::new(1, 1), 88, Subsamp::Gray);
    let whole = fixture::jpeg(&fixture::picture(SIZE), SIZE, 88, Subsamp::Sub2x1);
    let header = fixture::find(&whole, 0xC0);
    let patched = |at: usize, bytes: &[u8]| {
        let mut frame = whole.clone();
        frame[header + at..header + at + bytes.len()].copy_from_slice(bytes);
        frame
    };
    let mut progressive = turbojpeg::Compressor::new().unwrap();
    progressive.set_progressive(true).unwrap();
    let rgb = fixture::picture(SIZE);
    let image = turbojpeg::Image {
        pixels: rgb.as_slice(),
        width: 640,
        pitch: 1920,
        height: 480,
        format: turbojpeg::PixelFormat::RGB,
    };
    for (what, bytes, damage) in [
        ("nothing", vec![], Damage::Empty),
        ("foreign", b"HTTP/1.1 200 OK".to_vec(), Damage::Foreign),
        ("zeros", vec![0; 4096], Damage::Foreign),
        ("1x1", small, Damage::Size),
        ("20000x20000", patched(5, &[0x4E, 0x20, 0x4E, 0x20]), Damage::Size),
        ("8192x8192", patched(5, &[0x20, 0x00, 0x20, 0x00]), Damage::Size),
        ("no height", patched(5, &[0, 0]), Damage::Size),
        ("taller than its data", patched(5, &[0x04, 0x00]), Damage::Cut),
        ("lower than its data", patched(5, &[0x01, 0x00]), Damage::Broken),
        ("twelve bits", patched(4, &[12]), Damage::Foreign),
        ("progressive", progressive.compress_to_vec(image).unwrap(), Damage::Foreign),
    ] {
        assert_eq!(verdict(&mut decoder, &bytes), Err(damage), "{what}");
    }
}

#[test]
fn a_flagged_frame_is_refused_though_whole() {
    let jpeg = fixture::jpeg(&fixture::picture(SIZE), SIZE, 88, Subsamp::Sub2x1);
    let mut raw = fixture::raw(Format::Mjpeg, &jpeg);
    raw.flagged = true;
    let got = Decoder::new().unwrap().decode(&raw, vec![1, 2, 3]);
    assert!(matches!(got, Decoded::Rejected { damage: Damage::Flagged, ref buffer } if buffer.len() == 3));
}

#[test]
fn a_forged_header_allocates_no_picture() {
    let mut jpeg = fixture::jpeg(&fixture::picture(SIZE), SIZE, 88, Subsamp::Sub2x1);
    let header = fixture::find(&jpeg, 0xC0);
    jpeg[header + 5..header + 9].copy_from_slice(&[0x10, 0x00, 0x20, 0x00]);
    match decode(&mut Decoder::new().unwrap(), &jpeg) {
        Decoded::Rejected { damage, buffer } => assert_eq!((damage, buffer.capacity()), (Damage::Cut, 0)),
        _ => panic!("a frame of a hundredth of its announced size was taken"),
    }
}

/// Bytes changed, zeroed, or lost.
fn hurt(jpeg: &[u8], way: usize, numbers: &mut Numbers) -> Vec<u8> {
    let lengths = [0, 1, 16, 188, 2000, 3072];
    let start = fixture::entropy_start(jpeg);
    let mut bytes = jpeg.to_vec();
    let at = start + numbers.below(jpeg.len() - start - 2 - lengths[way]);
    let range = at..at + lengths[way];
    match way {
        0 => bytes[at] ^= 1 << numbers.below(8),
        1 | 2 => bytes[range].iter_mut().for_each(|byte| *byte = numbers.next() as u8),
        4 => bytes[range].fill(0),
        _ => drop(bytes.drain(range)),
    }
    bytes
}

#[test]
fn no_noticeably_damaged_frame_is_taken() {
    let mut decoder = Decoder::new().unwrap();
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    let frames = frames();
    for (name, jpeg) in &frames {
        let whole = pixels(&mut decoder, jpeg);
        for round in 0..240 {
            let way = round % 6;
            let bytes = hurt(jpeg, way, &mut numbers);
            let (Decoded::Clean(image) | Decoded::Tolerated(image)) = decode(&mut decoder, &bytes) else { continue };
            let off = image.rgb().iter().zip(&whole).filter(|(a, b)| a.abs_diff(**b) > 8).count();
            let share = off as f64 / whole.len() as f64;
            assert!(share <= NOTICEABLE, "{name}, way {way}, round {round}: {share:.4} of the samples are wrong");
            assert!(way < 3 || share == 0.0, "{name}: lost or zeroed bytes were taken, round {round}");
        }
    }
}

#[test]
fn bars_and_level_lines_in_a_picture_are_no_damage() {
    let mut decoder = Decoder::new().unwrap();
    for (from, to) in [(0, 64), (416, 480), (200, 203), (239, 241)] {
        let mut rgb = fixture::picture(SIZE);
        rgb[from * 1920..to * 1920].fill(16);
        for sampling in SAMPLINGS {
            let jpeg = fixture::jpeg(&rgb, SIZE, 88, sampling);
            assert_eq!(verdict(&mut decoder, &jpeg), Ok("clean"), "{sampling:?}, dark from {from} to {to}");
        }
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..2000)) {
        let mut decoder = Decoder::new().unwrap();
        let head = fixture::jpeg(&fixture::picture(Size::new(64, 64)), Size::new(64, 64), 50, Subsamp::Sub2x2);
        let start = fixture::entropy_start(&head);
        for lead in [0, 2, 30, start] {
            let _ = decode(&mut decoder, &[&head[..lead], &bytes[..]].concat());
        }
    }
}
