//! The configuration as a user writes it: what is wrong is refused by file, line and key with status 78, and what is
//! shipped in `config/` is right and means what it says.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside test functions")]

#[path = "support/hairpin.rs"]
mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use hairpin::config::{self, Resolved, SourceChoice};
use support::{Bench, root};

/// The working configuration of a bench with one line put into a section, in place of the line of the same key.
/// Gives the file and the line's number.
fn with(bench: &Bench, section: &str, line: &str) -> (PathBuf, usize) {
    let good = std::fs::read_to_string(bench.config("", "")).unwrap();
    let key = format!("{} =", line.split(' ').next().unwrap());
    let mut lines: Vec<&str> = good.lines().filter(|l| !l.starts_with(&key)).collect();
    let header = format!("[{section}]");
    if !lines.contains(&header.as_str()) {
        lines.push(&header);
    }
    let at = 1 + lines.iter().position(|l| *l == header).unwrap();
    lines.insert(at, line);
    (bench.write("hairpin.toml", &lines.join("\n")), at + 1)
}

/// `hairpin check` refuses the line, naming file, line and whatever else is asked for.
#[track_caller]
fn refused(section: &str, line: &str, words: &[&str]) {
    let bench = Bench::new();
    let (path, number) = with(&bench, section, line);
    let ran = bench.run(&["check", "--config", path.to_str().unwrap()]).ends(78, words);
    let (sense, syntax) = (format!("hairpin.toml:{number}: "), format!("at line {number}, column"));
    let named = ran.err.contains(&sense) || ran.err.contains("hairpin.toml") && ran.err.contains(&syntax);
    assert!(named, "[{section}] {line} stands on line {number}, and this does not say so: {}", ran.err);
}

/// `hairpin check` of a configuration with this `[source]`.
fn check_source(source: &str, more: &str) -> support::Ran {
    let bench = Bench::new();
    let path = bench.config_of(source, more);
    bench.run(&["check", "--config", path.to_str().unwrap()])
}

#[test]
fn a_camera_is_configured_or_refused_by_key() {
    let camera = "kind = \"v4l2\"\ndevice = \"usb:1d6b:ffff:NONE\"";
    let full = "\n[source.v4l2]\nsize = { width = 1280, height = 1024 }\nformat = \"mjpeg\"\n\
        [source.v4l2.controls]\nexposure = \"lock\"\ngain = 40\nwhite_balance = \"auto\"\npower_line = \"50hz\"";
    let more = "[[trigger]]\nkey = \"camera\"\ndoes = \"next-finger\"\n\
        [[trigger]]\nkey = \"code:57\"\ndoes = \"skip\"\nfrom = \"/dev/input/by-id/pedal\"\n\
        [scale]\nfile = \"scales.jsonl\"\nmagnification = \"200x\"";
    let checked = check_source(&format!("{camera}{full}"), more).ok();
    assert!(
        checked.out.contains("no device fits usb:1d6b:ffff:NONE"),
        "an absent camera is waited for: {}",
        checked.out
    );
    for (source, more, words) in [
        ("kind = \"v4l2\"\ndevice = \"video0\"", "", &["names no device"][..]),
        ("kind = \"v4l2\"\npath = \"x\"", "", &["source.path", "\"v4l2\""]),
        ("kind = \"simulated\"\ndevice = \"any\"", "", &["source.device", "\"simulated\""]),
        ("kind = \"v4l2\"\n[source.v4l2]\nframes_per_s = 0.0", "", &["frames_per_s"]),
        ("kind = \"v4l2\"\n[source.v4l2]\nformat = \"png\"", "", &["format"]),
        ("kind = \"v4l2\"\n[source.v4l2.controls]\nexposure = \"manual\"", "", &["exposure"]),
        (camera, "[[trigger]]\nkey = \"KEY_CAMERA\"\ndoes = \"skip\"", &["is no key"]),
        (camera, "[[trigger]]\nkey = \"camera\"\ndoes = \"shoot\"", &["shoot"]),
        (camera, "[scale]\nfile = \"s\"\nmagnification = \"\"", &["scale.magnification"]),
    ] {
        check_source(source, more).ends(78, &[words, &["hairpin.toml"]].concat());
    }
}

