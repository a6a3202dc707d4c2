//! Every subcommand as a user or a script meets it: what it prints, and with which words and status it fails.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside test functions")]

#[path = "support/hairpin.rs"]
mod hairpin_bench;
#[path = "support/pictures.rs"]
mod pictures;
#[path = "support/tiny.rs"]
mod tiny_bundle;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use base64::Engine as _;
use hairpin::synth::pathology::Cohort;
use hairpin_bench::{Bench, Ran, root, tiny};
use image::ImageFormat;
use pictures::{claiming, put, rewritten};
use serde_json::Value;

const SUBCOMMANDS: [&str; 16] = [
    "run",
    "replay",
    "read",
    "eval",
    "check",
    "doctor",
    "exam",
    "models",
    "verify",
    "report",
    "amend",
    "sign",
    "watch",
    "synth",
    "schema",
    "completions",
];

/// One readable JPEG frame.
fn frame() -> &'static [u8] {
    static FRAME: OnceLock<Vec<u8>> = OnceLock::new();
    FRAME.get_or_init(|| pictures::held(Cohort::Healthy, 1, 4).remove(0).remove(3))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// `hairpin check` on the bench's configuration with one text put for another.
fn checked(from: &str, to: &str) -> Ran {
    let bench = Bench::new();
    let path = bench.config("", "");
    let good = std::fs::read_to_string(&path).unwrap();
    assert!(good.contains(from), "the configuration has no {from:?}");
    std::fs::write(&path, good.replace(from, to)).unwrap();
    bench.run(&["check", "--config", text(&path)])
}

#[test]
fn help_exists_for_every_subcommand() {
    let bench = Bench::new();
    let all = bench.run(&["--help"]).ok();
    for name in SUBCOMMANDS {
        assert!(all.out.contains(&format!("\n  {name} ")), "hairpin --help does not list {name}: {}", all.out);
        let help = bench.run(&[name, "--help"]).ok();
        assert!(help.out.contains(&format!("Usage: hairpin {name}")), "{name}: {}", help.out);
    }
    for words in [["exam", "open"], ["exam", "skip"], ["models", "list"], ["models", "verify"]] {
        bench.run(&[words[0], words[1], "--help"]).ok();
    }
}

#[test]
fn a_wrong_command_line_ends_with_2_and_says_what_is_wrong() {
    let bench = Bench::new();
    for (args, words) in [
        (&["rnu"][..], "unrecognized subcommand 'rnu'"),
        (&[], "Usage: hairpin"),
        (&["run", "--confg", "x"], "'--confg'"),
        (&["read"], "<IMAGE>"),
        (&["replay"], "<PATH>"),
        (&["replay", "x", "--pace", "quick"], "as-fast, real-time, or a factor"),
        (&["replay", "x", "--finger", "R9"], "R9"),
        (&["exam", "finger", "thumb"], "thumb"),
        (&["exam", "open", "Jane Doe"], "<SUBJECT>"),
        (&["exam", "--wait", "0", "status"], "0 is not in 1..=600"),
        (&["completions", "tcsh-of-old"], "possible values"),
    ] {
        bench.run(args).ends(2, &[words]);
    }
}

#[test]
fn completions_name_every_subcommand() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = bench.run(&["completions", shell]).ok().out;
        for name in SUBCOMMANDS {
            assert!(script.contains(name), "the {shell} script does not know {name}");
        }
    }
}

#[test]
fn all_schemas_are_json_schema_and_refuse_what_does_not_fit() {
    let bench = Bench::new();
    for args in [&["schema"][..], &["schema", "--exam"], &["schema", "--amendments"]] {
        let schema = bench.run(args).ok().json();
        if let Err(error) = jsonschema::meta::validate(&schema) {
            panic!("{args:?} is no JSON Schema: {error}");
        }
        assert!(!jsonschema::is_valid(&schema, &serde_json::json!({})), "{args:?} accepts an empty object");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let bench = Bench::new();
    let config = bench.config("", "");
    put(&bench.path("R2/a.jpg"), frame());
    let (config, film) = (text(&config).to_owned(), text(&bench.path("R2")).to_owned());
    for args in [
        &["schema"][..],
        &["--help"],
        &["completions", "bash"],
        &["models", "list", text(tiny().parent().unwrap())],
        &["check", "--config", &config],
        &["doctor", "--json", "--config", &config],
        &["replay", &film, "--subject", "P1", "--finger", "R2", "--json", "--config", &config],
        &["read", text(&bench.path("R2/a.jpg")), "--config", &config],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = bench.command(args).stdout(writer).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(0), "{args:?}: {said}");
        assert!(!said.contains("panicked") && !said.contains("roken pipe"), "{args:?}: {said}");
    }
}

