//! `hairpin eval PATH`: how well loops are found and counted on frames that somebody has labelled, or that were drawn,
//! as one page and as JSON. Every frame goes the way of a live one.

mod cases;

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};

use self::cases::{Case, Cases};
use super::picture::{Eye, Seen, load};
use super::{find_config, out, overlay};
use crate::evaluate::frame::Frame;
use crate::evaluate::page;
use crate::evaluate::report::Report;
use crate::failure::{Failure, OrFail, Status};
use crate::measure::Settings;
use crate::report::NOTICE;

#[derive(clap::Args)]
pub struct Args {
    /// Labelled frames (PATH/frames or PATH, with PATH/masks), or a set that `hairpin synth` wrote
    path: PathBuf,
    /// What readers say of the frames (docs/measure.md); taken from PATH where it is not found from here
    #[arg(long, value_name = "CSV")]
    labels: Option<PathBuf>,
    /// Whose model, gate and measure sections are used; else as for `hairpin run`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Micrometres per pixel, where no sidecar gives them
    #[arg(long, value_name = "UM")]
    um_per_px: Option<f64>,
    /// Where the page goes; an earlier one is replaced
    #[arg(long, value_name = "FILE", default_value = "eval.html")]
    page: PathBuf,
    /// Figures as one JSON document
    #[arg(long)]
    json: bool,
    /// Write each frame with what was seen in it to DIR, as SVG, and link the page to them
    #[arg(long, value_name = "DIR")]
    overlay: Option<PathBuf>,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let config = crate::config::load(&find_config(args.config.as_deref())?).or_fail(Status::Config)?;
    let Some(choice) = &config.measure else {
        let message = format!("{} measures no loops: give it a [measure] section", config.path.display());
        return Err(Failure::new(Status::Config, message));
    };
    let cases = Cases::find(&args.path, args.labels.as_deref(), args.um_per_px)?;
    can_be_written(&args.page)?;
    if let Some(folder) = &args.overlay {
        let pictures: Vec<PathBuf> = cases.all.iter().map(|case| case.path.clone()).collect();
        overlay::begin(folder, &pictures)?;
    }
    let mut eye = Eye::open(&config)?;
    let frames = look_at_all(&cases, &mut eye, &choice.limits, args.overlay.as_deref())?;
    let locator = eye.locator().cloned().ok_or_else(|| Failure::new(Status::Internal, "no locator is loaded"))?;
    let report = Report::of(frames, cases.labels, locator, choice.limits.clone());
    write_page(args, &cases, &report)?;
    if args.json { out::json(&report) } else { table(&report, &args.page) }
}

fn look_at_all(
    cases: &Cases,
    eye: &mut Eye<'_>,
    settings: &Settings,
    overlays: Option<&Path>,
) -> Result<Vec<Frame>, Failure> {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} frames, {eta} left");
    let bar =
        ProgressBar::new(cases.all.len() as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let mut frames = Vec::with_capacity(cases.all.len());
    for case in &cases.all {
        let (raw, _) = load(&case.path, None, false)?;
        let outcome = eye.look(&raw, Some(case.scale.clone()))?;
        frames.push(case.judge(&outcome, settings)?);
        if let Some(folder) = overlays {
            let um_per_px = Some(case.scale.um_per_px);
            overlay::write(folder, &raw, &Seen { file: case.path.clone(), um_per_px, outcome })?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(frames)
}

/// Said before the frames are read and not after. An earlier page stays until the new one is there.
fn can_be_written(page: &Path) -> Result<(), Failure> {
    let opened = OpenOptions::new().create(true).write(true).truncate(false).open(page);
    opened.map(drop).map_err(|e| Failure::new(Status::Io, format!("cannot write {}: {e}", page.display())))
}

fn write_page(args: &Args, cases: &Cases, report: &Report) -> Result<(), Failure> {
    let link = args.overlay.as_ref().map(|folder| {
        let folder = from_page(&args.page, folder);
        move |frame: &str| {
            let case = cases.all.iter().find(|case| case.name == frame);
            let name = case.map(|case: &Case| overlay::name(&case.path)).unwrap_or_default();
            href(&folder.join(name))
        }
    });
    let html = page::html(report, link.as_ref().map(|link| link as &dyn Fn(&str) -> String));
    fs::write(&args.page, html)
        .map_err(|e| Failure::new(Status::Io, format!("cannot write {}: {e}", args.page.display())))
}

/// The folder as a page in `page` would name it: below its own folder where it lies there, else from the root.
fn from_page(page: &Path, folder: &Path) -> PathBuf {
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let here = page.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = whole(folder);
    folder.strip_prefix(whole(here)).map(Path::to_owned).unwrap_or(folder)
}

/// A path as a link: letters that mean something in one are written by their number.
fn href(path: &Path) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~".contains(&b);
    let text = path.to_string_lossy();
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

fn table(report: &Report, page: &Path) -> Result<(), Failure> {
    for group in &report.groups {
        out::line(format!("{} ({})", group.name, group.frames))?;
        for figure in &group.figures {
            let [words, value, interval, n] = page::cells(figure);
            out::line(format!("  {words:<60}  {value:>10}  {interval:>16}  of {n}"))?;
        }
    }
    if let Some(subject) = &report.worst_subject {
        let group = report.subjects.iter().find(|group| group.name == *subject);
        let f1 = group.and_then(|group| group.figure("apex_f1")).map(|f| format!(": F1 {:.2}", f.value));
        out::line(format!("worst subject {subject}{}", f1.unwrap_or_default()))?;
    }
    out::line(format!("frames whose category stands against what is said of them: {}", report.against.len()))?;
    out::line(format!("page: {}", page.display()))?;
    out::line(NOTICE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_from_the_page_to_the_overlay() {
        let dir = tempfile::tempdir().unwrap();
        let overlays = dir.path().join("out/a & b #1");
        fs::create_dir_all(&overlays).unwrap();
        let page = dir.path().join("out/eval.html");
        assert_eq!(href(&from_page(&page, &overlays).join("x.svg")), "a%20%26%20b%20%231/x.svg");
        let elsewhere = dir.path().join("eval/eval.html");
        fs::create_dir_all(elsewhere.parent().unwrap()).unwrap();
        let link = href(&from_page(&elsewhere, &overlays));
        assert!(link.starts_with('/') && link.ends_with("/out/a%20%26%20b%20%231"), "{link}");
    }
}
