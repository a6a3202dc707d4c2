//! Pools the measured frames of a field, and the fields of a finger. Frames of a field are near copies: they are asked
//! whether they agree, not added up.

use crate::fast_track::{self, DENSITY_LOSS, DENSITY_NORMAL, Measures, Verdict};
use crate::finger::Finger;
use crate::measured::{ExamMeasured, FieldMeasured, FingerMeasured, Interval, Measured, NotMeasured};

/// Densities that differ by no more than this, in loops a mm, are of one field: a loop at each end of a mm may be
/// in view in one frame and not in the next.
const AGREE_PER_MM: f32 = 1.5;

/// Measured frames of one field so far, at most `MOST`.
#[derive(Clone, Debug, Default)]
pub struct LoopPool {
    frames: Vec<Measured>,
}

/// A frame a second for four minutes; of a longer field the first ones stand for all.
const MOST: usize = 240;

impl LoopPool {
    pub fn add(&mut self, measured: Measured) {
        if self.frames.len() < MOST {
            self.frames.push(measured);
        }
    }

    /// Frames whose density is known, from the least to the most.
    fn by_density(&self) -> Vec<(f32, &Measured)> {
        let mut known: Vec<(f32, &Measured)> =
            self.frames.iter().filter_map(|m| m.density_per_mm.map(|d| (d.value, m))).collect();
        known.sort_by(|a, b| a.0.total_cmp(&b.0));
        known
    }

    /// The frame that stands for the field where one picture has to: that of the middle density.
    pub fn middle(&self) -> Option<&Measured> {
        let known = self.by_density();
        known.get(known.len() / 2).map(|(_, measured)| *measured)
    }

    /// `None` where no frame was measured at all.
    pub fn pooled(&self) -> Option<FieldMeasured> {
        let last = self.frames.last()?;
        let known = self.by_density();
        let Some(middle) = known.get(known.len() / 2).map(|(value, _)| *value) else {
            let counted = lower_middle(self.frames.iter().map(|m| m.counted));
            let why = last.not_measured.unwrap_or(NotMeasured::NoRow);
            return Some(FieldMeasured { counted, ..nothing(0, why) });
        };
        let frames = known.len() as u32;
        let agreeing: Vec<&Measured> =
            known.iter().filter(|(value, _)| (value - middle).abs() <= AGREE_PER_MM).map(|(_, m)| *m).collect();
        if agreeing.len() * 2 < known.len() {
            return Some(nothing(frames, NotMeasured::Disagreement));
        }
        Some(of(&agreeing, frames, middle))
    }
}

fn nothing(frames: u32, why: NotMeasured) -> FieldMeasured {
    FieldMeasured {
        frames,
        agreeing: 0,
        counted: None,
        density_per_mm: None,
        giants: None,
        abnormal: None,
        haemorrhages: None,
        median_apical_um: None,
        widest_apical_um: None,
        fast_track: Verdict::Undetermined,
        borderline: false,
        not_measured: Some(why),
    }
}

fn of(agreeing: &[&Measured], frames: u32, middle: f32) -> FieldMeasured {
    // What the frames doubt in the middle, and what they differ by.
    let all = || agreeing.iter().filter_map(|m| m.density_per_mm);
    let doubt = |end: fn(Interval) -> f32| middle_of(all().map(end)).unwrap_or(middle);
    let density = Interval {
        value: middle,
        low: all().map(|d| d.value).fold(doubt(|d| d.low), f32::min),
        high: all().map(|d| d.value).fold(doubt(|d| d.high), f32::max),
    };
    let giants = lower_middle(agreeing.iter().map(|m| m.giants));
    let abnormal = lower_middle(agreeing.iter().map(|m| m.abnormal));
    let fast_track = fast_track::judge(Measures {
        density_per_mm: Some(f64::from(middle)),
        giants,
        abnormal_shapes: abnormal.map(|n| n > 0),
    });
    let unsure = agreeing.iter().filter(|m| m.borderline || m.fast_track != fast_track).count();
    let edges = density.crosses(DENSITY_LOSS as f32) || density.crosses(DENSITY_NORMAL as f32);
    let sure_giant = giants.is_some_and(|n| n > 0) && unsure == 0;
    FieldMeasured {
        frames,
        agreeing: agreeing.len() as u32,
        counted: lower_middle(agreeing.iter().map(|m| m.counted)),
        density_per_mm: Some(density),
        giants,
        abnormal,
        haemorrhages: lower_middle(agreeing.iter().map(|m| Some(m.haemorrhages.len() as u32))),
        median_apical_um: middle_of(agreeing.iter().filter_map(|m| m.median_apical_um)),
        widest_apical_um: middle_of(agreeing.iter().filter_map(|m| m.widest_apical_um)),
        fast_track,
        borderline: !sure_giant && (edges || unsure * 2 >= agreeing.len()),
        not_measured: None,
    }
}