#[test]
fn models_are_listed_and_verified() {
    let bench = Bench::new();
    let config = bench.config("", "");
    let folder = tiny().parent().unwrap().to_owned();
    let listed = bench.run(&["models", "list", text(&folder), "--json"]).ok().json();
    let names: Vec<&str> = listed.as_array().unwrap().iter().filter_map(|one| one["model"].as_str()).collect();
    let expected =
        ["tiny-features 0.1.0", "tiny-mixed 0.1.0", "tiny-resize 0.1.0", "tiny-scale 0.1.0", "tiny-shape 0.1.0"];
    assert_eq!(names, expected, "{listed}");
    assert_eq!(listed[0]["validated_on_patients"], false);
    let table = bench.run(&["models", "list", text(&folder)]).ok().out;
    assert!(table.contains("not validated on patients"), "{table}");
    bench.run(&["models", "list", "nowhere"]).ends(74, &["nowhere"]);

    for name in ["tiny-features-0.1.0", "tiny-resize-0.1.0", "tiny-scale-0.1.0"] {
        let bundle = folder.join(name);
        let args = ["models", "verify", text(&bundle), "--json", "--config", text(&config)];
        let steps = bench.run(&args).ok().json();
        let steps: Vec<&str> = steps.as_array().unwrap().iter().filter_map(|step| step["step"].as_str()).collect();
        assert_eq!(steps, ["manifest", "files", "session", "golden"], "{name}");
    }
}

/// `models verify` and `check` both refuse the bundle with these words.
#[track_caller]
fn bundle_refused(bundle: &Path, words: &[&str]) {
    let bench = Bench::new();
    let config = bench.config("", "");
    let ran = bench.run(&["models", "verify", text(bundle), "--config", text(&config)]).ends(78, &[text(bundle)]);
    let good = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, good.replace(text(&tiny()), text(bundle))).unwrap();
    bench.run(&["check", "--config", text(&config)]).ends(78, words);
    for word in words {
        assert!(ran.out.contains(word), "models verify does not say {word:?}: {}", ran.out);
    }
}

#[test]
fn a_bundle_that_is_not_what_it_says_is_refused_with_expected_and_found() {
    let digest = tiny_bundle::with("tiny-resize", "ffa43a8ba0", "0000000000");
    bundle_refused(digest.path(), &["CARD.md", "expected sha256 0000000000", "found ffa43a8ba0"]);
    let shape = tiny_bundle::with("tiny-resize", "width = 48", "width = 56");
    bundle_refused(shape.path(), &["expected", "56", "found", "48"]);
    let extra = tiny_bundle::with("tiny-resize", "0.1.0", "0.1.0");
    std::fs::write(extra.path().join("notes.txt"), "x").unwrap();
    bundle_refused(extra.path(), &["found notes.txt"]);
    let missing = tiny_bundle::with("tiny-resize", "0.1.0", "0.1.0");
    std::fs::remove_file(missing.path().join("model.onnx")).unwrap();
    bundle_refused(missing.path(), &["expected model.onnx", "no such file"]);
    let cut = tiny_bundle::with("tiny-resize", "0.1.0", "0.1.0");
    tiny_bundle::replace(cut.path(), "model.onnx", b"no model");
    bundle_refused(cut.path(), &["model.onnx"]);
    let key = tiny_bundle::with("tiny-resize", "labels =", "lables =");
    bundle_refused(key.path(), &["manifest.toml:6: ", "lables"]);
}

#[test]
fn a_library_that_is_missing_or_none_is_unavailable() {
    let library = hairpin_bench::library();
    let words = ["make setup", "[runtime] library"];
    checked(text(&library), "/nowhere/libonnxruntime.so").ends(69, &words).says("/nowhere/libonnxruntime.so");
    checked(text(&library), text(&root().join("Cargo.toml"))).ends(69, &words).says("Cargo.toml");
    checked(text(&library), "/dev/null").ends(69, &words).says("/dev/null");
}

