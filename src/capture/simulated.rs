//! The simulated microscope: a live source that draws nailfolds, moves as under a hand and knows the truth.

mod settings;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

pub use self::settings::{ScaleKnown, Settings};
use super::mishap::{self, Mishap};
use super::{CaptureError, CaptureErrorKind, Next, Source, SourceInfo};
use crate::command::{Command, Cue};
use crate::finger::Finger;
use crate::frame::{Colour, Format, FrameId, RawFrame, Size};
use crate::report::SourceWords;
use crate::scale::{Scale, ScaleMethod};
use crate::synth::camera::{EncodeError, Encoder, Exposure};
use crate::synth::cohort::{Subject, mix};
use crate::synth::exam::{Moment, Phase, Script, Trouble};
use crate::synth::optics::Optics;
use crate::synth::plate::{MARGIN, Plate, Projector, Ycc};
use crate::synth::render::{self, View};
use crate::synth::rng::Rng;
use crate::synth::truth::Truth;
use crate::time::{Clock, Stamp};

/// What is true of one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameTruth {
    pub finger: Finger,
    /// Counts the finger's fields from 1.
    pub field: u32,
    pub phase: Phase,
    pub trouble: Option<Trouble>,
    pub picture: Truth,
}

pub struct Simulated {
    settings: Settings,
    info: SourceInfo,
    script: Script,
    projector: Projector,
    encoder: Encoder,
    painted: Receiver<(u64, Plate)>,
    current: Option<(u64, Plate)>,
    /// Of the next frame.
    seq: u64,
    /// When frame 0 was due, on the source's clock.
    start: Stamp,
    /// The last frame, where it may be wanted again.
    last: Option<RawFrame>,
}

impl Simulated {
    pub fn open(settings: Settings) -> Result<Self, CaptureError> {
        Self::begin(settings, None)
    }

    /// What opens it again after it was lost. Its clock, its hand and its script have gone on meanwhile; `None` where
    /// it cannot be lost.
    pub fn again(&self) -> Option<impl FnMut() -> Result<Box<dyn Source>, CaptureError> + Send + use<>> {
        let (settings, clock, start) = (self.settings.clone(), self.info.clock.clone(), self.start);
        let path = settings.mishap.clone()?;
        Some(move || match mishap::now(&path)? {
            Some(Mishap::Unplugged) => Err(unplugged(&path)),
            Some(Mishap::Frozen) | None => {
                let again = Self::begin(settings.clone(), Some((clock.clone(), start)))?;
                Ok(Box::new(again) as Box<dyn Source>)
            }
        })
    }

    fn begin(settings: Settings, since: Option<(Clock, Stamp)>) -> Result<Self, CaptureError> {
        let unsupported = |context: String| CaptureError { kind: CaptureErrorKind::Unsupported, context, source: None };
        settings.check().map_err(|why| unsupported(format!("simulated microscope: {why}")))?;
        let script = settings.script();
        let subject = Subject::draw(settings.cohort, settings.seed, 0);
        let mut rng = Rng::new(settings.seed, "projector");
        let projector = Projector::new(settings.size, subject.device.noise, &mut rng);
        let encoder = Encoder::new(subject.device.quality).map_err(|e| encoding(&e))?;
        let seq = since.as_ref().map_or(0, |(clock, start)| {
            let passed = clock.now().unwrap_or_default().since(*start).as_secs_f64();
            (passed * settings.frames_per_s) as u64
        });
        let (place, _) = place(&settings, &script, seq);
        let painted = paint(&settings, subject, script.stops.len(), place)?;
        // Time begins when there is something to see: no frame is lost to the first painting.
        let first = painted.recv().map_err(|_| painter_died())?;
        let (clock, start) = since.unwrap_or_else(|| {
            let clock = if settings.paced { Clock::live() } else { Clock::Recorded { started: None } };
            let start = clock.now().unwrap_or_default();
            (clock, start)
        });
        let info = info(&settings, &script, clock, start);
        let current = Some(first);
        Ok(Self { settings, info, script, projector, encoder, painted, current, seq, start, last: None })
    }

    /// The truth of a frame, drawn or not.
    pub fn truth(&self, seq: u64) -> FrameTruth {
        let (round, moment) = moment(&self.settings, &self.script, seq);
        let stop = &self.script.stops[moment.stop];
        let subject = Subject::draw(self.settings.cohort, mix_round(self.settings.seed, round), 0);
        let finger = subject.finger(stop.finger);
        let plate = plate_view(&self.settings, &finger, stop.field);
        let [x, y] = moment.look.offset.map(f32::round);
        let middle = (plate.size.width as f32 / 2.0 + x, plate.size.height as f32 / 2.0 + y);
        let view = View { centre: plate.to_scene(middle.0, middle.1), size: self.settings.size, ..plate };
        FrameTruth {
            finger: stop.finger,
            field: stop.field + 1,
            phase: moment.phase,
            trouble: moment.trouble,
            picture: Truth::of(&finger.scene, &view),
        }
    }

