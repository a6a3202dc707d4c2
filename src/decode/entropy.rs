//! Follows the entropy-coded data of a scan from the first bit to the last without making pixels: every code must
//! exist, every block must fill exactly 64 coefficients, every restart marker must come in its turn, and each
//! interval must end where its last unit ends. A decoder that conceals losses hides precisely this.

use super::huffman::{Bits, STEPS_A_REFILL, Step, Table};
use crate::outcome::Damage;

/// What may be read past the end of the data before the end is looked at: ten blocks of 64 coefficients of at
/// most 26 bits (sixteen of code and ten extra), and a word.
const OVERRUN: usize = 10 * 64 * 26 / 8 + 16;
/// Most stray bytes of any value that are taken as harmless before a marker. Webcams that leave such bytes leave
/// one to a handful ("Corrupt JPEG data: 2 extraneous bytes before marker 0xd9"); longer runs only when all zero.
const MOST_STRAY: usize = 32;

/// The largest DC coefficient of eight-bit samples before quantisation (T.81, A.3.3 and F.1.1.3: eight times the
/// level-shifted sample).
const LARGEST_DC: i32 = 1024;

/// One block in the order of a unit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block<'t> {
    pub(super) component: usize,
    pub(super) dc: &'t Table,
    pub(super) ac: &'t Table,
    pub(super) dc_step: i32,
}

/// A scan to be followed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scan<'t> {
    pub(super) blocks: &'t [Block<'t>],
    pub(super) units: usize,
    /// Units between restart markers; the whole scan when there are none.
    pub(super) interval: usize,
}

/// Bytes that belong to nothing.
pub(super) type Stray = std::ops::Range<usize>;

/// What a followed scan left behind.
#[derive(Debug)]
pub(super) struct Followed {
    /// Where the next marker stands; the end of the bytes when there is none.
    pub(super) end: usize,
    /// Padding was zero bits, against the standard but without harm.
    pub(super) odd_padding: bool,
}

#[derive(Clone, Copy, Debug)]
struct Interval {
    start: usize,
    raw_start: usize,
    raw_end: usize,
}

/// Reused memory of the walk.
#[derive(Debug, Default)]
pub(super) struct Walk {
    plain: Vec<u8>,
    intervals: Vec<Interval>,
}

impl Walk {
    /// Follows the scan whose data begin at `at`. Stray bytes found on the way are added to `strays`.
    pub(super) fn follow(
        &mut self,
        bytes: &[u8],
        at: usize,
        scan: &Scan<'_>,
        strays: &mut Vec<Stray>,
    ) -> Result<Followed, Damage> {
        let end = self.split(bytes, at, scan, strays)?;
        let expected = scan.units.div_ceil(scan.interval);
        let mut odd_padding = false;
        for n in 0..expected {
            let last = n + 1 == expected;
            // An interval too few: the picture ends early. Its predecessors stood in order.
            let interval = *self.intervals.get(n).ok_or(Damage::Cut)?;
            let stop = self.intervals.get(n + 1).map_or(self.plain.len() - OVERRUN, |next| next.start);
            let units = if last { scan.units - n * scan.interval } else { scan.interval };
            let mut bits = Bits::at(&self.plain, interval.start);
            match follow_units(&mut bits, scan.blocks, units, stop * 8) {
                Ok(()) => {}
                Err(Fault::Ended) if n + 1 == self.intervals.len() => return Err(Damage::Cut),
                Err(_) => return Err(Damage::Broken),
            }
            let tail = Tail::after(&bits, &self.plain[..stop]).ok_or(Damage::Broken)?;
            odd_padding |= tail.odd_padding;
            if tail.stray > 0 {
                self.judge_stray(&bits, stop, tail.stray, scan.blocks)?;
                let keep = stop - tail.stray - interval.start;
                strays.push(raw_position(bytes, interval.raw_start, keep)..interval.raw_end);
            }
        }
        Ok(Followed { end, odd_padding })
    }

    /// Takes the stuffing out and finds the intervals; returns where the next other marker stands.
    fn split(&mut self, bytes: &[u8], at: usize, scan: &Scan<'_>, strays: &mut Vec<Stray>) -> Result<usize, Damage> {
        self.plain.clear();
        self.intervals.clear();
        let expected = scan.units.div_ceil(scan.interval);
        let (mut raw_start, mut start, mut from) = (at, 0, at);
        let end = loop {
            let Some(mark) = find_ff(bytes, from) else {
                self.plain.extend_from_slice(&bytes[from..]);
                break bytes.len();
            };
            self.plain.extend_from_slice(&bytes[from..mark]);
            let code_at = mark + bytes[mark..].iter().take_while(|&&b| b == 0xFF).count();
            match bytes.get(code_at) {
                Some(0) => {
                    self.plain.push(0xFF);
                    from = code_at + 1;
                }
                Some(&code @ 0xD0..=0xD7) => {
                    if usize::from(code - 0xD0) != self.intervals.len() % 8 {
                        return Err(Damage::Broken);
                    }
                    self.intervals.push(Interval { start, raw_start, raw_end: mark });
                    (raw_start, start, from) = (code_at + 1, self.plain.len(), code_at + 1);
                }
                _ => break mark,
            }
        };
        self.intervals.push(Interval { start, raw_start, raw_end: end });
        self.drop_closing_restart(expected, strays);
        if self.intervals.len() > expected {
            return Err(Damage::Broken);
        }
        self.plain.resize(self.plain.len() + OVERRUN, 0);
        Ok(end)
    }

