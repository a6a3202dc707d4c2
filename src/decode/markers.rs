//! The segments of a JPEG frame: tables, dimensions, restart interval and the parts of a scan, read strictly and
//! without allocating, so that a frame is known before a byte of memory is asked for it.

use super::huffman::{Kind, Spec};
use super::size_is_read;
use crate::frame::Size;
use crate::outcome::Damage;

pub(super) const SOI: u8 = 0xD8;
pub(super) const EOI: u8 = 0xD9;
pub(super) const DHT: u8 = 0xC4;
pub(super) const DQT: u8 = 0xDB;
pub(super) const DRI: u8 = 0xDD;
pub(super) const SOS: u8 = 0xDA;
/// Sequential frames with Huffman codes: baseline and extended.
pub(super) const SOF: std::ops::RangeInclusive<u8> = 0xC0..=0xC1;
const APP_AND_COM: [std::ops::RangeInclusive<u8>; 2] = [0xE0..=0xEF, 0xFE..=0xFE];

/// A colour component of the frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Component {
    pub(super) id: u8,
    pub(super) across: usize,
    pub(super) down: usize,
    pub(super) quantiser: usize,
}

/// The frame header: dimensions and up to three components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) size: Size,
    components: [Component; 3],
    count: usize,
}

impl Frame {
    pub(super) fn components(&self) -> &[Component] {
        &self.components[..self.count]
    }

    /// Width and height in pixels of one unit of a scan that holds all components (T.81, A.2).
    pub(super) fn unit(&self) -> (usize, usize) {
        match self.components() {
            [_] => (8, 8),
            components => components.iter().fold((8, 8), |(width, height), component| {
                (width.max(8 * component.across), height.max(8 * component.down))
            }),
        }
    }

    /// How many blocks of a component one unit holds.
    pub(super) fn blocks_of(&self, component: usize) -> usize {
        match self.components() {
            [_] => 1,
            components => components[component].across * components[component].down,
        }
    }

    /// Reads a frame header. `Foreign` for what no motion JPEG camera sends (twelve bits, four components),
    /// `Size` for pictures outside the limits.
    pub(super) fn read(body: &[u8]) -> Result<Self, Damage> {
        let [precision, h1, h0, w1, w0, count, rest @ ..] = body else { return Err(Damage::Broken) };
        if *precision != 8 || !matches!(count, 1 | 3) {
            return Err(Damage::Foreign);
        }
        let count = usize::from(*count);
        if rest.len() != count * 3 {
            return Err(Damage::Broken);
        }
        let size = Size::new(u16::from_be_bytes([*w1, *w0]).into(), u16::from_be_bytes([*h1, *h0]).into());
        if !size_is_read(size) {
            return Err(Damage::Size);
        }
        let mut frame = Self { size, components: [Component::default(); 3], count };
        for (component, bytes) in frame.components.iter_mut().zip(rest.chunks_exact(3)) {
            *component = Component {
                id: bytes[0],
                across: usize::from(bytes[1] >> 4),
                down: usize::from(bytes[1] & 15),
                quantiser: usize::from(bytes[2]),
            };
            if !(1..=4).contains(&component.across) || !(1..=4).contains(&component.down) || component.quantiser > 3 {
                return Err(Damage::Broken);
            }
        }
        Ok(frame)
    }
}

/// One component of a scan, as an index into the frame's components, with its Huffman tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) component: usize,
    pub(super) dc: usize,
    pub(super) ac: usize,
}

/// Reads the header of a scan of all components; the parts beyond the returned count are meaningless. `Foreign`
/// for a frame that gives each component its own scan, which no camera does.
pub(super) fn scan(body: &[u8], frame: &Frame) -> Result<([Part; 3], usize), Damage> {
    let (&count, rest) = body.split_first().ok_or(Damage::Broken)?;
    let count = usize::from(count);
    if count == 0 || count > frame.components().len() || rest.len() != count * 2 + 3 {
        return Err(Damage::Broken);
    }
    if count < frame.components().len() {
        return Err(Damage::Foreign);
    }
    // Start and end of the spectrum and the bit position: anything else belongs to progressive frames.
    if rest[count * 2..] != [0, 63, 0] {
        return Err(Damage::Broken);
    }
    let mut parts = [Part::default(); 3];
    let described = frame.components().iter().enumerate().zip(rest.chunks_exact(2));
    for (part, ((component, Component { id, .. }), bytes)) in parts.iter_mut().zip(described) {
        // The order of the frame header is the order of the scan (T.81, B.2.3).
        if *id != bytes[0] {
            return Err(Damage::Broken);
        }
        *part = Part { component, dc: usize::from(bytes[1] >> 4), ac: usize::from(bytes[1] & 15) };
        if part.dc > 3 || part.ac > 3 {
            return Err(Damage::Broken);
        }
    }
    Ok((parts, count))
}

