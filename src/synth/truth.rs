//! What is true of a drawn picture: its loops, the measures of the distal row and the category they make.

use serde::{Deserialize, Serialize};

use super::loops::{Class, GIANT_UM};
use super::render::View;
use super::scene::Scene;
use crate::fast_track::{self, Category, Measures, Rule, Verdict};
use crate::frame::Size;

/// A loop whose apex lies in the picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrueLoop {
    /// Pixels from the upper left corner, at the middle of the apical vessel.
    pub x: f32,
    pub y: f32,
    /// Unit vector in the picture, from the limbs to the tip.
    pub toward: [f32; 2],
    /// Width of the vessel at the apex.
    pub apical_um: f32,
    pub class: Class,
    /// 0 is the distal row.
    pub row: u32,
    /// Optical density in green, before the lens.
    pub density: f32,
    /// How far its edge is washed out by the skin above it: Gaussian sigma.
    pub softness_um: f32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    pub um_per_px: f32,
    pub size: Size,
    pub loops: Vec<TrueLoop>,
    /// Length of distal row within the picture.
    pub row_mm: f32,
    /// Absent, like what follows, when less than [`LEAST_ROW_MM`] of the distal row is in the picture.
    pub density_per_mm: Option<f32>,
    pub giants: Option<u32>,
    pub abnormal_shapes: Option<u32>,
    pub haemorrhages: Option<u32>,
    pub category: Option<Category>,
    pub rule: Option<Rule>,
}

/// A shorter piece of row cannot stand for a linear mm; half of one is the least that readers count on.
pub const LEAST_ROW_MM: f32 = 0.5;

impl Truth {
    pub fn of(scene: &Scene, view: &View) -> Self {
        let loops: Vec<TrueLoop> = scene
            .loops
            .iter()
            .filter(|l| view.holds(l.apex, 0.0))
            .map(|l| {
                let [x, y] = view.to_picture(l.apex);
                let toward = view.direction([-l.lean.sin(), l.lean.cos()]);
                let (apical_um, density, softness_um) = (l.apical_um, l.density, l.softness);
                TrueLoop { x, y, toward, apical_um, class: l.class, row: l.row, density, softness_um }
            })
            .collect();
        let row_mm = row_length(scene, view) / 1000.0;
        let mut truth = Self {
            um_per_px: view.um_per_px,
            size: view.size,
            loops,
            row_mm,
            density_per_mm: None,
            giants: None,
            abnormal_shapes: None,
            haemorrhages: None,
            category: None,
            rule: None,
        };
        if row_mm >= LEAST_ROW_MM {
            truth.measure(scene, view);
        }
        truth
    }

    fn measure(&mut self, scene: &Scene, view: &View) {
        let distal = || self.loops.iter().filter(|l| l.row == 0);
        let density = distal().count() as f32 / self.row_mm;
        let giants = distal().filter(|l| l.class == Class::Giant && l.apical_um > GIANT_UM).count() as u32;
        let abnormal = distal().filter(|l| l.class == Class::Abnormal).count() as u32;
        let bled = scene.blots.iter().filter(|b| b.haemorrhage && view.holds(b.at, 0.0)).count() as u32;
        let measures = Measures {
            density_per_mm: Some(f64::from(density)),
            giants: Some(giants),
            abnormal_shapes: Some(abnormal > 0),
        };
        (self.density_per_mm, self.giants) = (Some(density), Some(giants));
        (self.abnormal_shapes, self.haemorrhages) = (Some(abnormal), Some(bled));
        if let Verdict::Decided { category, rule } = fast_track::judge(measures) {
            (self.category, self.rule) = (Some(category), Some(rule));
        }
    }
}

