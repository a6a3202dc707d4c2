//! `hairpin replay` over recordings made here: the same input gives the same lines, what is damaged is counted and
//! never scored, what is wrong with a recording is named, and the golden file shows what comes out.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside test functions")]

#[path = "support/avi.rs"]
mod avi;
#[path = "support/hairpin.rs"]
mod hairpin_bench;
#[path = "support/pictures.rs"]
mod pictures;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::OnceLock;

use avi::{Avi, Coding};
use hairpin::synth::pathology::Cohort;
use hairpin_bench::{Bench, Ran, root};
use pictures::{RATE, SIZE, put};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Frames of each field: at ten a second more than the second and the ten frames that a field needs.
const EACH: usize = 14;

/// Two fields of one finger.
fn fields() -> &'static [Vec<Vec<u8>>] {
    static FIELDS: OnceLock<Vec<Vec<Vec<u8>>>> = OnceLock::new();
    FIELDS.get_or_init(|| pictures::held(Cohort::Scleroderma, 2, EACH))
}

/// What stands in a sidecar beside the fingers: rate and scale of the frames that are drawn here.
fn basics() -> String {
    format!("frames_per_s = {RATE}\nscale = {{ um_per_px = {}, how = \"simulated\" }}\n", pictures::UM_PER_PX)
}

/// Puts both fields into a folder named after a finger.
fn put_finger(folder: &Path) {
    for (field, frames) in fields().iter().enumerate() {
        for (number, frame) in frames.iter().enumerate() {
            put(&folder.join(format!("{}-{number}.jpg", ["a", "b"][field])), frame);
        }
    }
}

/// A recording of the fingers named, two fields each.
fn recording(bench: &Bench, fingers: &[&str]) -> PathBuf {
    for finger in fingers {
        put_finger(&bench.path("film").join(finger));
    }
    let fields = "[[files]]\nname = \"*/a-*\"\nfield = 1\n[[files]]\nname = \"*/b-*\"\nfield = 2\n";
    bench.write("film/replay.toml", &format!("subject = \"P017\"\n{}{fields}", basics()));
    bench.path("film")
}

fn args<'a>(film: &'a str, config: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["replay", film, "--config", config], more].concat()
}

fn replay(bench: &Bench, film: &Path, more: &[&str]) -> Ran {
    let config = bench.config("", "");
    bench.run(&args(film.to_str().unwrap(), config.to_str().unwrap(), more))
}

