//! The camera's pictures: what the simulated microscope shows while it is held still, as JPEG files.

use std::path::Path;
use std::time::Duration;

use hairpin::capture::simulated::{Settings, Simulated};
use hairpin::capture::{Next, Source};
use hairpin::finger::Finger;
use hairpin::frame::Size;
use hairpin::synth::exam::Phase;
use hairpin::synth::pathology::Cohort;

/// The size that most checks use; arithmetic in the guest is slow.
pub const SMALL: Size = Size::new(640, 512);
/// The usual size of a USB microscope.
pub const FULL: Size = Size::new(1280, 1024);
/// Files of each size.
pub const COUNT: usize = 60;

pub fn draw(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    for size in [SMALL, FULL] {
        let settings = Settings {
            size,
            frames_per_s: 30.0,
            paced: false,
            scripted: true,
            cohort: Cohort::Scleroderma,
            fingers: vec![Finger::PROTOCOL[0]],
            fields: 1,
            hold_s: 6.0,
            trouble_share: 0.0,
            ..Settings::default()
        };
        let mut source = Simulated::open(settings).unwrap();
        let mut written = 0;
        while let Next::Frame(frame) = source.next(Duration::from_secs(60)).unwrap() {
            if source.truth(frame.id.seq).phase == Phase::Held && written < COUNT {
                std::fs::write(folder.join(format!("{size}-{written:04}.jpg")), &frame.bytes).unwrap();
                written += 1;
            }
        }
        assert_eq!(written, COUNT);
    }
}