/// The middle of the counts, the lower of two; unknown where half of the frames do not know.
fn lower_middle(counts: impl Iterator<Item = Option<u32>>) -> Option<u32> {
    let counts: Vec<Option<u32>> = counts.collect();
    let mut known: Vec<u32> = counts.iter().flatten().copied().collect();
    if known.len() * 2 <= counts.len() {
        return None;
    }
    known.sort_unstable();
    known.get((known.len() - 1) / 2).copied()
}

fn middle_of(values: impl Iterator<Item = f32>) -> Option<f32> {
    let mut values: Vec<f32> = values.collect();
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Over the fields of a finger whose density is known; `None` where it is in none.
pub fn of_finger<'a>(fields: impl Iterator<Item = &'a FieldMeasured>) -> Option<FingerMeasured> {
    let known: Vec<(f32, &FieldMeasured)> = fields.filter_map(|f| f.density_per_mm.map(|d| (d.value, f))).collect();
    if known.is_empty() {
        return None;
    }
    let count = known.len() as f32;
    Some(FingerMeasured {
        fields: known.len() as u32,
        density_mean_per_mm: known.iter().map(|(d, _)| d).sum::<f32>() / count,
        density_least_per_mm: known.iter().map(|(d, _)| *d).fold(f32::MAX, f32::min),
        giants: known.iter().map(|(_, f)| f.giants).sum(),
        widest_apical_um: known.iter().filter_map(|(_, f)| f.widest_apical_um).reduce(f32::max),
    })
}

