//! The scales that were measured: one line of JSON each, in one file that only grows. The newest line of a device, a
//! magnification and a picture size holds; when it has expired there is no scale, and never the one before it.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::frame::Size;
use crate::scale::{Scale, ScaleMethod, UM_PER_PX_RANGE};

/// Of the lines; raised when an old reader could misread a new one.
const SCHEMA: u32 = 1;

/// What a scale belongs to. Another picture size may be a cut of the sensor or a reduction of it, so that a scale does
/// not carry over from one to the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// As `hairpin devices` names it: `usb:VID:PID[:SERIAL][@PORT]`.
    pub device: String,
    /// As the lens says it: `200x`.
    pub magnification: String,
    pub size: Size,
}

/// One calibration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub schema: u32,
    pub key: Key,
    pub um_per_px: f64,
    pub how: ScaleMethod,
    pub when: jiff::Timestamp,
    pub by: String,
    pub expires: jiff::Timestamp,
    /// Relative standard error of the spacing; absent where two points were given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative_error: Option<f64>,
}

impl Entry {
    pub fn new(key: Key, um_per_px: f64, how: ScaleMethod, by: String, when: jiff::Timestamp, days: u32) -> Self {
        let expires = when + jiff::SignedDuration::from_hours(24 * i64::from(days));
        Self { schema: SCHEMA, key, um_per_px, how, when, by, expires, relative_error: None }
    }

    fn scale(&self) -> Option<Scale> {
        let scale = Scale::new(self.um_per_px, self.how)?;
        Some(Scale { when: Some(self.when), by: Some(self.by.clone()), until: Some(self.expires), ..scale })
    }
}

/// Why there is no scale.
#[derive(Debug, thiserror::Error)]
pub enum NoScale {
    #[error("no calibration of {} at {} and {} in {}: run `hairpin calibrate`", key.device, key.magnification, key.size, path.display())]
    None { key: Box<Key>, path: PathBuf },
    #[error("the calibration of {} at {} expired on {expires}: run `hairpin calibrate` again", key.device, key.magnification)]
    Expired { key: Box<Key>, expires: jiff::Timestamp },
    #[error(transparent)]
    Unreadable(#[from] StoreError),
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot read or write the calibrations in {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    /// A calibration that cannot be read may have been the newest: none of the others may stand in for it.
    #[error("{}:{line} is no calibration ({why}): mend or move the file, then calibrate again", path.display())]
    Damaged { path: PathBuf, line: usize, why: String },
}

pub struct Store {
    path: PathBuf,
}

impl Store {
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// All calibrations, oldest first; none where there is no file yet.
    pub fn entries(&self) -> Result<Vec<Entry>, StoreError> {
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(StoreError::Io { path: self.path.clone(), source }),
        };
        text.lines().enumerate().map(|(index, line)| self.entry(index + 1, line)).collect()
    }

    fn entry(&self, line: usize, text: &str) -> Result<Entry, StoreError> {
        let damaged = |why: String| StoreError::Damaged { path: self.path.clone(), line, why };
        let entry: Entry = serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
        if entry.schema != SCHEMA {
            return Err(damaged(format!("its schema is {}, not {SCHEMA}", entry.schema)));
        }
        if !UM_PER_PX_RANGE.contains(&entry.um_per_px) {
            return Err(damaged(format!("{} um per pixel is no scale of a microscope", entry.um_per_px)));
        }
        Ok(entry)
    }

    /// The scale that holds at `now`.
    pub fn scale(&self, key: &Key, now: jiff::Timestamp) -> Result<Scale, NoScale> {
        let newest = self.entries()?.into_iter().rfind(|entry| entry.key == *key);
        let none = || NoScale::None { key: Box::new(key.clone()), path: self.path.clone() };
        let newest = newest.ok_or_else(none)?;
        if newest.expires <= now {
            return Err(NoScale::Expired { key: Box::new(key.clone()), expires: newest.expires });
        }
        newest.scale().ok_or_else(none)
    }

    /// Adds a line, on the disk when this returns.
    pub fn add(&self, entry: &Entry) -> Result<(), StoreError> {
        let failed = |source| StoreError::Io { path: self.path.clone(), source };
        // What stands there must be readable, or the new line would follow on a torn one.
        self.entries()?;
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let mut line = serde_json::to_string(entry).map_err(|e| failed(e.into()))?;
        line.push('\n');
        let mut file = OpenOptions::new().append(true).create(true).open(&self.path).map_err(failed)?;
        file.write_all(line.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(magnification: &str) -> Key {
        let device = "usb:1d6b:0104:RIG0001".to_owned();
        Key { device, magnification: magnification.to_owned(), size: Size::new(1280, 1024) }
    }

    fn at(day: i64) -> jiff::Timestamp {
        jiff::Timestamp::from_second(1_790_000_000 + day * 86_400).unwrap()
    }

    fn entry(um_per_px: f64, day: i64) -> Entry {
        Entry::new(key("200x"), um_per_px, ScaleMethod::StageMicrometer, "op-1".to_owned(), at(day), 30)
    }

    #[test]
    fn the_newest_holds_until_it_expires_and_then_none_does() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(&folder.path().join("new/scales.jsonl"));
        assert!(matches!(store.scale(&key("200x"), at(0)), Err(NoScale::None { .. })));
        // The older one outlives the newer one here; it is not gone back to all the same.
        store.add(&Entry { expires: at(999), ..entry(1.30, 0) }).unwrap();
        store.add(&entry(1.25, 1)).unwrap();
        let scale = store.scale(&key("200x"), at(2)).unwrap();
        assert_eq!((scale.um_per_px, scale.by.as_deref(), scale.when), (1.25, Some("op-1"), Some(at(1))));
        assert_eq!(scale.until, Some(at(31)));
        assert!(matches!(store.scale(&key("200x"), at(31)), Err(NoScale::Expired { .. })));
        assert!(store.scale(&key("300x"), at(2)).is_err());
        let smaller = Key { size: Size::new(640, 480), ..key("200x") };
        assert!(store.scale(&smaller, at(2)).is_err());
    }

    #[test]
    fn a_damaged_line_is_an_error_that_names_it_and_nothing_is_added_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scales.jsonl");
        let store = Store::at(&path);
        store.add(&entry(1.25, 1)).unwrap();
        let good = std::fs::read_to_string(&path).unwrap();
        for bad in ["{\"schema\":1", &good.replace("1.25", "125.0"), &good.replace("\"schema\":1", "\"schema\":2")] {
            std::fs::write(&path, format!("{good}{bad}")).unwrap();
            let error = store.scale(&key("200x"), at(2)).unwrap_err().to_string();
            assert!(error.contains("scales.jsonl:2"), "{error}");
            assert!(store.add(&entry(1.2, 2)).is_err());
        }
    }
}