/// The lines of a replay that ends well.
fn lines(bench: &Bench, film: &Path, more: &[&str]) -> Vec<Value> {
    let ran = replay(bench, film, &[&["--json"], more].concat()).ok();
    ran.out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

fn report(lines: &[Value]) -> &Value {
    let closed = lines.iter().find(|line| line["step"] == "closed");
    &closed.unwrap_or_else(|| panic!("no exam was closed: {lines:?}"))["report"]
}

fn findings(lines: &[Value]) -> Vec<&Value> {
    lines.iter().filter(|line| line["event"] == "finding").collect()
}

#[test]
fn the_same_recording_gives_the_same_bytes() {
    let bench = Bench::new();
    let film = recording(&bench, &["R2"]);
    let first = replay(&bench, &film, &["--json"]).ok().out;
    assert!(first.lines().count() > 2 * EACH, "too few lines to say anything: {first}");
    let again = replay(&bench, &film, &["--json"]).ok().out;
    let differs = first.lines().zip(again.lines()).find(|(a, b)| a != b);
    assert!(first == again, "two runs differ first here: {differs:#?}");
}

#[test]
fn a_recorded_replay_gives_a_table_and_a_whole_record() {
    let bench = Bench::new();
    let film = recording(&bench, &["R2"]);
    let told = replay(&bench, &film, &["--out", "exams"]).ok().out;
    for finger in ["R2", "R3", "R4", "R5", "L2", "L3", "L4", "L5"] {
        let row = told.lines().find(|line| line.starts_with(finger));
        let row = row.unwrap_or_else(|| panic!("{finger} is not in the table: {told}"));
        assert_eq!(row.contains("not examined"), finger != "R2", "{row}");
    }
    for words in ["7 not examined", "not validated on patients; not a diagnosis", "record: exams/"] {
        assert!(told.contains(words), "{words:?} is not in {told}");
    }
    let verified = bench.run(&["verify", bench.exam().to_str().unwrap(), "--json"]).ok().json();
    assert_eq!(verified["state"]["closed"], "closed", "{verified}");
    assert!(verified["keyframes"].as_u64().unwrap() >= 2, "a field has no keyframe: {verified}");
}

#[test]
fn folders_named_after_fingers_are_those_fingers() {
    let bench = Bench::new();
    let lines = lines(&bench, &recording(&bench, &["R2", "L4"]), &[]);
    let decided: Vec<&str> =
        lines.iter().filter(|line| line["event"] == "finger").filter_map(|line| line["finger"].as_str()).collect();
    assert_eq!(decided, ["L4", "R2"]);
    let report = report(&lines);
    assert_eq!((&report["subject"], &report["summary"]["not_examined"]), (&"P017".into(), &6.into()), "{report}");
    for finger in ["L4", "R2"] {
        let fields: Vec<u64> = lines
            .iter()
            .filter(|line| line["event"] == "field" && line["finger"] == finger)
            .filter_map(|line| line["frames"]["produced"].as_u64())
            .collect();
        assert_eq!(fields, [EACH as u64, EACH as u64], "frames of the fields of {finger}");
    }
}

#[test]
fn each_subject_of_a_recording_gets_an_exam_and_a_table() {
    let bench = Bench::new();
    recording(&bench, &["R2", "R3"]);
    let subjects = "[[files]]\nname = \"R2/*\"\nsubject = \"P1\"\n[[files]]\nname = \"R3/*\"\nsubject = \"P2\"\n";
    bench.write("film/replay.toml", &format!("{}{subjects}", basics()));
    let told = replay(&bench, &bench.path("film"), &["--out", "exams"]).ok().out;
    assert_eq!(told.matches("record: exams/").count(), 2, "{told}");
    assert_eq!(std::fs::read_dir(bench.path("exams")).unwrap().count(), 2);
}

#[test]
fn films_and_streams_score_as_their_frames_do() {
    let bench = Bench::new();
    let frames = &fields()[0];
    let mut film = Avi::new(Coding::Mjpeg, SIZE.width, SIZE.height, (RATE as u32, 1));
    film.frames.clone_from(frames);
    put(&bench.path("film.avi"), &film.bytes());
    put(&bench.path("film.mjpeg"), &frames.concat());
    let scale = basics().lines().last().unwrap().to_owned();
    bench.write("film.avi.toml", &format!("{scale}\n"));
    bench.write("film.mjpeg.toml", &basics());
    let scores = |name: &str| -> Vec<Value> {
        let lines = lines(&bench, &bench.path(name), &["--subject", "P1", "--finger", "R4"]);
        assert_eq!(report(&lines)["frames"]["produced"], EACH, "{name}");
        findings(&lines).iter().map(|finding| finding["logits"].clone()).collect()
    };
    let (avi, stream) = (scores("film.avi"), scores("film.mjpeg"));
    assert!(!avi.is_empty(), "nothing was read");
    assert_eq!(avi, stream, "the container changes the scores");
}

#[test]
fn foreign_files_are_left_out_by_name_and_empty_ones_counted() {
    let bench = Bench::new();
    let film = recording(&bench, &["R2"]);
    put(&film.join("notes.txt"), b"the patient has cold hands");
    put(&film.join("R2/Thumbs.db"), b"\xD0\xCF\x11\xE0");
    put(&film.join("R2/.hidden.jpg"), &fields()[0][0]);
    put(&film.join("R2/deeper/a.jpg"), &fields()[0][0]);
    put(&film.join("R2/a-99.jpg"), b"");
    std::os::unix::fs::symlink("nowhere", film.join("R2/link.jpg")).unwrap();
    let config = bench.config("", "");
    let ran = bench.run(&args(film.to_str().unwrap(), config.to_str().unwrap(), &["--json"])).ok();
    for file in ["notes.txt", "Thumbs.db", ".hidden.jpg", "deeper", "link.jpg"] {
        assert!(ran.err.contains(file), "{file} was left out in silence: {}", ran.err);
    }
    let lines: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let frames = &report(&lines)["frames"];
    assert_eq!((&frames["produced"], &frames["undecodable"]["empty"]), (&(2 * EACH + 1).into(), &1.into()), "{frames}");
}

#[test]
fn where_there_is_nothing_to_replay_it_says_what_was_looked_for() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("empty")).unwrap();
    bench.write("texts/notes.txt", "x");
    put(&bench.path("no.avi"), b"this is no film");
    put(&bench.path("zero.avi"), &Avi::new(Coding::Mjpeg, 640, 512, (30, 1)).bytes());
    let mut codec = Avi::new(Coding::Other(*b"H264"), 640, 512, (30, 1));
    codec.push([1; 9]);
    put(&bench.path("h264.avi"), &codec.bytes());
    for (film, code, words) in [
        ("empty", 69, &["JPEG, PNG, TIFF and BMP pictures, AVI films and .mjpeg streams", "0 files"][..]),
        ("texts", 69, &["1 files were passed over", "notes.txt"]),
        ("missing", 69, &["No such file"]),
        ("no.avi", 65, &["first bytes"]),
        ("zero.avi", 65, &["no picture"]),
        ("h264.avi", 65, &["H264"]),
        ("/dev/null", 65, &["neither a file nor a folder"]),
    ] {
        replay(&bench, Path::new(film), &[]).ends(code, &[&[film], words].concat());
    }
}

