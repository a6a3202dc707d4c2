//! The trigger: keys that command the exam, from the microscope's own button, a foot pedal or a keyboard. A key says
//! "accept this field", "next finger" or "skip"; what that means just now is decided from the exam's present state.

use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, TrySendError};

use crate::capture::button::{self, Binding, Does, From, Input, Press};
use crate::capture::devices::{self, Tree};
use crate::command::Command;
use crate::emit::Bus;
use crate::emit::control::{Answer, Request, Who};
use crate::finger::Finger;
use crate::pipeline::stop::Stop;
use crate::report::Snapshot;

/// How long a wait for a press may last: bounds the answer to a stop.
const PATIENCE: Duration = Duration::from_millis(200);
/// How often a device that is not there is looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A skipped finger needs a reason; a key can say no more than this.
const SKIPPED: &str = "skipped by the trigger";

pub struct Trigger {
    pub bindings: Vec<Binding>,
    pub bus: Bus,
    pub commands: Sender<Request>,
    pub stop: Stop,
}

impl Trigger {
    pub fn start(self) -> std::io::Result<JoinHandle<()>> {
        std::thread::Builder::new().name("trigger".to_owned()).spawn(move || self.run())
    }

    fn run(self) {
        let mut places: Vec<Place> = Vec::new();
        for binding in &self.bindings {
            if !places.iter().any(|place| place.from == binding.from) {
                places.push(Place::new(binding.from.clone()));
            }
        }
        while !self.stop.asked() {
            places.iter_mut().for_each(|place| place.look(&self.bus));
            if places.iter().all(|place| place.input.is_none()) {
                self.stop.wait(PATIENCE);
                continue;
            }
            button::wait(places.iter().filter_map(|place| place.input.as_ref()), PATIENCE);
            for place in &mut places {
                for press in place.presses() {
                    self.pressed(&place.from, press);
                }
            }
        }
    }

    fn pressed(&self, from: &From, press: Press) {
        let bound = self.bindings.iter().filter(|b| b.key == press.key && b.from == *from);
        for binding in bound {
            let present = self.bus.latest();
            match command(binding.does, &present.snapshot) {
                Ok(command) => self.give(command),
                Err(why) => tracing::info!(does = ?binding.does, "trigger: {why}"),
            }
        }
    }

    fn give(&self, command: Command) {
        let told = format!("{command:?}");
        let (request, answer) = Request::new(command, Who::Trigger);
        match self.commands.try_send(request) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return tracing::warn!("trigger: too many commands are waiting"),
            Err(TrySendError::Disconnected(_)) => return,
        }
        match answer.blocking_recv() {
            Ok(Answer::Done) => tracing::info!("trigger: {told}"),
            Ok(Answer::Refused(why)) => tracing::info!("trigger: {why}"),
            Err(_) => {}
        }
    }
}

/// One input device, there or not.
struct Place {
    from: From,
    input: Option<Input>,
    looked: Option<Instant>,
    complained: bool,
}

impl Place {
    fn new(from: From) -> Self {
        Self { from, input: None, looked: None, complained: false }
    }

    fn look(&mut self, bus: &Bus) {
        if self.input.is_some() || self.looked.is_some_and(|looked| looked.elapsed() < LOOK_EVERY) {
            return;
        }
        self.looked = Some(Instant::now());
        let path = match &self.from {
            From::Device(path) => Some(path.clone()),
            From::Microscope => button_of(&bus.latest().snapshot),
        };
        let Some(path) = path else { return };
        match Input::open(&path) {
            Ok(input) => {
                tracing::info!(path = %path.display(), "trigger: listening");
                self.input = Some(input);
                self.complained = false;
            }
            Err(error) if !std::mem::replace(&mut self.complained, true) => {
                tracing::warn!(%error, path = %path.display(), "trigger: not heard; `systemd/70-capillaroscope.rules` says who may read it");
            }
            Err(_) => {}
        }
    }

    fn presses(&mut self) -> Vec<Press> {
        let Some(input) = &mut self.input else { return Vec::new() };
        input.presses().unwrap_or_else(|error| {
            tracing::info!(%error, "trigger: its device is gone");
            self.input = None;
            Vec::new()
        })
    }
}

