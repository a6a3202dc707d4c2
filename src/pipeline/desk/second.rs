//! Second opinions at the desk: told, pooled beside the field's own frames, and compared where a finger ends.

use super::Desk;
use super::run::OpenField;
use crate::aggregate::field::{Sample, close_second};
use crate::aggregate::second::opposite;
use crate::pipeline::ended::{self, Opinions};
use crate::report::{self, Disagreement, Event, FingerResult, Opinion, SecondField, SecondFinger};

impl Desk {
    /// Tells what models that do not decide make of a frame, and pools it if its field is still being recorded.
    pub(super) fn opinions(&mut self, opinions: Opinions) {
        let Opinions { frame, at, weight, fingerprint, read } = opinions;
        if read.is_empty() {
            return;
        }
        let seconds = &self.settings.seconds;
        let field = self.run.as_mut().and_then(|run| run.field.as_mut()).filter(|field| field.from <= at);
        let place = field.map(|field| {
            for ended::Read { model, scores } in &read {
                let (Some(pool), Some((name, terms))) = (field.second.get_mut(*model), seconds.get(*model)) else {
                    continue;
                };
                let (logits, out_of_cohort) = (scores.logits.clone(), scores.out_of_cohort);
                let sample = Sample { frame, at, fingerprint, logits, weight, out_of_cohort };
                if let Err(error) = pool.add(sample, terms) {
                    tracing::warn!(%error, model = name, "a second opinion cannot be pooled");
                }
            }
            (field.finger, field.number)
        });
        let opinion = |ended::Read { model, scores }: ended::Read| {
            let (name, _) = seconds.get(model)?;
            let (logits, probs) = (scores.logits, scores.probs);
            Some(Opinion { model: name.clone(), logits, probs, out_of_cohort: scores.out_of_cohort })
        };
        let opinions = read.into_iter().filter_map(opinion).collect();
        let told = report::Opinions { frame, finger: place.map(|p| p.0), field: place.map(|p| p.1), opinions };
        self.publish(at, Event::Opinions(told));
    }

    /// A field that ends, as each of these models reads it.
    pub(super) fn second_fields(&self, field: &OpenField) -> Vec<SecondField> {
        let measured = field.loops.pooled();
        let pools = field.second.iter().zip(&self.settings.seconds);
        pools
            .map(|(pool, (model, terms))| {
                close_second(pool, model.clone(), measured.as_ref(), &self.settings.rules, terms)
            })
            .collect()
    }

    /// Whether any of them calls the finger to the other side.
    pub(super) fn disagreement(&self, result: &FingerResult) -> Option<Disagreement> {
        let terms = &self.settings.terms;
        let differs = |(second, (_, its)): (&SecondFinger, &(String, _))| {
            opposite((&result.decision, terms), (&second.decision, its)).then(|| second.clone())
        };
        let others: Vec<SecondFinger> = result.second.iter().zip(&self.settings.seconds).filter_map(differs).collect();
        if others.is_empty() {
            return None;
        }
        tracing::warn!(finger = %result.finger, "models disagree on a finger");
        let model = self.settings.provenance.model.id();
        Some(Disagreement { finger: result.finger, model, decision: result.decision.clone(), others })
    }
}
