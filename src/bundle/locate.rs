//! Bundles that say where loops are: their manifest, and their golden pair.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::manifest::{self, Text};
use super::{BundleError, Cohort, Filter, ModelId, Task, files, golden};
use crate::frame::Size;
use crate::scale::UM_PER_PX_RANGE;

/// A checked bundle of the task `locate`.
#[derive(Clone, Debug, PartialEq)]
pub struct LocateBundle {
    pub dir: PathBuf,
    pub id: ModelId,
    pub licence: String,
    pub cohort: Cohort,
    pub input: FieldSpec,
    /// Name of the model's output.
    pub output: String,
    /// Pixels of the input a cell of the answer.
    pub stride: u32,
    /// The answer's planes, in their order.
    pub maps: Vec<String>,
    pub model: String,
    /// Without it the maps alone say how wide loops are.
    pub widths: Option<WidthSpec>,
    pub files: BTreeMap<String, String>,
}

/// A second network, which says how wide a loop is from the picture around its tip: a square patch of the field, turned so
/// that the loop points up.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WidthSpec {
    /// Its file, relative to the bundle.
    pub model: String,
    pub input: String,
    pub output: String,
    /// Of the patch, in samples of the field.
    pub side: u32,
    /// Rows of the patch ahead of the tip.
    pub ahead: u32,
}

/// How a whole field becomes the model's input: resampled to one scale, its last column and row repeated to whole
/// multiples, samples from 0 to 1 in the order red, green, blue.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldSpec {
    pub name: String,
    pub um_per_px: f64,
    pub multiple: u32,
    pub filter: Filter,
}

/// One picture, and the means of the reference's answer to it.
#[derive(Clone, Debug, PartialEq)]
pub struct LocateGolden {
    pub size: Size,
    pub rgb: Vec<u8>,
    pub um_per_px: f64,
    /// For each plane the means over four by four equal parts, row by row; of logits, as probabilities.
    pub cells: Vec<Vec<f32>>,
    pub tolerance: f32,
    /// Where the bundle has a network for widths.
    pub widths: Vec<GoldenWidth>,
}

