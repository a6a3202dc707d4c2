//! Frames at the desk: counted, placed, told, and pooled into the field they belong to.

use super::Desk;
use super::run::OpenField;
use crate::aggregate::field::{About, Sample, close};
use crate::exam::timeline::{Place, Sight};
use crate::finger::Finger;
use crate::frame::{FrameId, RawFrame};
use crate::measured::{FrameMeasured, Measured};
use crate::outcome::{Quality, RejectReason};
use crate::pipeline::ended::{End, Ended, Scored};
use crate::report::{Event, ExamEvent, Fault, FaultKind, FieldBegan, Finding, QualityEvent};
use crate::time::Stamp;

impl Desk {
    pub(super) fn frame(&mut self, ended: Ended) {
        self.cues_until(ended.at);
        self.commands_until(ended.at);
        self.watermark = self.watermark.max(ended.at);
        self.meter.captured(ended.at);
        ended.count_in(&mut self.frames);

        let sight = match &ended.how {
            End::Scored(scored) => Sight::Readable(scored.view),
            End::Rejected { view, .. } => Sight::Refused(*view),
            End::Undecodable(_) | End::Dropped | End::Failed(_) => Sight::Unseen,
        };
        let place = self.timeline.assign(ended.id, ended.at, sight);
        if let Place::Field { finger, number, because } = place {
            self.enter(finger, number, because, ended.at);
        }
        if let Some(run) = &mut self.run {
            ended.count_in(&mut run.frames);
            if let (Place::Field { .. }, Some(field)) = (place, &mut run.field) {
                ended.count_in(&mut field.frames);
                field.to = ended.at;
            }
        }
        let inside = match place {
            Place::Field { finger, number, .. } => Some((finger, number)),
            Place::Settling | Place::Outside => None,
        };
        match ended.how {
            End::Scored(scored) => self.scored(ended.id, ended.at, *scored, inside),
            End::Rejected { reason, figures, .. } => self.judged(ended.id, ended.at, Some(reason), figures),
            End::Failed(message) => self.failed(message),
            End::Undecodable(_) | End::Dropped => {}
        }
    }

    /// Makes sure that this field is the one being recorded.
    fn enter(&mut self, finger: Finger, number: u32, because: FieldBegan, at: Stamp) {
        let Some(run) = &self.run else { return };
        if run.field.as_ref().is_some_and(|field| (field.finger, field.number) == (finger, number)) {
            return;
        }
        self.end_field(at);
        self.state.field_began(finger, number);
        if let Some(run) = &mut self.run {
            run.field = Some(OpenField::new(finger, number, at));
        }
        self.publish(at, Event::Exam(ExamEvent::FieldBegan { finger, number, because }));
    }

    /// Pools the field being recorded, if there is one, and tells its result.
    pub(super) fn end_field(&mut self, at: Stamp) {
        let Some(mut field) = self.run.as_mut().and_then(|run| run.field.take()) else { return };
        let evidence = field
            .take_best(self.settings.keyframes)
            .iter()
            .map(|raw| self.publisher.keep(field.finger, field.number, raw))
            .collect();
        let about = About {
            finger: field.finger,
            number: field.number,
            place: self.timeline.place_of(field.finger, field.number),
            from: field.from,
            to: field.to,
            frames: field.frames,
            measured: field.loops.pooled(),
            evidence,
        };
        let result = close(&field.pool, about, &self.settings.rules, &self.settings.terms);
        if let Some(run) = &mut self.run {
            run.fields.push(result.clone());
        }
        self.publish(at, Event::Field(result));
    }

    fn scored(&mut self, id: FrameId, at: Stamp, scored: Scored, inside: Option<(Finger, u32)>) {
        self.judged(id, at, None, scored.quality);
        let latency = self.publisher.clock().now().map(|now| self.meter.read(at, now, &scored.spent));
        self.faults.retain(|fault| fault.kind != FaultKind::Inference);
        if inside.is_some() {
            self.pool(id, at, &scored);
        }
        let finding = Finding {
            frame: id,
            finger: inside.map(|place| place.0),
            field: inside.map(|place| place.1),
            logits: scored.logits,
            probs: scored.probs,
            out_of_cohort: scored.out_of_cohort,
            quality: scored.quality,
            latency,
        };
        self.publish(at, Event::Finding(finding));
        if let Some(measured) = scored.measured {
            self.measured(&scored.raw, *measured);
        }
    }

    /// Tells the loops of a frame, and pools them if its field is still being recorded.
    pub(super) fn measured(&mut self, raw: &RawFrame, measured: Measured) {
        let (frame, at) = (raw.id, raw.at);
        let field = self.run.as_mut().and_then(|run| run.field.as_mut()).filter(|field| field.from <= at);
        let place = field.map(|field| {
            field.loops.add(measured.clone());
            field.consider_measured(&measured, raw);
            (field.finger, field.number)
        });
        let told = FrameMeasured { frame, finger: place.map(|p| p.0), field: place.map(|p| p.1), measured };
        self.loops = Some(Box::new(told.clone()));
        self.publish(at, Event::Measured(Box::new(told)));
    }

    fn pool(&mut self, id: FrameId, at: Stamp, scored: &Scored) {
        let Some(field) = self.run.as_mut().and_then(|run| run.field.as_mut()) else { return };
        let sample = Sample {
            frame: id,
            at,
            fingerprint: scored.fingerprint,
            logits: scored.logits.clone(),
            weight: scored.quality.weight,
            out_of_cohort: scored.out_of_cohort,
        };
        match field.pool.add(sample, &self.settings.terms) {
            Ok(()) => field.consider(scored.quality.weight, &scored.raw, self.settings.keyframes),
            Err(error) => self.fault(Fault {
                kind: FaultKind::Internal,
                message: error.to_string(),
                action: "report this as a defect of Hairpin, with the record".to_owned(),
                cleared: false,
            }),
        }
    }

    /// Tells the gate's verdict when it is another than the frame's before.
    fn judged(&mut self, frame: FrameId, at: Stamp, rejected: Option<RejectReason>, figures: Quality) {
        let advice = rejected.map(|reason| reason.advice().to_owned());
        let event = QualityEvent { frame, rejected, advice, figures };
        self.quality = Some(event.clone());
        if self.verdict.replace(rejected) != Some(rejected) {
            self.publish(at, Event::Quality(event));
        }
    }

    pub(super) fn failed(&mut self, message: String) {
        if self.faults.iter().any(|fault| fault.kind == FaultKind::Inference) {
            return;
        }
        self.fault(Fault {
            kind: FaultKind::Inference,
            message,
            action: "if this stays, restart Hairpin; `hairpin doctor` tests the runtime and the model".to_owned(),
            cleared: false,
        });
    }
}
