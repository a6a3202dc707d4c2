//! A file that grows by whole lines only: one write a line, and a write that fails leaves nothing behind.
//! The record of an exam and the plain output file both stand on it.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::digest::sha256_of;

/// Findings and reports concern a patient: nobody but the service's own user reads them.
const MODE: u32 = 0o600;

/// What went wrong with a file, by what a person can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No room on the disk, in the quota or under the process's file size limit.
    Full,
    Denied,
    /// The file or its folder was removed, or its disk is no longer there.
    Gone,
    /// Another process holds the file.
    Busy,
    /// Another program changed the file under our lock.
    Changed,
    Io,
}

impl Trouble {
    pub fn of(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => Self::Full,
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Self::Denied,
            ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::StaleNetworkFileHandle => Self::Gone,
            ErrorKind::ResourceBusy | ErrorKind::WouldBlock => Self::Busy,
            _ => Self::Io,
        }
    }

    /// What to do about it.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Full => "free space on this disk or raise the quota",
            Self::Denied => "give the service's user the right to write there, on a file system mounted for writing",
            Self::Gone => "put the folder or its disk back, or name another in the configuration",
            Self::Busy => "stop the other program that holds it, then try again",
            Self::Changed => "keep other programs from writing to it",
            Self::Io => "check the disk and the system log",
        }
    }
}

/// Names the file, what was tried, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}: {source}; {}", path.display(), trouble.advice())]
pub struct AppendError {
    pub trouble: Trouble,
    pub path: PathBuf,
    doing: &'static str,
    source: io::Error,
}

impl AppendError {
    pub(crate) fn new(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self { trouble: Trouble::of(&source), path: path.to_owned(), doing, source }
    }

    fn plain(trouble: Trouble, doing: &'static str, path: &Path, what: &str) -> Self {
        Self { trouble, path: path.to_owned(), doing, source: io::Error::other(what) }
    }
}

/// An open file that holds whole lines only, locked against a second writer.
#[derive(Debug)]
pub struct AppendFile {
    file: File,
    path: PathBuf,
    /// Where the last whole line ends.
    len: u64,
    /// A write failed and could not be taken back yet.
    torn: bool,
}

impl AppendFile {
    /// Makes the file; one that is already there is an error.
    pub fn create(path: &Path) -> Result<Self, AppendError> {
        Self::lock(path, OpenOptions::new().create_new(true))
    }

    /// Opens a file that is there.
    pub fn open(path: &Path) -> Result<Self, AppendError> {
        Self::lock(path, &mut OpenOptions::new())
    }

    /// Opens the file, or makes it.
    pub fn open_or_create(path: &Path) -> Result<Self, AppendError> {
        Self::lock(path, OpenOptions::new().create(true))
    }

    fn lock(path: &Path, options: &mut OpenOptions) -> Result<Self, AppendError> {
        let fail = |e| AppendError::new("open", path, e);
        let file = options.read(true).append(true).mode(MODE).open(path).map_err(fail)?;
        let meta = file.metadata().map_err(fail)?;
        if !meta.is_file() {
            return Err(AppendError::plain(Trouble::Io, "open", path, "not a plain file"));
        }
        file.try_lock().map_err(|e| fail(e.into()))?;
        Ok(Self { file, path: path.to_owned(), len: meta.len(), torn: false })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// For readers of what is there already.
    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Reads from `offset`, apart from the place where writes go.
    pub fn reader(&self, offset: u64) -> impl Read + '_ {
        FromOffset { file: &self.file, offset }
    }

    /// Appends one line, its newline included. On an error the file is as it was before.
    ///
    /// Kinds: `Full`, `Denied`, `Gone`, `Changed`, `Io`. All may be tried again with the next line.
    pub fn append(&mut self, line: &[u8]) -> Result<(), AppendError> {
        self.check_place()?;
        let mut rest = line;
        while !rest.is_empty() {
            match self.file.write(rest) {
                // A short write is the kernel's way of saying that the next one will fail, and why.
                Ok(n) if n > 0 => rest = &rest[n..],
                Ok(_) => return Err(self.take_back(ErrorKind::WriteZero.into())),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(self.take_back(e)),
            }
        }
        self.len += line.len() as u64;
        Ok(())
    }

    /// Whether the file is still where it was and as long as we left it. Writing to a removed file
    /// succeeds, so only its count of names tells.
    fn check_place(&mut self) -> Result<(), AppendError> {
        let meta = self.file.metadata().map_err(|e| AppendError::new("write to", &self.path, e))?;
        if meta.nlink() == 0 {
            return Err(AppendError::plain(Trouble::Gone, "write to", &self.path, "the file was removed"));
        }
        if self.torn {
            self.file.set_len(self.len).map_err(|e| AppendError::new("cut a torn line off", &self.path, e))?;
            self.torn = false;
        } else if meta.len() != self.len {
            let what = format!("it has {} bytes where {} were written", meta.len(), self.len);
            return Err(AppendError::plain(Trouble::Changed, "write to", &self.path, &what));
        }
        Ok(())
    }

