//! `hairpin models compare --bundles A,B PATH`: the same frames by several models. How far they agree says nothing of
//! which of them is right.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use serde::Serialize;

use super::super::{find_config, out};
use crate::bundle::Bundle;
use crate::capture::replay::Settings;
use crate::capture::{Next, Replay, Source};
use crate::config::MeasureChoice;
use crate::daemon::assemble::{self, capture_failure, infer_failure};
use crate::decode::{Decoded, Decoder};
use crate::evaluate::agreement::{mean, median};
use crate::failure::{Failure, OrFail, Status};
use crate::frame::Image;
use crate::infer::{self, Classifier, Intake, Runtime, Scores};
use crate::preprocess::Tensor;
use crate::report::{NOTICE, SCHEMA};
use crate::scale::Scale;

#[derive(clap::Args)]
pub struct Args {
    /// Folders of two or more bundles that classify, with commas between them
    #[arg(long, value_name = "A,B,...", value_delimiter = ',', required = true)]
    bundles: Vec<PathBuf>,
    /// A picture, a folder of pictures, an MJPEG AVI or a .mjpeg stream
    path: PathBuf,
    /// Whose runtime section names library, providers and threads; else as for `hairpin run`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Micrometres per pixel, where no sidecar gives them
    #[arg(long, value_name = "UM")]
    um_per_px: Option<f64>,
    #[arg(long)]
    json: bool,
}

/// A bundle, and what it made of each frame.
struct Contender {
    bundle: Bundle,
    provider_running: String,
    intake: Intake,
    classifier: Classifier,
    tensor: Tensor,
    scores: Scores,
    /// Probability of the positive label, or why there is none.
    read: Vec<Result<Reading, String>>,
}

#[derive(Clone, Copy)]
struct Reading {
    positive: f32,
    /// The positive label is the likeliest.
    leans: bool,
    out_of_cohort: bool,
    prepare: Duration,
    infer: Duration,
}

#[derive(Serialize)]
struct Document {
    schema: u32,
    notice: &'static str,
    path: PathBuf,
    frames: usize,
    /// Frames whose bytes are no picture: read by nobody.
    undecodable: usize,
    models: Vec<Row>,
    /// In the order of `models`.
    pairs: Vec<Pair>,
}

#[derive(Serialize)]
struct Row {
    model: String,
    scheme: &'static str,
    positive_label: String,
    provider_running: String,
    read: usize,
    /// Why the first frame that it could not read was not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_read: Option<String>,
    /// Share of the frames read whose likeliest label is the positive one.
    positive_share: Option<f64>,
    out_of_cohort_share: Option<f64>,
    median_positive: Option<f64>,
    median_prepare_ms: Option<f64>,
    median_infer_ms: Option<f64>,
    /// One frame after the other, decoding left out.
    frames_per_s: Option<f64>,
}

#[derive(Serialize)]
struct Pair {
    models: [String; 2],
    same_scheme: bool,
    /// Frames that both read.
    frames: usize,
    /// Share of them with the same side likeliest; absent where the schemes differ, whose labels mean other things.
    agreement: Option<f64>,
    /// Cohen's kappa (Educ. Psychol. Meas. 1960); absent too where both always say the same one thing.
    kappa: Option<f64>,
    /// Mean difference of the positive label's probability.
    mean_difference: Option<f64>,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    if args.bundles.len() < 2 {
        return Err(Failure::new(Status::Config, "--bundles: expected two or more, with commas between them"));
    }
    let config = crate::config::load(&find_config(args.config.as_deref())?).or_fail(Status::Config)?;
    let runtime = Runtime::load(&config.runtime.library).map_err(infer_failure)?;
    // One frame after the other: all threads for each.
    let settings = infer::Settings { frames_at_once: Some(1), ..config.runtime.clone() };
    let measure = config.measure.as_ref();
    let mut contenders = args
        .bundles
        .iter()
        .map(|dir| Contender::open(&runtime, dir, &settings, measure))
        .collect::<Result<Vec<_>, _>>()?;
    let replay = Settings { um_per_px: args.um_per_px, ..Settings::default() };
    replay.check().or_fail(Status::Config)?;
    let mut source = Replay::open(&args.path, replay).map_err(capture_failure)?;
    let (frames, undecodable) = read_all(&mut source, &mut contenders)?;
    if frames == 0 {
        return Err(Failure::new(Status::Data, format!("no frame of {} can be decoded", args.path.display())));
    }
    let document = Document {
        schema: SCHEMA,
        notice: NOTICE,
        path: args.path.clone(),
        frames,
        undecodable,
        models: contenders.iter().map(Contender::row).collect(),
        pairs: pairs(&contenders),
    };
    if args.json { out::json(&document) } else { table(&document) }
}

