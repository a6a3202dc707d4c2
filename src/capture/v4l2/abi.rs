//! The part of Linux's `videodev2.h` that a capture ring needs, as 64-bit Linux lays it out. Sizes are held by a test:
//! they are part of each ioctl's number, so a wrong one would be refused by the kernel and never misread.

use std::ffi::CStr;

/// `V4L2_BUF_TYPE_VIDEO_CAPTURE`.
pub(super) const CAPTURE: u32 = 1;
/// `V4L2_MEMORY_MMAP`.
pub(super) const MMAP: u32 = 1;
/// `V4L2_FIELD_NONE`: whole pictures, not interlaced halves.
pub(super) const FIELD_NONE: u32 = 1;

/// `V4L2_CAP_VIDEO_CAPTURE`, `V4L2_CAP_STREAMING`, `V4L2_CAP_DEVICE_CAPS`.
pub(super) const CAP_CAPTURE: u32 = 0x1;
pub(super) const CAP_STREAMING: u32 = 0x0400_0000;
pub(super) const CAP_DEVICE_CAPS: u32 = 0x8000_0000;

/// `V4L2_BUF_FLAG_ERROR`: the driver knows that this picture is damaged.
pub(super) const BUF_ERROR: u32 = 0x40;
/// `V4L2_BUF_FLAG_TIMESTAMP_MASK` and `_MONOTONIC`.
pub(super) const BUF_STAMP_MASK: u32 = 0xE000;
pub(super) const BUF_STAMP_MONOTONIC: u32 = 0x2000;

/// `V4L2_CAP_TIMEPERFRAME`: the driver lets the rate be set.
pub(super) const TIME_PER_FRAME: u32 = 0x1000;

/// `V4L2_FRMSIZE_TYPE_DISCRETE` and `V4L2_FRMIVAL_TYPE_DISCRETE`; other values are ranges.
pub(super) const DISCRETE: u32 = 1;

/// `V4L2_CTRL_FLAG_DISABLED`, `_READ_ONLY` and `_INACTIVE`.
pub(super) const CTRL_DISABLED: u32 = 0x1;
pub(super) const CTRL_READ_ONLY: u32 = 0x4;

/// Four letters as the driver writes them.
pub(super) const fn fourcc(code: [u8; 4]) -> u32 {
    u32::from_le_bytes(code)
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Capability {
    pub(super) driver: [u8; 16],
    pub(super) card: [u8; 32],
    pub(super) bus_info: [u8; 32],
    pub(super) version: u32,
    pub(super) capabilities: u32,
    pub(super) device_caps: u32,
    pub(super) reserved: [u32; 3],
}

impl Capability {
    /// What this node can do, as opposed to the whole device.
    pub(super) fn of_node(&self) -> u32 {
        if self.capabilities & CAP_DEVICE_CAPS == 0 { self.capabilities } else { self.device_caps }
    }

    /// A node to capture pictures from; UVC cameras have a second one for metadata alone.
    pub(super) fn captures(&self) -> bool {
        let needed = CAP_CAPTURE | CAP_STREAMING;
        self.of_node() & needed == needed
    }
}

/// A text field that the kernel ends with a zero byte.
pub(super) fn text(bytes: &[u8]) -> String {
    let bytes = CStr::from_bytes_until_nul(bytes).map_or(bytes, CStr::to_bytes);
    String::from_utf8_lossy(bytes).trim().to_owned()
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FormatDescription {
    pub(super) index: u32,
    pub(super) kind: u32,
    pub(super) flags: u32,
    pub(super) description: [u8; 32],
    pub(super) pixel_format: u32,
    pub(super) mbus_code: u32,
    pub(super) reserved: [u32; 3],
}

/// Width and height, or the six numbers of a range: smallest, largest and step of each.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FrameSize {
    pub(super) index: u32,
    pub(super) pixel_format: u32,
    pub(super) kind: u32,
    pub(super) numbers: [u32; 6],
    pub(super) reserved: [u32; 2],
}

/// A time per frame as a fraction, or smallest, largest and step of a range of them.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FrameInterval {
    pub(super) index: u32,
    pub(super) pixel_format: u32,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) kind: u32,
    pub(super) fractions: [Fraction; 3],
    pub(super) reserved: [u32; 2],
}

/// Seconds.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fraction {
    pub(super) numerator: u32,
    pub(super) denominator: u32,
}