#[test]
fn a_provider_that_the_library_lacks_is_refused_or_passed_over_as_configured() {
    let section = "[runtime]\n";
    let asked = "[runtime]\nproviders = [\"cuda\", \"cpu\"]\n";
    let install = ["cuda", "onnxruntime-gpu", "CUDA 13", "cuDNN 9", "on_missing = \"next\""];
    checked(section, &format!("{asked}on_missing = \"refuse\"\n")).ends(69, &install);
    let passed = checked(section, &format!("{asked}on_missing = \"next\"\n")).ends(0, &["cuda", "cpu"]);
    assert!(passed.out.contains("runs it on cpu (CPUExecutionProvider"), "{}", passed.out);
}

#[test]
fn an_output_that_cannot_be_opened_is_an_io_failure() {
    for (from, to, words) in [
        ("folder = \"exams\"", "folder = \"/dev/null/exams\"", "/dev/null"),
        ("folder = \"exams\"", "folder = \"hairpin.toml\"", "hairpin.toml"),
        ("\"stream.sock\"", "\"no/such/stream.sock\"", "folder"),
        ("\"control.sock\"", "\"no/such/control.sock\"", "folder"),
        ("[log]", "[file]\npath = \"no/such/lines.jsonl\"\n[log]", "no/such"),
    ] {
        checked(from, to).ends(74, &[words]);
        let bench = Bench::new();
        let path = bench.config("paced = false", "");
        let good = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, good.replace(from, to)).unwrap();
        bench.run(&["run", "--config", text(&path)]).ends(74, &[words]);
        assert!(!bench.path("stream.sock").exists(), "{to}: a failed start leaves a socket behind");
    }
}

/// Root may write anywhere, so this needs another user: where the tests are root, nobody.
#[test]
fn an_output_without_permission_is_an_io_failure() {
    let bench = Bench::new();
    // Where another user may read: a folder of their own for the outputs, and one that is closed to them.
    std::fs::set_permissions(bench.dir.path(), Permissions::from_mode(0o755)).unwrap();
    let binary = bench.path("hairpin");
    std::fs::copy(env!("CARGO_BIN_EXE_hairpin"), &binary).unwrap();
    for (folder, mode) in [("open", 0o777), ("closed", 0o555)] {
        std::fs::create_dir(bench.path(folder)).unwrap();
        std::fs::set_permissions(bench.path(folder), Permissions::from_mode(mode)).unwrap();
    }
    let (library, model) = (hairpin_bench::library(), hairpin_bench::tiny());
    copy_for_all(&model, &bench.path("model"));
    std::fs::copy(&library, bench.path("ort.so")).unwrap();
    let good = std::fs::read_to_string(bench.config("paced = false", "")).unwrap();
    let good = good
        .replace(&format!("{model:?}"), "\"model\"")
        .replace(&format!("{library:?}"), "\"ort.so\"")
        .replace("\"exams\"", "\"open/exams\"")
        .replace("\"stream.sock\"", "\"open/stream.sock\"")
        .replace("\"control.sock\"", "\"open/control.sock\"");
    let run = |command: &str, text: &str| {
        bench.write("hairpin.toml", text);
        let mut child = Command::new(&binary);
        child.args([command, "--config", "hairpin.toml"]).current_dir(bench.dir.path()).stdin(Stdio::null());
        if rustix::process::geteuid().is_root() {
            child.uid(65534).gid(65534);
        }
        let output = child.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, told) = run("check", &good);
    assert_eq!(code, Some(0), "the user can run it at all: {told}");
    for (from, to) in [
        ("\"open/exams\"", "\"closed/exams\""),
        ("\"open/stream.sock\"", "\"closed/stream.sock\""),
        ("\"open/control.sock\"", "\"closed/control.sock\""),
        ("[log]", "[file]\npath = \"closed/lines.jsonl\"\n[log]"),
    ] {
        for command in ["check", "run"] {
            let (code, told) = run(command, &good.replace(from, to));
            assert_eq!(code, Some(74), "{command} with {to}: {told}");
            assert!(told.contains("closed") && told.contains("ermission denied"), "{command} with {to}: {told}");
            assert!(!told.contains("panicked"), "{told}");
        }
    }
}

fn copy_for_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() { copy_for_all(&path, &target) } else { std::fs::copy(&path, &target).map(drop).unwrap() }
    }
}

