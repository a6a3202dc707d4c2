//! Keys as the kernel's input devices tell them (evdev): the microscope's own button, a foot pedal, a key of a keyboard.
//! Works without a screen and without root; looks at no key but those it is asked for.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Deserialize;

/// A key by the kernel's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Key(pub u16);

impl Key {
    /// What the snapshot button of a UVC camera sends.
    pub const CAMERA: Self = Self(212);
}

/// `KEY_*` of `input-event-codes.h`, in small letters: what pedals and presenters send, and keys one may want.
const NAMES: [(&str, u16); 43] = [
    ("camera", 212),
    ("space", 57),
    ("enter", 28),
    ("tab", 15),
    ("esc", 1),
    ("backspace", 14),
    ("pageup", 104),
    ("pagedown", 109),
    ("home", 102),
    ("end", 107),
    ("up", 103),
    ("down", 108),
    ("left", 105),
    ("right", 106),
    ("insert", 110),
    ("delete", 111),
    ("leftctrl", 29),
    ("leftshift", 42),
    ("leftalt", 56),
    ("rightctrl", 97),
    ("kpenter", 96),
    ("kpplus", 78),
    ("kpminus", 74),
    ("playpause", 164),
    ("a", 30),
    ("b", 48),
    ("c", 46),
    ("f1", 59),
    ("f2", 60),
    ("f3", 61),
    ("f4", 62),
    ("f5", 63),
    ("f6", 64),
    ("f7", 65),
    ("f8", 66),
    ("f9", 67),
    ("f10", 68),
    ("f11", 87),
    ("f12", 88),
    ("btn-left", 0x110),
    ("btn-right", 0x111),
    ("btn-middle", 0x112),
    ("btn-0", 0x100),
];

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no key: write a name such as \"camera\", \"space\" or \"f9\", or the kernel's number as `evtest` shows it, such as \"code:57\""
)]
pub struct NotAKey(String);

impl FromStr for Key {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let wrong = || NotAKey(text.to_owned());
        if let Some(number) = text.strip_prefix("code:") {
            return number.parse().map(Self).map_err(|_| wrong());
        }
        NAMES.iter().find(|(name, _)| *name == text).map(|(_, code)| Self(*code)).ok_or_else(wrong)
    }
}

impl TryFrom<String> for Key {
    type Error = NotAKey;

    fn try_from(text: String) -> Result<Self, NotAKey> {
        text.parse()
    }
}

/// One key and what it does.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    pub key: Key,
    pub does: Does,
    #[serde(default)]
    pub from: From,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Does {
    /// The field is good: the next one begins.
    AcceptField,
    /// The next finger of the protocol that was neither recorded nor skipped.
    NextFinger,
    /// The finger at hand is left out, or the next one where none is.
    Skip,
}

/// Where a key is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum From {
    /// The camera that is the source.
    #[default]
    Microscope,
    /// An input device, best by its link in `/dev/input/by-id`.
    Device(PathBuf),
}

impl std::convert::From<String> for From {
    fn from(text: String) -> Self {
        if text == "microscope" { Self::Microscope } else { Self::Device(text.into()) }
    }
}

/// The microscope's button accepts the field, unless the configuration says otherwise.
pub fn default_bindings() -> Vec<Binding> {
    vec![Binding { key: Key::CAMERA, does: Does::AcceptField, from: From::Microscope }]
}

/// A key that went down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Press {
    pub key: Key,
    /// On the device's clock.
    pub at: Duration,
}

/// `struct input_event` on 64-bit Linux: two times of eight bytes, type, code and value.
const EVENT: usize = 24;
const EV_KEY: u16 = 1;
/// Going down; 0 is up, 2 a repeat of a key that is held.
const DOWN: i32 = 1;

/// Contacts bounce, and a foot is slow: a second press of one key within this is none.
const BOUNCE: Duration = Duration::from_millis(250);

/// An open input device.
#[derive(Debug)]
pub struct Input {
    file: File,
    last: Option<Press>,
}

