//! The figures of a running service as plain data, and their text for Prometheus (format 0.0.4). No counter
//! lives here but those of the outputs themselves: `pipeline` owns its own and hands in a snapshot.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Present;
use super::door::Attendance;
use super::protocol::Code;
use crate::outcome::Tally;
use crate::report::{Rung, RuntimeWords, SourceWords};

/// Asked for a snapshot at each scrape, on the network's thread: must not wait.
pub type Gauges = Arc<dyn Fn() -> Snapshot + Send + Sync>;

/// What the pipeline knows of itself.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Warm, and every thread running.
    pub ready: bool,
    /// Data threads that have not advanced in time.
    pub stuck: Vec<String>,
    pub source: Option<SourceWords>,
    pub source_state: SourceState,
    /// How often each rung was tried to get the source back.
    pub recoveries: BTreeMap<Rung, u64>,
    pub frames: Tally,
    pub stages: Stages,
    pub queues: Vec<Queue>,
    pub runtime: Option<RuntimeWords>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceState {
    #[default]
    Opening,
    Streaming,
    Lost,
    Ended,
}

#[derive(Clone, Debug)]
pub struct Queue {
    pub name: &'static str,
    pub depth: usize,
    pub capacity: usize,
}

/// Where the time of frames went, over this run of the service.
#[derive(Clone, Debug, Default)]
pub struct Stages {
    pub waited: Histogram,
    pub decode: Histogram,
    pub gate: Histogram,
    pub preprocess: Histogram,
    pub infer: Histogram,
    pub total: Histogram,
}

impl Stages {
    fn each(&self) -> [(&'static str, &Histogram); 6] {
        [
            ("waited", &self.waited),
            ("decode", &self.decode),
            ("gate", &self.gate),
            ("preprocess", &self.preprocess),
            ("infer", &self.infer),
            ("total", &self.total),
        ]
    }
}

/// Upper bounds in seconds: doubling from half a millisecond, with the frame times of 30 and 15 a second
/// among them, up to where a picture is no longer live.
pub const BOUNDS: [f64; 12] = [0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.033, 0.066, 0.125, 0.25, 0.5, 1.0];

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// Not cumulative; the last holds what is above all bounds.
    counts: [u64; BOUNDS.len() + 1],
    sum_s: f64,
}

