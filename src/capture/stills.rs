//! Files of a recording: which kind each is, told by its first bytes; those of a folder in the order in which a
//! person would count them; and one picture read whole.

use std::cmp::Ordering;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::mjpeg_stream::{Splitter, jpeg_size};
use super::{CaptureError, CaptureErrorKind, MAX_FRAME_BYTES, sidecar};
use crate::frame::{Format, Size};

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Still(Format),
    Avi,
    /// Motion JPEG without a container.
    Stream,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    /// Below the folder, parts joined by `/`; the file's own name when there is no folder.
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// A file of the folder that is not played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    pub path: PathBuf,
    pub why: String,
}

/// `Ok(None)` for what is no picture and no film.
pub(super) fn kind_of(path: &Path) -> io::Result<Option<Kind>> {
    let mut first = Vec::new();
    File::open(path)?.take(32).read_to_end(&mut first)?;
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    Ok(match by_magic(&first) {
        Some(Kind::Still(Format::Mjpeg)) => match ending.as_str() {
            "jpg" | "jpeg" => Some(Kind::Still(Format::Mjpeg)),
            "mjpeg" | "mjpg" => Some(Kind::Stream),
            _ if several(path)? => Some(Kind::Stream),
            _ => Some(Kind::Still(Format::Mjpeg)),
        },
        Some(kind) => Some(kind),
        // A picture whose first bytes are gone must be counted as damaged; skipping it would hide the loss.
        None => match ending.as_str() {
            "jpg" | "jpeg" => Some(Kind::Still(Format::Mjpeg)),
            "png" => Some(Kind::Still(Format::Png)),
            "tif" | "tiff" => Some(Kind::Still(Format::Tiff)),
            "bmp" => Some(Kind::Still(Format::Bmp)),
            "mjpeg" | "mjpg" => Some(Kind::Stream),
            _ => None,
        },
    })
}

fn by_magic(first: &[u8]) -> Option<Kind> {
    let at = |offset: usize, what: &[u8]| first.get(offset..).is_some_and(|rest| rest.starts_with(what));
    if at(0, &[0xFF, 0xD8, 0xFF]) {
        Some(Kind::Still(Format::Mjpeg))
    } else if at(0, b"\x89PNG\r\n\x1a\n") {
        Some(Kind::Still(Format::Png))
    } else if [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"].iter().any(|m| at(0, *m)) {
        Some(Kind::Still(Format::Tiff))
    } else if at(0, b"RIFF") && at(8, b"AVI ") {
        Some(Kind::Avi)
    } else if at(0, b"BM") && first.get(14).is_some_and(|n| [12, 40, 52, 56, 64, 108, 124].contains(n)) {
        // Two letters begin many texts; the size of the header that follows is one of few.
        Some(Kind::Still(Format::Bmp))
    } else {
        None
    }
}

/// Whether a file that begins with a JPEG holds another one after it.
fn several(path: &Path) -> io::Result<bool> {
    let mut splitter = Splitter::new(File::open(path)?);
    let mut picture = Vec::new();
    Ok(splitter.next(&mut picture)?.is_some() && splitter.next(&mut picture)?.is_some())
}

/// The files of a folder and of the folders directly in it, in natural order. Deeper ones are not entered, so
/// that a link to a folder above cannot lead in circles.
pub(super) fn scan(folder: &Path) -> Result<(Vec<Found>, Vec<Skipped>), CaptureError> {
    let mut found = Vec::new();
    let mut skipped = Vec::new();
    for (path, name) in entries(folder)? {
        let inner = path.is_dir() && !name.starts_with('.');
        if inner {
            for (path, below) in entries(&path)? {
                sort_out(path, format!("{name}/{below}"), &mut found, &mut skipped)?;
            }
        } else {
            sort_out(path, name, &mut found, &mut skipped)?;
        }
    }
    found.sort_by(|a, b| natural(&a.name, &b.name));
    skipped.sort_by(|a, b| a.path.cmp(&b.path));
    Ok((found, skipped))
}

fn entries(folder: &Path) -> Result<Vec<(PathBuf, String)>, CaptureError> {
    let failed = |e| CaptureError::io(format!("cannot list the folder {}", folder.display()), e);
    std::fs::read_dir(folder)
        .map_err(failed)?
        .map(|entry| entry.map(|e| (e.path(), e.file_name().to_string_lossy().into_owned())).map_err(failed))
        .collect()
}

fn sort_out(
    path: PathBuf,
    name: String,
    found: &mut Vec<Found>,
    skipped: &mut Vec<Skipped>,
) -> Result<(), CaptureError> {
    let file_name = name.rsplit('/').next().unwrap_or(&name);
    if name == sidecar::IN_FOLDER {
        return Ok(());
    }
    let why = if file_name.starts_with('.') {
        "hidden"
    } else if file_name.ends_with(".toml") {
        "in a folder only its own replay.toml is read"
    } else if path.is_dir() {
        "folders within folders are not entered"
    } else if !path.exists() {
        "a link that leads nowhere"
    } else if !path.is_file() {
        "neither a file nor a folder"
    } else {
        match kind_of(&path) {
            Ok(Some(kind)) => {
                found.push(Found { path, name, kind });
                return Ok(());
            }
            Ok(None) => "no picture and no film that is known here",
            Err(error) => return Err(CaptureError::io(format!("cannot read {}", path.display()), error)),
        }
    };
    skipped.push(Skipped { path, why: why.to_owned() });
    Ok(())
}

