//! The prepare thread: decodes, judges and resamples, so that the read thread does nothing but infer.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver as Channel;

use super::capture::Captured;
use super::counters::Beat;
use super::ended::{End, Ended, Opinions, Spent, Tiding, timed};
use super::measure::Chooser;
use super::queue::{Closed, Frame, Item, Popped, Receiver, Sender};
use super::second;
use super::swap::Swap;
use crate::decode::{Decoded, Decoder};
use crate::frame::{Image, RawFrame};
use crate::infer::Intake;
use crate::measured::Measured;
use crate::outcome::{Quality, RejectReason, View};
use crate::preprocess::{PrepareError, Tensor};
use crate::quality::{self, Gate, Judged};
use crate::scale::Scale;

/// Bounds the wait for a frame, and so the beat of the watchdog.
pub const PATIENCE: Duration = Duration::from_millis(100);

/// A frame ready to be read.
pub struct Prepared {
    pub raw: RawFrame,
    pub tensor: Tensor,
    pub quality: Quality,
    pub view: View,
    pub fingerprint: u64,
    /// Of the model that it was prepared for.
    pub generation: u64,
    /// Its loops, when they are waited for.
    pub measured: Option<Channel<Measured>>,
    /// What other models make of it, when they are waited for.
    pub opinions: Option<Channel<Opinions>>,
    pub tolerated: bool,
    pub lost_before: u64,
    pub spent: Spent,
}

impl Frame for Prepared {
    fn ended(&self, how: End) -> Ended {
        Ended { tolerated: self.tolerated, lost_before: self.lost_before, ..Ended::new(self.raw.id, self.raw.at, how) }
    }
}

pub struct Prepare {
    pub input: Receiver<Captured>,
    pub out: Sender<Prepared>,
    pub beat: Beat,
    pub step: Step,
    /// Tensors that come back from the read thread to be filled again.
    pub spares: Channel<Tensor>,
}

impl Prepare {
    pub fn run(mut self) {
        while let Ok(true) = self.turn() {
            self.beat.tick();
        }
    }

    fn turn(&mut self) -> Result<bool, Closed> {
        match self.input.pop(PATIENCE) {
            Popped::Closed => return Ok(false),
            Popped::Idle => {}
            Popped::Item(Item::Passed(tiding)) => {
                if let Tiding::Opened(words) | Tiding::Changed(words) = &tiding {
                    self.step.scale.clone_from(&words.scale);
                }
                self.out.pass(tiding)?;
            }
            Popped::Item(Item::Work(captured)) => {
                let tensor = self.step.spare.take().or_else(|| self.spares.try_recv().ok()).unwrap_or_default();
                match self.step.prepare(captured, tensor) {
                    Ok(prepared) => self.step.spare = self.out.push(prepared)?.map(|evicted| evicted.tensor),
                    Err(ended) => self.out.pass(Tiding::Frame(ended))?,
                }
            }
        }
        Ok(true)
    }
}

/// New settings of the gate on their way to the prepare thread, which takes them between two frames.
#[derive(Clone, Default)]
pub struct GateHandle(Arc<Mutex<Option<quality::Settings>>>);

impl GateHandle {
    pub fn put(&self, settings: quality::Settings) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(settings);
    }

    fn take(&self) -> Option<quality::Settings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Decode, gate and preprocess with the buffers they use again and again; no thread, so that one-shot reading
/// takes the same way.
pub struct Step {
    decoder: Decoder,
    gate: Gate,
    intake: Intake,
    scale: Option<Scale>,
    chooser: Option<Chooser>,
    second: Option<second::Chooser>,
    new_gate: GateHandle,
    swap: Swap,
    generation: u64,
    pixels: Vec<u8>,
    spare: Option<Tensor>,
}

impl Step {
    pub fn new(decoder: Decoder, gate: Gate, intake: impl Into<Intake>, scale: Option<Scale>) -> Self {
        let (new_gate, pixels, intake) = (GateHandle::default(), Vec::new(), intake.into());
        Self {
            decoder,
            gate,
            intake,
            scale,
            chooser: None,
            second: None,
            new_gate,
            swap: Swap::default(),
            generation: 0,
            pixels,
            spare: None,
        }
    }

