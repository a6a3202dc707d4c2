//! Another deciding model for the one that reads: made ready elsewhere, and put in its place between two frames.
//!
//! The exam thread says when, and counts generations of the model. The prepare thread takes the new intake with its
//! next frame and marks each frame with its generation; a reader that meets a new mark takes its classifier. So no
//! frame is prepared for one model and read by another, and what the model before has read is known as such.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender};

use crate::aggregate::Reader;
use crate::emit::control::Request;
use crate::infer::{Classifier, Intake};
use crate::quality::Demands;
use crate::report::{ModelWords, RuntimeWords};

/// A model that is loaded, verified and warm, and waits for its turn.
pub struct Incoming {
    pub bundle: PathBuf,
    pub intake: Intake,
    pub demands: Demands,
    /// One a reader.
    pub classifiers: Vec<Classifier>,
    pub terms: Reader,
    pub model: ModelWords,
    pub runtime: RuntimeWords,
}

/// A bundle that is to be made ready, and who asked for it over the control socket.
pub struct Load {
    pub bundle: PathBuf,
    pub request: Option<Request>,
}

/// What came of it.
pub struct Loaded {
    pub bundle: PathBuf,
    pub outcome: Result<Box<Incoming>, String>,
    pub request: Option<Request>,
}

/// The exam thread's ends of the way to whoever loads bundles.
pub struct Loading {
    pub ask: Sender<Load>,
    pub loaded: Receiver<Loaded>,
}

/// What the prepare thread needs of a new model.
pub struct Order {
    pub generation: u64,
    pub intake: Intake,
    pub demands: Demands,
}

/// Where a new model is laid for the threads that will use it.
#[derive(Clone, Default)]
pub struct Swap(Arc<Mutex<Laid>>);

#[derive(Default)]
struct Laid {
    order: Option<Order>,
    /// By generation; a reader takes one.
    classifiers: BTreeMap<u64, Vec<Classifier>>,
}

impl Swap {
    fn laid(&self) -> MutexGuard<'_, Laid> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn order(&self, order: Order, classifiers: Vec<Classifier>) {
        let mut laid = self.laid();
        laid.classifiers.insert(order.generation, classifiers);
        laid.order = Some(order);
    }

    pub fn take_order(&self) -> Option<Order> {
        self.laid().order.take()
    }

    /// What a reader did not take of generations before the last is given up: no frame of them is under way any more.
    pub fn classifier(&self, generation: u64) -> Option<Classifier> {
        let mut laid = self.laid();
        laid.classifiers.retain(|other, _| other + 1 >= generation);
        laid.classifiers.get_mut(&generation)?.pop()
    }
}
