//! Measuring the loops of a whole field, step by step on one thread, beside the same chain in Python.

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use common::{Film, Outcome, Report, Target, median, say, timed};
use hairpin::bundle::LocateBundle;
use hairpin::decode::{Decoded, Decoder};
use hairpin::infer::{Locator, Maps, Runtime};
use hairpin::measure::{Settings, by_tips, candidates};
use hairpin::pipeline::measure::tell_widths;
use hairpin::preprocess::{Field, FieldPreparer};
use hairpin::scale::{Scale, ScaleMethod};

/// Micrometres a pixel of the widest field that is in use: 3.3 mm on 1280 pixels. Nothing takes longer.
const UM_PER_PX: f64 = 2.56;
const WARM: usize = 5;

fn main() -> Outcome<()> {
    let rounds = common::option("--rounds", 60)?;
    let film = Film::draw(common::USUAL, 20)?;
    let models = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let dir = models.join("locator-synth-0.2.0");
    let bundle = LocateBundle::load(&dir)?;
    let runtime = common::runtime(1, common::Spread::FrameEach);
    let library = Runtime::load(&runtime.library)?;
    let mut locator = Locator::open(&library, &bundle, &runtime)?;
    let small = LocateBundle::load(&models.join("locator-synth-int8-0.2.0"))?;
    let mut in_8_bits = Locator::open(&library, &small, &runtime)?;
    let scale = Scale::new(UM_PER_PX, ScaleMethod::Entered).ok_or("the scale is out of range")?;
    let mut preparer = FieldPreparer::new(&bundle.input);
    let (mut field, mut maps, mut decoder) = (Field::default(), Maps::default(), Decoder::new()?);
    let settings = Settings::default();
    let mut times: [Vec<f64>; 6] = Default::default();
    for n in 0..WARM + rounds {
        let raw = &film.frames[n % film.frames.len()];
        let (Decoded::Clean(image) | Decoded::Tolerated(image)) = decoder.decode(raw, Vec::new()) else {
            return Err("a drawn frame is damaged".into());
        };
        let (prepared, prepare) = timed(|| preparer.prepare(image.size(), image.rgb(), Some(&scale), &mut field));
        prepared?;
        let (located, eight) = timed(|| in_8_bits.locate(&field, &mut maps));
        located?;
        let (located, network) = timed(|| locator.locate(&field, &mut maps));
        located?;
        let (mut tips, search) = timed(|| candidates(&maps, &settings));
        let (told, widths) = timed(|| tell_widths(&mut locator, &field, &mut tips, &settings));
        told?;
        let (found, figures) = timed(|| by_tips(&maps, &tips, Some(UM_PER_PX), &settings));
        assert!(found.um_per_px.is_some());
        if n >= WARM {
            let figures = search + figures;
            let ms = [prepare, network, figures, prepare + network + widths + figures, eight, widths];
            times.iter_mut().zip(ms).for_each(|(all, ms)| all.push(ms));
        }
    }
    let [prepare, network, figures, whole, eight, widths] = times.each_ref().map(|all| median(all));
    let mut report = Report::default();
    report.add("prepare a field of 3.3 mm".to_owned(), prepare, "ms", Target::None);
    report.add("network, one thread".to_owned(), network, "ms", Target::None);
    report.add("widths of its loops, one thread".to_owned(), widths, "ms", Target::None);
    report.add("row, loops, figures".to_owned(), figures, "ms", Target::None);
    report.add("all but the networks".to_owned(), prepare + figures, "ms", Target::AtMost(15.0));
    report.add("fields a second on one core".to_owned(), 1e3 / whole, "/s", Target::AtLeast(12.0));
    report.add("network in 8 bits, one thread".to_owned(), eight, "ms", Target::None);
    let in_8_bits = 1e3 / (prepare + eight + widths + figures);
    report.add("fields a second on one core, network in 8 bits".to_owned(), in_8_bits, "/s", Target::AtLeast(12.0));
    match python(&dir.join("model.onnx"), &film, rounds) {
        Ok(theirs) => {
            report.add("Python, all but the networks".to_owned(), theirs, "ms", Target::None);
            report.add("against Python".to_owned(), theirs / (prepare + figures), "x", Target::AtLeast(3.0));
        }
        Err(error) => say(format!("skipped: the chain in Python ({error}); benches/run makes what it needs")),
    }
    report.finish("measure")
}

/// Milliseconds that the chain in Python takes for a field, its network left out.
fn python(model: &std::path::Path, film: &Film, rounds: usize) -> Outcome<f64> {
    let folder = film.to_folder()?;
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut child = Command::new(root.join(".venv-bench/bin/python"))
        .arg(root.join("benches/python/measure.py"))
        .args(["--um-per-px".to_owned(), UM_PER_PX.to_string(), "--rounds".to_owned(), rounds.to_string()])
        .arg("--model")
        .arg(model)
        .arg("--frames")
        .arg(folder.path())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or("no standard output")?).read_line(&mut line)?;
    let status = child.wait()?;
    if !status.success() {
        return Err(format!("{status}").into());
    }
    Ok(line.trim().parse()?)
}
