//! Scores: runs a bundle's model on prepared pictures with ONNX Runtime, on the provider that was asked for or
//! not at all.

mod elf;
mod features;
mod golden;
mod http;
mod intake;
mod locator;
mod maps;
mod onnx;
mod providers;
mod remote;
mod verify;
mod widths;

use std::path::{Path, PathBuf};

use onnx::{Bound, Making, Model, Port, Refusal};
use remote::{Ports, Remote};

pub use features::Describer;
pub use golden::Agreement;
pub use intake::{Intake, LoopFigures};
pub use locator::{Locator, um_of};
pub use maps::{Maps, Plane, sigmoid};
pub use onnx::Runtime;
pub use providers::{CpuNodes, OnMissing, Precision, Provider, Settings};
pub use remote::{News, RemoteSettings};
pub use verify::{Check, ProviderReport, Trial, Tried, probe, trials, verify, verify_locator};

use crate::bundle::{Bundle, BundleError, FeatureSpec, Seen};
use crate::preprocess::Tensor;
use crate::report::{ModelWords, RuntimeWords};

/// Why a model cannot be run, or a frame not be read.
#[derive(Debug, thiserror::Error)]
pub enum InferError {
    /// Install the library, or point at another.
    #[error(
        "cannot load ONNX Runtime from {}: {message}; run `make setup`, or point [runtime] library at \
         libonnxruntime 1.24 or newer", path.display()
    )]
    Library { path: PathBuf, message: String },
    /// Install what the provider needs, or ask for another.
    #[error(
        "provider {provider} cannot run the model with the ONNX Runtime library at {}: {message}; install {} and \
         point [runtime] library at it, or name other providers, or set on_missing = \"next\"",
        library.display(), provider.install()
    )]
    Provider { provider: Provider, library: PathBuf, message: String },
    /// Mend the bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The model is not what the manifest says: mend the bundle.
    #[error("bundle {}: {message}", dir.display())]
    Model { dir: PathBuf, message: String },
    /// Count the frame as failed; the next may do.
    #[error("the model failed on this frame: {message}")]
    Frame { message: String },
}

/// What the model says of one frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    /// Before calibration, in the order of the labels; the mean over tiles. Of a model that answers with
    /// probabilities, their logarithms.
    pub logits: Vec<f32>,
    /// After calibration; they sum to one.
    pub probs: Vec<f32>,
    /// Colour or contrast of the picture lies outside what the model was trained on.
    pub out_of_cohort: bool,
}

/// A model that is loaded, verified and warm.
pub struct Classifier {
    bound: Bound,
    /// Asked first, where a server runs the model too.
    remote: Option<Remote>,
    provider: Provider,
    frames_at_once: u32,
    passed_over: Vec<(Provider, String)>,
    reads: Reads,
    temperature: f64,
    /// Sums over tiles; kept from frame to frame.
    sums: Vec<f64>,
    model_words: ModelWords,
    runtime_words: RuntimeWords,
}

/// What the model takes and gives.
#[derive(Clone)]
enum Reads {
    /// Tiles of channels, height and width, for logits.
    Pixels { tile: [usize; 3], seen: Option<Seen> },
    /// Columns, for probabilities.
    Features(FeatureSpec),
}

impl Reads {
    fn of(bundle: &Bundle) -> Self {
        let input = &bundle.input;
        match &bundle.features {
            None => Self::Pixels { tile: [3, input.height as usize, input.width as usize], seen: input.seen },
            Some(features) => Self::Features(features.clone()),
        }
    }

    /// Channels, height and width of one tile; a row of features is one of height 1.
    fn tile(&self) -> [usize; 3] {
        match self {
            Self::Pixels { tile, .. } => *tile,
            Self::Features(features) => [1, 1, features.columns().count()],
        }
    }

    fn out_of_cohort(&self, tensor: &Tensor) -> bool {
        match self {
            Self::Pixels { seen, .. } => seen.is_some_and(|seen| outside(&seen, tensor)),
            Self::Features(features) => {
                let beyond = |(value, [low, high]): (&f32, &[f32; 2])| !(low..=high).contains(&value);
                features.seen.as_ref().is_some_and(|seen| tensor.data.iter().zip(seen).any(beyond))
            }
        }
    }
}

/// Least probability whose logarithm is taken: trees and neighbours say 0 at times. docs/bundles.md.
const LEAST_PROBABILITY: f64 = 1e-6;

impl Classifier {
    /// Opens the model on the first provider that can run it, checks that it is what the manifest says, and runs
    /// the golden pair, which also warms it.
    pub fn open(runtime: &Runtime, bundle: &Bundle, settings: &Settings) -> Result<Self, InferError> {
        let golden = bundle.golden()?;
        let mut classifier = Self::unproven(runtime, bundle, settings)?;
        classifier.check_golden(bundle, &golden)?;
        Ok(classifier)
    }

