//! The seam to the kernel: what the ring asks of a device, and the device file that answers it. All `unsafe` of
//! capture stands here. Tests put a device of their own in its place.

use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::ioctl::{Opcode, Setter, Updater, ioctl, opcode};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::abi;

/// What a wait for the device ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ready {
    /// A buffer can be taken.
    Frame,
    /// Nothing within the time given.
    Not,
    /// The device is in trouble, or gone: taking a buffer tells which.
    Trouble,
}

/// Rows of a picture without compression as the driver lays them out, and as we want them: without padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rows {
    pub(super) stride: usize,
    pub(super) width: usize,
}

/// A V4L2 node. Every call answers at once or within the time it was given; none panics, whatever the kernel says.
pub(super) trait Node: Send {
    fn capability(&self) -> Result<abi::Capability, Errno>;
    fn format_at(&self, index: u32) -> Result<abi::FormatDescription, Errno>;
    fn size_at(&self, pixel_format: u32, index: u32) -> Result<abi::FrameSize, Errno>;
    fn interval_at(&self, pixel_format: u32, size: (u32, u32), index: u32) -> Result<abi::FrameInterval, Errno>;
    fn format(&self) -> Result<abi::PixelFormat, Errno>;
    /// Gives what the driver made of it.
    fn set_format(&mut self, wanted: abi::PixelFormat) -> Result<abi::PixelFormat, Errno>;
    fn parameters(&self) -> Result<abi::StreamParameters, Errno>;
    fn set_parameters(&mut self, wanted: abi::StreamParameters) -> Result<abi::StreamParameters, Errno>;
    fn query_control(&self, id: u32) -> Result<abi::QueryControl, Errno>;
    fn control(&self, id: u32) -> Result<i32, Errno>;
    fn set_control(&mut self, id: u32, value: i32) -> Result<(), Errno>;
    /// Asks the driver for buffers and maps them; gives how many there are. Zero gives all of them back.
    fn allocate(&mut self, count: u32) -> Result<u32, Errno>;
    fn queue(&mut self, index: u32) -> Result<(), Errno>;
    /// `Errno::AGAIN` when none is ready.
    fn dequeue(&mut self) -> Result<abi::Buffer, Errno>;
    fn start(&mut self) -> Result<(), Errno>;
    /// Gives all buffers back to us, filled or not.
    fn stop(&mut self) -> Result<(), Errno>;
    fn wait(&self, patience: Duration) -> Result<Ready, Errno>;
    /// Copies the used bytes out of a buffer that was taken: the one copy that a frame costs.
    fn copy(&self, index: u32, used: usize, rows: Option<Rows>) -> Arc<[u8]>;
}

/// Memory of the driver, mapped for reading.
struct Mapping {
    at: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping is memory of the process, not of a thread, and only its owner reads it.
unsafe impl Send for Mapping {}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly this span was mapped, and nothing borrows from it: `copy` hands out copies alone.
        if let Err(error) = unsafe { munmap(self.at.as_ptr().cast(), self.length) } {
            tracing::debug!(%error, "munmap");
        }
    }
}

/// An open device file.
pub(super) struct DeviceFile {
    file: File,
    mapped: Vec<Mapping>,
}

/// Ioctls of the group `V`.
const fn read<T>(number: u8) -> Opcode {
    opcode::read::<T>(b'V', number)
}
const fn write<T>(number: u8) -> Opcode {
    opcode::write::<T>(b'V', number)
}
const fn both<T>(number: u8) -> Opcode {
    opcode::read_write::<T>(b'V', number)
}

/// Tries again when a signal came between.
fn again<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            done => return done,
        }
    }
}

impl DeviceFile {
    /// Never waits: a buffer that is not there is `Errno::AGAIN`.
    pub(super) fn open(path: &Path) -> std::io::Result<Self> {
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC;
        let file = OpenOptions::new().read(true).write(true).custom_flags(flags.bits() as i32).open(path)?;
        Ok(Self { file, mapped: Vec::new() })
    }

