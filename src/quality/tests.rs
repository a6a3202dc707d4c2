//! The gate on drawn pictures, one fault at a time, and on real frames where they are at hand.

use std::path::Path;

use super::{Demands, Gate, Judged, Settings};
use crate::decode::{Decoded, Decoder};
use crate::frame::{Colour, Format, FrameId, Image, RawFrame, Size};
use crate::outcome::{Quality, RejectReason, View};
use crate::scale::{Scale, ScaleMethod};
use crate::time::Stamp;

const SIZE: Size = Size::new(640, 512);

/// A number from 0 to 1 for a pair of whole numbers, always the same.
fn hash(a: i64, b: i64) -> f32 {
    let mut x = (a as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (b as u64).wrapping_mul(0xC2B2_AE3D_27D4_EB4F);
    x ^= x >> 29;
    x = x.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    ((x >> 32) & 0xFFFF) as f32 / 65535.0
}

/// How much blood lies at a place of the skin, given in pixels: rows of pairs of limbs, none like another.
fn blood(x: f32, y: f32) -> f32 {
    let row = (y / 120.0).floor();
    let along = (y - row * 120.0) / 120.0;
    let column = (x / 26.0).floor();
    let (a, b) = (column as i64, row as i64);
    let reach = 0.35 + 0.5 * hash(a, b);
    if along > reach {
        return 0.0;
    }
    let centre = column * 26.0 + 13.0 + 5.0 * (hash(a, b + 1000) - 0.5) + 2.0 * (y / 17.0).sin();
    let limb = |at: f32| (-((x - at) / 2.6).powi(2)).exp();
    (0.5 + hash(a, b + 2000)) * (limb(centre - 4.5) + limb(centre + 4.5))
}

/// Skin of the drawn place, seen from `from`, in the light `light`.
fn skin(size: Size, from: (f32, f32), light: f32, seed: i64) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(size.pixels() * 3);
    for y in 0..size.height {
        for x in 0..size.width {
            let place = (x as f32 + from.0 + 4000.0, y as f32 + from.1 + 4000.0);
            let blood = blood(place.0, place.1);
            let shade = light * (1.0 - 0.2 * y as f32 / size.height as f32);
            let noise = 4.0 * (hash(i64::from(x) + seed * 7, i64::from(y) * 31 + seed) - 0.5);
            for (level, absorbed) in [(150.0, 0.04), (112.0, 0.16), (104.0, 0.13)] {
                rgb.push((shade * level * (1.0 - absorbed * blood) + noise).clamp(0.0, 255.0) as u8);
            }
        }
    }
    rgb
}

fn good() -> Vec<u8> {
    skin(SIZE, (0.0, 0.0), 1.0, 1)
}

fn image(size: Size, seq: u64, ms: u64, rgb: Vec<u8>) -> Image {
    Image::new(FrameId { run: 1, seq }, Stamp::from_ms(ms), size, rgb).unwrap()
}

fn gate() -> Gate {
    Gate::new(Settings::default(), Demands::default())
}

/// Why a gate refused, its figures, and the view.
fn outcome(judged: Judged) -> (Option<RejectReason>, Quality, View) {
    match judged {
        Judged::Accepted(accepted) => (None, *accepted.quality(), accepted.view()),
        Judged::Rejected(reject) => (Some(reject.reason), reject.figures, reject.view),
    }
}

fn reason(rgb: Vec<u8>) -> Option<RejectReason> {
    let (reason, figures, _) = outcome(gate().judge(image(SIZE, 1, 1, rgb), None));
    println!("{reason:?} {figures:?}");
    reason
}

