//! Loading the ONNX Runtime library. One test in a process of its own: a process loads one library, once.

#[path = "support/ort.rs"]
mod ort;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use hairpin::infer::{InferError, Runtime};

fn refused(path: &Path) -> String {
    let Err(error) = Runtime::load(path) else { panic!("{} was loaded", path.display()) };
    assert!(matches!(error, InferError::Library { .. }), "{error:?}");
    let error = error.to_string();
    assert!(error.contains(&path.display().to_string()) && error.contains("[runtime] library"), "{error}");
    error
}

/// A library that calls itself ONNX Runtime 1.17.3, and has no newer interface; `None` without a C compiler.
fn too_old(folder: &Path) -> Option<PathBuf> {
    let (source, library) = (folder.join("old.c"), folder.join("libonnxruntime.so.1.17.3"));
    fs::write(
        &source,
        "#include <stddef.h>\n\
         static const void *api(unsigned version) { return NULL; }\n\
         static const char *version(void) { return \"1.17.3\"; }\n\
         static const struct { const void *(*api)(unsigned); const char *(*version)(void); } base = { api, version };\n\
         const void *OrtGetApiBase(void) { return &base; }\n",
    )
    .expect("the folder is there");
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    let status = compiled.ok()?;
    assert!(status.success(), "cc: {status}");
    Some(library)
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

    match too_old(folder.path()) {
        Some(old) => {
            let told = refused(&old);
            assert!(told.contains("1.24 or newer") && told.contains("1.17.3"), "{told}");
        }
        None => println!("skipped: no C compiler to make an old library with"),
    }

    let runtime = Runtime::load(&ort::library()).unwrap();
    let again = Runtime::load(&ort::library()).unwrap();
    assert_eq!((runtime.path, runtime.sha256), (again.path, again.sha256));
    let copy = folder.path().join("copy.so");
    fs::copy(ort::library(), &copy).unwrap();
    assert!(refused(&copy).contains("already loaded"));
}
