//! `hairpin exam`: tells a running service what the operator does.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;

use crate::client::{self, Ask, ClientError, Control};
use crate::command::{Command, Subject};
use crate::emit::protocol::{Code, Reply};
use crate::finger::Finger;
use crate::reader::OwnCall;
use crate::report::Snapshot;
use crate::view::words;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Control socket of the service
    #[arg(long, value_name = "PATH", global = true)]
    socket: Option<PathBuf>,
    /// Print the service's answer as JSON
    #[arg(long, global = true)]
    json: bool,
    /// Seconds to wait for the answer
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600), global = true)]
    wait: u64,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Open an exam
    Open {
        /// Pseudonym, such as study-017: never a name or a date
        subject: Subject,
    },
    /// Begin or go back to a finger
    Finger {
        /// R or L and a digit from 2 (index) to 5 (little finger), such as R4
        finger: Finger,
    },
    /// Begin the next field of the finger
    Field,
    /// Leave a finger out
    Skip {
        finger: Finger,
        /// Why, such as "bandage"
        reason: String,
    },
    /// Enter your own call of a finger, beside the machine's
    Call {
        finger: Finger,
        /// category_1, category_2 or not_classifiable
        call: OwnCall,
        #[arg(long)]
        comment: Option<String>,
    },
    /// Close the exam
    Close,
    /// Go on with an exam that was interrupted
    Resume { exam: String },
    /// Read with another model from the end of the present finger on
    Model {
        /// The bundle's folder
        bundle: PathBuf,
    },
    /// Show what is going on
    Status,
}

impl Action {
    fn ask(&self) -> Ask {
        match self {
            Self::Open { subject } => Ask::Do(Command::Open { subject: subject.clone() }),
            Self::Finger { finger } => Ask::Do(Command::Finger { finger: *finger }),
            Self::Field => Ask::Do(Command::Field),
            Self::Skip { finger, reason } => Ask::Do(Command::Skip { finger: *finger, reason: reason.clone() }),
            Self::Call { finger, call, comment } => {
                Ask::Do(Command::Call { finger: *finger, call: *call, comment: comment.clone(), blinded: None })
            }
            Self::Close => Ask::Do(Command::Close),
            Self::Resume { exam } => Ask::Do(Command::Resume { exam: exam.clone() }),
            // The service has another working folder.
            Self::Model { bundle } => {
                Ask::Do(Command::Model { bundle: std::path::absolute(bundle).unwrap_or_else(|_| bundle.clone()) })
            }
            Self::Status => Ask::Status,
        }
    }
}

/// 0 when done, 1 when refused, 69 when the service cannot take it now.
pub fn run(args: &Args) -> Result<ExitCode, ClientError> {
    let path = client::find(args.socket.as_deref(), client::CONTROL);
    let reply = Control::connect(&path, Duration::from_secs(args.wait))?.ask(&args.action.ask())?;
    let told = if args.json { io::stdout().write_all(reply.line().as_bytes()) } else { tell(&reply) };
    match told {
        // Whoever reads us has read enough.
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            Err(ClientError::Broken { path: "the standard output".into(), source: e })
        }
        _ => Ok(exit_code(&reply)),
    }
}

fn exit_code(reply: &Reply) -> ExitCode {
    match reply.error.as_ref().map(|refusal| refusal.code) {
        None => ExitCode::SUCCESS,
        Some(Code::Busy | Code::Stopping | Code::Unanswered) => ExitCode::from(69),
        Some(_) => ExitCode::FAILURE,
    }
}

fn tell(reply: &Reply) -> io::Result<()> {
    if let Some(refusal) = &reply.error {
        let again = if refusal.retryable { " (try again)" } else { "" };
        writeln!(io::stderr(), "hairpin: {}{again}", refusal.message)?;
    }
    match &reply.state {
        Some(state) => io::stdout().write_all(summary(reply.exam.as_deref(), state).as_bytes()),
        None => Ok(()),
    }
}

/// The state in a few lines of plain text.
fn summary(exam: Option<&str>, state: &Snapshot) -> String {
    let mut lines = vec![match (exam, &state.subject) {
        (Some(exam), Some(subject)) => format!("exam {exam} of {subject} is open"),
        (Some(exam), None) => format!("exam {exam} is open"),
        (None, _) => "no exam is open".to_owned(),
    }];
    if let Some(finger) = state.finger {
        let field = state.field.map(|n| format!(", field {n}")).unwrap_or_default();
        lines.push(format!("recording the {}{field}", finger.words()));
    }
    lines.extend(state.fingers.iter().map(|result| {
        let second = words::second_calls(&result.second);
        format!("{}: {}{second}", result.finger, words::decision(&result.decision))
    }));
    lines.extend(state.own_calls.values().map(|own| format!("{}: your own call {}", own.finger, own.call.name())));
    lines.extend(state.skipped.iter().map(|(finger, reason)| format!("{finger}: skipped, {reason}")));
    lines.extend(state.faults.iter().filter(|f| !f.cleared).map(|f| format!("fault: {}: {}", f.message, f.action)));
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parsed(words: &str) -> Result<Ask, clap::Error> {
        Line::try_parse_from(std::iter::once("exam").chain(words.split(' '))).map(|line| line.args.action.ask())
    }

    #[test]
    fn each_action_becomes_its_command() {
        let finger: Finger = "R4".parse().unwrap();
        for (words, ask) in [
            ("open P017", Ask::Do(Command::Open { subject: "P017".parse().unwrap() })),
            ("finger R4", Ask::Do(Command::Finger { finger })),
            ("field", Ask::Do(Command::Field)),
            ("skip R4 bandage", Ask::Do(Command::Skip { finger, reason: "bandage".into() })),
            (
                "call R4 category_2",
                Ask::Do(Command::Call { finger, call: OwnCall::Category2, comment: None, blinded: None }),
            ),
            ("close", Ask::Do(Command::Close)),
            ("resume e-1", Ask::Do(Command::Resume { exam: "e-1".into() })),
            ("status --json", Ask::Status),
        ] {
            assert_eq!(parsed(words).unwrap(), ask, "{words}");
        }
    }

    #[test]
    fn mistakes_are_found_before_the_service_is_asked() {
        for words in ["open Smith", "open P-1961-04-12", "finger R9", "skip R4", "reboot", "status --wait 0"] {
            assert!(parsed(words).is_err(), "{words}");
        }
    }
}
