//! The shipped locating network on drawn nailfolds, from pixels to figures: results move with the picture, light and
//! colour change little, and there is nothing where there is no nailfold.

#[path = "support/ort.rs"]
mod ort;
#[path = "support/tiny.rs"]
mod tiny;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use hairpin::bundle::LocateBundle;
use hairpin::fast_track::Verdict;
use hairpin::frame::Size;
use hairpin::infer::{Locator, Maps, Runtime, Settings};
use hairpin::measure;
use hairpin::measured::{LoopClass, Measured, NotMeasured};
use hairpin::pipeline::measure::Measurer;
use hairpin::preprocess::{ASSUMED_WIDTH_UM, Field, FieldPreparer};
use hairpin::scale::{Scale, ScaleMethod};
use hairpin::synth::camera::Exposure;
use hairpin::synth::cohort::{Subject, photograph};
use hairpin::synth::loops::Class;
use hairpin::synth::optics::Optics;
use hairpin::synth::pathology::Cohort;
use hairpin::synth::rng::Rng;
use hairpin::synth::truth::{TrueLoop, Truth};

const UM_PER_PX: f32 = 2.0;
const SIZE: Size = Size::new(768, 768);

/// A picture and what is true of it.
struct Drawn {
    rgb: Vec<u8>,
    truth: Truth,
}

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/locator-synth-0.2.0")
}

struct Measuring {
    preparer: FieldPreparer,
    measurer: Measurer,
}

impl Measuring {
    fn new() -> Self {
        let (locator, preparer) = Self::parts();
        Self { preparer, measurer: Measurer::new(locator, measure::Settings::default()) }
    }

    fn parts() -> (Locator, FieldPreparer) {
        let bundle = LocateBundle::load(&shipped()).expect("the shipped bundle is whole");
        let settings = Settings { library: ort::library(), threads: 1, ..Settings::default() };
        let runtime = Runtime::load(&settings.library).expect("make setup fetches the library");
        let locator = Locator::open(&runtime, &bundle, &settings).expect("the golden maps agree");
        (locator, FieldPreparer::new(&bundle.input))
    }

    fn of(&mut self, size: Size, rgb: &[u8], um_per_px: f64) -> Measured {
        let scale = Scale::new(um_per_px, ScaleMethod::Entered).expect("the scale is in range");
        self.at(size, rgb, Some(&scale))
    }

    fn at(&mut self, size: Size, rgb: &[u8], scale: Option<&Scale>) -> Measured {
        let mut field = Field::default();
        self.preparer.prepare(size, rgb, scale, &mut field).expect("the picture is full");
        self.measurer.measure(&field).expect("the network answers")
    }
}

/// In focus and evenly lit, so that a miss is the network's.
fn drawn(cohort: Cohort, seed: u64) -> Drawn {
    let subject = Subject::draw(cohort, seed, 0);
    let finger = subject.finger(hairpin::finger::Finger::PROTOCOL[2]);
    let view = finger.view(0, 1, UM_PER_PX, SIZE);
    let mut rng = Rng::new(seed, "test");
    let optics = Optics { defocus_um: [1.5, 2.0], ..Optics::PERFECT };
    let exposure = Exposure::of(&subject.device, UM_PER_PX, &mut rng);
    let shot = hairpin::synth::camera::Shot { optics, exposure };
    Drawn { rgb: photograph(&finger.scene, &view, &shot, &mut rng), truth: Truth::of(&finger.scene, &view) }
}

static HEALTHY: LazyLock<Vec<Drawn>> = LazyLock::new(|| (0..6).map(|seed| drawn(Cohort::Healthy, seed)).collect());

fn counted(measured: &Measured) -> Vec<[f32; 2]> {
    measured.loops.iter().filter(|l| l.counted).map(|l| l.apex).collect()
}

/// How many of `a` have one of `b` within 40 um.
fn matched(a: &[[f32; 2]], b: &[[f32; 2]]) -> usize {
    let near = |p: &&[f32; 2]| b.iter().any(|q| (p[0] - q[0]).hypot(p[1] - q[1]) * UM_PER_PX < 40.0);
    a.iter().filter(near).count()
}

/// The picture with its axes exchanged, and mirrored along either.
fn turned(rgb: &[u8], exchange: bool, flip: [bool; 2]) -> Vec<u8> {
    let side = SIZE.width as usize;
    let mut out = Vec::with_capacity(rgb.len());
    for y in 0..side {
        for x in 0..side {
            let (mut sx, mut sy) = if exchange { (y, x) } else { (x, y) };
            if flip[0] {
                sx = side - 1 - sx;
            }
            if flip[1] {
                sy = side - 1 - sy;
            }
            out.extend_from_slice(&rgb[(sy * side + sx) * 3..][..3]);
        }
    }
    out
}

