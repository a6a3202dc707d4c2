//! The files of a bundle: what lies in the folder is what the manifest names, byte for byte.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::{BundleError, MANIFEST};
use crate::digest::{sha256, sha256_of_file};

/// A bundle is flat but for `golden/`; deeper folders are something else.
const DEPTH: usize = 4;

/// Digest of every file but the manifest, by path relative to the folder.
pub(super) type Files = BTreeMap<String, String>;

/// Refuses a folder that lacks a named file, holds another, or holds other bytes.
pub(super) fn check(bundle: &Path, files: &Files) -> Result<(), BundleError> {
    let mut found = BTreeSet::new();
    walk(bundle, bundle, "", DEPTH, &mut found)?;
    if let Some(missing) = files.keys().find(|name| !found.contains(*name)) {
        return Err(wrong(bundle, format!("expected {missing}, found no such file")));
    }
    if let Some(extra) = found.iter().find(|name| *name != MANIFEST && !files.contains_key(*name)) {
        return Err(wrong(bundle, format!("found {extra}, which [files] does not name")));
    }
    for (name, expected) in files {
        let path = bundle.join(name);
        let found = sha256_of_file(&path).map_err(|source| BundleError::Unreadable { path, source })?;
        same(bundle, name, expected, &found)?;
    }
    Ok(())
}

/// The bytes of one named file, checked as read: what was verified is what is used.
pub(super) fn read(bundle: &Path, files: &Files, name: &str) -> Result<Vec<u8>, BundleError> {
    let Some(expected) = files.get(name) else {
        return Err(wrong(bundle, format!("[files] does not name {name}")));
    };
    let path = bundle.join(name);
    let bytes = fs::read(&path).map_err(|source| BundleError::Unreadable { path, source })?;
    same(bundle, name, expected, &sha256(&bytes))?;
    Ok(bytes)
}

fn walk(
    bundle: &Path,
    folder: &Path,
    prefix: &str,
    depth: usize,
    found: &mut BTreeSet<String>,
) -> Result<(), BundleError> {
    let unreadable = |source| BundleError::Unreadable { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let Ok(name) = entry.file_name().into_string() else {
            return Err(wrong(bundle, format!("found {:?}, whose name is not UTF-8", entry.file_name())));
        };
        let name = format!("{prefix}{name}");
        // Of the entry itself: a link is not followed.
        let kind = entry.file_type().map_err(unreadable)?;
        if kind.is_dir() && depth > 0 {
            walk(bundle, &entry.path(), &format!("{name}/"), depth - 1, found)?;
        } else if kind.is_file() {
            found.insert(name);
        } else {
            return Err(wrong(bundle, format!("found {name}, which is neither a plain file nor a folder of one")));
        }
    }
    Ok(())
}

fn same(bundle: &Path, name: &str, expected: &str, found: &str) -> Result<(), BundleError> {
    if expected == found {
        return Ok(());
    }
    Err(wrong(bundle, format!("{name}: expected sha256 {expected}, found {found}")))
}

fn wrong(bundle: &Path, message: String) -> BundleError {
    BundleError::Files { dir: bundle.to_owned(), message }
}

#[cfg(test)]
mod tests {
    use super::super::Bundle;
    use super::*;

    const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/bundles/tiny-resize-0.1.0");

    fn copy() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("golden")).unwrap();
        for name in [MANIFEST, "CARD.md", "model.onnx", "golden/input.png", "golden/expected.json"] {
            fs::copy(Path::new(TINY).join(name), folder.path().join(name)).unwrap();
        }
        folder
    }

    fn refused(folder: &Path) -> String {
        let error = Bundle::load(folder).unwrap_err();
        assert!(matches!(error, BundleError::Files { .. }), "{error:?}");
        error.to_string()
    }

    #[test]
    fn a_changed_byte_is_told_with_both_digests() {
        let folder = copy();
        Bundle::load(folder.path()).unwrap();
        let path = folder.path().join("model.onnx");
        let mut bytes = fs::read(&path).unwrap();
        let was = sha256(&bytes);
        bytes[1000] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let error = refused(folder.path());
        let expected = format!("model.onnx: expected sha256 {was}, found {}", sha256(&bytes));
        assert!(error.contains(&expected), "{error}");
    }

    #[test]
    fn a_file_changed_after_loading_is_not_handed_out() {
        let folder = copy();
        let bundle = Bundle::load(folder.path()).unwrap();
        assert!(!bundle.model_bytes().unwrap().is_empty());
        fs::write(folder.path().join("model.onnx"), b"another model").unwrap();
        assert!(bundle.model_bytes().unwrap_err().to_string().contains("expected sha256"));
    }

    #[test]
    fn missing_and_extra_files_are_named() {
        let folder = copy();
        fs::remove_file(folder.path().join("CARD.md")).unwrap();
        assert!(refused(folder.path()).contains("expected CARD.md, found no such file"));
        let folder = copy();
        fs::write(folder.path().join("golden/notes.txt"), "x").unwrap();
        assert!(refused(folder.path()).contains("found golden/notes.txt, which [files] does not name"));
        let folder = copy();
        fs::write(folder.path().join(".DS_Store"), "x").unwrap();
        assert!(refused(folder.path()).contains("found .DS_Store"));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_refused_even_to_the_right_bytes() {
        let folder = copy();
        fs::remove_file(folder.path().join("CARD.md")).unwrap();
        std::os::unix::fs::symlink(Path::new(TINY).join("CARD.md"), folder.path().join("CARD.md")).unwrap();
        assert!(refused(folder.path()).contains("found CARD.md, which is neither a plain file"));
    }
}