impl Histogram {
    pub fn observe(&mut self, span: Duration) {
        let seconds = span.as_secs_f64();
        let bucket = BOUNDS.iter().position(|&bound| seconds <= bound).unwrap_or(BOUNDS.len());
        self.counts[bucket] += 1;
        self.sum_s += seconds;
    }

    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// Counters of the outputs, shared by the network's tasks.
#[derive(Debug, Default)]
pub struct Outputs {
    pub(super) stream: Arc<Attendance>,
    pub(super) tcp: Arc<Attendance>,
    pub(super) control: Arc<Attendance>,
    pub(super) http: Arc<Attendance>,
    pub(super) missed: AtomicU64,
    /// By what became of it; `None` is "carried out".
    commands: Mutex<BTreeMap<Option<Code>, u64>>,
}

impl Outputs {
    pub(super) fn count_command(&self, refused: Option<Code>) {
        *self.commands.lock().unwrap_or_else(PoisonError::into_inner).entry(refused).or_default() += 1;
    }
}

/// The whole page of metrics.
pub fn render(snapshot: &Snapshot, present: &Present, newest: u64, outputs: &Outputs) -> String {
    let mut page = Page::default();
    service(&mut page, snapshot, present);
    frames(&mut page, &snapshot.frames);
    stages(&mut page, &snapshot.stages);
    page.family("queue_depth", "gauge", "Frames or commands waiting, by queue.");
    for queue in &snapshot.queues {
        page.sample("queue_depth", &[("queue", queue.name)], queue.depth);
    }
    page.family("queue_capacity", "gauge", "Most that can wait, by queue.");
    for queue in &snapshot.queues {
        page.sample("queue_capacity", &[("queue", queue.name)], queue.capacity);
    }
    clients(&mut page, newest, outputs);
    page.0
}

fn service(page: &mut Page, snapshot: &Snapshot, present: &Present) {
    page.family("build_info", "gauge", "The running version.");
    page.sample("build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.family("ready", "gauge", "1 when warm and running.");
    page.sample("ready", &[], u8::from(snapshot.ready));
    page.family("threads_stuck", "gauge", "Data threads that have not advanced in time.");
    page.sample("threads_stuck", &[], snapshot.stuck.len());
    page.family("source_up", "gauge", "1 while the source gives frames.");
    page.sample("source_up", &[], u8::from(snapshot.source_state == SourceState::Streaming));
    page.family("source_recoveries_total", "counter", "What was tried to get a lost source back.");
    for (rung, times) in &snapshot.recoveries {
        page.sample("source_recoveries_total", &[("rung", &word(rung))], *times);
    }
    if let Some(rate) = snapshot.source.as_ref().and_then(|source| source.measured_per_s) {
        page.family("source_frames_per_second", "gauge", "The rate at which the source sends, as measured.");
        page.sample("source_frames_per_second", &[], rate);
    }
    page.family("exam_open", "gauge", "1 while an exam is open.");
    page.sample("exam_open", &[], u8::from(present.exam.is_some()));
    page.family("faults", "gauge", "Troubles that a person should know of, not yet over.");
    page.sample("faults", &[], present.snapshot.faults.iter().filter(|fault| !fault.cleared).count());
    let model = &present.snapshot.model;
    page.family("model_info", "gauge", "The model that reads, by the digest of its manifest.");
    let validated = if model.validated_on_patients { "true" } else { "false" };
    page.sample(
        "model_info",
        &[
            ("name", &model.name),
            ("version", &model.version),
            ("sha256", &model.sha256),
            ("scheme", &model.scheme),
            ("validated_on_patients", validated),
        ],
        1,
    );
    page.family("provider_info", "gauge", "What was asked to run the model, and what runs it.");
    if let Some(runtime) = &snapshot.runtime {
        let asked = runtime.providers_asked.join(",");
        let labels =
            [("asked", asked.as_str()), ("running", &runtime.provider_running), ("library_version", &runtime.version)];
        page.sample("provider_info", &labels, 1);
    }
}

fn frames(page: &mut Page, tally: &Tally) {
    page.family("frames_produced_total", "counter", "Frames that the source gave.");
    page.sample("frames_produced_total", &[], tally.produced);
    page.family("frames_total", "counter", "Frames by outcome and reason.");
    for (outcome, count) in [("scored", tally.scored), ("dropped", tally.dropped), ("failed", tally.failed)] {
        page.sample("frames_total", &[("outcome", outcome)], count);
    }
    for (reason, count) in &tally.rejected {
        page.sample("frames_total", &[("outcome", "rejected"), ("reason", &word(reason))], *count);
    }
    for (reason, count) in &tally.undecodable {
        page.sample("frames_total", &[("outcome", "undecodable"), ("reason", &word(reason))], *count);
    }
    page.family("frames_lost_total", "counter", "Gaps in the driver's numbers: frames that never reached us.");
    page.sample("frames_lost_total", &[], tally.lost_before_capture);
    page.family("frames_tolerated_total", "counter", "Frames decoded with harmless stray bytes.");
    page.sample("frames_tolerated_total", &[], tally.tolerated);
}

fn stages(page: &mut Page, stages: &Stages) {
    page.family(
        "stage_seconds",
        "histogram",
        "Time of a frame by stage; total is from the capture stamp to the event.",
    );
    for (stage, histogram) in stages.each() {
        let mut below = 0;
        for (bound, count) in BOUNDS.iter().zip(histogram.counts) {
            below += count;
            page.sample("stage_seconds_bucket", &[("stage", stage), ("le", &bound.to_string())], below);
        }
        page.sample("stage_seconds_bucket", &[("stage", stage), ("le", "+Inf")], histogram.count());
        page.sample("stage_seconds_sum", &[("stage", stage)], histogram.sum_s);
        page.sample("stage_seconds_count", &[("stage", stage)], histogram.count());
    }
}

fn clients(page: &mut Page, newest: u64, outputs: &Outputs) {
    let each =
        [("stream", &outputs.stream), ("tcp", &outputs.tcp), ("control", &outputs.control), ("http", &outputs.http)];
    page.family("clients", "gauge", "Connections that are open, by output.");
    for (output, attendance) in each {
        page.sample("clients", &[("output", output)], attendance.inside.load(Ordering::Relaxed));
    }
    page.family("connections_refused_total", "counter", "Connections above the limit, by output.");
    for (output, attendance) in each {
        page.sample("connections_refused_total", &[("output", output)], attendance.refused.load(Ordering::Relaxed));
    }
    page.family("lines_published_total", "counter", "Lines given to the readers' ring.");
    page.sample("lines_published_total", &[], newest);
    page.family("lines_missed_total", "counter", "Lines that readers were too slow for, over all readers.");
    page.sample("lines_missed_total", &[], outputs.missed.load(Ordering::Relaxed));
    page.family("commands_total", "counter", "Control requests by what became of them.");
    let commands = outputs.commands.lock().unwrap_or_else(PoisonError::into_inner);
    for refused in std::iter::once(None).chain(Code::ALL.map(Some)) {
        let result = refused.map_or_else(|| "done".to_owned(), |code| word(&code));
        page.sample("commands_total", &[("result", &result)], commands.get(&refused).copied().unwrap_or(0));
    }
}

/// The word that the events use for this value.
fn word<T: serde::Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => "other".to_owned(),
    }
}