/// A box blur, thrice: near enough to defocus.
fn blurred(rgb: &[u8], size: Size, radius: i64) -> Vec<u8> {
    let (width, height) = (i64::from(size.width), i64::from(size.height));
    let mut from: Vec<f32> = rgb.iter().map(|&value| value.into()).collect();
    for step in [(1, 0), (0, 1)].into_iter().cycle().take(6) {
        let mut to = from.clone();
        for (n, out) in to.iter_mut().enumerate() {
            let (pixel, channel) = (n as i64 / 3, n as i64 % 3);
            let at = |k: i64| {
                let x = (pixel % width + k * step.0).clamp(0, width - 1);
                let y = (pixel / width + k * step.1).clamp(0, height - 1);
                from[((y * width + x) * 3 + channel) as usize]
            };
            *out = (-radius..=radius).map(at).sum::<f32>() / (2 * radius + 1) as f32;
        }
        from = to;
    }
    from.into_iter().map(|value| value as u8).collect()
}

fn with_blobs(mut rgb: Vec<u8>, count: i64, radius: i64) -> Vec<u8> {
    for n in 0..count {
        let (cx, cy) = ((hash(n, 5) * 640.0) as i64, (hash(n, 6) * 512.0) as i64);
        for y in (cy - radius).max(0)..(cy + radius).min(512) {
            for x in (cx - radius).max(0)..(cx + radius).min(640) {
                if (x - cx).pow(2) + (y - cy).pow(2) < radius.pow(2) {
                    rgb[((y * 640 + x) * 3) as usize..][..3].fill(252);
                }
            }
        }
    }
    rgb
}

/// The picture with its columns for rows: the same skin, but another view.
fn turned(rgb: &[u8]) -> Vec<u8> {
    let source = |x: usize, y: usize| ((x * 512 / 640) * 640 + y * 640 / 512) * 3;
    (0..512).flat_map(|y| (0..640).flat_map(move |x| rgb[source(x, y)..][..3].iter().copied())).collect()
}

#[test]
fn a_readable_picture_passes_and_weighs_nearly_in_full() {
    let (reason, figures, view) = outcome(gate().judge(image(SIZE, 1, 1, good()), None));
    assert_eq!(reason, None, "{figures:?}");
    assert!(figures.weight > 0.8 && figures.weight <= 1.0, "{figures:?}");
    assert_eq!((figures.motion, view), (None, Some([0.0, 0.0])));
}

#[test]
fn light_faults_are_told_apart() {
    use RejectReason::{Overexposed, Underexposed};
    let pale = |share: f32| good().iter().map(|&v| (f32::from(v) * (1.0 - share) + 215.0 * share) as u8).collect();
    assert_eq!(reason(skin(SIZE, (0.0, 0.0), 0.15, 1)), Some(Underexposed));
    assert_eq!(reason(vec![0; SIZE.pixels() * 3]), Some(Underexposed));
    assert_eq!(reason(skin(SIZE, (0.0, 0.0), 2.4, 1)), Some(Overexposed));
    assert_eq!(reason(vec![255; SIZE.pixels() * 3]), Some(Overexposed));
    assert_eq!(reason(pale(0.85)), Some(Overexposed), "blanched");
    assert_eq!(reason(skin(SIZE, (0.0, 0.0), 0.5, 1)), None, "dim but readable");
    assert_eq!(reason(skin(SIZE, (0.0, 0.0), 1.3, 1)), None, "bright but readable");
}

#[test]
fn glare_is_refused_when_it_covers_the_row_and_not_before() {
    assert_eq!(reason(with_blobs(good(), 40, 40)), Some(RejectReason::Glare));
    assert_eq!(reason(with_blobs(good(), 25, 4)), None);
}

#[test]
fn glare_does_not_pass_for_focus() {
    let soft = with_blobs(blurred(&good(), SIZE, 7), 25, 4);
    assert_eq!(reason(soft), Some(RejectReason::Defocus));
}

#[test]
fn defocus_is_refused_and_softness_is_not() {
    assert_eq!(reason(blurred(&good(), SIZE, 7)), Some(RejectReason::Defocus));
    assert_eq!(reason(blurred(&good(), SIZE, 1)), None);
}

