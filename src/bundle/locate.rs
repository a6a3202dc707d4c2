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
    pub files: BTreeMap<String, String>,
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
}

/// Of a plane of the golden answer, four by four.
const GOLDEN_PARTS: usize = 16;
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

    /// The golden picture and what the model must answer to it.
    pub fn golden(&self) -> Result<LocateGolden, BundleError> {
        let (size, rgb) = golden::picture(&self.dir, &self.files)?;
        let wrong = |message: String| BundleError::Golden { path: self.dir.join(golden::EXPECTED), message };
        let text = files::read(&self.dir, &self.files, golden::EXPECTED)?;
        let WrittenGolden { um_per_px, cells, tolerance } =
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
        Ok(LocateGolden { size, rgb, um_per_px, cells, tolerance })
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
        files,
    })
}
