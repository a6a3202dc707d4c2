//! `hairpin read IMAGE...`: one picture at a time, through the same steps as a live frame. What it prints is the score
//! of a picture, never a verdict: that takes frames over time and more than one field.

use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::ProgressBar;
use serde::Serialize;

use super::{find_config, out, overlay};
use crate::capture::replay::Settings;
use crate::capture::{Next, Replay, Source};
use crate::config::Resolved;
use crate::daemon::assemble::{self, Reading};
use crate::decode::{Decoded, Decoder};
use crate::failure::{Failure, OrFail, Status};
use crate::frame::RawFrame;
use crate::infer::{self, Scores};
use crate::measured::{Measured, NotMeasured, nothing};
use crate::outcome::{Damage, Quality, RejectReason};
use crate::pipeline::Loops;
use crate::pipeline::capture::Captured;
use crate::pipeline::ended::End;
use crate::pipeline::read::read;
use crate::preprocess::{Field, FieldPreparer, Tensor};
use crate::report::{ModelWords, NOTICE, SCHEMA};
use crate::scale::Scale;
use crate::view::words::loops;

#[derive(clap::Args)]
pub struct Args {
    /// Pictures: JPEG, PNG, TIFF or BMP
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// Whose model and gate sections are used; else as for `hairpin run`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Micrometres per pixel, where no sidecar gives them
    #[arg(long, value_name = "UM")]
    um_per_px: Option<f64>,
    /// Results as one JSON document
    #[arg(long)]
    json: bool,
    /// Write each picture with what was seen in it to DIR, as SVG
    #[arg(long, value_name = "DIR")]
    overlay: Option<PathBuf>,
}

/// What became of one picture.
#[derive(Serialize)]
pub struct Seen {
    pub file: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub um_per_px: Option<f64>,
    #[serde(flatten)]
    pub outcome: Outcome,
}

#[derive(Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    Scored {
        labels: Vec<String>,
        probs: Vec<f32>,
        out_of_cohort: bool,
        quality: Quality,
        /// Absent where the configuration measures no loops.
        #[serde(skip_serializing_if = "Option::is_none")]
        measured: Option<Box<Measured>>,
    },
    Rejected {
        reason: RejectReason,
        advice: &'static str,
        quality: Quality,
    },
    Undecodable {
        damage: Damage,
    },
    Failed {
        message: String,
    },
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    notice: &'static str,
    model: &'a ModelWords,
    images: &'a [Seen],
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let config = crate::config::load(&find_config(args.config.as_deref())?).or_fail(Status::Config)?;
    if let Some(folder) = &args.overlay {
        one_overlay_each(&args.images)?;
        std::fs::create_dir_all(folder)
            .map_err(|e| Failure::new(Status::Io, format!("cannot make {}: {e}", folder.display())))?;
    }
    let mut model = None;
    let mut loops = assemble::loops(config.measure.as_ref())?;
    let mut seen = Vec::new();
    let bar = ProgressBar::new(args.images.len() as u64);
    for image in &args.images {
        let (raw, scale) = load(image, args.um_per_px)?;
        let um_per_px = scale.as_ref().map(|s| s.um_per_px);
        let one = look(&config, &raw, scale, &mut model, loops.as_mut())?;
        let one = Seen { file: image.clone(), um_per_px, outcome: one };
        if let Some(folder) = &args.overlay {
            overlay::write(folder, &raw, &one)?;
        }
        seen.push(one);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let Some(reading) = model else { return Ok(()) };
    if args.json {
        let document = Document { schema: SCHEMA, notice: NOTICE, model: &reading.model, images: &seen };
        return out::json(&document);
    }
    for one in &seen {
        out::line(format!("{:<32}  {}", one.file.display(), words(&one.outcome)))?;
    }
    out::line(format!("scores of single pictures by {} {}: no verdict", reading.model.name, reading.model.version))?;
    out::line(NOTICE)
}

/// Two overlays of one name would be one file.
fn one_overlay_each(images: &[PathBuf]) -> Result<(), Failure> {
    for (i, image) in images.iter().enumerate() {
        let name = overlay::name(image);
        if let Some(other) = images[..i].iter().find(|other| overlay::name(other) == name) {
            let both = format!("{} and {}", other.display(), image.display());
            let message = format!("{both} would both write {name}: give them other names, or read them one by one");
            return Err(Failure::new(Status::Config, message));
        }
    }
    Ok(())
}

