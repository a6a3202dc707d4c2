//! Which exam is on and which finger is being recorded: a closed machine of three states. It decides what a
//! command means and does nothing itself; the caller carries out the steps it names, in their order.

pub mod journal;
pub mod timeline;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::command::{Command, Subject};
use crate::finger::Finger;
use crate::reader::{LONGEST_COMMENT, OwnCall, Preparation};

/// Longest reason for a skipped finger, in characters: a phrase, not a letter.
pub const LONGEST_REASON: usize = 200;

/// An open exam, as far as commands ask about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exam {
    pub id: String,
    pub subject: Subject,
    /// Number of the last field that began, by finger.
    pub fields: BTreeMap<Finger, u32>,
    pub skipped: BTreeMap<Finger, String>,
}

impl Exam {
    fn new(id: String, subject: Subject) -> Self {
        Self { id, subject, fields: BTreeMap::new(), skipped: BTreeMap::new() }
    }

    /// An exam as its journal tells it. `fields` are the fields that began, finished or not, in any order: a number
    /// that was given once is not given again.
    pub fn restore(
        id: String,
        subject: Subject,
        fields: impl IntoIterator<Item = (Finger, u32)>,
        skipped: BTreeMap<Finger, String>,
    ) -> Self {
        let mut exam = Self { skipped, ..Self::new(id, subject) };
        for (finger, number) in fields {
            exam.field_began(finger, number);
        }
        exam
    }

    fn field_began(&mut self, finger: Finger, number: u32) {
        let last = self.fields.entry(finger).or_default();
        *last = number.max(*last);
        self.skipped.remove(&finger);
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    #[default]
    Idle,
    /// An exam, but no finger: the time between two fingers.
    Open {
        exam: Exam,
    },
    Recording {
        exam: Exam,
        finger: Finger,
    },
}

/// What is to be done because of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    OpenExam {
        id: String,
        subject: Subject,
    },
    ResumeExam {
        id: String,
    },
    BeginFinger(Finger),
    NextField(Finger),
    /// The finger's last field ends, and its result is due if any field of it began.
    EndFinger(Finger),
    Skip {
        finger: Finger,
        reason: String,
    },
    CloseExam {
        id: String,
    },
    OwnCall {
        finger: Finger,
        call: OwnCall,
        comment: Option<String>,
        blinded: Option<bool>,
    },
    Prepare(Preparation),
}

/// A command met a state in which it means nothing. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot take '{command}' {met}; {instead}")]
pub struct Refused {
    pub command: &'static str,
    /// The state, as "while no exam is open".
    pub met: String,
    /// What is possible there.
    pub instead: String,
}

/// What a command may need that the machine cannot know by itself.
#[derive(Clone, Copy, Debug)]
pub struct AtHand<'a> {
    /// The name that a newly opened exam gets.
    pub id: &'a str,
    /// Exams whose records were found interrupted.
    pub interrupted: &'a [Exam],
}

type Outcome = Result<(State, Vec<Step>), Refused>;

impl State {
    /// The exam goes on after a stop of the service, with no finger: where the probe is now, nobody knows.
    pub fn restore(exam: Exam) -> Self {
        Self::Open { exam }
    }

    pub fn exam(&self) -> Option<&Exam> {
        match self {
            Self::Idle => None,
            Self::Open { exam } | Self::Recording { exam, .. } => Some(exam),
        }
    }

    pub fn finger(&self) -> Option<Finger> {
        match self {
            Self::Idle | Self::Open { .. } => None,
            Self::Recording { finger, .. } => Some(*finger),
        }
    }

    /// To be told of each field that begins: such a finger cannot be skipped any more.
    pub fn field_began(&mut self, finger: Finger, number: u32) {
        match self {
            Self::Idle => {}
            Self::Open { exam } | Self::Recording { exam, .. } => exam.field_began(finger, number),
        }
    }

