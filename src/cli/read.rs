//! `hairpin read IMAGE...`: one picture at a time, through the same steps as a live frame. What it prints is the score
//! of a picture, never a verdict: that takes frames over time and more than one field.

use std::path::PathBuf;

use indicatif::ProgressBar;
use serde::Serialize;

use super::picture::{Eye, Seen, load, words};
use super::{find_config, out, overlay};
use crate::failure::{Failure, OrFail, Status};
use crate::measured::Limits;
use crate::report::{LocatorWords, ModelWords, NOTICE, SCHEMA};

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

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    notice: &'static str,
    model: &'a ModelWords,
    /// What measured the loops, and with which limits; absent where the configuration measures none.
    #[serde(skip_serializing_if = "Option::is_none")]
    locator: Option<&'a LocatorWords>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<&'a Limits>,
    images: &'a [Seen],
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let config = crate::config::load(&find_config(args.config.as_deref())?).or_fail(Status::Config)?;
    if let Some(folder) = &args.overlay {
        overlay::begin(folder, &args.images)?;
    }
    let mut eye = Eye::open(&config)?;
    let mut seen = Vec::new();
    let bar = ProgressBar::new(args.images.len() as u64);
    for image in &args.images {
        let (raw, scale) = load(image, args.um_per_px, false)?;
        let um_per_px = scale.as_ref().map(|s| s.um_per_px);
        let one = eye.look(&raw, scale)?;
        let one = Seen { file: image.clone(), um_per_px, outcome: one };
        if let Some(folder) = &args.overlay {
            overlay::write(folder, &raw, &one)?;
        }
        seen.push(one);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let Some(model) = eye.model() else { return Ok(()) };
    if args.json {
        let (locator, limits) = (eye.locator(), eye.limits());
        let document = Document { schema: SCHEMA, notice: NOTICE, model, locator, limits, images: &seen };
        return out::json(&document);
    }
    for one in &seen {
        out::line(format!("{:<32}  {}", one.file.display(), words(&one.outcome)))?;
    }
    out::line(format!("scores of single pictures by {} {}: no verdict", model.name, model.version))?;
    out::line(NOTICE)
}
