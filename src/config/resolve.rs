//! From as-written to resolved: paths made absolute against the configuration's own folder, every stage's ranges
//! checked, and sense across sections. Opens nothing but the configuration itself.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::raw::{self, OnMissing, Raw, SourceKind};
use super::{ConfigError, locate};
use crate::exam::timeline;
use crate::pipeline::second::MOST as MOST_SECOND;
use crate::{aggregate, capture, emit, infer, measure, quality, telemetry};

/// All the program sees of its configuration.
#[derive(Clone, Debug)]
pub struct Resolved {
    pub path: PathBuf,
    /// Of the file's bytes: goes into every exam's provenance.
    pub sha256: String,
    pub source: SourceChoice,
    pub bundle: PathBuf,
    pub remote: Option<infer::RemoteSettings>,
    pub second: Vec<SecondChoice>,
    pub runtime: infer::Settings,
    pub measure: Option<MeasureChoice>,
    pub gate: quality::Settings,
    pub pool: aggregate::Rules,
    pub exam: timeline::Settings,
    pub trigger: Vec<capture::button::Binding>,
    pub scale: Option<ScaleChoice>,
    pub record: Option<RecordChoice>,
    pub file: Option<PathBuf>,
    pub emit: emit::Settings,
    pub log: telemetry::Settings,
}

