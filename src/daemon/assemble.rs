//! Puts the reading parts together, the same for the service, a replay and a one-shot read.

use super::camera::{self, CameraOpener};
use super::memory;
use crate::aggregate;
use crate::bundle::{Bundle, InputSpec, LocateBundle};
use crate::capture::v4l2::Camera;
use crate::capture::{self, CaptureError, CaptureErrorKind, Source};
use crate::config::{MeasureChoice, Resolved, SourceChoice};
use crate::decode::Decoder;
use crate::failure::{Failure, OrFail, Status};
use crate::infer::{self, Classifier, InferError, Locator, Runtime};
use crate::pipeline::Loops;
use crate::pipeline::measure::{Chooser, Measurer};
use crate::pipeline::prepare::Step;
use crate::pipeline::recover::Reopen;
use crate::preprocess::{FieldPreparer, Preparer};
use crate::quality::{self, Demands, Gate};
use crate::report::{ModelWords, Provenance, RuntimeWords, SourceWords};
use crate::scale::Scale;
use crate::time::Clock;

/// A loaded, verified and warm model with the steps before it.
pub struct Reading {
    pub step: Step,
    pub classifier: Classifier,
    pub terms: aggregate::Reader,
    pub input: InputSpec,
    pub model: ModelWords,
    pub runtime: RuntimeWords,
}

/// Loads runtime and bundle, runs the golden pair, and warms the session.
pub fn reading(
    bundle: &std::path::Path,
    runtime: &infer::Settings,
    gate: &quality::Settings,
    scale: Option<Scale>,
) -> Result<Reading, Failure> {
    let bundle = Bundle::load(bundle).or_fail(Status::Config)?;
    let library = Runtime::load(&runtime.library).map_err(infer_failure)?;
    let classifier = Classifier::open(&library, &bundle, runtime).map_err(infer_failure)?;
    for (provider, why) in classifier.passed_over() {
        let running = classifier.provider();
        tracing::warn!("provider {provider} cannot run the model, so {running} does: {why}");
    }
    let demands = Demands { max_um_per_px: bundle.input.max_um_per_px, needs_scale: bundle.input.needs_scale() };
    let step = step(gate, demands, &bundle.input, scale)?;
    let terms = aggregate::Reader::new(
        bundle.labels.clone(),
        bundle.positive,
        bundle.scheme.as_str().to_owned(),
        bundle.calibration.as_ref().map(|c| c.temperature as f32),
        bundle.thresholds.lower,
        bundle.thresholds.upper,
    )
    .or_fail(Status::Config)?;
    let (model, runtime) = classifier.words();
    memory::give_back();
    Ok(Reading { step, classifier, terms, input: bundle.input, model, runtime })
}

/// Loads the bundle that locates loops, runs its golden pair, and warms it; `None` where none is configured.
pub fn loops(choice: Option<&MeasureChoice>) -> Result<Option<Loops>, Failure> {
    let Some(choice) = choice else { return Ok(None) };
    let bundle = LocateBundle::load(&choice.bundle).or_fail(Status::Config)?;
    let library = Runtime::load(&choice.runtime.library).map_err(infer_failure)?;
    let locator = Locator::open(&library, &bundle, &choice.runtime).map_err(infer_failure)?;
    let chooser = Chooser::new(FieldPreparer::new(&bundle.input), choice.every);
    Ok(Some(Loops { chooser, measurer: Measurer::new(locator, choice.limits.clone()) }))
}

/// A missing library or provider is something the machine lacks; the rest is a bundle that is wrong.
pub fn infer_failure(error: InferError) -> Failure {
    let status = match error {
        InferError::Library { .. } | InferError::Provider { .. } => Status::Unavailable,
        InferError::Bundle(_) | InferError::Model { .. } => Status::Config,
        InferError::Frame { .. } => Status::Internal,
    };
    Failure::new(status, error)
}

impl Reading {
    /// The same warm model behind a new gate, as if no frame had come before.
    pub fn renewed(self, gate: &quality::Settings, scale: Option<Scale>) -> Result<Self, Failure> {
        let demands = Demands { max_um_per_px: self.input.max_um_per_px, needs_scale: self.input.needs_scale() };
        let step = step(gate, demands, &self.input, scale)?;
        Ok(Self { step, ..self })
    }
}

fn step(gate: &quality::Settings, demands: Demands, input: &InputSpec, scale: Option<Scale>) -> Result<Step, Failure> {
    let decoder = Decoder::new().or_fail(Status::Internal)?;
    Ok(Step::new(decoder, Gate::new(gate.clone(), demands), Preparer::new(input), scale))
}

/// A source, open, and what opens it again; nothing does where it is read once.
pub type Opened = (Box<dyn Source>, Option<Box<dyn Reopen>>);

/// The configured source.
pub fn source(config: &Resolved) -> Result<Opened, CaptureError> {
    match &config.source {
        SourceChoice::Simulated(settings) => {
            let settings = settings.clone();
            let open = move || -> Result<Box<dyn Source>, CaptureError> {
                Ok(Box::new(capture::simulated::Simulated::open(settings.clone())?))
            };
            let source = open()?;
            let live = source.info().live;
            Ok((source, live.then(|| Box::new(open) as Box<dyn Reopen>)))
        }
        SourceChoice::Replay { path, settings } => Ok((Box::new(capture::Replay::open(path, settings.clone())?), None)),
        SourceChoice::V4l2 { device, settings, on_missing } => {
            let scale = camera::scale_of(config.scale.clone());
            let mut camera = Camera::new(device.clone(), settings.clone(), Clock::live(), scale);
            let source = camera::open(&mut camera, *on_missing)?;
            Ok((source, Some(Box::new(CameraOpener::new(camera, settings.usb_reset)))))
        }
        #[cfg(feature = "nokhwa")]
        SourceChoice::Nokhwa(settings) => {
            let (settings, clock) = (settings.clone(), Clock::live());
            let open = move || -> Result<Box<dyn Source>, CaptureError> {
                Ok(Box::new(capture::nokhwa::Nokhwa::open(settings.clone(), clock.clone())?))
            };
            Ok((open()?, Some(Box::new(open))))
        }
    }
}

pub fn capture_failure(error: CaptureError) -> Failure {
    let status = match error.kind {
        CaptureErrorKind::NotFound
        | CaptureErrorKind::Busy
        | CaptureErrorKind::Stalled
        | CaptureErrorKind::NoBandwidth => Status::Unavailable,
        CaptureErrorKind::Unsupported | CaptureErrorKind::BadFrame => Status::Data,
        CaptureErrorKind::Denied => Status::Denied,
        CaptureErrorKind::Io => Status::Io,
    };
    Failure::new(status, error)
}

/// What a camera does not offer was asked for by the configuration; what a recording does not hold is the recording's.
pub fn source_failure(choice: &SourceChoice, error: CaptureError) -> Failure {
    match (choice, error.kind) {
        (SourceChoice::V4l2 { .. }, CaptureErrorKind::Unsupported) => Failure::new(Status::Config, error),
        _ => capture_failure(error),
    }
}

/// What every exam's record says of how its results came about.
pub fn provenance(
    config: Option<&Resolved>,
    reading: &Reading,
    loops: Option<&Loops>,
    source: SourceWords,
) -> Provenance {
    Provenance {
        software: concat!("hairpin ", env!("CARGO_PKG_VERSION")).to_owned(),
        config_sha256: config.map(|c| c.sha256.clone()).unwrap_or_default(),
        model: reading.model.clone(),
        locator: loops.map(|loops| loops.measurer.locator().words().clone()),
        runtime: reading.runtime.clone(),
        source,
    }
}