#[test]
fn what_is_no_skin_is_no_nailfold() {
    let weave = |x: u32, y: u32| 110.0 + 40.0 * ((x as f32 / 3.0).sin() * (y as f32 / 3.0).sin());
    let mut cloth = Vec::new();
    let mut noise = Vec::new();
    for y in 0..SIZE.height {
        for x in 0..SIZE.width {
            cloth.extend([weave(x, y) as u8, (0.9 * weave(x, y)) as u8, (0.5 * weave(x, y)) as u8]);
            noise.extend([0, 1, 2].map(|c| (120.0 + 20.0 * (hash(x.into(), i64::from(y) * 3 + c) - 0.5)) as u8));
        }
    }
    assert_eq!(reason(cloth), Some(RejectReason::NoNailfold));
    assert_eq!(reason(noise), Some(RejectReason::NoNailfold));
    assert_eq!(reason(vec![120; SIZE.pixels() * 3]), Some(RejectReason::NoNailfold));
}

#[test]
fn a_monochrome_camera_is_judged_by_structure() {
    let grey: Vec<u8> = good().chunks(3).flat_map(|pixel| [pixel[1]; 3]).collect();
    assert_eq!(reason(grey), None);
}

#[test]
fn the_same_scene_is_judged_alike_at_any_resolution() {
    let small = outcome(gate().judge(image(SIZE, 1, 1, good()), None)).1;
    let doubled: Vec<u8> = good()
        .chunks(640 * 3)
        .flat_map(|row| {
            let wide: Vec<u8> = row.chunks(3).flat_map(|pixel| [pixel, pixel].concat()).collect();
            [wide.clone(), wide].concat()
        })
        .collect();
    let large = outcome(gate().judge(image(Size::new(1280, 1024), 1, 1, doubled), None)).1;
    assert!((small.sharpness - large.sharpness).abs() < 0.01, "{small:?} {large:?}");
    assert!((small.nailfold - large.nailfold).abs() < 0.05, "{small:?} {large:?}");
}

#[test]
fn wide_and_narrow_registers_give_the_same_figures() {
    let (mut wide, mut narrow) = (gate(), gate());
    let sizes = [SIZE, Size::new(1280, 1024), Size::new(333, 251), Size::new(70, 64), Size::new(8192, 64)];
    for (seq, size) in sizes.into_iter().flat_map(|size| [size; 3]).enumerate() {
        let seq = seq as u64 + 1;
        let picture = || with_blobs_of(size, skin(size, (3.0 * seq as f32, seq as f32), 1.0, seq as i64));
        let figures = wide.measure(&image(size, seq, 100 * seq, picture()));
        let by_narrow = narrow.measure_anywhere(&image(size, seq, 100 * seq, picture()));
        assert_eq!(format!("{figures:?}"), format!("{by_narrow:?}"), "{size}, picture {seq}");
    }
}

/// A picture of any size with one bright spot, so that glare is filled too.
fn with_blobs_of(size: Size, mut rgb: Vec<u8>) -> Vec<u8> {
    let (width, middle) = (size.width as usize, size.height as usize / 2);
    for row in rgb.chunks_exact_mut(width * 3).skip(middle - 6).take(12) {
        row[width..width + 90].fill(252);
    }
    rgb
}

#[test]
fn a_moving_view_is_refused_by_speed() {
    for (pixels, ms, expected) in [(3.0, 33, None), (20.0, 33, Some(RejectReason::Motion)), (20.0, 200, None)] {
        let mut gate = gate();
        gate.judge(image(SIZE, 1, 100, good()), None);
        let moved = skin(SIZE, (pixels, 0.0), 1.0, 2);
        let (reason, figures, view) = outcome(gate.judge(image(SIZE, 2, 100 + ms, moved), None));
        assert_eq!(reason, expected, "{pixels} pixels in {ms} ms");
        let motion = figures.motion.unwrap();
        assert!((motion - 1000.0 * pixels / 640.0).abs() < 1.0, "{pixels} pixels taken for {motion}");
        assert!((view.unwrap()[0] - pixels / 640.0).abs() < 0.001, "{view:?}");
    }
}

