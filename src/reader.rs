//! What people add to an exam: the reader's own call of a finger, how the subject was prepared, and which command
//! came from whom. Kept beside what the machine found; neither replaces the other.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::finger::Finger;

/// Longest comment to an own call, in characters.
pub const LONGEST_COMMENT: usize = 500;

/// What a reader calls a finger, in the words of the Fast Track algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OwnCall {
    /// Non-scleroderma pattern: normal, or with non-specific abnormalities.
    #[serde(rename = "category_1")]
    Category1,
    /// Scleroderma pattern.
    #[serde(rename = "category_2")]
    Category2,
    NotClassifiable,
}

impl OwnCall {
    pub const ALL: [Self; 3] = [Self::Category1, Self::Category2, Self::NotClassifiable];

    /// As it stands in a line, and as it is typed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Category1 => "category_1",
            Self::Category2 => "category_2",
            Self::NotClassifiable => "not_classifiable",
        }
    }
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a reader calls a finger category_1, category_2 or not_classifiable")]
pub struct NoOwnCall;

impl std::str::FromStr for OwnCall {
    type Err = NoOwnCall;

    fn from_str(text: &str) -> Result<Self, NoOwnCall> {
        Self::ALL.into_iter().find(|call| call.name() == text).ok_or(NoOwnCall)
    }
}

/// A reader's own call of a finger. The newest of a finger holds; those before it stay on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OwnCallEvent {
    pub finger: Finger,
    pub call: OwnCall,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The machine's call of this finger had not been shown to the reader; absent where whoever asked does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blinded: Option<bool>,
    pub by: String,
}

/// A point of the checklist before the first finger. Where each comes from stands in docs/page.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Prepared {
    NoCoffeeOrSmoking,
    NoManicure,
    NoRaynaudAttack,
    VasoactiveDrugsNoted,
    FingersLookedAt,
    HandAtHeartLevel,
    OilApplied,
}

/// How the subject was prepared. What nobody said is absent, and does not mean no.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Preparation {
    /// Minutes in the room before the first picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acclimatised_min: Option<u32>,
    /// Of the room, in degrees Celsius.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room_celsius: Option<i32>,
    #[serde(default)]
    pub done: BTreeSet<Prepared>,
}

/// Above a day somebody forgot a watch; outside these temperatures no exam is made.
const ACCLIMATISED_MIN_MOST: u32 = 24 * 60;
const ROOM_CELSIUS: std::ops::RangeInclusive<i32> = 0..=50;

impl Preparation {
    pub const KEYS: [&str; 3] = ["acclimatised_min", "room_celsius", "done"];

    pub fn check(&self) -> Result<(), String> {
        if self.acclimatised_min.is_some_and(|min| min > ACCLIMATISED_MIN_MOST) {
            return Err(format!("acclimatised_min is 0 to {ACCLIMATISED_MIN_MOST} minutes"));
        }
        if self.room_celsius.is_some_and(|celsius| !ROOM_CELSIUS.contains(&celsius)) {
            let (least, most) = (ROOM_CELSIUS.start(), ROOM_CELSIUS.end());
            return Err(format!("room_celsius is {least} to {most} degrees"));
        }
        Ok(())
    }
}

/// The preparation as told. A later one replaces it; both stay on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PreparationEvent {
    #[serde(flatten)]
    pub preparation: Preparation,
    pub by: String,
}

/// That somebody commanded the exam. What came of it stands on the lines beside this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommandEvent {
    pub command: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finger: Option<Finger>,
    pub by: String,
    /// Why it was not carried out; absent when it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_own_call_is_typed_as_it_is_written() {
        for call in OwnCall::ALL {
            assert_eq!(call.name().parse(), Ok(call));
            assert_eq!(serde_json::to_value(call).unwrap(), call.name());
        }
        assert_eq!("active".parse::<OwnCall>(), Err(NoOwnCall));
    }

    #[test]
    fn a_preparation_out_of_range_is_refused() {
        for (minutes, celsius, good) in
            [(None, None, true), (Some(15), Some(21), true), (Some(1441), None, false), (None, Some(51), false)]
        {
            let preparation = Preparation { acclimatised_min: minutes, room_celsius: celsius, ..Default::default() };
            assert_eq!(preparation.check().is_ok(), good, "{preparation:?}");
        }
    }
}
