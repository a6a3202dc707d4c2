//! The tiny bundles, and copies of them to spoil.

#![allow(dead_code, reason = "each test target uses a part")]
#![allow(clippy::unwrap_used, reason = "helpers of tests, outside test functions")]

use std::fs;
use std::path::{Path, PathBuf};

use hairpin::digest::sha256_of_file;

pub fn tiny(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bundles").join(format!("{name}-0.1.0"))
}

/// A copy of a tiny bundle whose manifest has one text put for another.
pub fn with(name: &str, from: &str, to: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("golden")).unwrap();
    for file in ["CARD.md", "model.onnx", "golden/input.png", "golden/expected.json"] {
        fs::copy(tiny(name).join(file), folder.path().join(file)).unwrap();
    }
    let manifest = fs::read_to_string(tiny(name).join("manifest.toml")).unwrap();
    assert!(manifest.contains(from), "the fixture has no {from:?}");
    fs::write(folder.path().join("manifest.toml"), manifest.replacen(from, to, 1)).unwrap();
    folder
}

/// Puts other bytes into a file of a bundle, and their digest into its manifest.
pub fn replace(bundle: &Path, file: &str, bytes: &[u8]) {
    let was = sha256_of_file(&bundle.join(file)).unwrap();
    fs::write(bundle.join(file), bytes).unwrap();
    let manifest = fs::read_to_string(bundle.join("manifest.toml")).unwrap();
    let manifest = manifest.replace(&was, &sha256_of_file(&bundle.join(file)).unwrap());
    fs::write(bundle.join("manifest.toml"), manifest).unwrap();
}
