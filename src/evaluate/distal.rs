//! Which drawn loops a reader would count as distal, which as proximal, and which nobody could be held to: the rule by
//! which the locating network was trained (`models/training/locating/distal.py`, whose tests these are too).
//!
//! The row that a loop was drawn in does not say it. Where the drawing has lost a loop of its first row, the one behind
//! it has no other before it, and stands in the distal row for whoever counts. How wide "before" is, is not agreed on:
//! under the 90 degree rule (Hofstee 2009) a fifth of the loops that people traced as distal on real frames would not
//! count; under the narrower cones here a tenth.

use crate::synth::optics::Optics;
use crate::synth::truth::{TrueLoop, Truth};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Distal,
    Proximal,
    /// Too faint to be held against anybody, or of a row that is never counted.
    Open,
}

/// Half angle in degrees and reach in um of the two cones in which another tip makes a loop proximal.
const CONES: [(f32, f32); 2] = [(28.0, 260.0), (15.0, 440.0)];
/// A tip closer than this along the loop's own axis is beside it, not before it, in um.
const BESIDE_UM: f32 = 12.0;
/// Rows behind the third never count, whatever is missing before them.
const LAST_ROW: u32 = 2;
/// Optical density after blur and veil: loops below the first are left to chance by readers, those below the second hide
/// nobody, those above the third are surely seen.
const LEAST_VISIBLE: f32 = 0.03;
const LEAST_HIDING: f32 = 0.05;
const SURELY_VISIBLE: f32 = 0.055;
/// The same against the middle of the front row's.
const SURE_OF_MIDDLE: f32 = 0.4;
const HIDING_OF_MIDDLE: f32 = 0.5;

/// The kind of each loop, in the order of the truth's.
pub fn kinds(truth: &Truth, optics: &Optics) -> Vec<Kind> {
    let seen: Vec<f32> = truth.loops.iter().map(|one| visible_density(one, optics)).collect();
    let middle = middle_of_front(truth, &seen);
    let hiding = LEAST_HIDING.max(HIDING_OF_MIDDLE * middle);
    let surely = SURELY_VISIBLE.max(SURE_OF_MIDDLE * middle);
    let hidden = |one: &TrueLoop| {
        let mut others = truth.loops.iter().zip(&seen).filter(|(_, seen)| **seen > hiding);
        others.any(|(other, _)| before(one, other, truth.um_per_px))
    };
    let kind = |(one, seen): (&TrueLoop, &f32)| match () {
        () if *seen < LEAST_VISIBLE => Kind::Open,
        () if hidden(one) => Kind::Proximal,
        () if one.row <= LAST_ROW && *seen >= surely => Kind::Distal,
        () => Kind::Open,
    };
    truth.loops.iter().zip(&seen).map(kind).collect()
}

/// Whether `other` stands before `one`, towards the nail.
fn before(one: &TrueLoop, other: &TrueLoop, um_per_px: f32) -> bool {
    let (dx, dy) = ((other.x - one.x) * um_per_px, (other.y - one.y) * um_per_px);
    let ahead = dx * one.toward[0] + dy * one.toward[1];
    let aside = (dy * one.toward[0] - dx * one.toward[1]).abs();
    let within = |(half_angle, reach): &(f32, f32)| ahead * half_angle.to_radians().tan() > aside && ahead < *reach;
    ahead > BESIDE_UM && CONES.iter().any(within)
}

/// Optical density at the loop's axis as the sensor has it.
fn visible_density(one: &TrueLoop, optics: &Optics) -> f32 {
    let lens = optics.defocus_um.iter().sum::<f32>() / 2.0;
    // A smear of length L has the variance of a box, L^2 / 12; a round tube's profile about that of a Gaussian of
    // width / 3.6.
    let blur = one.softness_um.powi(2) + lens.powi(2) + optics.motion_um.powi(2) / 12.0;
    let own = (one.apical_um / 3.6).powi(2);
    one.density * (1.0 - optics.haze) * (own / (own + blur)).sqrt()
}

/// The median of what is seen of the row that was drawn first; nought where there is none.
fn middle_of_front(truth: &Truth, seen: &[f32]) -> f32 {
    let mut front: Vec<f32> = truth.loops.iter().zip(seen).filter(|(l, _)| l.row == 0).map(|(_, s)| *s).collect();
    front.sort_by(f32::total_cmp);
    match (front.len(), front.len() / 2) {
        (0, _) => 0.0,
        (count, half) if count % 2 == 1 => front[half],
        (_, half) => f32::midpoint(front[half - 1], front[half]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Size;
    use crate::synth::loops::Class;
    use Kind::{Distal, Open, Proximal};

    const SHARP: Optics = Optics { defocus_um: [1.0, 1.0], ..Optics::PERFECT };

    /// With its tip up; one pixel is one um.
    fn one(x: f32, y: f32, row: u32, density: f32) -> TrueLoop {
        let toward = [0.0, -1.0];
        TrueLoop { x, y, toward, apical_um: 12.0, class: Class::Hairpin, row, density, softness_um: 0.0 }
    }

    fn kinds_of(loops: &[TrueLoop]) -> Vec<Kind> {
        let truth = Truth {
            um_per_px: 1.0,
            size: Size::new(1000, 1000),
            loops: loops.to_vec(),
            row_mm: 1.0,
            density_per_mm: None,
            giants: None,
            abnormal_shapes: None,
            haemorrhages: None,
            category: None,
            rule: None,
        };
        kinds(&truth, &SHARP)
    }

    #[test]
    fn a_loop_behind_another_is_proximal_and_one_beside_it_is_not() {
        let front = one(0.0, 0.0, 0, 0.3);
        assert_eq!(kinds_of(&[front.clone(), one(20.0, 200.0, 1, 0.3)]), [Distal, Proximal]);
        // 200 um behind the cone is 106 um wide to either side.
        assert_eq!(kinds_of(&[front.clone(), one(120.0, 200.0, 1, 0.3)]), [Distal, Distal]);
        assert_eq!(kinds_of(&[front, one(5.0, 8.0, 0, 0.3)]), [Distal, Distal], "beside, not before");
    }

    #[test]
    fn rows_far_behind_never_count_and_faint_loops_are_left_open() {
        let front = one(0.0, 0.0, 0, 0.3);
        assert_eq!(kinds_of(&[front.clone(), one(300.0, 600.0, 3, 0.3)]), [Distal, Open]);
        assert_eq!(kinds_of(&[front, one(300.0, 0.0, 0, 0.03)]), [Distal, Open]);
        assert_eq!(kinds_of(&[]), []);
    }

    #[test]
    fn a_faint_loop_hides_nobody() {
        let loops = [one(0.0, 0.0, 0, 0.05), one(0.0, 150.0, 1, 0.3), one(300.0, 0.0, 0, 0.3), one(500.0, 0.0, 0, 0.3)];
        assert_eq!(kinds_of(&loops)[1], Distal);
    }

    #[test]
    fn blur_and_haze_take_from_slender_loops_first() {
        let soft = Optics { defocus_um: [8.0, 8.0], ..SHARP };
        let of = |apical_um, optics: &Optics| visible_density(&TrueLoop { apical_um, ..one(0.0, 0.0, 0, 0.3) }, optics);
        assert!(of(10.0, &soft) < 0.12 && of(60.0, &soft) > 0.25);
        assert!(of(12.0, &Optics { haze: 0.3, ..SHARP }) < of(12.0, &SHARP));
    }
}
