//! Writes AVI files for tests: as a recorder does, and broken in the ways in which recorders break them.

#![allow(dead_code, reason = "each file of tests uses its own part")]

/// How the pictures are coded.
#[derive(Clone, Copy)]
pub enum Coding {
    Mjpeg,
    /// Uncompressed, 24 bits, the last row first.
    BottomUp,
    /// Uncompressed, 24 bits, the first row first.
    TopDown,
    /// Anything else, by its four letters.
    Other([u8; 4]),
}

/// An AVI file in memory. The fields can be set before `bytes` is called.
pub struct Avi {
    pub coding: Coding,
    pub width: u32,
    pub height: u32,
    /// Frames a second as a fraction.
    pub rate: (u32, u32),
    /// An audio stream before the video stream, so that the video's chunks are `01dc`.
    pub audio_first: bool,
    /// Write `idx1`.
    pub index: bool,
    /// Begin a new `RIFF AVIX` part after so many frames, as files beyond a gigabyte do.
    pub part_after: Option<usize>,
    /// Leave the sizes of the outer lists at zero, as a recorder that lost power does.
    pub unfinished: bool,
    pub frames: Vec<Vec<u8>>,
}

impl Avi {
    pub fn new(coding: Coding, width: u32, height: u32, rate: (u32, u32)) -> Self {
        Self {
            coding,
            width,
            height,
            rate,
            audio_first: false,
            index: true,
            part_after: None,
            unfinished: false,
            frames: Vec::new(),
        }
    }

    /// Bytes as they shall stand in the file; an empty frame says that the recorder had none at its moment.
    pub fn push(&mut self, frame: impl Into<Vec<u8>>) -> &mut Self {
        self.frames.push(frame.into());
        self
    }

    /// The name of the video's chunks.
    pub fn tag(&self) -> [u8; 4] {
        let kind = if matches!(self.coding, Coding::BottomUp | Coding::TopDown) { b'b' } else { b'c' };
        [b'0', if self.audio_first { b'1' } else { b'0' }, b'd', kind]
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut parts = self.frames.chunks(self.part_after.unwrap_or(self.frames.len()).max(1));
        let first = parts.next().unwrap_or_default();
        let index = if self.index { chunk(b"idx1", &self.index()) } else { Vec::new() };
        let main = [self.headers(), chunk(b"JUNK", &[0; 13]), self.movi(first), index].concat();
        let mut file = self.list(b"RIFF", b"AVI ", &main);
        for part in parts {
            file.extend(self.list(b"RIFF", b"AVIX", &self.movi(part)));
        }
        file
    }

    fn list(&self, id: &[u8; 4], kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let mut all = chunk(id, &[kind, body].concat());
        if self.unfinished {
            all[4..8].fill(0);
        }
        all
    }

    fn headers(&self) -> Vec<u8> {
        let (rate, scale) = self.rate;
        let mut avih = vec![0; 56];
        put(&mut avih, 0, (1_000_000u64 * u64::from(scale)).checked_div(rate.into()).unwrap_or(0) as u32);
        put(&mut avih, 16, self.frames.len() as u32);
        put(&mut avih, 32, self.width);
        put(&mut avih, 36, self.height);
        let mut strh = vec![0; 56];
        strh[..4].copy_from_slice(b"vids");
        put(&mut strh, 20, scale);
        put(&mut strh, 24, rate);
        let mut strf = vec![0; 40];
        put(&mut strf, 0, 40);
        put(&mut strf, 4, self.width);
        put(&mut strf, 8, self.height);
        put(&mut strf, 12, 1 | 24 << 16);
        match self.coding {
            Coding::Mjpeg => strf[16..20].copy_from_slice(b"MJPG"),
            Coding::Other(code) => strf[16..20].copy_from_slice(&code),
            Coding::TopDown => put(&mut strf, 8, self.height.wrapping_neg()),
            Coding::BottomUp => {}
        }
        let audio = [chunk(b"strh", &[b"auds".as_slice(), &[0; 52]].concat()), chunk(b"strf", &[0; 18])].concat();
        let video = [chunk(b"strh", &strh), chunk(b"strf", &strf)].concat();
        let mut body = chunk(b"avih", &avih);
        if self.audio_first {
            body.extend(chunk(b"LIST", &[b"strl".as_slice(), &audio].concat()));
        }
        body.extend(chunk(b"LIST", &[b"strl".as_slice(), &video].concat()));
        chunk(b"LIST", &[b"hdrl".as_slice(), &body].concat())
    }

    fn movi(&self, frames: &[Vec<u8>]) -> Vec<u8> {
        let mut body = Vec::new();
        for frame in frames {
            if self.audio_first {
                body.extend(chunk(b"00wb", &[0; 7]));
            }
            body.extend(chunk(&self.tag(), frame));
        }
        self.list(b"LIST", b"movi", &body)
    }

    fn index(&self) -> Vec<u8> {
        let mut offset = 4;
        let mut index = Vec::new();
        for frame in &self.frames {
            index.extend(self.tag());
            index.extend([0x10u32, offset, frame.len() as u32].map(u32::to_le_bytes).concat());
            offset += frame.len().next_multiple_of(2) as u32 + 8;
        }
        index
    }
}

fn chunk(id: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut all = [id, &(body.len() as u32).to_le_bytes()[..], body].concat();
    all.resize(all.len().next_multiple_of(2), 0);
    all
}

fn put(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}
