//! The source alone: what it lists, grants and delivers, and what it says of each torment.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hairpin::capture::v4l2::controls::{Settings as Controls, Wish};
use hairpin::capture::v4l2::{Settings, probe};
use hairpin::capture::{CaptureErrorKind, Next, Source};
use hairpin::decode::{Decoded, Decoder};
use hairpin::frame::{Format, RawFrame};
use hairpin::outcome::Damage;

use crate::Check;
use crate::frames::{COUNT, FULL, SMALL};
use crate::rig::{self, ID, Rig, camera, error, frame, frames, open, run, settings, until};
use crate::support::Bench;

pub const CHECKS: &[Check] = &[
    ("formats_are_listed", formats_are_listed),
    ("what_is_granted_is_told", what_is_granted_is_told),
    ("sixty_frames_byte_for_byte", sixty_frames_byte_for_byte),
    ("each_damage_is_classified", each_damage_is_classified),
    ("frames_marked_by_the_driver", frames_marked_by_the_driver),
    ("frozen_and_back", frozen_and_back),
    ("stalled_and_restarted", stalled_and_restarted),
    ("refused_and_accepted", refused_and_accepted),
    ("busy_names_the_holder", busy_names_the_holder),
    ("controls_are_set_and_put_back", controls_are_set_and_put_back),
    ("unplugged_ten_times", unplugged_ten_times),
    ("never_another_camera", never_another_camera),
    ("two_at_once", two_at_once),
    ("at_rest_the_camera_stands", at_rest_the_camera_stands),
];

fn formats_are_listed(rig: &Rig) {
    let formats = probe(&rig.node()).unwrap().formats;
    assert_eq!(formats.len(), 1);
    assert_eq!((formats[0].code.as_str(), formats[0].read), ("MJPG", true));
    let sizes: Vec<_> = formats[0].sizes.iter().map(|offer| offer.size).collect();
    assert!(sizes.contains(&SMALL) && sizes.contains(&FULL), "{sizes:?}");
    assert_eq!(formats[0].sizes[0].frames_per_s, [30.0, 15.0, 5.0]);

    let listed = Bench::new().run(&["devices", "--json"]).ok().json();
    let camera = &listed[0];
    assert_eq!(listed.as_array().unwrap().len(), 1, "the node for metadata is left out: {listed}");
    assert_eq!((&camera["id"], &camera["may_open"]), (&ID.into(), &true.into()));
    assert_eq!((&camera["driver"], &camera["usb"]), (&"uvcvideo".into(), &"1d6b:0104".into()));
    assert!(camera["button"].as_str().unwrap().starts_with("/dev/input/event"), "{camera}");
    assert!(camera["port"].as_str().unwrap().contains('-'), "{camera}");
    let told = Bench::new().run(&["devices"]).ok().out;
    assert!(told.contains("640x512 at 30, 15, 5"), "{told}");
}

fn what_is_granted_is_told(_: &Rig) {
    let source = open(ID, Settings { frames_per_s: 20.0, ..settings(FULL) });
    let words = &source.info().words;
    assert_eq!((words.format, words.size, words.frames_per_s), (Some(Format::Mjpeg), Some(FULL), Some(15.0)));
    let device = words.device.as_ref().unwrap();
    assert_eq!((device.id.as_str(), device.driver.as_str()), (ID, "uvcvideo"));
    assert!((device.asked_frames_per_s - 20.0).abs() < 1e-9);
}

