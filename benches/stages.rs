//! Time of each stage before inference, one after the other on one thread, at both frame sizes.

mod common;

use std::time::Duration;

use common::{Film, Outcome, Report, Target, median, quantile, say, timed};
use hairpin::bundle::{Bundle, Filter, Group};
use hairpin::decode::{Decoded, Decoder};
use hairpin::frame::{FrameId, RawFrame, Size};
use hairpin::infer::Describer;
use hairpin::preprocess::{Preparer, Tensor};
use hairpin::quality::{self, Demands, Gate, Judged};
use hairpin::time::Stamp;

/// Not measured: memory is taken, and caches fill.
const WARM: usize = 10;

#[derive(Default)]
struct Times {
    decode: Vec<f64>,
    gate: Vec<f64>,
    preprocess: Vec<f64>,
    both: Vec<f64>,
    features: Vec<f64>,
}

/// Of the pictures that features are taken from; docs/bundles.md shows the same.
const FEATURES: Size = Size::new(320, 256);
const GROUPS: [Group; 4] = [Group::Hu, Group::Haralick, Group::Colour, Group::Lbp];

fn main() -> Outcome<()> {
    let rounds = common::option("--rounds", 300)?;
    let bundle = Bundle::load(&common::bundle())?;
    let mut report = Report::default();
    let limits = [(common::USUAL, [4.0, 3.0, 4.0, 15.0]), (common::LARGE, [14.0, f64::NAN, f64::NAN, f64::NAN])];
    for (size, [decode, gate, both, features]) in limits {
        say(format!("drawing frames of {size}"));
        let film = Film::draw(size, 30)?;
        say(format!("{rounds} rounds, {} kB a frame", film.mean_bytes() / 1000));
        let times = measure(&film, &bundle, rounds)?;
        rows(&mut report, size, "decode, checks included", &times.decode, decode);
        rows(&mut report, size, "gate", &times.gate, gate);
        rows(&mut report, size, "preprocess", &times.preprocess, f64::NAN);
        rows(&mut report, size, "gate and preprocess", &times.both, both);
        rows(&mut report, size, &format!("all features at {FEATURES}"), &times.features, features);
    }
    report.finish("stages")
}

fn rows(report: &mut Report, size: Size, what: &str, times: &[f64], limit: f64) {
    let target = if limit.is_nan() { Target::None } else { Target::AtMost(limit) };
    report.add(format!("{what} {size}: median"), median(times), "ms", target);
    report.add(format!("{what} {size}: least"), quantile(times, 0.0), "ms", Target::None);
    report.add(format!("{what} {size}: p99"), quantile(times, 0.99), "ms", Target::None);
}

fn measure(film: &Film, bundle: &Bundle, rounds: usize) -> Outcome<Times> {
    let demands = Demands { max_um_per_px: bundle.input.max_um_per_px, needs_scale: bundle.needs_scale() };
    let scale = film.words.scale.as_ref();
    let mut decoder = Decoder::new()?;
    let mut gate = Gate::new(quality::Settings::default(), demands);
    let mut preparer = Preparer::new(&bundle.input);
    let mut describer = Describer::new(&GROUPS, FEATURES, Filter::Bilinear);
    let (mut pixels, mut tensor, mut times) = (Vec::new(), Tensor::default(), Times::default());
    let mut columns = Tensor::default();
    for n in 0..(WARM + rounds) as u64 {
        let at = Stamp::from_ns(0).after(Duration::from_nanos(n * common::PERIOD.as_nanos() as u64));
        let raw = RawFrame { id: FrameId { run: 0, seq: n }, at, bytes: film.bytes(n), ..film.frames[0].clone() };
        let (decoded, decode) = timed(|| decoder.decode(&raw, std::mem::take(&mut pixels)));
        let Decoded::Clean(image) = decoded else { return Err(format!("frame {n} is not clean: {decoded:?}").into()) };
        let (judged, judging) = timed(|| gate.judge(image, scale));
        let accepted = match judged {
            Judged::Accepted(accepted) => accepted,
            Judged::Rejected(reject) => {
                return Err(format!("frame {n} was refused: {:?} {:?}", reject.reason, reject.figures).into());
            }
        };
        let (prepared, preparing) = timed(|| preparer.prepare(&accepted, scale, &mut tensor));
        prepared?;
        let image = accepted.image();
        let (described, describing) = timed(|| describer.describe(image.size(), image.rgb(), &mut columns));
        described?;
        pixels = accepted.into_image().into_buffer();
        if n >= WARM as u64 {
            times.decode.push(decode);
            times.gate.push(judging);
            times.preprocess.push(preparing);
            times.both.push(judging + preparing);
            times.features.push(describing);
        }
    }
    Ok(times)
}
