//! What follows from the loops: counts, density with its interval, stretches without a loop, and what the Fast Track
//! rules say. What is not known stays unknown.

use super::Settings;
use super::row::Row;
use crate::fast_track::{self, DENSITY_LOSS, DENSITY_NORMAL, Measures};
use crate::infer::Maps;
use crate::measured::{GIANT_UM, Gap, Interval, Loop, LoopClass, Measured, NotMeasured, nothing};

/// Half a linear mm is the least that stands for one.
const LEAST_ROW_MM: f32 = 0.5;
/// A stretch of the row without a loop that is reported, in um.
const GAP_UM: f32 = 500.0;
/// A row is a row from so many loops on.
const LEAST_LOOPS: usize = 2;

pub fn measured(loops: Vec<Loop>, row: Option<&Row>, maps: &Maps, settings: &Settings) -> Measured {
    let mut measured = nothing(NotMeasured::NoRow);
    let row = row.filter(|_| loops.iter().filter(|l| l.counted).count() >= LEAST_LOOPS);
    let Some(row) = row else {
        measured.loops = loops.into_iter().map(|l| Loop { counted: false, ..l }).collect();
        return measured;
    };
    let places = row.places();
    measured.row_mm = Some(length(&places) / 1000.0);
    measured.row = places
        .iter()
        .map(|place| {
            let [x, y] = row.axes.to_cells(*place);
            maps.to_picture(x, y)
        })
        .collect();
    measured.loops = loops;
    follow(&mut measured, (maps.um_per_cell / maps.px_per_cell[0]) as f32, settings);
    measured
}

/// Works out anew everything that follows from the loops and the row that they stand in.
pub(super) fn follow(measured: &mut Measured, um_per_px: f32, settings: &Settings) {
    measured.gaps = gaps(&measured.loops, &measured.row, um_per_px);
    count(measured, settings);
    let row_mm = measured.row_mm.unwrap_or(0.0);
    if row_mm < LEAST_ROW_MM {
        measured.not_measured = Some(NotMeasured::ShortRow);
        return;
    }
    measured.not_measured = None;
    let per_mm = |loops: u32| loops as f32 / row_mm;
    let [low, high] = settings.range(measured.loops.iter()).map(per_mm);
    let density = Interval { value: per_mm(measured.counted.unwrap_or(0)), low, high };
    measured.density_per_mm = Some(density);
    judge(measured, density, settings);
}

/// What is left where the scale is not known: which loops there are, and how many stand in the row. Shapes are told by
/// their size too.
pub fn only_counted(measured: Measured) -> Measured {
    let unsized_loop = |l: Loop| Loop { apical_um: None, class: LoopClass::NotEvaluable, ..l };
    Measured {
        row: measured.row,
        loops: measured.loops.into_iter().map(unsized_loop).collect(),
        counted: measured.counted,
        haemorrhages: measured.haemorrhages,
        ..nothing(NotMeasured::NoScale)
    }
}

fn length(places: &[[f32; 2]]) -> f32 {
    places.windows(2).map(|p| (p[1][0] - p[0][0]).hypot(p[1][1] - p[0][1])).sum()
}

fn count(measured: &mut Measured, settings: &Settings) {
    let counted = || measured.loops.iter().filter(|l| l.counted);
    let of = |class: LoopClass| counted().filter(|l| l.class == class).count() as u32;
    let unclear =
        |least: f32| counted().any(|l| l.class == LoopClass::NotEvaluable && l.apical_um.is_none_or(|um| um >= least));
    let mut widths: Vec<f32> = counted().filter_map(|l| l.apical_um).collect();
    widths.sort_by(f32::total_cmp);
    let known = |found: u32, unclear: bool| (found > 0 || !unclear).then_some(found);
    let giants = known(of(LoopClass::Giant), unclear(GIANT_UM * (1.0 - settings.width_error)));
    let abnormal = known(of(LoopClass::Abnormal), unclear(0.0));
    let (ectatic, all) = (of(LoopClass::Ectatic), counted().count() as u32);
    (measured.giants, measured.abnormal) = (giants, abnormal);
    (measured.ectatic, measured.counted) = (Some(ectatic), Some(all));
    measured.median_apical_um = widths.get(widths.len() / 2).copied();
    measured.widest_apical_um = widths.last().copied();
}

