//! Every ordering and every error of the kernel, on a device of our own.

use super::controls::{PowerLine, Wish, Word};
use super::fixture::{Call, Event, Fake, flagged, frame};
use super::node::Rows;
use super::opening::Opening;
use super::ring::Ring;
use super::*;
use crate::capture::select::Identity;
use crate::scale::Known;

const PATIENCE: Duration = Duration::from_millis(1);

fn ring(fake: &Fake, discard: u32) -> Ring {
    let mut ring = Ring::new(Box::new(fake.clone()), None, discard);
    ring.start().unwrap();
    ring
}

/// The numbers that come out, `-` for a wait without a frame, `!` for a flagged one, until the events are used up.
fn numbers(ring: &mut Ring, calls: usize) -> Vec<String> {
    (0..calls)
        .map(|_| match ring.take(PATIENCE) {
            Ok(Some(taken)) => format!("{}{}", taken.seq, if taken.flagged { "!" } else { "" }),
            Ok(None) => "-".to_owned(),
            Err(trouble) => format!("{:?} {}", trouble.doing, trouble.errno.raw_os_error()),
        })
        .collect()
}

#[test]
fn a_frame_after_a_wait_without_one_is_taken_and_no_buffer_is_given_twice() {
    let fake = Fake::playing([Event::Timeout, frame(0), Event::Later, Event::Timeout, frame(1)]);
    let mut ring = ring(&fake, 0);
    assert_eq!(numbers(&mut ring, 4), ["-", "0", "-", "1"]);
    assert_eq!(fake.state().queued.len(), 6, "all buffers are back with the driver");
}

#[test]
fn a_few_frames_at_once_are_taken_in_their_order_flagged_ones_too() {
    let fake = Fake::playing([frame(0), flagged(1), frame(2), Event::Later, frame(3)]);
    let mut ring = ring(&fake, 0);
    assert_eq!(numbers(&mut ring, 5), ["0", "1!", "2", "3", "-"]);
    assert_eq!(fake.state().queued.len(), 6);
}

#[test]
fn of_many_frames_at_once_the_newest_good_one_is_taken() {
    let many = (0..6).map(frame).chain([Event::Later]);
    let fake = Fake::playing(many.chain((6..11).map(frame)).chain([flagged(11)]));
    let mut ring = ring(&fake, 0);
    let taken = ring.take(PATIENCE).unwrap().unwrap();
    assert_eq!((taken.seq, taken.flagged, &*taken.bytes), (0, false, &[5; 4][..]), "numbers begin at the first");
    let taken = ring.take(PATIENCE).unwrap().unwrap();
    assert_eq!((taken.seq, taken.flagged, &*taken.bytes), (5, false, &[10; 4][..]));
    assert_eq!(fake.state().queued.len(), 6);
}

#[test]
fn a_flagged_frame_is_handed_on_as_such_where_there_is_no_better() {
    let fake = Fake::playing([flagged(0), Event::Later, frame(1)]);
    assert_eq!(numbers(&mut ring(&fake, 0), 3), ["0!", "1", "-"]);
}

#[test]
fn gaps_in_the_numbers_stay_and_a_wrap_is_none() {
    let fake = Fake::playing([
        frame(u32::MAX - 1),
        Event::Later,
        frame(u32::MAX),
        Event::Later,
        frame(0),
        Event::Later,
        frame(5),
        Event::Later,
        frame(5),
        Event::Later,
        frame(3),
    ]);
    assert_eq!(numbers(&mut ring(&fake, 0), 6), ["0", "1", "2", "7", "7", "5"], "a frozen number stays frozen");
}

#[test]
fn numbers_go_on_where_the_stream_was_restarted() {
    let fake = Fake::playing([frame(0), Event::Later, frame(1)]);
    let mut ring = ring(&fake, 0);
    assert_eq!(numbers(&mut ring, 2), ["0", "1"]);
    ring.stop().unwrap();
    ring.start().unwrap();
    fake.state().events.extend([frame(0), Event::Later, frame(2)]);
    assert_eq!(numbers(&mut ring, 2), ["2", "4"]);
}