#[test]
fn the_view_adds_up_over_a_long_way_and_back() {
    let mut gate = gate();
    let path = (0..=30).chain((0..30).rev());
    for (n, step) in path.enumerate() {
        let from = (step as f32 * 16.0, step as f32 * -5.0);
        let light = 1.0 - 0.004 * n as f32;
        let picture = with_blobs(skin(SIZE, from, light, n as i64), 6, 5);
        let (_, _, view) = outcome(gate.judge(image(SIZE, n as u64 + 1, 100 * n as u64 + 1, picture), None));
        let view = view.unwrap_or_else(|| panic!("the track was lost at step {n}"));
        let off = ((view[0] - from.0 / 640.0).abs(), (view[1] - from.1 / 512.0).abs());
        assert!(off.0 < 0.01 && off.1 < 0.01, "step {n}: {view:?} for {from:?}");
    }
}

#[test]
fn after_a_jump_the_view_is_unknown_for_a_while() {
    let mut gate = gate();
    gate.judge(image(SIZE, 1, 0, good()), None);
    let elsewhere = turned(&good());
    let views: Vec<(Option<f32>, View)> = (0..8)
        .map(|n| {
            let picture = image(SIZE, 2 + n, 100 + 100 * n, elsewhere.clone());
            let (_, figures, view) = outcome(gate.judge(picture, None));
            (figures.motion, view)
        })
        .collect();
    assert_eq!(views[0], (None, None));
    assert!(views[1].0.is_some(), "the new place is followed at once: {views:?}");
    assert!(views[..5].iter().all(|(_, view)| view.is_none()), "{views:?}");
    assert!(views[6].1.is_some(), "{views:?}");
}

#[test]
fn a_frozen_camera_is_told_by_number_and_stamp() {
    let mut gate = gate();
    let mut judge = |run, seq, ms| {
        let picture = Image::new(FrameId { run, seq }, Stamp::from_ms(ms), SIZE, good()).unwrap();
        outcome(gate.judge(picture, None)).0
    };
    assert_eq!(judge(1, 10, 100), None);
    assert_eq!(judge(1, 11, 133), None, "the same picture again is no freeze");
    assert_eq!(judge(1, 11, 166), Some(RejectReason::Frozen), "the number stands");
    assert_eq!(judge(1, 12, 166), Some(RejectReason::Frozen), "the stamp stands");
    assert_eq!(judge(2, 1, 10), None, "a new opening counts anew");
}

#[test]
fn the_model_demands_its_scale() {
    let scale = |um_per_px| Scale::new(um_per_px, ScaleMethod::Entered);
    let mut seq = 0;
    let mut judge = |demands, scale: Option<Scale>| {
        seq += 1;
        outcome(Gate::new(Settings::default(), demands).judge(image(SIZE, seq, seq, good()), scale.as_ref())).0
    };
    let any = Demands::default();
    let floor = Demands { max_um_per_px: Some(2.0), needs_scale: false };
    let needs = Demands { max_um_per_px: Some(2.0), needs_scale: true };
    assert_eq!(judge(any, None), None);
    assert_eq!(judge(floor, None), None);
    assert_eq!(judge(floor, scale(2.0)), None);
    assert_eq!(judge(floor, scale(2.1)), Some(RejectReason::Magnification));
    assert_eq!(judge(needs, None), Some(RejectReason::NoScale));
    assert_eq!(judge(needs, scale(1.0)), None);
}

