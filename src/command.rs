//! What an operator can tell Hairpin during an exam, whoever brings it: socket, terminal, button or script.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::finger::Finger;
use crate::reader::{OwnCall, Preparation};
use crate::time::Stamp;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    Open {
        subject: Subject,
    },
    Finger {
        finger: Finger,
    },
    /// The next field of the finger being recorded.
    Field,
    Skip {
        finger: Finger,
        reason: String,
    },
    Close,
    /// Go on with an exam that was found interrupted.
    Resume {
        exam: String,
    },
    /// The reader's own call of a finger: kept beside the machine's, never in its place.
    Call {
        finger: Finger,
        call: OwnCall,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<String>,
        /// The machine's call had not been shown.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        blinded: Option<bool>,
    },
    /// How the subject was prepared.
    Prepare {
        preparation: Preparation,
    },
    /// Another deciding model: the folder of its bundle.
    Model {
        bundle: PathBuf,
    },
}

impl Command {
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Open { .. } => "open",
            Self::Finger { .. } => "finger",
            Self::Field => "field",
            Self::Skip { .. } => "skip",
            Self::Close => "close",
            Self::Resume { .. } => "resume",
            Self::Call { .. } => "call",
            Self::Prepare { .. } => "prepare",
            Self::Model { .. } => "model",
        }
    }

    pub const fn finger(&self) -> Option<Finger> {
        match self {
            Self::Finger { finger } | Self::Skip { finger, .. } | Self::Call { finger, .. } => Some(*finger),
            Self::Open { .. }
            | Self::Field
            | Self::Close
            | Self::Resume { .. }
            | Self::Prepare { .. }
            | Self::Model { .. } => None,
        }
    }
}

/// A command of a script, given at a moment of the source's own clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cue {
    pub at: Stamp,
    pub command: Command,
}

/// A pseudonym: what stands for the patient in every file, log and event.
///
/// Letters, digits, `-` and `_`, 32 at most, at least one digit, and no date: a name or a birth date has
/// another shape, and so cannot be typed here by mistake.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(into = "String", try_from = "String")]
#[schemars(with = "String")]
pub struct Subject(String);

impl Subject {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Does not repeat what was typed: it may be a name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAPseudonym {
    #[error("a pseudonym has 1 to 32 characters")]
    Length,
    #[error("a pseudonym has only the letters a to z, digits, '-' and '_'")]
    Characters,
    #[error("a pseudonym holds at least one digit, such as study-017: a name must not stand here")]
    NoDigit,
    #[error("a pseudonym must not hold a date: a birth date must not stand here")]
    Date,
}

impl FromStr for Subject {
    type Err = NotAPseudonym;

    fn from_str(text: &str) -> Result<Self, NotAPseudonym> {
        if text.is_empty() || text.len() > 32 {
            return Err(NotAPseudonym::Length);
        }
        if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return Err(NotAPseudonym::Characters);
        }
        if !text.bytes().any(|b| b.is_ascii_digit()) {
            return Err(NotAPseudonym::NoDigit);
        }
        if holds_date(text) {
            return Err(NotAPseudonym::Date);
        }
        Ok(Self(text.to_owned()))
    }
}

/// Three numbers that read as a date of the last or this century, in any usual order, or the same run
/// together as eight digits.
fn holds_date(text: &str) -> bool {
    let numbers: Vec<&str> = text.split(|c: char| !c.is_ascii_digit()).filter(|s| !s.is_empty()).collect();
    let year = |s: &str| s.len() == 4 && (s.starts_with("19") || s.starts_with("20"));
    let part = |s: &str, most: u32| s.len() <= 2 && s.parse::<u32>().is_ok_and(|n| (1..=most).contains(&n));
    let day_month = |a: &str, b: &str| (part(a, 31) && part(b, 12)) || (part(a, 12) && part(b, 31));
    let apart =
        numbers.windows(3).any(|w| (year(w[0]) && day_month(w[1], w[2])) || (year(w[2]) && day_month(w[0], w[1])));
    let joined = numbers.iter().any(|s| {
        s.len() == 8
            && ((year(&s[..4]) && day_month(&s[4..6], &s[6..])) || (year(&s[4..]) && day_month(&s[..2], &s[2..4])))
    });
    apart || joined
}

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.0
    }
}

impl TryFrom<String> for Subject {
    type Error = NotAPseudonym;

    fn try_from(text: String) -> Result<Self, NotAPseudonym> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pseudonyms_pass_and_names_and_dates_do_not() {
        for good in ["P017", "study-2024-017", "demo_1", "A1"] {
            assert!(good.parse::<Subject>().is_ok(), "{good} was refused");
        }
        for (bad, why) in [
            ("", NotAPseudonym::Length),
            ("Smith", NotAPseudonym::NoDigit),
            ("John Smith 1", NotAPseudonym::Characters),
            ("../../etc1", NotAPseudonym::Characters),
            ("p-1961-04-12", NotAPseudonym::Date),
            ("12-04-1961", NotAPseudonym::Date),
            ("x19610412", NotAPseudonym::Date),
            ("12041961", NotAPseudonym::Date),
        ] {
            assert_eq!(bad.parse::<Subject>(), Err(why), "{bad:?}");
        }
    }

    #[test]
    fn a_refusal_does_not_repeat_the_name() {
        let refused = serde_json::from_str::<Command>(r#"{"command":"open","subject":"Jane Doe"}"#).unwrap_err();
        assert!(!refused.to_string().contains("Jane"), "{refused}");
    }
}