    /// The same intake behind another gate, as if no frame had come before.
    pub fn renewed(self, decoder: Decoder, gate: Gate, scale: Option<Scale>) -> Self {
        Self::new(decoder, gate, self.intake, scale)
    }

    /// Has some of the frames measured, too.
    pub(super) fn measure_with(&mut self, chooser: Chooser) {
        self.chooser = Some(chooser);
    }

    /// Has some of the frames read by models that do not decide, too.
    pub(super) fn ask_also(&mut self, second: second::Chooser) {
        self.second = Some(second);
    }

    /// Where another model will be laid.
    pub(super) fn swap_by(&mut self, swap: Swap) {
        self.swap = swap;
    }

    /// Where new settings of the gate can be put from another thread.
    pub fn gate_handle(&self) -> GateHandle {
        self.new_gate.clone()
    }

    /// A frame that can be read, or how it ended.
    pub fn prepare(&mut self, captured: Captured, mut tensor: Tensor) -> Result<Prepared, Ended> {
        if let Some(settings) = self.new_gate.take() {
            self.gate.set(settings);
        }
        if let Some(order) = self.swap.take_order() {
            self.gate.demand(order.demands);
            (self.intake, self.generation) = (order.intake, order.generation);
        }
        let Captured { raw, lost_before } = captured;
        let mut spent = Spent::default();
        let ended = |how, tolerated| Ended { tolerated, lost_before, ..Ended::new(raw.id, raw.at, how) };

        let buffer = std::mem::take(&mut self.pixels);
        let (decoded, took) = timed(|| self.decoder.decode(&raw, buffer));
        spent.decode = took;
        let (image, tolerated) = match decoded {
            Decoded::Clean(image) => (image, false),
            Decoded::Tolerated(image) => (image, true),
            Decoded::Rejected { damage, buffer } => {
                self.pixels = buffer;
                self.spare = Some(tensor);
                return Err(ended(End::Undecodable(damage), false));
            }
        };
        let (judged, took) = timed(|| self.gate.judge(image, self.scale.as_ref()));
        spent.gate = took;
        let accepted = match judged {
            Judged::Accepted(accepted) => accepted,
            Judged::Rejected(reject) => {
                self.keep(reject.image);
                self.spare = Some(tensor);
                let how = End::Rejected { reason: reject.reason, figures: reject.figures, view: reject.view };
                return Err(ended(how, tolerated));
            }
        };
        let start = Instant::now();
        let done = self.intake.prepare(&accepted, self.scale.as_ref(), &mut tensor);
        spent.preprocess = start.elapsed();
        let (quality, view) = (*accepted.quality(), accepted.view());
        let image = accepted.into_image();
        if let Err(error) = done {
            self.keep(image);
            self.spare = Some(tensor);
            let how = match error {
                PrepareError::LoopsUnmeasured(_) => {
                    End::Rejected { reason: RejectReason::LoopsUnmeasured, figures: quality, view }
                }
                error => End::Failed(error.to_string()),
            };
            return Err(ended(how, tolerated));
        }
        let chooser = self.chooser.as_mut();
        let measured = chooser.and_then(|chooser| chooser.consider(&raw, &image, self.scale.as_ref()));
        let fingerprint = fingerprint(&raw);
        let offer = second::Offer {
            frame: raw.id,
            at: raw.at,
            weight: quality.weight,
            fingerprint,
            image: &image,
            scale: self.scale.as_ref(),
        };
        let opinions = self.second.as_mut().and_then(|second| second.consider(offer));
        self.keep(image);
        Ok(Prepared {
            raw,
            tensor,
            quality,
            view,
            fingerprint,
            generation: self.generation,
            measured,
            opinions,
            tolerated,
            lost_before,
            spent,
        })
    }

    fn keep(&mut self, image: Image) {
        self.pixels = image.into_buffer();
    }
}

/// Tells copies of a frame from new ones, within one process.
fn fingerprint(raw: &RawFrame) -> u64 {
    let mut hasher = DefaultHasher::new();
    raw.bytes.hash(&mut hasher);
    hasher.finish()
}
