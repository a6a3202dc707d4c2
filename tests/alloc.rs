//! Reading a frame takes no memory in the steady state: an allocator that counts stands in for the usual one.

#[path = "support/ort.rs"]
mod ort;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::Path;

use hairpin::bundle::Bundle;
use hairpin::frame::Size;
use hairpin::infer::{Classifier, Runtime, Scores, Settings};
use hairpin::preprocess::{Preparer, Tensor};
use hairpin::scale::{Scale, ScaleMethod};

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
    for (name, tiles) in [("tiny-resize", 1), ("tiny-scale", 5 * 6)] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/bundles/{name}-0.1.0"));
        let bundle = Bundle::load(&folder).unwrap();
        let mut preparer = Preparer::new(&bundle.input);
        let mut classifier = Classifier::open(&runtime, &bundle, &Settings::default()).unwrap();
        let (mut tensor, mut scores) = (Tensor::default(), Scores::default());
        let mut read = || {
            preparer.prepare_pixels(size, &rgb, Some(&scale), &mut tensor).unwrap();
            classifier.classify(&tensor, &mut scores).unwrap();
        };
        assert!(taken(&mut read) > 0, "{name}: the first frame sizes the buffers");
        assert_eq!(taken(|| (0..50).for_each(|_| read())), 0, "{name}: allocations in 50 frames");
        assert_eq!(tensor.tiles, tiles, "{name}");
    }
}
