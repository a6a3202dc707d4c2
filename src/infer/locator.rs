//! Runs a bundle that says where loops are, on whole fields of any size.

use super::maps::{Maps, Plane, sigmoid};
use super::onnx::{Bound, Runtime};
use super::widths::Widths;
use super::{Able, InferError, Settings, first_able, fits, open_nodes};
use crate::bundle::{FieldSpec, LocateBundle, LocateGolden};
use crate::preprocess::{Field, FieldPreparer};
use crate::report::LocatorWords;
use crate::scale::{Scale, ScaleMethod};

/// A locating network that is loaded, verified and warm.
pub struct Locator {
    bound: Bound,
    /// Of the input that memory is bound for: height and width.
    sides: [usize; 2],
    spec: FieldSpec,
    stride: usize,
    widths: Option<Widths>,
    words: LocatorWords,
}

impl Locator {
    /// Opens the model on the first provider that can run it, checks that it is what the manifest says, and runs
    /// the golden pair, which also warms it.
    pub fn open(runtime: &Runtime, bundle: &LocateBundle, settings: &Settings) -> Result<Self, InferError> {
        let wrong = |message| InferError::Model { dir: bundle.dir.clone(), message };
        let known: Vec<&str> = Plane::ALL.iter().map(|plane| plane.as_str()).collect();
        if bundle.maps != known {
            return Err(wrong(format!("output.maps: this Hairpin reads {known:?}, found {:?}", bundle.maps)));
        }
        let golden = bundle.golden()?;
        let bytes = bundle.model_bytes()?;
        let Able { provider, model, .. } = first_able(runtime, &bundle.dir, &bundle.model, &bytes, settings)?;
        let nodes = open_nodes(&model);
        let multiple = bundle.input.multiple as usize;
        let (input, output) = shapes([multiple; 2], bundle.stride as usize);
        fits("input", &model.inputs, &bundle.input.name, &input).map_err(wrong)?;
        fits("output", &model.outputs, &bundle.output, &output).map_err(wrong)?;
        let bound = Bound::new(model, (&bundle.input.name, &input), (&bundle.output, &output)).map_err(wrong)?;
        let mut locator = Self {
            bound,
            sides: [multiple; 2],
            spec: bundle.input.clone(),
            stride: bundle.stride as usize,
            widths: bundle.widths.as_ref().map(|spec| Widths::open(runtime, bundle, spec, settings)).transpose()?,
            words: LocatorWords {
                name: bundle.id.name.clone(),
                version: bundle.id.version.clone(),
                sha256: bundle.id.sha256.clone(),
                cohort: bundle.cohort.name.clone(),
                validated_on_patients: bundle.cohort.validated_on_patients,
                provider_running: format!("{provider} ({nodes})"),
            },
        };
        locator.check_golden(bundle, &golden)?;
        Ok(locator)
    }

    fn check_golden(&mut self, bundle: &LocateBundle, golden: &LocateGolden) -> Result<(), InferError> {
        let wrong = |message| InferError::Model { dir: bundle.dir.clone(), message };
        let scale = Scale::new(golden.um_per_px, ScaleMethod::Entered)
            .ok_or_else(|| wrong("the golden picture's scale is out of range".to_owned()))?;
        let mut field = Field::default();
        FieldPreparer::new(&bundle.input)
            .prepare(golden.size, &golden.rgb, Some(&scale), &mut field)
            .map_err(|e| wrong(format!("the golden picture: {e}")))?;
        let (width, height) = (field.width / self.stride, field.height / self.stride);
        let answer = self.answer(&field)?;
        for (plane, (values, expected)) in Plane::ALL.iter().zip(answer.chunks_exact(width * height).zip(&golden.cells))
        {
            let read = |v: f32| if plane.is_logit() { sigmoid(v) } else { v };
            let found = means(values, width, height, read);
            if found.iter().zip(expected).any(|(a, b)| a.is_nan() || (a - b).abs() > golden.tolerance) {
                let message = format!(
                    "the golden picture gives another {} map: expected means {expected:?} within {}, found {found:?}",
                    plane.as_str(),
                    golden.tolerance
                );
                return Err(wrong(message));
            }
        }
        for (tip, one) in golden.widths.iter().enumerate() {
            let Some(widths) = &mut self.widths else { break };
            let (found, expected) = (widths.log_width(&field, one.at, one.toward)?, one.log_width);
            if (found - expected).abs() > golden.tolerance {
                let message = format!(
                    "loop {tip} of the golden picture has another width: expected a logarithm of {expected} within {}, \
                     found {found}",
                    golden.tolerance
                );
                return Err(wrong(message));
            }
        }
        Ok(())
    }

