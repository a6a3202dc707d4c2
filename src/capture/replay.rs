//! Plays a recording as a source: a picture, a folder of pictures and films, an AVI file, a motion-JPEG stream.
//!
//! Bytes pass through as they were recorded; nothing is decoded here. The same recording with the same settings
//! gives the same frames with the same stamps every time, unless it is asked to play the camera (`as_live`).

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::avi::{Avi, AviError};
use super::mjpeg_stream::{Split, Splitter};
use super::pace::{Hands, Pace, Pacer};
use super::plan::{Clip, Plan};
use super::sidecar::{self, StillAs};
use super::stills::{self, Kind, Skipped};
use super::{CaptureError, CaptureErrorKind, FRAMES_PER_S, Next, Source, SourceInfo};
use crate::command::Subject;
use crate::finger::Finger;
use crate::frame::{Colour, Format, FrameId, RawFrame, Size};
use crate::report::SourceWords;
use crate::scale::UM_PER_PX_RANGE;
use crate::time::Clock;

/// How a recording is played, and what is known of it that its sidecar does not say. Where both speak and
/// differ, opening is refused.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "snake_case")]
pub struct Settings {
    pub pace: Pace,
    /// Play the camera: stamps of the live clock, and frames are given up when their reader is slow. Without it
    /// the reader is waited for, at any pace, and every playing gives the same result.
    pub as_live: bool,
    /// Of pictures and raw streams; an AVI has its own. 30 where nobody says, as USB microscopes commonly send.
    pub frames_per_s: Option<f64>,
    pub still_as: Option<StillAs>,
    /// In place of the sidecar beside the recording.
    pub sidecar: Option<PathBuf>,
    pub subject: Option<Subject>,
    pub finger: Option<Finger>,
    pub um_per_px: Option<f64>,
}

impl Settings {
    /// Names the key and the allowed range.
    pub fn check(&self) -> Result<(), String> {
        let within = |key: &str, value: Option<f64>, range: std::ops::RangeInclusive<f64>| match value {
            Some(value) if !range.contains(&value) => {
                Err(format!("{key} = {value}: must lie from {} to {}", range.start(), range.end()))
            }
            _ => Ok(()),
        };
        within("frames_per_s", self.frames_per_s, FRAMES_PER_S)?;
        within("um_per_px", self.um_per_px, UM_PER_PX_RANGE)?;
        match self.pace {
            Pace::Factor(factor) => within("pace.factor", Some(factor), Pace::FACTORS),
            Pace::AsFast if self.as_live => {
                Err("as_live = true: a camera has a pace, so set pace to real_time or to a factor".to_owned())
            }
            Pace::AsFast | Pace::RealTime => Ok(()),
        }
    }
}

/// Where the sidecar of a file would lie: its own, and that of its folder.
pub fn sidecars(file: &Path) -> [PathBuf; 2] {
    [sidecar::place(file, false), sidecar::place(file.parent().unwrap_or(Path::new("")), true)]
}

/// What is known to be right of a finger, or of the whole recording; never shown to what reads the frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truth {
    pub subject: Option<Subject>,
    pub finger: Option<Finger>,
    pub label: String,
}

/// A recording being played.
pub struct Replay {
    info: SourceInfo,
    settings: Settings,
    plan: Plan,
    hands: Hands,
    pacer: Pacer,
    /// Index of the clip being played.
    playing: usize,
    reader: Reader,
    /// Frames of that clip so far.
    given: u64,
    /// Read, and not yet due.
    pending: Option<RawFrame>,
    scratch: Vec<u8>,
}

impl Replay {
    /// Looks through the whole recording: films are counted, pictures only listed. With `as_live` its time runs
    /// from here, as a camera's does, so open it last.
    ///
    /// Kinds: `NotFound`, `Denied`, `Io` as the operating system says, and `NotFound` where nothing can be
    /// played; `Unsupported` for what is no recording, for a sidecar that cannot be followed, and for settings
    /// out of range.
    pub fn open(path: impl AsRef<Path>, settings: Settings) -> Result<Self, CaptureError> {
        settings.check().map_err(|why| CaptureError::new(CaptureErrorKind::Unsupported, why))?;
        let origin = Instant::now();
        Self::with_hands(path.as_ref(), settings, Hands::real(origin), origin)
    }

