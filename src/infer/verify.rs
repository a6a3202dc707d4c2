//! Looking without reading: whether a bundle is whole and runs (`hairpin models verify`), what every provider makes of
//! its golden pair (`hairpin models try`), and which providers could run it (`hairpin doctor`).

use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::onnx::{Canceler, Making, Model, Refusal, Runtime};
use super::{Agreement, Classifier, CpuNodes, InferError, Locator, OnMissing, Provider, Settings};
use crate::bundle::{Bundle, BundleError, LocateBundle};

/// One step of a verification. A failed step ends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub step: &'static str,
    /// What was found, or what is wrong.
    pub outcome: Result<String, String>,
}

/// Every step of loading the bundle in `dir`, up to the first that fails.
pub fn verify(runtime: &Runtime, dir: &Path, settings: &Settings) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut step = |step, outcome: Result<String, String>| {
        let passed = outcome.is_ok();
        checks.push(Check { step, outcome });
        passed
    };
    let words = |e: BundleError| e.to_string();
    let bundle = Bundle::describe(dir).map_err(words);
    let id = bundle.as_ref().map(|b| format!("{} {}, {}", b.id.name, b.id.version, b.scheme.as_str()));
    if !step("manifest", id.map_err(Clone::clone)) {
        return checks;
    }
    let bundle = Bundle::load(dir).map_err(words);
    let files = bundle.as_ref().map(|b| format!("{} files, each with its digest", b.files.len()));
    if !step("files", files.map_err(Clone::clone)) {
        return checks;
    }
    let opened = bundle.and_then(|bundle| {
        let golden = bundle.golden().map_err(words)?;
        let opened = Classifier::unproven(runtime, &bundle, settings).map_err(|e: InferError| e.to_string())?;
        Ok((bundle, golden, opened))
    });
    let running = opened.as_ref().map(|(_, _, classifier)| classifier.words().1.provider_running);
    if !step("session", running.map_err(Clone::clone)) {
        return checks;
    }
    let proven = opened.and_then(|(bundle, golden, mut classifier)| {
        let agreed = classifier.check_golden(&bundle, &golden).map_err(|e| e.to_string())?;
        Ok(format!("{} {:?} within {}", agreed.what, agreed.expected, agreed.tolerance))
    });
    step("golden", proven);
    checks
}

/// The same for a bundle that locates loops.
pub fn verify_locator(runtime: &Runtime, dir: &Path, settings: &Settings) -> Vec<Check> {
    let bundle = match LocateBundle::load(dir) {
        Ok(bundle) => bundle,
        Err(error) => return vec![Check { step: "manifest and files", outcome: Err(error.to_string()) }],
    };
    let id = format!("{} {}, {} files, each with its digest", bundle.id.name, bundle.id.version, bundle.files.len());
    let opened = Locator::open(runtime, &bundle, settings);
    let golden = if bundle.widths.is_some() { "golden maps and widths agree" } else { "golden maps agree" };
    let running = opened.map(|locator| format!("{golden}; {}", locator.words().provider_running));
    vec![
        Check { step: "manifest and files", outcome: Ok(id) },
        Check { step: "session and golden", outcome: running.map_err(|e| e.to_string()) },
    ]
}

/// Runs of the golden picture whose median is told, after as many that warm the provider.
const TIMED: usize = 9;

/// What one provider made of a bundle's golden pair.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    pub provider: Provider,
    /// Why it runs no model, or which of its features are others.
    pub outcome: Result<Tried, String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Tried {
    /// What really runs the nodes, with their number.
    pub running: String,
    pub agreement: Agreement,
    /// Median time of one frame, its preparation left out.
    pub frame: Duration,
}

/// Runs the golden pair of a bundle on each provider that the library has. Some build an engine first, for minutes.
pub fn trials(runtime: &Runtime, bundle: &Bundle, settings: &Settings) -> Vec<Trial> {
    let outcome = |provider: Provider| {
        if !runtime.has(provider) {
            return Err(format!("not in this library; install {}", provider.install()));
        }
        let frames_at_once = Some(1);
        let settings =
            Settings { providers: vec![provider], on_missing: OnMissing::Refuse, frames_at_once, ..settings.clone() };
        trial(runtime, bundle, &settings).map_err(|error| error.to_string())
    };
    Provider::ALL.into_iter().map(|provider| Trial { provider, outcome: outcome(provider) }).collect()
}

fn trial(runtime: &Runtime, bundle: &Bundle, settings: &Settings) -> Result<Tried, InferError> {
    let golden = bundle.golden()?;
    let mut classifier = Classifier::unproven(runtime, bundle, settings)?;
    let agreement = classifier.golden(bundle, &golden)?;
    let input = super::golden::prepared(bundle, &golden)?;
    let mut scores = super::Scores::default();
    let mut times = Vec::with_capacity(2 * TIMED);
    for _ in 0..2 * TIMED {
        let start = Instant::now();
        classifier.classify(&input, &mut scores)?;
        times.push(start.elapsed());
    }
    let timed = &mut times[TIMED..];
    timed.sort_unstable();
    Ok(Tried { running: classifier.words().1.provider_running, agreement, frame: timed[TIMED / 2] })
}

/// What one provider would do with a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderReport {
    pub provider: Provider,
    /// The library was built with it.
    pub compiled_in: bool,
    /// The nodes it would run, or why it runs none.
    pub session: Result<String, String>,
}

/// Tries every provider with the bundle's model, each for at most `patience`: some build engines for minutes.
/// An attempt that does not end is told to break off and left behind, so this is for a process that ends soon.
pub fn probe(
    runtime: &Runtime,
    bundle: &Bundle,
    threads: u32,
    patience: Duration,
) -> Result<Vec<ProviderReport>, BundleError> {
    let bytes = bundle.model_bytes()?;
    let report = |provider: Provider| {
        let compiled_in = runtime.has(provider);
        let session = if compiled_in {
            attempt(runtime, &bytes, provider, threads, patience)
        } else {
            Err(format!("not in this library; install {}", provider.install()))
        };
        ProviderReport { provider, compiled_in, session }
    };
    Ok(Provider::ALL.into_iter().map(report).collect())
}

enum News {
    Began(Canceler),
    Ended(Result<String, Refusal>),
}

fn attempt(
    runtime: &Runtime,
    bytes: &[u8],
    provider: Provider,
    threads: u32,
    patience: Duration,
) -> Result<String, String> {
    let (tell, told) = mpsc::channel();
    let (runtime, bytes) = (runtime.clone(), bytes.to_vec());
    // Whatever it would take is told; whether that is enough is not asked here.
    let settings = Settings { threads, cpu_nodes: CpuNodes::Allow, ..Settings::default() };
    thread::spawn(move || {
        // Whoever listened may have gone on: then there is nobody to tell.
        let cancel = |canceler| drop(tell.send(News::Began(canceler)));
        let opened = Model::open(&runtime, &bytes, Making { provider, settings: &settings, cancel: Some(&cancel) });
        let _ = tell.send(News::Ended(opened.map(|model| format!("{:?}", model.nodes))));
    });
    let mut canceler = None;
    loop {
        match told.recv_timeout(patience) {
            Ok(News::Began(means)) => canceler = Some(means),
            Ok(News::Ended(outcome)) => {
                return outcome.map_err(|(Refusal::Model(message) | Refusal::Provider(message))| message);
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                if let Some(means) = canceler {
                    means.cancel();
                }
                return Err(format!("no answer within {patience:?}; it may be building an engine"));
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => return Err("the attempt ended without an answer".to_owned()),
        }
    }
}
