//! The golden pair: what the model gives here beside what its maker's reference gave.

use super::{Classifier, InferError, Intake, LoopFigures, Scores};
use crate::bundle::{Bundle, Golden, GoldenFeatures};
use crate::frame::Size;
use crate::preprocess::{PrepareError, Tensor};
use crate::scale::{Scale, ScaleMethod};

/// Below a thousandth a feature's difference is judged by its size, not as a share of it.
const LEAST_FEATURE: f32 = 1e-3;

/// What was expected of the golden picture, and what was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Agreement {
    /// `logits` or `probabilities`.
    pub what: &'static str,
    pub expected: Vec<f32>,
    pub found: Vec<f32>,
    pub tolerance: f32,
}

impl Agreement {
    pub fn largest_difference(&self) -> f32 {
        self.expected.iter().zip(&self.found).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    pub fn holds(&self) -> bool {
        self.largest_difference() <= self.tolerance
    }
}

impl Classifier {
    pub(super) fn check_golden(&mut self, bundle: &Bundle, golden: &Golden) -> Result<Agreement, InferError> {
        let agreement = self.golden(bundle, golden)?;
        if agreement.holds() {
            return Ok(agreement);
        }
        let Agreement { what, expected, found, tolerance } = &agreement;
        let message = format!(
            "the golden picture gives other {what} on provider {}: expected {expected:?} within {tolerance}, found \
             {found:?}",
            self.provider()
        );
        Err(InferError::Model { dir: bundle.dir.clone(), message })
    }

    /// Runs the golden pair. Features that differ are an error before the model is asked.
    pub(super) fn golden(&mut self, bundle: &Bundle, golden: &Golden) -> Result<Agreement, InferError> {
        let mut input = prepared(bundle, golden)?;
        let mut scores = Scores::default();
        let tolerance = golden.tolerance;
        let Some(features) = &golden.features else {
            self.classify(&input, &mut scores)?;
            return Ok(Agreement { what: "logits", expected: golden.logits.clone(), found: scores.logits, tolerance });
        };
        same_features(bundle, &input.data, features)?;
        // As they are written: a tree may answer a feature that differs in its last digit otherwise.
        input.data.clone_from(&features.values);
        self.classify(&input, &mut scores)?;
        let found = scores.logits.iter().map(|logit| logit.exp()).collect();
        Ok(Agreement { what: "probabilities", expected: features.probs.clone(), found, tolerance })
    }
}

fn same_features(bundle: &Bundle, found: &[f32], golden: &GoldenFeatures) -> Result<(), InferError> {
    let columns = bundle.features.iter().flat_map(|spec| spec.columns());
    for ((column, found), expected) in columns.zip(found).zip(&golden.values) {
        let allowed = golden.tolerance * expected.abs().max(LEAST_FEATURE);
        if found.is_nan() || (found - expected).abs() > allowed {
            let message = format!(
                "the golden picture has another {column}: expected {expected} within {allowed}, found {found}; its \
                 features were computed by other definitions"
            );
            return Err(InferError::Model { dir: bundle.dir.clone(), message });
        }
    }
    Ok(())
}

/// The golden picture has the model's size, too small to measure loops on: what was measured of them is taken as it is
/// written, and the locating bundle has a golden pair of its own.
struct Written([f32; 5]);

impl LoopFigures for Written {
    fn figures(&mut self, _: Size, _: &[u8], _: Option<&Scale>) -> Result<[f32; 5], PrepareError> {
        Ok(self.0)
    }
}

fn intake(bundle: &Bundle, golden: &Golden) -> Intake {
    let intake = Intake::new(bundle);
    // The group `shape` stands last.
    let last = golden.features.as_ref().and_then(|features| features.values.last_chunk());
    match last.filter(|_| bundle.loops().is_some()) {
        Some(figures) => intake.with_loops(Box::new(Written(*figures))),
        None => intake,
    }
}

/// The golden picture as the model's input.
pub(super) fn prepared(bundle: &Bundle, golden: &Golden) -> Result<Tensor, InferError> {
    let scale = golden.um_per_px.and_then(|v| Scale::new(v, ScaleMethod::Entered));
    let mut tensor = Tensor::default();
    let done = intake(bundle, golden).prepare_pixels(golden.size, &golden.rgb, scale.as_ref(), &mut tensor);
    done.map_err(|e: PrepareError| InferError::Model {
        dir: bundle.dir.clone(),
        message: format!("the golden picture: {e}"),
    })?;
    Ok(tensor)
}
