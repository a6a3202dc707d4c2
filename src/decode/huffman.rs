//! Huffman tables of a JPEG and the bit reader over unstuffed entropy data. Only what a check needs: where each
//! symbol ends and how far it moves through the block; coefficients themselves are the decoder's business.

/// Bits looked up at once for one symbol. Ten to twelve were equal in time; codes longer than this are rare.
const CODE_BITS: u32 = 11;
/// Bits looked up at once for a run of AC symbols: two tables of 8192 entries of two bytes fill a 32 KiB
/// first-level cache, and at usual qualities an entry holds two to three symbols.
pub(super) const RUN_BITS: u32 = 13;
/// Steps of [`RUN_BITS`] that one [`Bits::refill`] pays for.
pub(super) const STEPS_A_REFILL: u32 = 56 / RUN_BITS;
/// The longest code and the longest extra bits of one symbol (ITU-T T.81, F.1.2).
const LONGEST_CODE: u32 = 16;

/// Code counts by length and the symbols in code order, as a DHT segment gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spec {
    counts: [u8; 16],
    symbols: [u8; 256],
}

impl Spec {
    /// `None` when the codes do not fit into sixteen bits or there are more symbols than a byte can name.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let total: usize = counts.iter().map(|&n| usize::from(n)).sum();
        if total == 0 || total > 256 || symbols.len() != total {
            return None;
        }
        let mut code = 0u32;
        for (i, &n) in counts.iter().enumerate() {
            code += u32::from(n);
            // The code of all ones is kept free (T.81, annex C), and so are codes past the end.
            if code > (1 << (i + 1)) {
                return None;
            }
            code <<= 1;
        }
        let mut all = [0; 256];
        all[..total].copy_from_slice(symbols);
        Some(Self { counts: *counts, symbols: all })
    }

    /// Table `slot` (0 luma, 1 chroma) of annex K.3, which motion JPEG leaves out of the frame.
    pub(super) fn standard(kind: Kind, slot: usize) -> Option<Self> {
        let (counts, symbols): (&[u8; 16], &[u8]) = match (kind, slot) {
            (Kind::Dc, 0) => (&DC_LUMA, &DC_SYMBOLS),
            (Kind::Dc, 1) => (&DC_CHROMA, &DC_SYMBOLS),
            (Kind::Ac, 0) => (&AC_LUMA, &AC_LUMA_SYMBOLS),
            (Kind::Ac, 1) => (&AC_CHROMA, &AC_CHROMA_SYMBOLS),
            _ => return None,
        };
        Self::new(counts, symbols)
    }

    /// Codes of each length from one bit to sixteen.
    pub(super) fn counts(&self) -> &[u8; 16] {
        &self.counts
    }

    pub(super) fn symbols(&self) -> &[u8] {
        let total: usize = self.counts.iter().map(|&n| usize::from(n)).sum();
        &self.symbols[..total]
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Dc,
    Ac,
}

/// A code of the table: how many bits it takes and the symbol it stands for.
#[derive(Clone, Copy, Debug, Default)]
struct Code {
    bits: u8,
    symbol: u8,
}

/// Several AC symbols that fit wholly into `RUN_BITS`, taken in one step: bits of codes and extra bits together in
/// the low four bits (zero when not even one symbol fits), above them one bit that says that the block ends here,
/// and above that the coefficients passed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Run(u16);

impl Run {
    fn then(self, bits: u32, step: Step) -> Self {
        let add = bits | u32::from(step.end) << 4 | step.coefficients << 5;
        Self(self.0 + add as u16)
    }

    #[inline]
    pub(super) fn bits(self) -> u32 {
        u32::from(self.0) & 15
    }

    #[inline]
    pub(super) fn ends(self) -> bool {
        self.0 & 16 != 0
    }

    #[inline]
    pub(super) fn coefficients(self) -> u32 {
        u32::from(self.0) >> 5
    }
}

#[derive(Debug)]
pub(super) struct Table {
    spec: Spec,
    codes: Box<[Code]>,
    runs: Box<[Run]>,
    /// First code past those of each length, aligned to sixteen bits, and the index of the symbol of its first code.
    limit: [u32; 17],
    first_code: [u32; 17],
    first_symbol: [u32; 17],
}

