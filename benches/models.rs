//! All ten models live beside their bare sessions, the classical path beside the same chain in Python, and int8 beside fp32, each in turns
//! within one run. `benches/models` makes the bundles, whose weights are random: they are of true shape and read nothing.

mod common;

use std::path::{Path, PathBuf};

use common::loops::Python;
use common::{Film, Outcome, Report, Spread, Target, median, ours, say};
use hairpin::bundle::Bundle;
use hairpin::decode::{Decoded, Decoder};
use hairpin::infer::{Classifier, Intake, Runtime, Scores};
use hairpin::preprocess::Tensor;

/// Frames before the clock starts, of every contender.
const WARM: usize = 4;
const NETWORKS: [&str; 4] = ["densenet121", "resnet18", "vgg16", "vit_small"];
/// Beside the ten. It answers sooner than a frame is decoded and judged.
const SMALL: &str = "mobilenetv4_small";
/// What the pipeline is to keep of a model's own pace.
const LIVE: Target = Target::AtLeast(0.95);
/// How many times as fast as its fp32 an int8 network is to be.
const INT8: [(&str, f64); 2] = [("densenet121", 1.5), ("resnet18", 2.5)];
const CLASSICAL: [&str; 6] = ["rf", "svm", "lr", "lightgbm", "xgboost", "knn"];
/// The random forest is scikit-learn's own on both sides.
const TREES: &str = "rf";

fn main() -> Outcome<()> {
    let (rounds, seconds) = (common::option("--rounds", 5)?, common::option("--seconds", 2)? as f64);
    say(format!("drawing frames of {}", common::USUAL));
    let film = Film::draw(common::USUAL, 30)?;
    let mut contests = Contests { rounds, seconds, report: Report::default() };
    for (name, floor) in INT8 {
        int8(&mut contests, &film, name, floor)?;
    }
    against_python(&mut contests, &film)?;
    for (name, floor) in NETWORKS.map(|name| (name, LIVE)).into_iter().chain([(SMALL, Target::None)]) {
        let bundle = bundle(name)?;
        let mut bare = ours::Bare::new(&bundle, &film, 1, Spread::FrameEach)?;
        live(&mut contests, &film, &bundle, ("its bare session", floor), |frames| bare.rate(WARM, frames))?;
    }
    for name in CLASSICAL {
        let bundle = bundle(name)?;
        let mut chain = Chain::new(&bundle, &film)?;
        // Its session alone takes microseconds: what there is to keep up with is the whole chain.
        live(&mut contests, &film, &bundle, ("its chain alone", LIVE), |frames| chain.rate(frames))?;
    }
    contests.report.finish("models")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench/bundles")
}

fn bundle(name: &str) -> Outcome<Bundle> {
    Bundle::load(&folder().join(name)).map_err(|e| format!("{e}; benches/models makes it").into())
}

/// Two contenders in turns, and how many times as fast the second is.
struct Contests {
    rounds: usize,
    /// For each turn.
    seconds: f64,
    report: Report,
}

/// What it is called, what it must reach in frames a second, and the frames a second over so many frames.
struct Contender<'a> {
    name: String,
    floor: Target,
    rate: &'a mut dyn FnMut(usize) -> Outcome<f64>,
}

impl Contests {
    fn hold<'a>(&mut self, first: Contender<'a>, second: Contender<'a>, floor: Target) -> Outcome<()> {
        let (mut rates, mut frames) = ([Vec::new(), Vec::new()], [0; 2]);
        let mut both = [first, second];
        for (contender, frames) in both.iter_mut().zip(&mut frames) {
            *frames = ((self.seconds * (contender.rate)(WARM)?) as usize).clamp(8, 2000);
        }
        for _ in 0..self.rounds {
            for ((contender, frames), rates) in both.iter_mut().zip(frames).zip(&mut rates) {
                rates.push((contender.rate)(frames)?);
            }
        }
        let [first, second] = &both;
        let ratios: Vec<f64> = rates[1].iter().zip(&rates[0]).map(|(second, first)| second / first).collect();
        say(format!("{}: {:.1?}, {}: {:.1?} frames/s", first.name, rates[0], second.name, rates[1]));
        for (contender, rates) in both.iter().zip(&rates) {
            self.report.add(&contender.name, median(rates), "frames/s", contender.floor);
        }
        self.report.add(format!("{} / {}", second.name, first.name), median(&ratios), "x", floor);
        Ok(())
    }
}