fn sixty_frames_byte_for_byte(rig: &Rig) {
    let pictures = rig.pictures(SMALL);
    let mut source = open(ID, settings(SMALL));
    let taken = frames(&mut source, COUNT);
    let first = taken[0].id.seq;
    let start = pictures.iter().position(|picture| *picture == *taken[0].bytes).expect("the first is a picture");
    for pair in taken.windows(2) {
        assert!(pair[1].at > pair[0].at, "stamps advance");
    }
    for frame in &taken {
        let picture = &pictures[(start + (frame.id.seq - first) as usize) % pictures.len()];
        assert!(&*frame.bytes == picture.as_slice(), "frame {} is not its picture", frame.id.seq);
        assert!(!frame.flagged);
    }
    let span = taken[COUNT - 1].at.since(taken[0].at).as_secs_f64();
    let rate = (taken[COUNT - 1].id.seq - first) as f64 / span;
    assert!((25.0..35.0).contains(&rate), "{rate} frames/s");
    println!("       {rate:.2} frames/s, {} of {} numbers", COUNT, taken[COUNT - 1].id.seq - first + 1);
}

/// What became of a frame, in one word.
fn fate(decoder: &mut Decoder, frame: &RawFrame) -> String {
    match decoder.decode(frame, Vec::new()) {
        Decoded::Clean(_) => "clean".to_owned(),
        Decoded::Tolerated(_) => "tolerated".to_owned(),
        Decoded::Rejected { damage, .. } => format!("{damage:?}"),
    }
}

fn each_damage_is_classified(rig: &Rig) {
    let mut decoder = Decoder::new().unwrap();
    for (mode, fates) in [
        ("bits", &["Broken", "Cut"][..]),
        ("truncate", &["Cut", "Broken"]),
        ("garbage", &["Foreign"]),
        ("pad", &["tolerated"]),
        ("nodht", &["clean"]),
        ("noeof", &["clean"]),
        // All four and the one after them come as one.
        ("merge", &["Merged"]),
        ("drop", &["clean"]),
    ] {
        rig.ctl(&format!("corrupt {mode} 4"));
        let mut source = open(ID, settings(SMALL));
        let taken = frames(&mut source, 10);
        let seen: Vec<String> = taken.iter().map(|frame| fate(&mut decoder, frame)).collect();
        drop(source);
        rig.ctl("corrupt off");
        println!("       {mode}: {}", seen.join(" "));
        let (spoiled, whole) = if mode == "merge" { seen.split_at(1) } else { (&seen[..4], &seen[4..]) };
        for fate in spoiled {
            assert!(fates.contains(&fate.as_str()), "{mode}: {seen:?}");
        }
        assert!(whole.iter().all(|fate| fate == "clean"), "{mode}: {seen:?}");
    }
}

/// The driver drops what the camera marks as wrong; told to keep it, it marks it for us.
fn frames_marked_by_the_driver(rig: &Rig) {
    let nodrop = "/sys/module/uvcvideo/parameters/nodrop";
    let mut decoder = Decoder::new().unwrap();
    for keep in [false, true] {
        std::fs::write(nodrop, if keep { "1" } else { "0" }).unwrap();
        // The driver looks at it when it meets the camera.
        rig.ctl("unplug");
        rig.reset();
        let mut source = open(ID, settings(SMALL));
        let before = frames(&mut source, 3)[2].id.seq;
        rig.ctl("corrupt err 5");
        // On a busy machine frames from before the command are still on their way; on a quiet one those that were marked
        // have passed when the command comes back.
        let taken = frames(&mut source, 60);
        drop(source);
        let flagged: Vec<&RawFrame> = taken.iter().filter(|frame| frame.flagged).collect();
        let numbers = taken[59].id.seq - before;
        if keep {
            // One that waits beside a good one is given up for it.
            assert!((1..=5).contains(&flagged.len()), "{} of the five that were marked", flagged.len());
            assert_eq!(fate(&mut decoder, flagged[0]), format!("{:?}", Damage::Flagged));
        } else {
            assert!(flagged.is_empty());
            assert!(numbers >= 65, "what the driver dropped shows as a gap: {numbers} numbers for 60 frames");
        }
    }
    std::fs::write(nodrop, "0").unwrap();
}