/// A tip on the golden picture, and what the reference says of its loop.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoldenWidth {
    /// In samples of the field; the middle of the first is 0.5.
    pub at: [f32; 2],
    pub toward: [f32; 2],
    /// Natural logarithm of um.
    pub log_width: f32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(rename = "schema")]
    _schema: u32,
    name: Spanned<String>,
    version: Spanned<String>,
    #[serde(rename = "task")]
    _task: Task,
    licence: Spanned<String>,
    model: Spanned<String>,
    cohort: Cohort,
    input: WrittenInput,
    output: WrittenOutput,
    widths: Option<Spanned<WidthSpec>>,
    files: BTreeMap<String, Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenInput {
    name: String,
    um_per_px: Spanned<f64>,
    multiple: Spanned<u32>,
    filter: Filter,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenOutput {
    name: String,
    stride: Spanned<u32>,
    maps: Spanned<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenGolden {
    um_per_px: f64,
    cells: Vec<Vec<f32>>,
    tolerance: f32,
    #[serde(default)]
    widths: Vec<GoldenWidth>,
}

/// Of a plane of the golden answer, four by four.
const GOLDEN_PARTS: usize = 16;
/// Samples of a patch's side: beyond it a patch holds several loops.
const PATCH_SIDES: std::ops::RangeInclusive<u32> = 8..=256;
/// Of a mean of probabilities or logarithms; a larger difference is another model.
const LARGEST_TOLERANCE: f32 = 0.1;

impl LocateBundle {
    /// Reads and checks the bundle in `dir`: manifest, then the digest of every file.
    pub fn load(dir: &Path) -> Result<Self, BundleError> {
        let (sha256, text) = manifest::open(dir, Task::Locate)?;
        let bundle = resolve(dir, sha256, &text, text.parse()?)?;
        files::check(&bundle.dir, &bundle.files)?;
        Ok(bundle)
    }

    /// The model's bytes, their digest checked as they are handed out.
    pub fn model_bytes(&self) -> Result<Vec<u8>, BundleError> {
        files::read(&self.dir, &self.files, &self.model)
    }

    /// The same of the network for widths.
    pub fn width_bytes(&self, spec: &WidthSpec) -> Result<Vec<u8>, BundleError> {
        files::read(&self.dir, &self.files, &spec.model)
    }

    /// The golden picture and what the model must answer to it.
    pub fn golden(&self) -> Result<LocateGolden, BundleError> {
        let (size, rgb) = golden::picture(&self.dir, &self.files)?;
        let wrong = |message: String| BundleError::Golden { path: self.dir.join(golden::EXPECTED), message };
        let text = files::read(&self.dir, &self.files, golden::EXPECTED)?;
        let WrittenGolden { um_per_px, cells, tolerance, widths } =
            serde_json::from_slice(&text).map_err(|e| wrong(e.to_string()))?;
        let full = cells.len() == self.maps.len() && cells.iter().all(|plane| plane.len() == GOLDEN_PARTS);
        if !full || !cells.iter().flatten().all(|v| v.is_finite()) {
            return Err(wrong(format!("cells: expected {} planes of {GOLDEN_PARTS} numbers", self.maps.len())));
        }
        if !(tolerance > 0.0 && tolerance <= LARGEST_TOLERANCE) {
            return Err(wrong(format!("tolerance: expected above 0, at most {LARGEST_TOLERANCE}, found {tolerance}")));
        }
        if !UM_PER_PX_RANGE.contains(&um_per_px) {
            return Err(wrong(format!("um_per_px: expected a number in {UM_PER_PX_RANGE:?}, found {um_per_px}")));
        }
        if widths.is_empty() == self.widths.is_some() {
            return Err(wrong("widths: expected tips where the manifest has [widths], and none where not".to_owned()));
        }
        let numbers = |one: &GoldenWidth| [one.at, one.toward].concat().iter().all(|v| v.is_finite());
        if !widths.iter().all(|one| numbers(one) && one.log_width.is_finite()) {
            return Err(wrong("widths: expected numbers".to_owned()));
        }
        Ok(LocateGolden { size, rgb, um_per_px, cells, tolerance, widths })
    }
}

fn resolve(dir: &Path, sha256: String, text: &Text, w: Written) -> Result<LocateBundle, BundleError> {
    manifest::identity(text, &w.name, &w.version, &w.licence)?;
    let scale = w.input.um_per_px;
    text.ensure(&scale, UM_PER_PX_RANGE.contains(scale.get_ref()), || {
        format!("input.um_per_px: expected {UM_PER_PX_RANGE:?}, found {}", scale.get_ref())
    })?;
    let (multiple, stride) = (w.input.multiple, w.output.stride);
    text.ensure(&multiple, (1..=256).contains(multiple.get_ref()), || {
        format!("input.multiple: expected 1 to 256, found {}", multiple.get_ref())
    })?;
    text.ensure(&stride, *stride.get_ref() > 0 && multiple.get_ref() % stride.get_ref() == 0, || {
        format!(
            "output.stride: expected a divisor of input.multiple, {}, found {}",
            multiple.get_ref(),
            stride.get_ref()
        )
    })?;
    let maps = w.output.maps;
    text.ensure(&maps, (1..=64).contains(&maps.get_ref().len()), || {
        format!("output.maps: expected 1 to 64 names, found {}", maps.get_ref().len())
    })?;
    let files = manifest::files(text, w.files)?;
    manifest::named(text, &w.model, &files, golden::EXPECTED)?;
    if let Some(widths) = &w.widths {
        let WidthSpec { model, side, ahead, .. } = widths.get_ref();
        text.ensure(widths, files.contains_key(model), || format!("[files] does not name {model:?}"))?;
        text.ensure(widths, PATCH_SIDES.contains(side) && ahead < side, || {
            format!("widths: expected a side of {PATCH_SIDES:?} and less ahead, found {side} and {ahead}")
        })?;
    }
    Ok(LocateBundle {
        dir: dir.to_owned(),
        id: ModelId { name: w.name.into_inner(), version: w.version.into_inner(), sha256 },
        licence: w.licence.into_inner(),
        cohort: w.cohort,
        input: FieldSpec {
            name: w.input.name,
            um_per_px: scale.into_inner(),
            multiple: multiple.into_inner(),
            filter: w.input.filter,
        },
        output: w.output.name,
        stride: stride.into_inner(),
        maps: maps.into_inner(),
        model: w.model.into_inner(),
        widths: w.widths.map(Spanned::into_inner),
        files,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("models/locator-synth-0.2.0")
    }

    #[test]
    fn what_is_wrong_with_the_second_network_is_said_with_its_line() {
        let manifest = std::fs::read_to_string(shipped().join(super::super::MANIFEST)).unwrap();
        let cases = [
            ("model = \"widths.onnx\"", "model = \"other.onnx\"", "[files] does not name \"other.onnx\""),
            ("side = 40", "side = 4", "widths: expected a side of 8..=256 and less ahead, found 4 and 8"),
            ("ahead = 8", "ahead = 40", "found 40 and 40"),
            ("ahead = 8", "ahead = -1", "invalid value: integer `-1`"),
            ("ahead = 8", "before = 8", "unknown field `before`"),
        ];
        for (from, to, expected) in cases {
            let folder = tempfile::tempdir().unwrap();
            assert!(manifest.contains(from), "{from}");
            std::fs::write(folder.path().join(super::super::MANIFEST), manifest.replacen(from, to, 1)).unwrap();
            let error = LocateBundle::load(folder.path()).unwrap_err();
            let BundleError::Manifest { line, message, .. } = &error else { panic!("{to}: {error:?}") };
            assert!(message.contains(expected) && *line > 20, "{to}: line {line}: {message}");
        }
    }

    #[test]
    fn a_bundle_with_a_second_network_has_golden_widths_and_one_without_has_none() {
        let bundle = LocateBundle::load(&shipped()).unwrap();
        let golden = bundle.golden().unwrap();
        assert_eq!((bundle.widths.as_ref().unwrap().side, golden.widths.len()), (40, 4));
        let alone = LocateBundle { widths: None, ..bundle };
        let error = alone.golden().unwrap_err().to_string();
        assert!(error.contains("widths: expected tips where the manifest has [widths], and none where not"), "{error}");
    }
}
