//! Loading the ONNX Runtime library. One test in a process of its own: a process loads one library, once.

#[path = "support/ort.rs"]
mod ort;

use std::fs;
use std::path::Path;

use hairpin::infer::{InferError, Runtime};

fn refused(path: &Path) -> String {
    let Err(error) = Runtime::load(path) else { panic!("{} was loaded", path.display()) };
    assert!(matches!(error, InferError::Library { .. }), "{error:?}");
    let error = error.to_string();
    assert!(error.contains(&path.display().to_string()) && error.contains("[runtime] library"), "{error}");
    error
}

#[test]
fn wrong_libraries_are_refused_and_the_right_one_still_loads() {
    let folder = tempfile::tempdir().unwrap();
    assert!(refused(&folder.path().join("missing.so")).contains("No such file"));
    assert!(refused(folder.path()).contains("expected a file"));
    let text = folder.path().join("text.so");
    fs::write(&text, "not a library").unwrap();
    assert!(refused(&text).contains("failed to load"));
    let cut = folder.path().join("cut.so");
    let whole = fs::read(ort::library()).unwrap();
    fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    assert!(refused(&cut).contains("cut short"));
    // A library, but another one.
    let other = ort::library().with_file_name("libonnxruntime_providers_shared.so");
    if other.is_file() {
        assert!(refused(&other).contains("does not export `OrtGetApiBase`"));
    }

    let runtime = Runtime::load(&ort::library()).unwrap();
    let again = Runtime::load(&ort::library()).unwrap();
    assert_eq!((runtime.path, runtime.sha256), (again.path, again.sha256));
    let copy = folder.path().join("copy.so");
    fs::copy(ort::library(), &copy).unwrap();
    assert!(refused(&copy).contains("already loaded"));
}
