//! `hairpin models`: which bundles are there, whether one is what it says it is, what each provider makes of it, and how
//! several agree on one's own frames.

mod compare;
mod trial;

use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;

use super::{find_config, out};
use crate::bundle::{AnyBundle, Bundle, Task, task};
use crate::daemon::assemble::infer_failure;
use crate::failure::{Failure, OrFail, Status};
use crate::infer::{Runtime, verify, verify_locator};

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List the bundles in a folder
    List {
        /// The folder that holds the bundles
        #[arg(default_value = "models")]
        folder: PathBuf,
        #[arg(long)]
        json: bool,
    },
    /// Check a bundle: manifest, digests, shapes, golden pair
    Verify {
        /// The bundle's folder
        bundle: PathBuf,
        /// Whose runtime section names library, providers and threads; else as for `hairpin run`
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        #[arg(long)]
        json: bool,
    },
    /// Run the golden pair on every provider of this machine
    Try(trial::Args),
    /// Read frames with several models: how far they agree, and how fast each is
    Compare(compare::Args),
}

pub fn run(args: &Args) -> Result<(), Failure> {
    match &args.action {
        Action::List { folder, json } => list(folder, *json),
        Action::Verify { bundle, config, json } => verify_one(bundle, config.as_deref(), *json),
        Action::Try(args) => trial::run(args),
        Action::Compare(args) => compare::run(args),
    }
}

#[derive(Serialize)]
struct Listed {
    folder: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheme: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cohort: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    validated_on_patients: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wrong: Option<String>,
}

fn list(folder: &std::path::Path, json: bool) -> Result<(), Failure> {
    let bundles = Bundle::list(folder).or_fail(Status::Io)?;
    let listed: Vec<Listed> = bundles
        .into_iter()
        .map(|found| (found.dir, found.bundle))
        .map(|(folder, bundle)| match bundle {
            Ok(bundle) => {
                let (task, id, scheme, cohort) = match bundle {
                    AnyBundle::Classify(b) => (b.task, b.id, Some(b.scheme.as_str()), b.cohort),
                    AnyBundle::Locate(b) => (Task::Locate, b.id, None, b.cohort),
                };
                Listed {
                    folder,
                    model: Some(format!("{} {}", id.name, id.version)),
                    task: Some(task.as_str()),
                    scheme,
                    cohort: Some(cohort.name),
                    validated_on_patients: Some(cohort.validated_on_patients),
                    wrong: None,
                }
            }
            Err(error) => Listed {
                folder,
                model: None,
                task: None,
                scheme: None,
                cohort: None,
                validated_on_patients: None,
                wrong: Some(error.to_string()),
            },
        })
        .collect();
    if json {
        return out::json(&listed);
    }
    if listed.is_empty() {
        return out::line(format!("no bundle in {}", folder.display()));
    }
    for one in &listed {
        let words = match (&one.model, &one.wrong) {
            (Some(model), _) => {
                let validated = if one.validated_on_patients == Some(true) {
                    "validated on patients"
                } else {
                    "not validated on patients"
                };
                let purpose = one.scheme.map_or("locates loops".to_owned(), |scheme| format!("scheme {scheme}"));
                let cohort = one.cohort.as_deref().unwrap_or_default();
                format!("{model}: {purpose}; trained on {cohort}; {validated}")
            }
            (None, wrong) => format!("wrong: {}", wrong.as_deref().unwrap_or_default()),
        };
        out::line(format!("{}  {words}", one.folder.display()))?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Checked {
    step: &'static str,
    ok: bool,
    words: String,
}

fn verify_one(bundle: &std::path::Path, config: Option<&std::path::Path>, json: bool) -> Result<(), Failure> {
    let config = crate::config::load(&find_config(config)?).or_fail(Status::Config)?;
    let runtime = Runtime::load(&config.runtime.library).map_err(infer_failure)?;
    let found = match task(bundle) {
        Ok(Task::Locate) => verify_locator(&runtime, bundle, &config.runtime),
        // A manifest that cannot be read is told by the first step of either.
        Ok(Task::Classify | Task::Features) | Err(_) => verify(&runtime, bundle, &config.runtime),
    };
    let checks: Vec<Checked> = found
        .into_iter()
        .map(|check| {
            let ok = check.outcome.is_ok();
            Checked { step: check.step, ok, words: check.outcome.unwrap_or_else(|why| why) }
        })
        .collect();
    if json {
        out::json(&checks)?;
    } else {
        for check in &checks {
            out::line(format!("{:<6}  {}: {}", if check.ok { "ok" } else { "wrong" }, check.step, check.words))?;
        }
    }
    if checks.iter().all(|check| check.ok) {
        return Ok(());
    }
    Err(Failure::new(Status::Config, format!("{} is not what its manifest says", bundle.display())))
}