/// `hairpin read FILE --json`: the one picture's outcome.
fn read(bench: &Bench, file: &str) -> Value {
    let config = bench.config("", "");
    let path = bench.path(file);
    let args = ["read", text(&path), "--um-per-px", pictures::UM_PER_PX, "--json", "--config", text(&config)];
    bench.run(&args).ok().json()["images"][0].clone()
}

#[test]
fn a_picture_is_read_the_same_from_every_format() {
    let bench = Bench::new();
    put(&bench.path("a.jpg"), frame());
    let jpeg = read(&bench, "a.jpg");
    assert_eq!(jpeg["outcome"], "scored", "{jpeg}");
    assert_eq!(jpeg["labels"], serde_json::json!(["category 1", "category 2"]));
    let probs =
        |seen: &Value| -> Vec<f64> { seen["probs"].as_array().unwrap().iter().map(|p| p.as_f64().unwrap()).collect() };
    let mut others = Vec::new();
    for (name, format) in [("a.png", ImageFormat::Png), ("a.tiff", ImageFormat::Tiff), ("a.bmp", ImageFormat::Bmp)] {
        put(&bench.path(name), &rewritten(frame(), format));
        let seen = read(&bench, name);
        assert_eq!(seen["outcome"], "scored", "{name}: {seen}");
        // Another decoder upsamples colour otherwise by a few grey levels.
        let near = probs(&seen).iter().zip(probs(&jpeg)).all(|(a, b)| (a - b).abs() < 0.03);
        assert!(near, "{name} differs from the JPEG: {seen} {jpeg}");
        others.push(probs(&seen));
    }
    assert!(others.windows(2).all(|pair| pair[0] == pair[1]), "the same pixels give other scores: {others:?}");
}

#[test]
fn the_plain_result_is_a_score_and_no_verdict() {
    let bench = Bench::new();
    let config = bench.config("", "");
    put(&bench.path("a.jpg"), frame());
    let args = ["read", "a.jpg", "--um-per-px", pictures::UM_PER_PX, "--config", text(&config)];
    let told = bench.run(&args).ok().out;
    for words in ["a.jpg", "score category 1 0.", "no verdict", "not validated on patients; not a diagnosis"] {
        assert!(told.contains(words), "{words:?} is not in {told}");
    }
}

#[test]
fn a_damaged_picture_is_reported_and_never_scored() {
    let bench = Bench::new();
    let cut = &frame()[..frame().len() / 2];
    let (one, huge) = (pictures::one_by_one(), claiming(frame(), 20_000, 20_000));
    for (name, bytes, damage) in [
        ("empty.jpg", &b""[..], "empty"),
        ("empty.png", b"", "empty"),
        ("cut.jpg", cut, "cut"),
        ("one.jpg", &one, "size"),
        ("huge.jpg", &huge, "size"),
        ("text.jpg", b"this is a letter to a colleague", "foreign"),
        ("head.png", b"\x89PNG\r\n\x1a\n", "cut"),
    ] {
        put(&bench.path(name), bytes);
        let seen = read(&bench, name);
        assert_eq!((&seen["outcome"], &seen["damage"]), (&"undecodable".into(), &damage.into()), "{name}: {seen}");
        assert!(seen.get("probs").is_none(), "{name} was scored: {seen}");
    }
}

#[test]
fn what_is_no_picture_is_refused_by_name() {
    let bench = Bench::new();
    let config = bench.config("", "");
    put(&bench.path("letter.txt"), b"this is a letter");
    put(&bench.path("empty"), b"");
    std::fs::create_dir(bench.path("folder")).unwrap();
    for (file, code, words) in [
        ("letter.txt", 65, "JPEG, PNG, TIFF, BMP"),
        ("empty", 65, "JPEG, PNG, TIFF, BMP"),
        ("folder", 78, "hairpin replay"),
        ("missing.jpg", 69, "No such file"),
        ("/dev/null", 65, "neither a file nor a folder"),
    ] {
        bench.run(&["read", file, "--config", text(&config)]).ends(code, &[file, words]);
    }
    put(&bench.path("a.jpg"), frame());
    bench
        .run(&["read", "a.jpg", "--um-per-px", "900", "--config", text(&config)])
        .ends(78, &["um_per_px", "0.1 to 20"]);
}