    /// All of `open` but the golden pair.
    fn unproven(runtime: &Runtime, bundle: &Bundle, settings: &Settings) -> Result<Self, InferError> {
        let bytes = bundle.model_bytes()?;
        let Able { provider, model, passed_over } = first_able(runtime, &bundle.dir, &bundle.model, &bytes, settings)?;
        let nodes = open_nodes(&model);
        let bound = bind(bundle, model)?;
        Ok(Self {
            bound,
            remote: None,
            provider,
            frames_at_once: settings.frames_at_once(provider),
            passed_over,
            reads: Reads::of(bundle),
            temperature: bundle.calibration.as_ref().map_or(1.0, |c| c.temperature),
            sums: vec![0.0; bundle.labels.len()],
            model_words: model_words(bundle),
            runtime_words: RuntimeWords {
                library: runtime.path.display().to_string(),
                version: runtime.version.clone(),
                sha256: runtime.sha256.clone(),
                providers_asked: settings.providers.iter().map(|p| p.as_str().to_owned()).collect(),
                provider_running: format!("{provider} ({nodes})"),
                threads: settings.threads,
            },
        })
    }

    /// A classifier that runs the same loaded model beside this one, on memory of its own.
    pub fn another(&self) -> Result<Self, InferError> {
        Ok(Self {
            bound: self.bound.another().map_err(|message| InferError::Frame { message })?,
            remote: self.remote.as_ref().map(Remote::another),
            passed_over: self.passed_over.clone(),
            reads: self.reads.clone(),
            sums: self.sums.clone(),
            model_words: self.model_words.clone(),
            runtime_words: self.runtime_words.clone(),
            ..*self
        })
    }

    /// Scores of one prepared picture. Tiles are run one by one, so that memory does not grow with the picture
    /// and a tile's score does not depend on its neighbours (batched kernels may round otherwise).
    pub fn classify(&mut self, tensor: &Tensor, scores: &mut Scores) -> Result<(), InferError> {
        let (tile, found) = (self.reads.tile(), [tensor.channels, tensor.height, tensor.width]);
        let samples = tensor.tiles * tile.iter().product::<usize>();
        if found != tile || tensor.tiles == 0 || tensor.data.len() != samples {
            let message = format!(
                "expected tiles of {tile:?}, found {} of {found:?} in {} samples",
                tensor.tiles,
                tensor.data.len()
            );
            return Err(InferError::Frame { message });
        }
        self.check_features(tensor)?;
        self.sums.fill(0.0);
        let until = self.remote.as_ref().map(Remote::deadline);
        for tile in tensor.data.chunks_exact(tensor.tile_len()) {
            let remote = self.remote.as_mut().zip(until).and_then(|(remote, until)| remote.ask(tile, until));
            let logits = match &remote {
                Some(answer) => answer.as_slice(),
                None => self.bound.run(tile).map_err(|message| InferError::Frame { message })?,
            };
            for (sum, logit) in self.sums.iter_mut().zip(logits) {
                *sum += f64::from(*logit);
            }
        }
        let tiles = tensor.tiles as f64;
        if !self.sums.iter().all(|sum| (sum / tiles).abs() < f64::from(f32::MAX)) {
            let message = format!("expected finite logits, found sums {:?} over {tiles} tiles", self.sums);
            return Err(InferError::Frame { message });
        }
        if matches!(self.reads, Reads::Features(_)) {
            self.take_logarithms()?;
        }
        scores.logits.clear();
        scores.logits.extend(self.sums.iter().map(|sum| (sum / tiles) as f32));
        softmax(&scores.logits, self.temperature, &mut scores.probs);
        scores.out_of_cohort = self.reads.out_of_cohort(tensor);
        Ok(())
    }

    /// Trees take what is not a number for a value like any other.
    fn check_features(&self, tensor: &Tensor) -> Result<(), InferError> {
        let Reads::Features(features) = &self.reads else { return Ok(()) };
        match features.columns().zip(&tensor.data).find(|(_, value)| !value.is_finite()) {
            None => Ok(()),
            Some((column, value)) => {
                Err(InferError::Frame { message: format!("the feature {column} is {value}, which is no number") })
            }
        }
    }

    fn take_logarithms(&mut self) -> Result<(), InferError> {
        // Single precision, and a model that may round each class by itself.
        let slack = 1e-3;
        let share = |p: &f64| (-slack..=1.0 + slack).contains(p);
        if !self.sums.iter().all(share) || (self.sums.iter().sum::<f64>() - 1.0).abs() > slack {
            let message = format!("expected probabilities that sum to 1, found {:?}", self.sums);
            return Err(InferError::Frame { message });
        }
        self.sums.iter_mut().for_each(|p| *p = p.max(LEAST_PROBABILITY).ln());
        Ok(())
    }