#[test]
fn what_ends_in_an_error_bears_an_old_number_and_moves_nothing_back() {
    let events = [frame(4), Event::Later, frame(5), Event::Later, flagged(1), Event::Later, frame(6)];
    let fake = Fake::playing(events);
    let mut ring = ring(&fake, 0);
    assert_eq!(numbers(&mut ring, 4), ["0", "1", "1!", "2"]);
    ring.stop().unwrap();
    ring.start().unwrap();
    fake.state().events.extend([flagged(6), Event::Later, frame(0), Event::Later, frame(1)]);
    assert_eq!(numbers(&mut ring, 3), ["3!", "4", "5"]);
}

#[test]
fn the_first_frames_of_each_stream_are_thrown_away() {
    let fake = Fake::playing([flagged(0), Event::Later, frame(1), frame(2), Event::Later, frame(3)]);
    let mut ring = ring(&fake, 2);
    assert_eq!(numbers(&mut ring, 3), ["0", "1", "-"]);
    ring.stop().unwrap();
    ring.start().unwrap();
    fake.state().events.extend([frame(0), frame(1), frame(2)]);
    assert_eq!(numbers(&mut ring, 1), ["2"]);
}

#[test]
fn a_frame_is_cut_to_its_used_bytes_and_rows_lose_their_padding() {
    let bytes: Vec<u8> = (0..12).collect();
    let padded = Event::Frame { seq: 0, flags: 0, bytes };
    let fake = Fake::playing([padded, Event::Later, Event::Frame { seq: 1, flags: 0, bytes: vec![] }]);
    let rows = Some(Rows { stride: 5, width: 3 });
    let mut ring = Ring::new(Box::new(fake), rows, 0);
    ring.start().unwrap();
    assert_eq!(&*ring.take(PATIENCE).unwrap().unwrap().bytes, [0, 1, 2, 5, 6, 7, 10, 11]);
    assert_eq!(&*ring.take(PATIENCE).unwrap().unwrap().bytes, [0_u8; 0]);
}

#[test]
fn a_stamp_counts_only_on_the_monotonic_clock() {
    let other_clock = Event::Frame { seq: 1, flags: 0, bytes: vec![1] };
    let fake = Fake::playing([frame(7), Event::Later, other_clock]);
    let mut ring = ring(&fake, 0);
    assert_eq!(ring.take(PATIENCE).unwrap().unwrap().stamp, Some(Duration::from_secs(7)));
    assert_eq!(ring.take(PATIENCE).unwrap().unwrap().stamp, None);
}

#[test]
fn trouble_with_nothing_to_take_is_an_error_and_no_loop_without_end() {
    let fake = Fake::playing([Event::Trouble]);
    assert_eq!(numbers(&mut ring(&fake, 0), 1), ["Wait 5"]);
    let gone = Fake::playing([Event::Trouble]);
    let mut lost = ring(&gone, 0);
    let gone = gone.failing(Call::Dequeue, Errno::NODEV);
    assert_eq!(numbers(&mut lost, 1), ["Take 19"]);
    drop(gone);
}

#[test]
fn a_driver_that_tells_of_frames_and_has_none_is_an_error_and_no_loop_without_end() {
    let fake = Fake::playing([frame(0)]);
    let mut ring = ring(&fake, 0);
    let fake = fake.failing(Call::Dequeue, Errno::AGAIN);
    assert_eq!(numbers(&mut ring, 1), ["Wait 5"]);
    drop(fake);
}

#[test]
fn an_error_at_stopping_still_gives_every_buffer_back() {
    let fake = Fake::playing([frame(0)]);
    let mut ring = ring(&fake, 0);
    fake.state().failing.insert(Call::Stop, Errno::IO);
    assert_eq!(ring.stop().unwrap_err().errno, Errno::IO);
    assert!(!ring.streaming());
    fake.state().failing.clear();
    ring.start().unwrap();
    assert_eq!(numbers(&mut ring, 1), ["0"]);
}

