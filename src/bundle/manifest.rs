//! `manifest.toml`: parses it, refuses unknown keys and values that make no sense, and says in which line.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::Spanned;

use super::features::{self, FeatureSpec, WrittenFeatures};
use super::{
    Bundle, BundleError, Calibration, Channels, Cohort, Filter, Fit, InputSpec, MANIFEST, ModelId, Scheme, Seen, Task,
    Thresholds, golden,
};
use crate::digest::{is_sha256, sha256};
use crate::scale::UM_PER_PX_RANGE;

/// The only form of manifest there is so far.
const SCHEMA: u32 = 1;
/// A manifest of our making has about two thousand bytes; a larger file is something else.
const MANIFEST_BYTES: u64 = 1 << 20;
/// Networks for nailfolds see 224 to 512 pixels; beyond 2048 the tensor alone would take 50 MB.
pub(super) const SIDE: std::ops::RangeInclusive<u32> = 16..=2048;

#[derive(Deserialize)]
struct OnlySchema {
    schema: Spanned<u32>,
    task: Spanned<Task>,
}

/// A manifest of a model that classifies; `I` is how its task writes the input.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written<I> {
    #[serde(rename = "schema")]
    _schema: u32,
    name: Spanned<String>,
    version: Spanned<String>,
    task: Task,
    scheme: Scheme,
    labels: Spanned<Vec<String>>,
    positive: Spanned<String>,
    licence: Spanned<String>,
    model: Spanned<String>,
    cohort: Cohort,
    features: Option<Spanned<WrittenFeatures>>,
    input: I,
    output: WrittenOutput,
    calibration: Option<WrittenCalibration>,
    thresholds: WrittenThresholds,
    files: BTreeMap<String, Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenInput {
    name: String,
    width: Spanned<u32>,
    height: Spanned<u32>,
    fit: Spanned<WrittenFit>,
    filter: Filter,
    mean: Spanned<[f32; 3]>,
    std: Spanned<[f32; 3]>,
    channels: Channels,
    max_um_per_px: Option<Spanned<f64>>,
    seen: Option<WrittenSeen>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFit {
    kind: FitKind,
    um_per_px: Option<f64>,
    overlap: Option<f64>,
    pool: Option<Pool>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum FitKind {
    Resize,
    Scale,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Pool {
    Mean,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSeen {
    mean: Spanned<[[f32; 2]; 3]>,
    std: Spanned<[[f32; 2]; 3]>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenOutput {
    pub name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCalibration {
    temperature: Spanned<f64>,
    how: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenThresholds {
    lower: Spanned<f32>,
    upper: Spanned<f32>,
    how: String,
}

/// The manifest's text with its place, to say where an error is.
pub(super) struct Text {
    path: PathBuf,
    text: String,
}

impl Text {
    pub(super) fn error(&self, span: Option<Range<usize>>, message: impl Into<String>) -> BundleError {
        let upto = span.map_or(0, |s| s.start.min(self.text.len()));
        let line = self.text.as_bytes()[..upto].iter().filter(|b| **b == b'\n').count() + 1;
        BundleError::Manifest { path: self.path.clone(), line, message: message.into() }
    }

    pub(super) fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, BundleError> {
        toml::from_str(&self.text).map_err(|e| self.error(e.span(), e.message()))
    }

    pub(super) fn ensure<T>(
        &self,
        value: &Spanned<T>,
        holds: bool,
        message: impl FnOnce() -> String,
    ) -> Result<(), BundleError> {
        if holds { Ok(()) } else { Err(self.error(Some(value.span()), message())) }
    }
}

pub(super) fn read(dir: &Path) -> Result<Bundle, BundleError> {
    if task(dir)? == Task::Features {
        return resolve(dir, Task::Features, features::EXPECTED, features::read);
    }
    resolve(dir, Task::Classify, golden::EXPECTED, pixels)
}

/// Which task the bundle in `dir` is for.
pub(super) fn task(dir: &Path) -> Result<Task, BundleError> {
    Ok(opened(dir)?.2.into_inner())
}

/// The digest and the text of the manifest in `dir`, of a schema that is known and for the task that is wanted.
pub(super) fn open(dir: &Path, wanted: Task) -> Result<(String, Text), BundleError> {
    let (sha256, text, task) = opened(dir)?;
    text.ensure(&task, *task.get_ref() == wanted, || {
        let (wanted, found) = (wanted.as_str(), task.get_ref().as_str());
        format!("task: expected {wanted:?}, found {found:?}: name a bundle of that task here")
    })?;
    Ok((sha256, text))
}

fn opened(dir: &Path) -> Result<(String, Text, Spanned<Task>), BundleError> {
    let path = dir.join(MANIFEST);
    let bytes = bytes(&path).map_err(|source| BundleError::Unreadable { path: path.clone(), source })?;
    let sha256 = sha256(&bytes);
    let text = String::from_utf8(bytes).map_err(|_| BundleError::Manifest {
        path: path.clone(),
        line: 1,
        message: "expected UTF-8 text".to_owned(),
    })?;
    let text = Text { path, text };
    // The schema comes first: a manifest of a later form is not full of "unknown keys", it is of a later form.
    let OnlySchema { schema, task } = text.parse::<OnlySchema>()?;
    text.ensure(&schema, *schema.get_ref() == SCHEMA, || {
        format!("schema: expected {SCHEMA}, found {}; this bundle needs another Hairpin", schema.get_ref())
    })?;
    Ok((sha256, text, task))
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MANIFEST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MANIFEST_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {MANIFEST_BYTES} bytes")));
    }
    Ok(bytes)
}

/// What the model reads, out of what its task writes.
type Reads = (InputSpec, Option<FeatureSpec>);
/// Checks what one task writes otherwise than another.
type Reader<I> = fn(&Text, I, Option<Spanned<WrittenFeatures>>) -> Result<Reads, BundleError>;

/// `expected` is the golden answer's file.
fn resolve<I: DeserializeOwned>(
    dir: &Path,
    task: Task,
    expected: &str,
    reads: Reader<I>,
) -> Result<Bundle, BundleError> {
    let (sha256, text) = open(dir, task)?;
    let (text, w) = (&text, text.parse::<Written<I>>()?);
    identity(text, &w.name, &w.version, &w.licence)?;
    let labels = labels(text, w.labels)?;
    let positive = positive(text, &w.positive, &labels)?;
    let files = files(text, w.files)?;
    named(text, &w.model, &files, expected)?;
    let (input, features) = reads(text, w.input, w.features)?;
    Ok(Bundle {
        dir: dir.to_owned(),
        id: ModelId { name: w.name.into_inner(), version: w.version.into_inner(), sha256 },
        task: w.task,
        scheme: w.scheme,
        labels,
        positive,
        licence: w.licence.into_inner(),
        cohort: w.cohort,
        input,
        features,
        output: w.output.name,
        calibration: w.calibration.map(|c| calibration(text, c)).transpose()?,
        thresholds: thresholds(text, w.thresholds)?,
        model: w.model.into_inner(),
        files,
    })
}

pub(super) fn identity(
    text: &Text,
    name: &Spanned<String>,
    version: &Spanned<String>,
    licence: &Spanned<String>,
) -> Result<(), BundleError> {
    plain_name(text, "name", name)?;
    plain_name(text, "version", version)?;
    text.ensure(licence, !licence.get_ref().trim().is_empty(), || "licence: expected a name".to_owned())
}

/// Names stand in file names, metrics and logs.
fn plain_name(text: &Text, key: &str, name: &Spanned<String>) -> Result<(), BundleError> {
    let value = name.get_ref();
    let plain = (1..=64).contains(&value.len())
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        && !value.starts_with('.');
    text.ensure(name, plain, || {
        format!("{key}: expected 1 to 64 letters, digits, '-', '_' or '.', not beginning with '.', found {value:?}")
    })
}

/// The place of the positive label among the labels.
fn positive(text: &Text, positive: &Spanned<String>, labels: &[String]) -> Result<usize, BundleError> {
    let found = positive.get_ref();
    labels.iter().position(|label| label == found).ok_or_else(|| {
        text.error(Some(positive.span()), format!("positive: expected one of {labels:?}, found {found:?}"))
    })
}

/// Whether the model, its card and its golden pair are among the files.
pub(super) fn named(
    text: &Text,
    model: &Spanned<String>,
    files: &BTreeMap<String, String>,
    expected: &str,
) -> Result<(), BundleError> {
    for needed in [model.get_ref().as_str(), golden::INPUT, expected, "CARD.md"] {
        text.ensure(model, files.contains_key(needed), || format!("[files] does not name {needed:?}"))?;
    }
    Ok(())
}

fn labels(text: &Text, labels: Spanned<Vec<String>>) -> Result<Vec<String>, BundleError> {
    let list = labels.get_ref();
    text.ensure(&labels, (2..=64).contains(&list.len()), || {
        format!("labels: expected 2 to 64 labels, found {}", list.len())
    })?;
    let printable = |l: &String| !l.trim().is_empty() && l.len() <= 64 && !l.chars().any(char::is_control);
    text.ensure(&labels, list.iter().all(printable), || {
        format!("labels: expected printable words of at most 64 bytes, found {list:?}")
    })?;
    let distinct = list.iter().collect::<BTreeSet<_>>().len();
    text.ensure(&labels, distinct == list.len(), || format!("labels: expected each once, found {list:?}"))?;
    Ok(labels.into_inner())
}

pub(super) fn files(
    text: &Text,
    files: BTreeMap<String, Spanned<String>>,
) -> Result<BTreeMap<String, String>, BundleError> {
    let mut checked = BTreeMap::new();
    for (name, digest) in files {
        let inside = !name.is_empty()
            && name != MANIFEST
            && !name.contains(['\\', '\0'])
            && name.split('/').all(|part| !part.is_empty() && !part.starts_with('.'))
            && Path::new(&name).components().all(|c| matches!(c, Component::Normal(_)));
        text.ensure(&digest, inside, || {
            format!(
                "[files] {name:?}: expected the path of a file inside the bundle, not hidden, other than {MANIFEST}"
            )
        })?;
        let value = digest.get_ref().to_ascii_lowercase();
        text.ensure(&digest, is_sha256(&value), || {
            format!("[files] {name:?}: expected a sha256 of 64 hexadecimal digits, found {:?}", digest.get_ref())
        })?;
        checked.insert(name, value);
    }
    Ok(checked)
}

fn pixels(text: &Text, w: WrittenInput, features: Option<Spanned<WrittenFeatures>>) -> Result<Reads, BundleError> {
    if let Some(features) = features {
        let message = "[features]: a model of the task \"classify\" reads pixels; expected the task \"features\"";
        return Err(text.error(Some(features.span()), message));
    }
    for (key, side) in [("width", &w.width), ("height", &w.height)] {
        text.ensure(side, SIDE.contains(side.get_ref()), || {
            format!("input.{key}: expected {} to {}, found {}", SIDE.start(), SIDE.end(), side.get_ref())
        })?;
    }
    text.ensure(&w.mean, w.mean.get_ref().iter().all(|v| (0.0..=1.0).contains(v)), || {
        format!("input.mean: expected values from 0 to 1, found {:?}", w.mean.get_ref())
    })?;
    text.ensure(&w.std, w.std.get_ref().iter().all(|v| (0.001..=10.0).contains(v)), || {
        format!("input.std: expected values from 0.001 to 10, found {:?}", w.std.get_ref())
    })?;
    if let Some(limit) = &w.max_um_per_px {
        text.ensure(limit, UM_PER_PX_RANGE.contains(limit.get_ref()), || {
            format!("input.max_um_per_px: expected {UM_PER_PX_RANGE:?}, found {}", limit.get_ref())
        })?;
    }
    let input = InputSpec {
        name: w.name,
        width: w.width.into_inner(),
        height: w.height.into_inner(),
        fit: fit(text, &w.fit)?,
        filter: w.filter,
        mean: w.mean.into_inner(),
        std: w.std.into_inner(),
        channels: w.channels,
        max_um_per_px: w.max_um_per_px.map(Spanned::into_inner),
        seen: w.seen.map(|s| seen(text, s)).transpose()?,
    };
    Ok((input, None))
}

fn fit(text: &Text, w: &Spanned<WrittenFit>) -> Result<Fit, BundleError> {
    let WrittenFit { kind, um_per_px, overlap, pool } = *w.get_ref();
    match (kind, um_per_px, overlap, pool) {
        (FitKind::Resize, None, None, None) => Ok(Fit::Resize),
        (FitKind::Resize, ..) => Err(text.error(Some(w.span()), "input.fit: kind \"resize\" takes no other key")),
        (FitKind::Scale, Some(um_per_px), Some(overlap), Some(Pool::Mean)) => {
            text.ensure(w, UM_PER_PX_RANGE.contains(&um_per_px), || {
                format!("input.fit.um_per_px: expected {UM_PER_PX_RANGE:?}, found {um_per_px}")
            })?;
            text.ensure(w, (0.0..=0.75).contains(&overlap), || {
                format!("input.fit.overlap: expected 0 to 0.75 of a tile, found {overlap}")
            })?;
            Ok(Fit::Scale { um_per_px, overlap })
        }
        (FitKind::Scale, ..) => {
            Err(text.error(Some(w.span()), "input.fit: kind \"scale\" needs um_per_px, overlap and pool"))
        }
    }
}

fn seen(text: &Text, w: WrittenSeen) -> Result<Seen, BundleError> {
    for (key, ranges) in [("mean", &w.mean), ("std", &w.std)] {
        let rising = ranges.get_ref().iter().all(|[low, high]| low.is_finite() && high.is_finite() && low < high);
        text.ensure(ranges, rising, || {
            format!("input.seen.{key}: expected [lowest, highest] for each channel, found {:?}", ranges.get_ref())
        })?;
    }
    Ok(Seen { mean: w.mean.into_inner(), std: w.std.into_inner() })
}

fn calibration(text: &Text, w: WrittenCalibration) -> Result<Calibration, BundleError> {
    // Temperatures of trained networks lie between about 0.5 and 5 (Guo et al., ICML 2017).
    text.ensure(&w.temperature, (0.05..=50.0).contains(w.temperature.get_ref()), || {
        format!("calibration.temperature: expected 0.05 to 50, found {}", w.temperature.get_ref())
    })?;
    Ok(Calibration { temperature: w.temperature.into_inner(), how: w.how })
}

fn thresholds(text: &Text, w: WrittenThresholds) -> Result<Thresholds, BundleError> {
    for (key, value) in [("lower", &w.lower), ("upper", &w.upper)] {
        let found = *value.get_ref();
        text.ensure(value, found > 0.0 && found < 1.0, || {
            format!("thresholds.{key}: expected a probability between 0 and 1, found {found}")
        })?;
    }
    text.ensure(&w.lower, w.lower.get_ref() <= w.upper.get_ref(), || {
        let (lower, upper) = (w.lower.get_ref(), w.upper.get_ref());
        format!("thresholds: expected lower <= upper, found lower {lower} and upper {upper}")
    })?;
    Ok(Thresholds { lower: w.lower.into_inner(), upper: w.upper.into_inner(), how: w.how })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TINY: &str = include_str!("../../tests/data/bundles/tiny-resize-0.1.0/manifest.toml");

    /// Reads the good manifest with one text put for another.
    fn with(from: &str, to: &str) -> Result<Bundle, BundleError> {
        assert!(TINY.contains(from), "the fixture has no {from:?}");
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(MANIFEST), TINY.replacen(from, to, 1)).unwrap();
        read(folder.path())
    }

    #[test]
    fn each_wrong_value_is_refused_with_its_line() {
        let cases: &[(&str, &str, &str)] = &[
            ("schema = 1", "schema = 2", "schema: expected 1, found 2"),
            ("schema = 1", "schema = \"one\"", "invalid type"),
            ("licence = ", "licence_ = ", "unknown field `licence_`"),
            (
                "[output]\n",
                "[features]\nsize = [64, 48]\nfilter = \"bilinear\"\ngroups = [\"hu\"]\nopencv = \"5\"\nmahotas = \"1\"\nscikit_image = \"0\"\n[output]\n",
                "[features]: a model of the task \"classify\" reads pixels",
            ),
            ("[output]\nname", "[output]\nnom", "unknown field `nom`"),
            ("name = \"tiny-resize\"", "name = \"../tiny\"", "name: expected 1 to 64 letters"),
            ("task = \"classify\"", "task = \"locate\"", "task: expected \"classify\", found \"locate\""),
            ("task = \"classify\"", "task = \"count\"", "unknown variant `count`"),
            ("scheme = \"fast-track\"", "scheme = \"fast\"", "unknown variant `fast`"),
            ("labels = [\"category 1\", ", "labels = [", "labels: expected 2 to 64 labels, found 1"),
            ("[\"category 1\",", "[\"category 2\",", "labels: expected each once"),
            ("positive = \"category 2\"", "positive = \"yes\"", "positive: expected one of"),
            ("model = \"model.onnx\"", "model = \"other.onnx\"", "[files] does not name \"other.onnx\""),
            ("width = 48", "width = 0", "input.width: expected 16 to 2048, found 0"),
            ("height = 40", "height = 99999", "input.height: expected 16 to 2048"),
            ("{ kind = \"resize\" }", "{ kind = \"crop\" }", "unknown variant `crop`"),
            ("{ kind = \"resize\" }", "{ kind = \"resize\", overlap = 0.1 }", "takes no other key"),
            ("{ kind = \"resize\" }", "{ kind = \"scale\", um_per_px = 2.0 }", "needs um_per_px, overlap and pool"),
            (
                "{ kind = \"resize\" }",
                "{ kind = \"scale\", um_per_px = 2.0, overlap = 0.9, pool = \"mean\" }",
                "input.fit.overlap: expected 0 to 0.75",
            ),
            (
                "{ kind = \"resize\" }",
                "{ kind = \"scale\", um_per_px = -2.0, overlap = 0.5, pool = \"mean\" }",
                "input.fit.um_per_px: expected 0.1..=20.0",
            ),
            ("filter = \"bilinear\"", "filter = \"nearest\"", "unknown variant `nearest`"),
            ("mean = [0.485", "mean = [124.0", "input.mean: expected values from 0 to 1"),
            ("mean = [0.485", "mean = [nan", "input.mean: expected values from 0 to 1"),
            ("std = [0.229", "std = [0.0", "input.std: expected values from 0.001"),
            ("channels = \"rgb\"", "channels = \"gray\"", "unknown variant `gray`"),
            ("max_um_per_px = 5.0", "max_um_per_px = inf", "input.max_um_per_px: expected"),
            ("temperature = 1.5", "temperature = 0.0", "calibration.temperature: expected"),
            ("lower = 0.3", "lower = 0.8", "thresholds: expected lower <= upper"),
            ("upper = 0.7", "upper = 1.0", "thresholds.upper: expected a probability"),
            ("\"CARD.md\"", "\"../CARD.md\"", "expected the path of a file inside the bundle"),
            ("\"CARD.md\"", "\"/CARD.md\"", "expected the path of a file inside the bundle"),
            ("\"CARD.md\"", "\"a/../../CARD.md\"", "expected the path of a file inside the bundle"),
            ("\"CARD.md\"", "\"./CARD.md\"", "expected the path of a file inside the bundle"),
            ("\"CARD.md\"", "\".hidden\"", "expected the path of a file inside the bundle"),
            ("\"CARD.md\"", "\"manifest.toml\"", "expected the path of a file inside the bundle"),
            ("\"CARD.md\" = \"", "\"CARD.md\" = \"zz", "expected a sha256 of 64 hexadecimal digits"),
        ];
        for (from, to, expected) in cases {
            let error = with(from, to).expect_err(to);
            let BundleError::Manifest { line, message, .. } = &error else { panic!("{to}: {error:?}") };
            assert!(message.contains(expected), "{to}: {message}");
            let at = TINY[..TINY.find(from).unwrap()].matches('\n').count() + 1;
            let last = at + from.matches('\n').count();
            assert!((at..=last).contains(line), "{to}: line {line}, expected {at}: {message}");
        }
    }

    #[test]
    fn a_missing_key_is_named() {
        let error = with("positive = \"category 2\"\n", "").unwrap_err().to_string();
        assert!(error.contains("missing field `positive`"), "{error}");
    }

    #[test]
    fn a_manifest_of_two_megabytes_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(MANIFEST), vec![b'#'; 2 << 20]).unwrap();
        assert!(matches!(read(folder.path()), Err(BundleError::Unreadable { .. })));
        std::fs::write(folder.path().join(MANIFEST), [0xff, 0xfe]).unwrap();
        assert!(read(folder.path()).unwrap_err().to_string().contains("UTF-8"));
    }
}
