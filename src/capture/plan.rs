//! What a recording consists of, found out before its first frame is played: its clips in order, how many
//! frames each has, whose they are, where they stand in time, and the commands of the exam between them.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use super::avi::{Avi, AviError};
use super::mjpeg_stream::Splitter;
use super::replay::{Settings, Truth};
use super::sidecar::{self, Sidecar, StillAs};
use super::stills::{self, Found, Kind, Skipped};
use super::{CaptureError, CaptureErrorKind, Rate};
use crate::command::{Command, Cue, Subject};
use crate::finger::Finger;
use crate::scale::{Scale, ScaleMethod};
use crate::time::Stamp;

/// Of pictures and raw streams for which nobody gives a rate: what USB microscopes commonly send.
const USUAL_FRAMES_PER_S: f64 = 30.0;

/// How long a recording's clock stands between a command of its own and the next frame. Longer than the
/// settling time after any change of finger, so that no recorded frame falls into it.
const PAUSE: Duration = Duration::from_secs(2);

/// One file of the recording.
#[derive(Clone, Debug)]
pub(super) struct Clip {
    pub(super) found: Found,
    pub(super) rate: Rate,
    /// Moments at which there should be a frame.
    pub(super) slots: u64,
    /// Moments at which there is one.
    pub(super) pictures: u64,
    pub(super) starts: Stamp,
    /// Frame number of its first slot.
    pub(super) first: u64,
    subject: Option<Subject>,
    finger: Option<Finger>,
    field: Option<u32>,
    truth: Option<String>,
}

#[derive(Debug)]
pub(super) struct Plan {
    pub(super) clips: Vec<Clip>,
    pub(super) skipped: Vec<Skipped>,
    pub(super) script: Vec<Cue>,
    pub(super) truth: Vec<Truth>,
    pub(super) started: Option<jiff::Timestamp>,
    pub(super) scale: Option<Scale>,
    /// Only where somebody or the recording says so.
    pub(super) frames_per_s: Option<f64>,
    pub(super) stills: bool,
}

impl Plan {
    pub(super) fn make(path: &Path, settings: &Settings) -> Result<Self, CaptureError> {
        let told = Told::of(path, settings)?;
        let (found, mut skipped) = if path.is_dir() { stills::scan(path)? } else { (vec![single(path)?], Vec::new()) };
        let mut clips = Vec::new();
        for found in found {
            if told.skips(&found.name) {
                skipped.push(Skipped { path: found.path, why: "the sidecar says so".to_owned() });
                continue;
            }
            match measure(&found, told.rate)? {
                Ok(length) => clips.push(told.clip(found, length)?),
                Err(why) if path.is_dir() => skipped.push(Skipped { path: found.path, why }),
                Err(why) => {
                    let context = format!("cannot replay {}: {why}", path.display());
                    return Err(CaptureError::new(CaptureErrorKind::Unsupported, context));
                }
            }
        }
        if clips.is_empty() {
            return Err(nothing_in(path, &skipped));
        }
        told.plan(clips, skipped)
    }

    pub(super) fn why_no_exam(&self) -> Option<&'static str> {
        if !self.script.is_empty() {
            None
        } else if self.clips.iter().any(|clip| clip.subject.is_none()) {
            Some("no subject is given: the frames are read, but no exam is opened")
        } else {
            Some("no finger is given: the frames are read, but no exam is opened")
        }
    }

    pub(super) fn pictures(&self) -> u64 {
        self.clips.iter().map(|clip| clip.pictures).sum()
    }
}

fn single(path: &Path) -> Result<Found, CaptureError> {
    let failed = |e| CaptureError::io(format!("cannot replay {}", path.display()), e);
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        let context = format!("cannot replay {}: it is neither a file nor a folder", path.display());
        return Err(CaptureError::new(CaptureErrorKind::Unsupported, context));
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    match stills::kind_of(path).map_err(failed)? {
        Some(kind) => Ok(Found { path: path.to_owned(), name, kind }),
        None => Err(CaptureError::new(
            CaptureErrorKind::Unsupported,
            format!(
                "cannot replay {}: neither its first bytes nor its name are those of JPEG, PNG, TIFF, BMP, AVI or .mjpeg",
                path.display()
            ),
        )),
    }
}

fn nothing_in(path: &Path, skipped: &[Skipped]) -> CaptureError {
    let first =
        skipped.first().map_or(String::new(), |s| format!(", the first of them {} ({})", s.path.display(), s.why));
    CaptureError::new(
        CaptureErrorKind::NotFound,
        format!(
            "nothing to replay in {}: looked there and in the folders directly in it for JPEG, PNG, TIFF and BMP pictures, \
             AVI films and .mjpeg streams; {} files were passed over{first}",
            path.display(),
            skipped.len()
        ),
    )
}

/// What the sidecar and the settings say together.
struct Told {
    sidecar: Sidecar,
    /// As the settings have them.
    subject: Option<Subject>,
    finger: Option<Finger>,
    scale: Option<Scale>,
    /// Of what has no rate of its own.
    rate: Option<Rate>,
    still_as: StillAs,
}