fn frozen_and_back(rig: &Rig) {
    let mut source = open(ID, settings(SMALL));
    frames(&mut source, 5);
    rig.ctl("freeze");
    let silent = until("silence", Duration::from_secs(5), || {
        matches!(source.next(Duration::from_millis(500)).unwrap(), Next::Idle)
    });
    assert!(silent < Duration::from_secs(2), "{silent:?}");
    rig.ctl("resume");
    frames(&mut source, 5);
}

fn stalled_and_restarted(rig: &Rig) {
    let mut source = open(ID, settings(SMALL));
    let before = frames(&mut source, 5)[4].id.seq;
    rig.ctl("stall");
    let mut meanwhile = Vec::new();
    until("silence", Duration::from_secs(5), || match source.next(Duration::from_millis(500)).unwrap() {
        Next::Frame(frame) => {
            meanwhile.push((frame.id.seq, frame.flagged, frame.bytes.len()));
            false
        }
        _ => true,
    });
    rig.ctl("unstall");
    source.restart().unwrap_or_else(|e| panic!("{}", e.chain()));
    let after: Vec<u64> = frames(&mut source, 5).iter().map(|frame| frame.id.seq).collect();
    println!("       last {before}, in the stall {meanwhile:?}, then {after:?}");
    assert!(after[0] > before, "numbers go on: {before}, meanwhile {meanwhile:?}, then {after:?}");
}

fn refused_and_accepted(rig: &Rig) {
    rig.ctl("refuse");
    let refused = camera(ID, settings(SMALL)).open().err().expect("the camera refuses");
    assert_eq!(refused.kind, CaptureErrorKind::Io, "{}", refused.chain());
    rig.ctl("accept");
    frames(&mut open(ID, settings(SMALL)), 3);
}