    fn with_hands(path: &Path, settings: Settings, hands: Hands, origin: Instant) -> Result<Self, CaptureError> {
        let plan = Plan::make(path, &settings)?;
        let pacer =
            if settings.as_live { Pacer::from_zero(settings.pace) } else { Pacer::from_first_frame(settings.pace) };
        let mut scratch = Vec::new();
        let info = info(path, &plan, &settings, origin, &mut scratch);
        Ok(Self {
            info,
            settings,
            plan,
            hands,
            pacer,
            playing: 0,
            reader: Reader::Closed,
            given: 0,
            pending: None,
            scratch,
        })
    }

    /// Files of the folder that are not played, and why.
    pub fn skipped(&self) -> &[Skipped] {
        &self.plan.skipped
    }

    pub fn truth(&self) -> &[Truth] {
        &self.plan.truth
    }

    /// Why the recording brings no script; `None` when it brings one.
    pub fn why_no_exam(&self) -> Option<&'static str> {
        self.plan.why_no_exam()
    }

    fn read(&mut self) -> Result<Option<RawFrame>, CaptureError> {
        while let Some(clip) = self.plan.clips.get(self.playing) {
            match self.reader.take(clip, &mut self.scratch) {
                // What was added to a film after it was counted has no place in time: the next clip begins there.
                Ok(Some(taken)) if taken.slot < clip.slots => {
                    self.given += 1;
                    return Ok(Some(frame(clip, &taken, &self.scratch)));
                }
                Ok(_) => {
                    let fewer = fewer_than_counted(clip, self.given);
                    (self.reader, self.given) = (Reader::Closed, 0);
                    self.playing += 1;
                    fewer?;
                }
                Err(error) => {
                    self.playing = self.plan.clips.len();
                    return Err(error);
                }
            }
        }
        Ok(None)
    }
}

fn fewer_than_counted(clip: &Clip, given: u64) -> Result<(), CaptureError> {
    if given >= clip.pictures {
        return Ok(());
    }
    Err(CaptureError::new(
        CaptureErrorKind::BadFrame,
        format!("{} had {} frames when it was opened and has {given} now", clip.found.path.display(), clip.pictures),
    ))
}

impl Source for Replay {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next(&mut self, patience: Duration) -> Result<Next, CaptureError> {
        let frame = match self.pending.take() {
            Some(frame) => frame,
            None => match self.read()? {
                Some(frame) => frame,
                None => return Ok(Next::End),
            },
        };
        let wait = self.pacer.wait((self.hands.now)(), frame.at);
        if wait > patience {
            self.pending = Some(frame);
            (self.hands.sleep)(patience);
            return Ok(Next::Idle);
        }
        if !wait.is_zero() {
            (self.hands.sleep)(wait);
        }
        let at = if self.settings.as_live { self.settings.pace.played(frame.at) } else { frame.at };
        Ok(Next::Frame(RawFrame { at, ..frame }))
    }
}

fn info(path: &Path, plan: &Plan, settings: &Settings, origin: Instant, scratch: &mut Vec<u8>) -> SourceInfo {
    // A look at the first frame; if it cannot be read, playing will say so.
    let first = Reader::Closed.take(&plan.clips[0], scratch).ok().flatten();
    let mut script = plan.script.clone();
    if settings.as_live {
        script.iter_mut().for_each(|cue| cue.at = settings.pace.played(cue.at));
    }
    SourceInfo {
        words: SourceWords {
            kind: "replay".to_owned(),
            name: name(path),
            format: first.as_ref().map(|taken| taken.format),
            size: first.map(|taken| taken.size).filter(|size| size.pixels() > 0),
            frames_per_s: plan.frames_per_s,
            measured_per_s: None,
            scale: plan.scale.clone(),
            scale_expired: None,
            device: None,
        },
        live: settings.as_live,
        clock: if settings.as_live { Clock::Live { origin } } else { Clock::Recorded { started: plan.started } },
        script,
        frames_total: Some(plan.pictures()),
        stills: plan.stills,
    }
}