#[test]
fn a_wrong_sidecar_is_named_by_file_line_and_key() {
    let bench = Bench::new();
    put(&bench.path("film/R2/a.jpg"), &fields()[0][0]);
    for (text, more, words) in [
        ("subject = \"P1\"\numperpx = 2.0\n", &[][..], &["film/replay.toml, line 2, key umperpx"][..]),
        ("\nframes_per_s = 0.0\n", &[], &["film/replay.toml, line 2, key frames_per_s", "0.01 to 1000"]),
        ("subject = \"Jane Doe\"\n", &[], &["film/replay.toml, line 1, key subject"]),
        (
            "scale = { um_per_px = 50.0, how = \"entered\" }\n",
            &[],
            &["film/replay.toml, line 1, key scale", "0.1 to 20"],
        ),
        ("[[files]]\nname = \"R2/*\"\nfinger = \"L3\"\n", &[], &["R2/a.jpg", "folder named R2", "L3"]),
        ("subject = \"P1\"\n", &["--subject", "P2"], &["P1", "P2", "correct one of them"]),
        ("frames_per_s = 10.0\n", &["--frames-per-s", "20"], &["frames_per_s", "10", "20"]),
    ] {
        bench.write("film/replay.toml", text);
        replay(&bench, &bench.path("film"), more).ends(65, words);
    }
    std::fs::write(bench.path("film/replay.toml"), b"subject = \"\xFF\"").unwrap();
    replay(&bench, &bench.path("film"), &[]).ends(74, &["film/replay.toml", "UTF-8"]);
    for (option, value) in [("--frames-per-s", "0"), ("--um-per-px", "99"), ("--pace", "100000")] {
        replay(&bench, &bench.path("film"), &[option, value]).ends(78, &["must lie from"]);
    }
}

