//! Puts the reading parts together, the same for the service, a replay and a one-shot read.

use super::camera::{self, CameraOpener};
use super::memory;
use crate::aggregate;
use crate::bundle::{Bundle, LocateBundle};
use crate::capture::v4l2::Camera;
use crate::capture::{self, CaptureError, CaptureErrorKind, Source};
use crate::config::{MeasureChoice, Resolved, SecondChoice, SourceChoice};
use crate::decode::Decoder;
use crate::failure::{Failure, OrFail, Status};
use crate::infer::{self, Classifier, InferError, Intake, Locator, Runtime};
use crate::pipeline::Loops;
use crate::pipeline::measure::{Chooser, Figures, Measurer};
use crate::pipeline::prepare::Step;
use crate::pipeline::recover::Reopen;
use crate::pipeline::second::SecondModel;
use crate::pipeline::swap::Incoming;
use crate::preprocess::FieldPreparer;
use crate::quality::{self, Demands, Gate};
use crate::report::{ModelWords, Provenance, RuntimeWords, SecondWords, SourceWords};
use crate::scale::Scale;
use crate::time::Clock;

/// A loaded, verified and warm model with the steps before it.
pub struct Reading {
    pub step: Step,
    pub classifier: Classifier,
    pub terms: aggregate::Reader,
    pub bundle: Bundle,
    pub model: ModelWords,
    pub runtime: RuntimeWords,
}

/// Loads runtime and bundle, runs the golden pair, and warms the session.
pub fn reading(
    bundle: &std::path::Path,
    runtime: &infer::Settings,
    remote: Option<&infer::RemoteSettings>,
    measure: Option<&MeasureChoice>,
    gate: &quality::Settings,
    scale: Option<Scale>,
) -> Result<Reading, Failure> {
    let bundle = Bundle::load(bundle).or_fail(Status::Config)?;
    let intake = intake(&bundle, measure)?;
    let library = Runtime::load(&runtime.library).map_err(infer_failure)?;
    let mut classifier = Classifier::open(&library, &bundle, runtime).map_err(infer_failure)?;
    ask_remotely(&mut classifier, remote, &bundle)?;
    for (provider, why) in classifier.passed_over() {
        let running = classifier.provider();
        tracing::warn!("provider {provider} cannot run the model, so {running} does: {why}");
    }
    let decoder = Decoder::new().or_fail(Status::Internal)?;
    let step = Step::new(decoder, Gate::new(gate.clone(), demands(&bundle)), intake, scale);
    let terms = terms(&bundle)?;
    let (model, runtime) = classifier.words();
    memory::give_back();
    Ok(Reading { step, classifier, terms, bundle, model, runtime })
}

/// A server that does not answer is left alone until the next start, and the bundle reads; one that runs another model
/// is refused.
fn ask_remotely(
    classifier: &mut Classifier,
    remote: Option<&infer::RemoteSettings>,
    bundle: &Bundle,
) -> Result<(), Failure> {
    let Some(settings) = remote else { return Ok(()) };
    if let Some(why) = classifier.ask_remotely(settings, bundle).map_err(infer_failure)? {
        tracing::warn!(why, "the bundle's own model reads; the server is asked again at the next start");
    }
    Ok(())
}

/// What makes the model's input. One that reads what is measured of the loops gets a locating network of its own, which
/// must be the one it was made with.
pub fn intake(bundle: &Bundle, measure: Option<&MeasureChoice>) -> Result<Intake, Failure> {
    let intake = Intake::new(bundle);
    let Some(spec) = bundle.loops() else { return Ok(intake) };
    let refuse = |what: String| {
        let (model, locator) = (&bundle.id, format!("{} {}", spec.name, spec.version));
        let message = format!("model {} {} reads what {locator} measures of loops, {what}", model.name, model.version);
        Err(Failure::new(Status::Config, message))
    };
    let Some(choice) = measure else {
        return refuse("which none is configured to do: name that bundle in [measure] bundle".to_owned());
    };
    let (preparer, measurer) = measurer(choice)?;
    let found = measurer.locator().words();
    if found.sha256 != spec.sha256 {
        let (name, version) = (&found.name, &found.version);
        return refuse(format!(
            "sha256 {} of its manifest, and [measure] bundle is {name} {version}, sha256 {}: name that one, or make \
             the model again with this",
            spec.sha256, found.sha256
        ));
    }
    if let Some(other) = spec.limits.first_other(&choice.limits) {
        return refuse(format!("with other limits: [measure.limits] {other}; set it so, or make the model again"));
    }
    Ok(intake.with_loops(Box::new(Figures::new(preparer, measurer))))
}

