//! The kernel's own test driver: uncompressed formats, odd sizes, rows with padding. Its picture is one red plane.

use std::path::PathBuf;

use hairpin::capture::Source;
use hairpin::capture::v4l2::Settings;
use hairpin::decode::{Decoded, Decoder};
use hairpin::frame::{Format, Size};

use crate::Check;
use crate::rig::{Rig, frames, open, run, settings};

pub const CHECKS: &[Check] = &[("vivid_formats_and_odd_sizes", formats_and_odd_sizes)];

fn formats_and_odd_sizes(_: &Rig) {
    run("modprobe", &["vivid", "n_devs=1", "node_types=0x1"]);
    let node = node();
    let device = node.to_str().unwrap();
    // Input 3 takes any size; without text over it the pattern fills the picture.
    run("v4l2-ctl", &["-d", device, "-i", "3", "-c", "osd_text_mode=2"]);
    run("v4l2-ctl", &["-d", device, "-c", "test_pattern=7"]);
    let mut decoder = Decoder::new().unwrap();
    for (format, size) in [
        (Format::Yuyv, Size::new(640, 480)),
        (Format::Nv12, Size::new(640, 480)),
        (Format::Rgb24, Size::new(640, 480)),
        (Format::Yuyv, Size::new(322, 242)),
        (Format::Nv12, Size::new(322, 242)),
        (Format::Rgb24, Size::new(318, 240)),
        (Format::Grey, Size::new(320, 240)),
    ] {
        let mut source = open(device, Settings { format: Some(format), ..settings(size) });
        let granted = source.info().words.size.unwrap();
        let taken = frames(&mut source, 3);
        drop(source);
        let Decoded::Clean(image) = decoder.decode(&taken[2], Vec::new()) else {
            panic!("{format:?} {size}: {} bytes do not decode", taken[2].bytes.len());
        };
        assert_eq!(image.size(), granted);
        let red = image.rgb().chunks(3).filter(|p| p[0] > 180 && p[1] < 60 && p[2] < 60).count();
        let share = red as f64 / granted.pixels() as f64;
        println!("       {format:?} {size}: granted {granted}, {:.1} % red", 100.0 * share);
        assert!(format == Format::Grey || share > 0.99, "{format:?} {size}: {share}");
    }
    run("modprobe", &["-r", "vivid"]);
}

/// The node of vivid's capture device.
fn node() -> PathBuf {
    let mut nodes = std::fs::read_dir("/sys/class/video4linux").unwrap().map(|entry| entry.unwrap());
    let is_vivid = |entry: &std::fs::DirEntry| {
        std::fs::read_to_string(entry.path().join("name")).unwrap().starts_with("vivid-000-vid-cap")
    };
    let node = nodes.find(is_vivid).expect("vivid has a capture node");
    PathBuf::from("/dev").join(node.file_name())
}
