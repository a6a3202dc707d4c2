//! `hairpin report EXAM`: an exam's record as one page for people, as HTML and as PDF.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::out;
use crate::export::{self, ExportError, Lang, pdf};
use crate::failure::{Failure, OrFail, Status};

#[derive(clap::Args)]
pub struct Args {
    /// The exam's folder
    exam: PathBuf,
    /// The HTML page to write; without --out and --pdf it is EXAM.html here
    #[arg(long, value_name = "FILE.html")]
    out: Option<PathBuf>,
    /// The PDF to write
    #[arg(long, value_name = "FILE.pdf")]
    pdf: Option<PathBuf>,
    /// en, fr or zh
    #[arg(long, value_name = "LANGUAGE", default_value_t = Lang::En)]
    lang: Lang,
    /// Pictures a finger
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=8))]
    frames: u8,
    /// A font for the PDF, before those of this machine; needed where these lack a character
    #[arg(long, value_name = "FILE", requires = "pdf")]
    font: Option<PathBuf>,
    /// Write over files that are there
    #[arg(long)]
    force: bool,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let page = export::page(&args.exam, args.lang, usize::from(args.frames)).map_err(failure)?;
    let html = match (&args.out, &args.pdf) {
        (Some(path), _) => Some(path.clone()),
        (None, Some(_)) => None,
        (None, None) => Some(PathBuf::from(format!("{}.html", page.exam))),
    };
    // Both are made before either is written.
    let pdf = match &args.pdf {
        Some(path) => {
            let faces = pdf::Faces::find(args.font.as_deref()).or_fail(Status::Unavailable)?;
            Some((path, pdf::pdf(&page, &faces).or_fail(Status::Unavailable)?))
        }
        None => None,
    };
    if let Some(path) = html {
        write(&path, export::html::html(&page).as_bytes(), args)?;
    }
    if let Some((path, bytes)) = pdf {
        write(path, &bytes, args)?;
    }
    Ok(())
}

fn failure(error: ExportError) -> Failure {
    let status = match error {
        ExportError::Broken(_) => Status::Data,
        ExportError::Unreadable { .. } => Status::Io,
        ExportError::Decoder(_) | ExportError::Png(_) => Status::Internal,
    };
    Failure::new(status, error)
}

/// A report concerns a patient: nobody but the user who made it reads it. Inside the exam's own folder there is none.
fn write(path: &Path, bytes: &[u8], args: &Args) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let inside = match (folder.canonicalize(), args.exam.canonicalize()) {
        (Ok(folder), Ok(exam)) => folder.starts_with(exam),
        _ => false,
    };
    if inside {
        let message =
            format!("{} lies in the exam's folder, which holds the record alone: name another", path.display());
        return Err(Failure::new(Status::Config, message));
    }
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    if args.force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let written = options.open(path).and_then(|mut file| file.write_all(bytes));
    match written {
        Ok(()) => out::line(path.display().to_string()),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            let message = format!("{} is there already: name another file, or say --force", path.display());
            Err(Failure::new(Status::Config, message))
        }
        Err(e) => Err(Failure::new(Status::Io, format!("cannot write {}: {e}", path.display()))),
    }
}