fn busy_names_the_holder(rig: &Rig) {
    let node = rig.node();
    let mut holder = Command::new("v4l2-ctl")
        .args(["-d", node.to_str().unwrap(), "--stream-mmap", "--stream-count=100000", "--stream-to=/dev/null"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("v4l2-ctl streams", Duration::from_secs(10), || rig.status("streaming") == "true");
    let busy = camera(ID, settings(SMALL)).open().err().expect("it is in use");
    assert_eq!(busy.kind, CaptureErrorKind::Busy, "{}", busy.chain());
    let holder_named = format!("v4l2-ctl (process {})", holder.id());
    assert!(busy.chain().contains(&holder_named), "{}", busy.chain());
    let listed = Bench::new().run(&["devices"]).ok().out;
    assert!(listed.contains(&holder_named), "{listed}");
    holder.kill().unwrap();
    holder.wait().unwrap();
}

fn control(rig: &Rig, name: &str) -> String {
    run("v4l2-ctl", &["-d", rig.node().to_str().unwrap(), "-C", name]).trim().to_owned()
}

fn controls_are_set_and_put_back(rig: &Rig) {
    let before = [control(rig, "gain"), control(rig, "auto_exposure")];
    let controls = Controls { exposure: Some(Wish::Value(300)), gain: Some(Wish::Value(77)), ..Controls::default() };
    let mut source = open(ID, Settings { controls, ..settings(SMALL) });
    frames(&mut source, 2);
    assert_eq!(control(rig, "gain"), "gain: 77");
    assert_eq!(control(rig, "exposure_time_absolute"), "exposure_time_absolute: 300");
    let told = source.info().words.device.as_ref().unwrap().controls.clone();
    let of = |name: &str| told.iter().find(|control| control.name == name).unwrap();
    assert_eq!((of("gain").asked, of("gain").granted), (Some(77), Some(77)));
    assert!(of("dynamic_frame_rate").refused.is_some(), "this camera does not have it: {told:?}");
    source.rest().unwrap();
    assert_eq!([control(rig, "gain"), control(rig, "auto_exposure")], before);
}

fn unplugged_ten_times(rig: &Rig) {
    let mut camera = camera(ID, settings(SMALL));
    let mut source = camera.open().unwrap();
    let (mut noticed, mut resumed) = (Vec::new(), Vec::new());
    for _ in 0..10 {
        frames(&mut source, 3);
        let pulled = Instant::now();
        rig.ctl("unplug");
        let (gone, _) = error(&mut source, Duration::from_secs(5));
        noticed.push(pulled.elapsed());
        assert_eq!(gone.kind, CaptureErrorKind::NotFound, "{}", gone.chain());
        drop(source);
        assert_eq!(camera.open().err().unwrap().kind, CaptureErrorKind::NotFound);
        rig.ctl("plug");
        let node = rig.node();
        let back = Instant::now();
        assert!(rig::is_there(&node));
        source = camera.open().unwrap_or_else(|e| panic!("{}", e.chain()));
        frame(&mut source, Duration::from_secs(5)).unwrap();
        resumed.push(back.elapsed());
    }
    let worst = |spans: &[Duration]| spans.iter().max().unwrap().as_secs_f64();
    println!(
        "       noticed after {:.2} s, frames {:.2} s after the node (worst of 10)",
        worst(&noticed),
        worst(&resumed)
    );
    assert!(worst(&noticed) < 1.0 && worst(&resumed) < 2.0, "{noticed:?} {resumed:?}");
}

/// Another camera takes the port and the number of the one that was lost.
fn never_another_camera(rig: &Rig) {
    let mut camera = camera("any", settings(SMALL));
    let mut source = camera.open().unwrap();
    let node = rig.node();
    frames(&mut source, 2);
    rig.ctl("unplug");
    error(&mut source, Duration::from_secs(5));
    drop(source);
    let control = "/run/other.sock";
    let mut other = Command::new("uvccam")
        .args(["serve", "--serial", "OTHER", "--control", control, "--frames", rig.frames.to_str().unwrap()])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let taken = run("uvccam", &["node", "--serial", "OTHER", "30"]);
    assert_eq!(taken.trim(), node.to_str().unwrap(), "it has the number of the other");
    let refused = camera.open().err().expect("another camera is not taken");
    assert_eq!(refused.kind, CaptureErrorKind::NotFound, "{}", refused.chain());
    run("uvccam", &["ctl", "--control", control, "quit"]);
    other.wait().unwrap();
    rig.ctl("plug");
    rig.node();
    frames(&mut camera.open().unwrap(), 2);
}

fn two_at_once(rig: &Rig) {
    let control = "/run/second.sock";
    let mut second = Command::new("uvccam")
        .args(["serve", "--serial", "SECOND", "--port", "1", "--control", control, "--frames"])
        .arg(&rig.frames)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    run("uvccam", &["node", "--serial", "SECOND", "30"]);
    let which = camera("any", settings(SMALL)).open().err().expect("two fit");
    assert_eq!(which.kind, CaptureErrorKind::Unsupported);
    assert!(which.chain().contains("RIG0001") && which.chain().contains("SECOND"), "{}", which.chain());
    let mut first = open(ID, settings(SMALL));
    let mut other = open("usb:1d6b:0104:SECOND", settings(SMALL));
    for _ in 0..5 {
        frames(&mut first, 1);
        frames(&mut other, 1);
    }
    drop((first, other));
    run("uvccam", &["ctl", "--control", control, "quit"]);
    second.wait().unwrap();
}

fn at_rest_the_camera_stands(rig: &Rig) {
    let mut source = open(ID, settings(SMALL));
    frames(&mut source, 2);
    source.rest().unwrap();
    until("the stream stands", Duration::from_secs(5), || rig.status("streaming") == "false");
    frames(&mut source, 2);
    source.rest().unwrap();
    rig.ctl("unplug");
    let lost = until("its loss is noticed", Duration::from_secs(5), || source.rest().is_err());
    assert!(lost < Duration::from_secs(1), "{lost:?}");
}