/// The pipeline on one thread beside what its model takes alone.
fn live(
    contests: &mut Contests,
    film: &Film,
    bundle: &Bundle,
    (alone, floor): (&str, Target),
    mut bare: impl FnMut(usize) -> Outcome<f64>,
) -> Outcome<()> {
    let name = &bundle.id.name;
    let mut live = |frames: usize| {
        let run = ours::run(bundle, film, (1, Spread::FrameEach), None, WARM + frames)?;
        run.all_read()?;
        Ok(run.frames_per_s(WARM))
    };
    contests.hold(
        Contender { name: format!("{name}, {alone}"), floor: Target::None, rate: &mut bare },
        Contender { name: format!("{name}, live"), floor: Target::None, rate: &mut live },
        floor,
    )
}

fn int8(contests: &mut Contests, film: &Film, name: &str, floor: f64) -> Outcome<()> {
    let of = |name: &str| ours::Bare::new(&bundle(name)?, film, 1, Spread::FrameEach);
    let (mut full, mut small) = (of(name)?, of(&format!("{name}-int8"))?);
    contests.hold(
        Contender { name: format!("{name} fp32"), floor: Target::None, rate: &mut |frames| full.rate(WARM, frames) },
        Contender { name: format!("{name} int8"), floor: Target::None, rate: &mut |frames| small.rate(WARM, frames) },
        Target::AtLeast(floor),
    )
}

fn against_python(contests: &mut Contests, film: &Film) -> Outcome<()> {
    let mut ours = Chain::new(&bundle(TREES)?, film)?;
    let frames = film.to_folder()?;
    let mut python = Python::classical(&folder().join(format!("{TREES}.pickle")), frames.path())?;
    contests.hold(
        Contender {
            name: "decode, features, trees in Python".to_owned(),
            floor: Target::None,
            rate: &mut |frames| python.classical_rate(WARM, frames),
        },
        Contender {
            name: "decode, features, trees".to_owned(),
            floor: Target::AtLeast(40.0),
            rate: &mut |frames| ours.rate(frames),
        },
        Target::AtLeast(3.0),
    )
}

/// One frame after the other on one thread: decoded, described, asked about. No gate, no record.
struct Chain<'a> {
    film: &'a Film,
    decoder: Decoder,
    intake: Intake,
    classifier: Classifier,
    pixels: Vec<u8>,
    tensor: Tensor,
    scores: Scores,
}

impl<'a> Chain<'a> {
    fn new(bundle: &Bundle, film: &'a Film) -> Outcome<Self> {
        let settings = common::runtime(1, Spread::FrameEach);
        let classifier = Classifier::open(&Runtime::load(&settings.library)?, bundle, &settings)?;
        let (pixels, tensor, scores) = Default::default();
        Ok(Self { film, decoder: Decoder::new()?, intake: Intake::new(bundle), classifier, pixels, tensor, scores })
    }

    fn rate(&mut self, frames: usize) -> Outcome<f64> {
        (0..WARM).try_for_each(|n| self.read(n))?;
        let (read, ms) = common::timed(|| (0..frames).try_for_each(|n| self.read(n)));
        read?;
        Ok(frames as f64 / (ms / 1e3))
    }

    fn read(&mut self, n: usize) -> Outcome<()> {
        let raw = &self.film.frames[n % self.film.frames.len()];
        let Decoded::Clean(image) = self.decoder.decode(raw, std::mem::take(&mut self.pixels)) else {
            return Err(format!("frame {n} is not clean").into());
        };
        self.intake.prepare_pixels(image.size(), image.rgb(), self.film.words.scale.as_ref(), &mut self.tensor)?;
        self.pixels = image.into_buffer();
        Ok(self.classifier.classify(&self.tensor, &mut self.scores)?)
    }
}