/// Settings fill in what the recording does not say. Where both speak they must agree: one of them is wrong
/// then, and which one cannot be known here.
fn agreed<T: PartialEq + std::fmt::Debug>(
    key: &str,
    recorded: Option<T>,
    asked: Option<T>,
) -> Result<Option<T>, CaptureError> {
    match (recorded, asked) {
        (Some(recorded), Some(asked)) if recorded != asked => Err(CaptureError::new(
            CaptureErrorKind::Unsupported,
            format!("the recording says {key} = {recorded:?}, the settings say {asked:?}: correct one of them"),
        )),
        (recorded, asked) => Ok(recorded.or(asked)),
    }
}

impl Told {
    fn of(path: &Path, settings: &Settings) -> Result<Self, CaptureError> {
        let beside = sidecar::place(path, path.is_dir());
        let sidecar = match &settings.sidecar {
            Some(given) => sidecar::load(given)?,
            None if beside.exists() => sidecar::load(&beside)?,
            None => Sidecar::default(),
        };
        if sidecar.script.is_some() && (settings.subject.is_some() || settings.finger.is_some()) {
            let context = "the recording's sidecar has a script, which tells subject and fingers by itself: leave them out of the settings";
            return Err(CaptureError::new(CaptureErrorKind::Unsupported, context));
        }
        let um_per_px = agreed("um_per_px", sidecar.scale.as_ref().map(|s| s.um_per_px), settings.um_per_px)?;
        let scale = sidecar.scale.clone().or_else(|| Scale::new(um_per_px?, ScaleMethod::Entered));
        let frames_per_s = agreed("frames_per_s", sidecar.frames_per_s, settings.frames_per_s)?;
        Ok(Self {
            subject: settings.subject.clone(),
            finger: settings.finger,
            still_as: agreed("still_as", sidecar.still_as, settings.still_as)?.unwrap_or_default(),
            rate: frames_per_s.and_then(Rate::per_s),
            scale,
            sidecar,
        })
    }

    fn skips(&self, name: &str) -> bool {
        self.sidecar.files.iter().any(|entry| entry.skip && entry.fits(name))
    }

    /// The last entry that fits has the first word; then the folder's name; then what holds for all.
    fn clip(&self, found: Found, length: Length) -> Result<Clip, CaptureError> {
        let entries = || self.sidecar.files.iter().rev().filter(|entry| entry.fits(&found.name));
        let folder: Option<Finger> = found.name.split_once('/').and_then(|(folder, _)| folder.parse().ok());
        let written = entries().find_map(|e| e.finger);
        if let (Some(folder), Some(written)) = (folder, written)
            && folder != written
        {
            let context =
                format!("{} lies in a folder named {folder}, but is said to be of {written}", found.path.display());
            return Err(CaptureError::new(CaptureErrorKind::Unsupported, context));
        }
        let finger = agreed("finger", written.or(folder).or(self.sidecar.finger), self.finger)?;
        let subject = entries().find_map(|e| e.subject.clone()).or_else(|| self.sidecar.subject.clone());
        Ok(Clip {
            subject: agreed("subject", subject, self.subject.clone())?,
            finger: finger.filter(|_| self.sidecar.script.is_none()),
            field: entries().find_map(|e| e.field),
            truth: entries().find_map(|e| e.truth.clone()).or_else(|| self.sidecar.truth.clone()),
            rate: length.rate,
            slots: length.slots,
            pictures: length.pictures,
            starts: Stamp::default(),
            first: 0,
            found,
        })
    }

    fn plan(self, mut clips: Vec<Clip>, skipped: Vec<Skipped>) -> Result<Plan, CaptureError> {
        whose(&clips)?;
        let script = match self.sidecar.script {
            Some(script) => {
                lay_out(&mut clips, |_, _| Vec::new());
                script
            }
            None => lay_out(&mut clips, |before, clip| between(before, clip, self.still_as)),
        };
        // Its date is that of the first frame, and the clock begins with the first command.
        let lead = jiff::SignedDuration::try_from(clips[0].starts.since(Stamp::default())).unwrap_or_default();
        let own_rate = clips.iter().find(|c| c.found.kind == Kind::Avi).map(|c| c.rate);
        let all_stills = clips.iter().all(|c| matches!(c.found.kind, Kind::Still(_)));
        let stills = all_stills && self.still_as == StillAs::Field;
        Ok(Plan {
            truth: truth(&clips)?,
            skipped,
            script,
            started: self.sidecar.started.map(|started| started - lead),
            scale: self.scale,
            frames_per_s: own_rate.or(self.rate).filter(|_| !stills).map(Rate::frames_per_s),
            stills,
            clips,
        })
    }
}

