//! Maps drawn by arithmetic, without a network: what the measuring makes of them is then known exactly.

use super::{Settings, measure};
use crate::fast_track::{Category, Rule, Verdict};
use crate::infer::{Maps, Plane};
use crate::measured::{LoopClass, Measured, NotMeasured};

const SIDE: usize = 160;
const UM_PER_CELL: f64 = 8.0;
const UM_PER_PX: f64 = 2.0;

/// A nailfold of 1.28 mm squared: the nail beyond a line that leans by `turned`, tips along it.
struct Drawn {
    /// Radians clockwise; without turning the nail is up.
    turned: f32,
    /// How far the row is bent towards the nail at its ends, in cells.
    bend: f32,
    /// Along the row from its middle and ahead of it in cells, width in um, logit of an abnormal shape.
    tips: Vec<(f32, f32, f32, f32)>,
    /// Scores of all the tips, where they are not 0.88.
    scores: Vec<f32>,
    nail: bool,
}

fn row_of(count: i32, width: f32) -> Vec<(f32, f32, f32, f32)> {
    (0..count).map(|i| ((i as f32 - (count - 1) as f32 / 2.0) * 140.0 / count as f32, 0.0, width, -5.0)).collect()
}

impl Drawn {
    fn new(tips: Vec<(f32, f32, f32, f32)>) -> Self {
        Self { turned: 0.0, bend: 0.0, tips, scores: vec![], nail: true }
    }

    fn height(&self, u: f32) -> f32 {
        self.bend * (u / 80.0) * (u / 80.0)
    }

    fn maps(&self) -> Maps {
        let cells = SIDE * SIDE;
        let mut data = vec![-8.0f32; cells * Plane::ALL.len()];
        let (sin, cos) = self.turned.sin_cos();
        let middle = SIDE as f32 / 2.0;
        for y in 0..SIDE {
            for x in 0..SIDE {
                let (dx, dy) = (x as f32 + 0.5 - middle, y as f32 + 0.5 - middle);
                let (u, w) = (dx * cos + dy * sin, dx * sin - dy * cos);
                let at = y * SIDE + x;
                let beyond = if self.nail { w - self.height(u) } else { -9.0 };
                data[Plane::Nail as usize * cells + at] = beyond.clamp(-6.0, 6.0);
                data[Plane::LogWidth as usize * cells + at] = 2.5;
                data[Plane::TowardX as usize * cells + at] = sin;
                data[Plane::TowardY as usize * cells + at] = -cos;
                for (i, (along, ahead, width, abnormal)) in self.tips.iter().enumerate() {
                    let peak = self.scores.get(i).map_or(2.0, |score| (score / (1.0 - score)).ln());
                    let far = (u - along).hypot(w - self.height(*along) - ahead);
                    if far < 4.0 {
                        let apex = &mut data[Plane::Apex as usize * cells + at];
                        *apex = apex.max(peak - far * far * 0.6);
                        data[Plane::LogWidth as usize * cells + at] = width.ln();
                        data[Plane::Abnormal as usize * cells + at] = *abnormal;
                    }
                }
            }
        }
        let px_per_cell = [UM_PER_CELL / UM_PER_PX; 2];
        Maps { width: SIDE, height: SIDE, um_per_cell: UM_PER_CELL, px_per_cell, data }
    }

    fn measured(&self) -> Measured {
        measure(&self.maps(), Some(UM_PER_PX), &Settings::default())
    }
}

#[test]
fn a_row_is_found_whichever_way_it_is_turned_or_bent() {
    for turned in [0.0, 0.4, 1.2, 1.57, 2.5, 3.1, -0.9, -2.2] {
        for bend in [0.0, 12.0, -12.0] {
            let measured = Drawn { turned, bend, ..Drawn::new(row_of(10, 12.0)) }.measured();
            assert_eq!(measured.counted, Some(10), "turned {turned}, bent {bend}: {:?}", measured.not_measured);
            let density = measured.density_per_mm.unwrap();
            // 1.28 mm straight across; up to 1.8 on the diagonal, and a little more along a bend.
            assert!((5.0..8.2).contains(&density.value), "turned {turned}, bent {bend}: {density:?}");
        }
    }
}

