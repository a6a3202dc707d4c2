//! The second thread: models that read along and do not decide, beside the reading of all frames and never before it.
//!
//! A live frame is given to it only while it is idle, and it runs at the lowest priority, so that it takes what time
//! the deciding model leaves. In a replay the reading waits for it, so that the same recording gives the same lines.

use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};

use super::counters::Beat;
use super::ended::{Opinions, Read, Tiding};
use super::prepare::PATIENCE;
use crate::aggregate::Reader;
use crate::frame::{FrameId, Image, Size};
use crate::infer::{Classifier, InferError, Intake, Scores};
use crate::preprocess::Tensor;
use crate::report::{Fault, FaultKind, SecondWords};
use crate::scale::Scale;
use crate::time::Stamp;

/// Models that may read along; a bit each says which are due.
pub const MOST: usize = 8;

/// The lowest priority that the kernel gives (nice 19): a share of 15 beside 1024 of a thread at the usual one.
const LOWEST_PRIORITY: i32 = 19;

/// A loaded, verified and warm model that does not decide.
pub struct SecondModel {
    pub intake: Intake,
    pub classifier: Classifier,
    pub terms: Reader,
    pub words: SecondWords,
    /// At most one frame in so much of capture time.
    pub every: Duration,
    /// The last frame could not be read, which was told.
    failing: bool,
}

impl SecondModel {
    pub fn new(intake: Intake, classifier: Classifier, terms: Reader, words: SecondWords, every: Duration) -> Self {
        Self { intake, classifier, terms, words, every, failing: false }
    }
}

/// A frame on its way to the second thread.
pub struct Task {
    frame: FrameId,
    at: Stamp,
    weight: f32,
    fingerprint: u64,
    size: Size,
    rgb: Vec<u8>,
    scale: Option<Scale>,
    due: u8,
    /// Where the reading waits for it; a live frame's goes to the exam thread.
    reply: Option<Sender<Opinions>>,
}

/// What is known of a frame that is offered.
#[derive(Clone, Copy)]
pub struct Offer<'a> {
    pub frame: FrameId,
    pub at: Stamp,
    pub weight: f32,
    pub fingerprint: u64,
    pub image: &'a Image,
    pub scale: Option<&'a Scale>,
}

/// The prepare thread's end: chooses frames by their capture time and copies their pixels; the models' own
/// preparation is the second thread's.
pub struct Chooser {
    every: Vec<Duration>,
    last: Vec<Option<Stamp>>,
    out: Sender<Task>,
    spares: Receiver<Vec<u8>>,
    waits: bool,
}

impl Chooser {
    /// Hands the frame over when the turn of any model has come. What comes back is to be waited for.
    pub fn consider(&mut self, offer: Offer<'_>) -> Option<Receiver<Opinions>> {
        let due = self.due(offer.at);
        if due == 0 || !(self.waits || self.out.is_empty()) {
            return None;
        }
        let (reply, answer) = if self.waits { Some(bounded(1)) } else { None }.unzip();
        // None is left while the thread is at work: then a live frame is not for it.
        let mut rgb = match self.spares.try_recv() {
            Ok(rgb) => rgb,
            Err(_) if self.waits => Vec::new(),
            Err(_) => return None,
        };
        rgb.clear();
        rgb.extend_from_slice(offer.image.rgb());
        let task = Task {
            frame: offer.frame,
            at: offer.at,
            weight: offer.weight,
            fingerprint: offer.fingerprint,
            size: offer.image.size(),
            rgb,
            scale: offer.scale.cloned(),
            due,
            reply,
        };
        let sent = if self.waits {
            self.out.send(task).is_ok()
        } else {
            !matches!(self.out.try_send(task), Err(TrySendError::Full(_)))
        };
        if !sent {
            return None;
        }
        for (model, last) in self.last.iter_mut().enumerate() {
            if due & (1 << model) != 0 {
                *last = Some(offer.at);
            }
        }
        answer
    }

    fn due(&self, at: Stamp) -> u8 {
        let is_due =
            |(last, every): (&Option<Stamp>, &Duration)| last.is_none_or(|last| at < last || at.since(last) >= *every);
        let due = self.last.iter().zip(&self.every).enumerate().filter(|(_, pair)| is_due(*pair));
        due.fold(0, |bits, (model, _)| bits | (1 << model))
    }
}

pub struct Second {
    input: Receiver<Task>,
    spares: Sender<Vec<u8>>,
    out: Sender<Tiding>,
    beat: Beat,
    models: Vec<SecondModel>,
    tensor: Tensor,
    waits: bool,
}

/// Wires `models` to a thread of their own and gives the prepare thread its end; `waits` where the reading is to wait.
pub fn connect(models: Vec<SecondModel>, out: Sender<Tiding>, beat: Beat, waits: bool) -> (Chooser, Second) {
    let (task, input) = bounded(1);
    let (give, spares) = bounded(1);
    // One buffer is all there is: it comes back when the frame in it was read.
    let _roomy = give.try_send(Vec::new());
    let every: Vec<Duration> = models.iter().map(|model| model.every).collect();
    let chooser = Chooser { last: vec![None; every.len()], every, out: task, spares, waits };
    (chooser, Second { input, spares: give, out, beat, models, tensor: Tensor::default(), waits })
}

impl Second {
    pub fn run(mut self) {
        if !self.waits
            && let Err(error) = rustix::process::setpriority_process(None, LOWEST_PRIORITY)
        {
            tracing::warn!(%error, "second opinions run at the usual priority");
        }
        loop {
            self.beat.tick();
            let task = match self.input.recv_timeout(PATIENCE) {
                Ok(task) => task,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let read = self.read(&task);
            let Task { frame, at, weight, fingerprint, rgb, reply, .. } = task;
            let opinions = Opinions { frame, at, weight, fingerprint, read };
            // A full or closed channel only means that the memory is not needed again.
            let _unneeded = self.spares.try_send(rgb);
            let sent = match reply {
                Some(reply) => reply.send(opinions).is_ok(),
                None => self.out.send(Tiding::Opinions(Box::new(opinions))).is_ok(),
            };
            if !sent {
                tracing::debug!("nobody waits for second opinions of frame {frame}");
            }
        }
    }

    fn read(&mut self, task: &Task) -> Vec<Read> {
        let mut all = Vec::new();
        for (model, second) in self.models.iter_mut().enumerate() {
            if task.due & (1 << model) == 0 {
                continue;
            }
            self.beat.tick();
            match look(second, task, &mut self.tensor) {
                Ok(scores) => {
                    second.failing = false;
                    all.push(Read { model, scores });
                }
                Err(message) if !second.failing => {
                    second.failing = true;
                    // Without the exam thread nobody is left to be told.
                    let _untold = self.out.send(Tiding::Fault(fault(&second.words, &message)));
                }
                Err(_) => {}
            }
        }
        all
    }
}

fn look(second: &mut SecondModel, task: &Task, tensor: &mut Tensor) -> Result<Scores, String> {
    let mut scores = Scores::default();
    second.intake.prepare_pixels(task.size, &task.rgb, task.scale.as_ref(), tensor).map_err(|e| e.to_string())?;
    second.classifier.classify(tensor, &mut scores).map_err(|e: InferError| e.to_string())?;
    Ok(scores)
}

fn fault(words: &SecondWords, message: &str) -> Fault {
    Fault {
        kind: FaultKind::SecondOpinion,
        message: format!("{}, which does not decide, cannot read a frame: {message}", words.model.id()),
        action: "the exam goes on without it; `hairpin models verify` tests its bundle".to_owned(),
        cleared: false,
    }
}
