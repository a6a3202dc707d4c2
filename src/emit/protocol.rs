//! The control protocol in words: what a request line means and what an answer says. No sockets here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::command::Command;
use crate::reader::{OwnCall, Preparation};
use crate::report::{NOTICE, SCHEMA, Snapshot};

/// Longest line that is read: far above any command, far below what would hurt.
pub const LINE_MOST: usize = 64 * 1024;
/// Longest `id` that is given back.
const ID_MOST: usize = 64;

/// The answer to one request line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reply {
    pub schema: u32,
    pub notice: String,
    /// As the request bore it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    pub ok: bool,
    /// Present exactly when `ok` is false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Refusal>,
    /// The open exam.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exam: Option<String>,
    /// After the command; absent when the line was not even read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Snapshot>,
}

impl Reply {
    pub fn new(id: Option<Id>, result: Result<(), Refusal>) -> Self {
        let ok = result.is_ok();
        Self { schema: SCHEMA, notice: NOTICE.to_owned(), id, ok, error: result.err(), exam: None, state: None }
    }

    pub fn line(&self) -> String {
        let mut text = serde_json::to_string(self).expect("a reply holds only numbers, text and maps with text keys");
        text.push('\n');
        text
    }
}

/// What a client puts in to tell answers apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Id {
    Number(u64),
    Text(String),
}

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refusal {
    pub code: Code,
    /// For people; may change from version to version.
    pub message: String,
    /// The same line, sent again in a while, may well be carried out.
    pub retryable: bool,
}

impl Refusal {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retryable: code == Code::Busy }
    }
}

/// For programs; stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The exam is not in a state for this command; the state is in the answer.
    Refused,
    UnknownCommand,
    /// The command is known, and what came with it is not right.
    BadRequest,
    BadJson,
    /// The line has more than 64 KiB.
    TooLong,
    /// Too many commands or connections at once.
    Busy,
    Stopping,
    /// The exam did not answer in time: the command may have been carried out or not.
    Unanswered,
    /// Whoever asks may look on, or not even that.
    NotAllowed,
    /// Somebody else holds control at the page, or nobody took it.
    NotInControl,
}

impl Code {
    pub const ALL: [Self; 10] = [
        Self::Refused,
        Self::UnknownCommand,
        Self::BadRequest,
        Self::BadJson,
        Self::TooLong,
        Self::Busy,
        Self::Stopping,
        Self::Unanswered,
        Self::NotAllowed,
        Self::NotInControl,
    ];
}

/// A request line, understood.
#[derive(Debug, PartialEq, Eq)]
pub struct Ask {
    pub id: Option<Id>,
    pub what: What,
}

#[derive(Debug, PartialEq, Eq)]
pub enum What {
    Status,
    Do(Command),
}

/// What a command takes beside `command` and `id`.
struct Takes {
    name: &'static str,
    /// Must be there, as text.
    needs: &'static [&'static str],
    /// May be there; what it is must fit the command.
    may: &'static [&'static str],
}