#[test]
fn tips_are_told_in_pixels_of_the_picture() {
    let measured = Drawn::new(vec![(-30.0, 0.0, 12.0, -5.0), (30.0, 0.0, 12.0, -5.0)]).measured();
    let mut at: Vec<[f32; 2]> = measured.loops.iter().map(|l| l.apex).collect();
    at.sort_by(|a, b| a[0].total_cmp(&b[0]));
    for (found, expected) in at.iter().zip([[200.0, 320.0], [440.0, 320.0]]) {
        let off = (found[0] - expected[0]).hypot(found[1] - expected[1]);
        assert!(off < 1.0, "{found:?}, expected {expected:?}");
    }
    assert!(measured.loops.iter().all(|l| l.toward[1] < -0.99), "the nail is up");
}

#[test]
fn proximal_tips_and_those_on_the_nail_are_not_counted() {
    let mut tips = row_of(9, 12.0);
    // The band reaches 50 cells behind the row, which is found to a step or two of 20 um, and 27 before it.
    tips.extend([(0.0, -55.0, 12.0, -5.0), (30.0, -70.0, 12.0, -5.0), (10.0, 50.0, 12.0, -5.0)]);
    let measured = Drawn::new(tips.clone()).measured();
    assert_eq!(measured.counted, Some(9));
    assert_eq!(measured.loops.len(), 12, "they are shown all the same");
    tips[11].1 = 36.0;
    assert_eq!(Drawn::new(tips.clone()).measured().counted, Some(9), "before the row less is allowed than behind it");
    tips[9].1 = -40.0;
    assert_eq!(Drawn::new(tips).measured().counted, Some(10), "of a second tier, which the network calls distal");
}

#[test]
fn tips_of_which_the_network_is_unsure_widen_the_interval_and_no_other_figure() {
    // In the middle of a cell, so that a peak has the very score.
    let tips: Vec<_> = row_of(10, 12.0).into_iter().map(|(u, _, width, shape)| (u + 0.5, 0.5, width, shape)).collect();
    let sure = Drawn::new(tips.clone()).measured();
    let row_mm = sure.row_mm.unwrap();
    let loops = |m: &Measured| m.density_per_mm.map(|d| [d.low, d.value, d.high].map(|v| (v * row_mm).round()));
    assert_eq!(loops(&sure), Some([9.0, 10.0, 11.0]), "a loop either way");
    let scores = vec![0.8, 0.25, 0.8, 0.35, 0.22, 0.8, 0.35, 0.26, 0.8, 0.15];
    let unsure = Drawn { scores: scores.clone(), ..Drawn::new(tips.clone()) }.measured();
    assert_eq!((unsure.counted, loops(&unsure)), (Some(6), Some([4.0, 6.0, 9.0])), "two may be none, three may be");
    assert_eq!(unsure.loops.len(), 9, "what may be a loop is shown, what is fainter is not");
    let behind = tips.iter().map(|(u, _, width, shape)| (*u, -54.5, *width, *shape));
    let two_rows = tips.iter().copied().chain(behind).collect();
    let both = Drawn { scores: [vec![0.8; 10], scores].concat(), ..Drawn::new(two_rows) };
    assert_eq!(loops(&both.measured()), loops(&sure), "a row behind puts the first one in no doubt");
}

#[test]
fn without_a_nail_or_without_tips_the_row_is_unknown_never_zero() {
    for drawn in [Drawn { nail: false, ..Drawn::new(row_of(10, 12.0)) }, Drawn::new(vec![])] {
        let measured = drawn.measured();
        assert_eq!(measured.not_measured, Some(NotMeasured::NoRow));
        assert_eq!((measured.counted, measured.density_per_mm, measured.giants), (None, None, None));
        assert_eq!(measured.fast_track, Verdict::Undetermined);
        assert!(measured.loops.iter().all(|l| !l.counted));
    }
}

#[test]
fn a_giant_makes_category_two_and_a_branched_one_does_not() {
    let mut tips = row_of(9, 12.0);
    tips[4].2 = 80.0;
    let measured = Drawn::new(tips.clone()).measured();
    assert_eq!((measured.giants, measured.borderline), (Some(1), false));
    assert_eq!(measured.fast_track, Verdict::Decided { category: Category::Two, rule: Rule::Giant });
    tips[4].3 = 5.0;
    let measured = Drawn::new(tips.clone()).measured();
    assert_eq!((measured.giants, measured.abnormal), (Some(0), Some(1)));
    assert!(measured.loops.iter().any(|l| l.class == LoopClass::Abnormal));
    // A wide loop whose shape cannot be told might be a giant.
    tips[4].3 = -0.3;
    let measured = Drawn::new(tips).measured();
    assert_eq!((measured.giants, measured.fast_track), (None, Verdict::Undetermined));
}