    /// The state after `command` and the steps to it, or why it cannot be taken here.
    pub fn apply(&self, command: &Command, at_hand: AtHand<'_>) -> Outcome {
        match command {
            Command::Open { subject } => self.open(subject, at_hand),
            Command::Resume { exam } => self.resume(exam, at_hand),
            Command::Finger { finger } => self.begin(*finger),
            Command::Field => self.next_field(),
            Command::Skip { finger, reason } => self.skip(*finger, reason),
            Command::Close => self.close(),
            Command::Call { finger, call, comment, blinded } => {
                self.own_call(*finger, *call, comment.as_deref(), *blinded)
            }
            Command::Prepare { preparation } => self.prepare(preparation),
            // Which model reads is no state of the exam.
            Command::Model { .. } => Ok((self.clone(), Vec::new())),
        }
    }

    fn open(&self, subject: &Subject, at_hand: AtHand<'_>) -> Outcome {
        if self.exam().is_some() {
            return Err(self.refuse("open", "close it first"));
        }
        let exam = Exam::new(at_hand.id.to_owned(), subject.clone());
        let step = Step::OpenExam { id: exam.id.clone(), subject: exam.subject.clone() };
        Ok((Self::Open { exam }, vec![step]))
    }

    fn resume(&self, id: &str, at_hand: AtHand<'_>) -> Outcome {
        if self.exam().is_some() {
            return Err(self.refuse("resume", "close it first"));
        }
        let Some(exam) = at_hand.interrupted.iter().find(|e| e.id == id) else {
            let ids: Vec<&str> = at_hand.interrupted.iter().map(|e| e.id.as_str()).collect();
            let instead = if ids.is_empty() { "open one".to_owned() } else { format!("resume {}", ids.join(" or ")) };
            let asked: String = id.chars().take(64).collect();
            return Err(Refused { command: "resume", met: format!("of {asked:?}: no such interrupted exam"), instead });
        };
        Ok((Self::restore(exam.clone()), vec![Step::ResumeExam { id: exam.id.clone() }]))
    }

    /// A finger that was recorded before gets more fields, one that was skipped is skipped no longer.
    fn begin(&self, finger: Finger) -> Outcome {
        let (exam, steps) = match self {
            Self::Idle => return Err(self.refuse("finger", OPEN_FIRST)),
            Self::Recording { finger: now, .. } if *now == finger => {
                return Err(self.refuse("finger", "use 'field' for its next field, or name another finger"));
            }
            Self::Recording { exam, finger: now } => {
                (exam.clone(), vec![Step::EndFinger(*now), Step::BeginFinger(finger)])
            }
            Self::Open { exam } => (exam.clone(), vec![Step::BeginFinger(finger)]),
        };
        Ok((Self::Recording { exam, finger }, steps))
    }

    fn next_field(&self) -> Outcome {
        match self {
            Self::Idle => Err(self.refuse("field", OPEN_FIRST)),
            Self::Open { .. } => Err(self.refuse("field", "name a finger first")),
            Self::Recording { finger, .. } => Ok((self.clone(), vec![Step::NextField(*finger)])),
        }
    }

    /// A finger that has fields is not skipped: what was recorded of it stands, and a skip would hide it. A
    /// second skip replaces the reason of the first.
    fn skip(&self, finger: Finger, reason: &str) -> Outcome {
        let Some(exam) = self.exam() else {
            return Err(self.refuse("skip", OPEN_FIRST));
        };
        let reason = reason.trim();
        if reason.is_empty() || reason.chars().count() > LONGEST_REASON || reason.chars().any(char::is_control) {
            let instead = format!("say in one line of 1 to {LONGEST_REASON} characters why, such as \"wound\"");
            return Err(Refused { command: "skip", met: format!("of {finger} without a usable reason"), instead });
        }
        if let Some(fields) = exam.fields.get(&finger) {
            let recorded = if *fields == 1 { "1 field".to_owned() } else { format!("{fields} fields") };
            let instead = "what was recorded of it stands; go on with another finger".to_owned();
            return Err(Refused { command: "skip", met: format!("of {finger}, which has {recorded}"), instead });
        }
        let mut exam = exam.clone();
        exam.skipped.insert(finger, reason.to_owned());
        let skip = Step::Skip { finger, reason: reason.to_owned() };
        Ok(match self.finger() {
            Some(now) if now != finger => (Self::Recording { exam, finger: now }, vec![skip]),
            Some(_) => (Self::Open { exam }, vec![Step::EndFinger(finger), skip]),
            None => (Self::Open { exam }, vec![skip]),
        })
    }