#[test]
fn an_overlay_is_well_formed_and_holds_the_original_bytes() {
    let bench = Bench::new();
    let config = bench.config("", "");
    let (png, empty) = (rewritten(frame(), ImageFormat::Tiff), Vec::new());
    let files = [("a & b <1>.jpg", frame()), ("b.tiff", &png), ("c.jpg", &empty)];
    for (name, bytes) in files {
        put(&bench.path(name), bytes);
    }
    let args = [
        "read",
        files[0].0,
        files[1].0,
        files[2].0,
        "--um-per-px",
        "2.5",
        "--overlay",
        "svg",
        "--config",
        text(&config),
    ];
    bench.run(&args).ok();
    for ((name, bytes), media) in files.into_iter().zip(["image/jpeg", "image/tiff", "image/jpeg"]) {
        let svg = std::fs::read_to_string(bench.path("svg").join(Path::new(name).with_extension("svg"))).unwrap();
        well_formed(&svg);
        let data = svg.split_once(&format!("data:{media};base64,")).unwrap().1.split_once('"').unwrap().0;
        let held = base64::engine::general_purpose::STANDARD.decode(data).unwrap();
        assert!(held == bytes, "{name}: {} bytes of {}", held.len(), bytes.len());
        assert!(
            svg.contains("no verdict") && svg.contains("not validated on patients"),
            "{name}: its limits are not said"
        );
        let (sized, bar) = (svg.contains("<image width=\"640\" height=\"512\""), svg.contains("bar 500 um"));
        assert_eq!((sized, bar), (!bytes.is_empty(), !bytes.is_empty()), "{name}: a bar needs the picture's own size");
    }
}

/// Every tag is closed, in order, and no letter stands that XML forbids.
fn well_formed(svg: &str) {
    let mut open = Vec::new();
    for part in svg.split('<').skip(1) {
        let (tag, after) = part.split_once('>').unwrap_or_else(|| panic!("a tag has no end: {part:.80}"));
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
        assert_eq!(tag.matches('"').count() % 2, 0, "an attribute has no end: {tag:.80}");
        match (tag.starts_with('/'), tag.ends_with('/')) {
            (true, _) => assert_eq!(open.pop(), Some(name), "{tag:.80} closes another tag"),
            (false, true) => {}
            (false, false) => open.push(name),
        }
        let entities = after.split('&').skip(1).all(|e| e.starts_with("amp;") || e.starts_with("lt;"));
        assert!(entities && !after.chars().any(|c| c.is_control() && c != '\n'), "raw text: {after:?}");
    }
    assert!(open.is_empty(), "never closed: {open:?}");
}

#[test]
fn overlays_that_would_overwrite_each_other_are_refused() {
    let bench = Bench::new();
    let config = bench.config("", "");
    for name in ["x/a.jpg", "y/a.jpg"] {
        put(&bench.path(name), frame());
    }
    let args = ["read", "x/a.jpg", "y/a.jpg", "--overlay", "svg", "--config", text(&config)];
    bench.run(&args).ends(78, &["x/a.jpg", "y/a.jpg", "a.svg"]);
    assert!(!bench.path("svg").exists(), "something was written before the refusal");
    put(&bench.path("file"), b"");
    bench.run(&["read", "x/a.jpg", "--overlay", "file/svg", "--config", text(&config)]).ends(74, &["file/svg"]);
}

#[test]
fn the_doctor_is_content_exactly_when_nothing_asked_for_is_wrong() {
    let bench = Bench::new();
    let config = bench.config("", "");
    let looks = |ran: &Ran| ran.json().as_array().unwrap().clone();
    let find = |looks: &[Value], what: &str| -> Value {
        looks.iter().find(|look| look["what"].as_str().unwrap().starts_with(what)).cloned().unwrap_or_default()
    };
    let well = bench.run(&["doctor", "--json", "--config", text(&config)]);
    let found = looks(&well);
    assert_eq!(find(&found, "provider cpu (asked for)")["state"], "ok", "{found:?}");
    assert_eq!(find(&found, "provider cuda")["state"], "absent", "a provider that nobody asked for is not wrong");
    let wrong = found.iter().filter(|look| look["state"] == "wrong").count();
    assert_eq!(well.code, Some(if wrong == 0 { 0 } else { 69 }), "{found:?}");

    let good = std::fs::read_to_string(&config).unwrap();
    for (from, to, what) in [
        ("[runtime]\n", "[runtime]\nproviders = [\"cuda\"]\n", "provider cuda (asked for)"),
        (text(&hairpin_bench::library()), "/nowhere/ort.so", "ONNX Runtime"),
        (text(&tiny()), "/nowhere/bundle", "model"),
        ("[log]", "[lgo]", "configuration"),
    ] {
        std::fs::write(&config, good.replace(from, to)).unwrap();
        let ill = bench.run(&["doctor", "--json", "--config", text(&config)]).ends(69, &["found something wrong"]);
        assert_eq!(find(&looks(&ill), what)["state"], "wrong", "{what}: {}", ill.out);
    }
}

