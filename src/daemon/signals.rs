//! Signals as values: SIGTERM and SIGINT ask for the end, SIGHUP for the configuration to be read again.

use std::io;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Stop,
    Reload,
}

/// The status of a process that a second signal ended: 128 + SIGTERM, as a shell would say.
const ENDED_AT_ONCE: i32 = 143;

pub struct Signals(Receiver<Signal>);

impl Signals {
    /// Starts to listen; signals that came before are lost.
    pub fn listen() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (mut term, mut int, mut hup) = {
            let _inside = runtime.enter();
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?)
        };
        let (to, from) = bounded(4);
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            runtime.block_on(async {
                loop {
                    let heard = tokio::select! {
                        _ = term.recv() => Signal::Stop,
                        _ = int.recv() => Signal::Stop,
                        _ = hup.recv() => Signal::Reload,
                    };
                    // More wishes than can wait are the same wish again.
                    if to.try_send(heard).is_err_and(|e| e.is_disconnected()) {
                        return;
                    }
                }
            });
        })?;
        Ok(Self(from))
    }

    pub fn next(&self, patience: Duration) -> Option<Signal> {
        self.0.recv_timeout(patience).ok()
    }

    /// From now on a signal to stop ends the process on the spot: whoever asks twice means it.
    pub fn end_at_once(self) {
        let listening = std::thread::Builder::new().name("second-signal".to_owned()).spawn(move || {
            while let Ok(heard) = self.0.recv() {
                if heard == Signal::Stop {
                    std::process::exit(ENDED_AT_ONCE);
                }
            }
        });
        if let Err(error) = listening {
            tracing::warn!(%error, "a second signal will not be heard");
        }
    }
}