    fn due(&self, seq: u64) -> Stamp {
        self.start.after(Duration::from_secs_f64(seq as f64 / self.settings.frames_per_s))
    }

    /// Waits for the next frame's moment. `None` when that is beyond the patience.
    fn wait(&mut self, patience: Duration) -> Option<()> {
        let Some(now) = self.info.clock.now() else { return Some(()) };
        let period = 1.0 / self.settings.frames_per_s;
        // A camera does not wait for its reader: what was not fetched in time is gone, and its number with it.
        let missed = (now.since(self.due(self.seq)).as_secs_f64() / period) as u64;
        self.seq += missed;
        let wait = self.due(self.seq).since(now);
        std::thread::sleep(wait.min(patience));
        (wait <= patience).then_some(())
    }

    /// Has the plate of `place` at hand. `None` when it is not painted within the patience.
    fn load(&mut self, place: u64, patience: Duration) -> Result<Option<()>, CaptureError> {
        while self.current.as_ref().is_none_or(|(at, _)| *at != place) {
            self.current = None;
            match self.painted.recv_timeout(patience) {
                Ok(painted) => self.current = Some(painted),
                Err(RecvTimeoutError::Timeout) => return Ok(None),
                Err(RecvTimeoutError::Disconnected) => return Err(painter_died()),
            }
        }
        Ok(Some(()))
    }
}

impl Source for Simulated {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next(&mut self, patience: Duration) -> Result<Next, CaptureError> {
        let mishap = match &self.settings.mishap {
            Some(path) => match mishap::now(path)? {
                Some(Mishap::Unplugged) => return Err(unplugged(path)),
                mishap => mishap,
            },
            None => None,
        };
        if self.wait(patience).is_none() {
            return Ok(Next::Idle);
        }
        if let (Some(Mishap::Frozen), Some(last)) = (mishap, &self.last) {
            self.seq += 1;
            return Ok(Next::Frame(last.clone()));
        }
        if self.info.frames_total.is_some_and(|total| self.seq >= total) {
            return Ok(Next::End);
        }
        let (place, moment) = place(&self.settings, &self.script, self.seq);
        if self.load(place, patience)?.is_none() {
            return Ok(Next::Idle);
        }
        let Some((_, plate)) = &self.current else { return Ok(Next::Idle) };
        let mut rng = Rng::new(mix(self.settings.seed, self.seq), "grain");
        let frame = self.projector.project(plate, &moment.look, &mut rng);
        let bytes: Arc<[u8]> = self.encoder.encode_ycc(frame).map_err(|e| encoding(&e))?.into();
        let raw = RawFrame {
            id: FrameId { run: 0, seq: self.seq },
            at: self.due(self.seq),
            format: Format::Mjpeg,
            size: self.settings.size,
            colour: Colour::Bt601Full,
            bytes,
            flagged: false,
        };
        self.seq += 1;
        if self.settings.mishap.is_some() {
            self.last = Some(raw.clone());
        }
        Ok(Next::Frame(raw))
    }

    /// Its stream cannot hang, only be starved: whatever can be drawn is drawn.
    fn restart(&mut self) -> Result<(), CaptureError> {
        Ok(())
    }
}

/// How often the script has been gone through before this frame, and where in it the frame lies.
fn moment(settings: &Settings, script: &Script, seq: u64) -> (u64, Moment) {
    let seconds = seq as f64 / settings.frames_per_s;
    let length = f64::from(script.length);
    let round = if settings.scripted { 0.0 } else { (seconds / length).floor() };
    (round as u64, script.at((seconds - round * length) as f32))
}

/// Which of all plates this frame shows, and how.
fn place(settings: &Settings, script: &Script, seq: u64) -> (u64, Moment) {
    let (round, moment) = moment(settings, script, seq);
    (round * script.stops.len() as u64 + moment.stop as u64, moment)
}

fn unplugged(path: &std::path::Path) -> CaptureError {
    let context = format!("the simulated microscope is unplugged, as {} says", path.display());
    CaptureError::new(CaptureErrorKind::NotFound, context)
}

fn painter_died() -> CaptureError {
    let context = "simulated microscope: its painter has died; open it again".to_owned();
    CaptureError { kind: CaptureErrorKind::Io, context, source: None }
}

fn encoding(error: &EncodeError) -> CaptureError {
    let context = format!("simulated microscope: cannot encode a frame: {error}");
    CaptureError { kind: CaptureErrorKind::Io, context, source: None }
}

