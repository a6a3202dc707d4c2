//! What page and service say to each other beside frames and lines; docs/protocol.md is the long form.

use axum::extract::ws::Utf8Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::floor::Holder;
use crate::emit::protocol::{Refusal, Reply};
use crate::finger::Finger;
use crate::frame::FrameId;
use crate::measured::Correction;

/// Longest token that is looked at.
const TOKEN_MOST: usize = 256;

/// From the page.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Said {
    /// Comes first, and once.
    Hello {
        #[serde(default)]
        token: Option<String>,
    },
    /// So many frames were drawn or put aside: as many more may come.
    Seen {
        frames: u32,
    },
    /// What does the clock of the frames say?
    Clock {
        at: f64,
    },
    /// Take control, in this name.
    Take {
        name: String,
        #[serde(default)]
        over: bool,
    },
    Leave {},
    /// A request of the control protocol.
    Ask {
        request: Map<String, Value>,
    },
    /// Correct a loop of an earlier exam.
    Correct {
        #[serde(default)]
        id: Option<u64>,
        exam: String,
        finger: Finger,
        field: u32,
        frame: FrameId,
        correction: Correction,
    },
}

/// Does not repeat what was said.
pub(super) fn understand(text: &str) -> Result<Said, String> {
    let said: Said = serde_json::from_str(text)
        .map_err(|e| format!("not a message of the page: see column {} (docs/protocol.md)", e.column()))?;
    match &said {
        Said::Hello { token: Some(token) } if token.len() > TOKEN_MOST => Err("no token is that long".into()),
        _ => Ok(said),
    }
}

/// To the page.
#[derive(Debug, Serialize)]
#[serde(tag = "page", rename_all = "snake_case")]
pub(super) enum Say<'a> {
    Welcome {
        version: &'static str,
        session: u64,
        may_command: bool,
        /// Frames bear the time of a clock that runs; otherwise they are a recording's.
        live: bool,
        /// Earlier exams can be looked at.
        exams: bool,
        providers_asked: &'a [String],
        holder: Option<Holder>,
    },
    Control {
        holder: Option<Holder>,
    },
    Clock {
        at: f64,
        /// Absent where the clock is a recording's.
        #[serde(skip_serializing_if = "Option::is_none")]
        now_us: Option<u64>,
    },
    Reply {
        reply: &'a Reply,
    },
    Refused {
        refusal: &'a Refusal,
    },
}

impl Say<'_> {
    pub fn text(&self) -> Utf8Bytes {
        serde_json::to_string(self).expect("a message holds only numbers, text and maps with text keys").into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_is_understood() {
        for (text, said) in [
            (r#"{"do":"hello"}"#, Said::Hello { token: None }),
            (r#"{"do":"hello","token":"ab"}"#, Said::Hello { token: Some("ab".into()) }),
            (r#"{"do":"seen","frames":2}"#, Said::Seen { frames: 2 }),
            (r#"{"do":"clock","at":12.5}"#, Said::Clock { at: 12.5 }),
            (r#"{"do":"take","name":"Dr A"}"#, Said::Take { name: "Dr A".into(), over: false }),
            (r#"{"do":"leave"}"#, Said::Leave {}),
        ] {
            assert_eq!(understand(text).unwrap(), said, "{text}");
        }
        assert!(matches!(understand(r#"{"do":"ask","request":{"command":"field"}}"#), Ok(Said::Ask { .. })));
        let correct = r#"{"do":"correct","id":4,"exam":"e-1","finger":"R4","field":1,"frame":{"run":0,"seq":7},
            "correction":{"correction":"removed","apex":[410.0,220.0]}}"#;
        let Ok(Said::Correct { id: Some(4), field: 1, correction, .. }) = understand(correct) else { panic!() };
        assert_eq!(correction, Correction::Removed { apex: [410.0, 220.0] });
    }

    #[test]
    fn nonsense_is_refused_without_being_repeated() {
        let long = format!(r#"{{"do":"hello","token":"{}"}}"#, "a".repeat(300));
        for text in [
            "",
            "{",
            "[]",
            r#"{"do":"Jane Doe"}"#,
            r#"{"do":"seen","frames":-1}"#,
            r#"{"do":"leave","now":1}"#,
            r#"{"do":"ask","request":"Jane Doe"}"#,
            r#"{"do":"take","name":7}"#,
            r#"{"do":"correct","exam":"Jane Doe","finger":"R9"}"#,
            &long,
        ] {
            let refused = understand(text).unwrap_err();
            assert!(!refused.contains("Jane"), "{refused}");
        }
    }
}
