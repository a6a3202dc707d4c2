//! Motion JPEG. Two witnesses must agree before a picture is taken: our own walk over the markers and every code of
//! the entropy-coded data, and libjpeg-turbo, which must make the pixels without a single warning. Stray bytes
//! are no matter of opinion: they are taken out, and the frame counts as tolerated only if nothing else is wrong.

use turbojpeg::{Decompressor, PixelFormat};

use super::entropy::{Block, Scan, Stray, Walk};
use super::huffman::{Kind, Spec, Table};
use super::markers::{self, Frame, Part, Quantisers};
use super::steps::{Steps, Units};
use super::{DecodeError, Verdict};
use crate::frame::Size;
use crate::outcome::Damage;

/// Most blocks that one unit may hold (T.81, B.2.3).
const MOST_BLOCKS: usize = 10;

/// Reused memory and tables; a steady stream of like frames allocates nothing.
#[derive(Debug)]
pub(super) struct Mjpeg {
    decompressor: Decompressor,
    /// The decompressor keeps tables from frame to frame, we do not.
    decompressor_has_tables: bool,
    tables: Tables,
    walk: Walk,
    strays: Vec<Stray>,
    repaired: Vec<u8>,
    steps: Steps,
}

impl Mjpeg {
    pub(super) fn new() -> Result<Self, DecodeError> {
        Ok(Self {
            decompressor: decompressor()?,
            decompressor_has_tables: false,
            tables: Tables::default(),
            walk: Walk::default(),
            strays: Vec::new(),
            repaired: Vec::new(),
            steps: Steps::default(),
        })
    }

    pub(super) fn decode(&mut self, bytes: &[u8], pixels: &mut Vec<u8>) -> Result<(Size, Verdict), Damage> {
        let header = self.header(bytes)?;
        let survey = self.scan(bytes, &header)?;
        // Leftovers behind a picture are harmless; another whole picture right behind it means that the driver lost the
        // end of the first, and does not know when which of them was taken.
        if bytes[survey.end..].starts_with(&[0xFF, markers::SOI, 0xFF]) {
            return Err(Damage::Merged);
        }
        if self.decompressor_has_tables && survey.lacks_tables {
            self.decompressor = decompressor().map_err(|_| Damage::Broken)?;
            self.decompressor_has_tables = false;
        }
        self.decompressor_has_tables |= header.has_tables;
        let picture = &bytes[..survey.end];
        let picture = if survey.needs_repair {
            repair(picture, &mut self.strays, survey.closed, &mut self.repaired);
            &self.repaired
        } else {
            picture
        };
        let size = header.frame.size;
        pixels.resize(size.pixels() * 3, 0);
        let image = turbojpeg::Image {
            pixels: pixels.as_mut_slice(),
            width: size.width as usize,
            pitch: size.width as usize * 3,
            height: size.height as usize,
            format: PixelFormat::RGB,
        };
        // Any complaint here, warnings too, is about something that the walk did not explain.
        self.decompressor.decompress(picture, image).map_err(|_| Damage::Broken)?;
        if self.steps.found(pixels, size, survey.units) {
            return Err(Damage::Broken);
        }
        let harmless = survey.needs_repair || survey.odd_padding || survey.end < bytes.len();
        Ok((size, if harmless { Verdict::Tolerated } else { Verdict::Clean }))
    }

    /// Reads all segments up to the entropy-coded data.
    fn header<'b>(&mut self, bytes: &'b [u8]) -> Result<Header<'b>, Damage> {
        if !bytes.starts_with(&[0xFF, markers::SOI]) {
            return Err(Damage::Foreign);
        }
        self.tables.begin();
        let (mut at, mut frame, mut interval, mut has_tables) = (2, None, 0, false);
        let mut quantisers = Quantisers::default();
        loop {
            let segment = markers::segment(bytes, at)?;
            at = segment.end;
            match segment.marker {
                markers::SOI => return Err(Damage::Broken),
                markers::EOI => return Err(Damage::Cut),
                markers::DQT => quantisers.define(segment.body)?,
                markers::DHT => {
                    has_tables = true;
                    markers::huffman(segment.body, |kind, slot, spec| self.tables.define(kind, slot, spec))?;
                }
                markers::DRI => {
                    let &[high, low] = segment.body else { return Err(Damage::Broken) };
                    interval = u16::from_be_bytes([high, low]).into();
                }
                markers::SOS => {
                    let frame = frame.ok_or(Damage::Broken)?;
                    return Ok(Header { frame, quantisers, interval, has_tables, scan: segment.body, data: at });
                }
                marker if markers::SOF.contains(&marker) => {
                    let read = Frame::read(segment.body)?;
                    if frame.replace(read).is_some() {
                        return Err(Damage::Broken);
                    }
                }
                _ => {}
            }
        }
    }

    /// Follows the one scan that a motion JPEG frame has. Whatever is missing ends it here, before any pixel is made.
    fn scan(&mut self, bytes: &[u8], header: &Header<'_>) -> Result<Survey, Damage> {
        let frame = &header.frame;
        let (parts, count) = markers::scan(header.scan, frame)?;
        let parts = &parts[..count];
        let mut lacks_tables = false;
        for part in parts {
            lacks_tables |= self.tables.complete(*part)?;
        }
        let block = |part: &Part| self.tables.block(*part, frame, &header.quantisers).ok_or(Damage::Broken);
        let mut blocks = [block(&parts[0])?; MOST_BLOCKS];
        let mut filled = 0;
        for part in parts {
            let next = filled + frame.blocks_of(part.component);
            blocks.get_mut(filled..next).ok_or(Damage::Broken)?.fill(block(part)?);
            filled = next;
        }
        let (width, height) = frame.unit();
        let across = (frame.size.width as usize).div_ceil(width);
        let units = across * (frame.size.height as usize).div_ceil(height);
        let interval = if header.interval == 0 { units } else { header.interval };
        let scan = Scan { blocks: &blocks[..filled], units, interval };
        self.strays.clear();
        let followed = self.walk.follow(bytes, header.data, &scan, &mut self.strays)?;
        let closed = followed.end < bytes.len();
        let end = if closed { markers::segment(bytes, followed.end).and_then(end_of_image)? } else { followed.end };
        Ok(Survey {
            end,
            closed,
            needs_repair: !closed || !self.strays.is_empty(),
            odd_padding: followed.odd_padding,
            lacks_tables,
            units: Units { width, height, across, interval },
        })
    }
}

