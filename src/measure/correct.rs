//! What a reader corrects: loops added, taken away or called another class, and everything that follows worked out anew.
//! What was measured stays as it was; this is another measure beside it.

use super::Settings;
use super::tally;
use crate::measured::{Correction, ECTATIC_UM, GIANT_UM, Loop, LoopClass, Measured, NotMeasured};

/// A place this far from a tip still tells which one is meant, in um: half of what lies between neighbours in a full row.
const NEAR_UM: f64 = 50.0;
/// Above this a width is a slip of the hand: ours; the widest giants that were drawn have 140 um.
const WIDEST_UM: f32 = 400.0;

#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum Uncorrectable {
    #[error("nothing can be corrected on a frame without a scale and a row: {}", .0.words())]
    NotMeasured(NotMeasured),
    #[error("there is no counted loop within 50 um of {:.0},{:.0}: give the pixel of its tip, as the overlay shows it", .0[0], .0[1])]
    NoLoop([f32; 2]),
    #[error("a loop is counted already at {:.0},{:.0}: reclassify it, or remove it first", .0[0], .0[1])]
    AlreadyCounted([f32; 2]),
    #[error("{:.0},{:.0} is no place in a picture", .0[0], .0[1])]
    NoPlace([f32; 2]),
    #[error("an apical width of {0} um: it must be above 0 and at most 400")]
    Width(f32),
    #[error(
        "a width of {um} um is none of a {class:?} loop: below 20 um is normal, 20 to 50 ectatic, above 50 a giant"
    )]
    ClassAndWidth { class: LoopClass, um: f32 },
}

/// The measure as the reader has it, after these corrections in their order.
pub fn corrected(
    measured: &Measured,
    corrections: &[Correction],
    settings: &Settings,
) -> Result<Measured, Uncorrectable> {
    let (Some(um_per_px), Some(_)) = (measured.um_per_px, measured.row_mm) else {
        return Err(Uncorrectable::NotMeasured(measured.not_measured.unwrap_or(NotMeasured::NoRow)));
    };
    let mut measured = measured.clone();
    for correction in corrections {
        apply(&mut measured.loops, correction, um_per_px)?;
    }
    tally::follow(&mut measured, um_per_px as f32, settings);
    Ok(measured)
}

fn apply(loops: &mut Vec<Loop>, correction: &Correction, um_per_px: f64) -> Result<(), Uncorrectable> {
    match *correction {
        Correction::Added { apex, class, apical_um } => {
            check(apex, class, apical_um)?;
            if nearest(loops, apex, um_per_px, true).is_some() {
                return Err(Uncorrectable::AlreadyCounted(apex));
            }
            let loop_there = match nearest(loops, apex, um_per_px, false) {
                // It was seen and not counted: the same loop, and not another beside it.
                Some(i) => Loop { apex, apical_um, class, counted: true, ..loops.swap_remove(i) },
                // The network has no certainty of what it did not see.
                None => {
                    let (toward, centreline) = (mean_direction(loops), Vec::new());
                    Loop { apex, toward, apical_um, class, counted: true, score: 0.0, centreline }
                }
            };
            loops.push(loop_there);
        }
        Correction::Removed { apex } => {
            let i = nearest(loops, apex, um_per_px, true).ok_or(Uncorrectable::NoLoop(apex))?;
            loops[i].counted = false;
        }
        Correction::Reclassified { apex, class, apical_um } => {
            check(apex, class, apical_um)?;
            let i = nearest(loops, apex, um_per_px, true).ok_or(Uncorrectable::NoLoop(apex))?;
            (loops[i].class, loops[i].apical_um) = (class, apical_um);
        }
    }
    Ok(())
}

fn check(apex: [f32; 2], class: LoopClass, apical_um: Option<f32>) -> Result<(), Uncorrectable> {
    if !apex.iter().all(|v| v.is_finite() && *v >= 0.0) {
        return Err(Uncorrectable::NoPlace(apex));
    }
    let Some(um) = apical_um else { return Ok(()) };
    if !(um > 0.0 && um <= WIDEST_UM) {
        return Err(Uncorrectable::Width(um));
    }
    let fits = match class {
        LoopClass::Normal => um < ECTATIC_UM,
        LoopClass::Ectatic => (ECTATIC_UM..=GIANT_UM).contains(&um),
        LoopClass::Giant => um > GIANT_UM,
        LoopClass::Abnormal | LoopClass::NotEvaluable => true,
    };
    if fits { Ok(()) } else { Err(Uncorrectable::ClassAndWidth { class, um }) }
}

/// The nearest loop that is counted, or is not.
fn nearest(loops: &[Loop], [x, y]: [f32; 2], um_per_px: f64, counted: bool) -> Option<usize> {
    let far_um = |l: &Loop| f64::from((l.apex[0] - x).hypot(l.apex[1] - y)) * um_per_px;
    let near = loops.iter().enumerate().filter(|(_, l)| l.counted == counted && far_um(l) <= NEAR_UM);
    near.min_by(|(_, a), (_, b)| far_um(a).total_cmp(&far_um(b))).map(|(i, _)| i)
}

