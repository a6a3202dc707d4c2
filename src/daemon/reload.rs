//! SIGHUP: what can change while frames flow is changed; anything else refuses the whole reload, by name.

use super::loader::Loader;
use crate::config::{self, ConfigError, Resolved};
use crate::pipeline::prepare::GateHandle;
use crate::telemetry;

/// Where new settings go.
pub struct Handles {
    pub gate: GateHandle,
    pub loader: Loader,
}

#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("[{}] cannot change while the service runs: restart it", .0.join("], ["))]
    NeedsRestart(Vec<&'static str>),
    #[error("{0}")]
    Log(String),
    #[error("[model] {0}")]
    Busy(&'static str),
}

/// Reads the file again; names the sections that changed.
pub fn reload(current: &mut Resolved, handles: &Handles) -> Result<Vec<&'static str>, ReloadError> {
    let new = config::load(&current.path)?;
    let fixed = [
        ("source", current.source == new.source),
        ("runtime", current.runtime == new.runtime),
        ("measure", current.measure == new.measure),
        ("model.remote", current.remote == new.remote),
        ("second", current.second == new.second),
        ("pool", current.pool == new.pool),
        ("exam", current.exam == new.exam),
        ("trigger", current.trigger == new.trigger),
        ("scale", current.scale == new.scale),
        ("record", current.record == new.record),
        ("file", current.file == new.file),
        ("emit", current.emit == new.emit),
        ("log.form", current.log.form == new.log.form),
    ];
    let refused: Vec<&'static str> = fixed.iter().filter(|(_, same)| !same).map(|(name, _)| *name).collect();
    if !refused.is_empty() {
        return Err(ReloadError::NeedsRestart(refused));
    }
    let mut changed = Vec::new();
    if current.log.level != new.log.level {
        telemetry::set_level(&new.log.level).map_err(ReloadError::Log)?;
        changed.push("log.level");
    }
    // Also where the name stays and the bundle behind it is another. What comes of it is an event.
    if handles.loader.want(new.bundle.clone()).map_err(ReloadError::Busy)? {
        changed.push("model");
    }
    if current.gate != new.gate {
        handles.gate.put(new.gate.clone());
        changed.push("gate");
    }
    // Exams carry the digest of the configuration that the service was started with.
    let sha256 = std::mem::take(&mut current.sha256);
    *current = Resolved { sha256, ..new };
    Ok(changed)
}
