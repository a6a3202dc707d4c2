//! The hash chain: each line carries the digest of itself and of all lines before it.

use sha2::{Digest, Sha256};

use crate::digest::{hex, sha256};
use crate::record::ExamId;

const OPENING: &[u8] = b",\"chain\":\"";
const CLOSING: &[u8] = b"\"}";
const HEX: usize = 64;

/// What one line passes on to the next: a sha256 in lowercase hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link(String);

impl Link {
    /// Before the first line: the digest of the exam's id, so that the lines of one exam cannot stand for another.
    pub fn genesis(exam: &ExamId) -> Self {
        Self(sha256(exam.as_str().as_bytes()))
    }

    /// The digest over the link before and the line's own bytes.
    ///
    /// It stands in the line itself, not in the next one: so the last line is guarded like all others, and
    /// a line that does not fit is the wrong one, not its neighbour.
    fn to(&self, body: &[u8]) -> Self {
        Self(hex(&Sha256::new().chain_update(self.0.as_bytes()).chain_update(body).finalize()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Makes a line of a JSON object with at least one member: adds the member `chain` as the last one, and the
/// newline. `object` that is no object is returned as it is.
pub fn seal(before: &Link, mut object: Vec<u8>) -> Result<(Vec<u8>, Link), Vec<u8>> {
    if object.pop_if(|last| *last == b'}').is_none() {
        return Err(object);
    }
    let link = before.to(&object);
    object.extend_from_slice(OPENING);
    object.extend_from_slice(link.as_str().as_bytes());
    object.extend_from_slice(CLOSING);
    object.push(b'\n');
    Ok((object, link))
}

/// The link that a sealed line (without its newline) passes on; `None` when the line is not the one that was
/// sealed after `before`.
pub fn check(before: &Link, line: &[u8]) -> Option<Link> {
    let body = &line[..line.len().checked_sub(OPENING.len() + HEX + CLOSING.len())?];
    let link = before.to(body);
    let tail = &line[body.len()..];
    let told = tail.strip_prefix(OPENING)?.strip_suffix(CLOSING)?;
    (told == link.as_str().as_bytes()).then_some(link)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn genesis() -> Link {
        Link::genesis(&"E1".parse().unwrap())
    }

    /// Computed apart from this code: `printf %s E1 | sha256sum`, then
    /// `printf '%s{"n":1' LINK | sha256sum`.
    #[test]
    fn the_digests_are_those_of_sha256sum() {
        assert_eq!(genesis().as_str(), "22249aa61fd2594e50910aa574afbb977f9df8f7377e6f02e19c72245d899ad8");
        let (line, link) = seal(&genesis(), b"{\"n\":1}".to_vec()).unwrap();
        assert_eq!(link.as_str(), "c4b6b06f688375626d95773d382c40803c5fc94d84e86f5dea8248d2330bbd45");
        assert_eq!(line, format!("{{\"n\":1,\"chain\":\"{}\"}}\n", link.as_str()).into_bytes());
    }

    #[test]
    fn every_flipped_bit_of_a_line_shows() {
        let (mut line, link) = seal(&genesis(), br#"{"n":1,"note":"x"}"#.to_vec()).unwrap();
        line.pop();
        assert_eq!(check(&genesis(), &line), Some(link));
        for bit in 0..line.len() * 8 {
            line[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(check(&genesis(), &line), None, "bit {bit}");
            line[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn a_line_holds_only_after_its_own_predecessor() {
        let (first, link) = seal(&genesis(), b"{\"n\":1}".to_vec()).unwrap();
        let (second, _) = seal(&link, b"{\"n\":2}".to_vec()).unwrap();
        assert!(check(&link, &first[..first.len() - 1]).is_none());
        assert!(check(&genesis(), &second[..second.len() - 1]).is_none());
        assert!(check(&genesis(), b"").is_none());
    }
}
