//! The frames of an evaluation with what is said of each, found and checked before the first one is read.

use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use crate::cli::overlay::kebab;
use crate::cli::picture::{Outcome, load, pixels};
use crate::evaluate::drawn;
use crate::evaluate::frame::{self, Frame};
use crate::evaluate::labels::{self, Label, LabelError, cell};
use crate::evaluate::masks::{self, Ink, Traced};
use crate::evaluate::report::Labels;
use crate::failure::{Failure, Status};
use crate::frame::RawFrame;
use crate::measure::Settings;
use crate::measured::Measured;
use crate::scale::{Scale, ScaleMethod};
use crate::synth::set::Entry;

/// The list of a drawn set.
const TRUTH: &str = "truth.jsonl";

pub struct Cases {
    pub labels: Labels,
    pub all: Vec<Case>,
}

/// One frame to be read.
pub struct Case {
    /// As its labels name it.
    pub name: String,
    pub path: PathBuf,
    pub scale: Scale,
    said: Said,
}

enum Said {
    ByReader { label: Label, traced: Option<Traced> },
    Drawn(Box<Entry>),
}

impl Cases {
    pub fn find(folder: &Path, given: Option<&Path>, um_per_px: Option<f64>) -> Result<Self, Failure> {
        let truth = folder.join(TRUTH);
        match given {
            Some(given) => {
                let there = folder.join(given);
                let path = if !given.exists() && there.exists() { &there } else { given };
                let wrong = |e: LabelError| Failure::new(Status::Data, format!("{}: {e}", path.display()));
                let rows = labels::parse(&text(path)?).map_err(wrong)?;
                let cases = rows.into_iter().map(|label| by_reader(folder, label, um_per_px, &wrong));
                Ok(Self { labels: Labels::Readers, all: cases.collect::<Result<_, _>>()? })
            }
            None if truth.exists() => {
                if um_per_px.is_some() {
                    let message = format!("{} says the scale of each picture: leave --um-per-px out", truth.display());
                    return Err(Failure::new(Status::Config, message));
                }
                Ok(Self { labels: Labels::Drawing, all: drawn_set(folder, &truth)? })
            }
            None => {
                let message = format!(
                    "{} holds no {TRUTH}, so it is no set that hairpin synth wrote: name the labels with --labels",
                    folder.display()
                );
                Err(Failure::new(Status::Config, message))
            }
        }
    }
}

fn text(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| {
        let status = if error.kind() == ErrorKind::InvalidData { Status::Data } else { Status::Io };
        Failure::new(status, format!("cannot read {}: {error}", path.display()))
    })
}

fn by_reader(
    folder: &Path,
    label: Label,
    um_per_px: Option<f64>,
    wrong: &dyn Fn(LabelError) -> Failure,
) -> Result<Case, Failure> {
    let line = label.line;
    let places = [folder.join("frames").join(&label.frame), folder.join(&label.frame)];
    let Some(path) = places.iter().find(|path| path.is_file()).cloned() else {
        let [first, second] = places.map(|path| path.display().to_string());
        return Err(wrong(cell(line, "frame", format!("there is neither {first} nor {second}"))));
    };
    let (raw, scale) = load(&path, um_per_px, true)?;
    let Some(scale) = scale else {
        let why = format!("the scale of {} is not known: give --um-per-px, or a sidecar with [scale]", path.display());
        return Err(Failure::new(Status::Config, why));
    };
    let traced = match &label.mask {
        None => None,
        Some(mask) => {
            let path = folder.join("masks").join(mask);
            let refused = |why: String| wrong(cell(line, "mask", format!("{}: {why}", path.display())));
            Some(traced(&path, &raw, scale.um_per_px, &refused)?)
        }
    };
    if let Some(counted) = &label.counted {
        let (width, height) = (f64::from(raw.size.width), f64::from(raw.size.height));
        let outside = |[x, y]: [f64; 2]| !(0.0..=width).contains(&x) || !(0.0..=height).contains(&y);
        if raw.size.pixels() > 0 && counted.line.into_iter().any(outside) {
            let why = format!("the line leaves the picture, which has {} pixels", raw.size);
            return Err(wrong(cell(line, "line_xyxy", why)));
        }
    }
    Ok(Case { name: label.frame.clone(), path, scale, said: Said::ByReader { label, traced } })
}

