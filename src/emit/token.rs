//! The tokens of the page: one for who may look on, one for who may command. They stand in a file that only the
//! service's user may read, made at the first start.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use crate::digest::sha256;

/// Bytes of chance in a token.
const BYTES: usize = 32;
/// What the file may hold at most.
const FILE_MOST: u64 = 4096;

/// Both tokens, as lowercase hexadecimal digits.
#[derive(Clone, PartialEq, Eq)]
pub struct Tokens {
    pub view: String,
    pub command: String,
}

#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("the token file {} cannot be {what}: {source}: name a file in a folder of the service's own", path.display())]
    Io { what: &'static str, path: std::path::PathBuf, source: io::Error },
    #[error("the token file {} may be read by others (mode {mode:04o}): make it mode 0600, or remove it so that new tokens are made", path.display())]
    Open { path: std::path::PathBuf, mode: u32 },
    #[error("the token file {} does not hold a line \"view\" and a line \"command\" with {} digits each: remove it, and new tokens are made", path.display(), BYTES * 2)]
    Garbled { path: std::path::PathBuf },
}

impl Tokens {
    /// Reads the file, or makes it with new tokens where there is none.
    pub fn at(path: &Path) -> Result<Self, TokenError> {
        let failed = |what| move |source| TokenError::Io { what, path: path.to_owned(), source };
        match File::open(path) {
            Ok(file) => Self::read(path, &file),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let tokens =
                    Self { view: chance().map_err(failed("made"))?, command: chance().map_err(failed("made"))? };
                let mut file =
                    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed("made"))?;
                file.write_all(tokens.text().as_bytes()).and_then(|()| file.sync_all()).map_err(failed("written"))?;
                Ok(tokens)
            }
            Err(e) => Err(failed("read")(e)),
        }
    }

    fn read(path: &Path, file: &File) -> Result<Self, TokenError> {
        let failed = |source| TokenError::Io { what: "read", path: path.to_owned(), source };
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(TokenError::Open { path: path.to_owned(), mode });
        }
        let mut text = String::new();
        file.take(FILE_MOST).read_to_string(&mut text).map_err(failed)?;
        let line = |name: &str| {
            let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
            let whole = found.len() == BYTES * 2 && found.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            whole.then(|| found.to_owned())
        };
        match (line("view"), line("command")) {
            (Some(view), Some(command)) if view != command => Ok(Self { view, command }),
            _ => Err(TokenError::Garbled { path: path.to_owned() }),
        }
    }

    fn text(&self) -> String {
        format!("view {}\ncommand {}\n", self.view, self.command)
    }
}

/// Not a token: these may stand in a log.
impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens")
    }
}

fn chance() -> io::Result<String> {
    let mut bytes = [0; BYTES];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// What a token lets its bearer do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Right {
    Nothing,
    View,
    Command,
}

/// Tells tokens without holding them. Digests are compared, so that how long it takes says nothing of a token.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    view: String,
    command: String,
}

impl Keys {
    pub fn of(tokens: &Tokens) -> Self {
        Self { view: sha256(tokens.view.as_bytes()), command: sha256(tokens.command.as_bytes()) }
    }

    pub fn right(&self, token: &str) -> Right {
        let digest = sha256(token.as_bytes());
        match () {
            () if digest == self.command => Right::Command,
            () if digest == self.view => Right::View,
            () => Right::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn tokens_are_made_once_and_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let made = Tokens::at(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!((made.view.len(), made.command.len()), (64, 64));
        assert_ne!(made.view, made.command);
        assert!(Tokens::at(&path).unwrap() == made);
        let keys = Keys::of(&made);
        assert_eq!(keys.right(&made.view), Right::View);
        assert_eq!(keys.right(&made.command), Right::Command);
        for wrong in ["", "x", &made.view[1..], &made.command.to_uppercase()] {
            assert_eq!(keys.right(wrong), Right::Nothing, "{wrong:?}");
        }
    }

    #[test]
    fn a_file_that_others_may_read_or_that_is_garbled_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        Tokens::at(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Tokens::at(&path), Err(TokenError::Open { mode: 0o640, .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let same = "a".repeat(64);
        for text in ["", "view x\ncommand y\n", &format!("view {same}\ncommand {same}\n")] {
            fs::write(&path, text).unwrap();
            assert!(matches!(Tokens::at(&path), Err(TokenError::Garbled { .. })), "{text:?}");
        }
        let nowhere = Tokens::at(&dir.path().join("no/token")).unwrap_err();
        assert!(nowhere.to_string().contains("folder"), "{nowhere}");
    }
}
