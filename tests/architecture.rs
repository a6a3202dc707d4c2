//! The dependency rule of ARCHITECTURE.md, held by reading the source: who may name whom, and where each foreign
//! crate lives. A line that this test refuses is in the wrong room.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::Visit;

const VOCABULARY: [&str; 10] =
    ["time", "frame", "finger", "scale", "reader", "command", "outcome", "fast_track", "measured", "report"];

/// What each module may import of this crate. `report` is listed where results leave in its words.
fn may_import() -> BTreeMap<&'static str, Vec<&'static str>> {
    let vocabulary = VOCABULARY.to_vec();
    let with = |more: &[&'static str]| [vocabulary.as_slice(), more].concat();
    BTreeMap::from([
        ("time", vec![]),
        ("frame", vec!["time"]),
        ("finger", vec![]),
        ("scale", vec![]),
        ("reader", vec!["finger"]),
        ("command", vec!["finger", "reader", "time"]),
        ("outcome", vec![]),
        ("fast_track", vec![]),
        ("measured", vec!["fast_track", "finger", "frame"]),
        ("report", vec!["fast_track", "finger", "frame", "measured", "outcome", "reader", "scale"]),
        ("append", vec!["digest"]),
        ("digest", vec![]),
        ("synth", with(&[])),
        ("calibrate", vec!["frame", "scale", "time"]),
        ("capture", with(&["synth"])),
        ("decode", vec!["frame", "outcome", "time"]),
        ("quality", vec!["frame", "outcome", "scale", "time"]),
        ("bundle", vec!["digest", "frame", "measured", "scale", "time"]),
        ("preprocess", vec!["bundle", "frame", "quality", "scale", "time"]),
        ("infer", vec!["bundle", "digest", "frame", "preprocess", "quality", "report", "scale", "time"]),
        ("measure", vec!["fast_track", "infer", "measured"]),
        ("evaluate", vec!["fast_track", "measure", "measured", "outcome", "report", "synth"]),
        ("aggregate", vec!["bundle", "fast_track", "finger", "frame", "measured", "outcome", "report", "time"]),
        ("exam", with(&[])),
        ("record", with(&["append", "digest", "exam"])),
        ("export", with(&["aggregate", "decode", "digest", "exam", "measure", "record"])),
        ("emit", with(&["append", "decode", "digest", "exam"])),
        ("client", with(&["emit"])),
        ("view", with(&[])),
        (
            "pipeline",
            with(&[
                "aggregate",
                "capture",
                "decode",
                "emit",
                "exam",
                "infer",
                "measure",
                "preprocess",
                "quality",
                "record",
            ]),
        ),
    ])
}

/// Foreign crates with one home (or a few, each named). A crate that is not here may be used anywhere.
const HOMES: [(&str, &[&str]); 20] = [
    ("ort", &["infer/onnx.rs", "infer/providers.rs"]),
    ("turbojpeg", &["decode/", "synth/camera.rs"]),
    ("image", &["decode/still.rs", "bundle/golden.rs", "cli/overlay.rs", "export/picture.rs", "synth/label.rs"]),
    ("base64", &["cli/overlay.rs", "export/html.rs"]),
    ("krilla", &["export/pdf/"]),
    ("ureq", &["infer/http.rs"]),
    ("skrifa", &["export/pdf/font.rs"]),
    ("csv", &["evaluate/labels.rs"]),
    ("sha2", &["digest.rs", "append.rs", "record/"]),
    ("toml", &["config/", "bundle/", "capture/sidecar.rs"]),
    ("axum", &["emit/"]),
    ("tokio", &["emit/", "daemon/"]),
    ("tokio_rustls", &["emit/tls.rs"]),
    ("clap", &["cli/", "main.rs"]),
    ("libc", &["daemon/memory.rs", "main.rs"]),
    ("clap_complete", &["cli/"]),
    ("crossbeam_channel", &["pipeline/", "emit/", "daemon/", "cli/"]),
    ("ratatui", &["view.rs", "view/", "cli/"]),
    ("sd_notify", &["daemon/"]),
    ("nokhwa", &["capture/nokhwa.rs"]),
];

struct Paths {
    crate_modules: BTreeSet<String>,
    foreign: BTreeSet<String>,
}

impl Paths {
    fn note(&mut self, segments: &[String]) {
        match segments {
            [first, module, ..] if first == "crate" => {
                self.crate_modules.insert(module.clone());
            }
            [first, ..] => {
                self.foreign.insert(first.clone());
            }
            [] => {}
        }
    }

    fn note_use(&mut self, prefix: &[String], tree: &syn::UseTree) {
        match tree {
            syn::UseTree::Path(path) => {
                let prefix = [prefix, &[path.ident.to_string()]].concat();
                self.note_use(&prefix, &path.tree);
            }
            syn::UseTree::Name(name) => self.note(&[prefix, &[name.ident.to_string()]].concat()),
            syn::UseTree::Rename(name) => self.note(&[prefix, &[name.ident.to_string()]].concat()),
            syn::UseTree::Glob(_) => self.note(prefix),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.note_use(prefix, tree)),
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.note_use(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        if segments.len() > 1 {
            self.note(&segments);
        }
        syn::visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let test = module.attrs.iter().any(|a| a.path().is_ident("cfg"));
        if !test {
            syn::visit::visit_item_mod(self, module);
        }
    }
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("src is there") {
        let path = entry.expect("src can be read").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Each source file as its path below `src` and the paths that it names outside its tests.
fn read_all() -> Vec<(String, Paths)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    files
        .iter()
        .filter(|file| !is_test(file))
        .map(|file| {
            let text = fs::read_to_string(file).expect("a source file can be read");
            let parsed = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
            let mut paths = Paths { crate_modules: BTreeSet::new(), foreign: BTreeSet::new() };
            paths.visit_file(&parsed);
            let name = file.strip_prefix(&src).expect("it lies below src").to_string_lossy().into_owned();
            (name, paths)
        })
        .collect()
}

/// Modules of tests alone: they may name whom they like.
fn is_test(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default();
    let folder = file.parent().and_then(Path::file_name).unwrap_or_default();
    ["tests.rs", "fixture.rs", "sweep.rs"].iter().any(|test| name == *test) || folder == "tests"
}

fn module_of(file: &str) -> &str {
    file.split('/').next().map_or(file, |first| first.strip_suffix(".rs").unwrap_or(first))
}

#[test]
fn modules_import_only_what_they_may() {
    let rule = may_import();
    let mut broken = Vec::new();
    for (file, paths) in read_all() {
        let module = module_of(&file);
        let Some(allowed) = rule.get(module) else { continue };
        for named in &paths.crate_modules {
            if named != module && !allowed.contains(&named.as_str()) {
                broken.push(format!("src/{file} names crate::{named}; {module} may import {allowed:?}"));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn every_module_is_in_the_rule_or_an_edge() {
    let edges = ["lib", "main", "config", "daemon", "cli", "telemetry", "failure"];
    let rule = may_import();
    for (file, _) in read_all() {
        let module = module_of(&file);
        assert!(rule.contains_key(module) || edges.contains(&module), "src/{file} belongs to no room of the house");
    }
}

#[test]
fn foreign_crates_stay_at_home() {
    let mut strays = Vec::new();
    for (file, paths) in read_all() {
        for (name, homes) in HOMES {
            let at_home = homes.iter().any(|home| file.starts_with(home));
            if paths.foreign.contains(name) && !at_home {
                strays.push(format!("src/{file} uses {name}, whose home is {homes:?}"));
            }
        }
    }
    assert!(strays.is_empty(), "\n{}", strays.join("\n"));
}

#[test]
fn files_keep_their_size() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (file, _) in read_all() {
        let lines = fs::read_to_string(src.join(&file)).expect("it was read before").lines().count();
        assert!(lines <= 600, "src/{file} has {lines} lines: look for the second room in it");
    }
}

#[test]
fn stages_do_not_read_the_clock_or_print() {
    let stages = [
        "decode",
        "quality",
        "bundle",
        "preprocess",
        "aggregate",
        "evaluate",
        "fast_track",
        "outcome",
        "synth",
        "exam",
        "export",
    ];
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (file, _) in read_all() {
        if !stages.contains(&module_of(&file)) {
            continue;
        }
        let text = fs::read_to_string(src.join(&file)).expect("it was read before");
        let code = text.split("#[cfg(test)]").next().unwrap_or("");
        for word in ["Instant::now", "SystemTime::now", "Timestamp::now", "tracing::info", "tracing::warn"] {
            assert!(!code.contains(word), "src/{file} says {word}: a stage gets what it needs and returns what it did");
        }
    }
}

#[test]
fn documents_name_only_files_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut missing = Vec::new();
    for document in ["README.md", "ARCHITECTURE.md"] {
        let text = fs::read_to_string(root.join(document)).unwrap_or_else(|e| panic!("{document}: {e}"));
        for word in text.split('`').skip(1).step_by(2) {
            let looks_like_a_file = word.contains('/')
                && !word.contains([' ', '*', '<', '>', '{', '$', ':', '|'])
                && ["src/", "docs/", "config/", "models/", "systemd/", "tests/", "benches/", "scripts/"]
                    .iter()
                    .any(|folder| word.starts_with(folder));
            if looks_like_a_file && !root.join(word).exists() {
                missing.push(format!("{document} names {word}"));
            }
        }
    }
    assert!(missing.is_empty(), "\n{}", missing.join("\n"));
}
