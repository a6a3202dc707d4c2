//! `hairpin amend` and `hairpin sign`: what a reader adds to a closed exam. Nothing recorded is changed.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Subcommand;
use jiff::Timestamp;

use super::{out, report};
use crate::export::correctable;
use crate::failure::{Failure, OrFail, Status};
use crate::finger::Finger;
use crate::measured::{Correction, LoopClass};
use crate::reader::OwnCall;
use crate::record::amend::{Amendment, Name, Remark};
use crate::record::amendments::{AmendError, Amendments};
use crate::record::verify::Broken;
use crate::view::words::loops;

#[derive(clap::Args)]
pub struct Args {
    /// The folder of a closed exam
    exam: PathBuf,
    /// The reader's name: never the patient's
    #[arg(long, value_name = "NAME")]
    by: Name,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// A remark on the whole exam
    Comment { text: Remark },
    /// What you call a finger; the machine's call stays beside it
    Call {
        /// R or L and a digit from 2 (index) to 5 (little finger), such as R4
        finger: Finger,
        /// category_1, category_2 or not_classifiable
        call: OwnCall,
        #[arg(long, value_name = "TEXT")]
        comment: Option<Remark>,
    },
    /// A loop that is there, is none, or is of another class, on the picture of a field that the report shows: what follows is worked out anew
    Loop {
        /// R or L and a digit from 2 (index) to 5 (little finger), such as R4
        finger: Finger,
        /// The field's number
        field: u32,
        #[command(subcommand)]
        change: Change,
    },
}

#[derive(Subcommand)]
enum Change {
    /// A loop of the distal row that was not counted
    Add(Marked),
    /// What was counted there is no loop of the distal row
    Remove {
        /// Pixels right and down from the picture's corner, near the tip
        #[arg(value_name = "X,Y")]
        apex: Place,
    },
    /// The loop is of another class or width
    Reclassify(Marked),
}

#[derive(clap::Args)]
struct Marked {
    /// Pixels right and down from the picture's corner, near the tip
    #[arg(value_name = "X,Y")]
    apex: Place,
    /// normal, ectatic, giant, abnormal or not_evaluable
    #[arg(value_parser = class)]
    class: LoopClass,
    /// Apical width in micrometres, where you measured it
    #[arg(long, value_name = "UM")]
    width_um: Option<f32>,
}

/// A place in a picture, as typed.
#[derive(Clone, Copy)]
struct Place([f32; 2]);

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "a place is written as two numbers, such as 410,220";
        let (x, y) = text.split_once(',').ok_or(wrong)?;
        let side = |text: &str| text.trim().parse::<f32>().ok().filter(|v| v.is_finite()).ok_or(wrong);
        Ok(Self([side(x)?, side(y)?]))
    }
}

fn class(text: &str) -> Result<LoopClass, String> {
    serde_json::from_value(text.into())
        .map_err(|_| "a class is one of normal, ectatic, giant, abnormal, not_evaluable".to_owned())
}

#[derive(clap::Args)]
pub struct SignArgs {
    /// The folder of a closed exam
    exam: PathBuf,
    /// The reader's name: never the patient's
    #[arg(long, value_name = "NAME")]
    by: Name,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let mut amendments = Amendments::open(&args.exam).map_err(failure)?;
    let amendment = match &args.what {
        What::Comment { text } => Amendment::Comment { text: text.clone() },
        What::Call { finger, call, comment } => {
            Amendment::OwnCall { finger: *finger, call: *call, comment: comment.clone() }
        }
        What::Loop { finger, field, change } => correction(&args.exam, *finger, *field, change)?,
    };
    amendments.add(args.by.clone(), Timestamp::now(), amendment).map_err(failure)?;
    told("amended", &amendments)
}

/// The correction, if it can be applied to what was measured and corrected before.
fn correction(exam: &Path, finger: Finger, field: u32, change: &Change) -> Result<Amendment, Failure> {
    let correction = match change {
        Change::Add(m) => Correction::Added { apex: m.apex.0, class: m.class, apical_um: m.width_um },
        Change::Remove { apex } => Correction::Removed { apex: apex.0 },
        Change::Reclassify(m) => Correction::Reclassified { apex: m.apex.0, class: m.class, apical_um: m.width_um },
    };
    let found = correctable(exam, finger, field).map_err(report::failure)?;
    let corrected = found.with(correction).or_fail(Status::Config)?;
    out::line(format!("measured:  {}\ncorrected: {}", loops(&found.measured), loops(&corrected)))?;
    Ok(Amendment::Loop { finger, field, frame: found.frame, correction })
}

pub fn sign(args: &SignArgs) -> Result<(), Failure> {
    let mut amendments = Amendments::open(&args.exam).map_err(failure)?;
    amendments.sign(args.by.clone(), Timestamp::now()).map_err(failure)?;
    told("signed", &amendments)
}

fn told(what: &str, amendments: &Amendments) -> Result<(), Failure> {
    let (exam, count, head) = (&amendments.report().exam, amendments.lines().len(), amendments.head());
    out::line(format!("exam {exam}: {what}; {count} amendments, head {head}"))
}

fn failure(error: AmendError) -> Failure {
    let status = match &error {
        AmendError::Broken(Broken::Unreadable { .. }) => Status::Io,
        AmendError::Broken(_) => Status::Data,
        AmendError::NotClosed { .. } | AmendError::NotExamined(_) => Status::Config,
        AmendError::Record(_) => Status::Io,
    };
    Failure::new(status, error)
}
