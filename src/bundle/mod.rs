//! Model bundles: what a model is, what it was made from, and how its input is to be prepared. Loading checks
//! the manifest and every file's digest; whether the session fits the manifest is `infer`'s to say.
//! The format is docs/bundles.md.

mod features;
mod files;
mod golden;
mod locate;
mod manifest;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use features::{FeatureSpec, GoldenFeatures, Group, LoopsSpec};
pub use golden::Golden;
pub use locate::{FieldSpec, LocateBundle, LocateGolden, WidthSpec};

/// The manifest's name inside a bundle.
pub const MANIFEST: &str = "manifest.toml";

/// Why a bundle cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// Mend the path or its permissions.
    #[error("cannot read {}: {source}; check that the bundle is there and readable", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    /// Mend the manifest.
    #[error("{}:{line}: {message}", path.display())]
    Manifest { path: PathBuf, line: usize, message: String },
    /// Fetch the bundle again: it is not what its maker described.
    #[error("bundle {}: {message}; fetch the bundle again, or correct [files] in {MANIFEST}", dir.display())]
    Files { dir: PathBuf, message: String },
    /// Mend the golden pair.
    #[error("{}: {message}", path.display())]
    Golden { path: PathBuf, message: String },
}

/// A checked bundle.
#[derive(Clone, Debug, PartialEq)]
pub struct Bundle {
    pub dir: PathBuf,
    pub id: ModelId,
    pub task: Task,
    pub scheme: Scheme,
    /// In the order of the output's columns.
    pub labels: Vec<String>,
    /// Which of `labels` the thresholds speak of.
    pub positive: usize,
    pub licence: String,
    pub cohort: Cohort,
    /// Of the task `features` its size, filter and scale alone: the resized picture is described, not normalised.
    pub input: InputSpec,
    /// There when the model reads features of the picture instead of its pixels.
    pub features: Option<FeatureSpec>,
    /// Name of the model's output: logits, or of the task `features` probabilities.
    pub output: String,
    /// Without it the model gives scores, not probabilities.
    pub calibration: Option<Calibration>,
    pub thresholds: Thresholds,
    /// The model's file, relative to `dir`.
    pub model: String,
    /// Digest of every file but the manifest, by path relative to `dir`.
    pub files: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelId {
    pub name: String,
    pub version: String,
    /// Of the manifest's bytes, which name the digest of every other file.
    pub sha256: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Gives a score a label, from pixels.
    Classify,
    /// The same from hand-made features of the picture.
    Features,
    /// Says where loops are.
    Locate,
}

impl Task {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Classify => "classify",
            Self::Features => "features",
            Self::Locate => "locate",
        }
    }
}

/// Whose categories the labels are; "active" means different things in different schemes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// Smith et al., Autoimmun Rev 2019: category 1 (no scleroderma pattern), category 2 (scleroderma pattern).
    FastTrack,
    /// Cutolo et al., J Rheumatol 2000: early, active, late.
    #[serde(rename = "cutolo-2000")]
    Cutolo2000,
    /// Maricq et al., Arthritis Rheum 1976.
    Maricq,
    NormalAbnormal,
}

impl Scheme {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FastTrack => "fast-track",
            Self::Cutolo2000 => "cutolo-2000",
            Self::Maricq => "maricq",
            Self::NormalAbnormal => "normal-abnormal",
        }
    }
}

/// Whom the model was trained on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cohort {
    pub name: String,
    pub synthetic: bool,
    pub validated_on_patients: bool,
    pub description: String,
}

/// How a picture becomes the model's input.
#[derive(Clone, Debug, PartialEq)]
pub struct InputSpec {
    pub name: String,
    pub width: u32,
    pub height: u32,
    pub fit: Fit,
    pub filter: Filter,
    /// Of samples from 0 to 1, in the order of `channels`.
    pub mean: [f32; 3],
    pub std: [f32; 3],
    pub channels: Channels,
    /// A coarser picture is refused by the gate.
    pub max_um_per_px: Option<f64>,
    pub seen: Option<Seen>,
}

impl InputSpec {
    /// Whether a picture without a scale cannot be prepared.
    pub fn needs_scale(&self) -> bool {
        matches!(self.fit, Fit::Scale { .. }) || self.max_um_per_px.is_some()
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fit {
    /// The whole picture, its aspect not kept.
    Resize,
    /// Resampled to a fixed scale, cut into tiles that share at least `overlap` of their side; logits are the
    /// mean over tiles.
    Scale { um_per_px: f64, overlap: f64 },
}

/// Pillow's filters, all widened by the reduction (antialias).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    Bilinear,
    Bicubic,
    Lanczos3,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    Rgb,
    Bgr,
}

/// Smallest and largest mean and standard deviation that a picture of the training cohort had, by channel of
/// the normalised tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    pub mean: [[f32; 2]; 3],
    pub std: [[f32; 2]; 3],
}

/// Makes probabilities of the logits.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    pub temperature: f64,
    pub how: String,
}