    /// Of a finger that was looked at. A later call stands beside the earlier on record.
    fn own_call(&self, finger: Finger, call: OwnCall, comment: Option<&str>, blinded: Option<bool>) -> Outcome {
        let Some(exam) = self.exam() else {
            return Err(self.refuse("call", OPEN_FIRST));
        };
        let comment = comment.map(str::trim).filter(|comment| !comment.is_empty()).map(str::to_owned);
        if comment.as_deref().is_some_and(|c| c.chars().count() > LONGEST_COMMENT || c.chars().any(char::is_control)) {
            let instead = format!("write one line of at most {LONGEST_COMMENT} characters");
            return Err(Refused { command: "call", met: format!("of {finger} with such a comment"), instead });
        }
        if !exam.fields.contains_key(&finger) {
            let met = format!("of {finger}, of which no field was recorded");
            return Err(Refused { command: "call", met, instead: "record a field of it, or skip it".to_owned() });
        }
        Ok((self.clone(), vec![Step::OwnCall { finger, call, comment, blinded }]))
    }

    fn prepare(&self, preparation: &Preparation) -> Outcome {
        if self.exam().is_none() {
            return Err(self.refuse("prepare", OPEN_FIRST));
        }
        if let Err(instead) = preparation.check() {
            return Err(Refused { command: "prepare", met: "with such a figure".to_owned(), instead });
        }
        Ok((self.clone(), vec![Step::Prepare(preparation.clone())]))
    }

    fn close(&self) -> Outcome {
        let Some(exam) = self.exam() else {
            return Err(self.refuse("close", OPEN_FIRST));
        };
        let end = self.finger().map(Step::EndFinger);
        Ok((Self::Idle, end.into_iter().chain([Step::CloseExam { id: exam.id.clone() }]).collect()))
    }

    fn refuse(&self, command: &'static str, instead: &str) -> Refused {
        let met = match (self, command) {
            (Self::Idle, _) => "while no exam is open".to_owned(),
            (Self::Open { exam } | Self::Recording { exam, .. }, "open" | "resume") => {
                format!("while exam {} is open", exam.id)
            }
            (Self::Open { .. }, _) => "while no finger is being recorded".to_owned(),
            (Self::Recording { finger, .. }, _) => format!("while {finger} is being recorded"),
        };
        Refused { command, met, instead: instead.to_owned() }
    }
}

const OPEN_FIRST: &str = "open an exam first";

#[cfg(test)]
mod tests {
    use super::*;

    const R4: Finger = Finger::PROTOCOL[2];
    const L2: Finger = Finger::PROTOCOL[4];

    fn exam(id: &str) -> Exam {
        Exam::new(id.to_owned(), "P017".parse().unwrap())
    }

    fn open() -> State {
        State::Open { exam: exam("E1") }
    }

    fn recording() -> State {
        let mut state = State::Recording { exam: exam("E1"), finger: R4 };
        state.field_began(R4, 1);
        state
    }

    fn apply(state: &State, command: &Command) -> Outcome {
        state.apply(command, AtHand { id: "E2", interrupted: &[exam("E0")] })
    }

    fn skip(finger: Finger, reason: &str) -> Command {
        Command::Skip { finger, reason: reason.to_owned() }
    }

