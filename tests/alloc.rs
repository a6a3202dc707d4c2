//! Reading a frame takes no memory in the steady state: an allocator that counts stands in for the usual one.

#[path = "support/ort.rs"]
mod ort;
#[path = "support/pictures.rs"]
mod pictures;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::Path;

use hairpin::bundle::Bundle;
use hairpin::decode::Decoder;
use hairpin::frame::{Colour, Format, FrameId, RawFrame, Size};
use hairpin::infer::{Classifier, Intake, Runtime, Scores, Settings};
use hairpin::pipeline::capture::Captured;
use hairpin::pipeline::prepare::Step;
use hairpin::preprocess::{Preparer, Tensor};
use hairpin::quality::{self, Demands, Gate};
use hairpin::scale::{Scale, ScaleMethod};
use hairpin::synth::pathology::Cohort;
use hairpin::time::Stamp;

thread_local! {
    static TAKEN: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

fn count() {
    // Fails only while the thread ends; nothing is measured then.
    let _ = TAKEN.try_with(|taken| taken.set(taken.get() + 1));
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(memory, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn taken(work: impl FnOnce()) -> u64 {
    let before = TAKEN.get();
    work();
    TAKEN.get() - before
}

#[test]
fn the_counter_counts() {
    assert_eq!(taken(|| drop(std::hint::black_box(Box::new(1)))), 1);
    let mut grown = Vec::with_capacity(1);
    assert_eq!(taken(|| grown.extend([1u64, 2, 3])), 1);
}

#[test]
fn preparing_and_classifying_allocate_nothing() {
    let runtime = Runtime::load(&ort::library()).unwrap();
    let size = Size::new(1280, 1024);
    let rgb: Vec<u8> = (0..size.pixels() * 3).map(|i| (i % 251) as u8).collect();
    let scale = Scale::new(0.2, ScaleMethod::Simulated).unwrap();
    for (name, tiles) in [("tiny-resize", 1), ("tiny-scale", 5 * 6), ("tiny-features", 1)] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/bundles/{name}-0.1.0"));
        let bundle = Bundle::load(&folder).unwrap();
        let mut intake = Intake::new(&bundle);
        let mut classifier = Classifier::open(&runtime, &bundle, &Settings::default()).unwrap();
        let (mut tensor, mut scores) = (Tensor::default(), Scores::default());
        let mut read = || {
            intake.prepare_pixels(size, &rgb, Some(&scale), &mut tensor).unwrap();
            classifier.classify(&tensor, &mut scores).unwrap();
        };
        assert!(taken(&mut read) > 0, "{name}: the first frame sizes the buffers");
        assert_eq!(taken(|| (0..50).for_each(|_| read())), 0, "{name}: allocations in 50 frames");
        assert_eq!(tensor.tiles, tiles, "{name}");
    }
}

/// From the camera's bytes to the scores, by the pipeline's own step.
#[test]
fn a_frame_from_its_bytes_to_its_scores_allocates_nothing() {
    let runtime = Runtime::load(&ort::library()).unwrap();
    let bundle =
        Bundle::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bundles/tiny-resize-0.1.0")).unwrap();
    let mut classifier = Classifier::open(&runtime, &bundle, &Settings::default()).unwrap();
    let gate = Gate::new(quality::Settings::default(), Demands::default());
    let mut step = Step::new(Decoder::new().unwrap(), gate, Preparer::new(&bundle.input), None);
    let film: Vec<RawFrame> = pictures::held(Cohort::Healthy, 1, 20)
        .remove(0)
        .into_iter()
        .zip(1..)
        .map(|(bytes, seq)| RawFrame {
            id: FrameId { run: 0, seq },
            at: Stamp::from_ms(100 * seq),
            format: Format::Mjpeg,
            size: pictures::SIZE,
            colour: Colour::Bt601Full,
            bytes: bytes.into(),
            flagged: false,
        })
        .collect();
    let (mut tensor, mut scores) = (Tensor::default(), Scores::default());
    let mut read = |raw: &RawFrame| {
        let captured = Captured { raw: raw.clone(), lost_before: 0 };
        let prepared = step.prepare(captured, std::mem::take(&mut tensor)).unwrap();
        classifier.classify(&prepared.tensor, &mut scores).unwrap();
        tensor = prepared.tensor;
    };
    // Buffers take their size with the first frames, some with the first that bears glare.
    film[..8].iter().for_each(&mut read);
    assert_eq!(taken(|| film[8..].iter().for_each(&mut read)), 0, "allocations in {} frames", film.len() - 8);
}