impl Table {
    pub(super) fn new(spec: Spec, kind: Kind) -> Self {
        let mut table = Self {
            spec,
            codes: vec![Code::default(); 1 << CODE_BITS].into_boxed_slice(),
            runs: Vec::new().into_boxed_slice(),
            limit: [0; 17],
            first_code: [0; 17],
            first_symbol: [0; 17],
        };
        table.number_codes();
        for prefix in 0..1u32 << CODE_BITS {
            let found = table.search(prefix << (LONGEST_CODE - CODE_BITS));
            table.codes[prefix as usize] = found.filter(|c| u32::from(c.bits) <= CODE_BITS).unwrap_or_default();
        }
        if kind == Kind::Ac {
            table.runs = (0..1u32 << RUN_BITS).map(|prefix| table.run(prefix)).collect();
        }
        table
    }

    pub(super) fn spec(&self) -> &Spec {
        &self.spec
    }

    fn number_codes(&mut self) {
        let (mut code, mut symbol) = (0u32, 0u32);
        for bits in 1..=16 {
            let n = u32::from(self.spec.counts[bits - 1]);
            self.first_code[bits] = code;
            self.first_symbol[bits] = symbol;
            code += n;
            symbol += n;
            self.limit[bits] = code << (16 - bits);
            code <<= 1;
        }
    }

    /// The code at the head of sixteen bits, by going through the lengths.
    fn search(&self, sixteen: u32) -> Option<Code> {
        let bits = (1..=16usize).find(|&bits| sixteen < self.limit[bits])?;
        let nth = (sixteen >> (16 - bits)).checked_sub(self.first_code[bits])?;
        let symbol = self.spec.symbols[(self.first_symbol[bits] + nth) as usize];
        Some(Code { bits: u8::try_from(bits).unwrap_or(16), symbol })
    }

    fn run(&self, prefix: u32) -> Run {
        let mut run = Run::default();
        loop {
            let left = RUN_BITS - run.bits();
            let sixteen = (prefix << run.bits() & ((1 << RUN_BITS) - 1)) << (LONGEST_CODE - RUN_BITS);
            let Some(code) = self.search(sixteen) else { return run };
            let Some(step) = Step::of(code.symbol) else { return run };
            let bits = u32::from(code.bits) + step.extra;
            if bits > left || run.coefficients() + step.coefficients > 64 {
                return run;
            }
            run = run.then(bits, step);
            if step.end {
                return run;
            }
        }
    }

    /// Reads one symbol; `None` when the bits are no code of this table.
    #[inline]
    pub(super) fn symbol(&self, bits: &mut Bits<'_>) -> Option<u8> {
        let sixteen = bits.peek(LONGEST_CODE);
        let mut code = self.codes[(sixteen >> (LONGEST_CODE - CODE_BITS)) as usize];
        if code.bits == 0 {
            code = self.search(sixteen)?;
        }
        bits.skip(u32::from(code.bits));
        Some(code.symbol)
    }

    /// The symbols at the head of the bits that one look-up covers.
    #[inline]
    pub(super) fn run_at(&self, bits: &Bits<'_>) -> Run {
        self.runs[bits.peek(RUN_BITS) as usize]
    }
}

/// How one AC symbol moves through the block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) extra: u32,
    pub(super) coefficients: u32,
    pub(super) end: bool,
}

impl Step {
    /// `None` for the symbols that sequential JPEG leaves undefined (a run without a value that is neither
    /// sixteen zeros nor the end of the block).
    pub(super) fn of(symbol: u8) -> Option<Self> {
        let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        match (run, size) {
            (0, 0) => Some(Self { extra: 0, coefficients: 0, end: true }),
            (15, 0) => Some(Self { extra: 0, coefficients: 16, end: false }),
            (_, 0) => None,
            _ => Some(Self { extra: size, coefficients: run + 1, end: false }),
        }
    }
}