impl Input {
    pub fn open(path: &Path) -> std::io::Result<Self> {
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC;
        let file = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)?;
        Ok(Self { file, last: None })
    }

    /// The presses since it was last asked, bounces left out. An error says that the device is gone.
    pub fn presses(&mut self) -> std::io::Result<Vec<Press>> {
        let mut presses = Vec::new();
        let mut bytes = [0; EVENT * 32];
        loop {
            match self.file.read(&mut bytes) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => {
                    let events = bytes[..length].chunks_exact(EVENT).filter_map(press);
                    presses.extend(events.filter(|press| !bounces(&mut self.last, *press)));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(presses),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl AsFd for Input {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Waits until one of the devices has something to say, or for so long.
pub fn wait<'i>(inputs: impl Iterator<Item = &'i Input>, patience: Duration) {
    let mut polled: Vec<PollFd<'_>> =
        inputs.map(|input| PollFd::from_borrowed_fd(input.as_fd(), PollFlags::IN)).collect();
    let patience = Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: patience.subsec_nanos().into() };
    if let Err(error) = poll(&mut polled, Some(&patience)) {
        tracing::debug!(%error, "poll on input devices");
    }
}

fn press(event: &[u8]) -> Option<Press> {
    let number = |from: usize| Some(i64::from_ne_bytes(event.get(from..from + 8)?.try_into().ok()?));
    let kind = u16::from_ne_bytes(event.get(16..18)?.try_into().ok()?);
    let code = u16::from_ne_bytes(event.get(18..20)?.try_into().ok()?);
    let value = i32::from_ne_bytes(event.get(20..24)?.try_into().ok()?);
    if (kind, value) != (EV_KEY, DOWN) {
        return None;
    }
    let at = Duration::from_secs(number(0)?.try_into().ok()?) + Duration::from_micros(number(8)?.try_into().ok()?);
    Some(Press { key: Key(code), at })
}

fn bounces(last: &mut Option<Press>, press: Press) -> bool {
    let again = last.is_some_and(|last| last.key == press.key && press.at.saturating_sub(last.at) < BOUNCE);
    if !again {
        *last = Some(press);
    }
    again
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn event(ms: i64, kind: u16, code: u16, value: i32) -> Vec<u8> {
        let mut bytes = (ms / 1000).to_ne_bytes().to_vec();
        bytes.extend((ms % 1000 * 1000).to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(code.to_ne_bytes());
        bytes.extend(value.to_ne_bytes());
        bytes
    }

    fn input() -> (UnixStream, Input) {
        let (to, from) = UnixStream::pair().unwrap();
        from.set_nonblocking(true).unwrap();
        (to, Input { file: File::from(OwnedFd::from(from)), last: None })
    }

    #[test]
    fn presses_are_told_once_and_repeats_releases_and_bounces_are_not() {
        let (mut to, mut input) = input();
        for (ms, kind, code, value) in [
            (1000, 1, 212, 1),
            (1000, 0, 0, 0),
            (1010, 1, 212, 0),
            (1020, 1, 212, 1),
            (1030, 1, 57, 1),
            (1300, 1, 57, 2),
            (1400, 1, 212, 1),
            (1500, 4, 4, 1),
        ] {
            to.write_all(&event(ms, kind, code, value)).unwrap();
        }
        let keys: Vec<(u16, u128)> =
            input.presses().unwrap().iter().map(|press| (press.key.0, press.at.as_millis())).collect();
        assert_eq!(keys, [(212, 1000), (57, 1030), (212, 1400)]);
        assert_eq!(input.presses().unwrap(), []);
        drop(to);
        assert!(input.presses().is_err(), "a device that is gone is an error");
    }

    #[test]
    fn keys_have_names_and_numbers() {
        assert_eq!("camera".parse(), Ok(Key::CAMERA));
        assert_eq!("code:57".parse::<Key>(), "space".parse());
        for wrong in ["", "KEY_CAMERA", "code:", "code:70000", "camera "] {
            assert!(wrong.parse::<Key>().is_err(), "{wrong:?}");
        }
    }
}