/// Makes another deciding model ready for `readers` threads, beside the one that runs.
pub fn incoming(
    dir: &std::path::Path,
    runtime: &infer::Settings,
    remote: Option<&infer::RemoteSettings>,
    measure: Option<&MeasureChoice>,
    readers: u32,
) -> Result<Incoming, Failure> {
    let bundle = Bundle::load(dir).or_fail(Status::Config)?;
    let intake = intake(&bundle, measure)?;
    let library = Runtime::load(&runtime.library).map_err(infer_failure)?;
    let mut first = Classifier::open(&library, &bundle, runtime).map_err(infer_failure)?;
    ask_remotely(&mut first, remote, &bundle)?;
    if first.frames_at_once() != readers {
        let message = format!(
            "provider {} reads {} frames at once and {readers} threads read now: restart the service for it",
            first.provider(),
            first.frames_at_once()
        );
        return Err(Failure::new(Status::Config, message));
    }
    let more = (1..readers).map(|_| first.another()).collect::<Result<Vec<_>, _>>().map_err(infer_failure)?;
    let (model, runtime) = first.words();
    memory::give_back();
    Ok(Incoming {
        bundle: dir.to_owned(),
        intake,
        demands: demands(&bundle),
        classifiers: [vec![first], more].into_iter().flatten().collect(),
        terms: terms(&bundle)?,
        model,
        runtime,
    })
}

/// Loads the bundles of the models that do not decide, each as the deciding one is loaded.
pub fn seconds(
    choices: &[SecondChoice],
    runtime: &infer::Settings,
    measure: Option<&MeasureChoice>,
) -> Result<Vec<SecondModel>, Failure> {
    // One frame after the other, by one thread: they take what the deciding model leaves.
    let runtime = infer::Settings { threads: 1, frames_at_once: Some(1), ..runtime.clone() };
    let open = |choice: &SecondChoice| {
        let bundle = Bundle::load(&choice.bundle).or_fail(Status::Config)?;
        let intake = intake(&bundle, measure)?;
        let library = Runtime::load(&runtime.library).map_err(infer_failure)?;
        let classifier = Classifier::open(&library, &bundle, &runtime).map_err(infer_failure)?;
        let (model, running) = classifier.words();
        let words = SecondWords { model, provider_running: running.provider_running };
        Ok(SecondModel::new(intake, classifier, terms(&bundle)?, words, choice.every))
    };
    let models: Vec<SecondModel> = choices.iter().map(open).collect::<Result<_, Failure>>()?;
    for (i, one) in models.iter().enumerate() {
        if models[..i].iter().any(|other| other.words.model.id() == one.words.model.id()) {
            let message = format!("[[second]] names two models called {}: remove one", one.words.model.id());
            return Err(Failure::new(Status::Config, message));
        }
    }
    Ok(models)
}

/// Loads the bundle that locates loops, runs its golden pair, and warms it; `None` where none is configured.
pub fn loops(choice: Option<&MeasureChoice>) -> Result<Option<Loops>, Failure> {
    let Some(choice) = choice else { return Ok(None) };
    let (preparer, measurer) = measurer(choice)?;
    Ok(Some(Loops { chooser: Chooser::new(preparer, choice.every), measurer }))
}

fn measurer(choice: &MeasureChoice) -> Result<(FieldPreparer, Measurer), Failure> {
    let bundle = LocateBundle::load(&choice.bundle).or_fail(Status::Config)?;
    let library = Runtime::load(&choice.runtime.library).map_err(infer_failure)?;
    let locator = Locator::open(&library, &bundle, &choice.runtime).map_err(infer_failure)?;
    Ok((FieldPreparer::new(&bundle.input), Measurer::new(locator, choice.limits.clone())))
}

fn terms(bundle: &Bundle) -> Result<aggregate::Reader, Failure> {
    aggregate::Reader::new(
        bundle.labels.clone(),
        bundle.positive,
        bundle.scheme.as_str().to_owned(),
        bundle.calibration.as_ref().map(|c| c.temperature as f32),
        bundle.thresholds.lower,
        bundle.thresholds.upper,
    )
    .or_fail(Status::Config)
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
        let decoder = Decoder::new().or_fail(Status::Internal)?;
        let gate = Gate::new(gate.clone(), demands(&self.bundle));
        Ok(Self { step: self.step.renewed(decoder, gate, scale), ..self })
    }
}

/// What the model asks of every picture.
fn demands(bundle: &Bundle) -> Demands {
    Demands { max_um_per_px: bundle.input.max_um_per_px, needs_scale: bundle.needs_scale() }
}

/// A source, open, and what opens it again; nothing does where it is read once.
pub type Opened = (Box<dyn Source>, Option<Box<dyn Reopen>>);

/// The configured source.
pub fn source(config: &Resolved) -> Result<Opened, CaptureError> {
    match &config.source {
        // Opened again only where it can be unplugged. On a machine too slow for it it is silent for a while, which is told.
        SourceChoice::Simulated(settings) => {
            let source = capture::simulated::Simulated::open(settings.clone())?;
            let again = source.again().map(|again| Box::new(again) as Box<dyn Reopen>);
            Ok((Box::new(source), again))
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
    second: &[SecondModel],
    source: SourceWords,
) -> Provenance {
    Provenance {
        software: concat!("hairpin ", env!("CARGO_PKG_VERSION")).to_owned(),
        config_sha256: config.map(|c| c.sha256.clone()).unwrap_or_default(),
        model: reading.model.clone(),
        locator: loops.map(|loops| loops.measurer.locator().words().clone()),
        limits: loops.map(|loops| loops.measurer.settings().clone()),
        second: second.iter().map(|second| second.words.clone()).collect(),
        runtime: reading.runtime.clone(),
        source,
    }
}
