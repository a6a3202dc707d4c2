//! A frame of a drawn set (`hairpin synth`) against its truth.

use super::agreement::Pair;
use super::frame::{Frame, Outcome, Tips, Width, place};
use super::{MATCH_UM, Point, matching};
use crate::measured::{Loop, Measured};
use crate::synth::loops::Class;
use crate::synth::set::Entry;
use crate::synth::truth::{TrueLoop, Truth};

/// Mean blur below which a frame is in focus, Gaussian sigma: a third of a slender vessel's width.
pub const FOCUS_UM: f32 = 4.0;

/// The head of a slender hairpin, in um: a loop of which less than half shows is not counted (docs/measure.md), so it
/// is neither missed nor wrongly found.
const LEAST_HEAD_UM: f32 = 32.0;

pub fn frame(entry: &Entry, seen: Result<&Measured, Outcome>) -> Frame {
    let truth = &entry.truth;
    let um_per_px = f64::from(truth.um_per_px);
    let mut frame = Frame::new(&entry.file, &entry.subject, seen);
    frame.in_focus = Some(entry.optics.defocus_um.iter().sum::<f32>() / 2.0 < FOCUS_UM);
    frame.true_category = truth.category;
    let counted: Vec<&Loop> = seen.map_or(&[][..], |m| &m.loops).iter().filter(|l| l.counted).collect();
    let distal: Vec<&TrueLoop> = truth.loops.iter().filter(|l| l.row == 0).collect();
    let places: Vec<Point> = distal.iter().map(|l| [f64::from(l.x), f64::from(l.y)]).collect();
    let found: Vec<Point> = counted.iter().map(|l| place(l)).collect();
    let pairs = matching::pairs(&places, &found, MATCH_UM / um_per_px);
    let cut = distal.iter().filter(|l| !shown(l, truth)).count();
    let (whole, at_border): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(i, _, _)| shown(distal[*i], truth));
    frame.tips = Some(Tips::of(&whole, distal.len() - cut, found.len() - at_border.len(), um_per_px));
    frame.widths = whole
        .iter()
        .filter(|(i, _, _)| distal[*i].class != Class::Abnormal)
        .filter_map(|(i, j, _)| {
            let (true_um, found_um) = (f64::from(distal[*i].apical_um), f64::from(counted[*j].apical_um?));
            Some(Width { true_um, found_um })
        })
        .collect();
    let density = seen.ok().and_then(|m| m.density_per_mm).filter(|_| frame.is_measured());
    frame.row = truth
        .density_per_mm
        .zip(density)
        .map(|(label, density)| Pair { label: f64::from(label), found: f64::from(density.value) });
    frame
}

/// Whether at least half of its head lies in the picture.
fn shown(one: &TrueLoop, truth: &Truth) -> bool {
    let (width, height) = (truth.size.width as f32, truth.size.height as f32);
    let border = one.x.min(one.y).min(width - one.x).min(height - one.y);
    border * truth.um_per_px >= one.apical_um.max(LEAST_HEAD_UM) / 2.0
}