/// The button of the camera that is the source.
fn button_of(snapshot: &Snapshot) -> Option<PathBuf> {
    let words = snapshot.source.as_ref()?.device.as_ref()?;
    let tree = Tree::default();
    let found = devices::scan(&tree);
    found.iter().find(|device| device.path.as_os_str() == words.path.as_str())?.button(&tree)
}

/// What a key means in this state of the exam; or why it means nothing.
fn command(does: Does, state: &Snapshot) -> Result<Command, &'static str> {
    if state.subject.is_none() {
        return Err("no exam is open");
    }
    match does {
        Does::AcceptField if state.finger.is_none() => Err("no finger is being recorded"),
        Does::AcceptField => Ok(Command::Field),
        Does::NextFinger => Ok(Command::Finger { finger: next(state)? }),
        Does::Skip => {
            let finger = state.finger.map_or_else(|| next(state), Ok)?;
            Ok(Command::Skip { finger, reason: SKIPPED.to_owned() })
        }
    }
}

/// The next finger of the protocol, from the one at hand on and round, that has no field and was not skipped.
fn next(state: &Snapshot) -> Result<Finger, &'static str> {
    let protocol = Finger::PROTOCOL;
    let now = state.finger.and_then(|finger| protocol.iter().position(|f| *f == finger));
    let from = now.map_or(0, |now| now + 1);
    let order = (0..protocol.len()).map(|i| protocol[(from + i) % protocol.len()]);
    let recorded = |finger: Finger| state.fields.iter().any(|field| field.finger == finger);
    let mut left = order
        .filter(|finger| Some(*finger) != state.finger && !recorded(*finger) && !state.skipped.contains_key(finger));
    left.next().ok_or("every finger of the protocol was recorded or skipped")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finger(text: &str) -> Finger {
        text.parse().unwrap()
    }

    /// The state of an exam with a finger at hand, some skipped and none recorded.
    fn state(now: Option<&str>, skipped: &[&str]) -> Snapshot {
        let snapshot = serde_json::json!({
            "source": null,
            "model": {
                "name": "m", "version": "1", "sha256": "", "scheme": "s", "labels": [], "cohort": "c",
                "validated_on_patients": false
            },
            "provider_running": "CPU",
            "subject": "P017",
            "finger": now,
            "pooled_frames": 0,
            "fields": [],
            "fingers": [],
            "skipped": skipped.iter().map(|f| (*f, "bandage")).collect::<std::collections::BTreeMap<_, _>>(),
            "faults": [],
            "frames": serde_json::to_value(crate::outcome::Tally::default()).unwrap(),
        });
        serde_json::from_value(snapshot).unwrap()
    }

    #[test]
    fn a_field_is_accepted_only_while_a_finger_is_recorded() {
        assert_eq!(command(Does::AcceptField, &state(Some("R4"), &[])), Ok(Command::Field));
        assert!(command(Does::AcceptField, &state(None, &[])).is_err());
        let idle = Snapshot { subject: None, ..state(Some("R4"), &[]) };
        for does in [Does::AcceptField, Does::NextFinger, Does::Skip] {
            assert_eq!(command(does, &idle), Err("no exam is open"));
        }
    }

    #[test]
    fn the_next_finger_is_the_next_that_is_left() {
        let next = |state: &Snapshot| match command(Does::NextFinger, state) {
            Ok(Command::Finger { finger }) => finger,
            other => panic!("{other:?}"),
        };
        let order = Finger::PROTOCOL;
        assert_eq!(next(&state(None, &[])), order[0]);
        assert_eq!(next(&state(Some(&order[0].to_string()), &[])), order[1]);
        assert_eq!(next(&state(Some(&order[0].to_string()), &[&order[1].to_string()])), order[2]);
        assert_eq!(next(&state(Some(&order[7].to_string()), &[&order[0].to_string()])), order[1]);
        let all: Vec<String> = order[..7].iter().map(ToString::to_string).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        assert!(command(Does::NextFinger, &state(Some(&order[7].to_string()), &all)).is_err());
    }

    #[test]
    fn the_finger_at_hand_is_skipped_and_the_next_where_there_is_none() {
        let skipped = |state: &Snapshot| match command(Does::Skip, state) {
            Ok(Command::Skip { finger, .. }) => finger,
            other => panic!("{other:?}"),
        };
        assert_eq!(skipped(&state(Some("L3"), &[])), finger("L3"));
        assert_eq!(skipped(&state(None, &["R2"])), Finger::PROTOCOL[1]);
    }
}