    /// Fills in `value` by an ioctl whose argument is a `T`.
    fn update<const CODE: Opcode, T>(&self, value: &mut T) -> Result<(), Errno> {
        again(|| {
            // SAFETY: each `CODE` is made of the number and the type of the struct that the kernel takes under it
            // (held by the size test in `abi`), and these structs are plain numbers, valid whatever is written.
            unsafe { ioctl(&self.file, Updater::<CODE, T>::new(value)) }
        })
    }

    /// Gives the kernel a plain number.
    fn set<const CODE: Opcode>(&self, value: u32) -> Result<(), Errno> {
        again(|| {
            // SAFETY: VIDIOC_STREAMON and _STREAMOFF read one int and write nothing.
            unsafe { ioctl(&self.file, Setter::<CODE, u32>::new(value)) }
        })
    }

    fn map(&self, index: u32) -> Result<Mapping, Errno> {
        let mut buffer = abi::Buffer::of(index);
        self.update::<{ both::<abi::Buffer>(9) }, _>(&mut buffer)?;
        let length = buffer.length as usize;
        // SAFETY: a new mapping at an address of the kernel's choice; it overlaps nothing of ours.
        let at = unsafe {
            mmap(std::ptr::null_mut(), length, ProtFlags::READ, MapFlags::SHARED, &self.file, buffer.offset)
        }?;
        NonNull::new(at.cast()).map(|at| Mapping { at, length }).ok_or(Errno::NOMEM)
    }
}

impl Node for DeviceFile {
    fn capability(&self) -> Result<abi::Capability, Errno> {
        let mut capability = abi::Capability {
            driver: [0; 16],
            card: [0; 32],
            bus_info: [0; 32],
            version: 0,
            capabilities: 0,
            device_caps: 0,
            reserved: [0; 3],
        };
        self.update::<{ read::<abi::Capability>(0) }, _>(&mut capability)?;
        Ok(capability)
    }

    fn format_at(&self, index: u32) -> Result<abi::FormatDescription, Errno> {
        let mut format = abi::FormatDescription { index, kind: abi::CAPTURE, ..Default::default() };
        self.update::<{ both::<abi::FormatDescription>(2) }, _>(&mut format)?;
        Ok(format)
    }

    fn size_at(&self, pixel_format: u32, index: u32) -> Result<abi::FrameSize, Errno> {
        let mut size = abi::FrameSize { index, pixel_format, ..Default::default() };
        self.update::<{ both::<abi::FrameSize>(74) }, _>(&mut size)?;
        Ok(size)
    }

    fn interval_at(&self, pixel_format: u32, size: (u32, u32), index: u32) -> Result<abi::FrameInterval, Errno> {
        let (width, height) = size;
        let mut interval = abi::FrameInterval { index, pixel_format, width, height, ..Default::default() };
        self.update::<{ both::<abi::FrameInterval>(75) }, _>(&mut interval)?;
        Ok(interval)
    }

    fn format(&self) -> Result<abi::PixelFormat, Errno> {
        let mut format = abi::Format::new(abi::PixelFormat::default());
        self.update::<{ both::<abi::Format>(4) }, _>(&mut format)?;
        Ok(format.pixels)
    }

    fn set_format(&mut self, wanted: abi::PixelFormat) -> Result<abi::PixelFormat, Errno> {
        let mut format = abi::Format::new(wanted);
        self.update::<{ both::<abi::Format>(5) }, _>(&mut format)?;
        Ok(format.pixels)
    }

    fn parameters(&self) -> Result<abi::StreamParameters, Errno> {
        let mut parameters = abi::StreamParameters::new(abi::Fraction::default());
        self.update::<{ both::<abi::StreamParameters>(21) }, _>(&mut parameters)?;
        Ok(parameters)
    }

    fn set_parameters(&mut self, wanted: abi::StreamParameters) -> Result<abi::StreamParameters, Errno> {
        let mut parameters = wanted;
        self.update::<{ both::<abi::StreamParameters>(22) }, _>(&mut parameters)?;
        Ok(parameters)
    }

    fn query_control(&self, id: u32) -> Result<abi::QueryControl, Errno> {
        let mut control = abi::QueryControl { id, ..Default::default() };
        self.update::<{ both::<abi::QueryControl>(36) }, _>(&mut control)?;
        Ok(control)
    }

