//! Which capture devices there are, as the kernel's own tree of devices tells it: nothing is opened here. What only an
//! open device can tell (its formats) is asked in `v4l2`.

use std::fs;
use std::path::{Path, PathBuf};

/// Where the kernel shows its devices; tests bring a tree of their own.
#[derive(Clone, Debug)]
pub struct Tree {
    pub sys: PathBuf,
    pub dev: PathBuf,
    pub proc: PathBuf,
}

impl Default for Tree {
    fn default() -> Self {
        Self { sys: "/sys".into(), dev: "/dev".into(), proc: "/proc".into() }
    }
}

/// A V4L2 node as it is found, not opened.
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    pub path: PathBuf,
    pub name: String,
    pub driver: String,
    /// The USB port, or the device's place on another bus.
    pub place: String,
    /// Of the node among its device's; 0 is the one to capture from where nothing else is known.
    pub index: u32,
    pub usb: Option<Usb>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Usb {
    pub vendor: u16,
    pub product: u16,
    pub make: Option<String>,
    pub model: Option<String>,
    pub serial: Option<String>,
    /// Bus, and the ports from its root down: `1-4.2`.
    pub port: String,
    /// As `lsusb` counts: bus and device.
    pub bus_device: String,
    /// What the port runs at, in megabits a second.
    pub megabits: Option<f64>,
    /// The device's own folder in the tree.
    pub sysfs: PathBuf,
}

impl Usb {
    /// Payload in bytes a second of what a camera may use: of high speed the isochronous limit of USB 2.0, three
    /// transactions of 1024 bytes in each of 8000 microframes; of other speeds the like share of the raw rate.
    pub fn payload(&self) -> Option<f64> {
        let megabits = self.megabits?;
        Some(if (megabits - 480.0).abs() < 1.0 { 24_576_000.0 } else { megabits * 1e6 / 8.0 * 0.4 })
    }
}

impl Device {
    /// In a list of candidates: name, and how to choose it.
    pub fn told(&self) -> String {
        match &self.usb {
            Some(usb) => {
                let serial = usb.serial.as_ref().map(|serial| format!(":{serial}")).unwrap_or_default();
                let (vendor, product) = (usb.vendor, usb.product);
                format!(
                    "\"{}\" (usb:{vendor:04x}:{product:04x}{serial}@{}, {})",
                    self.name,
                    usb.port,
                    self.path.display()
                )
            }
            None => format!("\"{}\" ({})", self.name, self.path.display()),
        }
    }

    /// Who has it open, as far as this user may see: number and name of each process.
    pub fn holders(&self, tree: &Tree) -> Vec<Holder> {
        let Ok(processes) = fs::read_dir(&tree.proc) else { return Vec::new() };
        let mut holders: Vec<Holder> = processes
            .filter_map(Result::ok)
            .filter_map(|entry| {
                let pid = entry.file_name().to_str()?.parse().ok()?;
                let open = fs::read_dir(entry.path().join("fd")).ok()?.filter_map(Result::ok);
                let mut open = open.filter_map(|fd| fs::read_link(fd.path()).ok());
                open.any(|target| target == self.path).then(|| Holder { pid, name: line(&entry.path(), "comm") })
            })
            .collect();
        holders.sort_by_key(|holder| holder.pid);
        holders
    }

    /// The input device of the trigger button: the one that hangs on the same USB device.
    pub fn button(&self, tree: &Tree) -> Option<PathBuf> {
        let usb = self.usb.as_ref()?;
        let inputs = fs::read_dir(tree.sys.join("class/input")).ok()?.filter_map(Result::ok);
        let mut events: Vec<String> = inputs
            .filter(|entry| fs::canonicalize(entry.path()).is_ok_and(|path| path.starts_with(&usb.sysfs)))
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| name.starts_with("event"))
            .collect();
        events.sort();
        events.first().map(|name| tree.dev.join("input").join(name))
    }
}

/// A process that has a device open.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Holder {
    pub pid: u32,
    pub name: String,
}

/// A file of one line in the tree; empty where it is not there.
fn line(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap_or_default().trim().to_owned()
}

fn some_line(folder: &Path, name: &str) -> Option<String> {
    Some(line(folder, name)).filter(|text| !text.is_empty())
}

fn target_name(link: &Path) -> Option<String> {
    Some(fs::canonicalize(link).ok()?.file_name()?.to_string_lossy().into_owned())
}

/// Every V4L2 node, in the order of their numbers; those for metadata among them.
pub fn scan(tree: &Tree) -> Vec<Device> {
    let nodes = fs::read_dir(tree.sys.join("class/video4linux"));
    let mut devices: Vec<(u32, Device)> = nodes
        .map(|nodes| nodes.filter_map(Result::ok).filter_map(|entry| device(tree, &entry.path())).collect())
        .unwrap_or_default();
    devices.sort_by_key(|(number, _)| *number);
    devices.into_iter().map(|(_, device)| device).collect()
}

/// `None` for what is no video node, such as a radio or a subdevice.
fn device(tree: &Tree, node: &Path) -> Option<(u32, Device)> {
    let file = node.file_name()?.to_str()?;
    let number = file.strip_prefix("video")?.parse().ok()?;
    let parent = node.join("device");
    let usb = fs::canonicalize(&parent).ok().and_then(|interface| usb(interface.parent()?));
    let place = usb.as_ref().map(|usb| usb.port.clone()).or_else(|| target_name(&parent)).unwrap_or_default();
    let device = Device {
        path: tree.dev.join(file),
        name: line(node, "name"),
        driver: target_name(&parent.join("driver")).unwrap_or_default(),
        place,
        index: line(node, "index").parse().unwrap_or_default(),
        usb,
    };
    Some((number, device))
}

