//! One picture at a time, through the same steps as a live frame: what `hairpin read` and `hairpin eval` share.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::overlay;
use crate::capture::replay::{self, Settings};
use crate::capture::{Next, Replay, Source};
use crate::config::Resolved;
use crate::daemon::assemble::{self, Reading};
use crate::decode::{Decoded, Decoder};
use crate::failure::{Failure, OrFail, Status};
use crate::frame::{Image, RawFrame};
use crate::infer::{self, Scores};
use crate::measured::{Limits, Measured};
use crate::outcome::{Damage, Quality, RejectReason};
use crate::pipeline::Loops;
use crate::pipeline::capture::Captured;
use crate::pipeline::ended::End;
use crate::pipeline::read::read;
use crate::preprocess::{Field, FieldPreparer, Tensor};
use crate::report::{LocatorWords, ModelWords};
use crate::scale::Scale;
use crate::view::words::loops;

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

/// Reads one picture after the other with the models that are configured.
pub struct Eye<'a> {
    config: &'a Resolved,
    /// Loaded with the first picture, whose scale it needs.
    reading: Option<Reading>,
    loops: Option<Loops>,
}

impl<'a> Eye<'a> {
    pub fn open(config: &'a Resolved) -> Result<Self, Failure> {
        let loops = assemble::loops(config.measure.as_ref())?;
        Ok(Self { config, reading: None, loops })
    }

    /// Absent before the first picture.
    pub fn model(&self) -> Option<&ModelWords> {
        self.reading.as_ref().map(|reading| &reading.model)
    }

    /// Absent where the configuration measures no loops.
    pub fn locator(&self) -> Option<&LocatorWords> {
        self.loops.as_ref().map(|loops| loops.measurer.locator().words())
    }

    /// Likewise.
    pub fn limits(&self) -> Option<&Limits> {
        self.loops.as_ref().map(|loops| loops.measurer.settings())
    }

    /// Every picture gets a gate of its own: there is no motion between unrelated pictures.
    pub fn look(&mut self, raw: &RawFrame, scale: Option<Scale>) -> Result<Outcome, Failure> {
        let known = scale.clone();
        let gate = &self.config.gate;
        let reading = match self.reading.take() {
            Some(reading) => reading.renewed(gate, scale)?,
            None => {
                // One picture after the other: all threads for each.
                let runtime = infer::Settings { frames_at_once: Some(1), ..self.config.runtime.clone() };
                let (remote, measure) = (self.config.remote.as_ref(), self.config.measure.as_ref());
                assemble::reading(&self.config.bundle, &runtime, remote, measure, gate, scale)?
            }
        };
        let reading = self.reading.insert(reading);
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
                measured: self
                    .loops
                    .as_mut()
                    .map(|loops| measured(loops, raw, known.as_ref()))
                    .transpose()?
                    .map(Box::new),
            },
            End::Rejected { reason, figures, .. } => {
                Outcome::Rejected { reason, advice: reason.advice(), quality: figures }
            }
            End::Undecodable(damage) => Outcome::Undecodable { damage },
            End::Failed(message) => Outcome::Failed { message },
            End::Dropped => Outcome::Failed { message: "dropped".to_owned() },
        })
    }
}

/// A picture's bytes and its scale: from `um_per_px`, its own sidecar, or that of its folder where `in_folder`.
pub fn load(path: &Path, um_per_px: Option<f64>, in_folder: bool) -> Result<(RawFrame, Option<Scale>), Failure> {
    if path.is_dir() {
        let message = format!("{} is a folder: name pictures, or use hairpin replay", path.display());
        return Err(Failure::new(Status::Config, message));
    }
    let [own, folder] = replay::sidecars(path);
    let sidecar = Some(folder).filter(|folder| in_folder && !own.exists() && folder.exists());
    let settings = Settings { um_per_px, sidecar, ..Settings::default() };
    settings.check().or_fail(Status::Config)?;
    let mut source = Replay::open(path, settings).map_err(assemble::capture_failure)?;
    match source.next(Duration::from_secs(1)).map_err(assemble::capture_failure)? {
        Next::Frame(raw) => Ok((raw, source.info().words.scale.clone())),
        Next::Idle | Next::End => Err(Failure::new(Status::Data, format!("no picture in {}", path.display()))),
    }
}

/// The pixels of a picture, or why it has none.
pub fn pixels(raw: &RawFrame) -> Result<Result<Image, Damage>, Failure> {
    match Decoder::new().or_fail(Status::Internal)?.decode(raw, Vec::new()) {
        Decoded::Clean(image) | Decoded::Tolerated(image) => Ok(Ok(image)),
        Decoded::Rejected { damage, .. } => Ok(Err(damage)),
    }
}

/// The loops of a picture that the gate has let through.
fn measured(loops: &mut Loops, raw: &RawFrame, scale: Option<&Scale>) -> Result<Measured, Failure> {
    let Ok(image) = pixels(raw)? else {
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
