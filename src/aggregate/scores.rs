//! Scores that the literature makes of counted loops, for research exports alone: no result, page or category of Hairpin
//! uses them, and none says what they mean for a patient. What cannot be computed is said to be so, never nought.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::finger::Finger;
use crate::measured::{Loop, LoopClass, Measured};

/// One field by the frame that stands in the middle of its agreeing ones (`LoopPool::middle`).
#[derive(Clone, Debug)]
pub struct FieldImage {
    pub finger: Finger,
    pub field: u32,
    pub measured: Measured,
    /// Width of the picture, in mm, where its size is known.
    pub width_mm: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Scores {
    /// Fields whose density is known.
    pub images: u32,
    pub csuri: Score<Csuri>,
    pub semi_quantitative: SemiQuantitative,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Score<T> {
    Computed(T),
    NotComputable { why: &'static str },
}

/// Capillaroscopic skin ulcer risk index, D x M / N^2 (Sebastiani et al., Arthritis Rheum 2009;61:688), of the image with the fewest
/// loops among those with a giant. It depends on how wide the picture is (Sebastiani 2013), which stands beside it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Csuri {
    pub value: f64,
    pub finger: Finger,
    pub field: u32,
    /// N: loops of the distal row.
    pub loops: u32,
    /// M: giants.
    pub giants: u32,
    /// D: width of the widest giant.
    pub widest_um: f64,
    /// Of the picture; absent where its size is not known.
    pub width_mm: Option<f64>,
}

/// Each from 0 to 3 by its share of the loops of an image (0 none, 1 below a third, 2 to two thirds, 3 above), mean of a finger's
/// images, then of the fingers (after Sulli et al. 2008, as it is commonly given; the paper itself was not at hand).
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct SemiQuantitative {
    pub giants: Score<f64>,
    pub enlarged: Score<f64>,
    pub haemorrhages: Score<f64>,
    pub capillary_loss: Score<f64>,
    pub disorganisation: Score<f64>,
    pub ramifications: Score<f64>,
    /// Microangiopathy evolution score: loss, disorganisation and ramifications together.
    pub evolution: Score<f64>,
}

const NO_IMAGE: Score<f64> = Score::NotComputable { why: "no field has a density" };
const NO_LOSS: Score<f64> = Score::NotComputable {
    why: "the share of loops that are gone is not measured: a count says only how many are left",
};
const NO_DISORDER: Score<f64> = Score::NotComputable { why: "the order of the loops is not measured" };
const NO_RAMIFICATIONS: Score<f64> =
    Score::NotComputable { why: "branched loops are not told from others of abnormal shape" };
const NO_EVOLUTION: Score<f64> = Score::NotComputable { why: "none of its three parts is measured" };

pub fn scores(images: &[FieldImage]) -> Scores {
    let known: Vec<&FieldImage> = images.iter().filter(|i| i.measured.density_per_mm.is_some()).collect();
    Scores {
        images: known.len() as u32,
        csuri: csuri(&known),
        semi_quantitative: SemiQuantitative {
            giants: graded(&known, |m| share(m, LoopClass::Giant, m.giants)),
            enlarged: graded(&known, |m| share(m, LoopClass::Ectatic, m.ectatic)),
            haemorrhages: graded(&known, |m| Some(m.haemorrhages.len() as f64 / f64::from(m.counted?.max(1)))),
            capillary_loss: NO_LOSS,
            disorganisation: NO_DISORDER,
            ramifications: NO_RAMIFICATIONS,
            evolution: NO_EVOLUTION,
        },
    }
}

/// Share of a class among the counted loops; unknown where the count of the class is.
fn share(measured: &Measured, class: LoopClass, known: Option<u32>) -> Option<f64> {
    known?;
    let counted: Vec<&Loop> = measured.loops.iter().filter(|l| l.counted).collect();
    let of_class = counted.iter().filter(|l| l.class == class).count();
    (!counted.is_empty()).then(|| of_class as f64 / counted.len() as f64)
}

fn grade(share: f64) -> f64 {
    match share {
        s if s <= 0.0 => 0.0,
        s if s < 1.0 / 3.0 => 1.0,
        s if s <= 2.0 / 3.0 => 2.0,
        _ => 3.0,
    }
}

/// Mean of the grades of a finger's images, then of the fingers.
fn graded(images: &[&FieldImage], share: impl Fn(&Measured) -> Option<f64>) -> Score<f64> {
    if images.is_empty() {
        return NO_IMAGE;
    }
    let mut fingers: BTreeMap<Finger, Vec<f64>> = BTreeMap::new();
    for image in images {
        match share(&image.measured) {
            Some(share) => fingers.entry(image.finger).or_default().push(grade(share)),
            None => {
                return Score::NotComputable { why: "widths or shapes that decide it are not known in every image" };
            }
        }
    }
    let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
    let means: Vec<f64> = fingers.values().map(|grades| mean(grades)).collect();
    Score::Computed(mean(&means))
}

fn csuri(images: &[&FieldImage]) -> Score<Csuri> {
    if images.is_empty() {
        return Score::NotComputable { why: "no field has a density" };
    }
    if images.iter().any(|i| i.measured.giants.is_none()) {
        return Score::NotComputable { why: "giants are not known in every image" };
    }
    let with_giants = images.iter().filter_map(|image| {
        let giants = |l: &&Loop| l.counted && l.class == LoopClass::Giant;
        let widest = image.measured.loops.iter().filter(giants).filter_map(|l| l.apical_um).reduce(f32::max)?;
        let (loops, giants) = (image.measured.counted?, image.measured.giants?);
        Some(Csuri {
            value: f64::from(widest) * f64::from(giants) / f64::from(loops).powi(2),
            finger: image.finger,
            field: image.field,
            loops,
            giants,
            widest_um: f64::from(widest),
            width_mm: image.width_mm,
        })
    });
    match with_giants.min_by_key(|c| (c.loops, std::cmp::Reverse(c.giants))) {
        Some(csuri) => Score::Computed(csuri),
        None => Score::NotComputable { why: "no image has a giant" },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measured::{Haemorrhage, Interval, NotMeasured, nothing};

    /// An image with loops of these widths, of normal shape.
    fn image(finger: &str, field: u32, widths: &[f32]) -> FieldImage {
        let class = |um: f32| match um {
            um if um > 50.0 => LoopClass::Giant,
            um if um >= 20.0 => LoopClass::Ectatic,
            _ => LoopClass::Normal,
        };
        let one = |um: &f32| Loop {
            apex: [0.0, 0.0],
            toward: [0.0, -1.0],
            apical_um: Some(*um),
            class: class(*um),
            counted: true,
            score: 0.9,
            centreline: vec![],
        };
        let of = |wanted| widths.iter().filter(|um| class(**um) == wanted).count() as u32;
        let value = widths.len() as f32;
        let measured = Measured {
            loops: widths.iter().map(one).collect(),
            counted: Some(widths.len() as u32),
            density_per_mm: Some(Interval { value, low: value - 1.0, high: value + 1.0 }),
            giants: Some(of(LoopClass::Giant)),
            ectatic: Some(of(LoopClass::Ectatic)),
            not_measured: None,
            ..nothing(NotMeasured::NoRow)
        };
        FieldImage { finger: finger.parse().unwrap(), field, measured, width_mm: Some(1.57) }
    }

    #[test]
    fn the_index_is_of_the_image_with_the_fewest_loops_among_those_with_a_giant() {
        let images = [
            image("R4", 1, &[10.0, 12.0]),
            image("R4", 2, &[60.0, 80.0, 10.0, 12.0]),
            image("R3", 1, &[90.0, 10.0, 11.0, 12.0]),
            image("R2", 1, &[55.0, 10.0, 11.0, 12.0, 13.0]),
        ];
        let Score::Computed(csuri) = scores(&images).csuri else { panic!("there are giants") };
        assert_eq!((csuri.finger, csuri.field, csuri.loops, csuri.giants), ("R4".parse().unwrap(), 2, 4, 2));
        assert!((csuri.value - 80.0 * 2.0 / 16.0).abs() < 1e-9, "{csuri:?}");
        assert_eq!(csuri.width_mm, Some(1.57));
    }

    #[test]
    fn without_a_giant_or_where_giants_are_unknown_there_is_no_index() {
        let none = scores(&[image("R4", 1, &[10.0, 12.0])]).csuri;
        assert_eq!(none, Score::NotComputable { why: "no image has a giant" });
        let mut unknown = image("R4", 2, &[60.0]);
        unknown.measured.giants = None;
        let csuri = scores(&[image("R4", 1, &[60.0, 10.0]), unknown]).csuri;
        assert_eq!(csuri, Score::NotComputable { why: "giants are not known in every image" });
        assert!(matches!(scores(&[]).csuri, Score::NotComputable { .. }));
    }

    #[test]
    fn grades_are_averaged_over_a_fingers_images_and_then_over_fingers() {
        // Shares of giants: none, a half; three quarters.
        let mut images = vec![
            image("R4", 1, &[10.0, 12.0]),
            image("R4", 2, &[60.0, 10.0]),
            image("L4", 1, &[60.0, 60.0, 60.0, 10.0]),
        ];
        let found = scores(&images).semi_quantitative;
        assert_eq!(found.giants, Score::Computed(f64::midpoint(1.0, 3.0)));
        assert_eq!(found.enlarged, Score::Computed(0.0));
        assert_eq!(found.haemorrhages, Score::Computed(0.0));
        images[2].measured.haemorrhages = vec![Haemorrhage { at: [0.0, 0.0], radius_px: 4.0 }];
        assert_eq!(scores(&images).semi_quantitative.haemorrhages, Score::Computed(0.5), "one to four loops");
        for unknown in [found.capillary_loss, found.disorganisation, found.ramifications, found.evolution] {
            assert!(matches!(unknown, Score::NotComputable { .. }), "{unknown:?}");
        }
    }

    #[test]
    fn the_grades_of_shares() {
        for (share, expected) in
            [(0.0, 0.0), (0.01, 1.0), (0.33, 1.0), (0.34, 2.0), (0.66, 2.0), (0.67, 3.0), (1.0, 3.0)]
        {
            assert!((grade(share) - expected).abs() < 1e-9, "{share}");
        }
    }
}
