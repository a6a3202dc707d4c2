//! A finished record as a page for people: read, put into words and laid out, as HTML that stands alone and as PDF.
//! Nothing of the record is written to; the same record gives the same page.

use std::path::Path;

use crate::finger::Finger;
use crate::record::verify::{Broken, State};

mod corrected;
mod exam;
mod fingers;
pub mod html;
mod overlay;
mod page;
pub mod pdf;
mod picture;
mod sections;
mod wording;
pub mod words;

pub use corrected::{Correctable, Reread, RereadField, correctable, correctable_picture, reread};
pub use overlay::marks;
pub use page::Page;
pub use words::Lang;

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(
        "this record is damaged, so there is no report of it: {0}; keep the folder as it is, compare it with a copy or \
         an archive, and examine again if there is none"
    )]
    Broken(#[from] Broken),
    #[error("cannot read {}: {source}", path.display())]
    Unreadable { path: std::path::PathBuf, source: std::io::Error },
    #[error(
        "field {field} of the {} has no kept frame on which a row of loops was measured: there is nothing to correct",
        finger.words()
    )]
    NothingToCorrect { finger: Finger, field: u32 },
    #[error("{0}")]
    Decoder(#[from] crate::decode::DecodeError),
    #[error("cannot make a PNG of a kept frame: {0}")]
    Png(String),
}

/// Reads an exam's folder, checks all of it, and makes its page in `lang` with up to `frames` pictures a finger.
///
/// An exam that is open or was interrupted gets a page that says so; a record that does not hold what was written gets
/// none.
pub fn page(folder: &Path, lang: Lang, frames: usize) -> Result<Page, ExportError> {
    let exam = exam::Exam::read(folder)?;
    page::page(folder, &exam, lang, frames)
}

/// Whether a report of an exam in this state may be signed.
const fn is_final(state: State) -> bool {
    matches!(state, State::Closed(_))
}