    /// Some encoders write a restart marker after the last unit too: a marker without data behind it.
    fn drop_closing_restart(&mut self, expected: usize, strays: &mut Vec<Stray>) {
        let [.., before, last] = self.intervals.as_slice() else { return };
        if self.intervals.len() == expected + 1 && last.start == self.plain.len() {
            strays.push(before.raw_end..last.raw_end);
            self.intervals.pop();
        }
    }

    /// Refuses bytes behind the last unit that may be picture: when reading on from the very bit at which the
    /// units ended gives whole units up to a proper end, then units slipped earlier and these are the rest.
    fn judge_stray(&self, bits: &Bits<'_>, stop: usize, stray: usize, blocks: &[Block<'_>]) -> Result<(), Damage> {
        let bytes = &self.plain[stop - stray..stop];
        if bytes.iter().all(|&b| b == 0) {
            return Ok(());
        }
        if stray > MOST_STRAY {
            return Err(Damage::Broken);
        }
        let mut bits = bits.clone();
        let mut values = [0; 3];
        while follow_unit(&mut bits, blocks, &mut values).is_ok() && bits.position() <= stop * 8 {
            if Tail::after(&bits, &self.plain[..stop]).is_some_and(|t| t.stray == 0) {
                return Err(Damage::Broken);
            }
        }
        Ok(())
    }
}

/// Why a unit could not be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The data ended before it.
    Ended,
    /// No such code, too many coefficients, or a value that no picture has.
    Nonsense,
}

fn follow_units(bits: &mut Bits<'_>, blocks: &[Block<'_>], units: usize, stop: usize) -> Result<(), Fault> {
    let mut values = [0; 3];
    for _ in 0..units {
        let followed = follow_unit(bits, blocks, &mut values);
        if bits.position() > stop {
            return Err(Fault::Ended);
        }
        followed?;
    }
    Ok(())
}

fn follow_unit(bits: &mut Bits<'_>, blocks: &[Block<'_>], values: &mut [i32; 3]) -> Result<(), Fault> {
    for block in blocks {
        bits.refill();
        let size = block.dc.symbol(bits).ok_or(Fault::Nonsense)?;
        let value = &mut values[block.component];
        *value += bits.value(u32::from(size));
        let level = value.saturating_mul(block.dc_step);
        // Encoders round to the nearest step, so the last step may reach past the range.
        if level.abs() > LARGEST_DC + block.dc_step {
            return Err(Fault::Nonsense);
        }
        follow_ac(bits, block.ac)?;
    }
    Ok(())
}

/// Follows the 63 AC coefficients of a block.
fn follow_ac(bits: &mut Bits<'_>, table: &Table) -> Result<(), Fault> {
    let mut coefficient = 1u32;
    loop {
        bits.refill();
        for _ in 0..STEPS_A_REFILL {
            let run = table.run_at(bits);
            let next = coefficient + run.coefficients();
            // A long code, or a block that ends inside the run, is taken as one symbol alone.
            if run.bits() == 0 || next + u32::from(run.ends()) > 64 {
                coefficient = follow_symbol(bits, table, coefficient)?;
            } else {
                bits.skip(run.bits());
                coefficient = if run.ends() { 64 } else { next };
            }
            if coefficient == 64 {
                return Ok(());
            }
        }
    }
}

/// Takes one AC symbol; returns the coefficient after it, 64 at the end of the block.
#[cold]
fn follow_symbol(bits: &mut Bits<'_>, table: &Table, coefficient: u32) -> Result<u32, Fault> {
    bits.refill();
    let step = table.symbol(bits).and_then(Step::of).ok_or(Fault::Nonsense)?;
    bits.skip(step.extra);
    bits.refill();
    match coefficient + step.coefficients {
        _ if step.end => Ok(64),
        next if next <= 64 => Ok(next),
        _ => Err(Fault::Nonsense),
    }
}

/// What stands between the last unit and the marker.
#[derive(Debug)]
struct Tail {
    stray: usize,
    odd_padding: bool,
}

impl Tail {
    /// `None` when the padding of the last byte is neither all ones, as the standard has it, nor, at the very
    /// end, all zeros: then the units ended in the midst of data.
    fn after(bits: &Bits<'_>, bytes: &[u8]) -> Option<Self> {
        let position = bits.position();
        let next = position.div_ceil(8);
        let stray = bytes.len().checked_sub(next)?;
        let width = next * 8 - position;
        if width == 0 {
            return Some(Self { stray, odd_padding: false });
        }
        let mask = (1u8 << width) - 1;
        match bytes[next - 1] & mask {
            padding if padding == mask => Some(Self { stray, odd_padding: false }),
            0 if stray == 0 => Some(Self { stray, odd_padding: true }),
            _ => None,
        }
    }
}

/// Where in the raw bytes the first byte after `plain` unstuffed ones stands.
fn raw_position(bytes: &[u8], start: usize, plain: usize) -> usize {
    let mut at = start;
    for _ in 0..plain {
        if bytes[at] == 0xFF {
            at += bytes[at..].iter().take_while(|&&b| b == 0xFF).count();
        }
        at += 1;
    }
    at
}

/// The first 0xFF at or after `from`, eight bytes at a time.
fn find_ff(bytes: &[u8], from: usize) -> Option<usize> {
    const LOW: u64 = 0x0101_0101_0101_0101;
    let mut at = from;
    for word in bytes[from..].chunks_exact(8) {
        let inverted = !u64::from_le_bytes([word[0], word[1], word[2], word[3], word[4], word[5], word[6], word[7]]);
        let zero = inverted.wrapping_sub(LOW) & !inverted & (LOW << 7);
        if zero != 0 {
            return Some(at + (zero.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
    bytes[at..].iter().position(|&b| b == 0xFF).map(|n| at + n)
}