#[test]
fn without_finger_or_subject_frames_are_read_and_nothing_is_decided() {
    let bench = Bench::new();
    for (number, frame) in fields()[0].iter().take(3).enumerate() {
        put(&bench.path(&format!("film/{number}.jpg")), frame);
    }
    bench.write("film/replay.toml", &basics());
    for (more, words) in
        [(&["--finger", "R2"][..], "no subject is given"), (&["--subject", "P1"], "no finger is given")]
    {
        let told = replay(&bench, &bench.path("film"), more).ok().out;
        assert!(told.contains(words) && told.contains("give --subject, and --finger"), "{told}");
        assert!(told.contains("frames: 3 seen, 3 read"), "{told}");
        let ran = replay(&bench, &bench.path("film"), &[more, &["--json"]].concat()).ends(0, &[words]);
        assert!(ran.out.contains("\"finding\"") && !ran.out.contains("\"closed\""), "{}", ran.out);
    }
}

#[test]
fn damaged_frames_are_counted_by_reason_and_never_scored() {
    let bench = Bench::new();
    let film = recording(&bench, &["R2"]);
    let good = &fields()[0][0];
    let mut broken = good.clone();
    let middle = good.len() / 2;
    // Data that came twice: after the last block some are left.
    broken.splice(middle..middle, good[middle - 400..middle].to_vec());
    let damaged: [(&str, &[u8]); 6] = [
        ("cut", &good[..middle]),
        ("broken", &broken),
        ("empty", b""),
        ("foreign", b"no picture at all"),
        ("size", &pictures::claiming(good, 20_000, 20_000)),
        ("size", &pictures::one_by_one()),
    ];
    for (number, (_, bytes)) in damaged.iter().enumerate() {
        put(&film.join(format!("R2/a-5{number}.jpg")), bytes);
    }
    // A file of /proc has no length and yet bytes: what is read is not what its length said, as when a file grows.
    std::os::unix::fs::symlink("/proc/version", film.join("R2/a-56.jpg")).unwrap();
    let lines = lines(&bench, &film, &[]);
    let frames = &report(&lines)["frames"];
    assert_eq!(frames["produced"], 2 * EACH + 7, "{frames}");
    let counted: Vec<(&str, u64)> =
        frames["undecodable"].as_object().unwrap().iter().map(|(k, v)| (k.as_str(), v.as_u64().unwrap())).collect();
    let mut counted = counted;
    counted.sort_unstable();
    assert_eq!(counted, [("broken", 1), ("cut", 1), ("empty", 1), ("flagged", 1), ("foreign", 1), ("size", 2)]);
    // a-0 to a-13, then the seven damaged ones.
    let lost = EACH as u64..EACH as u64 + 7;
    for finding in findings(&lines) {
        let seq = finding["frame"]["seq"].as_u64().unwrap();
        assert!(!lost.contains(&seq), "a damaged frame was scored: {finding}");
    }
}

/// A replay in real time that has read at least one frame, and what follows of its lines.
struct Playing {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Playing {
    fn start(bench: &Bench, film: &Path, more: &[&str]) -> Self {
        let config = bench.config("", "");
        let more = [&["--json", "--pace", "real-time"], more].concat();
        let mut child = bench
            .command(&args(film.to_str().unwrap(), config.to_str().unwrap(), &more))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("\"finding\"")), "no frame was read");
        Self { child, lines }
    }

    /// The rest of the lines, what was said, and the status.
    fn end(self) -> (Vec<Value>, String, Option<i32>) {
        let rest = self.lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
        let ended = self.child.wait_with_output().unwrap();
        (rest, String::from_utf8_lossy(&ended.stderr).into_owned(), ended.status.code())
    }
}

#[test]
fn an_interrupted_replay_closes_its_record() {
    let bench = Bench::new();
    let film = recording(&bench, &["R2", "R3"]);
    let playing = Playing::start(&bench, &film, &["--out", "exams"]);
    kill_process(Pid::from_child(&playing.child), Signal::INT).unwrap();
    let (rest, said, code) = playing.end();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(report(&rest)["ending"], "interrupted");
    let verified = bench.run(&["verify", bench.exam().to_str().unwrap(), "--json"]).ok().json();
    assert_eq!(verified["state"]["closed"], "interrupted", "{verified}");
}

