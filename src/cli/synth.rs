//! `hairpin synth`: writes pictures with known truth, to train and to test with.

use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};

use crate::synth::pathology::Cohort;
use crate::synth::set::{self, SetError, Settings};

/// Draws nailfolds with known truth and writes them as JPEG files with one line of truth each.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Folder for the set; must not hold one already.
    #[arg(long)]
    pub out: PathBuf,
    /// Number of pictures.
    #[arg(long, default_value_t = 100)]
    pub count: u32,
    /// The same seed gives the same set.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Number of subjects; one for every sixteen pictures unless given.
    #[arg(long)]
    pub subjects: Option<u32>,
    /// Whom to draw.
    #[arg(long, value_enum, default_value_t = Who::Mixed)]
    pub cohort: Who,
    /// Draw at this scale instead of the microscope's own, over the same field.
    #[arg(long)]
    pub um_per_px: Option<f32>,
    /// Draw squares of so many pixels instead of whole fields.
    #[arg(long)]
    pub tile: Option<u32>,
    /// Write what each pixel is, too: labels/*.png.
    #[arg(long)]
    pub labels: bool,
    /// Threads to draw with.
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Who {
    Healthy,
    Scleroderma,
    Mixed,
}

impl From<&Args> for Settings {
    fn from(args: &Args) -> Self {
        Self {
            count: args.count,
            subjects: args.subjects.unwrap_or(args.count.div_ceil(16)),
            seed: args.seed,
            cohort: match args.cohort {
                Who::Healthy => Cohort::Healthy,
                Who::Scleroderma => Cohort::Scleroderma,
                Who::Mixed => Cohort::Mixed,
            },
            um_per_px: args.um_per_px,
            tile: args.tile,
            labels: args.labels,
            threads: args.threads,
        }
    }
}

pub fn run(args: &Args) -> Result<(), SetError> {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} pictures, {eta} left");
    let bar =
        ProgressBar::new(u64::from(args.count)).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    set::write(&args.into(), &args.out, &|| bar.inc(1))?;
    bar.finish();
    Ok(())
}
