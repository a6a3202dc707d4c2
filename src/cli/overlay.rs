//! The picture with what was seen in it, as one SVG file that holds the original bytes: any browser shows it, and
//! nothing was drawn over a pixel of the evidence.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::{ColorType, ImageFormat, ImageReader};
use serde::Serialize;

use super::picture::{Outcome, Seen, words};
use crate::export::marks;
use crate::failure::{Failure, Status};
use crate::frame::{Format, Image, RawFrame, Size};
use crate::outcome::Quality;
use crate::report::NOTICE;

/// Room below the picture for what was seen.
const BAND_PX: u32 = 150;

/// What the overlay of a picture is called in its folder.
pub fn name(picture: &Path) -> String {
    format!("{}.svg", picture.file_stem().unwrap_or_default().to_string_lossy())
}

/// Makes the folder for the overlays of these pictures.
pub fn begin(folder: &Path, images: &[PathBuf]) -> Result<(), Failure> {
    one_each(images)?;
    fs::create_dir_all(folder).map_err(|e| Failure::new(Status::Io, format!("cannot make {}: {e}", folder.display())))
}

/// Two overlays of one name would be one file.
fn one_each(images: &[PathBuf]) -> Result<(), Failure> {
    for (i, image) in images.iter().enumerate() {
        let own = name(image);
        if let Some(other) = images[..i].iter().find(|other| name(other) == own) {
            let both = format!("{} and {}", other.display(), image.display());
            let message = format!("{both} would both write {own}: give them other names, or read them one by one");
            return Err(Failure::new(Status::Config, message));
        }
    }
    Ok(())
}

pub fn write(folder: &Path, raw: &RawFrame, seen: &Seen) -> Result<(), Failure> {
    let path = folder.join(name(&seen.file));
    fs::write(&path, svg(raw, seen))
        .map_err(|e| Failure::new(Status::Io, format!("cannot write {}: {e}", path.display())))
}

fn svg(raw: &RawFrame, seen: &Seen) -> String {
    // Small pictures stand in a corner at their own size: a stretched one would not fit its scale bar.
    let size = size(raw);
    let (width, height) = (size.width.max(640), size.height.max(480));
    let media = match raw.format {
        Format::Png => "image/png",
        Format::Tiff => "image/tiff",
        Format::Bmp => "image/bmp",
        _ => "image/jpeg",
    };
    let (colour, figures) = match &seen.outcome {
        Outcome::Scored { quality, .. } => ("#0072b2", quality_words(quality)),
        Outcome::Rejected { quality, .. } => ("#d55e00", quality_words(quality)),
        Outcome::Undecodable { .. } | Outcome::Failed { .. } => ("#d55e00", String::new()),
    };
    let name = seen.file.file_name().unwrap_or_default().to_string_lossy();
    let headline = format!("{name}: {}", words(&seen.outcome));
    let scale = match seen.um_per_px.filter(|_| size.pixels() > 0) {
        Some(um_per_px) => scale_bar(um_per_px, width, height),
        None => text(16, height + 112, 20, "no scale: nothing in micrometres"),
    };
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {total}\" font-family=\"sans-serif\">\n\
         <rect width=\"{width}\" height=\"{total}\" fill=\"#111\"/>\n\
         <image width=\"{pw}\" height=\"{ph}\" href=\"data:{media};base64,{bytes}\"/>\n\
         <rect x=\"2\" y=\"2\" width=\"{w}\" height=\"{h}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"4\"/>\n\
         {loops}{headline}{figures}{scale}{notice}</svg>\n",
        total = height + BAND_PX,
        pw = size.width,
        ph = size.height,
        bytes = STANDARD.encode(&raw.bytes),
        w = width - 4,
        h = height - 4,
        loops = loops(seen, size),
        headline = text(16, height + 36, fitting(26, width, &headline), &headline),
        figures = text(16, height + 72, 20, &figures),
        notice = text(16, height + 140, 18, &format!("score of one picture, no verdict; {NOTICE}")),
    )
}

