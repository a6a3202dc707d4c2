//! From tips to loops: which stand in the row, how wide each is, and what shape.

use super::Settings;
use super::limbs;
use super::row::Row;
use super::tips::Tip;
use crate::infer::Maps;
use crate::measured::{ECTATIC_UM, GIANT_UM, Loop, LoopClass};

/// A loop, and where its tip stands along the row.
pub struct Found {
    pub seen: Loop,
    /// In um along the fold; absent without a row.
    pub along_um: Option<f32>,
}

/// Every tip that is one, as a loop.
pub fn of(maps: &Maps, tips: &[Tip], row: Option<&Row>, settings: &Settings) -> Vec<Found> {
    tips.iter().filter(|tip| tip.score >= settings.least_score).map(|tip| one(maps, tip, row, settings)).collect()
}

fn one(maps: &Maps, tip: &Tip, row: Option<&Row>, settings: &Settings) -> Found {
    let place = row.map(|row| row.axes.to_fold(tip.x, tip.y));
    let counted = match (row, place) {
        (Some(row), Some([u, w])) => (w - row.height(u)).abs() <= settings.band_um,
        _ => false,
    };
    let seen = Loop {
        apex: maps.to_picture(tip.x, tip.y),
        toward: tip.toward,
        apical_um: Some(tip.width_um),
        class: class(tip, settings),
        counted,
        score: tip.score,
        centreline: limbs::centreline(maps, tip),
    };
    Found { seen, along_um: place.map(|[u, _]| u) }
}

/// A wide loop is a giant only when its shape is normal; a branched one is abnormal however wide.
fn class(tip: &Tip, settings: &Settings) -> LoopClass {
    if tip.abnormal >= settings.abnormal_shape {
        LoopClass::Abnormal
    } else if tip.abnormal >= settings.doubtful_shape {
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

    #[test]
    fn width_and_shape_make_the_class() {
        let settings = Settings::default();
        let tip = |width_um, abnormal| Tip { x: 0.0, y: 0.0, score: 0.9, width_um, toward: [0.0, -1.0], abnormal };
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