    #[test]
    fn every_command_in_every_state() {
        let subject: Subject = "P018".parse().unwrap();
        let opening = Command::Open { subject: subject.clone() };
        let resuming = Command::Resume { exam: "E0".into() };
        let skipped = |finger| Step::Skip { finger, reason: "wound".into() };
        let close = || Step::CloseExam { id: "E1".into() };
        let name = |state: &State| match state {
            State::Idle => "idle",
            State::Open { .. } => "open",
            State::Recording { .. } => "recording",
        };
        let refused = Err;
        for (state, command, expected) in [
            (State::Idle, &opening, Ok(("open", vec![Step::OpenExam { id: "E2".into(), subject }]))),
            (State::Idle, &resuming, Ok(("open", vec![Step::ResumeExam { id: "E0".into() }]))),
            (
                State::Idle,
                &Command::Finger { finger: R4 },
                refused("cannot take 'finger' while no exam is open; open an exam first"),
            ),
            (State::Idle, &Command::Field, refused("cannot take 'field' while no exam is open; open an exam first")),
            (State::Idle, &skip(R4, "wound"), refused("cannot take 'skip' while no exam is open; open an exam first")),
            (State::Idle, &Command::Close, refused("cannot take 'close' while no exam is open; open an exam first")),
            (open(), &opening, refused("cannot take 'open' while exam E1 is open; close it first")),
            (open(), &resuming, refused("cannot take 'resume' while exam E1 is open; close it first")),
            (open(), &Command::Finger { finger: R4 }, Ok(("recording", vec![Step::BeginFinger(R4)]))),
            (
                open(),
                &Command::Field,
                refused("cannot take 'field' while no finger is being recorded; name a finger first"),
            ),
            (open(), &skip(R4, "wound"), Ok(("open", vec![skipped(R4)]))),
            (open(), &Command::Close, Ok(("idle", vec![close()]))),
            (recording(), &opening, refused("cannot take 'open' while exam E1 is open; close it first")),
            (recording(), &resuming, refused("cannot take 'resume' while exam E1 is open; close it first")),
            (
                recording(),
                &Command::Finger { finger: R4 },
                refused(
                    "cannot take 'finger' while R4 is being recorded; use 'field' for its next field, or name another \
                     finger",
                ),
            ),
            (
                recording(),
                &Command::Finger { finger: L2 },
                Ok(("recording", vec![Step::EndFinger(R4), Step::BeginFinger(L2)])),
            ),
            (recording(), &Command::Field, Ok(("recording", vec![Step::NextField(R4)]))),
            (recording(), &skip(L2, "wound"), Ok(("recording", vec![skipped(L2)]))),
            (
                recording(),
                &skip(R4, "wound"),
                refused(
                    "cannot take 'skip' of R4, which has 1 field; what was recorded of it stands; go on with another \
                     finger",
                ),
            ),
            (recording(), &Command::Close, Ok(("idle", vec![Step::EndFinger(R4), close()]))),
        ] {
            let outcome = apply(&state, command);
            let seen = outcome.as_ref().map(|(after, steps)| (name(after), steps.clone())).map_err(ToString::to_string);
            assert_eq!(seen, expected.map_err(str::to_owned), "{command:?} in {}", name(&state));
        }
    }

    #[test]
    fn a_finger_without_a_field_can_still_be_skipped_while_it_is_on() {
        let state = State::Recording { exam: exam("E1"), finger: R4 };
        let (after, steps) = apply(&state, &skip(R4, "wound")).unwrap();
        assert_eq!(after.finger(), None);
        assert_eq!(steps, [Step::EndFinger(R4), Step::Skip { finger: R4, reason: "wound".into() }]);
    }

