//! `hairpin amend` and `hairpin sign`: what a reader adds to a closed exam. Nothing recorded is changed.

use std::path::PathBuf;

use clap::Subcommand;
use jiff::Timestamp;

use super::out;
use crate::failure::{Failure, Status};
use crate::finger::Finger;
use crate::reader::OwnCall;
use crate::record::amend::{Amendment, Name, Remark};
use crate::record::amendments::{AmendError, Amendments};
use crate::record::verify::Broken;

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
    };
    amendments.add(args.by.clone(), Timestamp::now(), amendment).map_err(failure)?;
    told("amended", &amendments)
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
