//! What somebody lets go wrong with the simulated microscope, to see and to practise what follows: one word in a file,
//! for as long as it stands there.

use std::io::ErrorKind;
use std::path::Path;

use super::{CaptureError, CaptureErrorKind};

/// Longer files hold no such word.
const LONGEST: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mishap {
    /// The cable is out.
    Unplugged,
    /// The same frame again and again, with its number and stamp.
    Frozen,
}

/// What the file says now; `None` while it is not there, or empty. Another word is an error that names those it knows.
pub(super) fn now(path: &Path) -> Result<Option<Mishap>, CaptureError> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(CaptureError::io(format!("cannot read {}", path.display()), error)),
    };
    match text.get(..LONGEST.min(text.len())).map(<[u8]>::trim_ascii) {
        Some(b"") | None => Ok(None),
        Some(b"unplugged") => Ok(Some(Mishap::Unplugged)),
        Some(b"frozen") => Ok(Some(Mishap::Frozen)),
        Some(_) => {
            let context = format!("{} holds no mishap: write unplugged or frozen, or remove it", path.display());
            Err(CaptureError::new(CaptureErrorKind::Unsupported, context))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_a_mishap_nothing_is_none_and_another_word_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mishap");
        assert_eq!(now(&path).unwrap(), None);
        for (text, mishap) in
            [("", None), (" \n", None), ("unplugged\n", Some(Mishap::Unplugged)), ("frozen", Some(Mishap::Frozen))]
        {
            std::fs::write(&path, text).unwrap();
            assert_eq!(now(&path).unwrap(), mishap, "{text:?}");
        }
        std::fs::write(&path, "burning").unwrap();
        let refused = now(&path).unwrap_err();
        assert_eq!(refused.kind, CaptureErrorKind::Unsupported);
        assert!(refused.to_string().contains("unplugged or frozen"), "{refused}");
        assert!(now(folder.path()).is_err(), "a folder is no file");
    }
}
