//! Writes a set of pictures with their truth: `frames/*.jpg`, one line a picture in `truth.jsonl`, and `labels/*.png`
//! where they are asked for.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use serde::{Deserialize, Serialize};

use super::camera::{Device, EncodeError, Encoder, Shot};
use super::cohort::{self, FingerScene, Subject};
use super::label;
use super::marker;
use super::optics::Optics;
use super::pathology::{Cohort, Disease};
use super::rng::Rng;
use super::truth::Truth;
use crate::finger::Finger;
use crate::frame::Size;

#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub count: u32,
    pub subjects: u32,
    pub seed: u64,
    pub cohort: Cohort,
    /// Draws at this scale instead of the device's own, over the same field.
    pub um_per_px: Option<f32>,
    /// Draws square pictures of so many pixels instead of whole fields.
    pub tile: Option<u32>,
    /// Writes what each pixel is, too: `labels/*.png`, whose bits are those of `label`.
    pub labels: bool,
    pub threads: usize,
}

/// A line of `truth.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub file: String,
    pub subject: String,
    pub disease: Disease,
    pub finger: Finger,
    pub field: u32,
    pub seed: u64,
    pub device: Device,
    /// What lay between the nailfold and the sensor: how well a loop can be seen.
    pub optics: Optics,
    pub truth: Truth,
}

#[derive(Debug, thiserror::Error)]
pub enum SetError {
    #[error("{0} already holds a set: choose another folder, or remove it first")]
    Exists(PathBuf),
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("cannot encode picture {number}: {source}")]
    Encode { number: u32, source: EncodeError },
    #[error("cannot encode the labels of picture {number}: {source}")]
    Labels { number: u32, source: label::LabelError },
    #[error("{0}")]
    Setting(String),
}

/// Which subject, finger and field the pictures of a set show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub subject: u32,
    pub finger: Finger,
    pub field: u32,
    /// Fields seen of this finger in all.
    pub fields: u32,
}

impl Settings {
    pub fn check(&self) -> Result<(), String> {
        if self.count == 0 || self.subjects == 0 || self.subjects > self.count {
            let asked = format!("{} pictures of {} subjects", self.count, self.subjects);
            return Err(format!("{asked}: a set has at least one picture a subject, and at least one subject"));
        }
        if let Some(scale) = self.um_per_px.filter(|scale| !(0.5..=20.0).contains(scale)) {
            return Err(format!("{scale} um a pixel: a drawn picture has 0.5 to 20"));
        }
        if let Some(side) = self.tile.filter(|side| !(32..=2048).contains(side)) {
            return Err(format!("tiles of {side} pixels: they have 32 to 2048"));
        }
        if !(1..=256).contains(&self.threads) {
            return Err(format!("{} threads: give 1 to 256", self.threads));
        }
        Ok(())
    }

    /// Subjects have equal shares; a subject's pictures go round its eight fingers first, then to the next field.
    pub fn place(&self, number: u32) -> Place {
        let share = self.count.div_ceil(self.subjects);
        let (subject, within) = (number / share, number % share);
        let finger = Finger::PROTOCOL[within as usize % Finger::PROTOCOL.len()];
        Place { subject, finger, field: within / 8, fields: share.div_ceil(8) }
    }
}

/// Draws the picture `number`: its entry and its JPEG bytes.
pub fn picture(settings: &Settings, number: u32) -> Result<(Entry, Vec<u8>), SetError> {
    let (mut entry, scene, view) = plan(settings, number);
    let (shot, mut rng) = shot(&entry.device, view.um_per_px, entry.seed);
    let mut rgb = cohort::photograph(&scene.scene, &view, &shot, &mut rng);
    if rng.chance(0.06) {
        marker::burn(&mut rgb, view.size, &mut rng);
    }
    // A reduced picture was never a camera's JPEG: the loss it would show is finer than its pixels.
    let reduced = view.um_per_px > entry.device.um_per_px() * 1.5;
    if reduced {
        entry.device.quality = entry.device.quality.max(92);
    }
    let jpeg = Encoder::new(entry.device.quality)
        .and_then(|mut encoder| encoder.encode(&rgb, view.size))
        .map_err(|source| SetError::Encode { number, source })?;
    Ok((entry, jpeg))
}

