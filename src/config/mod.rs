//! The configuration in two layers: `raw` as written (parsing opens nothing), and `Resolved`, which is built once,
//! may fail, and is all the program sees.

mod locate;
mod raw;
mod resolve;

use std::io::Read as _;
use std::path::{Path, PathBuf};

pub use raw::{OnMissing, Raw, SourceKind};
pub use resolve::{MeasureChoice, Resolved, ScaleChoice, SecondChoice, SourceChoice};

/// What is wrong with a configuration: always the file, and the line and key where there is one.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{}: {message}", path.display())]
    Syntax { path: PathBuf, message: String },
    #[error("{}{}: {message}", path.display(), line.map(|l| format!(":{l}")).unwrap_or_default())]
    Sense { path: PathBuf, line: Option<usize>, message: String },
}

/// Larger files are no configuration.
const BYTES_MAX: u64 = 1 << 20;

/// Reads, parses, checks and resolves the file.
pub fn load(path: &Path) -> Result<Resolved, ConfigError> {
    let text = read(path)?;
    let raw = parse(path, &text)?;
    resolve::resolve(raw, path, &text)
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    // By what comes, not by the length that is told: a device or a pipe tells none.
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > BYTES_MAX {
        let message = format!("more than {BYTES_MAX} bytes are too many for a configuration");
        return Err(ConfigError::Syntax { path: path.to_owned(), message });
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = Some(1 + good.iter().filter(|byte| **byte == b'\n').count());
        let message = "a byte that is not UTF-8: save the file as UTF-8".to_owned();
        ConfigError::Sense { path: path.to_owned(), line, message }
    })
}

fn parse(path: &Path, text: &str) -> Result<Raw, ConfigError> {
    toml::from_str(text).map_err(|error| ConfigError::Syntax {
        path: path.to_owned(),
        message: error.to_string().trim_end().to_owned(),
    })
}