impl Fraction {
    /// `None` for a time of nothing or of for ever.
    pub(super) fn per_s(self) -> Option<f64> {
        let sound = self.numerator > 0 && self.denominator > 0;
        sound.then(|| f64::from(self.denominator) / f64::from(self.numerator))
    }
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PixelFormat {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) pixel_format: u32,
    pub(super) field: u32,
    pub(super) bytes_per_line: u32,
    pub(super) size_image: u32,
    pub(super) colorspace: u32,
    pub(super) private: u32,
    pub(super) flags: u32,
    pub(super) ycbcr_encoding: u32,
    pub(super) quantization: u32,
    pub(super) transfer: u32,
}

/// `v4l2_format`: its union is 200 bytes, aligned as a pointer is.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug)]
pub(super) struct Format {
    pub(super) kind: u32,
    pub(super) padding: u32,
    pub(super) pixels: PixelFormat,
    pub(super) rest: [u8; 152],
}

impl Format {
    pub(super) fn new(pixels: PixelFormat) -> Self {
        Self { kind: CAPTURE, padding: 0, pixels, rest: [0; 152] }
    }
}

/// `v4l2_streamparm` for capture: its union is 200 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamParameters {
    pub(super) kind: u32,
    pub(super) capability: u32,
    pub(super) mode: u32,
    pub(super) time_per_frame: Fraction,
    pub(super) rest: [u32; 46],
}

impl StreamParameters {
    pub(super) fn new(time_per_frame: Fraction) -> Self {
        Self { kind: CAPTURE, capability: 0, mode: 0, time_per_frame, rest: [0; 46] }
    }
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RequestBuffers {
    pub(super) count: u32,
    pub(super) kind: u32,
    pub(super) memory: u32,
    pub(super) capabilities: u32,
    pub(super) flags: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Buffer {
    pub(super) index: u32,
    pub(super) kind: u32,
    pub(super) bytes_used: u32,
    pub(super) flags: u32,
    pub(super) field: u32,
    pub(super) padding: u32,
    pub(super) seconds: i64,
    pub(super) microseconds: i64,
    pub(super) timecode: [u32; 4],
    pub(super) sequence: u32,
    pub(super) memory: u32,
    /// Where the driver's memory of this buffer is found by `mmap`.
    pub(super) offset: u64,
    pub(super) length: u32,
    pub(super) reserved: u32,
    pub(super) request: u32,
    pub(super) padding_end: u32,
}

impl Buffer {
    pub(super) fn of(index: u32) -> Self {
        Self { index, kind: CAPTURE, memory: MMAP, ..Self::default() }
    }
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Control {
    pub(super) id: u32,
    pub(super) value: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct QueryControl {
    pub(super) id: u32,
    pub(super) kind: u32,
    pub(super) name: [u8; 32],
    pub(super) minimum: i32,
    pub(super) maximum: i32,
    pub(super) step: i32,
    pub(super) default: i32,
    pub(super) flags: u32,
    pub(super) reserved: [u32; 2],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_kernel() {
        assert_eq!(size_of::<Capability>(), 104);
        assert_eq!(size_of::<FormatDescription>(), 64);
        assert_eq!(size_of::<FrameSize>(), 44);
        assert_eq!(size_of::<FrameInterval>(), 52);
        assert_eq!(size_of::<PixelFormat>(), 48);
        assert_eq!(size_of::<Format>(), 208);
        assert_eq!(std::mem::offset_of!(Format, pixels), 8);
        assert_eq!(size_of::<StreamParameters>(), 204);
        assert_eq!(std::mem::offset_of!(StreamParameters, time_per_frame), 12);
        assert_eq!(size_of::<RequestBuffers>(), 20);
        assert_eq!(size_of::<Buffer>(), 88);
        assert_eq!(std::mem::offset_of!(Buffer, seconds), 24);
        assert_eq!(std::mem::offset_of!(Buffer, sequence), 56);
        assert_eq!(std::mem::offset_of!(Buffer, offset), 64);
        assert_eq!(std::mem::offset_of!(Buffer, length), 72);
        assert_eq!(size_of::<Control>(), 8);
        assert_eq!(size_of::<QueryControl>(), 68);
    }

    #[test]
    fn text_ends_at_its_zero_or_with_the_field() {
        assert_eq!(text(b"uvcvideo\0\0"), "uvcvideo");
        assert_eq!(text(b"full"), "full");
        assert_eq!(text(b" a\xFF \0b"), "a\u{FFFD}");
    }
}