#[test]
fn an_unknown_or_misspelt_key_is_refused_in_every_section() {
    for (section, key) in [
        ("sauce", ""),
        ("source", "knid = 1"),
        ("source.simulated", "sed = 1"),
        ("model", "bundel = 1"),
        ("runtime", "thread = 1"),
        ("gate", "least_lumma = 1"),
        ("pool", "min_frame = 1"),
        ("exam", "settle = 1"),
        ("record", "folders = 1"),
        ("file", "paht = 1"),
        ("emit", "htp = 1"),
        ("log", "levle = 1"),
    ] {
        let unknown = key.split(' ').next().filter(|key| !key.is_empty()).unwrap_or(section);
        let bench = Bench::new();
        let (path, line) = with(&bench, section, key);
        let line = if key.is_empty() { line - 1 } else { line };
        let ran = bench.run(&["check", "--config", path.to_str().unwrap()]);
        let ran = ran.ends(78, &["hairpin.toml", &format!("unknown field `{unknown}`")]);
        assert!(
            ran.err.contains(&format!("at line {line}, column")),
            "[{section}] {key}: not line {line}: {}",
            ran.err
        );
    }
}

#[test]
fn a_value_out_of_its_range_is_refused_in_every_section_that_has_ranges() {
    for (section, line) in [
        ("source.simulated", "frames_per_s = 0.0"),
        ("source.simulated", "frames_per_s = nan"),
        ("source.simulated", "size = { width = 641, height = 512 }"),
        ("source.simulated", "size = { width = 640, height = 1 }"),
        ("source.simulated", "fields = 0"),
        ("source.simulated", "hold_s = 0.1"),
        ("source.simulated", "field_mm = 9.0"),
        ("source.simulated", "trouble_share = 1.5"),
        ("source.simulated", "fingers = []"),
        ("runtime", "threads = 0"),
        ("runtime", "threads = 65"),
        ("runtime", "providers = []"),
        ("runtime", "providers = [\"cpu\", \"cpu\"]"),
        ("runtime", "library = \"\""),
        ("gate", "least_luma = 300.0"),
        ("gate", "most_glare = 2.0"),
        ("gate", "most_dark = nan"),
        ("gate", "most_speed = 0.0"),
        ("pool", "min_frames = 1"),
        ("pool", "min_span_ms = 0"),
        ("pool", "trim = nan"),
        ("pool", "min_positive_fields = 1"),
        ("exam", "settle_ms = 10001"),
        ("record", "keyframes_per_field = 9"),
        ("record", "least_free_mb = 1"),
        ("emit", "readers = 0"),
        ("emit", "state_every_ms = 1"),
        ("emit", "http = \"0.0.0.0:7411\""),
        ("emit", "tcp = \"192.0.2.1:7410\""),
        ("emit", "control = { path = \"control.sock\", mode = \"0666\" }"),
        ("log", "level = \"loud\""),
        ("log", "level = \"\""),
    ] {
        refused(section, line, &[section, line.split(' ').next().unwrap()]);
    }
}

#[test]
fn a_value_of_the_wrong_type_or_word_is_refused() {
    refused("runtime", "threads = \"two\"", &["threads", "invalid type", "expected u32"]);
    refused("exam", "settle_ms = -5", &["settle_ms", "-5"]);
    refused("runtime", "on_missing = \"ignore\"", &["ignore", "`refuse` or `next`"]);
    refused("runtime", "providers = [\"gpu\"]", &["gpu", "`cuda`"]);
    refused("source", "kind = \"camera\"", &["camera", "`simulated`, `replay`, `v4l2`"]);
    refused("source.simulated", "fingers = [\"R9\"]", &["R9"]);
    refused("emit", "http = \"localhost\"", &["http"]);
    refused("emit", "stream = { path = \"stream.sock\", mode = \"rw\" }", &["octal"]);
    refused("log", "form = \"xml\"", &["xml", "`text` or `json`"]);
    refused("model", "bundle = 7", &["bundle", "expected path string"]);
}

