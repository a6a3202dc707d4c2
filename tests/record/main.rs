//! The record of an exam, from outside: whole, crashed, out of room, tampered with.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod crash;
mod journal;
mod room;
mod sample;
mod tamper;