fn info(settings: &Settings, script: &Script, clock: Clock, start: Stamp) -> SourceInfo {
    SourceInfo {
        words: SourceWords {
            kind: "simulated".to_owned(),
            name: format!("seed {}", settings.seed),
            format: Some(Format::Mjpeg),
            size: Some(settings.size),
            frames_per_s: Some(settings.frames_per_s),
            measured_per_s: None,
            scale: scale(settings),
            scale_expired: None,
            device: None,
        },
        live: settings.paced,
        clock,
        script: if settings.scripted { cues(settings, script, start) } else { Vec::new() },
        stills: false,
        frames_total: settings.scripted.then(|| (f64::from(script.length) * settings.frames_per_s).ceil() as u64),
    }
}

fn scale(settings: &Settings) -> Option<Scale> {
    let drawn = Scale::new(f64::from(settings.um_per_px()), ScaleMethod::Simulated)?;
    match settings.scale {
        ScaleKnown::Drawing => Some(drawn),
        ScaleKnown::Until(until) => Some(Scale { until: Some(until), ..drawn }),
        ScaleKnown::Nothing => None,
    }
}

fn cues(settings: &Settings, script: &Script, start: Stamp) -> Vec<Cue> {
    let at = |seconds: f32| start.after(Duration::from_secs_f32(seconds));
    let mut cues = vec![Cue { at: at(0.0), command: Command::Open { subject: settings.subject.clone() } }];
    for stop in &script.stops {
        let command = if stop.field == 0 { Command::Finger { finger: stop.finger } } else { Command::Field };
        cues.push(Cue { at: at(stop.from), command });
    }
    let last = script.stops.last().map_or(script.length, |stop| stop.to);
    cues.push(Cue { at: at(last), command: Command::Close });
    cues
}

/// Another subject each time the fingers are gone through.
fn mix_round(seed: u64, round: u64) -> u64 {
    if round == 0 { seed } else { mix(seed, round) }
}

fn plate_view(settings: &Settings, finger: &crate::synth::cohort::FingerScene, field: u32) -> View {
    let view = finger.view(field, settings.fields, settings.um_per_px(), settings.size);
    let size = Size::new(settings.size.width + 2 * MARGIN, settings.size.height + 2 * MARGIN);
    View { size, ..view }
}

/// Paints the plates in the order in which they are needed, one ahead, on a thread of its own. The thread ends
/// when the source is dropped, at its next delivery; nobody waits for it.
fn paint(settings: &Settings, first: Subject, stops: usize, from: u64) -> Result<Receiver<(u64, Plate)>, CaptureError> {
    let (deliver, painted) = sync_channel(0);
    let settings = settings.clone();
    let script = settings.script();
    let work = move || {
        for place in from.. {
            let round = place / stops as u64;
            if settings.scripted && round > 0 {
                return;
            }
            let drawn;
            let subject = if round == 0 {
                &first
            } else {
                drawn = Subject::draw(settings.cohort, mix_round(settings.seed, round), 0);
                &drawn
            };
            let stop = &script.stops[(place % stops as u64) as usize];
            let plate = paint_one(&settings, subject, stop.finger, stop.field);
            if deliver.send((place, plate)).is_err() {
                return;
            }
        }
    };
    let spawned = std::thread::Builder::new().name("paint".to_owned()).spawn(work);
    spawned.map(|_| painted).map_err(|source| CaptureError {
        kind: CaptureErrorKind::Io,
        context: "simulated microscope: cannot start its painter".to_owned(),
        source: Some(Box::new(source)),
    })
}