#[test]
fn a_film_that_shrinks_while_it_plays_is_no_quiet_success() {
    let bench = Bench::new();
    let mut film = Avi::new(Coding::Mjpeg, SIZE.width, SIZE.height, (RATE as u32, 1));
    film.frames = fields().concat();
    let path = bench.path("film.avi");
    put(&path, &film.bytes());
    let playing = Playing::start(&bench, &path, &["--subject", "P1", "--finger", "R4", "--um-per-px", "2.453"]);
    std::fs::File::options().write(true).open(&path).unwrap().set_len(film.bytes().len() as u64 / 2).unwrap();
    let (rest, said, code) = playing.end();
    let fault = rest.iter().find(|line| line["event"] == "fault");
    let fault = fault.unwrap_or_else(|| panic!("no fault was shown: {said}"));
    assert!(fault["message"].as_str().unwrap().contains("28 frames when it was opened"), "{fault}");
    assert_eq!(code, Some(65), "half a recording passes for a whole one: {said}");
    assert!(said.contains("film.avi") && !said.contains("panicked"), "{said}");
}

/// Members that differ from machine to machine, or that the gate's figures decide.
const LEFT_OUT: [&str; 6] = ["quality", "figures", "evidence", "provenance", "spread", "exam"];

/// Of scores: a last bit of the drawing may become a grey level, and a grey level so much in a logit.
const TOLERANCE: f64 = 0.03;

fn normalised(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter(|(key, _)| !LEFT_OUT.contains(&key.as_str()));
            kept.map(|(key, value)| (key.clone(), normalised(value))).collect::<serde_json::Map<_, _>>().into()
        }
        Value::Array(items) => items.iter().map(normalised).collect::<Vec<_>>().into(),
        Value::Number(number) if number.is_f64() => ((number.as_f64().unwrap() * 1e3).round() / 1e3).into(),
        other => other.clone(),
    }
}

/// Where two values first differ, numbers with a fraction by more than the tolerance.
fn difference(at: &str, golden: &Value, now: &Value) -> Option<String> {
    match (golden, now) {
        (Value::Object(a), Value::Object(b)) => {
            let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
            keys.into_iter().find_map(|key| difference(&format!("{at}.{key}"), &golden[key], &now[key]))
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().find_map(|(i, (a, b))| difference(&format!("{at}[{i}]"), a, b))
        }
        (Value::Number(a), Value::Number(b)) if a.is_f64() && b.is_f64() => {
            let far = (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() > TOLERANCE;
            far.then(|| format!("{at}: golden {a}, now {b}, more than {TOLERANCE} apart"))
        }
        (a, b) => (a != b).then(|| format!("{at}: golden {a}, now {b}")),
    }
}

#[test]
fn a_small_recording_gives_the_golden_lines() {
    let bench = Bench::new();
    let now: Vec<Value> = lines(&bench, &recording(&bench, &["R2"]), &[]).iter().map(normalised).collect();
    let path = root().join("tests/data/replay/golden.jsonl");
    if std::env::var_os("HAIRPIN_UPDATE").is_some() {
        let text: String = now.iter().map(|line| format!("{line}\n")).collect();
        put(&path, text.as_bytes());
    }
    let golden =
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{e}: HAIRPIN_UPDATE=1 writes {}", path.display()));
    let golden: Vec<Value> = golden.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (number, (golden, now)) in golden.iter().zip(&now).enumerate() {
        if let Some(difference) = difference("", golden, now) {
            panic!("line {}{difference}\nif that is meant, HAIRPIN_UPDATE=1 rewrites {}", number + 1, path.display());
        }
    }
    assert_eq!(golden.len(), now.len(), "lines");
}
