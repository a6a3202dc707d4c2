//! What may be added to an exam after its close: remarks, a reader's own calls, signatures. Plain data and its limits;
//! `amendments` keeps it on the disk.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::finger::Finger;
use crate::reader::OwnCall;

/// One line of `amendments.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AmendmentLine {
    pub schema: u32,
    /// Counts the amendments of this exam from 1.
    pub n: u64,
    pub date: jiff::Timestamp,
    pub exam: String,
    pub notice: String,
    /// Of the file `exam.json` as it was when the exam was first amended; on the first line alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exam_sha256: Option<String>,
    /// Who amends: the reader's name, never the patient's.
    pub by: Name,
    #[serde(flatten)]
    pub amendment: Amendment,
}

/// What is added. What was recorded stays as it is, beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "amendment", rename_all = "snake_case")]
pub enum Amendment {
    /// A remark on the whole exam.
    Comment { text: Remark },
    /// What the reader calls a finger, whatever the machine or an earlier reader called it.
    OwnCall {
        finger: Finger,
        call: OwnCall,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<Remark>,
    },
    /// The reader stands by the record and by all amendments before this one.
    Signature {
        /// The link of the line before, which vouches for everything up to here.
        signs: String,
    },
}

/// The name of a reader.
pub type Name = Words<80>;
/// A remark in plain words.
pub type Remark = Words<2000>;

/// One line of text that shows just what it holds: 1 to `MOST` characters, none of which moves, hides or breaks others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Words<const MOST: usize>(String);

/// Does not repeat what was typed: it may be longer than a screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("it is empty: write at least one character that can be seen")]
    Empty,
    #[error("it has more than {0} characters: make it shorter")]
    Long(usize),
    #[error(
        "it holds a line break, another control character, or an invisible one that changes how text is shown: write one plain line"
    )]
    Control,
}

impl<const MOST: usize> Words<MOST> {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MOST: usize> fmt::Display for Words<MOST> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const MOST: usize> FromStr for Words<MOST> {
    type Err = Unfit;

    fn from_str(text: &str) -> Result<Self, Unfit> {
        if text.trim().is_empty() {
            return Err(Unfit::Empty);
        }
        if text.chars().count() > MOST {
            return Err(Unfit::Long(MOST));
        }
        if text.chars().any(deceives) {
            return Err(Unfit::Control);
        }
        Ok(Self(text.to_owned()))
    }
}

/// Control characters, line and paragraph separators, and the marks that turn the direction of text or join nothing
/// to nothing (Unicode general categories Cc, Zl, Zp, and those of Cf that no name needs).
fn deceives(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{00AD}' | '\u{061C}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}')
        || matches!(c, '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

impl<const MOST: usize> From<Words<MOST>> for String {
    fn from(words: Words<MOST>) -> Self {
        words.0
    }
}

impl<const MOST: usize> TryFrom<String> for Words<MOST> {
    type Error = Unfit;

    fn try_from(text: String) -> Result<Self, Unfit> {
        text.parse()
    }
}

impl<const MOST: usize> JsonSchema for Words<MOST> {
    fn schema_name() -> Cow<'static, str> {
        format!("Words{MOST}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "One line of plain text without control characters.",
            "type": "string",
            "minLength": 1,
            "maxLength": MOST,
        })
    }
}

/// Whether and by whom an exam is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Signed {
    /// The newest signature.
    pub by: Name,
    pub date: jiff::Timestamp,
    /// Something was added after it that no signature stands for.
    pub amended_after: bool,
}

/// What the newest signature is worth now; `None` where nobody has signed.
pub fn signed(amendments: &[AmendmentLine]) -> Option<Signed> {
    let last = amendments.iter().rposition(|line| matches!(line.amendment, Amendment::Signature { .. }))?;
    let AmendmentLine { by, date, .. } = &amendments[last];
    Some(Signed { by: by.clone(), date: *date, amended_after: last + 1 < amendments.len() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_pass_and_what_hides_or_breaks_text_does_not() {
        for good in ["Dr. Żółć-O'Brien", "王小明", "A", "Ω & <b>"] {
            assert_eq!(good.parse::<Name>().map(String::from).as_deref(), Ok(good));
        }
        for (bad, why) in [
            ("", Unfit::Empty),
            ("  \u{3000}", Unfit::Empty),
            ("a\nb", Unfit::Control),
            ("a\u{1b}[2Jb", Unfit::Control),
            ("category 1\u{202E}2", Unfit::Control),
            ("a\u{200B}b", Unfit::Control),
            ("a\u{2028}b", Unfit::Control),
        ] {
            assert_eq!(bad.parse::<Name>(), Err(why), "{bad:?}");
        }
        assert_eq!("é".repeat(81).parse::<Name>(), Err(Unfit::Long(80)));
        assert!("é".repeat(80).parse::<Name>().is_ok());
    }

    proptest! {
        #[test]
        fn what_is_taken_is_read_back_and_shows_what_it_holds(text in "\\PC{0,90}") {
            if let Ok(name) = text.parse::<Name>() {
                let json = serde_json::to_string(&name).unwrap();
                let back: Name = serde_json::from_str(&json).unwrap();
                prop_assert_eq!(back.as_str(), &text);
                prop_assert!(!text.chars().any(char::is_control));
            }
        }
    }
}
