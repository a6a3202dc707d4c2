//! The wish to stop, as a value that every thread can check or wait on.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

#[derive(Clone, Default)]
pub struct Stop(Arc<(Mutex<bool>, Condvar)>);

impl Stop {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn ask(&self) {
        *self.0.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    pub fn asked(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Waits for `span`, or until stopping is asked for; true when it was.
    pub fn wait(&self, span: Duration) -> bool {
        let guard = self.0.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (guard, _) = self
            .0
            .1
            .wait_timeout_while(guard, span, |asked| !*asked)
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *guard
    }
}
