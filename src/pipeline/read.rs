//! The read threads, one for each frame that is read at the same time: they infer, and hand every frame's end to the
//! exam thread in order.

use crossbeam_channel::Sender as Exam;

use super::ended::{End, Ended, Scored, Tiding, timed};
use super::prepare::{PATIENCE, Prepared};
use super::queue::{Frame, Item};
use super::swap::Swap;
use super::turns::{Taken, Turns};
use crate::infer::{Classifier, News, Scores};
use crate::preprocess::Tensor;
use crate::report::{Fault, FaultKind};

pub struct Read {
    pub input: Turns<Prepared>,
    pub out: Exam<Tiding>,
    pub spares: Exam<Tensor>,
    pub classifier: Classifier,
    /// Of the classifier.
    pub generation: u64,
    pub swap: Swap,
}

impl Read {
    pub fn run(mut self) {
        let mut scores = Scores::default();
        loop {
            let (item, turn) = match self.input.take(PATIENCE) {
                Taken::Closed => return,
                Taken::Idle => continue,
                Taken::Item(item, turn) => (item, turn),
            };
            let tiding = match item {
                Item::Passed(tiding) => tiding,
                Item::Work(prepared) => {
                    let (classifier, generation) = (&mut self.classifier, &mut self.generation);
                    meet(prepared.generation, &self.swap, classifier, generation);
                    let (ended, tensor) = read(&mut self.classifier, prepared, &mut scores);
                    if let Some(news) = self.classifier.take_news() {
                        // Not in its turn: it is no frame's. Whoever is gone need not be told.
                        let _untold = self.out.send(Tiding::Fault(fault(news)));
                    }
                    // A full or closed channel only means that the tensor is not needed again.
                    let _unneeded = self.spares.try_send(tensor);
                    Tiding::Frame(ended)
                }
            };
            if !turn.hand_on(|| self.out.send(tiding).is_ok()) {
                return;
            }
        }
    }
}

fn fault(news: News) -> Fault {
    let action =
        if news.back { "none: the server reads again" } else { "look at the server that [model] remote names" };
    Fault { kind: FaultKind::Remote, message: news.message, action: action.to_owned(), cleared: news.back }
}

/// Takes the classifier that a frame was prepared for, where it is another than the present one.
fn meet(wanted: u64, swap: &Swap, classifier: &mut Classifier, generation: &mut u64) {
    if *generation != wanted
        && let Some(other) = swap.classifier(wanted)
    {
        (*classifier, *generation) = (other, wanted);
    }
}

/// Infers one frame; gives the tensor back.
pub fn read(classifier: &mut Classifier, prepared: Prepared, scores: &mut Scores) -> (Ended, Tensor) {
    let (done, took) = timed(|| classifier.classify(&prepared.tensor, scores));
    let ended = match done {
        Err(error) => prepared.ended(End::Failed(error.to_string())),
        Ok(()) => {
            let mut spent = prepared.spent;
            spent.infer = took;
            prepared.ended(End::Scored(Box::new(Scored {
                raw: prepared.raw.clone(),
                quality: prepared.quality,
                view: prepared.view,
                logits: scores.logits.clone(),
                probs: scores.probs.clone(),
                out_of_cohort: scores.out_of_cohort,
                // An error means that it could not be measured, which the measure thread has told.
                measured: prepared.measured.as_ref().and_then(|loops| loops.recv().ok()).map(Box::new),
                opinions: prepared.opinions.as_ref().and_then(|opinions| opinions.recv().ok()).map(Box::new),
                fingerprint: prepared.fingerprint,
                generation: prepared.generation,
                spent,
            })))
        }
    };
    (ended, prepared.tensor)
}