#[test]
fn a_stream_that_cannot_start_leaves_no_buffer_with_the_driver() {
    let fake = Fake::default().failing(Call::Start, Errno::NOSPC);
    let mut ring = Ring::new(Box::new(fake.clone()), None, 0);
    assert_eq!(ring.start().unwrap_err(), Trouble { doing: Doing::Start, errno: Errno::NOSPC });
    assert!(fake.state().queued.is_empty());
    fake.state().failing.clear();
    ring.start().unwrap();
}

fn device() -> Device {
    Device {
        path: "/dev/video-test".into(),
        name: "Test".to_owned(),
        driver: String::new(),
        place: "test".to_owned(),
        index: 0,
        usb: None,
    }
}

fn open(fake: &Fake, settings: &Settings) -> Result<V4l2, CaptureError> {
    let device = device();
    let identity = Identity::of(&device, &[]);
    let tree = Tree { sys: "/nowhere".into(), dev: "/nowhere".into(), proc: "/nowhere".into() };
    let opening = Opening { device: &device, identity: &identity, tree: &tree, settings };
    let scale: ScaleOf = Box::new(|_, _| Known::default());
    opening.open(Box::new(fake.clone()), Clock::live(), Arc::new(scale))
}

fn errors() -> impl Iterator<Item = Errno> {
    (1..134).map(Errno::from_raw_os_error)
}

#[test]
fn every_error_of_every_call_is_a_kind_and_never_a_panic_or_a_loop() {
    for call in Call::ALL {
        for errno in errors() {
            // While opening.
            let opened = open(&Fake::playing([frame(0)]).failing(call, errno), &Settings::default());
            drop(opened);
            // And in the middle of a stream.
            let fake = Fake::playing((0..8).flat_map(|seq| [frame(seq), Event::Later]));
            let mut source = open(&fake, &Settings::default()).unwrap();
            source.next(PATIENCE).unwrap();
            fake.state().failing.insert(call, errno);
            for _ in 0..3 {
                let _any = source.next(PATIENCE);
            }
            let _any = source.restart();
            let _any = source.rest();
            fake.state().failing.clear();
            assert!(fake.state().queued.len() <= 6);
        }
    }
}

#[test]
fn what_can_be_done_is_told_by_the_kind() {
    use CaptureErrorKind::{Busy, Io, NoBandwidth, NotFound, Unsupported};
    for (call, errno, kind, word) in [
        (Call::Capability, Errno::NODEV, NotFound, "is gone"),
        (Call::Capability, Errno::NOTTY, Unsupported, "cannot ask"),
        (Call::FormatAt, Errno::INVAL, Unsupported, "no format at all"),
        (Call::SetFormat, Errno::BUSY, Busy, "in use by another program"),
        (Call::SetFormat, Errno::IO, Io, "cannot set the format"),
        (Call::Allocate, Errno::NOMEM, Io, "cannot get buffers"),
        (Call::Allocate, Errno::BUSY, Busy, "in use by"),
        (Call::Start, Errno::NOSPC, NoBandwidth, "no USB bandwidth for 1280x1024 as MJPG at 30 frames/s"),
        (Call::Start, Errno::IO, Io, "cannot start the stream"),
    ] {
        let error = open(&Fake::default().failing(call, errno), &Settings::default()).err().unwrap();
        assert_eq!(error.kind, kind, "{call:?} {errno:?}");
        let text = error.chain();
        assert!(text.contains(word), "{text}");
        assert!(!text.contains("No space left"), "{text}");
    }
}

#[test]
fn what_is_granted_is_in_the_words() {
    let source = open(&Fake::default(), &Settings { size: Size::new(800, 600), ..Default::default() }).unwrap();
    let words = &source.info().words;
    assert_eq!((words.format, words.size), (Some(Format::Mjpeg), Some(Size::new(1280, 1024))));
    assert_eq!(words.frames_per_s, Some(30.0));
    let device = words.device.as_ref().unwrap();
    assert_eq!((device.driver.as_str(), device.asked_size), ("fake", Size::new(800, 600)));
}

#[test]
fn a_format_that_changed_under_us_is_found_before_frames_flow() {
    let fake = Fake::playing([frame(0)]);
    let mut source = open(&fake, &Settings { discard: 0, ..Default::default() }).unwrap();
    source.rest().unwrap();
    fake.state().format.width = 640;
    let error = source.next(PATIENCE).unwrap_err();
    assert_eq!(error.kind, CaptureErrorKind::Io, "opening it anew helps");
    assert!(error.to_string().contains("changed under us: 640x1024"), "{error}");
    assert!(source.restart().is_err());
}