/// The DC step of each quantisation table; the others do not matter to a check.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Quantisers {
    dc: [Option<u16>; 4],
}

impl Quantisers {
    pub(super) fn dc(&self, slot: usize) -> Option<u16> {
        self.dc.get(slot).copied().flatten()
    }

    pub(super) fn define(&mut self, mut body: &[u8]) -> Result<(), Damage> {
        while let Some((&head, rest)) = body.split_first() {
            let (wide, slot) = (head >> 4, usize::from(head & 15));
            let length = if wide == 0 { 64 } else { 128 };
            if wide > 1 || slot > 3 || rest.len() < length {
                return Err(Damage::Broken);
            }
            let (table, after) = rest.split_at(length);
            let zero = if wide == 0 { table.contains(&0) } else { table.chunks(2).any(|step| step == [0, 0]) };
            if zero {
                return Err(Damage::Broken);
            }
            self.dc[slot] = Some(if wide == 0 { table[0].into() } else { u16::from_be_bytes([table[0], table[1]]) });
            body = after;
        }
        Ok(())
    }
}

/// Goes through the tables of a DHT segment.
pub(super) fn huffman(mut body: &[u8], mut define: impl FnMut(Kind, usize, Spec)) -> Result<(), Damage> {
    while let Some((&head, rest)) = body.split_first() {
        let kind = match head >> 4 {
            0 => Kind::Dc,
            1 => Kind::Ac,
            _ => return Err(Damage::Broken),
        };
        let slot = usize::from(head & 15);
        let (counts, rest) = rest.split_first_chunk::<16>().ok_or(Damage::Broken)?;
        let total: usize = counts.iter().map(|&n| usize::from(n)).sum();
        if slot > 3 || total > rest.len() {
            return Err(Damage::Broken);
        }
        let (symbols, after) = rest.split_at(total);
        // Eleven is the largest DC difference of eight-bit samples (T.81, table F.1); ten the largest AC value.
        let sizes_fit = symbols.iter().all(|s| if kind == Kind::Dc { *s <= 11 } else { s & 15 <= 10 });
        let spec = Spec::new(counts, symbols).filter(|_| sizes_fit).ok_or(Damage::Broken)?;
        define(kind, slot, spec);
        body = after;
    }
    Ok(())
}

/// One marker with its parameters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'a> {
    pub(super) marker: u8,
    pub(super) body: &'a [u8],
    /// Where the next marker, or the entropy-coded data of a scan, begins.
    pub(super) end: usize,
}

/// Reads the segment that begins at `at`. `Cut` when the frame ends inside it.
pub(super) fn segment(bytes: &[u8], at: usize) -> Result<Segment<'_>, Damage> {
    let mut marker_at = at + 1;
    if *bytes.get(at).ok_or(Damage::Cut)? != 0xFF {
        return Err(Damage::Broken);
    }
    // Any number of fill bytes may stand before a marker (T.81, B.1.1.2).
    while *bytes.get(marker_at).ok_or(Damage::Cut)? == 0xFF {
        marker_at += 1;
    }
    let marker = bytes[marker_at];
    let start = marker_at + 1;
    if matches!(marker, SOI | EOI) {
        return Ok(Segment { marker, body: &[], end: start });
    }
    let known = SOF.contains(&marker)
        || matches!(marker, DHT | DQT | DRI | SOS)
        || APP_AND_COM.iter().any(|range| range.contains(&marker));
    if !known {
        // The other frame kinds (progressive, lossless, arithmetic) are whole pictures, but not motion JPEG.
        return Err(if (0xC2..=0xCF).contains(&marker) { Damage::Foreign } else { Damage::Broken });
    }
    let length = bytes.get(start..start + 2).ok_or(Damage::Cut)?;
    let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
    if length < 2 {
        return Err(Damage::Broken);
    }
    let body = bytes.get(start + 2..start + length).ok_or(Damage::Cut)?;
    Ok(Segment { marker, body, end: start + length })
}