fn loops(seen: &Seen, size: Size) -> String {
    match &seen.outcome {
        Outcome::Scored { measured: Some(measured), .. } => marks(size, measured),
        _ => String::new(),
    }
}

/// The picture with marks drawn over it and one line of words below.
pub fn annotated(raw: &RawFrame, image: &Image, marks: &str, words: &str) -> Result<String, Failure> {
    let Size { width, height } = image.size();
    let (media, bytes) = match raw.format {
        Format::Mjpeg => ("image/jpeg", raw.bytes.to_vec()),
        _ => ("image/png", png(image)?),
    };
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {total}\" font-family=\"sans-serif\">\n\
         <rect width=\"{width}\" height=\"{total}\" fill=\"#111\"/>\n\
         <svg width=\"{width}\" height=\"{height}\">\n\
         <image width=\"{width}\" height=\"{height}\" href=\"data:{media};base64,{bytes}\"/>\n{marks}</svg>\n{words}</svg>\n",
        total = height + 40,
        bytes = STANDARD.encode(bytes),
        words = text(16, height + 28, 18, words),
    ))
}

/// What a camera sends uncompressed no browser shows.
fn png(image: &Image) -> Result<Vec<u8>, Failure> {
    let Size { width, height } = image.size();
    let mut bytes = Cursor::new(Vec::new());
    image::write_buffer_with_format(&mut bytes, image.rgb(), width, height, ColorType::Rgb8, ImageFormat::Png)
        .map_err(|e| Failure::new(Status::Internal, e))?;
    Ok(bytes.into_inner())
}

/// Of the picture as a viewer shows it: a TIFF has no fixed place for it, so its header is read.
fn size(raw: &RawFrame) -> Size {
    if raw.size.pixels() > 0 {
        return raw.size;
    }
    let read = ImageReader::new(Cursor::new(&raw.bytes)).with_guessed_format().ok();
    let found = read.and_then(|reader| reader.into_dimensions().ok());
    found.map_or(raw.size, |(width, height)| Size::new(width, height))
}

/// A bar of half a millimetre, drawn only where the scale is known.
fn scale_bar(um_per_px: f64, width: u32, height: u32) -> String {
    let length = 500.0 / um_per_px;
    let (right, y) = (f64::from(width) - 24.0, height - 24);
    let left = right - length;
    format!(
        "<path d=\"M{left:.1} {y}H{right:.1}\" stroke=\"#fff\" stroke-width=\"6\"/>\n{}",
        text(16, height + 112, 20, &format!("bar 500 um, {um_per_px} um/px"))
    )
}

fn quality_words(q: &Quality) -> String {
    format!(
        "luma {:.0}, sharpness {:.2}, glare {:.1} %, dark {:.1} %, bright {:.1} %, nailfold {:.2}",
        q.luma,
        q.sharpness,
        q.glare * 100.0,
        q.dark * 100.0,
        q.bright * 100.0,
        q.nailfold
    )
}

/// Size of type, at most `most`, with which a line stays within the picture: letters are about 0.55 as wide as high.
fn fitting(most: u32, width: u32, words: &str) -> u32 {
    let room = f64::from(width - 32);
    let letters = words.chars().count().max(1) as f64;
    ((room / (0.55 * letters)) as u32).min(most)
}

fn text(x: u32, y: u32, px: u32, words: &str) -> String {
    // XML knows no control characters, and a file's name may hold some.
    let safe = words.replace('&', "&amp;").replace('<', "&lt;").replace(char::is_control, "?");
    format!("<text x=\"{x}\" y=\"{y}\" font-size=\"{px}\" fill=\"#eee\">{safe}</text>\n")
}

/// A word of the vocabulary as it stands in JSON.
pub fn kebab(word: &impl Serialize) -> String {
    serde_json::to_value(word).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}
