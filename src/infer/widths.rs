//! How wide a loop is, from the picture around its tip: a small network on patches that are turned with the loop.

use super::onnx::{Bound, Runtime};
use super::{Able, InferError, Settings, first_able, fits};
use crate::bundle::{LocateBundle, WidthSpec};
use crate::preprocess::Field;

/// A network for widths that is loaded; keeps its buffers.
pub struct Widths {
    bound: Bound,
    spec: WidthSpec,
    patch: Vec<f32>,
}

impl Widths {
    /// Opens the second model of `bundle` as its first is opened.
    pub fn open(
        runtime: &Runtime,
        bundle: &LocateBundle,
        spec: &WidthSpec,
        settings: &Settings,
    ) -> Result<Self, InferError> {
        let wrong = |message| InferError::Model { dir: bundle.dir.clone(), message };
        let bytes = bundle.width_bytes(spec)?;
        let Able { model, .. } = first_able(runtime, &bundle.dir, &spec.model, &bytes, settings)?;
        let side = spec.side as usize;
        let (input, output) = ([1, 3, side, side], [1, 1]);
        fits("input", &model.inputs, &spec.input, &input).map_err(wrong)?;
        fits("output", &model.outputs, &spec.output, &output).map_err(wrong)?;
        let bound = Bound::new(model, (&spec.input, &input), (&spec.output, &output)).map_err(wrong)?;
        Ok(Self { bound, spec: spec.clone(), patch: Vec::new() })
    }

    /// Natural logarithm of the apical width in um of the loop that points `toward` and has its tip at `at`, in samples of
    /// the field (the middle of the first is 0.5).
    pub fn log_width(&mut self, field: &Field, at: [f32; 2], toward: [f32; 2]) -> Result<f32, InferError> {
        cut(field, at, toward, &self.spec, &mut self.patch);
        let answer = self.bound.run(&self.patch).map_err(|message| InferError::Frame { message })?;
        match answer {
            [log_width] if log_width.is_finite() => Ok(*log_width),
            other => Err(InferError::Frame { message: format!("expected a finite width, found {other:?}") }),
        }
    }
}

/// Fills `patch` with the field around a tip, the loop pointing up; between samples linearly, beyond the picture its border.
fn cut(field: &Field, [x, y]: [f32; 2], [tx, ty]: [f32; 2], spec: &WidthSpec, patch: &mut Vec<f32>) {
    let (side, plane) = (spec.side as usize, field.width * field.height);
    patch.resize(3 * side * side, 0.0);
    let last = field.resampled.map(|length| length.saturating_sub(1) as f32);
    for row in 0..side {
        let back = row as f32 - spec.ahead as f32;
        for column in 0..side {
            let across = column as f32 - (side / 2) as f32;
            let sx = (x - 0.5 - tx * back - ty * across).clamp(0.0, last[0]);
            let sy = (y - 0.5 - ty * back + tx * across).clamp(0.0, last[1]);
            let (left, top) = (sx as usize, sy as usize);
            let (right, below) = ((left + 1).min(last[0] as usize), (top + 1).min(last[1] as usize));
            let (fx, fy) = (sx - left as f32, sy - top as f32);
            for channel in 0..3 {
                let at = |x: usize, y: usize| field.data[channel * plane + y * field.width + x];
                let upper = at(left, top) * (1.0 - fx) + at(right, top) * fx;
                let lower = at(left, below) * (1.0 - fx) + at(right, below) * fx;
                patch[(channel * side + row) * side + column] = upper * (1.0 - fy) + lower * fy;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> WidthSpec {
        let name = |name: &str| name.to_owned();
        WidthSpec { model: name("m"), input: name("i"), output: name("o"), side: 8, ahead: 2 }
    }

    /// Each sample tells its place: red the column, green the row.
    fn field(width: usize, height: usize) -> Field {
        let plane = |of: fn(usize, usize) -> f32| (0..width * height).map(move |i| of(i % width, i / width));
        let data = plane(|x, _| x as f32).chain(plane(|_, y| y as f32)).chain(plane(|_, _| 0.5)).collect();
        let sides = [width as u32, height as u32];
        Field { data, width, height, picture: sides, resampled: sides, um_per_px: Some(4.0) }
    }

    fn places(at: [f32; 2], toward: [f32; 2]) -> impl Fn(usize, usize) -> [f32; 2] {
        let mut patch = Vec::new();
        cut(&field(40, 30), at, toward, &spec(), &mut patch);
        move |row, column| [patch[row * 8 + column], patch[64 + row * 8 + column]]
    }

    fn near(found: [f32; 2], x: f32, y: f32) -> bool {
        (found[0] - x).abs() < 1e-4 && (found[1] - y).abs() < 1e-4
    }

    #[test]
    fn the_tip_stands_where_the_network_expects_it_whichever_way_the_loop_points() {
        for toward in [[0.0, -1.0], [1.0, 0.0], [0.6, 0.8]] {
            let place = places([20.5, 15.5], toward);
            assert!(near(place(2, 4), 20.0, 15.0), "the tip: {:?}", place(2, 4));
            let (dx, dy) = (toward[0], toward[1]);
            assert!(near(place(0, 4), 20.0 + 2.0 * dx, 15.0 + 2.0 * dy), "ahead of it: {:?}", place(0, 4));
            assert!(near(place(7, 4), 20.0 - 5.0 * dx, 15.0 - 5.0 * dy), "its limbs: {:?}", place(7, 4));
        }
        assert!(near(places([20.5, 15.5], [0.0, -1.0])(2, 5), 21.0, 15.0), "not mirrored: right is right");
        assert!(near(places([20.75, 15.5], [0.0, -1.0])(2, 4), 20.25, 15.0), "between samples");
    }

    #[test]
    fn beyond_the_picture_its_border_goes_on() {
        let place = places([0.5, 0.5], [0.0, -1.0]);
        assert!(near(place(0, 0), 0.0, 0.0) && near(place(7, 7), 3.0, 5.0));
        let place = places([39.5, 29.5], [0.0, -1.0]);
        assert!(near(place(7, 7), 39.0, 29.0));
    }
}