/// `img2` before `img10`, folder by folder; case matters only between names that are otherwise equal.
pub(super) fn natural(a: &str, b: &str) -> Ordering {
    let mut ours = a.split('/');
    let mut theirs = b.split('/');
    loop {
        match (ours.next(), theirs.next()) {
            (Some(x), Some(y)) => match natural_part(x, y) {
                Ordering::Equal => {}
                order => return order,
            },
            (None, None) => return a.cmp(b),
            (x, y) => return x.is_some().cmp(&y.is_some()),
        }
    }
}

fn natural_part(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while let (Some(x), Some(y)) = (a.first(), b.first()) {
        let order = if x.is_ascii_digit() && y.is_ascii_digit() {
            let (m, n) = (number(&mut a), number(&mut b));
            m.len().cmp(&n.len()).then(m.cmp(n))
        } else {
            a = &a[1..];
            b = &b[1..];
            x.to_ascii_lowercase().cmp(&y.to_ascii_lowercase())
        };
        if order.is_ne() {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

/// Takes the digits from the front, and gives them without leading zeros.
fn number<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let end = text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    let zeros = digits.iter().position(|&b| b != b'0').unwrap_or(digits.len());
    &digits[zeros..]
}

/// Reads one picture into `out`; false when it is larger than any frame or changed while it was read.
pub(super) fn read(path: &Path, out: &mut Vec<u8>) -> Result<bool, CaptureError> {
    let failed = |e| CaptureError::io(format!("cannot read {}", path.display()), e);
    let file = File::open(path).map_err(failed)?;
    let before = file.metadata().map_err(failed)?;
    if !before.is_file() {
        return Err(CaptureError::new(
            CaptureErrorKind::Unsupported,
            format!("{} is no longer a plain file", path.display()),
        ));
    }
    out.clear();
    if before.len() > MAX_FRAME_BYTES {
        return Ok(false);
    }
    // One byte more than there should be, so that a file that grows cannot go unseen or fill the memory.
    (&file).take(before.len() + 1).read_to_end(out).map_err(failed)?;
    let after = file.metadata().map_err(failed)?;
    Ok(out.len() as u64 == before.len() && after.len() == before.len() && same_moment(&before, &after))
}

fn same_moment(before: &std::fs::Metadata, after: &std::fs::Metadata) -> bool {
    before.modified().ok() == after.modified().ok()
}

/// Width and height as the picture's own header gives them, where they stand in a fixed place.
pub(super) fn picture_size(format: Format, bytes: &[u8]) -> Option<Size> {
    let four = |at: usize| bytes.get(at..)?.first_chunk::<4>().copied();
    match format {
        Format::Mjpeg => jpeg_size(bytes),
        Format::Png => Some(Size::new(u32::from_be_bytes(four(16)?), u32::from_be_bytes(four(20)?))),
        // The oldest header, of 12 bytes, has 16-bit sizes; what is written today has at least 40.
        Format::Bmp if *bytes.get(14)? >= 40 => {
            Some(Size::new(u32::from_le_bytes(four(18)?), i32::from_le_bytes(four(22)?).unsigned_abs()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ordered_as_a_person_counts() {
        let mut names =
            vec!["img10.jpg", "R2/a.png", "img2.jpg", "Img1.jpg", "img02b.jpg", "R10/a.png", "img.jpg", "R2/a10.png"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(
            names,
            ["img.jpg", "Img1.jpg", "img2.jpg", "img02b.jpg", "img10.jpg", "R2/a.png", "R2/a10.png", "R10/a.png"]
        );
    }

    #[test]
    fn the_order_of_names_is_total() {
        assert_eq!(natural("a01", "a1"), "a01".cmp("a1"));
        assert_eq!(natural("a1", "a1"), Ordering::Equal);
        assert_eq!(natural("a", "a/b"), Ordering::Less);
        assert_ne!(natural("A1", "a1"), Ordering::Equal);
    }

    #[test]
    fn the_first_bytes_tell_the_kind() {
        let bmp = [b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0".as_slice(), &[0; 8]].concat();
        for (bytes, kind) in [
            (b"\xFF\xD8\xFF\xE0".as_slice(), Some(Kind::Still(Format::Mjpeg))),
            (b"\x89PNG\r\n\x1a\n\0\0", Some(Kind::Still(Format::Png))),
            (b"MM\0*", Some(Kind::Still(Format::Tiff))),
            (&bmp, Some(Kind::Still(Format::Bmp))),
            (b"RIFF\0\0\0\0AVI LIST", Some(Kind::Avi)),
            (b"RIFF\0\0\0\0WAVEfmt ", None),
            (b"BMW and other cars are not pictures", None),
            (b"", None),
        ] {
            assert_eq!(by_magic(bytes), kind, "{bytes:?}");
        }
    }

    #[test]
    fn a_number_longer_than_any_integer_is_still_a_number() {
        let long = "9".repeat(60);
        assert_eq!(natural(&format!("a{long}"), &format!("a{long}0")), Ordering::Less);
    }
}