fn usb(folder: &Path) -> Option<Usb> {
    let id = |name| u16::from_str_radix(&line(folder, name), 16).ok();
    Some(Usb {
        vendor: id("idVendor")?,
        product: id("idProduct")?,
        make: some_line(folder, "manufacturer"),
        model: some_line(folder, "product"),
        serial: some_line(folder, "serial"),
        port: folder.file_name()?.to_str()?.to_owned(),
        bus_device: format!("{:0>3}/{:0>3}", line(folder, "busnum"), line(folder, "devnum")),
        megabits: line(folder, "speed").parse().ok(),
        sysfs: folder.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    struct Fake(tempfile::TempDir);

    impl Fake {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn tree(&self) -> Tree {
            let at = |name| self.0.path().canonicalize().unwrap().join(name);
            Tree { sys: at("sys"), dev: at("dev"), proc: at("proc") }
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn link(&self, link: &str, target: &str) {
            let link = self.0.path().join(link);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            fs::create_dir_all(self.0.path().join(target)).unwrap();
            symlink(self.0.path().join(target), link).unwrap();
        }

        /// A camera on a USB port, with two nodes, one of them for metadata, and a button.
        fn camera(&self, port: &str, first_node: u32) {
            let usb = format!("sys/devices/usb1/{port}");
            for (name, text) in [
                ("idVendor", "1d6b\n"),
                ("idProduct", "0104\n"),
                ("product", "Test Capillaroscope\n"),
                ("serial", "RIG0001\n"),
                ("busnum", "1\n"),
                ("devnum", "12\n"),
                ("speed", "480\n"),
            ] {
                self.write(&format!("{usb}/{name}"), text);
            }
            self.link(&format!("{usb}/{port}:1.0/driver"), "sys/bus/usb/drivers/uvcvideo");
            for index in 0..2 {
                let node = format!("{usb}/{port}:1.0/video4linux/video{}", first_node + index);
                self.write(&format!("{node}/name"), "Test Capillaroscope: Test Capi\n");
                self.write(&format!("{node}/index"), &format!("{index}\n"));
                self.link(&format!("{node}/device"), &format!("{usb}/{port}:1.0"));
                self.link(&format!("sys/class/video4linux/video{}", first_node + index), &node);
            }
            self.link("sys/class/input/event5", &format!("{usb}/{port}:1.0/input/input9/event5"));
            self.link("sys/class/input/event1", "sys/devices/platform/keyboard/input/input1/event1");
        }
    }

    #[test]
    fn a_camera_is_found_with_all_that_the_kernel_tells_of_it() {
        let fake = Fake::new();
        fake.camera("1-4.2", 9);
        fake.write("sys/class/video4linux/radio0/name", "a radio\n");
        let tree = fake.tree();
        let found = scan(&tree);
        assert_eq!(found.iter().map(|d| d.index).collect::<Vec<_>>(), [0, 1], "9 before 10");
        let camera = &found[0];
        assert_eq!(camera.path, tree.dev.join("video9"));
        assert_eq!((camera.driver.as_str(), camera.place.as_str()), ("uvcvideo", "1-4.2"));
        let usb = camera.usb.as_ref().unwrap();
        assert_eq!((usb.vendor, usb.product, usb.bus_device.as_str()), (0x1d6b, 0x0104, "001/012"));
        assert_eq!((usb.serial.as_deref(), usb.make.as_deref()), (Some("RIG0001"), None));
        assert_eq!(usb.payload(), Some(24_576_000.0));
        assert_eq!(camera.button(&tree), Some(tree.dev.join("input/event5")));
        assert!(camera.told().contains("usb:1d6b:0104:RIG0001@1-4.2"), "{}", camera.told());
    }

    #[test]
    fn a_device_on_no_usb_has_its_place_and_no_button() {
        let fake = Fake::new();
        fake.write("sys/devices/platform/vivid.0/video4linux/video0/name", "vivid-000-vid-cap\n");
        fake.link("sys/devices/platform/vivid.0/video4linux/video0/device", "sys/devices/platform/vivid.0");
        fake.link("sys/class/video4linux/video0", "sys/devices/platform/vivid.0/video4linux/video0");
        let found = scan(&fake.tree());
        assert_eq!((found[0].place.as_str(), &found[0].usb), ("vivid.0", &None));
        assert_eq!(found[0].button(&fake.tree()), None);
    }

    #[test]
    fn who_holds_a_device_is_named() {
        let fake = Fake::new();
        fake.camera("1-1", 0);
        let tree = fake.tree();
        fake.write("proc/417/comm", "guvcview\n");
        fs::create_dir_all(tree.proc.join("417/fd")).unwrap();
        symlink(tree.dev.join("video0"), tree.proc.join("417/fd/7")).unwrap();
        fake.write("proc/9/comm", "other\n");
        fs::create_dir_all(tree.proc.join("9/fd")).unwrap();
        let found = scan(&tree);
        assert_eq!(found[0].holders(&tree), [Holder { pid: 417, name: "guvcview".to_owned() }]);
        assert_eq!(found[1].holders(&tree), []);
    }

    #[test]
    fn without_a_tree_there_are_no_devices() {
        let empty = Tree { sys: "/nowhere".into(), dev: "/nowhere".into(), proc: "/nowhere".into() };
        assert_eq!(scan(&empty), []);
    }
}
