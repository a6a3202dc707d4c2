//! Recordings of every kind, whole and broken, played through the public door of `capture`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "support/avi.rs"]
mod avi;

use std::fs;
use std::path::Path;
use std::time::Duration;

use hairpin::capture::replay::{Settings, Truth};
use hairpin::capture::{CaptureError, CaptureErrorKind, Next, Replay, Source, StillAs};
use hairpin::command::{Command, Cue};
use hairpin::frame::{Format, RawFrame, Size};
use hairpin::scale::ScaleMethod;
use hairpin::time::{Clock, Stamp};
use tempfile::TempDir;

fn picture(shade: u8) -> image::RgbImage {
    image::RgbImage::from_fn(24, 16, |x, y| image::Rgb([shade, (x * 10) as u8, (y * 15) as u8]))
}

fn jpeg(shade: u8) -> Vec<u8> {
    let picture = picture(shade);
    let raw = turbojpeg::Image {
        pixels: picture.as_raw().as_slice(),
        width: 24,
        pitch: 72,
        height: 16,
        format: turbojpeg::PixelFormat::RGB,
    };
    turbojpeg::compress(raw, 80, turbojpeg::Subsamp::Sub2x1).unwrap().to_vec()
}

fn still(shade: u8, format: image::ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture(shade).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with(self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        self
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn open(&self, name: &str) -> Replay {
        Replay::open(self.path().join(name), Settings::default()).unwrap()
    }

    fn refused(&self, name: &str) -> CaptureError {
        refused(self.path().join(name), Settings::default())
    }
}

fn refused(path: impl AsRef<Path>, settings: Settings) -> CaptureError {
    match Replay::open(path, settings) {
        Err(error) => error,
        Ok(replay) => panic!("was opened as {:?}", replay.info()),
    }
}

fn play(replay: &mut Replay) -> Vec<RawFrame> {
    let mut frames = Vec::new();
    loop {
        match replay.next(Duration::from_secs(1)).unwrap() {
            Next::Frame(frame) => frames.push(frame),
            Next::Idle => panic!("nothing is waited for at full speed"),
            Next::End => return frames,
        }
    }
}

fn bytes(frames: &[RawFrame]) -> Vec<Vec<u8>> {
    frames.iter().map(|frame| frame.bytes.to_vec()).collect()
}

fn film(coding: avi::Coding, frames: &[Vec<u8>]) -> Vec<u8> {
    let mut film = avi::Avi::new(coding, 24, 16, (20, 1));
    for frame in frames {
        film.push(frame.clone());
    }
    film.bytes()
}

fn stamps(frames: &[RawFrame]) -> Vec<u64> {
    frames.iter().map(|frame| frame.at.ms()).collect()
}

fn cues(replay: &Replay) -> Vec<(u64, String)> {
    let word = |command: &Command| match command {
        Command::Open { subject } => format!("open {subject}"),
        Command::Finger { finger } => finger.to_string(),
        other => format!("{other:?}").to_lowercase(),
    };
    replay.info().script.iter().map(|Cue { at, command }| (at.ms(), word(command))).collect()
}

#[test]
fn one_picture_of_each_format_passes_through_untouched() {
    use image::ImageFormat::{Bmp, Png, Tiff};
    for (name, bytes, format, size) in [
        ("a.jpg", jpeg(9), Format::Mjpeg, Some(Size::new(24, 16))),
        ("a.png", still(9, Png), Format::Png, Some(Size::new(24, 16))),
        ("a.tif", still(9, Tiff), Format::Tiff, None),
        ("a.bmp", still(9, Bmp), Format::Bmp, Some(Size::new(24, 16))),
        // Told by its bytes, whatever it is called.
        ("b.jpg", still(9, Png), Format::Png, Some(Size::new(24, 16))),
        ("b", jpeg(9), Format::Mjpeg, Some(Size::new(24, 16))),
    ] {
        let folder = Folder::new().with(name, &bytes);
        let mut replay = folder.open(name);
        let words = replay.info().words.clone();
        assert_eq!((words.kind.as_str(), words.format, words.size), ("replay", Some(format), size), "{name}");
        assert_eq!((replay.info().frames_total, replay.info().live), (Some(1), false));
        let frames = play(&mut replay);
        assert_eq!(frames.len(), 1);
        assert_eq!((&frames[0].bytes[..], frames[0].format, frames[0].flagged), (&bytes[..], format, false));
        assert!(matches!(replay.next(Duration::ZERO), Ok(Next::End)), "the end lasts");
    }
}

#[test]
fn a_folder_is_played_in_natural_order_at_the_rate_it_is_given() {
    let folder = Folder::new()
        .with("img10.jpg", jpeg(10))
        .with("img2.jpg", jpeg(2))
        .with("img1.png", still(1, image::ImageFormat::Png));
    let settings = Settings { frames_per_s: Some(20.0), ..Settings::default() };
    let mut replay = Replay::open(folder.path(), settings).unwrap();
    let frames = play(&mut replay);
    assert_eq!(bytes(&frames), [still(1, image::ImageFormat::Png), jpeg(2), jpeg(10)]);
    assert_eq!(stamps(&frames), [0, 50, 100]);
    assert_eq!(frames.iter().map(|f| f.id.seq).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(replay.info().words.frames_per_s, Some(20.0));
    assert!(replay.info().script.is_empty() && replay.info().words.scale.is_none());
    // The same again.
    assert_eq!(bytes(&play(&mut Replay::open(folder.path(), Settings::default()).unwrap())), bytes(&frames));
}

#[test]
fn motion_jpeg_in_avi_and_without_a_container_give_the_same_frames() {
    let pictures: Vec<_> = (0..7).map(|n| jpeg(n * 30)).collect();
    let folder = Folder::new()
        .with("film.avi", film(avi::Coding::Mjpeg, &pictures))
        .with("stream.mjpeg", pictures.concat())
        .with("nameless", [b"--part\r\nContent-Type: image/jpeg\r\n\r\n".as_slice(), &pictures.concat()].concat())
        .with("renamed.bin", pictures.concat());
    let mut replay = folder.open("film.avi");
    let frames = play(&mut replay);
    assert_eq!(bytes(&frames), pictures);
    assert_eq!(stamps(&frames), [0, 50, 100, 150, 200, 250, 300]);
    assert_eq!(replay.info().words.frames_per_s, Some(20.0));
    for name in ["stream.mjpeg", "renamed.bin"] {
        let mut replay = folder.open(name);
        assert_eq!((replay.info().frames_total, replay.info().words.frames_per_s), (Some(7), None));
        assert_eq!(bytes(&play(&mut replay)), pictures, "{name}");
    }
    assert_eq!(folder.refused("nameless").kind, CaptureErrorKind::Unsupported);
}

#[test]
fn an_uncompressed_avi_gives_upright_pictures() {
    let rows: Vec<Vec<u8>> = (0..16).map(|y| [y as u8; 72].to_vec()).collect();
    let upside_down: Vec<u8> = rows.iter().rev().flatten().copied().collect();
    let folder = Folder::new().with("raw.avi", film(avi::Coding::BottomUp, &[upside_down]));
    let frames = play(&mut folder.open("raw.avi"));
    assert_eq!((frames[0].format, frames[0].size), (Format::Bgr24, Size::new(24, 16)));
    assert_eq!(frames[0].bytes[..], rows.concat());
}

#[test]
fn finger_folders_make_an_exam() {
    let pictures = [jpeg(1), jpeg(2)];
    let folder = Folder::new()
        .with("L4/1.avi", film(avi::Coding::Mjpeg, &pictures))
        .with("L4/2.avi", film(avi::Coding::Mjpeg, &pictures))
        .with("R2/1.jpg", jpeg(3))
        .with("R2/2.jpg", jpeg(4))
        .with("replay.toml", "subject = \"P017\"\nframes_per_s = 10");
    let mut replay = Replay::open(folder.path(), Settings::default()).unwrap();
    assert_eq!(
        cues(&replay),
        [
            (0, "open P017".to_owned()),
            (0, "L4".to_owned()),
            (2100, "field".to_owned()),
            (4200, "R2".to_owned()),
            (6400, "close".to_owned()),
        ]
    );
    assert_eq!(stamps(&play(&mut replay)), [2000, 2050, 4100, 4150, 6200, 6300]);
    assert!(!replay.info().stills);
    assert_eq!(replay.why_no_exam(), None);
    let other = Settings { finger: Some("R3".parse().unwrap()), ..Settings::default() };
    assert!(refused(folder.path(), other).to_string().contains("finger"), "a finger was given to other fingers' files");
}

#[test]
fn without_a_subject_or_a_finger_no_exam_is_made_up() {
    let folder = Folder::new().with("R2/1.jpg", jpeg(1));
    let replay = Replay::open(folder.path(), Settings::default()).unwrap();
    assert!(replay.info().script.is_empty() && replay.why_no_exam().unwrap().starts_with("no subject"));
    let folder = Folder::new().with("1.jpg", jpeg(1));
    let settings = Settings { subject: Some("P1".parse().unwrap()), ..Settings::default() };
    let replay = Replay::open(folder.path(), settings).unwrap();
    assert!(replay.info().script.is_empty() && replay.why_no_exam().unwrap().starts_with("no finger"));
}

#[test]
fn photographs_are_fields_of_their_own_only_when_that_is_said() {
    let folder = Folder::new().with("R2/1.jpg", jpeg(3)).with("R2/2.jpg", jpeg(4));
    let settings = |still_as| Settings { still_as, subject: Some("P1".parse().unwrap()), ..Settings::default() };
    let words = |replay: &Replay| cues(replay).into_iter().map(|(_, word)| word).collect::<Vec<_>>();
    let film = Replay::open(folder.path(), settings(None)).unwrap();
    assert_eq!((words(&film), film.info().stills), (["open P1", "R2", "close"].map(String::from).to_vec(), false));
    let photos = Replay::open(folder.path(), settings(Some(StillAs::Field))).unwrap();
    assert_eq!(
        (words(&photos), photos.info().stills),
        (["open P1", "R2", "field", "close"].map(String::from).to_vec(), true)
    );
}

#[test]
fn the_sidecar_tells_whose_frames_these_are() {
    let folder = Folder::new()
        .with("N1a.jpg", jpeg(1))
        .with("N1b.jpg", jpeg(2))
        .with("S3a.jpg", jpeg(3))
        .with("overview.jpg", jpeg(4))
        .with(
            "replay.toml",
            r#"
            started = 2026-03-02T09:30:00Z
            finger = "R4"
            scale = { um_per_px = 2.56, how = "ruler-in-view" }
            [[files]]
            name = "overview*"
            skip = true
            [[files]]
            name = "N1*"
            subject = "N1"
            truth = "category 1"
            [[files]]
            name = "S3*"
            subject = "S3"
            truth = "category 2"
            "#,
        );
    let replay = Replay::open(folder.path(), Settings::default()).unwrap();
    let words: Vec<_> = cues(&replay).into_iter().map(|(_, word)| word).collect();
    assert_eq!(words, ["open N1", "R4", "close", "open S3", "R4", "close"]);
    let scale = replay.info().words.scale.clone().unwrap();
    assert_eq!((scale.um_per_px, scale.how), (2.56, ScaleMethod::RulerInView));
    assert_eq!(replay.skipped().len(), 1);
    let truth = |subject: &str, label: &str| Truth {
        subject: Some(subject.parse().unwrap()),
        finger: Some("R4".parse().unwrap()),
        label: label.to_owned(),
    };
    assert_eq!(replay.truth(), [truth("N1", "category 1"), truth("S3", "category 2")]);
    // The date is that of the first frame, two seconds after the first command.
    let Clock::Recorded { started: Some(started) } = replay.info().clock else { panic!("no date") };
    assert_eq!(started.to_string(), "2026-03-02T09:29:58Z");
    assert_eq!(replay.info().clock.date(Stamp::from_ms(2000)).unwrap().to_string(), "2026-03-02T09:30:00Z");
}

#[test]
fn a_script_beside_a_film_is_followed_to_the_letter() {
    let folder = Folder::new().with("film.avi", film(avi::Coding::Mjpeg, &[jpeg(1), jpeg(2)])).with(
        "film.avi.toml",
        r#"script = [{ at_ms = 0, command = "open", subject = "P1" }, { at_ms = 50, command = "finger", finger = "L2" }]"#,
    );
    let mut replay = folder.open("film.avi");
    assert_eq!(cues(&replay), [(0, "open P1".to_owned()), (50, "L2".to_owned())]);
    assert_eq!(stamps(&play(&mut replay)), [0, 50]);
    let settings = Settings { finger: Some("R2".parse().unwrap()), ..Settings::default() };
    assert_eq!(refused(folder.path().join("film.avi"), settings).kind, CaptureErrorKind::Unsupported);
}

#[test]
fn settings_fill_gaps_and_never_overrule() {
    let folder = Folder::new()
        .with("a.jpg", jpeg(1))
        .with("a.jpg.toml", "subject = \"P1\"\nscale = { um_per_px = 2.5, how = \"stage-micrometer\" }");
    let path = folder.path().join("a.jpg");
    let settings = |um_per_px, subject: &str| Settings {
        um_per_px: Some(um_per_px),
        subject: Some(subject.parse().unwrap()),
        finger: Some("R2".parse().unwrap()),
        ..Settings::default()
    };
    let replay = Replay::open(&path, settings(2.5, "P1")).unwrap();
    assert_eq!(replay.info().words.scale.as_ref().unwrap().how, ScaleMethod::StageMicrometer);
    assert_eq!(cues(&replay).len(), 3);
    for (wrong, key) in [(settings(2.6, "P1"), "um_per_px"), (settings(2.5, "P2"), "subject")] {
        let error = refused(&path, wrong);
        assert!(error.kind == CaptureErrorKind::Unsupported && error.to_string().contains(key), "{error}");
    }
    fs::remove_file(folder.path().join("a.jpg.toml")).unwrap();
    let replay = Replay::open(&path, settings(2.6, "P2")).unwrap();
    assert_eq!(replay.info().words.scale.as_ref().unwrap().how, ScaleMethod::Entered);
}

#[test]
fn a_frame_without_a_finger_among_others_is_refused() {
    let folder = Folder::new().with("R2/1.jpg", jpeg(1)).with("overview.jpg", jpeg(2));
    let error = refused(folder.path(), Settings::default());
    assert_eq!(error.kind, CaptureErrorKind::Unsupported);
    assert!(error.to_string().contains("overview.jpg") && error.to_string().contains("skip"), "{error}");
}

#[test]
fn a_folder_s_name_and_the_sidecar_may_not_contradict_each_other() {
    let folder =
        Folder::new().with("R2/1.jpg", jpeg(1)).with("replay.toml", "[[files]]\nname = \"*\"\nfinger = \"L2\"");
    let error = refused(folder.path(), Settings::default());
    assert!(error.to_string().contains("R2") && error.to_string().contains("L2"), "{error}");
}

#[test]
fn what_does_not_belong_is_passed_over_and_said() {
    let folder = Folder::new()
        .with("1.jpg", jpeg(1))
        .with("notes.txt", "hello")
        .with("Thumbs.db", [0; 9])
        .with(".hidden.jpg", jpeg(1))
        .with("1.jpg.toml", "")
        .with("msmpeg.avi", film(avi::Coding::Other(*b"MPG4"), &[]))
        .with("empty.avi", film(avi::Coding::Mjpeg, &[]))
        .with("in/deeper/1.jpg", jpeg(1));
    std::os::unix::fs::symlink(folder.path(), folder.path().join("in/circle")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join("dangling.jpg")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("pipe.jpg")).unwrap();
    let mut replay = Replay::open(folder.path(), Settings::default()).unwrap();
    assert_eq!(play(&mut replay).len(), 1);
    let name = |path: &Path| path.strip_prefix(folder.path()).unwrap().to_string_lossy().into_owned();
    let skipped: Vec<_> = replay.skipped().iter().map(|s| (name(&s.path), s.why.as_str())).collect();
    let why = |name: &str| skipped.iter().find(|(n, _)| n == name).unwrap_or_else(|| panic!("{name}: {skipped:?}")).1;
    assert_eq!(skipped.len(), 10, "{skipped:?}");
    assert_eq!(why("notes.txt"), "no picture and no film that is known here");
    assert_eq!(why(".hidden.jpg"), "hidden");
    assert_eq!(why("in/circle"), "folders within folders are not entered");
    assert_eq!(why("dangling.jpg"), "a link that leads nowhere");
    assert_eq!(why("pipe.jpg"), "neither a file nor a folder");
    assert!(why("msmpeg.avi").contains("MPG4") && why("empty.avi").contains("no picture"));
}

#[test]
fn nothing_to_play_says_what_was_looked_for() {
    let folder = Folder::new().with("notes.txt", "hello");
    let error = refused(folder.path(), Settings::default());
    assert_eq!(error.kind, CaptureErrorKind::NotFound);
    assert!(error.to_string().contains("JPEG") && error.to_string().contains("notes.txt"), "{error}");
    let error = folder.refused("missing.avi");
    assert_eq!(error.kind, CaptureErrorKind::NotFound);
    assert!(error.chain().contains("missing.avi"), "{}", error.chain());
    assert_eq!(folder.refused("notes.txt").kind, CaptureErrorKind::Unsupported);
    let error = refused("/dev/null", Settings::default());
    assert_eq!(error.kind, CaptureErrorKind::Unsupported);
}

#[test]
fn a_sidecar_that_does_not_read_is_named_with_line_and_key() {
    let folder = Folder::new().with("1.jpg", jpeg(1)).with("replay.toml", "subject = \"P1\"\nfingr = \"R2\"\n");
    let error = refused(folder.path(), Settings::default());
    assert_eq!(error.kind, CaptureErrorKind::Unsupported);
    assert!(error.to_string().contains("replay.toml, line 2, key fingr"), "{error}");
    let elsewhere = Settings { sidecar: Some(folder.path().join("none.toml")), ..Settings::default() };
    assert_eq!(refused(folder.path(), elsewhere).kind, CaptureErrorKind::NotFound);
}

#[test]
fn empty_and_foreign_pictures_are_frames_that_decoding_will_count() {
    let folder = Folder::new().with("1.jpg", "").with("2.png", "this is text").with("3.jpg", jpeg(1));
    let frames = play(&mut Replay::open(folder.path(), Settings::default()).unwrap());
    assert_eq!(bytes(&frames), [Vec::new(), b"this is text".to_vec(), jpeg(1)]);
    assert_eq!(frames[1].format, Format::Png);
    assert_eq!(play(&mut folder.open("1.jpg")).len(), 1);
}

#[test]
fn a_picture_too_large_for_any_frame_is_flagged_and_not_read() {
    let folder = Folder::new().with("1.jpg", jpeg(1));
    let file = fs::File::options().write(true).open(folder.path().join("1.jpg")).unwrap();
    file.set_len(1 << 32).unwrap();
    let frames = play(&mut folder.open("1.jpg"));
    assert_eq!((frames[0].flagged, frames[0].bytes.len()), (true, 0));
}

#[test]
fn a_film_that_shrinks_while_it_plays_is_missed_and_the_next_goes_on() {
    let pictures: Vec<_> = (0..9).map(|n| jpeg(n * 20)).collect();
    let whole = film(avi::Coding::Mjpeg, &pictures);
    let folder = Folder::new().with("1.avi", &whole).with("2.jpg", jpeg(7));
    let mut replay = Replay::open(folder.path(), Settings::default()).unwrap();
    let Ok(Next::Frame(first)) = replay.next(Duration::ZERO) else { panic!("no first frame") };
    assert_eq!(first.bytes[..], pictures[0]);
    let file = fs::File::options().write(true).open(folder.path().join("1.avi")).unwrap();
    file.set_len(whole.len() as u64 / 2).unwrap();
    let (mut frames, mut missed) = (Vec::new(), Vec::new());
    loop {
        match replay.next(Duration::ZERO) {
            Ok(Next::Frame(frame)) => frames.push(frame),
            Ok(_) => break,
            Err(error) => missed.push(error),
        }
    }
    let (last, before) = frames.split_last().unwrap();
    assert_eq!((last.bytes.to_vec(), last.id.seq), (jpeg(7), 9));
    let cut = before.iter().filter(|frame| frame.flagged).count();
    assert!(cut <= 1 && before.len() < 8, "{} frames, {cut} of them flagged", before.len());
    assert_eq!(missed.iter().map(|e| e.kind).collect::<Vec<_>>(), [CaptureErrorKind::BadFrame]);
    assert!(missed[0].to_string().contains("1.avi"));
}

#[test]
fn a_picture_that_vanishes_ends_the_recording_with_its_name() {
    let folder = Folder::new().with("1.jpg", jpeg(1)).with("2.jpg", jpeg(2)).with("3.jpg", jpeg(3));
    let mut replay = Replay::open(folder.path(), Settings::default()).unwrap();
    replay.next(Duration::ZERO).unwrap();
    fs::remove_file(folder.path().join("2.jpg")).unwrap();
    let error = replay.next(Duration::ZERO).unwrap_err();
    assert!(error.kind == CaptureErrorKind::NotFound && error.chain().contains("2.jpg"), "{}", error.chain());
    assert!(matches!(replay.next(Duration::ZERO), Ok(Next::End)));
}

#[test]
fn what_may_not_be_read_is_denied_by_name() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new().with("1.jpg", jpeg(1)).with("2.jpg", jpeg(2));
    let locked = folder.path().join("2.jpg");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(&locked).is_ok() {
        println!("skipped: this user may read everything");
        return;
    }
    let error = refused(folder.path(), Settings::default());
    assert!(error.kind == CaptureErrorKind::Denied && error.chain().contains("2.jpg"), "{}", error.chain());
}

#[test]
fn settings_are_read_from_toml_and_unknown_keys_refused() {
    let settings: Settings =
        toml::from_str("pace = { factor = 2.0 }\nfinger = \"R2\"\nstill_as = \"field\"\nas_live = true").unwrap();
    assert_eq!(settings.check(), Ok(()));
    assert_eq!(settings.still_as, Some(StillAs::Field));
    assert!(toml::from_str::<Settings>("speed = 2").unwrap_err().to_string().contains("unknown field `speed`"));
    assert!(toml::from_str::<Settings>("pace = \"real_time\"").is_ok());
}

#[test]
fn real_frames_pass_through_whole() {
    let Ok(frames) = std::env::var("HAIRPIN_REAL_FRAMES") else {
        println!("skipped: no real frames");
        return;
    };
    let mut replay = Replay::open(&frames, Settings::default()).unwrap();
    let files = fs::read_dir(&frames).unwrap().count();
    let played = play(&mut replay);
    assert_eq!(played.len() + replay.skipped().len(), files);
    assert!(played.iter().all(|f| f.size == Size::new(1280, 1024) && !f.flagged));
}