/// Over the measured fingers of an exam; `None` where none was.
pub fn of_exam<'a>(fingers: impl Iterator<Item = (Finger, Option<&'a FingerMeasured>)>) -> Option<ExamMeasured> {
    let known: Vec<&FingerMeasured> = fingers.filter(|(f, _)| f.in_protocol()).filter_map(|(_, m)| m).collect();
    if known.is_empty() {
        return None;
    }
    let giants: Option<Vec<u32>> = known.iter().map(|m| m.giants).collect();
    Some(ExamMeasured {
        fingers: known.len() as u32,
        density_mean_per_mm: known.iter().map(|m| m.density_mean_per_mm).sum::<f32>() / known.len() as f32,
        density_least_per_mm: known.iter().map(|m| m.density_least_per_mm).fold(f32::MAX, f32::min),
        fingers_with_giants: giants.map(|giants| giants.iter().filter(|n| **n > 0).count() as u32),
        widest_apical_um: known.iter().filter_map(|m| m.widest_apical_um).reduce(f32::max),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fast_track::{Category, Rule};

    fn frame(density: Option<f32>, giants: Option<u32>) -> Measured {
        let mut measured = crate::measured::nothing(NotMeasured::NoRow);
        measured.density_per_mm = density.map(|value| Interval { value, low: value - 0.5, high: value + 0.5 });
        (measured.giants, measured.abnormal) = (giants, Some(0));
        measured.not_measured = density.is_none().then_some(NotMeasured::NoRow);
        let known = density.map(f64::from);
        measured.fast_track =
            fast_track::judge(Measures { density_per_mm: known, giants, abnormal_shapes: Some(false) });
        measured
    }

    fn pooled(frames: &[Measured]) -> Option<FieldMeasured> {
        let mut pool = LoopPool::default();
        frames.iter().for_each(|m| pool.add(m.clone()));
        pool.pooled()
    }

    #[test]
    fn nothing_measured_is_nothing_and_no_row_is_unknown() {
        assert_eq!(pooled(&[]), None);
        let unknown = pooled(&[frame(None, None), frame(None, None)]).unwrap();
        assert_eq!((unknown.density_per_mm, unknown.giants), (None, None));
        assert_eq!(unknown.fast_track, Verdict::Undetermined);
        assert_eq!(unknown.not_measured, Some(NotMeasured::NoRow));
    }

    #[test]
    fn agreeing_frames_are_pooled_and_one_that_differs_changes_nothing() {
        let frames = [frame(Some(9.0), Some(0)), frame(Some(8.6), Some(0)), frame(Some(2.0), Some(3))];
        let field = pooled(&frames).unwrap();
        assert_eq!((field.frames, field.agreeing, field.giants), (3, 2, Some(0)));
        let density = field.density_per_mm.unwrap();
        assert_eq!((density.value, density.low, density.high), (8.6, 8.5, 9.5), "the middle of what each doubts");
        assert_eq!(field.fast_track, Verdict::Decided { category: Category::One, rule: Rule::Normal });
        assert!(!field.borderline);
    }

    #[test]
    fn what_agreeing_frames_differ_by_lies_within_the_interval() {
        let field = pooled(&[frame(Some(8.0), Some(0)), frame(Some(9.4), Some(0)), frame(Some(9.5), Some(0))]).unwrap();
        let density = field.density_per_mm.unwrap();
        assert_eq!((field.agreeing, density.value, density.low), (3, 9.4, 8.0));
    }

    #[test]
    fn frames_that_scatter_give_no_figure() {
        let frames = [1.0, 4.0, 7.0, 10.0].map(|d| frame(Some(d), Some(0)));
        let field = pooled(&frames).unwrap();
        assert_eq!((field.agreeing, field.not_measured), (0, Some(NotMeasured::Disagreement)));
        assert_eq!(field.density_per_mm, None);
    }

    #[test]
    fn giants_unknown_in_half_of_the_frames_are_unknown() {
        let frames = [frame(Some(5.0), Some(0)), frame(Some(5.0), None)];
        let field = pooled(&frames).unwrap();
        assert_eq!((field.giants, field.fast_track), (None, Verdict::Undetermined));
    }

    #[test]
    fn a_density_near_an_edge_is_borderline() {
        for (value, borderline) in [(9.0, false), (7.3, true), (6.6, true), (5.0, false), (3.2, true)] {
            let field = pooled(&[frame(Some(value), Some(0))]).unwrap();
            assert_eq!(field.borderline, borderline, "{value} a mm");
        }
    }

    #[test]
    fn a_finger_has_the_mean_and_the_least_of_its_fields() {
        let fields = [pooled(&[frame(Some(8.0), Some(1))]).unwrap(), pooled(&[frame(Some(6.0), Some(0))]).unwrap()];
        let finger = of_finger(fields.iter()).unwrap();
        assert_eq!((finger.fields, finger.density_mean_per_mm, finger.density_least_per_mm), (2, 7.0, 6.0));
        assert_eq!(finger.giants, Some(1));
        let unknown = pooled(&[frame(None, None)]).unwrap();
        assert_eq!(of_finger([unknown].iter()), None);
    }

    #[test]
    fn without_a_scale_loops_are_counted_and_no_more() {
        let of = |counted| Measured { counted: Some(counted), ..crate::measured::nothing(NotMeasured::NoScale) };
        let field = pooled(&[of(9), of(8), of(12)]).unwrap();
        assert_eq!((field.counted, field.not_measured), (Some(9), Some(NotMeasured::NoScale)));
        assert_eq!((field.density_per_mm, field.fast_track), (None, Verdict::Undetermined));
    }

    #[test]
    fn an_exam_has_the_mean_of_its_fingers_and_no_thumbs() {
        let of = |densities: &[f32], giants| {
            let fields: Vec<FieldMeasured> =
                densities.iter().map(|d| pooled(&[frame(Some(*d), giants)]).unwrap()).collect();
            of_finger(fields.iter()).unwrap()
        };
        let (first, second) = (of(&[8.0, 6.0], Some(0)), of(&[5.0], Some(1)));
        let (r4, l2, thumb) = ("R4".parse().unwrap(), "L2".parse().unwrap(), "R1".parse().unwrap());
        let exam =
            of_exam([(r4, Some(&first)), (l2, Some(&second)), (thumb, Some(&of(&[1.0], None)))].into_iter()).unwrap();
        assert_eq!((exam.fingers, exam.density_mean_per_mm, exam.density_least_per_mm), (2, 6.0, 5.0));
        assert_eq!(exam.fingers_with_giants, Some(1));
        let unknown = of(&[7.0], None);
        let exam = of_exam([(r4, Some(&first)), (l2, Some(&unknown))].into_iter()).unwrap();
        assert_eq!(exam.fingers_with_giants, None);
        assert_eq!(of_exam([(r4, None)].into_iter()), None);
    }
}
