//! Looking without reading: whether a bundle is whole and runs (`hairpin models verify`), and which providers
//! could run it (`hairpin doctor`).

use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::onnx::{Canceler, Making, Model, Refusal, Runtime};
use super::{Classifier, InferError, Locator, Provider, Settings};
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
        let opened =
            Classifier::unproven(runtime, &bundle, settings, &golden).map_err(|e: InferError| e.to_string())?;
        Ok((bundle, golden, opened))
    });
    let running = opened.as_ref().map(|(_, _, (classifier, _))| classifier.words().1.provider_running);
    if !step("session", running.map_err(Clone::clone)) {
        return checks;
    }
    let proven = opened.and_then(|(bundle, golden, (mut classifier, input))| {
        classifier.check_golden(&bundle, &golden, &input).map_err(|e| e.to_string())?;
        Ok(format!("logits {:?} within {}", golden.logits, golden.tolerance))
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
    let running = opened.map(|locator| format!("golden maps agree; {}", locator.words().provider_running));
    vec![
        Check { step: "manifest and files", outcome: Ok(id) },
        Check { step: "session and golden", outcome: running.map_err(|e| e.to_string()) },
    ]
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
    thread::spawn(move || {
        // Whoever listened may have gone on: then there is nobody to tell.
        let cancel = |canceler| drop(tell.send(News::Began(canceler)));
        let opened = Model::open(&runtime, &bytes, Making { provider, threads, cancel: Some(&cancel) });
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
