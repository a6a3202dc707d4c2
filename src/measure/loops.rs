//! From tips to loops: which stand in the row, how wide each is, and what shape.

use super::Settings;
use super::limbs;
use super::row::Row;
use super::tips::Tip;
use crate::infer::Maps;
use crate::measured::{ECTATIC_UM, GIANT_UM, Loop, LoopClass};

/// The head of a slender hairpin, both limbs and what is between them, in um.
const LEAST_HEAD_UM: f32 = 32.0;

/// Every tip that is one, as a loop; of those too faint to be counted the ones that stand in the row.
pub fn of(maps: &Maps, tips: &[Tip], row: Option<&Row>, settings: &Settings) -> Vec<Loop> {
    let seen = tips.iter().filter(|tip| tip.score >= settings.faint_score);
    apart(maps, seen, settings).into_iter().filter_map(|tip| one(maps, tip, row, settings)).collect()
}

/// Of tips, from the highest down, those that are no second sight of a higher one.
fn apart<'a>(maps: &Maps, tips: impl Iterator<Item = &'a Tip>, settings: &Settings) -> Vec<&'a Tip> {
    let mut kept: Vec<&Tip> = Vec::new();
    for tip in tips {
        let near = |other: &&Tip| {
            let far_um = (tip.x - other.x).hypot(tip.y - other.y) * maps.um_per_cell as f32;
            far_um < settings.apart_um.max(0.3 * (tip.width_um + other.width_um))
        };
        if !kept.iter().any(near) {
            kept.push(tip);
        }
    }
    kept
}

/// Whether at least half of the loop's head lies in the picture: else it is not counted (AUTOCAPI study, EULAR 2017).
fn shown(maps: &Maps, tip: &Tip) -> bool {
    let border = tip.x.min(tip.y).min(maps.width as f32 - tip.x).min(maps.height as f32 - tip.y);
    border * maps.um_per_cell as f32 >= (tip.width_um / 2.0).max(LEAST_HEAD_UM / 2.0)
}

fn one(maps: &Maps, tip: &Tip, row: Option<&Row>, settings: &Settings) -> Option<Loop> {
    let in_row = row.is_some_and(|row| {
        let [u, w] = row.axes.to_fold(tip.x, tip.y);
        shown(maps, tip) && (-settings.band_um..=settings.ahead_um).contains(&(w - row.height(u)))
    });
    let clear = tip.score >= settings.least_score;
    (clear || in_row).then(|| Loop {
        apex: maps.to_picture(tip.x, tip.y),
        toward: tip.toward,
        apical_um: (!tip.doubtful_width).then_some(tip.width_um),
        class: class(tip, settings),
        counted: in_row && clear,
        score: tip.score,
        centreline: limbs::centreline(maps, tip),
    })
}

/// A wide loop is a giant only when its shape is normal; a branched one is abnormal however wide.
fn class(tip: &Tip, settings: &Settings) -> LoopClass {
    if tip.abnormal >= settings.abnormal_shape {
        LoopClass::Abnormal
    } else if tip.abnormal >= settings.doubtful_shape || tip.doubtful_width {
        LoopClass::NotEvaluable
    } else if tip.width_um > GIANT_UM {
        LoopClass::Giant
    } else if tip.width_um >= ECTATIC_UM {
        LoopClass::Ectatic
    } else {
        LoopClass::Normal
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infer::Plane;

    fn tip(x: f32, score: f32, width_um: f32) -> Tip {
        Tip { x, y: 50.0, score, width_um, doubtful_width: false, toward: [0.0, -1.0], abnormal: 0.0 }
    }

    fn maps() -> Maps {
        let data = vec![0.0; 100 * 100 * Plane::ALL.len()];
        Maps { width: 100, height: 100, um_per_cell: 8.0, px_per_cell: [4.0, 4.0], data }
    }

    #[test]
    fn a_second_sight_of_a_loop_is_no_second_loop() {
        let settings = Settings::default();
        let count = |tips: &[Tip]| of(&maps(), tips, None, &settings).len();
        assert_eq!(count(&[tip(20.0, 0.9, 12.0), tip(25.0, 0.5, 12.0)]), 1, "40 um apart");
        assert_eq!(count(&[tip(20.0, 0.9, 12.0), tip(27.0, 0.5, 12.0)]), 2, "56 um apart");
        assert_eq!(count(&[tip(20.0, 0.9, 100.0), tip(27.0, 0.5, 100.0)]), 1, "two halves of a giant's head");
        assert_eq!(count(&[tip(20.0, 0.29, 12.0)]), 0, "too faint");
    }

    #[test]
    fn a_head_that_the_border_cuts_is_not_counted() {
        for (x, width, expected) in [(1.9, 12.0, false), (2.1, 12.0, true), (5.0, 100.0, false), (7.0, 100.0, true)] {
            assert_eq!(shown(&maps(), &tip(x, 0.9, width)), expected, "{x} cells from the border, {width} um");
        }
    }

    #[test]
    fn a_width_on_which_two_networks_do_not_agree_is_unknown_where_a_giant_is_in_question() {
        let settings = Settings::default();
        for (first, second, known) in [
            (60.0, 80.0, true),
            (18.6, 70.2, false),
            (70.0, 30.0, false),
            (9.0, 18.0, true),
            (28.0, 41.0, true),
            (27.0, 43.0, false),
        ] {
            let told = tip(50.0, 0.9, first).retold(second, &settings);
            let one = &of(&maps(), &[told], None, &settings)[0];
            assert_eq!(one.apical_um, known.then_some(second), "{first} and {second} um");
            assert_eq!(one.class == LoopClass::NotEvaluable, !known, "{first} and {second} um");
        }
        let branched = Tip { abnormal: 0.9, ..tip(50.0, 0.9, 18.0).retold(70.0, &settings) };
        assert_eq!(class(&branched, &settings), LoopClass::Abnormal, "of any width");
    }

    #[test]
    fn width_and_shape_make_the_class() {
        let settings = Settings::default();
        let tip = |width_um, abnormal| Tip { abnormal, ..tip(0.0, 0.9, width_um) };
        for (width, abnormal, expected) in [
            (12.0, 0.0, LoopClass::Normal),
            (19.9, 0.0, LoopClass::Normal),
            (20.0, 0.0, LoopClass::Ectatic),
            (50.0, 0.0, LoopClass::Ectatic),
            (50.1, 0.0, LoopClass::Giant),
            (80.0, 0.45, LoopClass::NotEvaluable),
            (80.0, 0.9, LoopClass::Abnormal),
            (12.0, 0.9, LoopClass::Abnormal),
        ] {
            assert_eq!(class(&tip(width, abnormal), &settings), expected, "{width} um, abnormal {abnormal}");
        }
    }
}