#[test]
fn a_width_near_fifty_is_borderline() {
    for (width, borderline) in [(40.0, false), (45.0, true), (55.0, true), (70.0, false)] {
        let mut tips = row_of(7, 12.0);
        tips[3].2 = width;
        // Seven on 1.28 mm are 5.5 a mm: far from 3 and 7.
        assert_eq!(Drawn::new(tips).measured().borderline, borderline, "{width} um");
    }
}

#[test]
fn a_giant_of_which_the_network_is_unsure_settles_nothing() {
    let mut tips: Vec<_> =
        row_of(7, 12.0).into_iter().map(|(u, _, width, shape)| (u + 0.5, 0.5, width, shape)).collect();
    tips[3].2 = 80.0;
    for (score, borderline) in [(0.8, false), (0.35, true)] {
        let scores = (0..7).map(|i| if i == 3 { score } else { 0.8 }).collect();
        let measured = Drawn { scores, ..Drawn::new(tips.clone()) }.measured();
        assert_eq!((measured.giants, measured.borderline), (Some(1), borderline), "a tip of {score}");
    }
}

#[test]
fn a_stretch_without_loops_is_told_from_half_a_millimetre_on() {
    let tips: Vec<_> = [-70.0, -55.0, -40.0, 40.0, 55.0, 70.0].map(|u| (u, 0.0, 12.0, -5.0)).into();
    let measured = Drawn::new(tips).measured();
    assert_eq!(measured.gaps.len(), 1);
    let gap = measured.gaps[0];
    assert!((560.0..700.0).contains(&gap.length_um), "80 cells are 640 um: {gap:?}");
}

#[test]
fn a_limit_that_makes_no_sense_is_named() {
    let usual = Settings::default();
    assert_eq!(usual.check(), Ok(()));
    for (wrong, words) in [
        (Settings { least_score: 1.0, ..usual }, "least_score is 1: it must be above 0 and below 1"),
        (Settings { faint_score: 0.31, ..usual }, "faint_score is 0.31: it must be at most least_score, 0.3"),
        (Settings { sure_score: 0.2, ..usual }, "sure_score is 0.2: it must be at least least_score, 0.3"),
        (Settings { band_um: 501.0, ..usual }, "band_um is 501: it must be 20 to 500"),
        (Settings { ahead_um: 0.0, ..usual }, "ahead_um is 0: it must be 20 to 500"),
        (Settings { widths_apart: 0.9, ..usual }, "widths_apart is 0.9: it is a factor, and must be at least 1"),
        (Settings { widths_apart: f32::NAN, ..usual }, "widths_apart is NaN"),
        (Settings { widths_apart: f32::INFINITY, ..usual }, "widths_apart is inf"),
    ] {
        let told = wrong.check().expect_err(words);
        assert!(told.contains(words), "{told}");
    }
}

#[test]
fn nothing_panics_on_maps_of_any_size_or_content() {
    for (width, height) in [(1, 1), (1, 40), (40, 1), (2, 3), (37, 53)] {
        for value in [-30.0f32, 0.0, 30.0] {
            let data = vec![value; width * height * Plane::ALL.len()];
            let maps = Maps { width, height, um_per_cell: 8.0, px_per_cell: [3.0, 3.0], data };
            let measured = measure(&maps, Some(2.0), &Settings::default());
            assert_eq!(measured.density_per_mm, None, "{width}x{height} of {value}");
        }
    }
    let mut state = 1u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 * 8.0 - 8.0
    };
    let data = (0..60 * 50 * Plane::ALL.len()).map(|_| noise()).collect();
    let maps = Maps { width: 60, height: 50, um_per_cell: 8.0, px_per_cell: [3.0, 3.0], data };
    let measured = measure(&maps, Some(2.0), &Settings::default());
    assert!(measured.loops.iter().all(|l| l.apex.iter().all(|v| v.is_finite())));
}