impl Resolved {
    /// What is written to while exams run, and how much has to be free there.
    pub fn written_to(&self) -> (Vec<PathBuf>, u64) {
        let record = self.record.as_ref();
        let paths = [record.map(|record| record.folder.clone()), self.file.clone()];
        let least_mb = record.map_or_else(raw::least_free_mb, |record| record.least_free_mb);
        (paths.into_iter().flatten().collect(), least_mb)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum SourceChoice {
    Simulated(capture::simulated::Settings),
    Replay {
        path: PathBuf,
        settings: capture::replay::Settings,
    },
    V4l2 {
        device: capture::select::Selector,
        settings: capture::v4l2::Settings,
        on_missing: OnMissing,
    },
    #[cfg(feature = "nokhwa")]
    Nokhwa(capture::nokhwa::Settings),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScaleChoice {
    pub file: PathBuf,
    pub magnification: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecondChoice {
    pub bundle: PathBuf,
    pub every: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub struct MeasureChoice {
    pub bundle: PathBuf,
    pub every: Duration,
    pub runtime: infer::Settings,
    pub limits: measure::Settings,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordChoice {
    pub folder: PathBuf,
    pub keyframes_per_field: u32,
    pub least_free_mb: u64,
}

/// Most frames that a field may keep: eight fingers of four fields then hold at most 256 pictures, some 60 MB.
const KEYFRAMES_MOST: u32 = 8;

/// Up to more than any disk of a workstation has.
const LEAST_FREE_MB: std::ops::RangeInclusive<u64> = 10..=100_000_000;

/// From every frame of a quick camera to one a minute.
const EVERY_MS: std::ops::RangeInclusive<u64> = 10..=60_000;

pub fn resolve(raw: Raw, path: &Path, text: &str) -> Result<Resolved, ConfigError> {
    let here = Here { path, text, folder: path.parent().unwrap_or(Path::new("")) };
    here.check("gate", raw.gate.check())?;
    here.check("pool", raw.pool.check())?;
    here.check("exam", raw.exam.check())?;
    here.check("emit", raw.emit.check())?;
    here.check("runtime", raw.runtime.check())?;
    here.check("log", raw.log.check())?;
    here.check("model.remote", raw.model.remote.as_ref().map_or(Ok(()), infer::RemoteSettings::check))?;
    let source = here.source(raw.source)?;
    let scale = here.scale(raw.scale)?;
    let record = here.record(raw.record)?;
    let file = raw.file.map(|file| here.absolute(&file.path));
    let mut emit = raw.emit;
    for socket in [&mut emit.stream, &mut emit.control].into_iter().flatten() {
        socket.path = here.absolute(&socket.path);
    }
    if let Some(page) = &mut emit.page {
        page.token = page.token.take().map(|token| here.absolute(&token));
        if let Some(tls) = &mut page.tls {
            tls.certificate = here.absolute(&tls.certificate);
            tls.key = here.absolute(&tls.key);
        }
    }
    let mut runtime = raw.runtime;
    runtime.library = here.absolute(&runtime.library);
    runtime.engine_cache = runtime.engine_cache.map(|folder| here.absolute(&folder));
    let measure = here.measure(raw.measure, &runtime)?;
    let resolved = Resolved {
        path: path.to_owned(),
        sha256: crate::digest::sha256(text.as_bytes()),
        source,
        bundle: here.absolute(&raw.model.bundle),
        remote: raw.model.remote,
        second: here.second(raw.second)?,
        runtime,
        measure,
        gate: raw.gate,
        pool: raw.pool,
        exam: raw.exam,
        trigger: raw.trigger.unwrap_or_else(capture::button::default_bindings),
        scale,
        record,
        file,
        emit,
        log: raw.log,
    };
    here.one_path_each(&resolved)?;
    Ok(resolved)
}

struct Here<'a> {
    path: &'a Path,
    text: &'a str,
    folder: &'a Path,
}

impl Here<'_> {
    fn absolute(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }

    /// An error of sense about `key`.
    fn wrong(&self, key: &str, message: impl Into<String>) -> ConfigError {
        let line = locate::line_of(self.text, key);
        ConfigError::Sense { path: self.path.to_owned(), line, message: format!("{key}: {}", message.into()) }
    }

    /// A stage's own check names the key as its first word.
    fn check(&self, section: &str, checked: Result<(), String>) -> Result<(), ConfigError> {
        checked.map_err(|message| {
            let key = message.split([' ', ':', '=']).next().unwrap_or_default();
            let key = key.strip_prefix(section).and_then(|rest| rest.strip_prefix('.')).unwrap_or(key);
            let line = locate::line_of(self.text, &format!("{section}.{key}"));
            ConfigError::Sense { path: self.path.to_owned(), line, message: format!("[{section}] {message}") }
        })
    }

    fn source(&self, source: raw::Source) -> Result<SourceChoice, ConfigError> {
        self.only_its_own_keys(&source)?;
        match source.kind {
            SourceKind::Simulated => {
                let mut settings = source.simulated.unwrap_or_default();
                self.check("source.simulated", settings.check())?;
                settings.mishap = settings.mishap.map(|path| self.absolute(&path));
                Ok(SourceChoice::Simulated(settings))
            }
            SourceKind::Replay => {
                let missing = || self.wrong("source.kind", "\"replay\" needs source.path, the recording");
                let path = self.absolute(&source.path.ok_or_else(missing)?);
                let mut settings = source.replay.unwrap_or_default();
                self.check("source.replay", settings.check())?;
                settings.sidecar = settings.sidecar.map(|sidecar| self.absolute(&sidecar));
                Ok(SourceChoice::Replay { path, settings })
            }
            SourceKind::V4l2 => {
                let settings = source.v4l2.unwrap_or_default();
                self.check("source.v4l2", settings.check())?;
                let device = source.device.unwrap_or(capture::select::Selector::Any);
                Ok(SourceChoice::V4l2 { device, settings, on_missing: source.on_missing.unwrap_or_default() })
            }
            #[cfg(feature = "nokhwa")]
            SourceKind::Nokhwa => {
                let settings = source.nokhwa.unwrap_or_default();
                self.check("source.nokhwa", settings.check())?;
                Ok(SourceChoice::Nokhwa(settings))
            }
            #[cfg(not(feature = "nokhwa"))]
            SourceKind::Nokhwa => {
                let message = "\"nokhwa\" is not in this build (cargo feature nokhwa); on Linux use \"v4l2\"";
                Err(self.wrong("source.kind", message))
            }
        }
    }

    fn second(&self, second: Vec<raw::Second>) -> Result<Vec<SecondChoice>, ConfigError> {
        if second.len() > MOST_SECOND {
            let message = format!("{} are too many: at most {MOST_SECOND} models read along", second.len());
            return Err(self.wrong("second", message));
        }
        let mut choices: Vec<SecondChoice> = Vec::new();
        for raw::Second { bundle, every_ms } in second {
            if !EVERY_MS.contains(&every_ms) {
                let (least, most) = (EVERY_MS.start(), EVERY_MS.end());
                return Err(self.wrong("second.every_ms", format!("is {every_ms}: it must be {least} to {most}")));
            }
            let bundle = self.absolute(&bundle);
            if choices.iter().any(|choice| choice.bundle == bundle) {
                return Err(self.wrong("second.bundle", format!("{} is named twice: remove one", bundle.display())));
            }
            choices.push(SecondChoice { bundle, every: Duration::from_millis(every_ms) });
        }
        Ok(choices)
    }

    fn measure(
        &self,
        measure: Option<raw::Measure>,
        runtime: &infer::Settings,
    ) -> Result<Option<MeasureChoice>, ConfigError> {
        let Some(measure) = measure else { return Ok(None) };
        self.check("measure.limits", measure.limits.check())?;
        if !EVERY_MS.contains(&measure.every_ms) {
            let (least, most) = (EVERY_MS.start(), EVERY_MS.end());
            return Err(
                self.wrong("measure.every_ms", format!("is {}: it must be {least} to {most}", measure.every_ms))
            );
        }
        let runtime = infer::Settings { threads: measure.threads, ..runtime.clone() };
        self.check("measure", runtime.check())?;
        let (bundle, every) = (self.absolute(&measure.bundle), Duration::from_millis(measure.every_ms));
        Ok(Some(MeasureChoice { bundle, every, runtime, limits: measure.limits }))
    }

    /// A key of another kind of source would be read by nobody.
    fn only_its_own_keys(&self, source: &raw::Source) -> Result<(), ConfigError> {
        use SourceKind::{Replay, Simulated, V4l2};
        let keys: [(&str, bool, &[SourceKind]); 6] = [
            ("source.path", source.path.is_some(), &[Replay]),
            ("source.replay", source.replay.is_some(), &[Replay]),
            ("source.simulated", source.simulated.is_some(), &[Simulated]),
            ("source.device", source.device.is_some(), &[V4l2]),
            ("source.on_missing", source.on_missing.is_some(), &[V4l2]),
            ("source.v4l2", source.v4l2.is_some(), &[V4l2]),
        ];
        for (key, set, kinds) in keys {
            if set && !kinds.contains(&source.kind) {
                let kind = source.kind.name();
                return Err(self.wrong(key, format!("is set, but source.kind is \"{kind}\": remove one")));
            }
        }
        Ok(())
    }

    fn scale(&self, scale: Option<raw::Scale>) -> Result<Option<ScaleChoice>, ConfigError> {
        let Some(raw::Scale { file, magnification }) = scale else { return Ok(None) };
        let plain = !magnification.is_empty() && magnification.chars().all(|c| c.is_ascii_graphic());
        if !plain || magnification.len() > 16 {
            let message = "write it as the lens does, such as \"200x\": 1 to 16 characters without spaces";
            return Err(self.wrong("scale.magnification", message));
        }
        Ok(Some(ScaleChoice { file: self.absolute(&file), magnification }))
    }

    fn record(&self, record: Option<raw::Record>) -> Result<Option<RecordChoice>, ConfigError> {
        let Some(record) = record else { return Ok(None) };
        if !(1..=KEYFRAMES_MOST).contains(&record.keyframes_per_field) {
            let message = format!("is {}: it must be 1 to {KEYFRAMES_MOST}", record.keyframes_per_field);
            return Err(self.wrong("record.keyframes_per_field", message));
        }
        if !LEAST_FREE_MB.contains(&record.least_free_mb) {
            let (least, most) = (LEAST_FREE_MB.start(), LEAST_FREE_MB.end());
            let message = format!("is {}: it must be {least} to {most}", record.least_free_mb);
            return Err(self.wrong("record.least_free_mb", message));
        }
        let raw::Record { keyframes_per_field, least_free_mb, folder } = record;
        Ok(Some(RecordChoice { folder: self.absolute(&folder), keyframes_per_field, least_free_mb }))
    }

    /// Two outputs on one path would write into each other.
    fn one_path_each(&self, resolved: &Resolved) -> Result<(), ConfigError> {
        let outputs = [
            ("record.folder", resolved.record.as_ref().map(|r| &r.folder)),
            ("file.path", resolved.file.as_ref()),
            ("emit.stream.path", resolved.emit.stream.as_ref().map(|s| &s.path)),
            ("emit.control.path", resolved.emit.control.as_ref().map(|s| &s.path)),
            ("emit.page.token", resolved.emit.page.as_ref().and_then(|page| page.token.as_ref())),
        ];
        let outputs = outputs.map(|(key, path)| (key, path.map(|path| plain(path))));
        for (i, (key, path)) in outputs.iter().enumerate() {
            let Some(path) = path else { continue };
            if let Some((other, _)) = outputs[..i].iter().find(|(_, earlier)| earlier.as_ref() == Some(path)) {
                return Err(
                    self.wrong(key, format!("{} is the path of {other} too: give each its own", path.display()))
                );
            }
        }
        Ok(())
    }
}

/// The path without `.` and `..`, as far as its letters tell: enough to compare two that are written differently.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir if plain.file_name().is_some() => {
                plain.pop();
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}
