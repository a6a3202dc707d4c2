//! The loader thread: makes other models ready beside the one that runs, one after the other.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::{Sender, bounded};

use super::assemble;
use crate::bundle::Bundle;
use crate::config::Resolved;
use crate::pipeline::swap::{Load, Loaded, Loading};

/// Bundles that may wait to be loaded.
const WAITING: usize = 4;

/// Asks for models on behalf of the configuration.
pub struct Loader {
    ask: Sender<Load>,
    /// Digest of the bundle that was loaded last and did.
    last: Arc<Mutex<String>>,
}

impl Loader {
    /// `readers`: how many classifiers read at the same time; `running` the digest of the bundle they run.
    pub fn start(config: &Resolved, readers: u32, running: String) -> io::Result<(Self, Loading)> {
        let (ask, asked) = bounded::<Load>(WAITING);
        let (tell, loaded) = bounded(WAITING);
        let last = Arc::new(Mutex::new(running));
        let (runtime, remote, measure) = (config.runtime.clone(), config.remote.clone(), config.measure.clone());
        let known = Arc::clone(&last);
        // A control command may name a folder as the configuration does.
        let here = config.path.parent().map(Path::to_owned).unwrap_or_default();
        // Ends when nobody can ask any more; a bundle that is being loaded then is left behind.
        std::thread::Builder::new().name("loader".to_owned()).spawn(move || {
            for Load { bundle, request } in asked {
                let bundle = here.join(bundle);
                let outcome = assemble::incoming(&bundle, &runtime, remote.as_ref(), measure.as_ref(), readers)
                    .map(Box::new)
                    .map_err(|e| e.to_string());
                if let Ok(incoming) = &outcome {
                    known.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&incoming.model.sha256);
                }
                if tell.send(Loaded { bundle, outcome, request }).is_err() {
                    return;
                }
            }
        })?;
        Ok((Self { ask: ask.clone(), last }, Loading { ask, loaded }))
    }

    /// Asks for the bundle in `dir`, unless it is the one that was loaded last, byte for byte. Tells whether it did.
    pub fn want(&self, dir: PathBuf) -> Result<bool, &'static str> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if Bundle::describe(&dir).is_ok_and(|bundle| bundle.id.sha256 == last) {
            return Ok(false);
        }
        let asked = self.ask.try_send(Load { bundle: dir, request: None });
        asked.map(|()| true).map_err(|_| "bundles are being loaded already: send the signal again")
    }
}