/// Which way the loops of the picture point; up where there are none.
fn mean_direction(loops: &[Loop]) -> [f32; 2] {
    let sum = loops.iter().fold([0.0f32; 2], |sum, l| [sum[0] + l.toward[0], sum[1] + l.toward[1]]);
    let length = sum[0].hypot(sum[1]);
    if length > 1e-3 { [sum[0] / length, sum[1] / length] } else { [0.0, -1.0] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fast_track::{Category, Rule, Verdict};
    use crate::measured::nothing;

    /// Loops 100 um apart on a level row of a millimetre and a half, at 2 um a pixel.
    fn row_of(widths: &[f32]) -> Measured {
        let one = |(i, um): (usize, &f32)| Loop {
            apex: [50.0 + 50.0 * i as f32, 200.0],
            toward: [0.0, -1.0],
            apical_um: Some(*um),
            class: if *um > GIANT_UM { LoopClass::Giant } else { LoopClass::Normal },
            counted: true,
            score: 0.9,
            centreline: vec![],
        };
        let mut measured = Measured {
            um_per_px: Some(2.0),
            row: vec![[0.0, 200.0], [750.0, 200.0]],
            row_mm: Some(1.5),
            loops: widths.iter().enumerate().map(one).collect(),
            ..nothing(NotMeasured::NoRow)
        };
        tally::follow(&mut measured, 2.0, &Settings::default());
        measured
    }

    fn correct(measured: &Measured, corrections: &[Correction]) -> Result<Measured, Uncorrectable> {
        corrected(measured, corrections, &Settings::default())
    }

    #[test]
    fn nothing_corrected_is_the_same_measure() {
        let measured = row_of(&[12.0; 14]);
        assert_eq!(correct(&measured, &[]).unwrap(), measured);
    }

    #[test]
    fn a_loop_added_or_removed_changes_count_density_and_gaps() {
        let measured = row_of(&[12.0; 14]);
        let added = Correction::Added { apex: [740.0, 190.0], class: LoopClass::Normal, apical_um: Some(14.0) };
        let more = correct(&measured, &[added]).unwrap();
        assert_eq!((more.counted, more.density_per_mm.map(|d| d.value)), (Some(15), Some(10.0)));
        let removed: Vec<Correction> =
            (0..6).map(|i| Correction::Removed { apex: [252.0 + 50.0 * i as f32, 195.0] }).collect();
        let fewer = correct(&measured, &removed).unwrap();
        assert_eq!((fewer.counted, fewer.gaps.len()), (Some(8), 1));
        assert!((fewer.gaps[0].length_um - 700.0).abs() < 1.0, "{:?}", fewer.gaps);
        assert_eq!(fewer.loops.len(), 14, "what was found is still shown");
    }

    #[test]
    fn a_giant_that_the_reader_takes_back_fires_no_rule() {
        let measured = row_of(&[12.0, 12.0, 60.0, 12.0, 12.0, 12.0, 12.0, 12.0, 12.0, 12.0, 12.0, 12.0, 12.0, 12.0]);
        assert_eq!(measured.fast_track, Verdict::Decided { category: Category::Two, rule: Rule::Giant });
        let apex = [150.0, 205.0];
        let other = Correction::Reclassified { apex, class: LoopClass::Abnormal, apical_um: None };
        let after = correct(&measured, &[other]).unwrap();
        assert_eq!((after.giants, after.abnormal), (Some(0), Some(1)));
        assert_eq!(after.fast_track, Verdict::Decided { category: Category::One, rule: Rule::Normal });
        let back = Correction::Reclassified { apex, class: LoopClass::Giant, apical_um: Some(62.0) };
        assert_eq!(correct(&after, &[back]).unwrap().giants, Some(1));
    }

    #[test]
    fn what_was_seen_and_not_counted_is_added_as_itself() {
        let mut measured = row_of(&[12.0; 10]);
        measured.loops[4].counted = false;
        let added = Correction::Added { apex: [251.0, 200.0], class: LoopClass::Normal, apical_um: None };
        let after = correct(&measured, &[added]).unwrap();
        assert_eq!((after.loops.len(), after.counted), (10, Some(10)));
    }

    #[test]
    fn what_the_reader_added_is_in_no_doubt() {
        let mut measured = row_of(&[12.0; 10]);
        (measured.loops[4].counted, measured.loops[4].score) = (false, 0.22);
        measured.loops[7].score = 0.35;
        tally::follow(&mut measured, 2.0, &Settings::default());
        let range = |m: &Measured| m.density_per_mm.map(|d| [d.low, d.high].map(|v| (v * 1.5).round()));
        assert_eq!(range(&measured), Some([8.0, 10.0]));
        let add = |apex| Correction::Added { apex, class: LoopClass::Normal, apical_um: None };
        let after = correct(&measured, &[add([251.0, 200.0]), add([740.0, 200.0])]).unwrap();
        assert_eq!((after.counted, range(&after)), (Some(11), Some([10.0, 12.0])));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let measured = row_of(&[12.0; 10]);
        let at = |apex| Correction::Removed { apex };
        let add = |apex, class, apical_um| Correction::Added { apex, class, apical_um };
        for (correction, refused) in [
            (at([75.0, 300.0]), Uncorrectable::NoLoop([75.0, 300.0])),
            (add([50.0, 200.0], LoopClass::Normal, None), Uncorrectable::AlreadyCounted([50.0, 200.0])),
            (add([700.0, 200.0], LoopClass::Normal, Some(0.0)), Uncorrectable::Width(0.0)),
            (
                add([700.0, 200.0], LoopClass::Giant, Some(30.0)),
                Uncorrectable::ClassAndWidth { class: LoopClass::Giant, um: 30.0 },
            ),
            (add([-1.0, 200.0], LoopClass::Normal, None), Uncorrectable::NoPlace([-1.0, 200.0])),
        ] {
            assert_eq!(correct(&measured, &[correction]), Err(refused), "{correction:?}");
        }
        let unscaled = nothing(NotMeasured::NoScale);
        assert_eq!(correct(&unscaled, &[]), Err(Uncorrectable::NotMeasured(NotMeasured::NoScale)));
        let nan = add([f32::NAN, 0.0], LoopClass::Normal, None);
        assert!(matches!(correct(&measured, &[nan]), Err(Uncorrectable::NoPlace(_))));
    }
}
