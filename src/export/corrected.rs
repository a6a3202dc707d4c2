//! What a reader's corrections of loops come to: the measure of the corrected frame stands for its field, beside the one
//! that was made. Nothing of it is kept; it is worked out anew from the record and its amendments.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::ExportError;
use super::exam::{Exam, Keyframe};
use super::picture::{Picture, load};
use crate::aggregate::loops::{LoopPool, of_finger};
use crate::finger::Finger;
use crate::frame::FrameId;
use crate::measure::{self, Uncorrectable};
use crate::measured::{Correction, FieldMeasured, FingerMeasured, Limits, Measured};
use crate::record::amend::{Amendment, Name};

/// A field's frame as the reader has it.
#[derive(Debug)]
pub(super) struct Corrected<'a> {
    /// Who corrected last.
    pub(super) by: &'a Name,
    pub(super) corrections: usize,
    pub(super) measured: Measured,
    pub(super) field: FieldMeasured,
}

/// What can be corrected in a field: the frame that is shown, its measure, and what was corrected before.
#[derive(Debug)]
pub struct Correctable {
    pub frame: FrameId,
    pub measured: Measured,
    pub before: Vec<Correction>,
    limits: Limits,
}

impl Correctable {
    /// As the reader has it so far.
    pub fn so_far(&self) -> Result<Measured, Uncorrectable> {
        measure::corrected(&self.measured, &self.before, &self.limits)
    }

    /// As it is with one correction more.
    pub fn with(&self, correction: Correction) -> Result<Measured, Uncorrectable> {
        let all: Vec<Correction> = self.before.iter().copied().chain([correction]).collect();
        measure::corrected(&self.measured, &all, &self.limits)
    }
}

/// Reads an exam's folder, checks all of it, and finds what can be corrected in a field.
pub fn correctable(folder: &Path, finger: Finger, field: u32) -> Result<Correctable, ExportError> {
    let exam = Exam::read(folder)?;
    let (kept, measured) = exam.measured_frame(finger, field).ok_or(nothing(finger, field))?;
    let before = exam.corrections(kept).map(|(_, correction)| correction).collect();
    Ok(Correctable { frame: kept.evidence.frame, measured: measured.clone(), before, limits: exam.limits() })
}

const fn nothing(finger: Finger, field: u32) -> ExportError {
    ExportError::NothingToCorrect { finger, field }
}

/// The frame that can be corrected in a field, as any viewer shows it.
pub fn correctable_picture(folder: &Path, finger: Finger, field: u32) -> Result<Picture, ExportError> {
    let exam = Exam::read(folder)?;
    let (kept, _) = exam.measured_frame(finger, field).ok_or(nothing(finger, field))?;
    let announced = exam.provenance().and_then(|made| made.source.size);
    load(folder, &kept.evidence, announced)?.map_err(|_| nothing(finger, field))
}

/// What readers have corrected in an exam, and what can be.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Reread {
    pub fields: Vec<RereadField>,
    /// Over their fields, the corrected ones as they were corrected; only fingers with such a field.
    pub fingers: BTreeMap<Finger, FingerMeasured>,
}

/// A field with a frame on which loops can be corrected.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RereadField {
    pub finger: Finger,
    pub field: u32,
    pub corrections: usize,
    /// Who corrected last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What it comes to; absent where nothing was corrected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured: Option<FieldMeasured>,
    /// Why the corrections on record cannot be applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// Reads an exam's folder, checks all of it, and works out what its corrections come to.
pub fn reread(folder: &Path) -> Result<Reread, ExportError> {
    let exam = Exam::read(folder)?;
    let one = |finger: Finger, field: u32| {
        exam.measured_frame(finger, field)?;
        let (corrections, by, measured, refused) = match exam.corrected(finger, field) {
            None => (0, None, None, None),
            Some(Ok(found)) => (found.corrections, Some(found.by.to_string()), Some(found.field), None),
            Some(Err(why)) => (0, None, None, Some(why.to_string())),
        };
        Some(RereadField { finger, field, corrections, by, measured, refused })
    };
    let fields: Vec<RereadField> = exam.fields.iter().filter_map(|f| one(f.finger, f.number)).collect();
    let corrected = |finger: &Finger| Some((*finger, exam.corrected_finger(*finger)?));
    let fingers = exam.fingers.keys().filter_map(corrected).collect();
    Ok(Reread { fields, fingers })
}

impl Exam {
    /// The kept frame of a field with the most of a row on it: the one that can be corrected.
    fn measured_frame(&self, finger: Finger, field: u32) -> Option<(&Keyframe, &Measured)> {
        let of_field = self.keyframes.iter().filter(|kept| kept.finger == finger && kept.field == field);
        let measured = of_field.filter_map(|kept| Some((kept, kept.measured.as_ref()?)));
        measured.filter(|(_, m)| m.row_mm.is_some()).max_by(|(_, a), (_, b)| {
            let row = |m: &Measured| m.row_mm.unwrap_or_default();
            row(a).total_cmp(&row(b))
        })
    }

    fn corrections(&self, kept: &Keyframe) -> impl Iterator<Item = (&Name, Correction)> {
        let of = (kept.finger, kept.field, kept.evidence.frame);
        self.amendments.iter().filter_map(move |line| match line.amendment {
            Amendment::Loop { finger, field, frame, correction } if (finger, field, frame) == of => {
                Some((&line.by, correction))
            }
            _ => None,
        })
    }

    /// `None` where nothing was corrected; an error where what is on record cannot be applied to what was measured.
    pub(super) fn corrected(&self, finger: Finger, field: u32) -> Option<Result<Corrected<'_>, Uncorrectable>> {
        let (kept, measured) = self.measured_frame(finger, field)?;
        let (names, corrections): (Vec<&Name>, Vec<Correction>) = self.corrections(kept).unzip();
        let by = *names.last()?;
        let measured = match measure::corrected(measured, &corrections, &self.limits()) {
            Ok(measured) => measured,
            Err(why) => return Some(Err(why)),
        };
        let mut pool = LoopPool::default();
        pool.add(measured.clone());
        Some(Ok(Corrected { by, corrections: corrections.len(), field: pool.pooled()?, measured }))
    }

    fn applied(&self, finger: Finger, field: u32) -> Option<Corrected<'_>> {
        self.corrected(finger, field)?.ok()
    }

    /// A kept frame's measure: as corrected where it was.
    pub(super) fn shown_on(&self, kept: &Keyframe) -> Option<Measured> {
        let corrected = self.applied(kept.finger, kept.field).filter(|_| {
            self.measured_frame(kept.finger, kept.field).is_some_and(|(frame, _)| std::ptr::eq(frame, kept))
        });
        corrected.map(|c| c.measured).or_else(|| kept.measured.clone())
    }

    /// A finger over its fields, with those that were corrected as they were; `None` where none was.
    pub(super) fn corrected_finger(&self, finger: Finger) -> Option<FingerMeasured> {
        let fields = || self.fields.iter().filter(|f| f.finger == finger);
        if !fields().any(|f| self.applied(finger, f.number).is_some()) {
            return None;
        }
        let measured: Vec<FieldMeasured> = fields()
            .filter_map(|f| self.applied(finger, f.number).map(|c| c.field).or_else(|| f.measured.clone()))
            .collect();
        of_finger(measured.iter())
    }
}
