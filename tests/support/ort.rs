//! Where the ONNX Runtime library of the tests lies.

use std::path::{Path, PathBuf};

pub fn library() -> PathBuf {
    std::env::var_os("HAIRPIN_ORT")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("lib/libonnxruntime.so.1.32.0"), PathBuf::from)
}
