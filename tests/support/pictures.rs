//! Frames of the simulated microscope, held and in focus, for recordings and pictures that tests make.

#![allow(dead_code, reason = "each test target uses a part")]
#![allow(clippy::unwrap_used, reason = "helpers of tests, outside test functions")]

use std::io::Cursor;
use std::path::Path;
use std::time::Duration;

use hairpin::capture::simulated::{Settings, Simulated};
use hairpin::capture::{Next, Source};
use hairpin::finger::Finger;
use hairpin::frame::Size;
use hairpin::synth::exam::Phase;
use hairpin::synth::pathology::Cohort;

pub const SIZE: Size = Size::new(640, 512);
/// Frames a second of what is drawn here.
pub const RATE: f64 = 10.0;
/// Of what is drawn here: 1.57 mm over 640 pixels.
pub const UM_PER_PX: &str = "2.453";

/// JPEG frames of each field of one finger, `each` of them a field.
pub fn held(cohort: Cohort, fields: u32, each: usize) -> Vec<Vec<Vec<u8>>> {
    let settings = Settings {
        size: SIZE,
        frames_per_s: RATE,
        paced: false,
        scripted: true,
        cohort,
        fingers: vec![Finger::PROTOCOL[0]],
        fields,
        hold_s: each as f32 / RATE as f32 + 0.5,
        trouble_share: 0.0,
        ..Settings::default()
    };
    let mut source = Simulated::open(settings).unwrap();
    let mut found = vec![Vec::new(); fields as usize];
    while let Next::Frame(frame) = source.next(Duration::from_secs(60)).unwrap() {
        let truth = source.truth(frame.id.seq);
        let field = &mut found[truth.field as usize - 1];
        if truth.phase == Phase::Held && field.len() < each {
            field.push(frame.bytes.to_vec());
        }
    }
    assert!(found.iter().all(|field| field.len() == each), "{:?}", found.iter().map(Vec::len).collect::<Vec<_>>());
    found
}

/// The picture of a JPEG, written in another format.
pub fn rewritten(jpeg: &[u8], format: image::ImageFormat) -> Vec<u8> {
    let picture = turbojpeg::decompress(jpeg, turbojpeg::PixelFormat::RGB).unwrap();
    let picture = image::RgbImage::from_raw(picture.width as u32, picture.height as u32, picture.pixels).unwrap();
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// The JPEG with another size in its header.
pub fn claiming(jpeg: &[u8], width: u16, height: u16) -> Vec<u8> {
    let at = jpeg.windows(2).position(|pair| pair == [0xFF, 0xC0]).expect("a baseline JPEG") + 5;
    let mut bytes = jpeg.to_vec();
    bytes[at..at + 2].copy_from_slice(&height.to_be_bytes());
    bytes[at + 2..at + 4].copy_from_slice(&width.to_be_bytes());
    bytes
}

pub fn one_by_one() -> Vec<u8> {
    let picture = turbojpeg::Image {
        pixels: &[128_u8; 3][..],
        width: 1,
        pitch: 3,
        height: 1,
        format: turbojpeg::PixelFormat::RGB,
    };
    turbojpeg::compress(picture, 90, turbojpeg::Subsamp::None).unwrap().to_vec()
}

pub fn put(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}
