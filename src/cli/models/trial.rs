//! `hairpin models try BUNDLE`: the golden pair on every provider, and how far each is from the reference.

use std::path::PathBuf;

use serde::Serialize;

use super::super::{find_config, out};
use crate::bundle::Bundle;
use crate::daemon::assemble::infer_failure;
use crate::failure::{Failure, OrFail, Status};
use crate::infer::{Runtime, Trial, trials};

#[derive(clap::Args)]
pub struct Args {
    /// The bundle's folder
    bundle: PathBuf,
    /// Whose runtime section names library and threads; else as for `hairpin run`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Row {
    provider: &'static str,
    /// It gave what the reference gives.
    agrees: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    running: Option<String>,
    /// Of `logits` or `probabilities`.
    #[serde(skip_serializing_if = "Option::is_none")]
    what: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    largest_difference: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tolerance: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frame_ms: Option<f64>,
    /// Why it did not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

impl Row {
    fn new(trial: Trial) -> Self {
        let provider = trial.provider.as_str();
        match trial.outcome {
            Ok(tried) => Self {
                provider,
                agrees: tried.agreement.holds(),
                running: Some(tried.running),
                what: Some(tried.agreement.what),
                largest_difference: Some(tried.agreement.largest_difference()),
                tolerance: Some(tried.agreement.tolerance),
                frame_ms: Some(tried.frame.as_secs_f64() * 1e3),
                why: None,
            },
            Err(why) => Self {
                provider,
                agrees: false,
                running: None,
                what: None,
                largest_difference: None,
                tolerance: None,
                frame_ms: None,
                why: Some(why),
            },
        }
    }

    fn words(&self) -> String {
        match (&self.running, &self.why) {
            (Some(running), _) => format!(
                "{} the reference: largest difference of {} {:.1e}, allowed {:.1e}; {:.2} ms a frame on {running}",
                if self.agrees { "agrees with" } else { "differs from" },
                self.what.unwrap_or_default(),
                self.largest_difference.unwrap_or_default(),
                self.tolerance.unwrap_or_default(),
                self.frame_ms.unwrap_or_default(),
            ),
            (None, why) => format!("does not run it: {}", why.as_deref().unwrap_or_default()),
        }
    }
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let config = crate::config::load(&find_config(args.config.as_deref())?).or_fail(Status::Config)?;
    let bundle = Bundle::load(&args.bundle).or_fail(Status::Config)?;
    let runtime = Runtime::load(&config.runtime.library).map_err(infer_failure)?;
    let rows: Vec<Row> = trials(&runtime, &bundle, &config.runtime).into_iter().map(Row::new).collect();
    if args.json {
        out::json(&rows)?;
    } else {
        rows.iter().try_for_each(|row| out::line(format!("{:<9}  {}", row.provider, row.words())))?;
    }
    let differs = |row: &Row| row.running.is_some() && !row.agrees;
    if let Some(row) = rows.iter().find(|row| differs(row)) {
        let message = format!("{} is another model on provider {}", args.bundle.display(), row.provider);
        return Err(Failure::new(Status::Config, message));
    }
    Ok(())
}