/// Reads bits, highest first. The bytes must be followed by enough others that a whole unit can be read past
/// the end before the caller looks at `position`.
#[derive(Clone, Debug)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    next: usize,
    held: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn at(bytes: &'a [u8], byte: usize) -> Self {
        Self { bytes, next: byte, held: 0, count: 0 }
    }

    /// After this at least 56 bits can be read.
    #[inline]
    pub(super) fn refill(&mut self) {
        let word = self
            .bytes
            .get(self.next..self.next + 8)
            .map_or(0, |b| u64::from_be_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]));
        self.held |= word >> self.count;
        self.next += ((63 - self.count) >> 3) as usize;
        self.count |= 56;
    }

    #[inline]
    pub(super) fn peek(&self, bits: u32) -> u32 {
        (self.held >> (64 - bits)) as u32
    }

    #[inline]
    pub(super) fn skip(&mut self, bits: u32) {
        self.held <<= bits;
        self.count -= bits;
    }

    /// Extra bits of a coefficient as its value (T.81, F.2.2.1).
    #[inline]
    pub(super) fn value(&mut self, size: u32) -> i32 {
        if size == 0 {
            return 0;
        }
        let raw = self.peek(size) as i32;
        self.skip(size);
        if raw < 1 << (size - 1) { raw - (1 << size) + 1 } else { raw }
    }

    /// Bits taken since the beginning of the bytes.
    #[inline]
    pub(super) fn position(&self) -> usize {
        self.next * 8 - self.count as usize
    }
}

const DC_LUMA: [u8; 16] = [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];
const DC_CHROMA: [u8; 16] = [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0];
const DC_SYMBOLS: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
const AC_LUMA: [u8; 16] = [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125];
const AC_CHROMA: [u8; 16] = [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119];

#[rustfmt::skip]
const AC_LUMA_SYMBOLS: [u8; 162] = [
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71,
    0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0, 0x24, 0x33, 0x62, 0x72,
    0x82, 0x09, 0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x34, 0x35, 0x36, 0x37,
    0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59,
    0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83,
    0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3,
    0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3,
    0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2,
    0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
];

#[rustfmt::skip]
const AC_CHROMA_SYMBOLS: [u8; 162] = [
    0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71, 0x13, 0x22,
    0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0, 0x15, 0x62, 0x72, 0xd1,
    0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x35, 0x36,
    0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58,
    0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a,
    0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a,
    0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba,
    0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda,
    0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_tables_give_the_codes_of_annex_k() {
        let table = Table::new(Spec::standard(Kind::Ac, 0).unwrap(), Kind::Ac);
        // 1010 is the end of block, 00 is 0/1, and 1111111110000010 is the first of the sixteen-bit codes.
        for (bits, symbol) in [(0b1010 << 12, 0x00), (0, 0x01), (0b1111_1111_1000_0010, 0x09)] {
            let bytes = [(bits >> 8) as u8, bits as u8, 0, 0, 0, 0, 0, 0, 0, 0];
            let mut reader = Bits::at(&bytes, 0);
            reader.refill();
            assert_eq!(table.symbol(&mut reader), Some(symbol), "{bits:016b}");
        }
    }

    #[test]
    fn a_run_is_what_single_symbols_give() {
        let table = Table::new(Spec::standard(Kind::Ac, 1).unwrap(), Kind::Ac);
        for prefix in 0..1u32 << RUN_BITS {
            let word = (u64::from(prefix) << (64 - RUN_BITS)).to_be_bytes();
            let bytes: Vec<u8> = word.into_iter().chain([0; 8]).collect();
            let (mut bits, mut passed, mut end) = (Bits::at(&bytes, 0), 0, false);
            let run = table.runs[prefix as usize];
            while bits.position() < run.bits() as usize {
                bits.refill();
                let step = Step::of(table.symbol(&mut bits).unwrap()).unwrap();
                bits.skip(step.extra);
                passed += step.coefficients;
                end |= step.end;
            }
            assert_eq!((bits.position(), passed, end), (run.bits() as usize, run.coefficients(), run.ends()));
        }
    }

    #[test]
    fn tables_that_hold_too_many_codes_are_refused() {
        let mut counts = [0; 16];
        counts[0] = 3;
        assert!(Spec::new(&counts, &[1, 2, 3]).is_none(), "three codes of one bit");
        assert!(Spec::new(&[0; 16], &[]).is_none(), "an empty table");
        counts[0] = 1;
        assert!(Spec::new(&counts, &[1, 2]).is_none(), "more symbols than codes");
    }

    #[test]
    fn extra_bits_become_signed_values() {
        let bytes = [0b0110_1000, 0, 0, 0, 0, 0, 0, 0];
        let mut bits = Bits::at(&bytes, 0);
        bits.refill();
        assert_eq!((bits.value(2), bits.value(2), bits.value(0), bits.value(1)), (-2, 2, 0, 1));
        assert_eq!(bits.position(), 5);
    }
}
