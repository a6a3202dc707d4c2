//! The measure thread: finds the loops of a frame now and then, beside the reading of all frames and never before it.
//!
//! A live frame's loops are told when they are found, and a frame that comes while the thread is busy is not
//! measured. In a replay the reading waits for them, so that the same recording gives the same lines.

use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};

use super::counters::Beat;
use super::ended::Tiding;
use super::prepare::PATIENCE;
use crate::frame::{Image, RawFrame, Size};
use crate::infer::{InferError, Locator, LoopFigures, Maps};
use crate::measure::{self, Settings, Tip};
use crate::measured::Measured;
use crate::preprocess::{Field, FieldPreparer, PrepareError};
use crate::scale::Scale;
use crate::time::Stamp;

/// Finds and measures the loops of prepared fields; keeps its buffers.
pub struct Measurer {
    locator: Locator,
    settings: Settings,
    maps: Maps,
}

impl Measurer {
    pub fn new(locator: Locator, settings: Settings) -> Self {
        Self { locator, settings, maps: Maps::default() }
    }

    pub fn measure(&mut self, field: &Field) -> Result<Measured, InferError> {
        self.locator.locate(field, &mut self.maps)?;
        let mut tips = measure::candidates(&self.maps, &self.settings);
        tell_widths(&mut self.locator, field, &mut tips, &self.settings)?;
        Ok(measure::by_tips(&self.maps, &tips, field.um_per_px, &self.settings))
    }

    pub fn locator(&self) -> &Locator {
        &self.locator
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}

/// Asks the network for widths, where the bundle has one, about every tip that may be a loop.
pub fn tell_widths(
    locator: &mut Locator,
    field: &Field,
    tips: &mut [Tip],
    settings: &Settings,
) -> Result<(), InferError> {
    for tip in tips.iter_mut().filter(|tip| tip.score >= settings.faint_score) {
        if let Some(width_um) = locator.width_um(field, [tip.x, tip.y], tip.toward)? {
            *tip = tip.retold(width_um, settings);
        }
    }
    Ok(())
}

/// Measures every picture for a model that reads what is measured, where and when it is prepared for it.
pub struct Figures {
    preparer: FieldPreparer,
    measurer: Measurer,
    field: Field,
}

impl Figures {
    pub fn new(preparer: FieldPreparer, measurer: Measurer) -> Self {
        Self { preparer, measurer, field: Field::default() }
    }
}

impl LoopFigures for Figures {
    fn figures(&mut self, size: Size, rgb: &[u8], scale: Option<&Scale>) -> Result<[f32; 5], PrepareError> {
        self.preparer.prepare(size, rgb, scale, &mut self.field)?;
        let measured = self.measurer.measure(&self.field).map_err(|e| PrepareError::Measuring(e.to_string()))?;
        measured.figures().map_err(PrepareError::LoopsUnmeasured)
    }
}

/// A field on its way to the measure thread.
pub struct Task {
    raw: RawFrame,
    field: Field,
    /// Where the reading waits for it; a live frame's goes to the exam thread.
    reply: Option<Sender<Measured>>,
}

/// The prepare thread's end: chooses frames by their capture time and prepares them.
pub struct Chooser {
    preparer: FieldPreparer,
    every: Duration,
    last: Option<Stamp>,
    out: Option<Sender<Task>>,
    spares: Option<Receiver<Field>>,
    waits: bool,
}

impl Chooser {
    pub fn new(preparer: FieldPreparer, every: Duration) -> Self {
        Self { preparer, every, last: None, out: None, spares: None, waits: false }
    }

    /// Hands the frame over when its turn has come. What comes back is to be waited for.
    pub fn consider(&mut self, raw: &RawFrame, image: &Image, scale: Option<&Scale>) -> Option<Receiver<Measured>> {
        let at = raw.at;
        let due = self.last.is_none_or(|last| at < last || at.since(last) >= self.every);
        let out = self.out.as_ref().filter(|out| due && (self.waits || !out.is_full()))?;
        let (reply, answer) = if self.waits {
            let (reply, answer) = bounded(1);
            (Some(reply), Some(answer))
        } else {
            (None, None)
        };
        let mut field = self.spares.as_ref().and_then(|spares| spares.try_recv().ok()).unwrap_or_default();
        self.preparer.prepare(image.size(), image.rgb(), scale, &mut field).ok()?;
        let task = Task { raw: raw.clone(), field, reply };
        let sent =
            if self.waits { out.send(task).is_ok() } else { !matches!(out.try_send(task), Err(TrySendError::Full(_))) };
        if !sent {
            return None;
        }
        self.last = Some(at);
        answer
    }

    /// Wires the chooser to its thread; `waits` where the reading is to wait for every measure.
    pub(super) fn connect(&mut self, waits: bool) -> (Receiver<Task>, Sender<Field>) {
        let (out, tasks) = bounded(1);
        let (give, spares) = bounded(2);
        (self.out, self.spares, self.waits) = (Some(out), Some(spares), waits);
        (tasks, give)
    }
}

pub struct Measure {
    pub input: Receiver<Task>,
    pub out: Sender<Tiding>,
    pub spares: Sender<Field>,
    pub beat: Beat,
    pub measurer: Measurer,
}

impl Measure {
    pub fn run(mut self) {
        loop {
            self.beat.tick();
            let Task { raw, field, reply } = match self.input.recv_timeout(PATIENCE) {
                Ok(task) => task,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let measured = self.measurer.measure(&field);
            // A full or closed channel only means that the memory is not needed again.
            let _unneeded = self.spares.try_send(field);
            let frame = raw.id;
            let sent = match (measured, reply) {
                (Ok(measured), Some(reply)) => reply.send(measured).is_ok(),
                (Ok(measured), None) => self.out.send(Tiding::Measured { raw, measured: Box::new(measured) }).is_ok(),
                // Whoever waits goes on without: the reply is dropped here.
                (Err(error), _) => self.out.send(Tiding::NotMeasured(error.to_string())).is_ok(),
            };
            if !sent {
                tracing::debug!("nobody waits for the loops of frame {frame}");
            }
        }
    }
}