#[test]
fn loops_of_drawn_healthy_fingers_are_found_where_they_are() {
    let mut measuring = Measuring::new();
    let (mut counts, mut right, mut distal, mut found) = (0, 0, 0, 0);
    for one in HEALTHY.iter() {
        let measured = measuring.of(SIZE, &one.rgb, f64::from(UM_PER_PX));
        let rows = |last: u32| -> Vec<[f32; 2]> {
            one.truth.loops.iter().filter(|l| l.row <= last).map(|l| [l.x, l.y]).collect()
        };
        let seen = counted(&measured);
        counts += seen.len();
        // A tip of the second or third row counts where no other stands before it: models/training/locating/distal.py.
        right += matched(&seen, &rows(2));
        distal += rows(0).len();
        found += matched(&rows(0), &seen);
        assert_eq!(measured.giants, Some(0), "no healthy finger has a giant");
    }
    let (precision, recall) = (right as f64 / counts as f64, found as f64 / distal as f64);
    assert!(precision > 0.95 && recall > 0.9, "precision {precision:.2}, recall {recall:.2} of {distal}");
}

/// Mean difference of a found loop's width from the drawn one's, of loops of normal shape, in um.
fn width_error(mut measure: impl FnMut(&Drawn) -> Measured) -> f32 {
    let mut off = Vec::new();
    for one in HEALTHY.iter() {
        let measured = measure(one);
        for found in measured.loops.iter().filter(|l| l.counted) {
            let far = |l: &TrueLoop| (l.x - found.apex[0]).hypot(l.y - found.apex[1]) * UM_PER_PX;
            let truth = one.truth.loops.iter().min_by(|a, b| far(a).total_cmp(&far(b))).expect("a finger has loops");
            if let Some(um) = found.apical_um.filter(|_| far(truth) < 30.0 && truth.class != Class::Abnormal) {
                off.push((um - truth.apical_um).abs());
            }
        }
    }
    assert!(off.len() > 40, "{} loops", off.len());
    off.iter().sum::<f32>() / off.len() as f32
}

#[test]
fn widths_are_the_second_networks_and_nearer_to_what_was_drawn() {
    let mut measuring = Measuring::new();
    let with_both = width_error(|one| measuring.of(SIZE, &one.rgb, f64::from(UM_PER_PX)));
    let (mut locator, mut preparer) = Measuring::parts();
    let scale = Scale::new(f64::from(UM_PER_PX), ScaleMethod::Entered).unwrap();
    let (mut field, mut maps) = (Field::default(), Maps::default());
    let alone = width_error(|one| {
        preparer.prepare(SIZE, &one.rgb, Some(&scale), &mut field).unwrap();
        locator.locate(&field, &mut maps).unwrap();
        measure::measure(&maps, Some(f64::from(UM_PER_PX)), &measure::Settings::default())
    });
    assert!(
        with_both < 2.0 && with_both < 0.9 * alone,
        "{with_both:.2} um, by the locating network alone {alone:.2} um"
    );
}

#[test]
fn a_second_network_that_answers_otherwise_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("golden")).unwrap();
    for file in ["CARD.md", "model.onnx", "widths.onnx", "golden/input.png", "golden/expected.json", "manifest.toml"] {
        std::fs::copy(shipped().join(file), folder.path().join(file)).unwrap();
    }
    let path = folder.path().join("golden/expected.json");
    let mut expected: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let told = &mut expected["widths"][1]["log_width"];
    *told = (told.as_f64().unwrap() + 0.02).into();
    tiny::replace(folder.path(), "golden/expected.json", expected.to_string().as_bytes());
    let bundle = LocateBundle::load(folder.path()).unwrap();
    let runtime = Runtime::load(&ort::library()).unwrap();
    let settings = Settings { library: ort::library(), threads: 1, ..Settings::default() };
    let refused = Locator::open(&runtime, &bundle, &settings).map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("loop 1 of the golden picture has another width"), "{refused}");
}

#[test]
fn without_a_scale_loops_are_counted_and_nothing_is_measured() {
    let mut measuring = Measuring::new();
    for one in HEALTHY.iter().take(2) {
        let unscaled = measuring.at(SIZE, &one.rgb, None);
        let as_if = measuring.of(SIZE, &one.rgb, ASSUMED_WIDTH_UM / f64::from(SIZE.width));
        assert_eq!((unscaled.counted, unscaled.loops.len()), (as_if.counted, as_if.loops.len()));
        assert!(unscaled.counted > Some(0), "{unscaled:?}");
        assert_eq!(unscaled.not_measured, Some(NotMeasured::NoScale));
        assert_eq!((unscaled.um_per_px, unscaled.row_mm, unscaled.density_per_mm), (None, None, None));
        assert_eq!((unscaled.giants, unscaled.median_apical_um, unscaled.gaps.len()), (None, None, 0));
        assert_eq!(unscaled.fast_track, Verdict::Undetermined);
        assert!(unscaled.loops.iter().all(|l| l.apical_um.is_none() && l.class == LoopClass::NotEvaluable));
    }
}