    /// Asks a server from here on, and reads here what it does not answer. `Ok` tells why it is not asked at all: it
    /// did not answer the golden pair. One that answers it otherwise has another model, and is refused.
    pub fn ask_remotely(&mut self, settings: &RemoteSettings, bundle: &Bundle) -> Result<Option<String>, InferError> {
        let remote = match Remote::open(settings, self.ports(bundle)) {
            Ok(remote) => remote,
            Err(why) => return Ok(Some(format!("{}: {why}", settings.url))),
        };
        let metadata = remote.metadata_sha256.clone();
        self.remote = Some(remote);
        self.check_golden(bundle, &bundle.golden()?).map_err(|error| match error {
            InferError::Model { dir, message } => {
                InferError::Model { dir, message: format!("{} runs another model: {message}", settings.url) }
            }
            other => other,
        })?;
        if let Some(news) = self.take_news() {
            self.remote = None;
            return Ok(Some(news.message));
        }
        if let Some(remote) = &mut self.remote {
            remote.proven();
        }
        let running = &self.runtime_words.provider_running;
        self.runtime_words.provider_running = format!("{} (metadata sha256 {metadata}), else {running}", settings.url);
        Ok(None)
    }

    fn ports(&self, bundle: &Bundle) -> Ports {
        let tile = self.reads.tile();
        let shape = if bundle.features.is_some() { vec![1, tile[2]] } else { [&[1], &tile[..]].concat() };
        let (input, output) = (bundle.input.name.clone(), bundle.output.clone());
        Ports { input, shape, output, answers: bundle.labels.len() }
    }

    /// Whether the server fell silent or came back since the last time.
    pub fn take_news(&mut self) -> Option<News> {
        self.remote.as_mut().and_then(Remote::take_news)
    }

    /// Which provider runs the model.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// How many frames it may read at the same time, each by a classifier of its own.
    pub fn frames_at_once(&self) -> u32 {
        self.frames_at_once
    }

    /// Providers that were asked for first and could not run it, each with the reason. Whoever starts the
    /// service tells them.
    pub fn passed_over(&self) -> &[(Provider, String)] {
        &self.passed_over
    }

    pub fn words(&self) -> (ModelWords, RuntimeWords) {
        (self.model_words.clone(), self.runtime_words.clone())
    }
}

/// The model on the first provider of the list that can run it, and those passed over.
struct Able {
    provider: Provider,
    model: Model,
    passed_over: Vec<(Provider, String)>,
}

/// How many nodes each provider runs, in words.
fn open_nodes(model: &Model) -> String {
    let nodes: Vec<String> = model.nodes.iter().map(|(name, count)| format!("{name} {count}")).collect();
    format!("{} nodes", nodes.join(", "))
}

/// `file` is the model's in the bundle `dir`, and `bytes` what it holds.
fn first_able(
    runtime: &Runtime,
    dir: &Path,
    file: &str,
    bytes: &[u8],
    settings: &Settings,
) -> Result<Able, InferError> {
    let unable = |(provider, message)| InferError::Provider { provider, library: runtime.path.clone(), message };
    let mut passed_over = Vec::new();
    for &provider in &settings.providers {
        let making = Making { provider, settings, cancel: None };
        match Model::open(runtime, bytes, making) {
            Ok(model) => return Ok(Able { provider, model, passed_over }),
            Err(Refusal::Model(message)) => {
                let message = format!("{file}: {message}");
                return Err(InferError::Model { dir: dir.to_owned(), message });
            }
            Err(Refusal::Provider(message)) if settings.on_missing == OnMissing::Refuse => {
                return Err(unable((provider, message)));
            }
            Err(Refusal::Provider(message)) => passed_over.push((provider, message)),
        }
    }
    Err(unable(passed_over.pop().unwrap_or((Provider::Cpu, "no provider is configured".to_owned()))))
}

/// Checks names and shapes against the manifest and binds them to memory.
fn bind(bundle: &Bundle, model: Model) -> Result<Bound, InferError> {
    let wrong = |message| InferError::Model { dir: bundle.dir.clone(), message };
    let spec = &bundle.input;
    let pixels = [1, 3, spec.height as usize, spec.width as usize];
    let columns = bundle.columns().map(|columns| [1, columns]);
    let input = columns.as_ref().map_or(&pixels[..], |columns| &columns[..]);
    let output = [1, bundle.labels.len()];
    fits("input", &model.inputs, &spec.name, input).map_err(wrong)?;
    fits("output", &model.outputs, &bundle.output, &output).map_err(wrong)?;
    if let [_, other, ..] = &model.inputs[..] {
        return Err(wrong(format!("expected a model of one input, found also {:?}", other.name)));
    }
    let (input_name, output_name) = (spec.name.clone(), bundle.output.clone());
    Bound::new(model, (&input_name, input), (&output_name, &output)).map_err(wrong)
}

