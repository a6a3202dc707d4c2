//! Whether a Linux library file is whole. The loader maps it and touches what the headers promise, so that a file
//! cut short by a broken download would end the process (SIGBUS) instead of giving an error.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Length of an ELF header of 64 bits (System V ABI, "ELF Header").
const HEADER: usize = 64;

/// `Err` when the file is shorter than its own headers say. Files that are no 64-bit little-endian ELF are left
/// to the loader.
pub(super) fn check_whole(path: &Path) -> Result<(), String> {
    let read = || -> io::Result<(u64, [u8; HEADER])> {
        let mut file = File::open(path)?;
        let mut header = [0; HEADER];
        let length = file.metadata()?.len();
        if length >= HEADER as u64 {
            file.read_exact(&mut header)?;
        }
        Ok((length, header))
    };
    let (length, header) = read().map_err(|e| e.to_string())?;
    let promised = promised_length(&header).unwrap_or(0);
    if length < promised {
        return Err(format!("the file is cut short: expected at least {promised} bytes, found {length}"));
    }
    Ok(())
}

/// Where the table of sections ends, which linkers write last.
fn promised_length(header: &[u8; HEADER]) -> Option<u64> {
    if !header.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let offset = u64::from_le_bytes(header[40..48].try_into().ok()?);
    let entry = u64::from(u16::from_le_bytes(header[58..60].try_into().ok()?));
    let entries = u64::from(u16::from_le_bytes(header[60..62].try_into().ok()?));
    offset.checked_add(entry * entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(all(target_os = "linux", target_pointer_width = "64", target_endian = "little"))]
    #[test]
    fn a_cut_program_is_told_from_a_whole_one() {
        let whole = std::env::current_exe().unwrap();
        assert_eq!(check_whole(&whole), Ok(()));
        let bytes = std::fs::read(whole).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let cut = folder.path().join("cut");
        std::fs::write(&cut, &bytes[..bytes.len() - 1]).unwrap();
        let message = check_whole(&cut).unwrap_err();
        assert!(message.contains(&format!("found {}", bytes.len() - 1)), "{message}");
    }

    #[test]
    fn other_files_are_left_to_the_loader() {
        let folder = tempfile::tempdir().unwrap();
        for bytes in [&b""[..], b"text", &[0x7f; 100]] {
            std::fs::write(folder.path().join("file"), bytes).unwrap();
            assert_eq!(check_whole(&folder.path().join("file")), Ok(()));
        }
    }
}