/// The recording's own name only where it has the shape of a pseudonym: archives are often named after people,
/// and this name goes into every record.
fn name(path: &Path) -> String {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<Subject>().ok());
    stem.map_or("recording".to_owned(), |stem| stem.to_string())
}

fn frame(clip: &Clip, taken: &Taken, bytes: &[u8]) -> RawFrame {
    RawFrame {
        id: FrameId { run: 0, seq: clip.first + taken.slot },
        at: clip.starts.after(clip.rate.span(taken.slot)),
        format: taken.format,
        size: taken.size,
        // Never asked for: recordings hold JPEG, whose colours are fixed, and RGB.
        colour: Colour::Bt601Full,
        bytes: Arc::from(bytes),
        flagged: taken.flagged,
    }
}

/// A frame whose bytes are in the scratch buffer.
struct Taken {
    slot: u64,
    format: Format,
    /// Nothing by nothing where only decoding can tell.
    size: Size,
    flagged: bool,
}

/// What the clip being played is read with.
enum Reader {
    Closed,
    Avi(Box<Avi<File>>),
    Stream {
        splitter: Box<Splitter<File>>,
        slot: u64,
    },
    /// The picture was given.
    Given,
}

const UNKNOWN: Size = Size::new(0, 0);

impl Reader {
    /// The clip's next frame.
    fn take(&mut self, clip: &Clip, out: &mut Vec<u8>) -> Result<Option<Taken>, CaptureError> {
        let path = &clip.found.path;
        let failed = |e| CaptureError::io(format!("cannot read {}", path.display()), e);
        if let Self::Closed = self {
            match clip.found.kind {
                Kind::Still(format) => {
                    *self = Self::Given;
                    return still(path, format, out).map(Some);
                }
                Kind::Stream => {
                    let file = File::open(path).map_err(failed)?;
                    *self = Self::Stream { splitter: Box::new(Splitter::new(file)), slot: 0 };
                }
                Kind::Avi => *self = Self::Avi(Box::new(open_avi(path)?)),
            }
        }
        match self {
            Self::Closed | Self::Given => Ok(None),
            Self::Avi(avi) => {
                let header = avi.header();
                let taken = avi.next(out).map_err(failed)?;
                Ok(taken.map(|(slot, whole)| Taken {
                    slot,
                    format: header.format(),
                    size: header.size,
                    flagged: !whole,
                }))
            }
            Self::Stream { splitter, slot } => {
                let Some(how) = splitter.next(out).map_err(failed)? else { return Ok(None) };
                let size = stills::picture_size(Format::Mjpeg, out).unwrap_or(UNKNOWN);
                *slot += 1;
                let flagged = how == Split::Malformed;
                Ok(Some(Taken { slot: *slot - 1, format: Format::Mjpeg, size, flagged }))
            }
        }
    }
}

fn still(path: &Path, format: Format, out: &mut Vec<u8>) -> Result<Taken, CaptureError> {
    let whole = stills::read(path, out)?;
    let size = stills::picture_size(format, out).unwrap_or(UNKNOWN);
    Ok(Taken { slot: 0, format, size, flagged: !whole })
}