#[test]
fn the_first_reason_is_the_one_given() {
    let demands = Demands { max_um_per_px: Some(1.0), needs_scale: false };
    let coarse = Scale::new(5.0, ScaleMethod::Entered);
    let mut gate = Gate::new(Settings::default(), demands);
    let mut judge = |seq, rgb| outcome(gate.judge(image(SIZE, seq, seq, rgb), coarse.as_ref())).0;
    let dark_and_soft = blurred(&skin(SIZE, (0.0, 0.0), 0.15, 1), SIZE, 7);
    assert_eq!(judge(1, dark_and_soft.clone()), Some(RejectReason::Magnification));
    assert_eq!(judge(1, dark_and_soft.clone()), Some(RejectReason::Frozen));
    assert_eq!(reason(dark_and_soft), Some(RejectReason::Underexposed));
}

#[test]
fn no_size_and_no_content_makes_it_panic() {
    let mut gate = gate();
    let mut seq = 0;
    for size in [(64, 64), (65, 97), (321, 64), (64, 2000), (1999, 67), (320, 240)] {
        let size = Size::new(size.0, size.1);
        let noise = (0..size.pixels() as i64 * 3).map(|n| (hash(n, 3) * 255.0) as u8).collect();
        for rgb in [vec![0; size.pixels() * 3], vec![255; size.pixels() * 3], noise, skin(size, (0.0, 0.0), 1.0, 1)] {
            seq += 1;
            let (_, figures, _) = outcome(gate.judge(image(size, seq, seq, rgb), None));
            let all = [figures.luma, figures.dark, figures.bright, figures.glare, figures.sharpness, figures.nailfold];
            assert!(all.iter().all(|figure| figure.is_finite()), "{size}: {figures:?}");
            assert!(figures.weight > 0.0 && figures.weight <= 1.0, "{size}: {figures:?}");
        }
    }
}

#[test]
fn settings_are_checked_by_key() {
    assert_eq!(Settings::default().check(), Ok(()));
    for (settings, key) in [
        (Settings { least_luma: f32::NAN, ..Settings::default() }, "least_luma"),
        (Settings { most_luma: 20.0, ..Settings::default() }, "most_luma"),
        (Settings { most_glare: 1.5, ..Settings::default() }, "most_glare"),
        (Settings { full_sharpness: 0.1, ..Settings::default() }, "full_sharpness"),
        (Settings { least_weight: 0.0, ..Settings::default() }, "least_weight"),
    ] {
        let message = settings.check().unwrap_err();
        assert!(message.starts_with(key), "{message}");
    }
}

/// Every real frame at hand is one that a clinician reads; none may be refused.
#[test]
fn readable_real_frames_pass() {
    let Some(folder) = std::env::var_os("HAIRPIN_REAL_FRAMES") else {
        println!("skipped: no real frames");
        return;
    };
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut decoder = Decoder::new().unwrap();
    let mut refused = Vec::new();
    for file in &files {
        let (reason, figures, _) = outcome(gate().judge(decoded(&mut decoder, file), None));
        println!("{} {reason:?} {figures:?}", file.display());
        refused.extend(reason.map(|reason| (file.file_name().unwrap().to_owned(), reason)));
    }
    assert!(!files.is_empty() && refused.is_empty(), "{} frames, refused: {refused:?}", files.len());
}

fn decoded(decoder: &mut Decoder, file: &Path) -> Image {
    let format = match file.extension().and_then(|ending| ending.to_str()) {
        Some("png") => Format::Png,
        Some("tif" | "tiff") => Format::Tiff,
        Some("bmp") => Format::Bmp,
        _ => Format::Mjpeg,
    };
    let raw = RawFrame {
        id: FrameId::default(),
        at: Stamp::default(),
        format,
        size: Size::new(0, 0),
        colour: Colour::Bt601Full,
        bytes: std::fs::read(file).unwrap().into(),
        flagged: false,
    };
    match decoder.decode(&raw, Vec::new()) {
        Decoded::Clean(image) | Decoded::Tolerated(image) => image,
        Decoded::Rejected { damage, .. } => panic!("{} is {damage:?}", file.display()),
    }
}