fn traced(
    path: &Path,
    frame: &RawFrame,
    um_per_px: f64,
    refused: &dyn Fn(String) -> Failure,
) -> Result<Traced, Failure> {
    if !path.is_file() {
        return Err(refused("there is no such file".to_owned()));
    }
    let (raw, _) = load(path, None, false)?;
    let image = pixels(&raw)?.map_err(|damage| refused(format!("damaged: {}", kebab(&damage))))?;
    if frame.size.pixels() > 0 && image.size() != frame.size {
        return Err(refused(format!("it has {} pixels, its frame {}", image.size(), frame.size)));
    }
    let ink = Ink::of_rgb(image.size().width as usize, image.size().height as usize, image.rgb());
    masks::tips(&ink, um_per_px).map_err(|error| refused(error.to_string()))
}

fn drawn_set(folder: &Path, list: &Path) -> Result<Vec<Case>, Failure> {
    let text = text(list)?;
    let cases = text.lines().enumerate().map(|(at, line)| {
        let wrong = |why: String| Failure::new(Status::Data, format!("{}: line {}: {why}", list.display(), at + 1));
        let entry: Entry = serde_json::from_str(line).map_err(|e| wrong(e.to_string()))?;
        if !Path::new(&entry.file).components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(wrong(format!("{:?} does not lie below the folder", entry.file)));
        }
        let path = folder.join(&entry.file);
        if !path.is_file() {
            return Err(wrong(format!("there is no {}", path.display())));
        }
        let um_per_px = f64::from(entry.truth.um_per_px);
        let scale = Scale::new(um_per_px, ScaleMethod::Simulated)
            .ok_or_else(|| wrong(format!("{um_per_px} um a pixel is no scale of a nailfold microscope")))?;
        Ok(Case { name: entry.file.clone(), path, scale, said: Said::Drawn(Box::new(entry)) })
    });
    let cases: Vec<Case> = cases.collect::<Result<_, _>>()?;
    if cases.is_empty() {
        return Err(Failure::new(Status::Data, format!("{} is empty: it lists no picture", list.display())));
    }
    Ok(cases)
}

impl Case {
    /// Holds what was seen against what is said.
    pub fn judge(&self, outcome: &Outcome, settings: &Settings) -> Result<Frame, Failure> {
        let seen: Result<&Measured, frame::Outcome> = match outcome {
            Outcome::Scored { measured: Some(measured), .. } => Ok(measured),
            Outcome::Rejected { reason, .. } => Err(frame::Outcome::Refused(*reason)),
            Outcome::Undecodable { damage } => Err(frame::Outcome::Damaged(*damage)),
            Outcome::Scored { measured: None, .. } => {
                return Err(Failure::new(Status::Internal, format!("{} was not measured", self.path.display())));
            }
            Outcome::Failed { message } => {
                return Err(Failure::new(Status::Internal, format!("{}: {message}", self.path.display())));
            }
        };
        let (label, traced) = match &self.said {
            Said::Drawn(entry) => return Ok(drawn::frame(entry, seen)),
            Said::ByReader { label, traced } => (label, traced),
        };
        let mut frame = Frame::new(&label.frame, &label.subject, seen);
        frame.disease = label.disease;
        let loops = seen.map_or(&[][..], |m| &m.loops);
        if let Some(traced) = traced {
            frame.against_traces(traced, loops, self.scale.um_per_px, settings);
        }
        if let Some(count) = &label.counted {
            frame.against_count(count, loops, self.scale.um_per_px, settings);
        }
        Ok(frame)
    }
}