    /// Apical width in um of a loop on the field whose tip stands at `at`, in cells of its maps; `None` where the bundle
    /// has no network of its own for it.
    pub fn width_um(&mut self, field: &Field, at: [f32; 2], toward: [f32; 2]) -> Result<Option<f32>, InferError> {
        let at = at.map(|cells| cells * self.stride as f32);
        let log_width = self.widths.as_mut().map(|widths| widths.log_width(field, at, toward)).transpose()?;
        Ok(log_width.map(um_of))
    }

    /// The maps of one field; `maps` is written over. Allocates only when the field's size changes.
    pub fn locate(&mut self, field: &Field, maps: &mut Maps) -> Result<(), InferError> {
        let stride = self.stride;
        let full = (field.width / stride, field.height / stride);
        let shown = field.resampled.map(|side| (side as usize).div_ceil(stride));
        let um_per_px = self.spec.um_per_px;
        let answer = self.answer(field)?;
        if !answer.iter().all(|v| v.is_finite()) {
            return Err(InferError::Frame { message: "the locating network gave no finite answer".to_owned() });
        }
        maps.data.clear();
        for plane in answer.chunks_exact(full.0 * full.1) {
            for row in plane.chunks_exact(full.0).take(shown[1]) {
                maps.data.extend_from_slice(&row[..shown[0]]);
            }
        }
        (maps.width, maps.height) = (shown[0], shown[1]);
        maps.um_per_cell = um_per_px * stride as f64;
        let px = |axis: usize| stride as f64 * f64::from(field.picture[axis]) / f64::from(field.resampled[axis]);
        maps.px_per_cell = [px(0), px(1)];
        Ok(())
    }

    fn answer(&mut self, field: &Field) -> Result<&[f32], InferError> {
        let sides = [field.height, field.width];
        if sides != self.sides {
            let (input, output) = shapes(sides, self.stride);
            self.bound.rebind(&input, &output).map_err(|message| InferError::Frame { message })?;
            self.sides = sides;
        }
        self.bound.run(&field.data).map_err(|message| InferError::Frame { message })
    }

    pub fn spec(&self) -> &FieldSpec {
        &self.spec
    }

    pub fn words(&self) -> &LocatorWords {
        &self.words
    }
}

/// Of the logarithm that networks give; held to what a float can say of a vessel.
pub fn um_of(log_width: f32) -> f32 {
    log_width.clamp(0.0, 6.0).exp()
}

fn shapes([height, width]: [usize; 2], stride: usize) -> ([usize; 4], [usize; 4]) {
    ([1, 3, height, width], [1, Plane::ALL.len(), height / stride, width / stride])
}

/// Means over four by four parts, as equal as whole numbers allow, the first ones larger.
fn means(plane: &[f32], width: usize, height: usize, read: impl Fn(f32) -> f32) -> Vec<f32> {
    let parts = |length: usize| -> Vec<std::ops::Range<usize>> {
        let (each, more) = (length / 4, length % 4);
        (0..4)
            .map(|i| i * each + i.min(more))
            .map(|from| from..from + each)
            .zip(0..4)
            .map(|(r, i)| if i < more { r.start..r.end + 1 } else { r })
            .collect()
    };
    let columns = parts(width);
    parts(height)
        .into_iter()
        .flat_map(|rows| columns.iter().map(move |columns| (rows.clone(), columns.clone())))
        .map(|(rows, columns)| {
            let count = (rows.len() * columns.len()).max(1);
            let sum: f64 = rows.flat_map(|y| &plane[y * width..][columns.clone()]).map(|v| f64::from(read(*v))).sum();
            (sum / count as f64) as f32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_over_parts_as_numpy_cuts_them() {
        // numpy.array_split of 6 gives parts of 2, 2, 1, 1.
        let plane: Vec<f32> = (0..36).map(|i| i as f32).collect();
        let found = means(&plane, 6, 6, |v| v);
        assert_eq!(found.len(), 16);
        assert_eq!((found[0], found[3], found[15]), (3.5, 8.0, 35.0));
    }
}
