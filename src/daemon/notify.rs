//! What systemd is told, when it asked to be told: ready, stopping, alive.

use std::time::Duration;

use sd_notify::NotifyState;

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot tell systemd");
    }
}

/// Said after the last listener is up, the model is warm and the source is open.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(stamp) => tell(&[NotifyState::Reloading, stamp]),
        Err(error) => tracing::warn!(%error, "cannot tell systemd of the reload"),
    }
}

pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How often systemd wants a sign of life; `None` when it does not.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}