    #[test]
    fn a_skipped_finger_is_skipped_until_a_field_of_it_begins() {
        let (state, _) = apply(&open(), &skip(R4, "  plaster ")).unwrap();
        let (state, _) = apply(&state, &skip(R4, "wound")).unwrap();
        let (mut state, _) = apply(&state, &Command::Finger { finger: R4 }).unwrap();
        assert_eq!(state.exam().unwrap().skipped, BTreeMap::from([(R4, "wound".to_owned())]));
        state.field_began(R4, 1);
        assert!(state.exam().unwrap().skipped.is_empty());
    }

    #[test]
    fn an_own_call_needs_a_finger_that_was_looked_at() {
        let call = |finger, comment: &str| Command::Call {
            finger,
            call: OwnCall::Category2,
            comment: Some(comment.to_owned()),
            blinded: Some(true),
        };
        let (after, steps) = apply(&recording(), &call(R4, " two giants ")).unwrap();
        assert_eq!(after, recording());
        let comment = Some("two giants".to_owned());
        assert_eq!(steps, [Step::OwnCall { finger: R4, call: OwnCall::Category2, comment, blinded: Some(true) }]);
        for (state, finger, comment, says) in [
            (State::Idle, R4, "", "open an exam first"),
            (recording(), L2, "", "no field was recorded; record a field of it, or skip it"),
            (recording(), R4, "a\nb", "write one line"),
            (recording(), R4, "x".repeat(LONGEST_COMMENT + 1).as_str(), "write one line"),
        ] {
            let refused = apply(&state, &call(finger, comment)).unwrap_err().to_string();
            assert!(refused.contains(says), "{refused}");
        }
    }

    #[test]
    fn a_preparation_belongs_to_an_open_exam() {
        let told = |minutes| Command::Prepare {
            preparation: Preparation { acclimatised_min: Some(minutes), ..Preparation::default() },
        };
        assert!(matches!(apply(&open(), &told(15)).unwrap().1.as_slice(), [Step::Prepare(_)]));
        assert!(apply(&State::Idle, &told(15)).unwrap_err().to_string().contains("open an exam first"));
        assert!(apply(&open(), &told(5000)).unwrap_err().to_string().contains("acclimatised_min"));
    }

    #[test]
    fn a_skip_needs_a_reason_that_fits_in_a_line() {
        for reason in ["", "  ", "a\nb", &"x".repeat(LONGEST_REASON + 1)] {
            let refused = apply(&open(), &skip(R4, reason)).unwrap_err().to_string();
            assert!(
                refused.starts_with("cannot take 'skip' of R4 without a usable reason; say in one line"),
                "{refused}"
            );
        }
    }

    #[test]
    fn only_interrupted_exams_are_resumed() {
        let resume = Command::Resume { exam: "E9".into() };
        let refused = apply(&State::Idle, &resume).unwrap_err().to_string();
        assert_eq!(refused, "cannot take 'resume' of \"E9\": no such interrupted exam; resume E0");
        let none = State::Idle.apply(&resume, AtHand { id: "E2", interrupted: &[] }).unwrap_err().to_string();
        assert_eq!(none, "cannot take 'resume' of \"E9\": no such interrupted exam; open one");
    }

    #[test]
    fn a_restored_exam_gives_no_field_number_twice() {
        let skipped = BTreeMap::from([(R4, "wound".to_owned()), (L2, "wound".to_owned())]);
        let restored = Exam::restore("E1".into(), "P017".parse().unwrap(), [(R4, 2), (R4, 1)], skipped);
        assert_eq!(restored.fields, BTreeMap::from([(R4, 2)]));
        assert_eq!(restored.skipped, BTreeMap::from([(L2, "wound".to_owned())]));
        let state = State::restore(restored);
        assert_eq!(state.finger(), None);
        assert!(apply(&state, &skip(R4, "wound")).is_err());
    }

    #[test]
    fn a_state_reads_back_as_written() {
        for state in [State::Idle, open(), recording()] {
            let text = serde_json::to_string(&state).unwrap();
            assert_eq!(serde_json::from_str::<State>(&text).unwrap(), state, "{text}");
        }
    }
}