    fn control(&self, id: u32) -> Result<i32, Errno> {
        let mut control = abi::Control { id, value: 0 };
        self.update::<{ both::<abi::Control>(27) }, _>(&mut control)?;
        Ok(control.value)
    }

    fn set_control(&mut self, id: u32, value: i32) -> Result<(), Errno> {
        let mut control = abi::Control { id, value };
        self.update::<{ both::<abi::Control>(28) }, _>(&mut control)
    }

    fn allocate(&mut self, count: u32) -> Result<u32, Errno> {
        self.mapped.clear();
        let mut request = abi::RequestBuffers { count, kind: abi::CAPTURE, memory: abi::MMAP, ..Default::default() };
        self.update::<{ both::<abi::RequestBuffers>(8) }, _>(&mut request)?;
        self.mapped = (0..request.count).map(|index| self.map(index)).collect::<Result<_, _>>()?;
        Ok(request.count)
    }

    fn queue(&mut self, index: u32) -> Result<(), Errno> {
        let mut buffer = abi::Buffer::of(index);
        self.update::<{ both::<abi::Buffer>(15) }, _>(&mut buffer)
    }

    fn dequeue(&mut self) -> Result<abi::Buffer, Errno> {
        let mut buffer = abi::Buffer::of(0);
        self.update::<{ both::<abi::Buffer>(17) }, _>(&mut buffer)?;
        Ok(buffer)
    }

    fn start(&mut self) -> Result<(), Errno> {
        self.set::<{ write::<i32>(18) }>(abi::CAPTURE)
    }

    fn stop(&mut self) -> Result<(), Errno> {
        self.set::<{ write::<i32>(19) }>(abi::CAPTURE)
    }

    fn wait(&self, patience: Duration) -> Result<Ready, Errno> {
        let patience = Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: patience.subsec_nanos().into() };
        let mut polled = [PollFd::from_borrowed_fd(self.file.as_fd(), PollFlags::IN)];
        match poll(&mut polled, Some(&patience)) {
            // A signal came between: the caller asks again soon enough.
            Ok(0) | Err(Errno::INTR) => return Ok(Ready::Not),
            Ok(_) => {}
            Err(error) => return Err(error),
        }
        let told = polled[0].revents();
        Ok(if told.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL) {
            Ready::Trouble
        } else {
            Ready::Frame
        })
    }

    fn copy(&self, index: u32, used: usize, rows: Option<Rows>) -> Arc<[u8]> {
        let Some(mapping) = self.mapped.get(index as usize) else { return Arc::from([]) };
        // SAFETY: the mapping lives as long as `self`; the buffer was dequeued and not yet queued again, so that
        // the driver does not write to it meanwhile; no length beyond the mapping's own is used.
        let bytes = unsafe { std::slice::from_raw_parts(mapping.at.as_ptr(), used.min(mapping.length)) };
        copied(bytes, rows)
    }
}

/// The picture without the padding that a driver may put at the end of its rows.
pub(super) fn copied(bytes: &[u8], rows: Option<Rows>) -> Arc<[u8]> {
    let Some(Rows { stride, width }) = rows.filter(|rows| rows.stride > rows.width) else { return Arc::from(bytes) };
    let ends = |row: &[u8]| width.min(row.len());
    let length = bytes.chunks(stride).map(ends).sum();
    let mut packed: Arc<[u8]> = std::iter::repeat_n(0, length).collect();
    // Nobody else holds it yet.
    if let Some(packed) = Arc::get_mut(&mut packed) {
        for (to, row) in packed.chunks_mut(width).zip(bytes.chunks(stride)) {
            to.copy_from_slice(&row[..ends(row)]);
        }
    }
    packed
}

/// Resets a USB device, named by its node below `/dev/bus/usb`: as if it were pulled and plugged.
pub(super) fn reset_usb(path: &Path) -> std::io::Result<()> {
    /// `USBDEVFS_RESET` of `usbdevice_fs.h`.
    const RESET: Opcode = opcode::none(b'U', 20);
    let file = OpenOptions::new().write(true).open(path)?;
    // SAFETY: the ioctl has no argument.
    unsafe { ioctl(&file, rustix::ioctl::NoArg::<RESET>::new()) }?;
    Ok(())
}
