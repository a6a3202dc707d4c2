//! Which device is meant: a name that survives replugging and reboot, and the choice among those that are there.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::devices::Device;
use super::{CaptureError, CaptureErrorKind};

/// How a configuration names a device.
///
/// ```
/// use hairpin::capture::select::Selector;
/// for name in ["any", "/dev/video0", "usb:1d6b:0104", "usb:1d6b:0104:RIG0001", "usb:1d6b:0104@1-4.2"] {
///     assert_eq!(name.parse::<Selector>().unwrap().to_string(), name);
/// }
/// assert!("video0".parse::<Selector>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Selector {
    /// The only one there is.
    Any,
    /// A device file, or a link to one.
    Path(PathBuf),
    Usb(UsbName),
}

/// `usb:VID:PID[:SERIAL][@PORT]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsbName {
    pub vendor: u16,
    pub product: u16,
    pub serial: Option<String>,
    /// As the kernel names it, such as `1-4.2`: bus, and the ports from its root down.
    pub port: Option<String>,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} names no device: write \"any\", a path such as \"/dev/video0\", or \"usb:VID:PID[:SERIAL][@PORT]\" as `hairpin devices` shows it"
)]
pub struct NotADevice(String);

impl FromStr for Selector {
    type Err = NotADevice;

    fn from_str(text: &str) -> Result<Self, NotADevice> {
        let wrong = || NotADevice(text.to_owned());
        if text == "any" {
            return Ok(Self::Any);
        }
        if text.starts_with('/') {
            return Ok(Self::Path(text.into()));
        }
        let rest = text.strip_prefix("usb:").ok_or_else(wrong)?;
        // A serial number may hold any character, so the port is what follows the last '@'.
        let (name, port) = match rest.rsplit_once('@') {
            Some((name, port)) if is_port(port) => (name, Some(port.to_owned())),
            _ => (rest, None),
        };
        let mut parts = name.splitn(3, ':');
        let mut id = || parts.next().filter(|id| id.len() == 4).and_then(|id| u16::from_str_radix(id, 16).ok());
        let (vendor, product) = id().zip(id()).ok_or_else(wrong)?;
        let serial = parts.next().map(str::to_owned);
        if serial.as_deref() == Some("") {
            return Err(wrong());
        }
        Ok(Self::Usb(UsbName { vendor, product, serial, port }))
    }
}

fn is_port(text: &str) -> bool {
    let Some((bus, ports)) = text.split_once('-') else { return false };
    let number = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    number(bus) && ports.split('.').all(number)
}

impl TryFrom<String> for Selector {
    type Error = NotADevice;

    fn try_from(text: String) -> Result<Self, NotADevice> {
        text.parse()
    }
}

impl From<Selector> for String {
    fn from(selector: Selector) -> Self {
        selector.to_string()
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Usb(name) => name.fmt(f),
        }
    }
}

impl fmt::Display for UsbName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "usb:{:04x}:{:04x}", self.vendor, self.product)?;
        if let Some(serial) = &self.serial {
            write!(f, ":{serial}")?;
        }
        if let Some(port) = &self.port {
            write!(f, "@{port}")?;
        }
        Ok(())
    }
}

impl UsbName {
    fn fits(&self, device: &Device) -> bool {
        let Some(usb) = &device.usb else { return false };
        (usb.vendor, usb.product) == (self.vendor, self.product)
            && self.serial.as_ref().is_none_or(|serial| usb.serial.as_ref() == Some(serial))
            && self.port.as_ref().is_none_or(|port| usb.port == *port)
    }
}

impl Selector {
    fn fits(&self, device: &Device) -> bool {
        match self {
            Self::Any => true,
            Self::Path(path) => {
                let there = std::fs::canonicalize(path);
                device.path == *path || there.is_ok_and(|path| device.path == path)
            }
            Self::Usb(name) => name.fits(device),
        }
    }

