//! `hairpin eval` as somebody with labelled frames meets it: on a drawn set, on the same frames labelled by masks and
//! counts, with labels that are wrong, and on real frames where there are some.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside test functions")]

#[path = "support/hairpin.rs"]
mod hairpin_bench;

use std::path::Path;

use hairpin::synth::set::Entry;
use hairpin_bench::{Bench, Ran, root};
use serde_json::Value;

/// Scale of the drawn frames here.
const UM_PER_PX: &str = "4";

/// A folder with a configuration that measures loops.
fn bench() -> Bench {
    let bench = Bench::new();
    let bundle = root().join("models/locator-synth-0.2.0");
    bench.config("", &format!("[measure]\nbundle = {bundle:?}"));
    bench
}

fn eval(bench: &Bench, args: &[&str]) -> Ran {
    bench.run(&[&["eval"], args, &["--config", "hairpin.toml"]].concat())
}

/// Draws a small set into `set`.
fn draw(bench: &Bench, count: &str) -> Vec<Entry> {
    bench
        .run(&["synth", "--out", "set", "--count", count, "--subjects", "2", "--seed", "7", "--um-per-px", UM_PER_PX])
        .ok();
    let text = std::fs::read_to_string(bench.path("set/truth.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn figure(report: &Value, group: &str, key: &str) -> Option<f64> {
    let named = |list: &Value, field: &str, name: &str| {
        list.as_array().unwrap().iter().find(|one| one[field] == name).cloned().unwrap_or_default()
    };
    let group = named(&report["groups"], "name", group);
    named(group.get("figures")?, "key", key)["value"].as_f64()
}

#[test]
fn a_drawn_set_is_held_against_its_truth() {
    let bench = bench();
    let entries = draw(&bench, "6");
    let report = eval(&bench, &["set", "--json", "--page", "page.html", "--overlay", "seen"]).ok().json();
    assert_eq!((&report["schema"], &report["labels"]), (&1.into(), &"drawing".into()));
    assert_eq!(report["frames"].as_array().unwrap().len(), entries.len());
    let f1 = figure(&report, "all frames", "apex_f1").unwrap();
    assert!((0.6..=1.0).contains(&f1), "F1 {f1}: the shipped locator has 0.8 and more on drawn frames");
    let (error, constant) = ("row_mae", "row_constant");
    for key in [error, constant, "row_bias", "apex_precision", "apex_recall", "refused", "not_measured"] {
        assert!(figure(&report, "all frames", key).is_some(), "{key} is missing");
    }
    let interval = &report["groups"][0]["figures"][0]["interval"];
    assert!(interval[0].as_f64() <= interval[1].as_f64(), "{interval}");

    let again = eval(&bench, &["set", "--json", "--page", "again.html", "--overlay", "seen"]).ok().json();
    assert_eq!(report, again, "the same frames give other figures");
    page_stands_alone(&bench.path("page.html"), entries.len());
    let page = std::fs::read_to_string(bench.path("page.html")).unwrap();
    assert_eq!(page, std::fs::read_to_string(bench.path("again.html")).unwrap());
    let link = page.split_once("<a href=\"").unwrap().1.split_once('"').unwrap().0;
    assert!(link.starts_with("seen/") && bench.path(link).exists(), "{link} leads nowhere");
    assert_eq!(std::fs::read_dir(bench.path("seen")).unwrap().count(), entries.len());

    let told = eval(&bench, &["set"]).ok().out;
    for words in ["all frames (6)", "tips: F1", "page: eval.html", "not a diagnosis"] {
        assert!(told.contains(words), "{words:?} is not in {told}");
    }
    assert!(bench.path("eval.html").exists());
}

#[track_caller]
fn page_stands_alone(page: &Path, frames: usize) {
    let page = std::fs::read_to_string(page).unwrap();
    for foreign in ["http:", "https:", "<script", " src=", "@import", "url("] {
        assert!(!page.contains(foreign), "the page asks for {foreign}");
    }
    assert!(page.contains("default-src 'none'") && page.contains("not a diagnosis"));
    assert!(page.contains(&format!("All {frames} frames")), "frames are missing");
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    assert!(page.matches("<svg").count() >= 2 && !page.contains("NaN"), "plots are missing");
}

/// The distal loops of a drawn frame as somebody would trace them: a hairpin each, by a pen of five pixels.
fn mask(entry: &Entry) -> image::GrayImage {
    let size = entry.truth.size;
    let mut mask = image::GrayImage::new(size.width, size.height);
    for tip in entry.truth.loops.iter().filter(|l| l.row == 0) {
        let [ux, uy] = tip.toward;
        for side in [-5.0f32, 5.0] {
            for step in 0..=100u8 {
                let t = f32::from(step) / 100.0;
                // From the tip out to the side, then down along the limb.
                let (across, down) = if t < 0.2 { (side * t / 0.2, 0.0) } else { (side, (t - 0.2) / 0.8 * 40.0) };
                let (x, y) = (tip.x - uy * across - ux * down, tip.y + ux * across - uy * down);
                for (dx, dy) in [(0, 0), (1, 0), (0, 1), (-1, 0), (0, -1)] {
                    let (x, y) = (x.round() as i64 + dx, y.round() as i64 + dy);
                    if (0..i64::from(size.width)).contains(&x) && (0..i64::from(size.height)).contains(&y) {
                        mask.put_pixel(x as u32, y as u32, image::Luma([255]));
                    }
                }
            }
        }
    }
    mask
}

/// The drawn set as a reader would have labelled it.
fn labelled(bench: &Bench, entries: &[Entry]) -> String {
    std::fs::create_dir_all(bench.path("set/masks")).unwrap();
    let mut csv = "frame,subject,disease,loops_per_mm,line_xyxy,mask\n".to_owned();
    for entry in entries {
        let name = entry.file.trim_start_matches("frames/");
        let png = name.replace(".jpg", ".png");
        mask(entry).save(bench.path("set/masks").join(&png)).unwrap();
        csv.push_str(&format!("{name},{},no,,,{png}\n", entry.subject));
    }
    csv
}

#[test]
fn traced_masks_and_counts_give_the_figures_of_the_truth_they_were_made_from() {
    let bench = bench();
    let entries = draw(&bench, "6");
    let drawn = eval(&bench, &["set", "--json"]).ok().json();
    bench.write("set/labels.csv", &labelled(&bench, &entries));
    let report = eval(&bench, &["set", "--labels", "labels.csv", "--um-per-px", UM_PER_PX, "--json"]).ok().json();
    assert_eq!(report["labels"], "readers");
    let (of_masks, of_truth) =
        (figure(&report, "all frames", "apex_f1").unwrap(), figure(&drawn, "all frames", "apex_f1").unwrap());
    assert!((of_masks - of_truth).abs() < 0.12, "F1 {of_masks} by masks, {of_truth} by the truth");
    assert!(figure(&report, "all frames", "span_mae").is_some() && figure(&report, "all frames", "line_mae").is_none());
    assert_eq!(report["subjects"].as_array().unwrap().len(), 2);
    page_stands_alone(&bench.path("eval.html"), entries.len());
    assert!(report["categories"]["subject without disease"].is_object(), "{}", report["categories"]);
    // A folder's sidecar gives the scale, too.
    bench.write("set/frames/replay.toml", "[scale]\num_per_px = 4.0\nhow = \"stage-micrometer\"\n");
    let same = eval(&bench, &["set", "--labels", "set/labels.csv", "--json"]).ok().json();
    assert_eq!(same, report);
}

#[test]
fn labels_that_cannot_be_followed_are_named_by_line_and_column() {
    let bench = bench();
    let entries = draw(&bench, "2");
    let name = entries[0].file.trim_start_matches("frames/");
    labelled(&bench, &entries);
    std::fs::write(bench.path("set/masks/broken.png"), b"\x89PNG\r\n\x1a\nno more").unwrap();
    image::GrayImage::new(100, 80).save(bench.path("set/masks/small.png")).unwrap();
    let size = entries[0].truth.size;
    image::GrayImage::new(size.width, size.height).save(bench.path("set/masks/blank.png")).unwrap();
    for (row, words) in [
        (format!("{name},S,maybe,,,"), &["line 2, column disease", "maybe"][..]),
        ("gone.jpg,S,no,,,".to_owned(), &["line 2, column frame", "gone.jpg"]),
        (format!("{name},S,no,,,gone.png"), &["line 2, column mask", "gone.png"]),
        (format!("{name},S,no,,,broken.png"), &["line 2, column mask", "damaged"]),
        (format!("{name},S,no,,,small.png"), &["line 2, column mask", "100x80"]),
        (format!("{name},S,no,,,blank.png"), &["line 2, column mask", "no loop is traced"]),
        (format!("{name},S,no,7,0 0 90000 0,"), &["line 2, column line_xyxy", "leaves the picture"]),
        (format!("{name},S,no,seven,0 0 90 0,"), &["line 2, column loops_per_mm", "seven"]),
    ] {
        bench.write("labels.csv", &format!("frame,subject,disease,loops_per_mm,line_xyxy,mask\n{row}\n"));
        eval(&bench, &["set", "--labels", "labels.csv", "--um-per-px", UM_PER_PX]).ends(65, words);
        assert!(!bench.path("eval.html").exists(), "{row}: a page was written all the same");
    }
}

#[test]
fn what_is_missing_is_said_before_a_frame_is_read() {
    let bench = bench();
    let entries = draw(&bench, "2");
    let name = entries[0].file.trim_start_matches("frames/");
    bench.write("labels.csv", &format!("frame\n{name}\n"));
    let labels = ["set", "--labels", "labels.csv"];
    eval(&bench, &labels).ends(78, &["scale", name, "--um-per-px"]);
    eval(&bench, &[&labels[..], &["--um-per-px", "900"]].concat()).ends(78, &["um_per_px", "0.1 to 20"]);
    eval(&bench, &["set", "--um-per-px", "4"]).ends(78, &["leave --um-per-px out"]);
    eval(&bench, &["set", "--labels", "none.csv"]).ends(74, &["none.csv"]);
    eval(&bench, &["nowhere"]).ends(78, &["nowhere", "--labels"]);
    eval(&bench, &["set", "--page", "/dev/null/page.html"]).ends(74, &["/dev/null/page.html"]);
    bench.write("set/frames/replay.toml", "[scale]\num_per_px = \"four\"\nhow = \"entered\"\n");
    eval(&bench, &labels).ends(65, &["replay.toml", "line 2"]);
    let unmeasured = Bench::new();
    let config = unmeasured.config("", "");
    let args = ["eval", "set", "--config", config.to_str().unwrap()];
    bench.run(&args).ends(78, &["[measure]"]);

    let list = std::fs::read_to_string(bench.path("set/truth.jsonl")).unwrap();
    let outside = list.replacen("frames/", "../frames/", 1);
    for (text, words) in [
        ("{}\n".to_owned(), &["truth.jsonl: line 1"][..]),
        (list.replace(name, "gone.jpg"), &["truth.jsonl: line 1", "gone.jpg"]),
        (outside, &["truth.jsonl: line 1", "does not lie below"]),
        (String::new(), &["truth.jsonl", "empty"]),
    ] {
        bench.write("set/truth.jsonl", &text);
        eval(&bench, &["set"]).ends(65, words);
    }
}

/// Holds the shipped bundle to what it was measured at, on frames that may not lie in the project: a folder with
/// `labels.csv`, named by HAIRPIN_REAL_FRAMES.
#[test]
fn real_frames_are_read_as_well_as_they_were() {
    let Some(frames) = std::env::var_os("HAIRPIN_REAL_FRAMES") else {
        println!("skipped: no real frames");
        return;
    };
    let bench = bench();
    let frames = frames.to_str().unwrap();
    let report = eval(&bench, &[frames, "--labels", "labels.csv", "--um-per-px", "2.56", "--json"]).ok().json();
    let value = |key: &str| figure(&report, "all frames", key).unwrap_or_else(|| panic!("no {key}"));
    assert!(value("apex_f1") >= 0.82, "F1 {}", value("apex_f1"));
    assert!(value("span_mae") <= 0.75, "{}", value("span_mae"));
    assert!(value("span_mae") < value("span_constant"));
    assert!(value("line_mae") <= 1.5, "{}", value("line_mae"));
    assert!(
        value("across_mae") <= 1.05 && value("across_icc") >= 0.75,
        "{} {}",
        value("across_mae"),
        value("across_icc")
    );
    assert!(value("across_bias_few").abs() <= 0.8 && value("across_bias_many").abs() <= 0.8);
    assert!(value("not_measured") <= 0.2 && value("refused") == 0.0);
}
