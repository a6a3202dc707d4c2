//! The report of an exam, from its record to the page: what it says, what it shows, what it refuses, and that no record
//! is touched by it.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking, and says what it skipped")]

#[path = "../support/hairpin.rs"]
mod support;

mod amend;
mod drawn;
mod exam;
mod page;
