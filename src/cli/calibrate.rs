//! `hairpin calibrate`: the scale of a microscope, from a picture of something whose length is known.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{find_config, out, overlay};
use crate::calibrate::spacing;
use crate::calibrate::store::{Entry, Key, Store};
use crate::capture::v4l2::{Camera, ScaleOf};
use crate::capture::{CaptureError, CaptureErrorKind, Next, Replay, Source};
use crate::config::{self, Resolved, ScaleChoice, SourceChoice};
use crate::daemon::assemble;
use crate::decode::{Decoded, Decoder};
use crate::failure::{Failure, OrFail, Status};
use crate::frame::{Image, RawFrame, Size};
use crate::scale::{Known, Scale, ScaleMethod, UM_PER_PX_RANGE};
use crate::time::Clock;

/// A camera finds its exposure within so many frames; the last of them is taken.
const SETTLE: u32 = 30;
/// Longest wait for them.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(clap::Args)]
pub struct Args {
    /// A picture of the scale; else one is taken from the camera of the configuration
    picture: Option<PathBuf>,
    /// Names the camera, the file of calibrations and the magnification; else as for `hairpin run`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// List the calibrations and end
    #[arg(long)]
    list: bool,
    /// Which device took the picture, as `hairpin devices` names it; of a live picture it is known
    #[arg(long, value_name = "ID")]
    device: Option<String>,
    /// As the lens says it, such as 200x; else that of the configuration
    #[arg(long, value_name = "TEXT")]
    magnification: Option<String>,
    /// Distance of two neighbouring lines of the scale in micrometres: the lines are found in the picture
    #[arg(long, value_name = "UM", conflicts_with = "points")]
    division_um: Option<f64>,
    /// Two points of the picture, in pixels, instead of finding the lines
    #[arg(long, value_name = "X,Y,X,Y", requires = "length_um", value_delimiter = ',')]
    points: Option<Vec<f64>>,
    /// Distance of the two points in micrometres
    #[arg(long, value_name = "UM", requires = "points")]
    length_um: Option<f64>,
    /// What is in the picture
    #[arg(long, value_enum, default_value_t = How::StageMicrometer)]
    how: How,
    /// Who measures: initials or a number
    #[arg(long, value_name = "OPERATOR", required_unless_present = "list")]
    by: Option<String>,
    /// After so many days it has to be measured again; ours, not a standard's
    #[arg(long, value_name = "DAYS", default_value_t = 180, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
    /// Where the picture with the result drawn over it goes
    #[arg(long, value_name = "SVG")]
    out: Option<PathBuf>,
    /// Show the result and store nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum How {
    StageMicrometer,
    RulerInView,
}

impl From<How> for ScaleMethod {
    fn from(how: How) -> Self {
        match how {
            How::StageMicrometer => Self::StageMicrometer,
            How::RulerInView => Self::RulerInView,
        }
    }
}

/// What was found in the picture.
struct Found {
    um_per_px: f64,
    relative_error: Option<f64>,
    marks: String,
    words: String,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let config = config::load(&find_config(args.config.as_deref())?).or_fail(Status::Config)?;
    let Some(ScaleChoice { file, magnification }) = config.scale.clone() else {
        let message = "no place for calibrations: add [scale] with file and magnification to the configuration";
        return Err(Failure::new(Status::Config, message));
    };
    let store = Store::at(&file);
    if args.list {
        return list(&store);
    }
    let by = args.by.as_deref().unwrap_or_default();
    if by.is_empty() || by.len() > 32 || by.chars().any(char::is_control) {
        return Err(Failure::new(Status::Config, "--by: 1 to 32 characters, such as initials"));
    }
    let (raw, device) = picture(args, &config)?;
    let image = pixels(&raw)?;
    let found = measure(args, &image)?;
    let magnification = args.magnification.clone().unwrap_or(magnification);
    let key = Key { device, magnification, size: image.size() };
    if Scale::new(found.um_per_px, args.how.into()).is_none() {
        let (low, high) = (UM_PER_PX_RANGE.start(), UM_PER_PX_RANGE.end());
        let message = format!(
            "{:.4} um per pixel is no scale of a microscope ({low} to {high}): is the distance given right?",
            found.um_per_px
        );
        return Err(Failure::new(Status::Data, message));
    }
    let now = jiff::Timestamp::now();
    let entry = Entry {
        relative_error: found.relative_error,
        ..Entry::new(key, found.um_per_px, args.how.into(), by.to_owned(), now, args.days)
    };
    out::line(&found.words)?;
    if let Some(path) = &args.out {
        let svg = overlay::annotated(&raw, &image, &found.marks, &format!("{}; {}", found.words, told(&entry)))?;
        std::fs::write(path, svg)
            .map_err(|e| Failure::new(Status::Io, format!("cannot write {}: {e}", path.display())))?;
        out::line(format!("drawn over the picture in {}", path.display()))?;
    }
    if args.dry_run {
        return out::line(format!("not stored: {}", told(&entry)));
    }
    store.add(&entry).or_fail(Status::Io)?;
    out::line(format!("stored: {}", told(&entry)))
}

fn list(store: &Store) -> Result<(), Failure> {
    for entry in store.entries().or_fail(Status::Data)? {
        out::line(told(&entry))?;
    }
    Ok(())
}

fn told(entry: &Entry) -> String {
    let Entry { key, um_per_px, when, by, expires, .. } = entry;
    let day = |stamp: jiff::Timestamp| stamp.strftime("%Y-%m-%d").to_string();
    format!(
        "{} at {}, {}: {um_per_px:.4} um/px, {} by {by} on {}, until {}",
        key.device,
        key.magnification,
        key.size,
        overlay::kebab(&entry.how),
        day(*when),
        day(*expires)
    )
}

