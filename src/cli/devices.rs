//! `hairpin devices`: every camera of this machine, what it offers, and whether it can be had.

use std::io::ErrorKind;

use serde::Serialize;

use super::out;
use crate::capture::devices::{Device, Holder, Tree};
use crate::capture::select::Identity;
use crate::capture::v4l2::{self, FormatWords};
use crate::failure::{Failure, Status};

#[derive(clap::Args)]
pub struct Args {
    #[arg(long)]
    json: bool,
}

/// One camera.
#[derive(Serialize)]
struct Found {
    /// For `source.device` of a configuration.
    id: String,
    path: String,
    name: String,
    make: Option<String>,
    model: Option<String>,
    serial: Option<String>,
    /// Vendor and product, as `lsusb` shows them.
    usb: Option<String>,
    port: String,
    megabits_per_s: Option<f64>,
    driver: String,
    may_open: bool,
    /// Why it cannot be opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    why_not: Option<String>,
    /// Programs that have it open, as far as this user may see.
    holders: Vec<Holder>,
    /// The trigger button's input device.
    button: Option<String>,
    formats: Vec<FormatWords>,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let tree = Tree::default();
    let devices = v4l2::capture_nodes(&tree);
    let found: Vec<Found> = devices.iter().map(|device| look_at(device, &devices, &tree)).collect();
    if args.json {
        out::json(&found)?;
    } else {
        found.iter().try_for_each(|found| out::line(told(found)))?;
    }
    if found.is_empty() {
        let looked = "no capture device: looked through /sys/class/video4linux for V4L2 nodes that give pictures. \
            Check the microscope's cable and its own switch, see whether `lsusb` lists it, and whether this user is in the \
            group video; `hairpin doctor` looks at the rest";
        return Err(Failure::new(Status::Unavailable, looked));
    }
    Ok(())
}

fn look_at(device: &Device, among: &[Device], tree: &Tree) -> Found {
    let probed = v4l2::probe(&device.path);
    let usb = device.usb.as_ref();
    let why_not = probed.as_ref().err().map(|error| match error.kind() {
        ErrorKind::PermissionDenied => v4l2::denied(&device.path),
        _ => error.to_string(),
    });
    let own = std::process::id();
    Found {
        id: Identity::of(device, among).to_string(),
        path: device.path.display().to_string(),
        name: device.name.clone(),
        make: usb.and_then(|usb| usb.make.clone()),
        model: usb.and_then(|usb| usb.model.clone()),
        serial: usb.and_then(|usb| usb.serial.clone()),
        usb: usb.map(|usb| format!("{:04x}:{:04x}", usb.vendor, usb.product)),
        port: device.place.clone(),
        megabits_per_s: usb.and_then(|usb| usb.megabits),
        driver: device.driver.clone(),
        may_open: probed.is_ok(),
        why_not,
        holders: device.holders(tree).into_iter().filter(|holder| holder.pid != own).collect(),
        button: device.button(tree).map(|path| path.display().to_string()),
        formats: probed.map(|probed| probed.formats).unwrap_or_default(),
    }
}

fn told(found: &Found) -> String {
    let mut lines = vec![format!("{}  {}", found.path, found.name)];
    let mut line = |key: &str, value: String| lines.push(format!("    {key:<8} {value}"));
    line("device", found.id.clone());
    let maker = [&found.make, &found.model].into_iter().flatten().cloned().collect::<Vec<_>>().join(" ");
    if !maker.is_empty() {
        line("made as", maker);
    }
    if let Some(serial) = &found.serial {
        line("serial", serial.clone());
    }
    let speed = found.megabits_per_s.map(|speed| format!(" at {speed} Mbit/s")).unwrap_or_default();
    let usb = found.usb.as_ref().map_or("not on USB".to_owned(), |usb| format!("USB {usb}"));
    line("port", format!("{}{speed}, {usb}, driver {}", found.port, found.driver));
    match &found.why_not {
        None => line("access", "may be opened".to_owned()),
        Some(why) => line("access", format!("NO: {why}")),
    }
    if !found.holders.is_empty() {
        let names: Vec<String> = found.holders.iter().map(|h| format!("{} (process {})", h.name, h.pid)).collect();
        line("open in", names.join(", "));
    }
    line("button", found.button.clone().unwrap_or_else(|| "none".to_owned()));
    for format in &found.formats {
        let note = if format.read { "" } else { " (not read by Hairpin)" };
        let sizes: Vec<String> = format
            .sizes
            .iter()
            .map(|offer| {
                let rates: Vec<String> = offer.frames_per_s.iter().map(ToString::to_string).collect();
                let to = offer.to.map(|to| format!(" to {to}")).unwrap_or_default();
                format!("{}{to} at {}", offer.size, if rates.is_empty() { "?".to_owned() } else { rates.join(", ") })
            })
            .collect();
        line(&format.code, format!("{}{note}", sizes.join("; ")));
    }
    lines.join("\n")
}
