//! The camera that can be tormented, from inside the guest.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hairpin::capture::v4l2::{Camera, ScaleOf, Settings, V4l2};
use hairpin::capture::{CaptureError, CaptureErrorKind, Next, Source};
use hairpin::frame::{RawFrame, Size};
use hairpin::scale::Known;
use hairpin::time::Clock;

/// The name under which the camera is known.
pub const ID: &str = "usb:1d6b:0104:RIG0001";

pub struct Rig {
    camera: Child,
    pub frames: PathBuf,
}

impl Rig {
    /// Loads the drivers and plugs the camera in.
    pub fn start() -> Self {
        run("modprobe", &["-a", "vhci-hcd", "uvcvideo", "evdev"]);
        let frames = PathBuf::from(std::env::var_os("RIG_FRAMES").expect("RIG_FRAMES"));
        let camera = Command::new("uvccam")
            .args(["serve", "--log", "/tmp/sent", "--frames"])
            .arg(&frames)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let rig = Self { camera, frames };
        rig.node();
        rig
    }

    pub fn ctl(&self, words: &str) -> String {
        let words: Vec<&str> = std::iter::once("ctl").chain(words.split(' ')).collect();
        run("uvccam", &words)
    }

    /// Waits for the camera's node.
    pub fn node(&self) -> PathBuf {
        PathBuf::from(run("uvccam", &["node", "30"]).trim())
    }

    /// A whole camera, plugged in.
    pub fn reset(&self) {
        for word in ["resume", "unstall", "unmute", "accept", "fps off", "corrupt off"] {
            self.ctl(word);
        }
        if self.ctl("status").contains("plugged=false") {
            self.ctl("plug");
        }
        self.node();
    }

    pub fn status(&self, key: &str) -> String {
        let status = self.ctl("status");
        let value = status.split_whitespace().find_map(|pair| pair.strip_prefix(&format!("{key}=")));
        value.unwrap_or_else(|| panic!("no {key} in {status}")).to_owned()
    }

    /// The bytes of each picture of this size, in the order in which they are played.
    pub fn pictures(&self, size: Size) -> Vec<Vec<u8>> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(&self.frames).unwrap().map(|e| e.unwrap().path()).collect();
        files.retain(|file| file.file_name().unwrap().to_string_lossy().starts_with(&format!("{size}-")));
        files.sort();
        files.iter().map(|file| std::fs::read(file).unwrap()).collect()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.ctl("quit");
        self.camera.wait().unwrap();
    }
}

pub fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {}: {told}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn kernel_complaints() -> String {
    let log = run("dmesg", &[]);
    let bad = |line: &&str| ["BUG", "WARNING", "Oops"].iter().any(|word| line.contains(word));
    log.lines().filter(bad).collect::<Vec<_>>().join("\n")
}

pub fn settings(size: Size) -> Settings {
    Settings { size, discard: 0, ..Settings::default() }
}

pub fn camera(device: &str, settings: Settings) -> Camera {
    let scale: ScaleOf = Box::new(|_, _| Known::default());
    Camera::new(device.parse().unwrap(), settings, Clock::live(), scale)
}

pub fn open(device: &str, settings: Settings) -> V4l2 {
    camera(device, settings).open().unwrap_or_else(|error| panic!("{}", error.chain()))
}

/// The next frame, waited for no longer than so long.
pub fn frame(source: &mut dyn Source, patience: Duration) -> Result<RawFrame, CaptureError> {
    let began = Instant::now();
    while began.elapsed() < patience {
        match source.next(Duration::from_millis(50))? {
            Next::Frame(frame) => return Ok(frame),
            Next::Idle => {}
            Next::End => panic!("a camera does not end"),
        }
    }
    Err(CaptureError::new(CaptureErrorKind::Stalled, format!("no frame within {patience:?}")))
}

pub fn frames(source: &mut dyn Source, count: usize) -> Vec<RawFrame> {
    (0..count).map(|_| frame(source, Duration::from_secs(10)).unwrap_or_else(|e| panic!("{}", e.chain()))).collect()
}

/// The first error that the source gives, and when.
pub fn error(source: &mut dyn Source, patience: Duration) -> (CaptureError, Duration) {
    let began = Instant::now();
    while began.elapsed() < patience {
        if let Err(error) = source.next(Duration::from_millis(50)) {
            return (error, began.elapsed());
        }
    }
    panic!("no error within {patience:?}");
}

/// Waits until `there` holds.
pub fn until(what: &str, patience: Duration, mut there: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !there() {
        assert!(began.elapsed() < patience, "{what}: not within {patience:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
    began.elapsed()
}

pub fn is_there(path: &Path) -> bool {
    path.exists()
}
