//! Hands, digits and the order of the protocol.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hand {
    Right,
    Left,
}

/// Digits of the hand; the thumb is allowed but stands outside the eight-finger protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Digit {
    Thumb = 1,
    Index = 2,
    Middle = 3,
    Ring = 4,
    Little = 5,
}

/// One finger, written `R2` (right index) to `L5` (left little); the thumbs are `R1` and `L1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(into = "String", try_from = "String")]
#[schemars(with = "String")]
pub struct Finger {
    pub hand: Hand,
    pub digit: Digit,
}

impl Finger {
    pub const fn new(hand: Hand, digit: Digit) -> Self {
        Self { hand, digit }
    }

    /// The eight fingers of the protocol: digits 2 to 5 of both hands, thumbs left out.
    pub const PROTOCOL: [Self; 8] = [
        Self::new(Hand::Right, Digit::Index),
        Self::new(Hand::Right, Digit::Middle),
        Self::new(Hand::Right, Digit::Ring),
        Self::new(Hand::Right, Digit::Little),
        Self::new(Hand::Left, Digit::Index),
        Self::new(Hand::Left, Digit::Middle),
        Self::new(Hand::Left, Digit::Ring),
        Self::new(Hand::Left, Digit::Little),
    ];

    pub fn in_protocol(self) -> bool {
        self.digit != Digit::Thumb
    }

    /// The finger in words, as a screen shows it: "right ring finger".
    pub fn words(self) -> &'static str {
        match (self.hand, self.digit) {
            (Hand::Right, Digit::Thumb) => "right thumb",
            (Hand::Right, Digit::Index) => "right index finger",
            (Hand::Right, Digit::Middle) => "right middle finger",
            (Hand::Right, Digit::Ring) => "right ring finger",
            (Hand::Right, Digit::Little) => "right little finger",
            (Hand::Left, Digit::Thumb) => "left thumb",
            (Hand::Left, Digit::Index) => "left index finger",
            (Hand::Left, Digit::Middle) => "left middle finger",
            (Hand::Left, Digit::Ring) => "left ring finger",
            (Hand::Left, Digit::Little) => "left little finger",
        }
    }
}

impl fmt::Display for Finger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hand = match self.hand {
            Hand::Right => 'R',
            Hand::Left => 'L',
        };
        write!(f, "{hand}{}", self.digit as u8)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a finger: write R or L and a digit from 1 (thumb) to 5 (little finger), such as R4")]
pub struct UnknownFinger(String);

impl FromStr for Finger {
    type Err = UnknownFinger;

    fn from_str(text: &str) -> Result<Self, UnknownFinger> {
        let unknown = || UnknownFinger(text.chars().take(40).collect());
        let mut chars = text.chars();
        let hand = match chars.next() {
            Some('R' | 'r') => Hand::Right,
            Some('L' | 'l') => Hand::Left,
            _ => return Err(unknown()),
        };
        let digit = match chars.next() {
            Some('1') => Digit::Thumb,
            Some('2') => Digit::Index,
            Some('3') => Digit::Middle,
            Some('4') => Digit::Ring,
            Some('5') => Digit::Little,
            _ => return Err(unknown()),
        };
        if chars.next().is_some() {
            return Err(unknown());
        }
        Ok(Self { hand, digit })
    }
}

impl From<Finger> for String {
    fn from(finger: Finger) -> Self {
        finger.to_string()
    }
}

impl TryFrom<String> for Finger {
    type Error = UnknownFinger;

    fn try_from(text: String) -> Result<Self, UnknownFinger> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finger_reads_back_as_written() {
        for finger in Finger::PROTOCOL {
            assert_eq!(finger.to_string().parse::<Finger>().unwrap(), finger);
        }
    }

    #[test]
    fn what_is_no_finger_is_refused() {
        for text in ["", "R", "R0", "R6", "X2", "R22", "L 2", "\u{1F590}2"] {
            assert!(text.parse::<Finger>().is_err(), "{text:?} was taken for a finger");
        }
    }
}
