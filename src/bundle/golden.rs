//! The golden pair: one picture, and what the reference implementation of the model gives for it.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{ImageFormat, ImageReader, Limits};
use serde::Deserialize;

use super::files::{self, Files};
use super::{Bundle, BundleError, Fit, GoldenFeatures, features};
use crate::frame::Size;
use crate::scale::UM_PER_PX_RANGE;

pub(super) const INPUT: &str = "golden/input.png";
pub(super) const EXPECTED: &str = "golden/expected.json";

/// Larger differences than a quarter of a logit are another model, not other arithmetic.
const LARGEST_TOLERANCE: f32 = 0.25;
/// The largest sensor of a nailfold microscope has 2592 pixels a row.
const LARGEST_SIDE: u32 = 8192;

#[derive(Clone, Debug, PartialEq)]
pub struct Golden {
    pub size: Size,
    pub rgb: Vec<u8>,
    /// The picture's scale; there when the model's fit needs one.
    pub um_per_px: Option<f64>,
    /// Empty where the model answers with probabilities, which stand in `features`.
    pub logits: Vec<f32>,
    /// Of a logit or of a probability.
    pub tolerance: f32,
    /// There when the model reads features.
    pub features: Option<GoldenFeatures>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    um_per_px: Option<f64>,
    logits: Vec<f32>,
    tolerance: f32,
}

pub(super) fn read(bundle: &Bundle) -> Result<Golden, BundleError> {
    if let Some(spec) = &bundle.features {
        return features::golden(bundle, spec);
    }
    let (size, rgb) = picture(&bundle.dir, &bundle.files)?;
    let wrong = |message: String| BundleError::Golden { path: bundle.dir.join(EXPECTED), message };
    let text = files::read(&bundle.dir, &bundle.files, EXPECTED)?;
    let Written { um_per_px, logits, tolerance } = serde_json::from_slice(&text).map_err(|e| wrong(e.to_string()))?;
    if logits.len() != bundle.labels.len() || !logits.iter().all(|v| v.is_finite()) {
        return Err(wrong(format!("logits: expected {} numbers, found {logits:?}", bundle.labels.len())));
    }
    if !(tolerance > 0.0 && tolerance <= LARGEST_TOLERANCE) {
        return Err(wrong(format!("tolerance: expected above 0, at most {LARGEST_TOLERANCE}, found {tolerance}")));
    }
    let needed = matches!(bundle.input.fit, Fit::Scale { .. });
    if um_per_px.map_or(needed, |v| !UM_PER_PX_RANGE.contains(&v)) {
        return Err(wrong(format!("um_per_px: expected a number in {UM_PER_PX_RANGE:?}, found {um_per_px:?}")));
    }
    Ok(Golden { size, rgb, um_per_px, logits, tolerance, features: None })
}

pub(super) fn picture(bundle: &Path, listed: &Files) -> Result<(Size, Vec<u8>), BundleError> {
    let path: PathBuf = bundle.join(INPUT);
    let wrong = |message: String| BundleError::Golden { path: path.clone(), message };
    let mut reader = ImageReader::with_format(Cursor::new(files::read(bundle, listed, INPUT)?), ImageFormat::Png);
    let mut limits = Limits::default();
    limits.max_image_width = Some(LARGEST_SIDE);
    limits.max_image_height = Some(LARGEST_SIDE);
    reader.limits(limits);
    let picture = reader.decode().map_err(|e| wrong(e.to_string()))?;
    let found = picture.color();
    let image::DynamicImage::ImageRgb8(rgb) = picture else {
        return Err(wrong(format!("expected 8-bit RGB, found {found:?}")));
    };
    Ok((Size::new(rgb.width(), rgb.height()), rgb.into_raw()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::MANIFEST;
    use super::*;
    use crate::digest::sha256;

    fn tiny(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bundles").join(name)
    }

    /// The tiny bundle with other bytes for one file, and a manifest that agrees.
    fn with(name: &str, file: &str, bytes: &[u8]) -> Result<Golden, BundleError> {
        let folder = tempfile::tempdir().unwrap();
        let bundle = Bundle::load(&tiny(name)).unwrap();
        fs::create_dir(folder.path().join("golden")).unwrap();
        for known in bundle.files.keys() {
            fs::copy(tiny(name).join(known), folder.path().join(known)).unwrap();
        }
        fs::write(folder.path().join(file), bytes).unwrap();
        let manifest = fs::read_to_string(tiny(name).join(MANIFEST)).unwrap();
        let manifest = manifest.replace(&bundle.files[file], &sha256(bytes));
        fs::write(folder.path().join(MANIFEST), manifest).unwrap();
        Bundle::load(folder.path()).unwrap().golden()
    }

    #[test]
    fn the_pair_is_read() {
        let golden = Bundle::load(&tiny("tiny-scale-0.1.0")).unwrap().golden().unwrap();
        assert_eq!((golden.size, golden.rgb.len()), (Size::new(100, 80), 100 * 80 * 3));
        assert_eq!((golden.um_per_px, golden.logits.len()), (Some(1.3), 2));
    }

    #[test]
    fn wrong_expectations_are_refused() {
        let cases = [
            ("tiny-resize-0.1.0", r#"{"um_per_px":null,"logits":[1.0],"tolerance":0.02}"#, "expected 2 numbers"),
            ("tiny-resize-0.1.0", r#"{"um_per_px":null,"logits":[1.0,2.0],"tolerance":9.0}"#, "at most 0.25, found 9"),
            ("tiny-resize-0.1.0", r#"{"um_per_px":null,"logits":[1.0,2.0],"tolerance":0}"#, "above 0"),
            ("tiny-resize-0.1.0", r#"{"um_per_px":-1,"logits":[1.0,2.0],"tolerance":0.1}"#, "um_per_px: expected"),
            ("tiny-resize-0.1.0", r#"{"logits":[1.0,2.0],"tolerance":0.1,"x":1}"#, "unknown field `x`"),
            ("tiny-scale-0.1.0", r#"{"um_per_px":null,"logits":[1.0,2.0],"tolerance":0.1}"#, "found None"),
        ];
        for (name, text, expected) in cases {
            let error = with(name, EXPECTED, text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_picture_that_is_none_is_refused() {
        let error = with("tiny-resize-0.1.0", INPUT, b"not a picture").unwrap_err();
        assert!(matches!(error, BundleError::Golden { .. }), "{error:?}");
        let mut grey = Vec::new();
        image::GrayImage::new(4, 4).write_to(&mut Cursor::new(&mut grey), ImageFormat::Png).unwrap();
        let error = with("tiny-resize-0.1.0", INPUT, &grey).unwrap_err().to_string();
        assert!(error.contains("expected 8-bit RGB, found L8"), "{error}");
    }
}