/// Text under way. Writing into a `String` cannot fail.
#[derive(Debug, Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP hairpin_{name} {help}\n# TYPE hairpin_{name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl fmt::Display) {
        let _ = write!(self.0, "hairpin_{name}");
        for (i, (label, text)) in labels.iter().enumerate() {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{}{label}=\"{text}\"", if i == 0 { '{' } else { ',' });
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};

    use super::*;
    use crate::emit::tests::present;
    use crate::outcome::{Damage, RejectReason};

    type Samples = HashMap<(String, Vec<(String, String)>), String>;

    /// A strict reading of the text format: every sample belongs to the family announced just before it.
    fn parse(text: &str) -> Samples {
        assert!(text.ends_with('\n'));
        let (mut samples, mut families, mut family) = (Samples::new(), BTreeSet::new(), (String::new(), String::new()));
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, words) = help.split_once(' ').unwrap();
                assert!(!words.is_empty() && families.insert(name.to_owned()), "family twice: {name}");
                family = (name.to_owned(), String::new());
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert_eq!(name, family.0);
                assert!(["gauge", "counter", "histogram"].contains(&kind));
                assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
                kind.clone_into(&mut family.1);
            } else {
                let (key, value) = sample(line);
                let stem = match family.1.as_str() {
                    "histogram" => {
                        ["_bucket", "_sum", "_count"].iter().find_map(|end| key.0.strip_suffix(end)).unwrap()
                    }
                    _ => key.0.as_str(),
                };
                assert_eq!(stem, family.0, "{line}");
                assert!(samples.insert(key, value).is_none(), "sample twice: {line}");
            }
        }
        samples
    }

    fn sample(line: &str) -> ((String, Vec<(String, String)>), String) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'), "{line}");
        let mut rest = labels.strip_suffix('}').unwrap();
        let mut pairs = Vec::new();
        while !rest.is_empty() {
            let (label, quoted) = rest.split_once("=\"").unwrap();
            let mut text = String::new();
            let mut chars = quoted.char_indices();
            let end = loop {
                match chars.next().unwrap() {
                    (i, '"') => break i,
                    (_, '\\') => text.push(match chars.next().unwrap().1 {
                        'n' => '\n',
                        other => other,
                    }),
                    (_, c) => text.push(c),
                }
            };
            pairs.push((label.to_owned(), text));
            rest = quoted[end + 1..].trim_start_matches(',');
        }
        ((name.to_owned(), pairs), value.to_owned())
    }

    fn key(name: &str, labels: &[(&str, &str)]) -> (String, Vec<(String, String)>) {
        (format!("hairpin_{name}"), labels.iter().map(|(l, t)| ((*l).to_owned(), (*t).to_owned())).collect())
    }

    fn busy() -> Snapshot {
        let mut frames = Tally { produced: 10, scored: 4, dropped: 2, failed: 1, ..Tally::default() };
        frames.rejected.insert(RejectReason::NoNailfold, 2);
        frames.undecodable.insert(Damage::Cut, 1);
        let mut snapshot =
            Snapshot { ready: true, frames, source_state: SourceState::Streaming, ..Snapshot::default() };
        for ms in [0, 1, 30, 40, 5000] {
            snapshot.stages.total.observe(Duration::from_millis(ms));
        }
        snapshot.queues.push(Queue { name: "prepare", depth: 1, capacity: 1 });
        snapshot
    }

    #[test]
    fn the_page_is_well_formed_and_bears_the_figures() {
        let outputs = Outputs::default();
        outputs.count_command(Some(Code::Busy));
        let samples = parse(&render(&busy(), &present(), 77, &outputs));
        for (name, labels, value) in [
            ("ready", &[] as &[_], "1"),
            ("source_up", &[], "1"),
            ("exam_open", &[], "0"),
            ("frames_produced_total", &[], "10"),
            ("frames_total", &[("outcome", "scored")], "4"),
            ("frames_total", &[("outcome", "rejected"), ("reason", "no-nailfold")], "2"),
            ("frames_total", &[("outcome", "undecodable"), ("reason", "cut")], "1"),
            ("queue_depth", &[("queue", "prepare")], "1"),
            ("lines_published_total", &[], "77"),
            ("commands_total", &[("result", "busy")], "1"),
            ("commands_total", &[("result", "done")], "0"),
        ] {
            assert_eq!(samples.get(&key(name, labels)), Some(&value.to_owned()), "{name} {labels:?}");
        }
        let outcomes = samples.iter().filter(|((name, _), _)| name == "hairpin_frames_total");
        let ended: u64 = outcomes.map(|(_, value)| value.parse::<u64>().unwrap()).sum();
        assert_eq!(ended, 10, "outcomes must add up to what was produced");
    }

    #[test]
    fn buckets_are_cumulative_and_end_with_the_count() {
        let samples = parse(&render(&busy(), &present(), 0, &Outputs::default()));
        let bucket = |le: &str| samples[&key("stage_seconds_bucket", &[("stage", "total"), ("le", le)])].as_str();
        assert_eq!(["0.0005", "0.001", "0.033", "0.066", "1", "+Inf"].map(bucket), ["1", "2", "3", "4", "4", "5"]);
        assert_eq!(samples[&key("stage_seconds_count", &[("stage", "total")])], "5");
        let sum: f64 = samples[&key("stage_seconds_sum", &[("stage", "total")])].parse().unwrap();
        assert!((sum - 5.071).abs() < 1e-9, "{sum}");
    }

    #[test]
    fn labels_are_escaped() {
        let mut odd = present();
        let name = "a\"b\\c\nd{e} ,f=\"";
        name.clone_into(&mut Arc::make_mut(&mut odd.snapshot).model.name);
        let samples = parse(&render(&Snapshot::default(), &odd, 0, &Outputs::default()));
        assert!(samples.keys().any(|(n, labels)| n == "hairpin_model_info" && labels[0].1 == name));
    }
}