fn open_avi(path: &Path) -> Result<Avi<File>, CaptureError> {
    let failed = |e| CaptureError::io(format!("cannot read {}", path.display()), e);
    Avi::open(File::open(path).map_err(failed)?).map_err(|error| match error {
        AviError::Io(error) => failed(error),
        other => {
            let context = format!("{} changed since it was opened", path.display());
            CaptureError::new(CaptureErrorKind::Unsupported, context).because(other)
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A folder of three PNGs (as far as their first bytes go), 10 frames a second, one finger.
    fn recording() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..3 {
            std::fs::write(folder.path().join(format!("{number}.png")), b"\x89PNG\r\n\x1a\n").unwrap();
        }
        folder
    }

    fn settings(pace: Pace, as_live: bool) -> Settings {
        Settings {
            pace,
            as_live,
            frames_per_s: Some(10.0),
            subject: Some("P1".parse().unwrap()),
            finger: Some("R2".parse().unwrap()),
            ..Settings::default()
        }
    }

    /// Plays to the end on a clock that only sleeping moves; gives each frame's stamp with the time it came at.
    fn play(settings: Settings, patience: Duration) -> (Vec<(u64, u64)>, u32, SourceInfo) {
        let clock = Arc::new(Mutex::new(Duration::ZERO));
        let (now, slept) = (clock.clone(), clock.clone());
        let hands = Hands {
            now: Box::new(move || *now.lock().unwrap()),
            sleep: Box::new(move |span| *slept.lock().unwrap() += span),
        };
        let folder = recording();
        let mut replay = Replay::with_hands(folder.path(), settings, hands, Instant::now()).unwrap();
        let (mut frames, mut idle) = (Vec::new(), 0);
        loop {
            match replay.next(patience).unwrap() {
                Next::Frame(frame) => frames.push((frame.at.ms(), clock.lock().unwrap().as_millis() as u64)),
                Next::Idle => idle += 1,
                Next::End => return (frames, idle, replay.info().clone()),
            }
        }
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn pace_moves_the_moments_and_not_the_stamps() {
        let stamps = [2000, 2100, 2200];
        for (pace, moments) in
            [(Pace::AsFast, [0, 0, 0]), (Pace::RealTime, [0, 100, 200]), (Pace::Factor(0.5), [0, 200, 400])]
        {
            let (frames, idle, info) = play(settings(pace, false), LONG);
            assert_eq!(frames, stamps.into_iter().zip(moments).collect::<Vec<_>>());
            assert_eq!((idle, info.live), (0, false));
            assert!(matches!(info.clock, Clock::Recorded { started: None }));
        }
    }

    #[test]
    fn no_wait_is_longer_than_the_patience() {
        let (frames, idle, _) = play(settings(Pace::RealTime, false), Duration::from_millis(40));
        assert_eq!(frames, [(2000, 0), (2100, 100), (2200, 200)]);
        assert_eq!(idle, 4);
    }

    #[test]
    fn playing_the_camera_moves_stamps_and_script_with_the_pace() {
        let (frames, _, info) = play(settings(Pace::Factor(2.0), true), LONG);
        assert_eq!(frames, [(1000, 1000), (1050, 1050), (1100, 1100)]);
        assert_eq!(info.script.last().unwrap().at.ms(), 1150);
        assert!(info.live && matches!(info.clock, Clock::Live { .. }));
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let wrong = |change: fn(&mut Settings)| {
            let mut settings = Settings::default();
            change(&mut settings);
            settings.check().unwrap_err()
        };
        assert!(wrong(|s| s.pace = Pace::Factor(0.0)).starts_with("pace.factor = 0: must lie from 0.01"));
        assert!(wrong(|s| s.pace = Pace::Factor(f64::NAN)).starts_with("pace.factor"));
        assert!(wrong(|s| s.um_per_px = Some(0.0)).starts_with("um_per_px"));
        assert!(wrong(|s| s.frames_per_s = Some(1e9)).starts_with("frames_per_s"));
        assert!(wrong(|s| s.as_live = true).starts_with("as_live"));
    }

    #[test]
    fn only_what_has_the_shape_of_a_pseudonym_is_named() {
        assert_eq!(name(Path::new("/archive/P017.avi")), "P017");
        assert_eq!(name(Path::new("/archive/Jane Doe")), "recording");
        assert_eq!(name(Path::new("/archive/Doe_1961-04-12.avi")), "recording");
        assert_eq!(name(Path::new("..")), "recording");
    }
}