/// The folder of an exam of one finger.
fn recorded(bench: &Bench) -> PathBuf {
    let script = "paced = false\nscripted = true\nfingers = [\"R4\"]\nfields = 1\nhold_s = 1.0\nframes_per_s = 10.0";
    let config = bench.config(script, "");
    bench.run(&["run", "--config", text(&config)]).ok();
    bench.exam()
}

#[test]
fn a_record_that_was_changed_is_named_by_its_line() {
    let bench = Bench::new();
    let exam = recorded(&bench);
    let whole = bench.run(&["verify", text(&exam)]).ok();
    assert!(whole.out.contains("whole") && whole.out.contains("state: closed"), "{}", whole.out);
    let events = exam.join("events.jsonl");
    let good = std::fs::read_to_string(&events).unwrap();
    let lines: Vec<&str> = good.lines().collect();
    let changed = lines[4].replace("\"at_ms\":", "\"at_ms\":1");
    let swapped = [&lines[..4], &[&changed], &lines[5..]].concat().join("\n") + "\n";
    let dropped = [&lines[..4], &lines[5..]].concat().join("\n") + "\n";
    let cut = lines[..lines.len() - 1].join("\n") + "\n";
    for (text_of, words) in
        [(swapped, "line 5 of events.jsonl"), (dropped, "line 5 of events.jsonl"), (cut, "exam.json")]
    {
        std::fs::write(&events, text_of).unwrap();
        bench.run(&["verify", text(&exam)]).ends(65, &[words]);
    }
    std::fs::write(&events, good).unwrap();
    let frames = std::fs::read_dir(&exam).unwrap().map(|e| e.unwrap().path()).find(|path| path.is_dir()).unwrap();
    let frame = std::fs::read_dir(frames).unwrap().next().unwrap().unwrap().path();
    put(&frame, b"another picture");
    bench.run(&["verify", text(&exam), "--json"]).ends(65, &["was changed", "line"]);
    bench.run(&["verify", "nowhere"]).ends(65, &["nowhere"]);
}

#[test]
fn without_a_service_the_clients_say_what_to_start() {
    let bench = Bench::new();
    let socket = bench.path("none.sock");
    for args in [&["exam", "--socket", text(&socket), "status"][..], &["watch", "--socket", text(&socket)]] {
        bench.run(args).ends(69, &["none.sock", "hairpin run"]);
    }
    // A file of another kind, and a socket that its service left behind.
    put(&bench.path("file.sock"), b"");
    drop(std::os::unix::net::UnixListener::bind(bench.path("left.sock")).unwrap());
    for name in ["file.sock", "left.sock"] {
        bench.run(&["watch", "--socket", name]).ends(69, &[name, "hairpin run"]);
    }
}

#[test]
fn synth_draws_what_was_asked_for_and_never_over_another_set() {
    let bench = Bench::new();
    let args = ["synth", "--out", "set", "--count", "2", "--tile", "224"];
    bench.run(&args).ok();
    let made = std::fs::read_dir(bench.path("set")).unwrap().count();
    assert!(made > 0, "nothing was written");
    bench.run(&args).ends(74, &["set"]);
    assert_eq!(std::fs::read_dir(bench.path("set")).unwrap().count(), made, "the refused set changed the first");
    bench.run(&["synth", "--out", "/dev/null/set", "--count", "1"]).ends(74, &["/dev/null"]);
}

trait Says {
    fn says(&self, words: &str);
}

impl Says for Ran {
    #[track_caller]
    fn says(&self, words: &str) {
        assert!(self.err.contains(words), "{words:?} was not said: {}", self.err);
    }
}