    /// The one device that fits.
    pub fn choose<'d>(&self, found: &'d [Device]) -> Result<&'d Device, CaptureError> {
        let fitting: Vec<&Device> = found.iter().filter(|device| self.fits(device)).collect();
        match fitting.as_slice() {
            [one] => Ok(one),
            [] => Err(self.none_fits(found)),
            several => {
                let names: Vec<String> = several.iter().map(|device| device.told()).collect();
                let context = format!(
                    "{} devices fit {self}: {}; name one of them in source.device",
                    several.len(),
                    names.join(", ")
                );
                Err(CaptureError::new(CaptureErrorKind::Unsupported, context))
            }
        }
    }

    fn none_fits(&self, found: &[Device]) -> CaptureError {
        let there = if found.is_empty() {
            "there is no capture device at all: check the cable".to_owned()
        } else {
            let names: Vec<String> = found.iter().map(Device::told).collect();
            format!("there are only {}", names.join(", "))
        };
        let context = match self {
            Self::Any => format!("no microscope: {there}"),
            named => format!("no device fits {named}: {there}"),
        };
        CaptureError::new(CaptureErrorKind::NotFound, context)
    }
}

/// What makes a device the same one again after it was lost: its serial number where it has one, else the port.
/// Its number under /dev tells nothing: another device may have taken it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// As `usb:...`, or as the driver names its place on another bus.
    name: String,
    selector: Option<UsbName>,
    place: String,
    /// A microscope with two sensors has two nodes to capture from.
    index: u32,
}

impl Identity {
    pub fn of(device: &Device, among: &[Device]) -> Self {
        let selector = device.usb.as_ref().map(|usb| {
            let alike = |other: &&Device| {
                other.usb.as_ref().is_some_and(|o| {
                    (o.vendor, o.product, &o.serial) == (usb.vendor, usb.product, &usb.serial) && o.port != usb.port
                })
            };
            // Cheap cameras all bear the same serial number: then it tells nothing.
            let telling = usb.serial.is_some() && !among.iter().any(|other| alike(&other));
            UsbName {
                vendor: usb.vendor,
                product: usb.product,
                serial: usb.serial.clone(),
                port: (!telling).then(|| usb.port.clone()),
            }
        });
        let name = selector.as_ref().map_or_else(|| device.place.clone(), ToString::to_string);
        Self { name, selector, place: device.place.clone(), index: device.index }
    }

