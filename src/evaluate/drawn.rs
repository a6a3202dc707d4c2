//! A frame of a drawn set (`hairpin synth`) against its truth: the loops that a reader would count as distal, whichever
//! row they were drawn in.

use super::agreement::Pair;
use super::distal::{self, Kind};
use super::frame::{Frame, Outcome, Tips, Width, place};
use super::{MATCH_UM, Point, matching};
use crate::fast_track::{self, Category, Measures, Verdict};
use crate::measured::{Loop, Measured};
use crate::synth::loops::{Class, GIANT_UM};
use crate::synth::set::Entry;
use crate::synth::truth::{LEAST_ROW_MM, TrueLoop, Truth};

/// Mean blur below which a frame is in focus, Gaussian sigma: a third of a slender vessel's width.
pub const FOCUS_UM: f32 = 4.0;

/// The head of a slender hairpin, in um: a loop of which less than half shows is not counted (docs/measure.md), so it
/// is neither missed nor wrongly found.
const LEAST_HEAD_UM: f32 = 32.0;

/// What is to be found, and what is to be held against nobody.
struct Sought<'a> {
    distal: Vec<&'a TrueLoop>,
    open: Vec<&'a TrueLoop>,
}

impl<'a> Sought<'a> {
    fn of(entry: &'a Entry) -> Self {
        let truth = &entry.truth;
        let mut sought = Self { distal: Vec::new(), open: Vec::new() };
        for (one, kind) in truth.loops.iter().zip(distal::kinds(truth, &entry.optics)) {
            match kind {
                Kind::Distal if shown(one, truth) => sought.distal.push(one),
                Kind::Distal | Kind::Open => sought.open.push(one),
                Kind::Proximal => {}
            }
        }
        sought
    }

    /// Loops a mm of the row in view; absent where too little of it is.
    fn density(&self, truth: &Truth) -> Option<f32> {
        (truth.row_mm >= LEAST_ROW_MM).then(|| self.distal.len() as f32 / truth.row_mm)
    }

    fn category(&self, truth: &Truth) -> Option<Category> {
        let count = |class: Class| self.distal.iter().filter(move |l| l.class == class);
        let verdict = fast_track::judge(Measures {
            density_per_mm: Some(f64::from(self.density(truth)?)),
            giants: Some(count(Class::Giant).filter(|l| l.apical_um > GIANT_UM).count() as u32),
            abnormal_shapes: Some(count(Class::Abnormal).next().is_some()),
        });
        match verdict {
            Verdict::Decided { category, .. } => Some(category),
            Verdict::Undetermined => None,
        }
    }
}

pub fn frame(entry: &Entry, seen: Result<&Measured, Outcome>) -> Frame {
    let truth = &entry.truth;
    let um_per_px = f64::from(truth.um_per_px);
    let sought = Sought::of(entry);
    let mut frame = Frame::new(&entry.file, &entry.subject, seen);
    frame.in_focus = Some(entry.optics.defocus_um.iter().sum::<f32>() / 2.0 < FOCUS_UM);
    frame.true_category = sought.category(truth);
    let counted: Vec<&Loop> = seen.map_or(&[][..], |m| &m.loops).iter().filter(|l| l.counted).collect();
    let found: Vec<Point> = counted.iter().map(|l| place(l)).collect();
    let pairs = matching::pairs(&places(&sought.distal), &found, MATCH_UM / um_per_px);
    let rest: Vec<Point> =
        (0..found.len()).filter(|j| pairs.iter().all(|(_, taken, _)| taken != j)).map(|j| found[j]).collect();
    let open = matching::pairs(&places(&sought.open), &rest, MATCH_UM / um_per_px).len();
    frame.tips = Some(Tips::of(&pairs, sought.distal.len(), found.len() - open, um_per_px));
    frame.widths = pairs
        .iter()
        .filter(|(i, _, _)| sought.distal[*i].class != Class::Abnormal)
        .filter_map(|(i, j, _)| {
            let (true_um, found_um) = (f64::from(sought.distal[*i].apical_um), f64::from(counted[*j].apical_um?));
            Some(Width { true_um, found_um })
        })
        .collect();
    let density = seen.ok().and_then(|m| m.density_per_mm).filter(|_| frame.is_measured());
    frame.row = sought
        .density(truth)
        .zip(density)
        .map(|(label, density)| Pair { label: f64::from(label), found: f64::from(density.value) });
    frame.row_held = sought.density(truth).zip(density).map(|(label, density)| density.crosses(label));
    frame
}

fn places(loops: &[&TrueLoop]) -> Vec<Point> {
    loops.iter().map(|l| [f64::from(l.x), f64::from(l.y)]).collect()
}

/// Whether at least half of its head lies in the picture.
fn shown(one: &TrueLoop, truth: &Truth) -> bool {
    let (width, height) = (truth.size.width as f32, truth.size.height as f32);
    let border = one.x.min(one.y).min(width - one.x).min(height - one.y);
    border * truth.um_per_px >= one.apical_um.max(LEAST_HEAD_UM) / 2.0
}
