//! Devices that come and go, as the kernel and udev tell it over netlink. What is told is a hint alone: whoever waits
//! looks at the tree of devices itself, and looks now and then without a hint as well.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

/// The kernel's own messages (1), and udev's (2): the latter come when the node's group has been set.
const GROUPS: u32 = 1 | 2;

/// Longest message that is looked into; a longer one is cut, and its beginning tells enough.
const MESSAGE: usize = 8192;

/// Listens from when it is made.
#[derive(Debug)]
pub struct Hotplug {
    socket: OwnedFd,
}

impl Hotplug {
    pub fn listen() -> std::io::Result<Self> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(KOBJECT_UEVENT))?;
        bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
        Ok(Self { socket })
    }

    /// Whether something about cameras was told since it was last asked. Never waits.
    pub fn told(&self) -> bool {
        let mut message = [0; MESSAGE];
        let mut told = false;
        loop {
            match recv(&self.socket, &mut message, RecvFlags::empty()) {
                Ok((length, _)) => told |= is_about_cameras(&message[..length.min(MESSAGE)]),
                // Messages were lost: any of them may have been the one.
                Err(Errno::NOBUFS) => told = true,
                Err(Errno::INTR) => {}
                Err(_) => return told,
            }
        }
    }
}

fn is_about_cameras(message: &[u8]) -> bool {
    message.split(|b| *b == 0).any(|field| matches!(field, b"SUBSYSTEM=video4linux" | b"SUBSYSTEM=usb"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_messages_about_cameras_count() {
        let message = b"add@/devices/usb1/1-1\0ACTION=add\0SUBSYSTEM=video4linux\0SEQNUM=7\0";
        assert!(is_about_cameras(message));
        assert!(is_about_cameras(b"libudev\0\xfe\xed\xca\xfe\0SUBSYSTEM=usb\0"));
        assert!(!is_about_cameras(b"add@/devices/x\0SUBSYSTEM=block\0NOTE=SUBSYSTEM=usb?\0"));
        assert!(!is_about_cameras(b""));
    }

    #[test]
    fn listening_does_not_wait() {
        // In a container without the right to listen there is nothing to test; everywhere else nothing is told at once.
        if let Ok(hotplug) = Hotplug::listen() {
            hotplug.told();
        }
    }
}