const fn takes(name: &'static str, needs: &'static [&'static str], may: &'static [&'static str]) -> Takes {
    Takes { name, needs, may }
}

const COMMANDS: [Takes; 10] = [
    takes("open", &["subject"], &[]),
    takes("finger", &["finger"], &[]),
    takes("field", &[], &[]),
    takes("skip", &["finger", "reason"], &[]),
    takes("close", &[], &[]),
    takes("resume", &["exam"], &[]),
    takes("call", &["finger", "call"], &["comment", "blinded"]),
    takes("prepare", &[], &["preparation"]),
    takes("model", &["bundle"], &[]),
    takes("status", &[], &[]),
];

/// Understands one line. An error still bears the id, when there was one to be read.
pub fn understand(line: &[u8]) -> Result<Ask, (Option<Id>, Refusal)> {
    let bad = |message: String| (None, Refusal::new(Code::BadJson, message));
    let mut object: Map<String, Value> = match serde_json::from_slice(line) {
        Ok(Value::Object(object)) => object,
        Ok(_) => return Err(bad("a request is a JSON object, such as {\"command\":\"status\"}".into())),
        // The place only: the parser's own words would repeat what was typed.
        Err(e) => return Err(bad(format!("not JSON: see column {}", e.column()))),
    };
    let id = match object.remove("id") {
        None => None,
        Some(Value::Number(n)) if n.is_u64() => n.as_u64().map(Id::Number),
        Some(Value::String(text)) if text.len() <= ID_MOST => Some(Id::Text(text)),
        Some(_) => {
            let message = format!("id must be a whole number from 0 up, or text of {ID_MOST} bytes at most");
            return Err((None, Refusal::new(Code::BadRequest, message)));
        }
    };
    match what(object) {
        Ok(what) => Ok(Ask { id, what }),
        Err(refusal) => Err((id, refusal)),
    }
}

fn what(object: Map<String, Value>) -> Result<What, Refusal> {
    let Some(Value::String(name)) = object.get("command") else {
        return Err(Refusal::new(Code::BadRequest, "the key \"command\" is missing or not text"));
    };
    let Some(Takes { name, needs, may }) = COMMANDS.iter().find(|known| known.name == name) else {
        let known: Vec<&str> = COMMANDS.iter().map(|known| known.name).collect();
        return Err(Refusal::new(Code::UnknownCommand, format!("the commands are {}", known.join(", "))));
    };
    // Checked here because serde lets stray keys pass beside a variant without fields.
    let fits = |key: &str| key == "command" || needs.contains(&key) || may.contains(&key);
    if object.keys().any(|key| !fits(key)) {
        let all = [*needs, *may].concat();
        let takes = if all.is_empty() { "nothing".into() } else { all.join(" and ") };
        return Err(Refusal::new(Code::BadRequest, format!("{name} takes {takes} beside command and id")));
    }
    if let Some(missing) = needs.iter().find(|key| !object.get(**key).is_some_and(Value::is_string)) {
        return Err(Refusal::new(Code::BadRequest, format!("{name} needs {missing:?}, as text")));
    }
    if *name == "status" {
        return Ok(What::Status);
    }
    if let Some(refused) = told_in_own_words(name, &object) {
        return Err(Refusal::new(Code::BadRequest, refused));
    }
    serde_json::from_value(Value::Object(object))
        .map(What::Do)
        .map_err(|e| Refusal::new(Code::BadRequest, e.to_string()))
}

/// Where the parser's own words would repeat free text, which may be a name.
fn told_in_own_words(name: &str, object: &Map<String, Value>) -> Option<String> {
    let is = |key: &str, fits: fn(&Value) -> bool| object.get(key).is_none_or(fits);
    match name {
        "call" if !is("call", |v| v.as_str().is_some_and(|v| v.parse::<OwnCall>().is_ok())) => {
            Some(crate::reader::NoOwnCall.to_string())
        }
        "call" if !is("comment", Value::is_string) => Some("comment is text".to_owned()),
        "call" if !is("blinded", Value::is_boolean) => Some("blinded is true or false".to_owned()),
        "prepare" if !object.get("preparation").is_some_and(fits_preparation) => {
            Some("preparation holds acclimatised_min, room_celsius and the list done: see docs/protocol.md".to_owned())
        }
        _ => None,
    }
}

fn fits_preparation(value: &Value) -> bool {
    let known = |map: &Map<String, Value>| map.keys().all(|key| Preparation::KEYS.contains(&key.as_str()));
    value.as_object().is_some_and(known) && serde_json::from_value::<Preparation>(value.clone()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_is_understood() {
        for (line, what) in [
            (r#"{"command":"open","subject":"P017"}"#, What::Do(Command::Open { subject: "P017".parse().unwrap() })),
            (r#"{"command":"finger","finger":"R4"}"#, What::Do(Command::Finger { finger: "R4".parse().unwrap() })),
            (r#"{"command":"field"}"#, What::Do(Command::Field)),
            (
                r#"{"command":"skip","finger":"L2","reason":"bandage"}"#,
                What::Do(Command::Skip { finger: "L2".parse().unwrap(), reason: "bandage".into() }),
            ),
            (r#"{"command":"close"}"#, What::Do(Command::Close)),
            (r#"{"command":"resume","exam":"e-1"}"#, What::Do(Command::Resume { exam: "e-1".into() })),
            (
                r#"{"command":"call","finger":"R4","call":"category_2","comment":"giants","blinded":true}"#,
                What::Do(Command::Call {
                    finger: "R4".parse().unwrap(),
                    call: OwnCall::Category2,
                    comment: Some("giants".into()),
                    blinded: Some(true),
                }),
            ),
            (
                r#"{"command":"prepare","preparation":{"room_celsius":21,"done":["oil_applied"]}}"#,
                What::Do(Command::Prepare {
                    preparation: Preparation {
                        acclimatised_min: None,
                        room_celsius: Some(21),
                        done: [crate::reader::Prepared::OilApplied].into(),
                    },
                }),
            ),
            (r#"{"command":"model","bundle":"/m"}"#, What::Do(Command::Model { bundle: "/m".into() })),
            (r#"{"command":"status"}"#, What::Status),
        ] {
            assert_eq!(understand(line.as_bytes()), Ok(Ask { id: None, what }), "{line}");
        }
    }

    #[test]
    fn each_kind_of_nonsense_has_its_code() {
        for (line, code) in [
            ("", Code::BadJson),
            ("{", Code::BadJson),
            ("\u{0}\u{1}", Code::BadJson),
            ("[1,2]", Code::BadJson),
            ("{\"command\":\"status\"} {\"command\":\"close\"}", Code::BadJson),
            ("{}", Code::BadRequest),
            (r#"{"command":7}"#, Code::BadRequest),
            (r#"{"command":"reboot"}"#, Code::UnknownCommand),
            (r#"{"command":"open"}"#, Code::BadRequest),
            (r#"{"command":"open","subject":17}"#, Code::BadRequest),
            (r#"{"command":"open","subject":"Jane Doe"}"#, Code::BadRequest),
            (r#"{"command":"close","now":true}"#, Code::BadRequest),
            (r#"{"command":"status","finger":"R2"}"#, Code::BadRequest),
            (r#"{"command":"finger","finger":"R9"}"#, Code::BadRequest),
            (r#"{"command":"call","finger":"R4"}"#, Code::BadRequest),
            (r#"{"command":"call","finger":"R4","call":"active"}"#, Code::BadRequest),
            (r#"{"command":"call","finger":"R4","call":"category_1","comment":7}"#, Code::BadRequest),
            (r#"{"command":"prepare"}"#, Code::BadRequest),
            (r#"{"command":"prepare","preparation":{"mood":"good"}}"#, Code::BadRequest),
            (r#"{"id":-1,"command":"status"}"#, Code::BadRequest),
            (r#"{"id":{"a":1},"command":"status"}"#, Code::BadRequest),
        ] {
            let (_, refusal) = understand(line.as_bytes()).unwrap_err();
            assert_eq!(refusal.code, code, "{line}: {}", refusal.message);
        }
        let deep = "[".repeat(50_000);
        assert_eq!(understand(deep.as_bytes()).unwrap_err().1.code, Code::BadJson);
    }

    #[test]
    fn the_id_comes_back_also_from_a_refusal() {
        let (id, _) = understand(br#"{"id":"a7","command":"reboot"}"#).unwrap_err();
        assert_eq!(id, Some(Id::Text("a7".into())));
        assert_eq!(understand(br#"{"id":7,"command":"field"}"#).unwrap().id, Some(Id::Number(7)));
    }

    #[test]
    fn a_refused_name_is_not_repeated() {
        for line in [
            r#"{"command":"open","subject":"Jane Doe"}"#,
            r#"{"command":"open","subject":"Jane}"#,
            r#"{"command":"call","finger":"R4","call":"Jane Doe"}"#,
            r#"{"command":"prepare","preparation":"Jane Doe"}"#,
            r#"{"command":"prepare","preparation":{"done":["Jane Doe"]}}"#,
        ] {
            let (_, refusal) = understand(line.as_bytes()).unwrap_err();
            assert!(!refusal.message.contains("Jane"), "{}", refusal.message);
        }
    }

    #[test]
    fn replies_read_back_as_written() {
        for code in Code::ALL {
            let reply = Reply::new(Some(Id::Number(3)), Err(Refusal::new(code, "why")));
            let line = reply.line();
            assert!(line.ends_with('\n') && line.matches('\n').count() == 1);
            assert_eq!(serde_json::from_str::<Reply>(&line).unwrap(), reply);
        }
    }

    /// The lines of the blocks of docs/protocol.md that are marked with this word.
    fn documented(kind: &str) -> Vec<&'static str> {
        let text = include_str!("../../docs/protocol.md");
        let fence = format!("```json {kind}\n");
        text.split(&fence).skip(1).flat_map(|rest| rest.split("```").next().unwrap().lines()).collect()
    }

    #[test]
    fn the_documented_examples_are_real() {
        let lines = documented("line");
        assert_eq!(lines.len(), 3);
        for line in lines {
            serde_json::from_str::<crate::report::Line>(line).unwrap_or_else(|e| panic!("{e} in {line}"));
        }
        let known: Vec<_> = COMMANDS.iter().map(|known| format!("\"command\":\"{}\"", known.name)).collect();
        let requests = documented("request");
        for (request, name) in requests.iter().zip(&known) {
            understand(request.as_bytes()).unwrap_or_else(|e| panic!("{e:?} in {request}"));
            assert!(request.contains(name), "{request}");
        }
        assert_eq!(requests.len(), known.len());
        for reply in documented("reply") {
            assert_eq!(serde_json::from_str::<Reply>(reply).unwrap().line().trim_end(), reply);
        }
        let text = include_str!("../../docs/protocol.md");
        for code in Code::ALL {
            let word = serde_json::to_value(code).unwrap();
            let word = word.as_str().unwrap();
            let retry = if Refusal::new(code, "").retryable { "| yes |" } else { "| no |" };
            let row = text.lines().find(|line| line.starts_with(&format!("| `{word}` |")));
            assert!(row.is_some_and(|row| row.ends_with(retry)), "{word} is not documented");
        }
    }
}
