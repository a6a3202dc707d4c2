//! `hairpin doctor`: what this machine has, for whoever must find out why Hairpin does not do what it should. It only
//! looks; it mends nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::{find_config, out};
use crate::bundle::Bundle;
use crate::capture::devices::Tree;
use crate::capture::v4l2;
use crate::config::{self, Resolved};
use crate::daemon::assemble;
use crate::failure::{Failure, Status};
use crate::infer::Runtime;
use crate::infer::probe;

/// A provider that takes longer to make its first session is reported as building.
const PROBE: Duration = Duration::from_secs(30);

#[derive(clap::Args)]
pub struct Args {
    /// The configuration; else as for `hairpin run`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[arg(long)]
    json: bool,
}

/// One thing that was looked at.
#[derive(Serialize)]
struct Look {
    what: String,
    state: State,
    words: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    /// Not there, and not asked for.
    Absent,
    Wrong,
}

impl Look {
    fn new(what: impl Into<String>, found: Result<String, String>) -> Self {
        let state = if found.is_ok() { State::Ok } else { State::Wrong };
        Self { what: what.into(), state, words: found.unwrap_or_else(|why| why) }
    }
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let mut looks = vec![
        Look::new("hairpin", Ok(env!("CARGO_PKG_VERSION").to_owned())),
        Look::new("cores", std::thread::available_parallelism().map(|n| n.to_string()).map_err(|e| e.to_string())),
    ];
    match find_config(args.config.as_deref()).map_err(|e| e.to_string()).and_then(|p| load(&p)) {
        Ok(config) => {
            looks.push(Look::new("configuration", Ok(config.path.display().to_string())));
            look_at_model(&config, &mut looks);
            look_at_disk(&config, &mut looks);
        }
        Err(why) => looks.push(Look::new("configuration", Err(why))),
    }
    look_at_cameras(&mut looks);
    tell(args, &looks)
}

fn load(path: &Path) -> Result<Resolved, String> {
    config::load(path).map_err(|error| error.to_string())
}

fn look_at_model(config: &Resolved, looks: &mut Vec<Look>) {
    let bundle = Bundle::load(&config.bundle);
    looks.push(Look::new(
        "model",
        bundle.as_ref().map(|b| format!("{} {}", b.id.name, b.id.version)).map_err(ToString::to_string),
    ));
    let runtime = Runtime::load(&config.runtime.library);
    looks.push(Look::new(
        "ONNX Runtime",
        runtime.as_ref().map(|r| format!("{} at {}", r.version, r.path.display())).map_err(ToString::to_string),
    ));
    match assemble::loops(config.measure.as_ref()) {
        Ok(Some(loops)) => {
            let words = loops.measurer.locator().words();
            let found = format!("{} {} on {}", words.name, words.version, words.provider_running);
            looks.push(Look::new("loops", Ok(found)));
        }
        Ok(None) => {
            let words = "not measured: [measure] names no bundle".to_owned();
            looks.push(Look { what: "loops".to_owned(), state: State::Absent, words });
        }
        Err(error) => looks.push(Look::new("loops", Err(error.to_string()))),
    }
    let (Ok(bundle), Ok(runtime)) = (bundle, runtime) else { return };
    let reports = match probe(&runtime, &bundle, config.runtime.threads, PROBE) {
        Ok(reports) => reports,
        Err(error) => return looks.push(Look::new("providers", Err(error.to_string()))),
    };
    for report in reports {
        let asked = config.runtime.providers.contains(&report.provider);
        let what = format!("provider {}{}", report.provider.as_str(), if asked { " (asked for)" } else { "" });
        let state = match (&report.session, asked) {
            (Ok(_), _) => State::Ok,
            (Err(_), true) => State::Wrong,
            (Err(_), false) => State::Absent,
        };
        let words = report.session.unwrap_or_else(|why| why);
        looks.push(Look { what, state, words });
    }
}

fn look_at_disk(config: &Resolved, looks: &mut Vec<Look>) {
    let Some(record) = &config.record else { return };
    let nearest = record.folder.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let found = rustix::fs::statvfs(nearest).map_err(|e| format!("{}: {e}", nearest.display())).and_then(|disk| {
        let free_mb = disk.f_bavail * disk.f_frsize / 1_000_000;
        let words = format!("{free_mb} MB free at {}", nearest.display());
        if free_mb < FREE_MB { Err(format!("{words}: an exam may need {FREE_MB} MB")) } else { Ok(words) }
    });
    looks.push(Look::new("record", found));
}

/// An exam of eight fingers, four fields each, with two keyframes of 300 kB a field and 100 kB/s of events for
/// twenty minutes takes some 140 MB; twice that is asked for.
const FREE_MB: u64 = 300;

/// Cameras, and whether this user may open them.
fn look_at_cameras(looks: &mut Vec<Look>) {
    let cameras = v4l2::capture_nodes(&Tree::default());
    if cameras.is_empty() {
        let words = "none: the simulated microscope and recordings can be read all the same";
        looks.push(Look { what: "cameras".to_owned(), state: State::Absent, words: words.to_owned() });
    }
    for camera in cameras {
        let access = rustix::fs::Access::READ_OK | rustix::fs::Access::WRITE_OK;
        let found = match rustix::fs::access(&camera.path, access) {
            Ok(()) => Ok(format!("{}: may be opened", camera.told())),
            Err(_) => Err(v4l2::denied(&camera.path)),
        };
        looks.push(Look::new(camera.path.display().to_string(), found));
    }
}

fn tell(args: &Args, looks: &[Look]) -> Result<(), Failure> {
    if args.json {
        out::json(&looks)?;
    } else {
        for look in looks {
            let state = match look.state {
                State::Ok => "ok",
                State::Absent => "-",
                State::Wrong => "WRONG",
            };
            out::line(format!("{state:<6} {}: {}", look.what, look.words))?;
        }
    }
    match looks.iter().filter(|look| look.state == State::Wrong).count() {
        0 => Ok(()),
        n => Err(Failure::new(Status::Unavailable, format!("{n} of {} looks found something wrong", looks.len()))),
    }
}