#[test]
fn two_outputs_on_one_path_are_refused_however_it_is_written() {
    for (section, line, words) in [
        ("file", "path = \"exams\"", ["file.path", "record.folder"]),
        ("file", "path = \"stream.sock\"", ["emit.stream.path", "file.path"]),
        ("file", "path = \"./x/../control.sock\"", ["emit.control.path", "file.path"]),
        ("record", "folder = \"stream.sock\"", ["emit.stream.path", "record.folder"]),
        ("emit", "control = { path = \"stream.sock\" }", ["stream.path", "control.path"]),
    ] {
        let bench = Bench::new();
        let (path, _) = with(&bench, section, line);
        let ran = bench.run(&["check", "--config", path.to_str().unwrap()]).ends(78, &words);
        assert!(ran.err.contains("hairpin.toml:"), "{line}: no line is named: {}", ran.err);
    }
}

#[test]
fn a_source_takes_only_what_is_its_own() {
    let rest = "[model]\nbundle = \"b\"\n[runtime]\n";
    for (source, line, words) in [
        ("[source]\nkind = \"replay\"\n", 2, "needs source.path"),
        ("[source]\nkind = \"replay\"\npath = \"x\"\n[source.simulated]\nseed = 2\n", 4, "source.simulated: is set"),
        ("[source]\nkind = \"simulated\"\n[source.replay]\nas_live = true\n", 3, "source.replay: is set"),
        ("[source]\nkind = \"simulated\"\npath = \"x\"\n", 3, "source.path: is set"),
        ("[source]\nkind = \"replay\"\npath = \"x\"\n[source.replay]\num_per_px = 99.0\n", 5, "um_per_px"),
        ("[source]\nkind = \"replay\"\npath = \"x\"\n[source.replay]\npace = { factor = 5000.0 }\n", 5, "pace.factor"),
    ] {
        let bench = Bench::new();
        let path = bench.write("replay.toml", &format!("{source}{rest}"));
        let place = format!("replay.toml:{line}: ");
        bench.run(&["check", "--config", path.to_str().unwrap()]).ends(78, &[&place, words]);
    }
}

#[test]
fn a_missing_section_or_key_is_named() {
    for (text, words) in [
        ("", "missing field `source`"),
        ("[source]\nkind = \"simulated\"\n[runtime]\n", "missing field `model`"),
        ("[source]\n[model]\nbundle = \"b\"\n[runtime]\n", "missing field `kind`"),
        ("[source]\nkind = \"simulated\"\n[model]\n[runtime]\n", "missing field `bundle`"),
    ] {
        let bench = Bench::new();
        let path = bench.write("hairpin.toml", text);
        bench.run(&["check", "--config", path.to_str().unwrap()]).ends(78, &["hairpin.toml", words]);
    }
}

#[test]
fn a_file_that_is_no_configuration_is_refused() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("folder.toml")).unwrap();
    std::fs::write(bench.path("latin.toml"), b"[source]\nkind = \"simul\xE9\"\n").unwrap();
    bench.write("large.toml", &"# much\n".repeat(300_000));
    for (file, words) in [
        ("missing.toml", &["missing.toml", "No such file"][..]),
        ("folder.toml", &["folder.toml", "Is a directory"]),
        ("latin.toml", &["latin.toml:2: ", "UTF-8"]),
        ("large.toml", &["large.toml", "too many"]),
        ("/dev/zero", &["/dev/zero", "too many"]),
    ] {
        for command in ["check", "run", "doctor"] {
            // The doctor goes on looking, and says at the end that something is wrong.
            let (code, words) = if command == "doctor" { (69, &[][..]) } else { (78, words) };
            bench.run(&[command, "--config", file]).ends(code, words);
        }
    }
}

#[test]
fn the_configuration_comes_from_the_option_then_the_environment() {
    let bench = Bench::new();
    let ran = bench.command(&["check"]).env("HAIRPIN_CONFIG", "of-environment.toml").output().unwrap();
    assert!(String::from_utf8_lossy(&ran.stderr).contains("of-environment.toml"), "{ran:?}");
    let ran = bench.command(&["check", "--config", "given.toml"]).env("HAIRPIN_CONFIG", "other.toml").output().unwrap();
    assert!(String::from_utf8_lossy(&ran.stderr).contains("given.toml"), "{ran:?}");
}