/// On the probability of the positive label: above `upper` a field is positive, below `lower` negative.
#[derive(Clone, Debug, PartialEq)]
pub struct Thresholds {
    pub lower: f32,
    pub upper: f32,
    pub how: String,
}

/// A folder that holds a manifest, and what became of reading it.
#[derive(Debug)]
pub struct Listed {
    pub dir: PathBuf,
    pub bundle: Result<AnyBundle, BundleError>,
}

/// A checked bundle of any task; one that classifies by features is a `Classify` too.
#[derive(Clone, Debug, PartialEq)]
pub enum AnyBundle {
    Classify(Box<Bundle>),
    Locate(Box<LocateBundle>),
}

impl AnyBundle {
    /// Reads and checks the bundle in `dir`, whatever its task.
    pub fn load(dir: &Path) -> Result<Self, BundleError> {
        Ok(match task(dir)? {
            Task::Classify | Task::Features => Self::Classify(Box::new(Bundle::load(dir)?)),
            Task::Locate => Self::Locate(Box::new(LocateBundle::load(dir)?)),
        })
    }
}

/// Which task the bundle in `dir` is for; nothing else of it is looked at.
pub fn task(dir: &Path) -> Result<Task, BundleError> {
    manifest::task(dir)
}

impl Bundle {
    /// Reads and checks the bundle in `dir`: manifest, then the digest of every file.
    pub fn load(dir: &Path) -> Result<Self, BundleError> {
        let bundle = Self::describe(dir)?;
        files::check(&bundle.dir, &bundle.files)?;
        Ok(bundle)
    }

    /// Reads the manifest alone.
    pub fn describe(dir: &Path) -> Result<Self, BundleError> {
        manifest::read(dir)
    }

    /// How many columns the model's input has, where it reads features.
    pub fn columns(&self) -> Option<usize> {
        self.features.as_ref().map(|features| features.columns().count())
    }

    /// Whether a picture without a scale cannot be read.
    pub fn needs_scale(&self) -> bool {
        self.input.needs_scale() || self.loops().is_some()
    }

    /// What must measure the loops of every picture, where the model reads that.
    pub fn loops(&self) -> Option<&LoopsSpec> {
        self.features.as_ref()?.loops.as_ref()
    }

    /// Every bundle that stands directly in `dir`, by name.
    pub fn list(dir: &Path) -> Result<Vec<Listed>, BundleError> {
        let unreadable = |source| BundleError::Unreadable { path: dir.to_owned(), source };
        let mut found = Vec::new();
        for entry in fs::read_dir(dir).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.join(MANIFEST).is_file() {
                found.push(path);
            }
        }
        found.sort();
        Ok(found.into_iter().map(|dir| Listed { bundle: AnyBundle::load(&dir), dir }).collect())
    }

    /// The model's bytes, their digest checked as they are handed out.
    pub fn model_bytes(&self) -> Result<Vec<u8>, BundleError> {
        files::read(&self.dir, &self.files, &self.model)
    }

    /// The golden picture and what the model must give for it.
    pub fn golden(&self) -> Result<Golden, BundleError> {
        golden::read(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/bundles/tiny-resize-0.1.0");

    #[test]
    fn a_bundle_says_what_it_is() {
        let bundle = Bundle::load(Path::new(TINY)).unwrap();
        assert_eq!((bundle.id.name.as_str(), bundle.id.version.as_str()), ("tiny-resize", "0.1.0"));
        assert_eq!(bundle.id.sha256, crate::digest::sha256_of_file(&Path::new(TINY).join(MANIFEST)).unwrap());
        assert_eq!((bundle.scheme, bundle.positive), (Scheme::FastTrack, 1));
        assert_eq!((bundle.input.width, bundle.input.height, bundle.input.fit), (48, 40, Fit::Resize));
        assert!(bundle.cohort.synthetic && !bundle.cohort.validated_on_patients);
        assert_eq!(bundle.files.len(), 4);
        assert!(bundle.input.seen.is_some());
    }

    #[test]
    fn listing_finds_every_bundle_and_passes_over_other_folders() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("training")).unwrap();
        fs::create_dir(folder.path().join("broken")).unwrap();
        fs::write(folder.path().join("broken").join(MANIFEST), "schema = 1").unwrap();
        let listed = Bundle::list(folder.path()).unwrap();
        assert_eq!(listed.len(), 1);
        assert!(listed[0].dir.ends_with("broken") && listed[0].bundle.is_err());
        let listed = Bundle::list(Path::new(TINY).parent().unwrap()).unwrap();
        assert_eq!(listed.iter().filter(|listed| listed.bundle.is_ok()).count(), 5);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = Bundle::load(Path::new("/nowhere/at-all")).unwrap_err();
        assert!(matches!(error, BundleError::Unreadable { .. }));
        assert!(error.to_string().contains("/nowhere/at-all/manifest.toml"), "{error}");
    }
}