/// A frame without a finger among frames that have one would be counted to the finger before it.
fn whose(clips: &[Clip]) -> Result<(), CaptureError> {
    let refuse = |what: &str, clip: &Clip| {
        let context = format!(
            "some files of this recording have a {what} and {} has none: give it one in the sidecar, or leave it out with skip = true",
            clip.found.path.display()
        );
        Err(CaptureError::new(CaptureErrorKind::Unsupported, context))
    };
    let lacking =
        |lacks: fn(&Clip) -> bool| clips.iter().find(|c| lacks(c)).filter(|_| clips.iter().any(|c| !lacks(c)));
    if let Some(clip) = lacking(|c| c.finger.is_none()) {
        return refuse("finger", clip);
    }
    match lacking(|c| c.subject.is_none()) {
        Some(clip) => refuse("subject", clip),
        None => Ok(()),
    }
}

fn truth(clips: &[Clip]) -> Result<Vec<Truth>, CaptureError> {
    let mut all: Vec<Truth> = Vec::new();
    for clip in clips {
        let Some(label) = clip.truth.clone() else { continue };
        let truth = Truth { subject: clip.subject.clone(), finger: clip.finger, label };
        let same = |t: &&Truth| (&t.subject, t.finger) == (&truth.subject, truth.finger);
        match all.iter().find(same) {
            None => all.push(truth),
            Some(other) if other.label == truth.label || truth.finger.is_none() => {}
            Some(other) => {
                let context = format!(
                    "the sidecar gives one finger two truths, {:?} and {:?} (at {})",
                    other.label,
                    truth.label,
                    clip.found.path.display()
                );
                return Err(CaptureError::new(CaptureErrorKind::Unsupported, context));
            }
        }
    }
    Ok(all)
}

/// The commands that an operator would have given between two clips.
fn between(before: Option<&Clip>, clip: &Clip, still_as: StillAs) -> Vec<Command> {
    let (Some(subject), Some(finger)) = (clip.subject.clone(), clip.finger) else { return Vec::new() };
    let Some(before) = before else { return vec![Command::Open { subject }, Command::Finger { finger }] };
    if before.subject.as_ref() != Some(&subject) {
        return vec![Command::Close, Command::Open { subject }, Command::Finger { finger }];
    }
    if before.finger != Some(finger) {
        return vec![Command::Finger { finger }];
    }
    let film = |c: &Clip| !matches!(c.found.kind, Kind::Still(_));
    let next_field = match (before.field, clip.field) {
        (Some(before), Some(now)) => before != now,
        _ => film(before) || film(clip) || still_as == StillAs::Field,
    };
    if next_field { vec![Command::Field] } else { Vec::new() }
}

/// Gives each clip its place in time and the numbers of its frames.
fn lay_out(clips: &mut [Clip], between: impl Fn(Option<&Clip>, &Clip) -> Vec<Command>) -> Vec<Cue> {
    let mut script = Vec::new();
    let mut now = Stamp::default();
    let mut first = 0;
    for i in 0..clips.len() {
        let commands = between(i.checked_sub(1).map(|before| &clips[before]), &clips[i]);
        if !commands.is_empty() {
            script.extend(commands.into_iter().map(|command| Cue { at: now, command }));
            now = now.after(PAUSE);
        }
        let clip = &mut clips[i];
        clip.starts = now;
        clip.first = first;
        now = now.after(clip.rate.span(clip.slots));
        first += clip.slots;
    }
    if !script.is_empty() {
        script.push(Cue { at: now, command: Command::Close });
    }
    script
}

#[derive(Clone, Copy)]
struct Length {
    rate: Rate,
    slots: u64,
    pictures: u64,
}

/// Counts the frames of a file. The inner error says why the file cannot be played, the outer one that it
/// could not be looked at.
fn measure(found: &Found, told: Option<Rate>) -> Result<Result<Length, String>, CaptureError> {
    let failed = |e| CaptureError::io(format!("cannot read {}", found.path.display()), e);
    let usual = told.or(Rate::per_s(USUAL_FRAMES_PER_S)).unwrap_or(Rate { frames: 30, ns: 1_000_000_000 });
    let (rate, slots, pictures) = match found.kind {
        Kind::Still(_) => (usual, 1, 1),
        Kind::Stream => {
            let frames = count_stream(File::open(&found.path).map_err(failed)?).map_err(failed)?;
            (usual, frames, frames)
        }
        Kind::Avi => match Avi::open(File::open(&found.path).map_err(failed)?) {
            Ok(avi) => {
                let Some(rate) = avi.header().rate.or(told) else {
                    return Ok(Err("it does not say its frame rate: give frames_per_s".to_owned()));
                };
                let count = avi.count().map_err(failed)?;
                (rate, count.slots, count.pictures)
            }
            Err(AviError::Io(error)) => return Err(failed(error)),
            Err(other) => return Ok(Err(other.to_string())),
        },
    };
    Ok(if pictures == 0 { Err("it holds no picture".to_owned()) } else { Ok(Length { rate, slots, pictures }) })
}

fn count_stream(file: File) -> std::io::Result<u64> {
    let mut splitter = Splitter::new(file);
    let mut picture = Vec::new();
    let mut frames = 0;
    while splitter.next(&mut picture)?.is_some() {
        frames += 1;
    }
    Ok(frames)
}
