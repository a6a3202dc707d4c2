//! Bundles that classify by hand-made features: their manifest, and their golden pair.

use serde::Deserialize;
use toml::Spanned;

use super::golden::{self, Golden};
use super::manifest::{SIDE, Text, WrittenOutput};
use super::{Bundle, BundleError, Channels, Filter, Fit, InputSpec, files};
use crate::digest::is_sha256;
use crate::measured::{FIGURES, Limits};
use crate::scale::UM_PER_PX_RANGE;

pub(super) const EXPECTED: &str = "golden/features.json";

/// Larger differences are other definitions, not other arithmetic.
const LARGEST_TOLERANCE: f32 = 0.01;

/// Which features the model reads, in the order of its columns.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureSpec {
    pub groups: Vec<Group>,
    /// Smallest and largest of each column over the training cohort.
    pub seen: Option<Vec<[f32; 2]>>,
    /// There when `groups` holds `Shape`.
    pub loops: Option<LoopsSpec>,
}

/// What measured the loops that the model was trained on. Other weights or other limits give other figures.
#[derive(Clone, Debug, PartialEq)]
pub struct LoopsSpec {
    pub name: String,
    pub version: String,
    /// Of the locating bundle's manifest.
    pub sha256: String,
    pub limits: Limits,
}

impl FeatureSpec {
    /// The names of the columns.
    pub fn columns(&self) -> impl Iterator<Item = &'static str> {
        self.groups.iter().flat_map(|group| group.columns()).copied()
    }
}

/// Features that belong together; docs/bundles.md defines each column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    /// Moments of the whole picture.
    Hu,
    /// Textures of neighbouring greys.
    Haralick,
    Colour,
    /// Local binary patterns.
    Lbp,
    /// What was measured of the loops; of the picture itself nothing.
    Shape,
}