fn decompressor() -> Result<Decompressor, DecodeError> {
    Decompressor::new().map_err(|source| DecodeError { source: Box::new(source) })
}

fn end_of_image(segment: markers::Segment<'_>) -> Result<usize, Damage> {
    if segment.marker == markers::EOI { Ok(segment.end) } else { Err(Damage::Broken) }
}

/// Writes the frame without its stray bytes and with its end marked.
fn repair(bytes: &[u8], strays: &mut [Stray], closed: bool, repaired: &mut Vec<u8>) {
    strays.sort_unstable_by_key(|stray| stray.start);
    repaired.clear();
    let mut from = 0;
    for stray in strays {
        repaired.extend_from_slice(&bytes[from..stray.start]);
        from = stray.end;
    }
    repaired.extend_from_slice(&bytes[from..]);
    if !closed {
        repaired.extend_from_slice(&[0xFF, markers::EOI]);
    }
}

/// All that stands before the entropy-coded data.
#[derive(Debug)]
struct Header<'b> {
    frame: Frame,
    quantisers: Quantisers,
    /// Units between restart markers; zero without any.
    interval: usize,
    has_tables: bool,
    scan: &'b [u8],
    data: usize,
}

/// What the walk over a frame found.
#[derive(Clone, Copy, Debug)]
struct Survey {
    /// Where the picture ends; what follows is no part of it.
    end: usize,
    /// An end mark was there.
    closed: bool,
    needs_repair: bool,
    odd_padding: bool,
    lacks_tables: bool,
    units: Units,
}

/// The Huffman tables of the frame. A table is built again only when its specification changed.
#[derive(Debug, Default)]
struct Tables {
    dc: [Option<Table>; 4],
    ac: [Option<Table>; 4],
    defined_dc: [bool; 4],
    defined_ac: [bool; 4],
}

impl Tables {
    fn begin(&mut self) {
        (self.defined_dc, self.defined_ac) = ([false; 4], [false; 4]);
    }

    fn define(&mut self, kind: Kind, slot: usize, spec: Spec) {
        let (tables, defined) = match kind {
            Kind::Dc => (&mut self.dc, &mut self.defined_dc),
            Kind::Ac => (&mut self.ac, &mut self.defined_ac),
        };
        defined[slot] = true;
        if tables[slot].as_ref().is_none_or(|table| *table.spec() != spec) {
            tables[slot] = Some(Table::new(spec, kind));
        }
    }

    /// Fills in the standard tables for those that the frame left out; says whether it left any out.
    fn complete(&mut self, part: Part) -> Result<bool, Damage> {
        let mut lacking = false;
        for (kind, slot, defined) in
            [(Kind::Dc, part.dc, self.defined_dc[part.dc]), (Kind::Ac, part.ac, self.defined_ac[part.ac])]
        {
            if !defined {
                lacking = true;
                self.define(kind, slot, Spec::standard(kind, slot).ok_or(Damage::Broken)?);
            }
        }
        Ok(lacking)
    }

    fn block(&self, part: Part, frame: &Frame, quantisers: &Quantisers) -> Option<Block<'_>> {
        let quantiser = frame.components()[part.component].quantiser;
        Some(Block {
            component: part.component,
            dc: self.dc[part.dc].as_ref()?,
            ac: self.ac[part.ac].as_ref()?,
            dc_step: quantisers.dc(quantiser)?.into(),
        })
    }
}