#[test]
fn results_move_with_the_picture() {
    let mut measuring = Measuring::new();
    let side = SIZE.width as f32;
    for (exchange, flip) in
        [(false, [true, false]), (false, [true, true]), (true, [false, false]), (true, [true, false])]
    {
        let (mut same, mut all) = (0, 0);
        for one in HEALTHY.iter() {
            let plain = counted(&measuring.of(SIZE, &one.rgb, f64::from(UM_PER_PX)));
            let other = counted(&measuring.of(SIZE, &turned(&one.rgb, exchange, flip), f64::from(UM_PER_PX)));
            let back: Vec<[f32; 2]> = other
                .iter()
                .map(|[x, y]| if exchange { [*y, *x] } else { [*x, *y] })
                .map(|[x, y]| [if flip[0] { side - x } else { x }, if flip[1] { side - y } else { y }])
                .collect();
            same += matched(&plain, &back);
            all += plain.len().max(back.len());
        }
        assert!(same * 10 >= all * 9, "exchanged {exchange}, flipped {flip:?}: {same} of {all} loops move along");
    }
}

#[test]
fn light_and_colour_change_few_counts() {
    let mut measuring = Measuring::new();
    for (what, gain) in [("darker", [0.7, 0.7, 0.7]), ("brighter", [1.2, 1.2, 1.2]), ("yellower", [1.05, 1.0, 0.8])] {
        let mut changes = Vec::new();
        for one in HEALTHY.iter() {
            let plain = measuring.of(SIZE, &one.rgb, f64::from(UM_PER_PX)).counted.unwrap();
            let lit: Vec<u8> =
                one.rgb.iter().zip(gain.iter().cycle()).map(|(v, g)| (f32::from(*v) * g).min(255.0) as u8).collect();
            let other = measuring.of(SIZE, &lit, f64::from(UM_PER_PX)).counted.unwrap();
            changes.push(plain.abs_diff(other));
        }
        assert!(changes.iter().all(|change| *change <= 1), "{what}: counts change by {changes:?}");
    }
}

#[test]
fn giants_of_drawn_scleroderma_are_giants() {
    let mut measuring = Measuring::new();
    let (mut seen, mut all, mut false_ones) = (0, 0, 0);
    for seed in 0..10 {
        let one = drawn(Cohort::Scleroderma, seed);
        let measured = measuring.of(SIZE, &one.rgb, f64::from(UM_PER_PX));
        let near =
            |x: f32, y: f32| measured.loops.iter().find(|l| (l.apex[0] - x).hypot(l.apex[1] - y) * UM_PER_PX < 60.0);
        for truth in one.truth.loops.iter().filter(|l| l.row == 0) {
            let wide = near(truth.x, truth.y).is_some_and(|l| l.class == LoopClass::Giant);
            // Ten um either way of 50 may be told wrongly.
            if truth.class == hairpin::synth::loops::Class::Giant && truth.apical_um > 60.0 {
                (seen, all) = (seen + u32::from(wide), all + 1);
            } else if truth.apical_um < 40.0 {
                false_ones += u32::from(wide && near(truth.x, truth.y).is_some_and(|l| l.apical_um > Some(60.0)));
            }
        }
    }
    assert!(all >= 8, "too few giants were drawn: {all}");
    assert!(seen * 10 >= all * 6, "{seen} of {all} giants");
    assert!(false_ones <= 2, "{false_ones} slender loops taken for giants");
}

#[test]
fn where_there_is_no_nailfold_nothing_is_counted() {
    let mut measuring = Measuring::new();
    let mut state = 7u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let pixels = SIZE.pixels();
    let pictures: Vec<(&str, Size, Vec<u8>)> = vec![
        ("black", SIZE, vec![0; pixels * 3]),
        ("white", SIZE, vec![255; pixels * 3]),
        ("grey", SIZE, vec![128; pixels * 3]),
        ("noise", SIZE, (0..pixels * 3).map(|_| noise()).collect()),
        ("one pixel", Size::new(1, 1), vec![90, 60, 50]),
        ("a line of pixels", Size::new(600, 1), [120, 80, 70].repeat(600)),
        ("stripes", SIZE, (0..pixels).flat_map(|i| [if i / 40 % 2 == 0 { 200 } else { 60 }; 3]).collect()),
    ];
    for (what, size, rgb) in pictures {
        let measured = measuring.of(size, &rgb, f64::from(UM_PER_PX));
        assert_eq!((measured.counted, measured.density_per_mm), (None, None), "{what}");
    }
}
