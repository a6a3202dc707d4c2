//! The frames behind the results, as the camera gave them, byte for byte.

use std::fs::{DirBuilder, File, OpenOptions, remove_file};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::append::{AppendError, sync_folder};
use crate::digest::sha256;
use crate::finger::Finger;
use crate::frame::RawFrame;
use crate::report::Evidence;

pub(super) const FOLDER: &str = "keyframes";

/// A frame bears the same name again after a restart, whose runs count from 0. So many restarts are a defect.
const MOST_NAMESAKES: u32 = 100;

/// Names a frame by its digest alone: for when nothing is recorded.
pub fn unrecorded(frame: &RawFrame) -> Evidence {
    Evidence { frame: frame.id, file: None, sha256: sha256(&frame.bytes) }
}

/// The folder of an exam's frames, and those of them that are not on the disk yet.
#[derive(Debug)]
pub(super) struct Keyframes {
    folder: PathBuf,
    pending: Vec<(PathBuf, File)>,
}

impl Keyframes {
    pub(super) fn of(exam: &Path) -> Result<Self, AppendError> {
        let folder = exam.join(FOLDER);
        match DirBuilder::new().mode(0o700).create(&folder) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => Err(AppendError::new("make the folder", &folder, e)),
            _ => Ok(Self { folder, pending: Vec::new() }),
        }
    }

    /// Writes a frame under a name made of finger, field and frame. On an error no file is left.
    pub(super) fn keep(&mut self, finger: Finger, field: u32, frame: &RawFrame) -> Result<Evidence, AppendError> {
        let (name, path, mut file) = self.make(&format!("{finger}-{field}-{}", frame.id), frame.format.extension())?;
        if let Err(e) = file.write_all(&frame.bytes) {
            // The failed write is the error to tell; a leftover is listed by `verify` as unknown.
            let _ = remove_file(&path);
            return Err(AppendError::new("write", &path, e));
        }
        self.pending.push((path, file));
        Ok(Evidence { file: Some(format!("{FOLDER}/{name}")), ..unrecorded(frame) })
    }

    fn make(&self, stem: &str, ending: &str) -> Result<(String, PathBuf, File), AppendError> {
        let mut namesake = 1;
        loop {
            let name = match namesake {
                1 => format!("{stem}.{ending}"),
                n => format!("{stem}_{n}.{ending}"),
            };
            let path = self.folder.join(&name);
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
                Ok(file) => return Ok((name, path, file)),
                Err(e) if e.kind() == ErrorKind::AlreadyExists && namesake < MOST_NAMESAKES => namesake += 1,
                Err(e) => return Err(AppendError::new("make", &path, e)),
            }
        }
    }

    /// Puts all frames kept so far on the disk, their names too.
    pub(super) fn sync(&mut self) -> Result<(), AppendError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        for (path, file) in &self.pending {
            file.sync_all().map_err(|e| AppendError::new("put on the disk", path, e))?;
        }
        sync_folder(&self.folder)?;
        self.pending.clear();
        Ok(())
    }
}