/// How many frames there were, and how many more were no pictures.
fn read_all(source: &mut Replay, contenders: &mut [Contender]) -> Result<(usize, usize), Failure> {
    let bar = source.info().frames_total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    let mut decoder = Decoder::new().or_fail(Status::Internal)?;
    let (mut frames, mut undecodable, mut buffer) = (0, 0, Vec::new());
    loop {
        let raw = match source.next(Duration::from_secs(1)).map_err(capture_failure)? {
            Next::Frame(raw) => raw,
            Next::Idle => continue,
            Next::End => break,
        };
        bar.inc(1);
        let image = match decoder.decode(&raw, std::mem::take(&mut buffer)) {
            Decoded::Clean(image) | Decoded::Tolerated(image) => image,
            Decoded::Rejected { buffer: kept, .. } => {
                buffer = kept;
                undecodable += 1;
                continue;
            }
        };
        let scale = source.info().words.scale.clone();
        contenders.iter_mut().for_each(|contender| contender.look(&image, scale.as_ref()));
        frames += 1;
        buffer = image.into_buffer();
    }
    bar.finish_and_clear();
    Ok((frames, undecodable))
}

impl Contender {
    fn open(
        runtime: &Runtime,
        dir: &Path,
        settings: &infer::Settings,
        measure: Option<&MeasureChoice>,
    ) -> Result<Self, Failure> {
        let bundle = Bundle::load(dir).or_fail(Status::Config)?;
        let classifier = Classifier::open(runtime, &bundle, settings).map_err(infer_failure)?;
        Ok(Self {
            intake: assemble::intake(&bundle, measure)?,
            provider_running: classifier.words().1.provider_running,
            bundle,
            classifier,
            tensor: Tensor::default(),
            scores: Scores::default(),
            read: Vec::new(),
        })
    }

    fn look(&mut self, image: &Image, scale: Option<&Scale>) {
        let reading = self.try_look(image, scale);
        self.read.push(reading);
    }

    fn try_look(&mut self, image: &Image, scale: Option<&Scale>) -> Result<Reading, String> {
        let start = Instant::now();
        let prepared = self.intake.prepare_pixels(image.size(), image.rgb(), scale, &mut self.tensor);
        prepared.map_err(|e| e.to_string())?;
        let prepare = start.elapsed();
        self.classifier.classify(&self.tensor, &mut self.scores).map_err(|e| e.to_string())?;
        let positive = self.scores.probs[self.bundle.positive];
        Ok(Reading {
            positive,
            leans: self.scores.probs.iter().all(|other| *other <= positive),
            out_of_cohort: self.scores.out_of_cohort,
            prepare,
            infer: start.elapsed() - prepare,
        })
    }

    fn name(&self) -> String {
        format!("{} {}", self.bundle.id.name, self.bundle.id.version)
    }

    fn row(&self) -> Row {
        let read: Vec<Reading> = self.read.iter().filter_map(|read| read.as_ref().ok()).copied().collect();
        let share = |of: fn(&Reading) -> bool| share(read.iter().map(of));
        let ms = |of: fn(&Reading) -> Duration| {
            median(&read.iter().map(|r| of(r).as_secs_f64() * 1e3).collect::<Vec<f64>>())
        };
        let frame_ms = ms(|r| r.prepare + r.infer);
        Row {
            model: self.name(),
            scheme: self.bundle.scheme.as_str(),
            positive_label: self.bundle.labels[self.bundle.positive].clone(),
            provider_running: self.provider_running.clone(),
            read: read.len(),
            not_read: self.read.iter().find_map(|read| read.as_ref().err()).cloned(),
            positive_share: share(|r| r.leans),
            out_of_cohort_share: share(|r| r.out_of_cohort),
            median_positive: median(&read.iter().map(|r| f64::from(r.positive)).collect::<Vec<f64>>()),
            median_prepare_ms: ms(|r| r.prepare),
            median_infer_ms: ms(|r| r.infer),
            frames_per_s: frame_ms.filter(|ms| *ms > 0.0).map(|ms| 1e3 / ms),
        }
    }
}

