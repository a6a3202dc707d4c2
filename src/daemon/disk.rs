//! Room on the disks that are written to: looked at apart from the data, and told before a write fails.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crossbeam_channel::Sender;

use crate::pipeline::stop::Stop;
use crate::report::{Fault, FaultKind};

/// At ten megabytes a second, which is a raw stream kept whole and more than any exam writes, a tenth of the room that
/// is asked for goes in this time.
const LOOK_EVERY: Duration = Duration::from_secs(10);

const MB: u64 = 1_000_000;

/// The disks, and how much has to be free on each.
#[derive(Debug)]
pub struct Disks {
    /// Folders or files on them.
    pub paths: Vec<PathBuf>,
    pub least_mb: u64,
}

impl Disks {
    /// Looks until a stop is asked for, on a thread that nobody waits for: a disk that does not answer holds it up alone.
    pub fn watch(self, faults: Sender<Fault>, stop: Stop) -> io::Result<()> {
        let mut watch = Watch { least_mb: self.least_mb, low: false };
        let look = move || {
            loop {
                let told = self.paths.iter().filter_map(|path| Some((path.as_path(), free_mb(path)?)));
                // Nobody hears it any more: the exam thread has ended.
                if watch.judge(told).is_some_and(|fault| faults.send(fault).is_err()) || stop.wait(LOOK_EVERY) {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("disks".to_owned()).spawn(look).map(drop)
    }
}

/// What this user may still write there. A disk that cannot be asked is told of when it cannot be written to.
fn free_mb(path: &Path) -> Option<u64> {
    let asked =
        rustix::fs::statvfs(path).inspect_err(|error| tracing::debug!(%error, path = %path.display(), "no room told"));
    asked.ok().map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) / MB)
}

struct Watch {
    least_mb: u64,
    low: bool,
}

impl Watch {
    /// What is to be told of the disk with the least room, if anything is. It is well again with a tenth more than it
    /// had to have, so that it does not come and go.
    fn judge<'a>(&mut self, free_mb: impl Iterator<Item = (&'a Path, u64)>) -> Option<Fault> {
        let (path, free) = free_mb.min_by_key(|(_, free)| *free)?;
        let enough = if self.low { self.least_mb + self.least_mb / 10 } else { self.least_mb };
        let low = free < enough;
        (std::mem::replace(&mut self.low, low) != low).then(|| fault(path, free, self.least_mb, !low))
    }
}

fn fault(path: &Path, free: u64, least: u64, cleared: bool) -> Fault {
    let disk = format!("{free} MB are free on the disk of {}", path.display());
    Fault {
        kind: FaultKind::Disk,
        message: if cleared { disk } else { format!("{disk}: less than the {least} MB of record.least_free_mb") },
        action: "free space there, or move closed exams to another disk, each with its whole folder: on a full disk \
                 nothing more is recorded"
            .to_owned(),
        cleared,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_room_is_told_once_and_is_over_with_a_tenth_more() {
        let mut watch = Watch { least_mb: 1000, low: false };
        let (exams, lines) = (Path::new("/exams"), Path::new("/lines"));
        let told: Vec<Option<(String, bool)>> =
            [(5000, 1000), (5000, 999), (5000, 400), (5000, 1050), (999, 5000), (5000, 1100), (5000, 1000)]
                .into_iter()
                .map(|(a, b)| watch.judge([(exams, a), (lines, b)].into_iter()).map(|f| (f.message, f.cleared)))
                .collect();
        let low = "999 MB are free on the disk of /lines: less than the 1000 MB of record.least_free_mb".to_owned();
        let over = "1100 MB are free on the disk of /lines".to_owned();
        assert_eq!(told, [None, Some((low, false)), None, None, None, Some((over, true)), None]);
        assert_eq!(watch.judge(std::iter::empty()), None);
    }

    #[test]
    fn a_disk_tells_its_room_and_what_is_not_there_tells_none() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free_mb(folder.path()).is_some());
        assert_eq!(free_mb(&folder.path().join("none")), None);
    }
}