impl Group {
    pub const fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Hu => &["hu_1", "hu_2", "hu_3", "hu_4", "hu_5", "hu_6", "hu_7"],
            Self::Haralick => &[
                "haralick_angular_second_moment",
                "haralick_contrast",
                "haralick_correlation",
                "haralick_variance",
                "haralick_inverse_difference_moment",
                "haralick_sum_average",
                "haralick_sum_variance",
                "haralick_sum_entropy",
                "haralick_entropy",
                "haralick_difference_variance",
                "haralick_difference_entropy",
                "haralick_information_1",
                "haralick_information_2",
            ],
            Self::Colour => &[
                "colour_r_mean",
                "colour_r_std",
                "colour_r_skewness",
                "colour_g_mean",
                "colour_g_std",
                "colour_g_skewness",
                "colour_b_mean",
                "colour_b_std",
                "colour_b_skewness",
                "colour_h_mean",
                "colour_h_std",
                "colour_h_skewness",
                "colour_s_mean",
                "colour_s_std",
                "colour_s_skewness",
                "colour_v_mean",
                "colour_v_std",
                "colour_v_skewness",
            ],
            Self::Lbp => &["lbp_0", "lbp_1", "lbp_2", "lbp_3", "lbp_4", "lbp_5", "lbp_6", "lbp_7", "lbp_8", "lbp_9"],
            Self::Shape => &FIGURES,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenFeatures {
    size: Spanned<[u32; 2]>,
    filter: Filter,
    groups: Spanned<Vec<Group>>,
    // Whose definitions they are is fixed by this Hairpin; these tell a reader with which versions they were checked.
    #[serde(rename = "opencv")]
    _opencv: String,
    #[serde(rename = "mahotas")]
    _mahotas: String,
    #[serde(rename = "scikit_image")]
    _scikit_image: String,
    seen: Option<Spanned<Vec<[f32; 2]>>>,
    max_um_per_px: Option<Spanned<f64>>,
    loops: Option<Spanned<WrittenLoops>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenLoops {
    locator: String,
    version: String,
    sha256: Spanned<String>,
    limits: Spanned<toml::Table>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenGolden {
    picture: String,
    columns: Vec<String>,
    features: Vec<f32>,
    probabilities: Vec<f32>,
    tolerance: WrittenTolerance,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTolerance {
    features: f32,
    probabilities: f32,
}

/// What the reference makes of the golden picture on the way.
#[derive(Clone, Debug, PartialEq)]
pub struct GoldenFeatures {
    pub values: Vec<f32>,
    /// Largest difference, as a share of the feature's size or of a thousandth, whichever is larger.
    pub tolerance: f32,
    /// What the model answers to `values`.
    pub probs: Vec<f32>,
}

/// What the manifest's `[features]` and `[input]` come to.
pub(super) fn read(
    text: &Text,
    input: WrittenOutput,
    features: Option<Spanned<WrittenFeatures>>,
) -> Result<(InputSpec, Option<FeatureSpec>), BundleError> {
    let Some(features) = features.map(Spanned::into_inner) else {
        return Err(text.error(None, "missing field `features`"));
    };
    Ok((self::input(text, &features, input.name)?, Some(spec(text, &features)?)))
}

fn input(text: &Text, w: &WrittenFeatures, name: String) -> Result<InputSpec, BundleError> {
    let [width, height] = *w.size.get_ref();
    text.ensure(&w.size, SIDE.contains(&width) && SIDE.contains(&height), || {
        format!("features.size: expected sides of {} to {}, found {width} and {height}", SIDE.start(), SIDE.end())
    })?;
    if let Some(limit) = &w.max_um_per_px {
        text.ensure(limit, UM_PER_PX_RANGE.contains(limit.get_ref()), || {
            format!("features.max_um_per_px: expected {UM_PER_PX_RANGE:?}, found {}", limit.get_ref())
        })?;
    }
    Ok(InputSpec {
        name,
        width,
        height,
        fit: Fit::Resize,
        filter: w.filter,
        mean: [0.0; 3],
        std: [1.0; 3],
        channels: Channels::Rgb,
        max_um_per_px: w.max_um_per_px.as_ref().map(|limit| *limit.get_ref()),
        seen: None,
    })
}

fn spec(text: &Text, w: &WrittenFeatures) -> Result<FeatureSpec, BundleError> {
    let groups = w.groups.get_ref();
    let in_order = !groups.is_empty() && groups.is_sorted_by(|a, b| a < b);
    text.ensure(&w.groups, in_order, || {
        let known = "of hu, haralick, colour, lbp, shape at least one, each once, in this order";
        format!("features.groups: expected {known}, found {groups:?}")
    })?;
    let reads_loops = groups.contains(&Group::Shape);
    text.ensure(&w.groups, reads_loops == w.loops.is_some(), || {
        let what = "[features.loops] says what measured the group shape";
        if reads_loops { format!("{what}, and it is missing") } else { format!("{what}, which groups does not name") }
    })?;
    let loops = w.loops.as_ref().map(|w| loops(text, w.get_ref())).transpose()?;
    let seen = w.seen.as_ref().map(|seen| seen.get_ref().clone());
    let spec = FeatureSpec { groups: groups.clone(), seen, loops };
    if let Some(seen) = &w.seen {
        let (ranges, columns) = (seen.get_ref(), spec.columns().count());
        let rising = ranges.iter().all(|[low, high]| low.is_finite() && high.is_finite() && low <= high);
        text.ensure(seen, rising && ranges.len() == columns, || {
            format!("features.seen: expected [lowest, highest] for each of {columns} columns, found {ranges:?}")
        })?;
    }
    Ok(spec)
}

/// Every limit must be there: one that is not written might have another default in another Hairpin.
fn loops(text: &Text, w: &WrittenLoops) -> Result<LoopsSpec, BundleError> {
    text.ensure(&w.sha256, is_sha256(w.sha256.get_ref()), || {
        format!("features.loops.sha256: expected 64 hexadecimal digits, found {:?}", w.sha256.get_ref())
    })?;
    let wrong = |message: String| text.error(Some(w.limits.span()), format!("features.loops.limits: {message}"));
    let written = w.limits.get_ref();
    let known = toml::Table::try_from(Limits::default()).map_err(|e| wrong(e.to_string()))?;
    if let Some(missing) = known.keys().find(|key| !written.contains_key(*key)) {
        return Err(wrong(format!("missing field `{missing}`")));
    }
    let limits = written.clone().try_into().map_err(|e: toml::de::Error| wrong(e.message().to_owned()))?;
    Ok(LoopsSpec { name: w.locator.clone(), version: w.version.clone(), sha256: w.sha256.get_ref().clone(), limits })
}

/// `golden/features.json`, for a bundle of this task.
pub(super) fn golden(bundle: &Bundle, spec: &FeatureSpec) -> Result<Golden, BundleError> {
    let (size, rgb) = golden::picture(&bundle.dir, &bundle.files)?;
    let wrong = |message: String| BundleError::Golden { path: bundle.dir.join(EXPECTED), message };
    let text = files::read(&bundle.dir, &bundle.files, EXPECTED)?;
    let w: WrittenGolden = serde_json::from_slice(&text).map_err(|e| wrong(e.to_string()))?;
    if w.picture != golden::INPUT {
        return Err(wrong(format!("picture: expected {:?}, found {:?}", golden::INPUT, w.picture)));
    }
    if (size.width, size.height) != (bundle.input.width, bundle.input.height) {
        let (width, height) = (bundle.input.width, bundle.input.height);
        return Err(wrong(format!("picture: expected features.size, {width}x{height}, found {size}")));
    }
    if !spec.columns().eq(w.columns.iter().map(String::as_str)) {
        let expected: Vec<&str> = spec.columns().collect();
        return Err(wrong(format!("columns: expected {expected:?}, found {:?}", w.columns)));
    }
    if w.features.len() != w.columns.len() || !w.features.iter().all(|v| v.is_finite()) {
        return Err(wrong(format!("features: expected {} numbers, found {:?}", w.columns.len(), w.features)));
    }
    let share = |p: &f32| (0.0..=1.0).contains(p);
    if w.probabilities.len() != bundle.labels.len() || !w.probabilities.iter().all(share) {
        let labels = bundle.labels.len();
        return Err(wrong(format!("probabilities: expected {labels} from 0 to 1, found {:?}", w.probabilities)));
    }
    for (key, value) in [("features", w.tolerance.features), ("probabilities", w.tolerance.probabilities)] {
        if !(value > 0.0 && value <= LARGEST_TOLERANCE) {
            return Err(wrong(format!(
                "tolerance.{key}: expected above 0, at most {LARGEST_TOLERANCE}, found {value}"
            )));
        }
    }
    let features = GoldenFeatures { values: w.features, tolerance: w.tolerance.features, probs: w.probabilities };
    Ok(Golden {
        size,
        rgb,
        um_per_px: None,
        logits: Vec::new(),
        tolerance: w.tolerance.probabilities,
        features: Some(features),
    })
}

#[cfg(test)]
mod tests {
    use super::super::{MANIFEST, Task};
    use super::*;

    const TINY: &str = include_str!("../../tests/data/bundles/tiny-features-0.1.0/manifest.toml");

    fn with(from: &str, to: &str) -> Result<Bundle, BundleError> {
        assert!(TINY.contains(from), "the fixture has no {from:?}");
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(MANIFEST), TINY.replacen(from, to, 1)).unwrap();
        Bundle::describe(folder.path())
    }

    #[test]
    fn a_features_bundle_says_what_it_reads() {
        let bundle = with("schema = 1", "schema = 1").unwrap();
        assert_eq!((bundle.task, bundle.output.as_str()), (Task::Features, "probabilities"));
        assert_eq!((bundle.input.name.as_str(), bundle.input.width, bundle.input.height), ("features", 64, 48));
        let spec = bundle.features.unwrap();
        assert_eq!(spec.groups, [Group::Hu, Group::Haralick, Group::Colour, Group::Lbp]);
        assert_eq!((spec.columns().count(), spec.seen.unwrap().len()), (48, 48));
    }

    #[test]
    fn each_wrong_value_is_refused_with_its_line() {
        let cases: &[(&str, &str, &str)] = &[
            ("[\"hu\", \"haralick\"", "[\"haralick\", \"hu\"", "features.groups: expected of hu"),
            ("[\"hu\", \"haralick\"", "[\"hu\", \"hu\"", "features.groups: expected of hu"),
            ("[\"hu\", \"haralick\"", "[\"hu\", \"orb\"", "unknown variant `orb`"),
            (
                "\"lbp\"]",
                "\"lbp\", \"shape\"]",
                "[features.loops] says what measured the group shape, and it is missing",
            ),
            ("[\"hu\", \"haralick\", \"colour\", \"lbp\"]", "[]", "features.groups: expected of hu"),
            (
                "[\"hu\", \"haralick\", ",
                "[\"hu\", ",
                "features.seen: expected [lowest, highest] for each of 35 columns",
            ),
            ("size = [64, 48]", "size = [64, 4]", "features.size: expected sides of 16 to 2048, found 64 and 4"),
            ("filter = \"bilinear\"", "filter = \"area\"", "unknown variant `area`"),
            ("mahotas = ", "mahota = ", "unknown field `mahota`"),
            ("golden/features.json", "golden/expected.json", "[files] does not name \"golden/features.json\""),
        ];
        for (from, to, expected) in cases {
            let error = with(from, to).expect_err(to);
            let BundleError::Manifest { line, message, .. } = &error else { panic!("{to}: {error:?}") };
            assert!(message.contains(expected), "{to}: {message}");
            assert!(*line > 1 || to.contains("mahota"), "{to}: line {line}: {message}");
        }
    }

    #[test]
    fn what_is_wrong_with_what_measured_the_loops_is_said_with_its_line() {
        let shape = include_str!("../../tests/data/bundles/tiny-shape-0.1.0/manifest.toml");
        let cases = [
            ("groups = [\"hu\", \"shape\"]", "groups = [\"hu\"]", "the group shape, which groups does not name"),
            ("least_score = 0.3, ", "", "features.loops.limits: missing field `least_score`"),
            ("least_score = 0.3", "least_score = 0.3, most = 1", "features.loops.limits: unknown field `most`"),
            ("sha256 = \"", "sha256 = \"zz", "features.loops.sha256: expected 64 hexadecimal digits"),
            ("locator = \"locator-synth\"\n", "", "missing field `locator`"),
        ];
        for (from, to, expected) in cases {
            let folder = tempfile::tempdir().unwrap();
            assert!(shape.contains(from), "the fixture has no {from:?}");
            std::fs::write(folder.path().join(MANIFEST), shape.replacen(from, to, 1)).unwrap();
            let error = Bundle::describe(folder.path()).expect_err(to);
            let BundleError::Manifest { line, message, .. } = &error else { panic!("{to}: {error:?}") };
            assert!(message.contains(expected) && *line > 1, "{to}: line {line}: {message}");
        }
    }

    #[test]
    fn columns_are_named_once_each() {
        let all = [Group::Hu, Group::Haralick, Group::Colour, Group::Lbp, Group::Shape];
        let names: std::collections::BTreeSet<_> = all.iter().flat_map(|group| group.columns()).collect();
        assert_eq!(names.len(), 7 + 13 + 18 + 10 + 5);
    }
}