/// The picture, and the device that took it.
fn picture(args: &Args, config: &Resolved) -> Result<(RawFrame, String), Failure> {
    match &args.picture {
        Some(path) => {
            let Some(device) = args.device.clone() else {
                let message = "which device took this picture? Name it with --device, as `hairpin devices` does";
                return Err(Failure::new(Status::Config, message));
            };
            Ok((from_file(path)?, device))
        }
        None => live(config),
    }
}

fn from_file(path: &Path) -> Result<RawFrame, Failure> {
    let mut replay = Replay::open(path, Default::default()).map_err(assemble::capture_failure)?;
    match replay.next(PATIENCE).map_err(assemble::capture_failure)? {
        Next::Frame(frame) => Ok(frame),
        Next::Idle | Next::End => Err(Failure::new(Status::Data, format!("no picture in {}", path.display()))),
    }
}

fn live(config: &Resolved) -> Result<(RawFrame, String), Failure> {
    let SourceChoice::V4l2 { device, settings, .. } = &config.source else {
        let message = "source.kind is not \"v4l2\": give a picture, or a configuration with a camera";
        return Err(Failure::new(Status::Config, message));
    };
    let no_scale: ScaleOf = Box::new(|_, _| Known::default());
    let mut camera = Camera::new(device.clone(), settings.clone(), Clock::live(), no_scale);
    let failed = |error: CaptureError| assemble::source_failure(&config.source, error);
    let mut source = camera.open().map_err(failed)?;
    let id = source.info().words.device.as_ref().map(|device| device.id.clone()).unwrap_or_default();
    let began = Instant::now();
    let mut taken = 0;
    while began.elapsed() < PATIENCE {
        match source.next(Duration::from_millis(100)) {
            Ok(Next::Frame(frame)) if taken >= SETTLE && !frame.flagged => return Ok((frame, id)),
            Ok(Next::Frame(_)) => taken += 1,
            Ok(Next::Idle | Next::End) => {}
            Err(error) if error.kind == CaptureErrorKind::BadFrame => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Err(Failure::new(Status::Unavailable, format!("the microscope gave {taken} frames in {} s", PATIENCE.as_secs())))
}

fn pixels(raw: &RawFrame) -> Result<Image, Failure> {
    match Decoder::new().or_fail(Status::Internal)?.decode(raw, Vec::new()) {
        Decoded::Clean(image) | Decoded::Tolerated(image) => Ok(image),
        Decoded::Rejected { damage, .. } => Err(Failure::new(
            Status::Data,
            format!("the picture is damaged ({}): take another", overlay::kebab(&damage)),
        )),
    }
}

fn measure(args: &Args, image: &Image) -> Result<Found, Failure> {
    let size = image.size();
    match (&args.points, args.length_um, args.division_um) {
        (Some(points), Some(length_um), None) => between(points, length_um, size),
        (None, None, Some(division_um)) if division_um > 0.0 => {
            let found = spacing::find(image).or_fail(Status::Data)?;
            let um_per_px = division_um / found.period_px;
            let words = format!(
                "{} lines, {:.3} px apart (standard error {:.4} px): {um_per_px:.4} um per pixel",
                found.lines.len(),
                found.period_px,
                found.standard_error_px
            );
            let relative_error = Some(found.standard_error_px / found.period_px);
            Ok(Found { um_per_px, relative_error, marks: drawn(&found, size), words })
        }
        _ => {
            let message =
                "say what is in the picture: --division-um with the distance of the lines, or --points and --length-um";
            Err(Failure::new(Status::Config, message))
        }
    }
}

fn between(points: &[f64], length_um: f64, size: Size) -> Result<Found, Failure> {
    let &[ax, ay, bx, by] = points else { return Err(Failure::new(Status::Config, "--points takes four numbers")) };
    let inside =
        |x: f64, y: f64| (0.0..f64::from(size.width)).contains(&x) && (0.0..f64::from(size.height)).contains(&y);
    if !(inside(ax, ay) && inside(bx, by)) {
        return Err(Failure::new(Status::Config, format!("--points: both must lie in the picture of {size}")));
    }
    let px = (bx - ax).hypot(by - ay);
    // A pixel's error at each end is then a fiftieth at most.
    if px < 100.0 || length_um.is_nan() || length_um <= 0.0 {
        let message = format!("the points are {px:.0} px apart: take two at least 100 px apart, and a length above 0");
        return Err(Failure::new(Status::Config, message));
    }
    let um_per_px = length_um / px;
    let marks = line([ax, ay], [bx, by]);
    Ok(Found {
        um_per_px,
        relative_error: None,
        marks,
        words: format!("{px:.1} px between the points: {um_per_px:.4} um per pixel"),
    })
}

fn line(from: [f64; 2], to: [f64; 2]) -> String {
    format!(
        "<path d=\"M{:.1} {:.1}L{:.1} {:.1}\" stroke=\"#0072b2\" stroke-width=\"2\"/>\n",
        from[0], from[1], to[0], to[1]
    )
}

/// Each line that was found, through the whole picture.
fn drawn(found: &spacing::Spacing, size: Size) -> String {
    let [cos, sin] = found.across;
    let reach = f64::from(size.width + size.height);
    let through = |at: &f64| {
        let (x, y) = (at * cos, at * sin);
        line([x - reach * sin, y + reach * cos], [x + reach * sin, y - reach * cos])
    };
    found.lines.iter().map(through).collect()
}