#[test]
fn relative_paths_are_taken_from_the_folder_of_the_file() {
    let bench = Bench::new();
    let text = "[source]\nkind = \"replay\"\npath = \"films\"\n[source.replay]\nsidecar = \"s.toml\"\n\
                [model]\nbundle = \"../nowhere\"\n[runtime]\nlibrary = \"/opt/ort.so\"\n[record]\nfolder = \"exams\"\n\
                [file]\npath = \"lines.jsonl\"\n[emit]\nstream = { path = \"a.sock\" }\ncontrol = { path = \"b.sock\" }\n";
    let path = bench.write("conf/hairpin.toml", text);
    let conf = bench.path("conf");
    let config = config::load(&path).unwrap();
    assert_eq!(config.record.unwrap().folder, conf.join("exams"));
    assert_eq!(config.file, Some(conf.join("lines.jsonl")));
    assert_eq!(config.emit.stream.unwrap().path, conf.join("a.sock"));
    assert_eq!(config.emit.control.unwrap().path, conf.join("b.sock"));
    assert_eq!(config.runtime.library, Path::new("/opt/ort.so"));
    let SourceChoice::Replay { path: films, settings } = config.source else { panic!("{:?}", config.source) };
    assert_eq!((films, settings.sidecar), (conf.join("films"), Some(conf.join("s.toml"))));
    bench.run(&["check", "--config", "conf/hairpin.toml"]).ends(78, &["conf/../nowhere/manifest.toml"]);
}

fn shipped(name: &str) -> Resolved {
    config::load(&root().join("config").join(name)).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_shipped_configuration_resolves() {
    let mut names: Vec<_> =
        std::fs::read_dir(root().join("config")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert!(names.len() >= 3, "{names:?}");
    for name in names {
        shipped(name.to_str().unwrap());
    }
}

#[test]
fn hairpin_toml_shows_the_defaults() {
    let shown = shipped("hairpin.toml");
    assert_eq!(shown.gate, Default::default());
    assert_eq!(shown.pool, Default::default());
    assert_eq!(shown.exam, Default::default());
    assert_eq!(shown.log, Default::default());
    assert_eq!(shown.source, SourceChoice::Simulated(Default::default()));
    let record = shown.record.unwrap();
    assert_eq!(record.keyframes_per_field, hairpin::pipeline::KEYFRAMES_PER_FIELD);
    let bench = Bench::new();
    assert_eq!(record.least_free_mb, config::load(&bench.config("", "")).unwrap().record.unwrap().least_free_mb);
    // Where things stand is a choice, not a default; all else is.
    let library = hairpin::infer::Settings::default().library;
    assert!(shown.runtime.library.ends_with(&library), "{}", shown.runtime.library.display());
    assert_eq!(hairpin::infer::Settings { library, ..shown.runtime }, Default::default());
    assert_eq!(shown.emit.page, Some(Default::default()));
    let emit = hairpin::emit::Settings { stream: None, control: None, tcp: None, http: None, page: None, ..shown.emit };
    assert_eq!(emit, Default::default());
}

#[test]
fn a_simulated_microscope_is_not_opened_again_because_its_time_would_begin_anew() {
    let (source, reopen) = hairpin::daemon::assemble::source(&shipped("demo.toml")).unwrap();
    assert!(source.info().live && reopen.is_none());
}

#[test]
fn hairpin_toml_shows_the_modes_that_sockets_get() {
    let bench = Bench::new();
    let service = bench.serve(&bench.config("", ""));
    let mode = |name: &str| std::fs::metadata(bench.path(name)).unwrap().permissions().mode() & 0o777;
    let shown = shipped("hairpin.toml").emit;
    assert_eq!(mode("stream.sock"), shown.stream.unwrap().mode.unwrap().0);
    assert_eq!(mode("control.sock"), shown.control.unwrap().mode.unwrap().0);
    drop(service);
}

#[test]
fn what_is_commented_out_in_hairpin_toml_works_too() {
    let text = std::fs::read_to_string(root().join("config/hairpin.toml")).unwrap();
    let offered = |line: &str| line.starts_with("# [") || line.starts_with("# ") && line.contains(" = ");
    let used: Vec<&str> = text.lines().map(|line| if offered(line) { &line[2..] } else { line }).collect();
    assert!(used.iter().any(|line| line.starts_with("tcp =")), "{used:?}");
    let bench = Bench::new();
    let config = config::load(&bench.write("conf/hairpin.toml", &used.join("\n"))).unwrap();
    assert!(config.file.is_some() && config.emit.tcp.is_some());
}