    fn take_back(&mut self, why: io::Error) -> AppendError {
        self.torn = self.file.set_len(self.len).is_err();
        AppendError::new("write to", &self.path, why)
    }

    /// Puts all lines written so far on the disk.
    pub fn sync(&self) -> Result<(), AppendError> {
        self.file.sync_data().map_err(|e| AppendError::new("put on the disk", &self.path, e))
    }

    /// Moves everything from `whole` on to a file of its own beside this one, and cuts it off here.
    ///
    /// The new file's name is `prefix` and the sha256 of its bytes; nothing is ever deleted. After a crash at
    /// any point of this, doing it again gives the same two files.
    pub fn seal(&mut self, whole: u64, prefix: &str) -> Result<PathBuf, AppendError> {
        let digest = sha256_of(self.reader(whole)).map_err(|e| AppendError::new("read", &self.path, e))?;
        let torn = self.path.with_file_name(format!("{prefix}{digest}"));
        let fail = |e| AppendError::new("keep a torn line in", &torn, e);
        let mut kept =
            OpenOptions::new().write(true).create(true).truncate(true).mode(MODE).open(&torn).map_err(fail)?;
        io::copy(&mut self.reader(whole), &mut kept).map_err(fail)?;
        kept.sync_all().map_err(fail)?;
        sync_folder_of(&torn)?;
        let fail = |e| AppendError::new("cut a torn line off", &self.path, e);
        self.file.set_len(whole).map_err(fail)?;
        self.file.sync_all().map_err(fail)?;
        self.len = whole;
        Ok(torn)
    }
}

impl Drop for AppendFile {
    fn drop(&mut self) {
        // Closing alone would leave the lock with a process that another thread is just starting (flock(2): it
        // belongs to the open file, which fork duplicates). When this fails, that is all that happens.
        let _ = self.file.unlock();
    }
}

struct FromOffset<'a> {
    file: &'a File,
    offset: u64,
}

impl Read for FromOffset<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(buffer, self.offset)?;
        self.offset += n as u64;
        Ok(n)
    }
}

/// Puts the folder's own entries on the disk: without it a synced file may have no name after a power cut.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), AppendError> {
    let fail = |e| AppendError::new("put on the disk the folder", folder, e);
    File::open(folder).map_err(fail)?.sync_all().map_err(fail)
}

fn sync_folder_of(file: &Path) -> Result<(), AppendError> {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => sync_folder(folder),
        _ => sync_folder(Path::new(".")),
    }
}

/// Writes a whole file under a temporary name and then gives it its own, so that `path` never names half a file.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), AppendError> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let fail = |e| AppendError::new("write", &part, e);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(MODE).open(&part).map_err(fail)?;
    file.set_permissions(Permissions::from_mode(MODE)).map_err(fail)?;
    file.write_all(bytes).map_err(fail)?;
    file.sync_all().map_err(fail)?;
    std::fs::rename(&part, path).map_err(|e| AppendError::new("rename to", path, e))?;
    sync_folder_of(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_errno_has_its_trouble() {
        use rustix::io::Errno;
        for (errno, trouble) in [
            (Errno::NOSPC, Trouble::Full),
            (Errno::DQUOT, Trouble::Full),
            (Errno::FBIG, Trouble::Full),
            (Errno::ACCESS, Trouble::Denied),
            (Errno::PERM, Trouble::Denied),
            (Errno::ROFS, Trouble::Denied),
            (Errno::NOENT, Trouble::Gone),
            (Errno::STALE, Trouble::Gone),
            (Errno::IO, Trouble::Io),
        ] {
            assert_eq!(Trouble::of(&errno.into()), trouble, "{errno}");
        }
    }

    #[test]
    fn a_file_changed_by_others_is_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        let mut lines = AppendFile::create(&path).unwrap();
        lines.append(b"one\n").unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"foreign\n").unwrap();
        assert_eq!(lines.append(b"two\n").unwrap_err().trouble, Trouble::Changed);
        assert_eq!(std::fs::read(&path).unwrap(), b"one\nforeign\n");
    }

    #[test]
    fn a_removed_file_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        let mut lines = AppendFile::create(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(lines.append(b"two\n").unwrap_err().trouble, Trouble::Gone);
    }

    #[test]
    fn a_second_writer_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        let first = AppendFile::create(&path).unwrap();
        assert_eq!(AppendFile::open(&path).unwrap_err().trouble, Trouble::Busy);
        drop(first);
        AppendFile::open(&path).unwrap();
    }

    #[test]
    fn sealing_twice_gives_the_same_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        std::fs::write(&path, b"one\nha").unwrap();
        let torn = AppendFile::open(&path).unwrap().seal(4, "lines.torn-").unwrap();
        assert_eq!(std::fs::read(&torn).unwrap(), b"ha");
        // As after a crash between keeping the torn line and cutting it off.
        std::fs::write(&path, b"one\nha").unwrap();
        assert_eq!(AppendFile::open(&path).unwrap().seal(4, "lines.torn-").unwrap(), torn);
        assert_eq!(std::fs::read(&path).unwrap(), b"one\n");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
