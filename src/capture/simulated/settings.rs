//! What can be set of the simulated microscope, and within which bounds.

use std::path::PathBuf;

use serde::Deserialize;

use crate::command;
use crate::finger::Finger;
use crate::frame::Size;
use crate::synth::exam::{Plan, Script, Trouble};
use crate::synth::pathology::Cohort;

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "snake_case")]
pub struct Settings {
    /// The same seed gives the same subject, fingers, hand and bytes.
    pub seed: u64,
    /// Of the common USB microscopes: 1280x1024. Its width must be even, for colour at half width.
    pub size: Size,
    pub frames_per_s: f64,
    /// Frames come in real time; otherwise as fast as they are taken, and none is lost.
    pub paced: bool,
    /// The source itself opens the exam, names fingers and fields and closes it, and then ends.
    /// Otherwise it goes round its fingers for ever, with another subject each time, and the operator commands.
    pub scripted: bool,
    /// Whom the script opens the exam for.
    pub subject: command::Subject,
    pub cohort: Cohort,
    /// In their order; the eight of the protocol unless given.
    pub fingers: Vec<Finger>,
    /// Fields of each finger; two to four are usual.
    pub fields: u32,
    /// Seconds that each field is held in focus: our choice, room for a steady pool of frames and one trouble.
    pub hold_s: f32,
    /// Width of the field in mm. Three clinical videocapillaroscopes have 1.33, 1.57 and 1.70.
    pub field_mm: f32,
    /// Share of the fields in which one of `troubles` comes up: our choice, enough to see the gate at work.
    pub trouble_share: f32,
    /// Taken in turn.
    pub troubles: Vec<Trouble>,
    /// What is known of its scale.
    pub scale: ScaleKnown,
    /// A file that says what is wrong with the microscope while it holds a word, `unplugged` or `frozen`: for practice.
    pub mishap: Option<PathBuf>,
}

/// What the service is told of the drawing's scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScaleKnown {
    /// As it is drawn.
    Drawing,
    /// As it is drawn, until it expires.
    Until(jiff::Timestamp),
    /// As with a microscope that nobody has calibrated.
    Nothing,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 1,
            size: Size::new(1280, 1024),
            frames_per_s: 30.0,
            paced: true,
            scripted: false,
            subject: default_subject(),
            cohort: Cohort::Mixed,
            fingers: Finger::PROTOCOL.to_vec(),
            fields: 2,
            hold_s: 4.0,
            field_mm: 1.57,
            trouble_share: 0.4,
            troubles: vec![Trouble::Defocus, Trouble::Motion, Trouble::Glare, Trouble::Dark],
            scale: ScaleKnown::Drawing,
            mishap: None,
        }
    }
}

fn default_subject() -> command::Subject {
    "simulated-1".parse().expect("letters, a hyphen and a digit make a pseudonym")
}

impl Settings {
    pub fn check(&self) -> Result<(), String> {
        let within = |key: &str, value: f64, low: f64, high: f64| {
            let good = (low..=high).contains(&value);
            if good { Ok(()) } else { Err(format!("{key} is {value}: it must be from {low} to {high}")) }
        };
        within("frames_per_s", self.frames_per_s, 1.0, 120.0)?;
        within("size.width", f64::from(self.size.width), 160.0, 4096.0)?;
        within("size.height", f64::from(self.size.height), 120.0, 4096.0)?;
        within("fields", f64::from(self.fields), 1.0, 8.0)?;
        within("hold_s", f64::from(self.hold_s), 0.5, 600.0)?;
        within("field_mm", f64::from(self.field_mm), 0.5, 5.0)?;
        within("trouble_share", f64::from(self.trouble_share), 0.0, 1.0)?;
        if !self.size.width.is_multiple_of(2) {
            return Err(format!("size.width is {}: it must be even", self.size.width));
        }
        if self.fingers.is_empty() {
            return Err("fingers is empty: name at least one, such as \"R4\"".to_owned());
        }
        if self.mishap.is_some() && !self.paced {
            return Err("mishap needs paced = true: what has no clock cannot be late".to_owned());
        }
        Ok(())
    }

    pub(super) fn um_per_px(&self) -> f32 {
        self.field_mm * 1000.0 / self.size.width as f32
    }

    pub(super) fn script(&self) -> Script {
        let plan = Plan {
            seed: self.seed,
            fingers: self.fingers.clone(),
            fields: self.fields,
            hold_s: self.hold_s,
            trouble_share: self.trouble_share,
            troubles: self.troubles.clone(),
        };
        Script::new(&plan, self.um_per_px())
    }
}