fn load(path: &Path, um_per_px: Option<f64>) -> Result<(RawFrame, Option<Scale>), Failure> {
    if path.is_dir() {
        let message = format!("{} is a folder: name pictures, or use hairpin replay", path.display());
        return Err(Failure::new(Status::Config, message));
    }
    let settings = Settings { um_per_px, ..Settings::default() };
    settings.check().or_fail(Status::Config)?;
    let mut source = Replay::open(path, settings).map_err(assemble::capture_failure)?;
    match source.next(Duration::from_secs(1)).map_err(assemble::capture_failure)? {
        Next::Frame(raw) => Ok((raw, source.info().words.scale.clone())),
        Next::Idle | Next::End => Err(Failure::new(Status::Data, format!("no picture in {}", path.display()))),
    }
}

/// Every picture gets a gate of its own: there is no motion between unrelated pictures.
fn look(
    config: &Resolved,
    raw: &RawFrame,
    scale: Option<Scale>,
    model: &mut Option<Reading>,
    loops: Option<&mut Loops>,
) -> Result<Outcome, Failure> {
    let known = scale.clone();
    let reading = match model.take() {
        Some(reading) => reading.renewed(&config.gate, scale)?,
        None => {
            // One picture after the other: all threads for each.
            let runtime = infer::Settings { frames_at_once: Some(1), ..config.runtime.clone() };
            assemble::reading(&config.bundle, &runtime, &config.gate, scale)?
        }
    };
    let reading = model.insert(reading);
    let captured = Captured { raw: raw.clone(), lost_before: 0 };
    let ended = match reading.step.prepare(captured, Tensor::default()) {
        Ok(prepared) => read(&mut reading.classifier, prepared, &mut Scores::default()).0,
        Err(ended) => ended,
    };
    Ok(match ended.how {
        End::Scored(scored) => Outcome::Scored {
            labels: reading.model.labels.clone(),
            probs: scored.probs,
            out_of_cohort: scored.out_of_cohort,
            quality: scored.quality,
            measured: loops.map(|loops| measured(loops, raw, known.as_ref())).transpose()?.map(Box::new),
        },
        End::Rejected { reason, figures, .. } => {
            Outcome::Rejected { reason, advice: reason.advice(), quality: figures }
        }
        End::Undecodable(damage) => Outcome::Undecodable { damage },
        End::Failed(message) => Outcome::Failed { message },
        End::Dropped => Outcome::Failed { message: "dropped".to_owned() },
    })
}

/// The loops of a picture that the gate has let through.
fn measured(loops: &mut Loops, raw: &RawFrame, scale: Option<&Scale>) -> Result<Measured, Failure> {
    let Some(scale) = scale else { return Ok(nothing(NotMeasured::NoScale)) };
    let decoded = Decoder::new().or_fail(Status::Internal)?.decode(raw, Vec::new());
    let (Decoded::Clean(image) | Decoded::Tolerated(image)) = decoded else {
        return Err(Failure::new(Status::Internal, "a picture that was read cannot be decoded again"));
    };
    let mut field = Field::default();
    let mut preparer = FieldPreparer::new(loops.measurer.locator().spec());
    preparer.prepare(image.size(), image.rgb(), scale, &mut field).or_fail(Status::Data)?;
    loops.measurer.measure(&field).map_err(assemble::infer_failure)
}

pub fn words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Scored { labels, probs, out_of_cohort, measured, .. } => {
            let scores: Vec<String> = labels.iter().zip(probs).map(|(l, p)| format!("{l} {p:.3}")).collect();
            let unlike = if *out_of_cohort { "; unlike the pictures the model was trained on" } else { "" };
            let found = measured.as_deref().map(|m| format!("; {}", loops(m))).unwrap_or_default();
            format!("score {}{unlike}{found}", scores.join(", "))
        }
        Outcome::Rejected { advice, .. } => format!("not readable: {advice}"),
        Outcome::Undecodable { damage } => format!("damaged: {}", overlay::kebab(damage)),
        Outcome::Failed { message } => format!("failed: {message}"),
    }
}