fn paint_one(settings: &Settings, subject: &Subject, finger: Finger, field: u32) -> Plate {
    let finger = subject.finger(finger);
    let view = plate_view(settings, &finger, field);
    let mut rng = Rng::new(mix(finger.seed, u64::from(field) + 100), "shot");
    // Evenly sharp: a tilted field of focus needs a second canvas, and memory is short beside a model.
    let lens = Optics::readable(&mut rng);
    let optics = Optics { motion_um: 0.0, defocus_um: [lens.defocus_um[0]; 2], ..lens };
    let exposure = Exposure { noise: [0.0; 2], ..Exposure::of(&subject.device, view.um_per_px, &mut rng) };
    let mut canvas = render::draw(&finger.scene, &view);
    optics.apply(&mut canvas, &finger.scene, &view, &mut rng);
    Plate::new(Ycc::from_rgb(&exposure.develop(&canvas, &mut rng), view.size), view.um_per_px)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn small() -> Settings {
        Settings {
            size: Size::new(320, 256),
            paced: false,
            scripted: true,
            fingers: Finger::PROTOCOL[..1].to_vec(),
            hold_s: 1.0,
            ..Settings::default()
        }
    }

    fn frames(source: &mut Simulated) -> Vec<RawFrame> {
        let mut frames = Vec::new();
        while let Next::Frame(frame) = source.next(PATIENCE).unwrap() {
            frames.push(frame);
        }
        frames
    }

    #[test]
    fn a_scripted_exam_gives_the_frames_it_announced_and_the_same_each_time() {
        let mut source = Simulated::open(small()).unwrap();
        let first = frames(&mut source);
        assert_eq!(Some(first.len() as u64), source.info().frames_total);
        let again = frames(&mut Simulated::open(small()).unwrap());
        for (a, b) in first.iter().zip(&again) {
            assert!(a.bytes == b.bytes && a.at == b.at && a.id == b.id, "frame {} differs", a.id);
        }
        let other = frames(&mut Simulated::open(Settings { seed: 2, ..small() }).unwrap());
        assert!(first[30].bytes != other[30].bytes);
    }

    #[test]
    fn pacing_changes_no_byte() {
        let unpaced = frames(&mut Simulated::open(small()).unwrap());
        let mut paced = Simulated::open(Settings { paced: true, frames_per_s: 30.0, ..small() }).unwrap();
        assert!(paced.info().live);
        for _ in 0..5 {
            if let Next::Frame(frame) = paced.next(PATIENCE).unwrap() {
                assert!(unpaced[frame.id.seq as usize].bytes == frame.bytes, "frame {}", frame.id);
            }
        }
    }

    #[test]
    fn the_script_names_every_finger_and_field_in_order() {
        let settings = Settings { fingers: Finger::PROTOCOL[..2].to_vec(), ..small() };
        let source = Simulated::open(settings).unwrap();
        let words: Vec<String> = source.info().script.iter().map(|cue| format!("{:?}", cue.command)).collect();
        assert!(words[0].starts_with("Open") && words[1].contains("Index") && words[2] == "Field", "{words:?}");
        assert_eq!((words.len(), words.last().map(String::as_str)), (6, Some("Close")));
        assert!(source.info().script.is_sorted_by_key(|cue| cue.at));
    }

    #[test]
    fn the_truth_of_a_held_frame_names_its_field_and_decides() {
        let source = Simulated::open(small()).unwrap();
        let held = source.script.stops[1].held[0] + 0.2;
        let truth = source.truth((held * 30.0) as u64);
        assert_eq!((truth.finger, truth.field, truth.phase), (Finger::PROTOCOL[0], 2, Phase::Held));
        assert!(truth.picture.category.is_some());
    }

    #[test]
    fn unplugged_and_frozen_last_as_long_as_the_file_says_and_time_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mishap");
        let settings = Settings { paced: true, mishap: Some(path.clone()), ..small() };
        let mut source = Simulated::open(settings).unwrap();
        let mut again = source.again().unwrap();
        let next = |source: &mut dyn Source| match source.next(PATIENCE).unwrap() {
            Next::Frame(frame) => frame,
            other => panic!("{other:?}"),
        };
        let first = next(&mut source);
        std::fs::write(&path, "frozen").unwrap();
        let (one, other) = (next(&mut source), next(&mut source));
        assert_eq!((one.id, one.at, other.id, other.at), (first.id, first.at, first.id, first.at));
        std::fs::write(&path, "unplugged").unwrap();
        assert_eq!(source.next(PATIENCE).unwrap_err().kind, CaptureErrorKind::NotFound);
        assert_eq!(again().err().unwrap().kind, CaptureErrorKind::NotFound);
        std::fs::remove_file(&path).unwrap();
        let back = next(again().unwrap().as_mut());
        assert!(back.id.seq > first.id.seq && back.at > first.at, "{} {}", back.id, back.at.ms());
        assert!(Simulated::open(small()).unwrap().again().is_none());
    }

    #[test]
    fn what_is_known_of_the_scale_is_as_the_settings_say() {
        let until = jiff::Timestamp::UNIX_EPOCH;
        let of = |known| Simulated::open(Settings { scale: known, ..small() }).unwrap().info().words.scale.clone();
        assert_eq!(of(ScaleKnown::Drawing).unwrap().until, None);
        assert_eq!(of(ScaleKnown::Until(until)).unwrap().until, Some(until));
        assert_eq!(of(ScaleKnown::Nothing), None);
    }

    #[test]
    fn nonsense_is_refused_with_its_key() {
        let refused = Simulated::open(Settings { frames_per_s: 0.0, ..small() }).err().unwrap();
        assert_eq!(refused.kind, CaptureErrorKind::Unsupported);
        assert!(refused.to_string().contains("frames_per_s"), "{refused}");
    }
}