/// The shot of a picture with this seed, and the chances that come after it.
fn shot(device: &Device, um_per_px: f32, seed: u64) -> (Shot, Rng) {
    let mut rng = Rng::new(seed, "shot");
    (cohort::readable_shot(device, um_per_px, &mut rng), rng)
}

/// Everything about a picture that is known before it is drawn.
pub fn plan(settings: &Settings, number: u32) -> (Entry, FingerScene, super::render::View) {
    let place = settings.place(number);
    let subject = Subject::draw(settings.cohort, settings.seed, place.subject);
    let scene = subject.finger(place.finger);
    let um_per_px = settings.um_per_px.unwrap_or_else(|| subject.device.um_per_px());
    let size = match settings.tile {
        Some(side) => Size::new(side, side),
        None => reduced(subject.device.size, subject.device.um_per_px() / um_per_px),
    };
    let view = scene.view(place.field, place.fields, um_per_px, size);
    let seed = cohort::mix(scene.seed, u64::from(place.field) + 100);
    let entry = Entry {
        file: format!("frames/s{:05}-{}-{}.jpg", place.subject, place.finger, place.field + 1),
        subject: format!("s{:05}", place.subject),
        disease: subject.disease,
        finger: place.finger,
        field: place.field + 1,
        seed,
        optics: shot(&subject.device, um_per_px, seed).0.optics,
        device: subject.device,
        truth: Truth::of(&scene.scene, &view),
    };
    (entry, scene, view)
}

fn reduced(size: Size, factor: f32) -> Size {
    let side = |n: u32| ((n as f32 * factor).round() as u32).max(1);
    Size::new(side(size.width), side(size.height))
}

/// Writes the whole set; `done` is called after each picture.
pub fn write(settings: &Settings, out: &Path, done: &(dyn Fn() + Sync)) -> Result<Vec<Entry>, SetError> {
    settings.check().map_err(SetError::Setting)?;
    let frames = out.join("frames");
    let labels = out.join("labels");
    let list = out.join("truth.jsonl");
    if list.exists() || frames.exists() || labels.exists() {
        return Err(SetError::Exists(out.to_owned()));
    }
    fs::create_dir_all(&frames).map_err(io(&frames))?;
    if settings.labels {
        fs::create_dir_all(&labels).map_err(io(&labels))?;
    }
    let next = AtomicU32::new(0);
    let failed = AtomicBool::new(false);
    let work = || {
        let mut entries = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= settings.count || failed.load(Ordering::Relaxed) {
                return Ok(entries);
            }
            let drawn = picture(settings, number).and_then(|(entry, jpeg)| {
                let path = out.join(&entry.file);
                fs::write(&path, jpeg).map_err(io(&path))?;
                if settings.labels {
                    write_labels(settings, number, &entry, out)?;
                }
                Ok(entry)
            });
            match drawn {
                Ok(entry) => entries.push((number, entry)),
                Err(error) => {
                    failed.store(true, Ordering::Relaxed);
                    return Err(error);
                }
            }
            done();
        }
    };
    let mut entries = Vec::new();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..settings.threads.max(1)).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            entries.extend(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok::<(), SetError>(())
    })?;
    entries.sort_by_key(|(number, _)| *number);
    let entries: Vec<Entry> = entries.into_iter().map(|(_, entry)| entry).collect();
    write_list(&list, &entries)?;
    Ok(entries)
}

fn write_labels(settings: &Settings, number: u32, entry: &Entry, out: &Path) -> Result<(), SetError> {
    let (_, scene, view) = plan(settings, number);
    let png = label::png(&label::draw(&scene.scene, &view), view.size)
        .map_err(|source| SetError::Labels { number, source })?;
    let path = out.join(entry.file.replace("frames/", "labels/")).with_extension("png");
    fs::write(&path, png).map_err(io(&path))
}

