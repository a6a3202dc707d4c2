//! Words about devices: what they offer, who holds them, why they are refused, and which colours their pictures bear.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::Serialize;

use super::abi::PixelFormat;
use super::node::DeviceFile;
use super::offers::{self, Sizes};
use crate::capture::devices::{Device, Tree};
use crate::frame::{Colour, Size};

/// What an open device tells beyond what the tree does.
#[derive(Clone, Debug, Serialize)]
pub struct Probed {
    pub formats: Vec<FormatWords>,
}

#[derive(Clone, Debug, Serialize)]
pub struct FormatWords {
    /// The driver's four letters.
    pub code: String,
    pub description: String,
    /// Whether Hairpin can decode it.
    pub read: bool,
    pub sizes: Vec<SizeWords>,
}

#[derive(Clone, Debug, Serialize)]
pub struct SizeWords {
    pub size: Size,
    /// There where the device takes any size from `size` to this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Size>,
    /// Frames a second, fastest first.
    pub frames_per_s: Vec<f64>,
}

/// Opens the device and asks what it offers.
pub fn probe(path: &Path) -> std::io::Result<Probed> {
    let node = DeviceFile::open(path)?;
    let formats = offers::enumerate(&node)?
        .into_iter()
        .map(|offer| FormatWords {
            code: code(offer.code),
            description: offer.description,
            read: offer.format.is_some(),
            sizes: offer.sizes.iter().map(size_words).collect(),
        })
        .collect();
    Ok(Probed { formats })
}

fn size_words(offer: &offers::SizeOffer) -> SizeWords {
    let (size, to) = match offer.sizes {
        Sizes::One(size) => (size, None),
        Sizes::Range(low, high, _) => (low, Some(high)),
    };
    let rates = offer.intervals.iter().filter_map(|interval| interval.per_s());
    // Intervals are whole 100 ns: 30 a second would read 30.00003.
    SizeWords { size, to, frames_per_s: rates.map(|rate| (rate * 100.0).round() / 100.0).collect() }
}

/// The four letters of a format.
pub(super) fn code(code: u32) -> String {
    let letters = code.to_le_bytes();
    let printable = letters.iter().all(|b| b.is_ascii_graphic() || *b == b' ');
    if printable { String::from_utf8_lossy(&letters).trim_end().to_owned() } else { format!("{code:#010x}") }
}

/// Who may open it, and how to become one who may.
pub fn denied(path: &Path) -> String {
    let group = std::fs::metadata(path).ok().map(|file| group(file.gid()));
    let group = group.unwrap_or_else(|| "video".to_owned());
    format!(
        "this user may not open {}: it is for the group {group}; `sudo usermod -aG {group} USER`, then log in again",
        path.display()
    )
}

/// The name of a group, or its number where it has none.
fn group(id: u32) -> String {
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let named = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| id.to_string())
}

/// Who has it.
pub(super) fn busy(device: &Device, tree: &Tree) -> String {
    let own = std::process::id();
    let holders = device.holders(tree).into_iter().filter(|holder| holder.pid != own);
    let holders: Vec<String> = holders.map(|holder| format!("{} (process {})", holder.name, holder.pid)).collect();
    let by = if holders.is_empty() {
        "another program, which this user may not see (`sudo hairpin devices` names it)".to_owned()
    } else {
        holders.join(" and ")
    };
    format!("{} is in use by {by}: one program at a time can have it, so end the other one", device.path.display())
}

/// The colours of uncompressed pictures, by the rules of V4L2's colorspace documentation; what the driver leaves open
/// is BT.601 in the limited range, as UVC has it.
pub(super) fn colour(granted: &PixelFormat) -> Colour {
    const REC709: u32 = 3;
    const JPEG: u32 = 7;
    let bt709 = matches!(granted.ycbcr_encoding, 2 | 4) || granted.ycbcr_encoding == 0 && granted.colorspace == REC709;
    let full = granted.quantization == 1 || granted.quantization == 0 && granted.colorspace == JPEG;
    match (bt709, full) {
        (false, false) => Colour::Bt601Limited,
        (false, true) => Colour::Bt601Full,
        (true, false) => Colour::Bt709Limited,
        (true, true) => Colour::Bt709Full,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_cannot_be_printed_are_told_as_a_number() {
        assert_eq!(code(u32::from_le_bytes(*b"MJPG")), "MJPG");
        assert_eq!(code(u32::from_le_bytes(*b"Y8  ")), "Y8");
        assert_eq!(code(1), "0x00000001");
    }

    #[test]
    fn the_group_of_a_device_is_named() {
        assert_eq!(group(0), "root");
        assert_eq!(group(4_000_000_000), "4000000000");
        assert!(denied(Path::new("/nowhere")).contains("usermod -aG video"));
    }

    #[test]
    fn colours_follow_what_the_driver_says_and_uvc_where_it_says_nothing() {
        let with = |colorspace, ycbcr_encoding, quantization| {
            colour(&PixelFormat { colorspace, ycbcr_encoding, quantization, ..Default::default() })
        };
        assert_eq!(with(0, 0, 0), Colour::Bt601Limited);
        assert_eq!(with(8, 0, 0), Colour::Bt601Limited);
        assert_eq!(with(3, 0, 0), Colour::Bt709Limited);
        assert_eq!(with(3, 1, 0), Colour::Bt601Limited);
        assert_eq!(with(7, 0, 0), Colour::Bt601Full);
        assert_eq!(with(8, 2, 1), Colour::Bt709Full);
    }
}
