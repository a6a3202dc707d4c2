//! Exposure, gain, white balance, mains frequency and dynamic frame rate: set for as long as frames are wanted, and
//! put back afterwards. Each is best effort: cameras advertise controls that they then refuse, so what was asked and
//! what came of it is told for each, and none is a reason not to stream.

use rustix::io::Errno;
use serde::Deserialize;

use super::abi::{CTRL_DISABLED, CTRL_READ_ONLY};
use super::node::Node;
use crate::report::ControlWords;

/// `V4L2_CID_*` of `v4l2-controls.h`.
const AUTO_WHITE_BALANCE: u32 = 0x0098_090C;
const AUTO_GAIN: u32 = 0x0098_0912;
const GAIN: u32 = 0x0098_0913;
const POWER_LINE: u32 = 0x0098_0918;
const WHITE_BALANCE: u32 = 0x0098_091A;
const EXPOSURE_MODE: u32 = 0x009A_0901;
const EXPOSURE: u32 = 0x009A_0902;
const DYNAMIC_RATE: u32 = 0x009A_0903;

/// `V4L2_EXPOSURE_MANUAL` and `_APERTURE_PRIORITY`: what UVC calls manual and automatic.
const EXPOSURE_MANUAL: i32 = 1;
const EXPOSURE_AUTO: i32 = 3;

/// What is asked of a control that the camera can also look after by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Wish {
    Value(i32),
    Word(Word),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// The camera looks after it.
    Auto,
    /// It stays where it is now.
    Lock,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PowerLine {
    Off,
    #[serde(rename = "50hz")]
    Hz50,
    #[serde(rename = "60hz")]
    Hz60,
    Auto,
}

/// What is not named is left as the camera has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "snake_case")]
pub struct Settings {
    /// "auto", "lock", or a time in units of 100 microseconds.
    pub exposure: Option<Wish>,
    /// "auto", "lock", or a value in the camera's own units.
    pub gain: Option<Wish>,
    /// "auto", "lock", or kelvin.
    pub white_balance: Option<Wish>,
    pub power_line: Option<PowerLine>,
    /// Whether the camera may send fewer frames to expose them longer. Off unless asked for: a rate that halves when
    /// a hand covers the light would go unnoticed.
    pub dynamic_frame_rate: Option<bool>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { exposure: None, gain: None, white_balance: None, power_line: None, dynamic_frame_rate: Some(false) }
    }
}

/// One control to set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Task {
    name: &'static str,
    id: u32,
    value: Asked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Value(i32),
    /// What it reads now.
    AsIs,
}

impl Settings {
    /// In the order in which they must be set: a value can be set only after its automatic is off.
    fn tasks(&self) -> Vec<Task> {
        let mut tasks = Vec::new();
        let mut task = |name, id, value| tasks.push(Task { name, id, value });
        if let Some(on) = self.dynamic_frame_rate {
            task("dynamic_frame_rate", DYNAMIC_RATE, Asked::Value(on.into()));
        }
        if let Some(power_line) = self.power_line {
            task("power_line", POWER_LINE, Asked::Value(power_line as i32));
        }
        let mut pair = |wish: Option<Wish>, mode: (&'static str, u32, i32, i32), value: (&'static str, u32)| {
            let (mode, id, manual, auto) = mode;
            let asked = match wish {
                None => return,
                Some(Wish::Word(Word::Auto)) => return task(mode, id, Asked::Value(auto)),
                Some(Wish::Word(Word::Lock)) => Asked::AsIs,
                Some(Wish::Value(value)) => Asked::Value(value),
            };
            task(mode, id, Asked::Value(manual));
            task(value.0, value.1, asked);
        };
        pair(self.exposure, ("exposure_mode", EXPOSURE_MODE, EXPOSURE_MANUAL, EXPOSURE_AUTO), ("exposure", EXPOSURE));
        pair(self.gain, ("auto_gain", AUTO_GAIN, 0, 1), ("gain", GAIN));
        let automatic = ("auto_white_balance", AUTO_WHITE_BALANCE, 0, 1);
        pair(self.white_balance, automatic, ("white_balance", WHITE_BALANCE));
        tasks
    }
}

/// What was changed, to be put back.
#[derive(Debug, Default)]
pub(super) struct Held(Vec<(u32, i32)>);

/// Sets what is asked for; tells of each what came of it.
pub(super) fn apply(node: &mut dyn Node, settings: &Settings) -> (Held, Vec<ControlWords>) {
    let mut held = Held::default();
    // Before anything is touched: turning an automatic off may change what it looked after.
    let tasks: Vec<(Task, Result<i32, String>)> =
        settings.tasks().into_iter().map(|task| (task, present(node, task.id))).collect();
    let words = tasks.into_iter().map(|(task, before)| set(node, task, before, &mut held)).collect();
    (held, words)
}

/// The control's value now, or why it cannot be set.
fn present(node: &dyn Node, id: u32) -> Result<i32, String> {
    let known = node.query_control(id).map_err(|errno| match errno {
        Errno::INVAL => "the camera does not have it".to_owned(),
        errno => errno.to_string(),
    })?;
    if known.flags & (CTRL_DISABLED | CTRL_READ_ONLY) != 0 {
        return Err("the camera does not let it be set".to_owned());
    }
    node.control(id).map_err(|errno| errno.to_string())
}

fn set(node: &mut dyn Node, task: Task, before: Result<i32, String>, held: &mut Held) -> ControlWords {
    let asked = match (task.value, &before) {
        (Asked::Value(value), _) => Some(value),
        (Asked::AsIs, before) => before.as_ref().ok().copied(),
    };
    let mut words = ControlWords { name: task.name.to_owned(), asked, granted: None, refused: None };
    match before.and_then(|before| {
        let asked = asked.unwrap_or(before);
        let refused = |errno: Errno| match errno {
            Errno::RANGE | Errno::INVAL => format!("the camera does not take {asked}"),
            errno => errno.to_string(),
        };
        if asked != before || task.value == Asked::AsIs {
            node.set_control(task.id, asked).map_err(refused)?;
            held.0.push((task.id, before));
        }
        node.control(task.id).map_err(|errno| errno.to_string())
    }) {
        Ok(granted) => words.granted = Some(granted),
        Err(why) => words.refused = Some(why),
    }
    words
}

impl Held {
    /// Last set, first put back: a value can be put back only while its automatic is still off.
    pub(super) fn put_back(&mut self, node: &mut dyn Node) {
        for (id, value) in self.0.drain(..).rev() {
            if let Err(errno) = node.set_control(id, value) {
                tracing::debug!(%errno, id, value, "a control of the camera was not put back");
            }
        }
    }
}
