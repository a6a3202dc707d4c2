//! `hairpin scores EXAM`: scores that the literature makes of counted loops, out of a closed exam's record.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::out;
use crate::aggregate::loops::LoopPool;
use crate::aggregate::scores::{Csuri, FieldImage, Score, Scores, scores};
use crate::failure::{Failure, Status};
use crate::finger::Finger;
use crate::record::verify::{Broken, State, read};
use crate::report::{Event, ExamEvent, Line, NOTICE, SCHEMA};

#[derive(clap::Args)]
pub struct Args {
    /// The folder of a closed exam
    exam: PathBuf,
    /// As one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Export {
    schema: u32,
    notice: &'static str,
    exam: String,
    #[serde(flatten)]
    scores: Scores,
}

/// The measured frames of each field, and how wide the source's pictures are.
#[derive(Default)]
struct Gathered {
    fields: BTreeMap<(Finger, u32), LoopPool>,
    width_px: Option<u32>,
}

impl Gathered {
    fn take(&mut self, line: Line) {
        match line.event {
            Event::Exam(ExamEvent::Opened { provenance, .. }) => {
                self.width_px = provenance.source.size.map(|size| size.width);
            }
            Event::Source(source) => self.width_px = source.source.size.map(|size| size.width).or(self.width_px),
            Event::Measured(found) => {
                if let (Some(finger), Some(field)) = (found.finger, found.field) {
                    self.fields.entry((finger, field)).or_default().add(found.measured);
                }
            }
            _ => {}
        }
    }

    fn images(&self) -> Vec<FieldImage> {
        let image = |((finger, field), pool): (&(Finger, u32), &LoopPool)| {
            let measured = pool.middle()?.clone();
            let width_mm = self.width_px.zip(measured.um_per_px).map(|(px, um)| f64::from(px) * um / 1000.0);
            Some(FieldImage { finger: *finger, field: *field, measured, width_mm })
        };
        self.fields.iter().filter_map(image).collect()
    }
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let mut gathered = Gathered::default();
    let record = read(&args.exam, |line| gathered.take(line)).map_err(|broken| {
        let status = if matches!(broken, Broken::Unreadable { .. }) { Status::Io } else { Status::Data };
        Failure::new(status, broken)
    })?;
    if !matches!(record.verified.state, State::Closed(_)) {
        let message = format!("exam {} is not closed: scores are of whole exams", record.verified.exam);
        return Err(Failure::new(Status::Config, message));
    }
    let scores = scores(&gathered.images());
    if args.json {
        return out::json(&Export { schema: SCHEMA, notice: NOTICE, exam: record.verified.exam, scores });
    }
    out::line(words(&record.verified.exam, &scores))
}

fn words(exam: &str, scores: &Scores) -> String {
    let mut lines = vec![
        format!("exam {exam}: {} fields with a density", scores.images),
        format!("{:<34}{}", "CSURI, D x M / N^2", told(&scores.csuri, csuri)),
    ];
    let semi = &scores.semi_quantitative;
    for (name, score) in [
        ("giants, 0 to 3", &semi.giants),
        ("enlarged, 0 to 3", &semi.enlarged),
        ("haemorrhages, 0 to 3", &semi.haemorrhages),
        ("capillary loss, 0 to 3", &semi.capillary_loss),
        ("disorganisation, 0 to 3", &semi.disorganisation),
        ("ramifications, 0 to 3", &semi.ramifications),
        ("microangiopathy evolution", &semi.evolution),
    ] {
        lines.push(format!("{name:<34}{}", told(score, |value| format!("{value:.2}"))));
    }
    lines.push(format!("for research alone: no result of Hairpin uses these\n{NOTICE}"));
    lines.join("\n")
}

fn told<T>(score: &Score<T>, words: impl Fn(&T) -> String) -> String {
    match score {
        Score::Computed(value) => words(value),
        Score::NotComputable { why } => format!("not computable: {why}"),
    }
}

fn csuri(c: &Csuri) -> String {
    let width = c.width_mm.map_or_else(|| "of unknown width".to_owned(), |mm| format!("{mm:.2} mm wide"));
    format!(
        "{:.2} ({} field {}: D {:.0} um, M {}, N {} on a picture {width})",
        c.value, c.finger, c.field, c.widest_um, c.giants, c.loops
    )
}