/// Whether one of `ports` has the name, and takes the shape.
fn fits(what: &str, ports: &[Port], name: &str, shape: &[usize]) -> Result<(), String> {
    let Some(port) = ports.iter().find(|p| p.name == name) else {
        let found: Vec<&str> = ports.iter().map(|p| p.name.as_str()).collect();
        return Err(format!("expected an {what} named {name:?}, found {found:?}"));
    };
    let takes = |has: &[i64]| {
        // -1 stands for a dimension that is set at run time.
        has.len() == shape.len() && has.iter().zip(shape).all(|(has, want)| *has == -1 || *has == *want as i64)
    };
    if port.shape.as_deref().is_some_and(takes) {
        return Ok(());
    }
    Err(format!("{what} {name:?}: expected 32-bit floats of shape {shape:?}, found {}", port.words))
}

fn model_words(bundle: &Bundle) -> ModelWords {
    ModelWords {
        name: bundle.id.name.clone(),
        version: bundle.id.version.clone(),
        sha256: bundle.id.sha256.clone(),
        scheme: bundle.scheme.as_str().to_owned(),
        labels: bundle.labels.clone(),
        cohort: bundle.cohort.name.clone(),
        validated_on_patients: bundle.cohort.validated_on_patients,
    }
}

/// In double precision, and after the largest logit is taken off, so that no logit overflows.
fn softmax(logits: &[f32], temperature: f64, probs: &mut Vec<f32>) {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let raised = |logit: f32| ((f64::from(logit) - f64::from(largest)) / temperature).exp();
    let sum: f64 = logits.iter().map(|logit| raised(*logit)).sum();
    probs.clear();
    probs.extend(logits.iter().map(|logit| (raised(*logit) / sum) as f32));
}

fn outside(seen: &Seen, tensor: &Tensor) -> bool {
    let beyond = |value: &f32, [low, high]: &[f32; 2]| !(low..=high).contains(&value);
    tensor.mean.iter().zip(&seen.mean).any(|(v, range)| beyond(v, range))
        || tensor.std.iter().zip(&seen.std).any(|(v, range)| beyond(v, range))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_sums_to_one_and_does_not_overflow() {
        let mut probs = Vec::new();
        softmax(&[3.0e38, -3.0e38], 1.0, &mut probs);
        assert_eq!(probs, [1.0, 0.0]);
        softmax(&[1.0, 2.0, 3.0], 1.0, &mut probs);
        let by_hand = [0.090_030_57, 0.244_728_47, 0.665_240_96];
        assert!(probs.iter().zip(by_hand).all(|(a, b)| (a - b).abs() < 1e-7), "{probs:?}");
        softmax(&[1.0, 2.0], 2.0, &mut probs);
        assert!((probs[1] - 0.622_459_3).abs() < 1e-7, "a temperature above one is less sure: {probs:?}");
    }

    #[test]
    fn shapes_are_told_apart() {
        let port = |shape: Option<Vec<i64>>| [Port { name: "x".to_owned(), shape, words: "words".to_owned() }];
        let shape = [1, 3, 40, 48];
        assert_eq!(fits("input", &port(Some(vec![-1, 3, 40, 48])), "x", &shape), Ok(()));
        assert_eq!(fits("input", &port(Some(vec![1, 3, -1, -1])), "x", &shape), Ok(()));
        let wrong = [Some(vec![2, 3, 40, 48]), Some(vec![1, 3, 48, 40]), Some(vec![3, 40, 48]), None];
        for shape_found in wrong {
            let message = fits("input", &port(shape_found), "x", &shape).unwrap_err();
            assert_eq!(message, "input \"x\": expected 32-bit floats of shape [1, 3, 40, 48], found words");
        }
        let message = fits("input", &port(None), "y", &shape).unwrap_err();
        assert_eq!(message, "expected an input named \"y\", found [\"x\"]");
    }

    #[test]
    fn a_picture_outside_in_one_figure_is_outside() {
        let seen = Seen { mean: [[-1.0, 1.0]; 3], std: [[0.5, 1.5]; 3] };
        let inside = Tensor { mean: [0.0, 1.0, -1.0], std: [1.0; 3], ..Tensor::default() };
        assert!(!outside(&seen, &inside));
        assert!(outside(&seen, &Tensor { mean: [0.0, 0.0, 1.1], ..inside.clone() }));
        assert!(outside(&seen, &Tensor { std: [0.4, 1.0, 1.0], ..inside.clone() }));
        assert!(outside(&seen, &Tensor { mean: [f32::NAN, 0.0, 0.0], ..inside }));
    }
}
