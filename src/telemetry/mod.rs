//! The log: set up before the configuration is read, with the command line's wish, and given the configured
//! level and form after. Goes to standard error; systemd's journal takes it from there.

use std::io::{self, IsTerminal};
use std::sync::OnceLock;

use serde::Deserialize;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// A level (`info`) or a filter (`info,hairpin::emit=debug`), as tracing's EnvFilter reads it.
    pub level: String,
    pub form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    Text,
    Json,
}

impl Default for Settings {
    fn default() -> Self {
        Self { level: "info".to_owned(), form: Form::Text }
    }
}

impl Settings {
    pub fn check(&self) -> Result<(), String> {
        filter(&self.level).map(drop)
    }
}

/// A word alone must be a level: EnvFilter takes any other for the name of a module, and a misspelt level would
/// silence the log.
fn filter(level: &str) -> Result<EnvFilter, String> {
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    let known = |part: &str| part.contains('=') || levels.contains(&part.trim().to_ascii_lowercase().as_str());
    if !level.split(',').all(known) {
        return Err(format!("log.level = {level:?} is no level: write {}", levels.join(", ")));
    }
    // ONNX Runtime tells of every graph optimisation at info.
    EnvFilter::try_new(format!("{level},ort=warn"))
        .map_err(|e| format!("log.level = {level:?} is no level: {e}; write error, warn, info, debug or trace"))
}

static LEVEL: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Starts the log. Called once, before anything else; later calls only set the level.
pub fn start(settings: &Settings) -> Result<(), String> {
    if LEVEL.get().is_some() {
        return set_level(&settings.level);
    }
    let (level, handle) = reload::Layer::new(filter(&settings.level)?);
    let registry = tracing_subscriber::registry().with(level);
    let ansi = io::stderr().is_terminal();
    let started = match settings.form {
        Form::Text => registry.with(fmt::layer().with_writer(io::stderr).with_ansi(ansi).with_target(false)).try_init(),
        Form::Json => registry.with(fmt::layer().with_writer(io::stderr).json()).try_init(),
    };
    if started.is_ok() {
        // Only this thread starts the log, so the cell is still empty.
        let _first = LEVEL.set(handle);
    }
    Ok(())
}

/// Changes the level of the running log.
pub fn set_level(level: &str) -> Result<(), String> {
    let filter = filter(level)?;
    match LEVEL.get() {
        Some(handle) => handle.reload(filter).map_err(|e| format!("cannot change the log's level: {e}")),
        None => Ok(()),
    }
}
