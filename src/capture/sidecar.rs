//! What a person wrote down beside a recording: subject, fingers, scale, date, truth, and the course of the
//! exam. Nothing that stands here is ever guessed when it is absent.

use std::path::{Path, PathBuf};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::{CaptureError, CaptureErrorKind, FRAMES_PER_S};
use crate::command::{Command, Cue, Subject};
use crate::finger::Finger;
use crate::scale::{Scale, ScaleMethod, UM_PER_PX_RANGE};
use crate::time::Stamp;

/// The sidecar of a folder; that of a file has the file's name with `.toml` after it.
pub(super) const IN_FOLDER: &str = "replay.toml";

/// A sidecar is written by hand; what is larger is another file.
const MAX_BYTES: u64 = 1 << 20;

/// How the pictures of a folder are to be understood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StillAs {
    /// Frames of one film. The safe default: near copies are never counted as evidence of their own.
    #[default]
    Frame,
    /// Photographs: each is a field of its own.
    Field,
}

/// As written.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sidecar {
    pub(super) subject: Option<Subject>,
    /// When the first frame was recorded.
    #[serde(default, deserialize_with = "moment")]
    pub(super) started: Option<jiff::Timestamp>,
    #[serde(default, deserialize_with = "scale")]
    pub(super) scale: Option<Scale>,
    /// Of all files for which nothing else is said.
    pub(super) finger: Option<Finger>,
    /// Of pictures and raw streams; an AVI has its own.
    #[serde(default, deserialize_with = "frames_per_s")]
    pub(super) frames_per_s: Option<f64>,
    pub(super) still_as: Option<StillAs>,
    /// What is known to be right, in the words of the model's labels.
    pub(super) truth: Option<String>,
    /// Later entries go before earlier ones.
    #[serde(default)]
    pub(super) files: Vec<FileEntry>,
    #[serde(default, deserialize_with = "script")]
    pub(super) script: Option<Vec<Cue>>,
}

/// What is said of the files whose name fits `name`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileEntry {
    /// A name below the folder, in which `*` stands for any letters.
    pub(super) name: String,
    pub(super) subject: Option<Subject>,
    pub(super) finger: Option<Finger>,
    /// Pictures with the same number are of one field.
    pub(super) field: Option<u32>,
    pub(super) truth: Option<String>,
    #[serde(default)]
    pub(super) skip: bool,
}

impl FileEntry {
    pub(super) fn fits(&self, name: &str) -> bool {
        fits(self.name.as_bytes(), name.as_bytes())
    }
}

/// Without backtracking beyond the last star, so that no pattern takes longer than pattern times name.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(letter) if *letter == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|b| *b == b'*')
}

/// Where the sidecar of a recording is looked for.
pub(super) fn place(recording: &Path, folder: bool) -> PathBuf {
    if folder {
        recording.join(IN_FOLDER)
    } else {
        let mut name = recording.as_os_str().to_owned();
        name.push(".toml");
        name.into()
    }
}

/// Kinds: `Unsupported` for what does not read as a sidecar, else that of the operating system.
pub(super) fn load(path: &Path) -> Result<Sidecar, CaptureError> {
    let failed = |e| CaptureError::io(format!("cannot read {}", path.display()), e);
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > MAX_BYTES {
        let context = format!("{} has {length} bytes; a sidecar has at most {MAX_BYTES}", path.display());
        return Err(CaptureError::new(CaptureErrorKind::Unsupported, context));
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    parse(&text).map_err(|why| CaptureError::new(CaptureErrorKind::Unsupported, format!("{}, {why}", path.display())))
}

/// The error is made by hand: toml's own repeats the line, and a name may stand in it where a pseudonym should.
fn parse(text: &str) -> Result<Sidecar, String> {
    let sidecar: Sidecar = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start).min(text.len());
        let line = text.as_bytes()[..at].iter().filter(|b| **b == b'\n').count();
        let key =
            text.lines().nth(line).and_then(|l| l.split_once('=')).map(|(key, _)| key.trim().trim_start_matches("{ "));
        match key {
            Some(key) => format!("line {}, key {key}: {}", line + 1, error.message()),
            None => format!("line {}: {}", line + 1, error.message()),
        }
    })?;
    let told_twice = [
        ("subject", sidecar.subject.is_some()),
        ("finger", sidecar.finger.is_some()),
        ("files.subject", sidecar.files.iter().any(|f| f.subject.is_some())),
        ("files.finger", sidecar.files.iter().any(|f| f.finger.is_some())),
        ("files.field", sidecar.files.iter().any(|f| f.field.is_some())),
    ];
    match told_twice.iter().find(|(_, told)| *told && sidecar.script.is_some()) {
        Some((key, _)) => Err(format!("keys script and {key}: a script tells subject, fingers and fields by itself")),
        None => Ok(sidecar),
    }
}

/// TOML's own date with time and zone, or the same in quotes.
fn moment<'de, D: Deserializer<'de>>(from: D) -> Result<Option<jiff::Timestamp>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Moment {
        Date(toml::value::Datetime),
        Text(String),
    }
    let text = match Moment::deserialize(from) {
        Ok(Moment::Date(date)) => date.to_string(),
        Ok(Moment::Text(text)) => text,
        Err(_) => String::new(),
    };
    text.parse().map(Some).map_err(|_| D::Error::custom("write date, time and zone, such as 2026-03-02T09:30:00Z"))
}