    /// The same device again, if it is there.
    pub fn find<'d>(&self, found: &'d [Device]) -> Result<&'d Device, CaptureError> {
        let same = |device: &&Device| {
            device.index == self.index
                && match &self.selector {
                    Some(name) => name.fits(device),
                    None => device.usb.is_none() && device.place == self.place,
                }
        };
        let fitting: Vec<&Device> = found.iter().filter(same).collect();
        match fitting.as_slice() {
            [] => {}
            [one] => return Ok(one),
            // Another with the same serial number was plugged in meanwhile: then the port has to tell.
            several => {
                return several.iter().find(|device| device.place == self.place).copied().ok_or_else(|| {
                    let context = format!("{} devices bear the name {self}, and none is where it was", several.len());
                    CaptureError::new(CaptureErrorKind::NotFound, context)
                });
            }
        }
        let alike = |device: &&Device| {
            self.selector.as_ref().is_some_and(|name| UsbName { port: None, ..name.clone() }.fits(device))
        };
        let context = match found.iter().find(alike) {
            Some(other) => format!(
                "{} is gone; one like it is at {}, but without a serial number of its own it cannot be told to be the same: plug it where it was, or restart Hairpin",
                self.name, other.place
            ),
            None => format!("{} is gone", self.name),
        };
        Err(CaptureError::new(CaptureErrorKind::NotFound, context))
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::devices::Usb;

    fn device(path: &str, serial: Option<&str>, port: &str) -> Device {
        Device {
            path: path.into(),
            name: "Test Capillaroscope".to_owned(),
            driver: "uvcvideo".to_owned(),
            place: port.to_owned(),
            index: 0,
            usb: Some(Usb {
                vendor: 0x1d6b,
                product: 0x0104,
                make: None,
                model: None,
                serial: serial.map(str::to_owned),
                port: port.to_owned(),
                bus_device: "1/2".to_owned(),
                megabits: Some(480.0),
                sysfs: "/sys/x".into(),
            }),
        }
    }

    fn selector(text: &str) -> Selector {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_understood_or_refused() {
        let full = selector("usb:1d6b:0104:A@b:c@1-4.2");
        assert_eq!(
            full,
            Selector::Usb(UsbName {
                vendor: 0x1d6b,
                product: 0x0104,
                serial: Some("A@b:c".to_owned()),
                port: Some("1-4.2".to_owned())
            })
        );
        for wrong in ["", "video0", "usb:", "usb:1d6b", "usb:1d6b:104", "usb:xxxx:0104", "usb:1d6b:0104:", "any "] {
            assert!(wrong.parse::<Selector>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn one_that_fits_is_taken_and_several_are_listed() {
        let found = [device("/dev/video0", Some("A"), "1-1"), device("/dev/video2", Some("B"), "1-2")];
        assert_eq!(selector("usb:1d6b:0104:B").choose(&found).unwrap().path, PathBuf::from("/dev/video2"));
        assert_eq!(selector("/dev/video0").choose(&found).unwrap().path, PathBuf::from("/dev/video0"));
        assert_eq!(selector("usb:1d6b:0104@1-2").choose(&found).unwrap().path, PathBuf::from("/dev/video2"));
        for several in ["any", "usb:1d6b:0104"] {
            let error = selector(several).choose(&found).unwrap_err();
            assert_eq!(error.kind, CaptureErrorKind::Unsupported);
            let text = error.to_string();
            assert!(text.contains("usb:1d6b:0104:A") && text.contains("usb:1d6b:0104:B"), "{text}");
        }
        let error = selector("usb:1234:0104").choose(&found).unwrap_err();
        assert_eq!(error.kind, CaptureErrorKind::NotFound);
        assert!(error.to_string().contains("/dev/video0"), "{error}");
        assert_eq!(selector("any").choose(&[]).unwrap_err().kind, CaptureErrorKind::NotFound);
    }

    #[test]
    fn a_lost_device_is_the_same_by_its_serial_number_wherever_it_comes_back() {
        let before = [device("/dev/video0", Some("A"), "1-1")];
        let identity = Identity::of(&before[0], &before);
        let after = [device("/dev/video0", Some("B"), "1-1"), device("/dev/video3", Some("A"), "1-7")];
        assert_eq!(identity.find(&after).unwrap().path, PathBuf::from("/dev/video3"));
        assert_eq!(identity.find(&after[..1]).unwrap_err().kind, CaptureErrorKind::NotFound);
    }

    #[test]
    fn a_second_one_with_the_same_serial_number_is_not_taken_for_the_lost_one() {
        let before = [device("/dev/video0", Some("A"), "1-1")];
        let identity = Identity::of(&before[0], &before);
        let both = [device("/dev/video0", Some("A"), "1-2"), device("/dev/video2", Some("A"), "1-1")];
        assert_eq!(identity.find(&both).unwrap().path, PathBuf::from("/dev/video2"));
        let elsewhere = [device("/dev/video0", Some("A"), "1-2"), device("/dev/video2", Some("A"), "1-3")];
        assert_eq!(identity.find(&elsewhere).unwrap_err().kind, CaptureErrorKind::NotFound);
    }

    #[test]
    fn without_a_telling_serial_number_it_is_the_same_only_at_its_port() {
        for serial in [None, Some("0001")] {
            let before = [device("/dev/video0", serial, "1-1"), device("/dev/video2", serial, "1-2")];
            let identity = Identity::of(&before[0], &before);
            let after = [device("/dev/video0", serial, "1-2")];
            let error = identity.find(&after).unwrap_err();
            assert_eq!(error.kind, CaptureErrorKind::NotFound);
            assert!(error.to_string().contains("plug it where it was"), "{error}");
            let back = [device("/dev/video5", serial, "1-1")];
            assert_eq!(identity.find(&back).unwrap().path, PathBuf::from("/dev/video5"));
        }
    }
}
