//! A foot pedal that is not there: an input device that this program makes through uinput.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use rustix::ioctl::{IntegerSetter, NoArg, Opcode, ioctl, opcode};

use crate::rig::{run, until};

const NAME: &str = "Test Pedal";
const EV_KEY: u16 = 1;

/// `UI_SET_EVBIT`, `UI_SET_KEYBIT` and `UI_DEV_CREATE` of `uinput.h`.
const SET_EVENT: Opcode = opcode::write::<i32>(b'U', 100);
const SET_KEY: Opcode = opcode::write::<i32>(b'U', 101);
const CREATE: Opcode = opcode::none(b'U', 1);

pub struct Pedal(File);

impl Pedal {
    /// A pedal with these keys.
    pub fn plug(keys: &[u16]) -> Self {
        run("modprobe", &["uinput"]);
        let mut file = OpenOptions::new().write(true).open("/dev/uinput").unwrap();
        // SAFETY: each of these ioctls takes a plain number or nothing.
        unsafe {
            ioctl(&file, IntegerSetter::<SET_EVENT>::new_usize(EV_KEY.into())).unwrap();
            for key in keys {
                ioctl(&file, IntegerSetter::<SET_KEY>::new_usize((*key).into())).unwrap();
            }
        }
        // `struct uinput_user_dev`: name, four numbers of identity, effects, and 4 x 64 axes.
        let mut device = [0; 80 + 8 + 4 + 4 * 64 * 4];
        device[..NAME.len()].copy_from_slice(NAME.as_bytes());
        file.write_all(&device).unwrap();
        // SAFETY: the ioctl has no argument.
        unsafe { ioctl(&file, NoArg::<CREATE>::new()) }.unwrap();
        Self(file)
    }

    /// Its node.
    pub fn path(&self) -> PathBuf {
        let mut found = None;
        until("the pedal's node", Duration::from_secs(10), || {
            let events = std::fs::read_dir("/sys/class/input").unwrap().map(|entry| entry.unwrap());
            let is_ours = |entry: &std::fs::DirEntry| {
                let name = std::fs::read_to_string(entry.path().join("device/name")).unwrap_or_default();
                entry.file_name().to_string_lossy().starts_with("event") && name.trim() == NAME
            };
            found = events.into_iter().find(is_ours).map(|e| PathBuf::from("/dev/input").join(e.file_name()));
            found.as_ref().is_some_and(|path| path.exists())
        });
        found.unwrap()
    }

    /// Pressed and released.
    pub fn press(&mut self, key: u16) {
        for value in [1_i32, 0] {
            for (kind, code, value) in [(EV_KEY, key, value), (0, 0, 0)] {
                let mut event = vec![0; 16];
                event.extend(kind.to_ne_bytes());
                event.extend(code.to_ne_bytes());
                event.extend(value.to_ne_bytes());
                self.0.write_all(&event).unwrap();
            }
        }
    }
}