#[test]
fn at_rest_the_stream_stands_and_a_lost_device_is_noticed() {
    let fake = Fake::playing([frame(0), Event::Later]);
    let mut source = open(&fake, &Settings { discard: 0, ..Default::default() }).unwrap();
    assert!(matches!(source.next(PATIENCE), Ok(Next::Frame(_))));
    source.rest().unwrap();
    assert!(!fake.state().streaming);
    source.rest().unwrap();
    fake.state().events.push_back(frame(0));
    let Ok(Next::Frame(next)) = source.next(PATIENCE) else { panic!("no frame after the rest") };
    assert_eq!((next.id.seq, fake.state().starts), (1, 2));
    source.rest().unwrap();
    fake.state().failing.insert(Call::Capability, Errno::NODEV);
    assert_eq!(source.rest().unwrap_err().kind, CaptureErrorKind::NotFound);
}

const EXPOSURE_MODE: u32 = 0x009A_0901;
const EXPOSURE: u32 = 0x009A_0902;
const GAIN: u32 = 0x0098_0913;

fn with_controls(controls: &[(u32, i32)]) -> Fake {
    let fake = Fake::playing([frame(0)]);
    fake.state().controls.extend(controls.iter().copied());
    fake
}

#[test]
fn controls_are_set_in_order_told_and_put_back_in_reverse() {
    let fake = with_controls(&[(EXPOSURE_MODE, 3), (EXPOSURE, 156), (GAIN, 50)]);
    let controls = controls::Settings {
        exposure: Some(Wish::Value(300)),
        gain: Some(Wish::Value(9000)),
        white_balance: Some(Wish::Word(Word::Lock)),
        power_line: Some(PowerLine::Hz50),
        dynamic_frame_rate: Some(false),
    };
    let mut source = open(&fake, &Settings { controls, ..Default::default() }).unwrap();
    assert_eq!(fake.state().set, [(EXPOSURE_MODE, 1), (EXPOSURE, 300)]);
    let told = source.info().words.device.as_ref().unwrap().controls.clone();
    let of = |name: &str| told.iter().find(|c| c.name == name).unwrap();
    assert_eq!((of("exposure").asked, of("exposure").granted), (Some(300), Some(300)));
    assert_eq!(of("gain").refused.as_deref(), Some("the camera does not take 9000"));
    assert_eq!(of("dynamic_frame_rate").refused.as_deref(), Some("the camera does not have it"));
    assert_eq!((of("white_balance").asked, of("white_balance").granted), (None, None));
    fake.state().set.clear();
    source.rest().unwrap();
    assert_eq!(fake.state().set, [(EXPOSURE, 156), (EXPOSURE_MODE, 3)]);
    drop(source);
    assert_eq!(fake.state().set.len(), 2, "put back once");
}

#[test]
fn locking_keeps_the_value_that_the_automatic_had_found() {
    let fake = with_controls(&[(EXPOSURE_MODE, 3), (EXPOSURE, 78)]);
    let controls = controls::Settings { exposure: Some(Wish::Word(Word::Lock)), ..Default::default() };
    drop(open(&fake, &Settings { controls, ..Default::default() }).unwrap());
    assert_eq!(
        fake.state().set,
        [(EXPOSURE_MODE, 1), (EXPOSURE, 78), (EXPOSURE, 78), (EXPOSURE_MODE, 3)],
        "set, and put back when the source was dropped"
    );
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    assert_eq!(Settings::default().check(), Ok(()));
    for (wrong, key) in [
        (Settings { frames_per_s: f64::NAN, ..Default::default() }, "frames_per_s"),
        (Settings { size: Size::new(0, 480), ..Default::default() }, "size.width"),
        (Settings { discard: 100, ..Default::default() }, "discard"),
        (Settings { format: Some(Format::Png), ..Default::default() }, "format"),
    ] {
        assert!(wrong.check().unwrap_err().starts_with(key), "{key}");
    }
}