fn pairs(contenders: &[Contender]) -> Vec<Pair> {
    let later = |i: usize| contenders[i + 1..].iter();
    contenders.iter().enumerate().flat_map(|(i, one)| later(i).map(move |other| pair(one, other))).collect()
}

fn pair(one: &Contender, other: &Contender) -> Pair {
    let both = one.read.iter().zip(&other.read).filter_map(|(a, b)| Some((a.as_ref().ok()?, b.as_ref().ok()?)));
    let both: Vec<(&Reading, &Reading)> = both.collect();
    let same_scheme = one.bundle.scheme == other.bundle.scheme;
    let leans: Vec<(bool, bool)> = both.iter().filter(|_| same_scheme).map(|(a, b)| (a.leans, b.leans)).collect();
    let differences = both.iter().filter(|_| same_scheme).map(|(a, b)| f64::from((a.positive - b.positive).abs()));
    let differences: Vec<f64> = differences.collect();
    Pair {
        models: [one.name(), other.name()],
        same_scheme,
        frames: both.len(),
        agreement: share(leans.iter().map(|(a, b)| a == b)),
        kappa: kappa(&leans),
        mean_difference: mean(&differences),
    }
}

/// Agreement beyond what the two would have if each went by its own habit alone.
fn kappa(leans: &[(bool, bool)]) -> Option<f64> {
    let share = |of: fn(&(bool, bool)) -> bool| share(leans.iter().map(of));
    let (a, b, same) = (share(|p| p.0)?, share(|p| p.1)?, share(|p| p.0 == p.1)?);
    let by_chance = a * b + (1.0 - a) * (1.0 - b);
    (by_chance < 1.0).then(|| (same - by_chance) / (1.0 - by_chance))
}

/// Of how many it holds; `None` of none.
fn share(holds: impl Iterator<Item = bool>) -> Option<f64> {
    mean(&holds.map(|holds| f64::from(u8::from(holds))).collect::<Vec<f64>>())
}

fn table(document: &Document) -> Result<(), Failure> {
    let number = |value: Option<f64>, digits: usize| value.map_or("-".to_owned(), |v| format!("{v:.digits$}"));
    let wide = document.models.iter().map(|row| row.model.len()).max().unwrap_or(0);
    out::line(format!(
        "{:<wide$}  {:>6}  {:>8}  {:>8}  {:>8}  {:>10}  {:>8}  {:>8}",
        "model", "frames", "positive", "median p", "unlike", "prepare ms", "infer ms", "frames/s"
    ))?;
    for row in &document.models {
        out::line(format!(
            "{:<wide$}  {:>6}  {:>8}  {:>8}  {:>8}  {:>10}  {:>8}  {:>8}",
            row.model,
            row.read,
            number(row.positive_share, 2),
            number(row.median_positive, 3),
            number(row.out_of_cohort_share, 2),
            number(row.median_prepare_ms, 2),
            number(row.median_infer_ms, 2),
            number(row.frames_per_s, 1),
        ))?;
        if let Some(why) = &row.not_read {
            out::line(format!("  of {} frames {} were not read: {why}", document.frames, document.frames - row.read))?;
        }
    }
    for pair in &document.pairs {
        let [one, other] = &pair.models;
        let words = match pair.agreement {
            Some(agreement) => format!(
                "same side on {:.1} % of {} frames; kappa {}; mean difference {}",
                agreement * 100.0,
                pair.frames,
                number(pair.kappa, 2),
                number(pair.mean_difference, 3)
            ),
            None if pair.same_scheme => "no frame was read by both".to_owned(),
            None => "of different schemes: not compared".to_owned(),
        };
        out::line(format!("{one} and {other}: {words}"))?;
    }
    let beside = format!("{} frames, {} more that are no pictures", document.frames, document.undecodable);
    out::line(format!("{beside}; every frame that decodes is read, no gate before; agreement is not correctness"))?;
    out::line(NOTICE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kappa_is_cohens() {
        // The example of Cohen's table by hand: 20 and 15 alike of 50, margins 25 and 30.
        let table = [(20, (true, true)), (5, (true, false)), (10, (false, true)), (15, (false, false))];
        let leans: Vec<(bool, bool)> = table.iter().flat_map(|(count, pair)| vec![*pair; *count]).collect();
        let found = kappa(&leans).unwrap();
        assert!((found - 0.4).abs() < 1e-12, "{found}");
        assert_eq!(kappa(&[(true, true); 4]), None, "nothing but one answer says nothing of agreement");
        assert_eq!(kappa(&[]), None);
    }
}