fn write_list(path: &Path, entries: &[Entry]) -> Result<(), SetError> {
    let mut text = Vec::new();
    for entry in entries {
        serde_json::to_writer(&mut text, entry)
            .map_err(|e| SetError::Io { path: path.to_owned(), source: e.into() })?;
        text.push(b'\n');
    }
    let mut file = fs::File::create(path).map_err(io(path))?;
    file.write_all(&text).map_err(io(path))
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> SetError {
    move |source| SetError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fast_track::{Category, Measures, Verdict, judge};

    fn settings(count: u32, subjects: u32) -> Settings {
        Settings {
            count,
            subjects,
            seed: 11,
            cohort: Cohort::Mixed,
            um_per_px: Some(7.0),
            tile: None,
            labels: false,
            threads: 2,
        }
    }

    #[test]
    fn a_seed_gives_the_same_bytes_and_another_seed_others() {
        let first = tempfile::tempdir().unwrap();
        let again = tempfile::tempdir().unwrap();
        let entries = write(&settings(6, 3), first.path(), &|| {}).unwrap();
        write(&Settings { threads: 1, ..settings(6, 3) }, again.path(), &|| {}).unwrap();
        for entry in entries {
            let read = |dir: &Path| fs::read(dir.join(&entry.file)).unwrap();
            assert!(read(first.path()) == read(again.path()), "{} differs", entry.file);
        }
        let list = |dir: &Path| fs::read_to_string(dir.join("truth.jsonl")).unwrap();
        assert_eq!(list(first.path()), list(again.path()));
        let other = picture(&Settings { seed: 12, ..settings(6, 3) }, 0).unwrap().1;
        assert!(other != picture(&settings(6, 3), 0).unwrap().1);
    }

    #[test]
    fn a_set_is_never_written_over() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("truth.jsonl"), "mine").unwrap();
        assert!(matches!(write(&settings(1, 1), dir.path(), &|| {}), Err(SetError::Exists(_))));
        assert_eq!(fs::read_to_string(dir.path().join("truth.jsonl")).unwrap(), "mine");
    }

    #[test]
    fn the_category_is_what_the_fast_track_rules_say_of_the_truth() {
        for number in 0..40 {
            let truth = plan(&settings(40, 40), number).0.truth;
            let verdict = judge(Measures {
                density_per_mm: truth.density_per_mm.map(f64::from),
                giants: truth.giants,
                abnormal_shapes: truth.abnormal_shapes.map(|n| n > 0),
            });
            match verdict {
                Verdict::Decided { category, .. } => assert_eq!(truth.category, Some(category), "picture {number}"),
                Verdict::Undetermined => assert_eq!(truth.category, None, "picture {number}"),
            }
        }
    }

    /// Pearson's r of two series.
    fn correlation(a: &[f32], b: &[f32]) -> f32 {
        let mean = |v: &[f32]| v.iter().sum::<f32>() / v.len() as f32;
        let (ma, mb) = (mean(a), mean(b));
        let product: f32 = a.iter().zip(b).map(|(x, y)| (x - ma) * (y - mb)).sum();
        let square = |v: &[f32], m: f32| v.iter().map(|x| (x - m).powi(2)).sum::<f32>();
        product / (square(a, ma) * square(b, mb)).sqrt()
    }

    #[test]
    fn categories_are_balanced_and_no_confound_tells_them_apart() {
        let settings = Settings { count: 400, subjects: 400, ..settings(400, 400) };
        let mut two = Vec::new();
        let mut confounds: [Vec<f32>; 8] = Default::default();
        for number in 0..settings.count {
            let (entry, scene, view) = plan(&settings, number);
            let Some(category) = entry.truth.category else { continue };
            two.push(if category == Category::Two { 1.0 } else { 0.0 });
            // The ground well behind the row and well before it, without loops.
            let skin = scene.scene.skin.log_at(view.centre[0], view.centre[1], -500.0);
            let nail = scene.scene.skin.log_at(view.centre[0], view.centre[1], 600.0);
            let device = &entry.device;
            let values = [
                device.field_um,
                device.exposure,
                device.cast[0],
                device.noise[0],
                device.quality as f32,
                skin[0] - skin[1],
                skin[2] - skin[1],
                nail[1] - skin[1],
            ];
            for (series, value) in confounds.iter_mut().zip(values) {
                series.push(value);
            }
        }
        let share = two.iter().sum::<f32>() / two.len() as f32;
        assert!((0.42..0.58).contains(&share), "{share} of the pictures are of category two");
        for (which, series) in confounds.iter().enumerate() {
            // Three standard errors of r at 400 subjects.
            let r = correlation(&two, series);
            assert!(r.abs() < 0.15, "confound {which} goes with the category: r = {r}");
        }
    }
}