/// Arc length of the edge inside the picture, in um.
fn row_length(scene: &Scene, view: &View) -> f32 {
    const STEP: f32 = 5.0;
    let reach = (view.size.width.max(view.size.height) as f32) * view.um_per_px;
    let steps = (2.0 * reach / STEP) as i32;
    (0..steps)
        .map(|i| view.centre[0] - reach + i as f32 * STEP)
        .filter(|u| view.holds([*u, scene.edge.height(*u)], 0.0))
        .map(|u| STEP * scene.edge.slope(u).hypot(1.0))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::canvas::Canvas;
    use crate::synth::cohort::Subject;
    use crate::synth::pathology::Cohort;
    use crate::synth::render;

    /// A subject's finger seen at 2 um a pixel through a perfect lens.
    fn seen(cohort: Cohort, seed: u64) -> (Truth, Canvas) {
        let finger = Subject::draw(cohort, seed, 0).finger(crate::finger::Finger::PROTOCOL[2]);
        let view = finger.view(0, 1, 2.0, Size::new(800, 640));
        (Truth::of(&finger.scene, &view), render::draw(&finger.scene, &view))
    }

    /// Mean over a disc around a loop's apex, of a plane's logarithm.
    fn mean_log(canvas: &Canvas, plane: usize, at: (f32, f32), radii: std::ops::Range<f32>) -> Option<f32> {
        let (width, height) = (canvas.width() as i32, canvas.height() as i32);
        let reach = radii.end.ceil() as i32;
        let mut sum = (0.0, 0);
        for dy in -reach..=reach {
            for dx in -reach..=reach {
                let (x, y) = (at.0 as i32 + dx, at.1 as i32 + dy);
                if radii.contains(&(dx as f32).hypot(dy as f32)) {
                    if x < 0 || y < 0 || x >= width || y >= height {
                        return None;
                    }
                    sum = (sum.0 + canvas.planes[plane][(y * width + x) as usize].ln(), sum.1 + 1);
                }
            }
        }
        Some(sum.0 / sum.1 as f32)
    }

    #[test]
    fn a_drawn_apex_is_darker_and_redder_than_what_surrounds_it() {
        let (mut darker, mut redder, mut all) = (0, 0, 0);
        for seed in 0..6 {
            let (truth, canvas) = seen(Cohort::Healthy, seed);
            for apex in truth.loops.iter().filter(|l| l.row == 0) {
                let near = |plane| mean_log(&canvas, plane, (apex.x, apex.y), 0.0..3.0);
                let around = |plane| mean_log(&canvas, plane, (apex.x, apex.y), 14.0..22.0);
                let (Some(near_red), Some(near_green)) = (near(0), near(1)) else { continue };
                let (Some(red), Some(green)) = (around(0), around(1)) else { continue };
                all += 1;
                darker += u32::from(near_green < green - 0.02);
                redder += u32::from(near_red - near_green > red - green + 0.02);
            }
        }
        // Some stand on a neighbour's limb or under a bleeding.
        assert!(all > 30 && darker * 10 > all * 9 && redder * 10 > all * 9, "{darker} and {redder} of {all}");
    }

    #[test]
    fn giants_are_wider_than_hairpins() {
        let mut density = [(0.0, 0), (0.0, 0)];
        for seed in 0..12 {
            let (truth, canvas) = seen(Cohort::Scleroderma, seed);
            for apex in truth.loops.iter().filter(|l| l.row == 0) {
                let which = match apex.class {
                    Class::Hairpin => 0,
                    Class::Giant => 1,
                    _ => continue,
                };
                // From 8 to 22 um off the axis: outside a hairpin's vessel, inside a giant's.
                let near = mean_log(&canvas, 1, (apex.x, apex.y), 4.0..11.0);
                let far = mean_log(&canvas, 1, (apex.x, apex.y), 40.0..50.0);
                if let (Some(near), Some(far)) = (near, far) {
                    density[which] = (density[which].0 + (far - near) / apex.density, density[which].1 + 1);
                }
            }
        }
        let [hairpin, giant] = density.map(|(sum, n)| sum / n as f32);
        assert!(density.iter().all(|(_, n)| *n >= 8), "too few loops: {density:?}");
        assert!(giant > 2.0 * hairpin.max(0.1), "giants {giant}, hairpins {hairpin}");
    }

    #[test]
    fn without_the_row_nothing_is_known() {
        let finger = Subject::draw(Cohort::Mixed, 3, 0).finger(crate::finger::Finger::PROTOCOL[0]);
        let view = finger.view(0, 1, 2.0, Size::new(800, 640));
        let away = View { centre: [view.centre[0], view.centre[1] + 4000.0], ..view };
        let truth = Truth::of(&finger.scene, &away);
        assert_eq!((truth.density_per_mm, truth.giants, truth.category), (None, None, None));
        assert!(Truth::of(&finger.scene, &view).category.is_some());
    }
}
