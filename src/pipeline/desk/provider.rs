//! Where the model runs, when that is not where it was asked to run first.

use super::Desk;
use crate::report::{Fault, FaultKind, RuntimeWords};

impl Desk {
    /// Tells of a live source's model that it runs on the processor alone, and when another one no longer does. What a
    /// recording comes to does not depend on it.
    pub(super) fn tell_provider(&mut self) {
        if !self.live {
            return;
        }
        let slow = on_the_processor(&self.settings.provenance.runtime);
        let stands = self.faults.iter().any(|fault| fault.kind == FaultKind::Provider);
        match slow {
            Some(message) => self.fault(fault(message, false)),
            None if stands => self.fault(fault("the model runs where it was asked to".to_owned(), true)),
            None => {}
        }
    }
}

fn fault(message: String, cleared: bool) -> Fault {
    let action = "check the graphics card and its driver; `hairpin doctor` tells why it cannot be used".to_owned();
    Fault { kind: FaultKind::Provider, message, action, cleared }
}

/// `None` where the processor was asked for first, or something quicker runs.
fn on_the_processor(runtime: &RuntimeWords) -> Option<String> {
    const PROCESSOR: &str = "cpu";
    let first = runtime.providers_asked.first().filter(|first| *first != PROCESSOR)?;
    let running = &runtime.provider_running;
    running.starts_with(PROCESSOR).then(|| format!("the model runs on {running}, and {first} was asked for first"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_processor_in_place_of_something_quicker_is_told() {
        for (asked, running, told) in [
            (&["cpu"] as &[&str], "cpu (all 429 nodes)", false),
            (&["cuda", "cpu"], "cpu (all 429 nodes)", true),
            (&["tensorrt", "cuda", "cpu"], "cuda (all 429 nodes)", false),
            (&["openvino"], "openvino (all 429 nodes)", false),
        ] {
            let runtime = RuntimeWords {
                library: String::new(),
                version: String::new(),
                sha256: String::new(),
                providers_asked: asked.iter().map(|&provider| provider.to_owned()).collect(),
                provider_running: running.to_owned(),
                threads: 1,
            };
            assert_eq!(on_the_processor(&runtime).is_some(), told, "{asked:?} {running}");
        }
    }
}