fn frames_per_s<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    let value = f64::deserialize(from)?;
    if FRAMES_PER_S.contains(&value) {
        Ok(Some(value))
    } else {
        Err(D::Error::custom(format!("must lie from {} to {}", FRAMES_PER_S.start(), FRAMES_PER_S.end())))
    }
}

fn scale<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Scale>, D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Written {
        um_per_px: f64,
        how: ScaleMethod,
        #[serde(default, deserialize_with = "moment")]
        when: Option<jiff::Timestamp>,
        by: Option<String>,
    }
    let Written { um_per_px, how, when, by } = Written::deserialize(from)?;
    let range = UM_PER_PX_RANGE;
    let scale = Scale::new(um_per_px, how)
        .ok_or_else(|| D::Error::custom(format!("um_per_px must lie from {} to {}", range.start(), range.end())))?;
    Ok(Some(Scale { when, by, ..scale }))
}

fn script<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<Cue>>, D::Error> {
    #[derive(Deserialize)]
    struct Written {
        at_ms: u64,
        #[serde(flatten)]
        command: Command,
    }
    let written = Vec::<Written>::deserialize(from)?;
    if written.windows(2).any(|pair| pair[1].at_ms < pair[0].at_ms) {
        return Err(D::Error::custom("at_ms of a command must not be less than that of the one before"));
    }
    if written.iter().any(|cue| matches!(cue.command, Command::Resume { .. } | Command::Model { .. })) {
        return Err(D::Error::custom("a recording cannot resume an exam"));
    }
    Ok(Some(written.into_iter().map(|c| Cue { at: Stamp::from_ms(c.at_ms), command: c.command }).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_sidecar_is_read() {
        let sidecar = parse(
            r#"
            subject = "P017"
            started = 2026-03-02T09:30:00Z
            scale = { um_per_px = 2.56, how = "ruler-in-view", when = "2026-03-01T08:00:00+01:00" }
            frames_per_s = 20
            still_as = "field"
            truth = "category 1"
            [[files]]
            name = "R2/*"
            truth = "category 2"
            [[files]]
            name = "*overview*"
            skip = true
            "#,
        )
        .unwrap();
        assert_eq!(sidecar.subject, Some("P017".parse().unwrap()));
        assert_eq!(sidecar.started, Some("2026-03-02T09:30:00Z".parse().unwrap()));
        let scale = sidecar.scale.unwrap();
        assert_eq!((scale.how, scale.when.is_some()), (ScaleMethod::RulerInView, true));
        assert_eq!(sidecar.frames_per_s, Some(20.0));
        assert_eq!(sidecar.still_as, Some(StillAs::Field));
        assert!(sidecar.files[1].skip && sidecar.files[1].fits("R2/overview.jpg"));
    }

    #[test]
    fn a_script_speaks_as_the_operator_does() {
        let sidecar = parse(
            r#"script = [
                { at_ms = 0, command = "open", subject = "P017" },
                { at_ms = 500, command = "finger", finger = "R4" },
                { at_ms = 4000, command = "field" },
                { at_ms = 9000, command = "close" },
            ]"#,
        )
        .unwrap();
        let script = sidecar.script.unwrap();
        assert_eq!(
            script[1],
            Cue { at: Stamp::from_ms(500), command: Command::Finger { finger: "R4".parse().unwrap() } }
        );
        assert_eq!(script[2].command, Command::Field);
    }

    #[test]
    fn what_is_wrong_is_named_with_line_and_key() {
        for (text, expected) in [
            ("subject = \"P1\"\numperpx = 2.0", "line 2, key umperpx: unknown field `umperpx`"),
            ("\n\nfinger = \"R9\"", "line 3, key finger: \"R9\" is not a finger"),
            ("frames_per_s = -3", "line 1, key frames_per_s: must lie from 0.01 to 1000"),
            ("scale = { um_per_px = 0.0, how = \"entered\" }", "line 1, key scale: um_per_px must lie from 0.1 to 20"),
            ("scale = { um_per_px = 2.0 }", "line 1, key scale: missing field `how`"),
            ("started = \"yesterday\"", "line 1, key started: write date, time and zone"),
            ("started = 2026-03-02", "line 1, key started: write date, time and zone"),
            ("a = b = c", "line 1, key a: "),
            ("[[files]]\nname = \"a\"\nfingr = \"R2\"", "line 3, key fingr: unknown field"),
            ("finger = \"R2\"\nscript = []", "keys script and finger"),
            (
                "script = [{ at_ms = 5, command = \"field\" }, { at_ms = 4, command = \"field\" }]",
                "line 1, key script: at_ms",
            ),
            ("script = [{ at_ms = 5, command = \"dance\" }]", "line 1, key script: "),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with(expected), "{text:?} gave {error:?}");
        }
    }

    #[test]
    fn a_name_in_the_place_of_the_pseudonym_is_not_repeated() {
        let error = parse("subject = \"Jane Doe\"").unwrap_err();
        assert!(error.starts_with("line 1, key subject: ") && !error.contains("Jane"), "{error}");
    }

    #[test]
    fn stars_stand_for_any_letters() {
        for (pattern, name, expected) in [
            ("N1*.jpg", "N1a.jpg", true),
            ("N1*.jpg", "N22a.jpg", false),
            ("*", "R2/a.png", true),
            ("R2/*", "R2/a.png", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(fits(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} on {name}");
        }
    }
}