/// Applies the rules, and says whether loops in doubt, or a width a little other, could change what they rest on.
fn judge(measured: &mut Measured, density: Interval, settings: &Settings) {
    measured.fast_track = fast_track::judge(Measures {
        density_per_mm: Some(f64::from(density.value)),
        giants: measured.giants,
        abnormal_shapes: measured.abnormal.map(|n| n > 0),
    });
    let near = |um: f32| {
        let (low, high) = (GIANT_UM * (1.0 - settings.width_error), GIANT_UM * (1.0 + settings.width_error));
        (low..=high).contains(&um)
    };
    let counted = || measured.loops.iter().filter(|l| l.counted);
    let giant = |l: &Loop| l.class == LoopClass::Giant;
    let clear = |l: &Loop| settings.is_sure(l) && l.apical_um.is_some_and(|um| !near(um));
    let sure_giant = counted().any(|l| giant(l) && clear(l));
    let by_width = |l: &Loop| l.class != LoopClass::Abnormal && l.apical_um.is_some_and(near);
    let perhaps_giant = counted().any(|l| by_width(l) || (giant(l) && !clear(l)));
    let edges = density.crosses(DENSITY_LOSS as f32) || density.crosses(DENSITY_NORMAL as f32);
    measured.borderline = !sure_giant && (edges || perhaps_giant);
}

/// Stretches between neighbouring counted loops, and from the ends of the row, that are longer than half a mm.
fn gaps(loops: &[Loop], row: &[[f32; 2]], um_per_px: f32) -> Vec<Gap> {
    if row.is_empty() {
        return Vec::new();
    }
    let mut stops: Vec<f32> = loops.iter().filter(|l| l.counted).map(|l| along(row, l.apex)).collect();
    stops.extend([0.0, length(row)]);
    stops.sort_by(f32::total_cmp);
    stops
        .windows(2)
        .map(|pair| (pair[0], pair[1], (pair[1] - pair[0]) * um_per_px))
        .filter(|(_, _, length_um)| *length_um > GAP_UM)
        .map(|(from, to, length_um)| Gap { from: at(row, from), to: at(row, to), length_um })
        .collect()
}

/// How far along the row the place nearest to a point stands.
fn along(row: &[[f32; 2]], [x, y]: [f32; 2]) -> f32 {
    let (mut best, mut passed) = ((f32::MAX, 0.0), 0.0);
    for pair in row.windows(2) {
        let (dx, dy) = (pair[1][0] - pair[0][0], pair[1][1] - pair[0][1]);
        let step = dx.hypot(dy);
        let part =
            (((x - pair[0][0]) * dx + (y - pair[0][1]) * dy) / (step * step).max(f32::MIN_POSITIVE)).clamp(0.0, 1.0);
        let off = (pair[0][0] + part * dx - x).hypot(pair[0][1] + part * dy - y);
        if off < best.0 {
            best = (off, passed + part * step);
        }
        passed += step;
    }
    best.1
}

/// The place so far along the row.
fn at(row: &[[f32; 2]], mut left: f32) -> [f32; 2] {
    for pair in row.windows(2) {
        let (dx, dy) = (pair[1][0] - pair[0][0], pair[1][1] - pair[0][1]);
        let step = dx.hypot(dy);
        if left <= step {
            let part = left / step.max(f32::MIN_POSITIVE);
            return [pair[0][0] + part * dx, pair[0][1] + part * dy];
        }
        left -= step;
    }
    row.last().copied().unwrap_or_default()
}
