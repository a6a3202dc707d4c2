//! A model that a server runs, asked by the Open Inference Protocol, version 2 (KServe; Triton, OpenVINO Model Server and
//! MLServer speak it) over HTTP with JSON. It has a deadline a frame; what it does not answer in time the model here reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::http::{Server, Url};
use crate::digest::sha256;

/// Until the server has answered about its model, at the start: it may be loading it.
const START: Duration = Duration::from_secs(10);

/// Where a model is asked. The bundle is loaded here all the same: it says what the model must answer, and reads when the
/// server does not.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteSettings {
    /// `http://HOST:PORT/v2/models/NAME`, or with `/versions/V` behind it.
    pub url: String,
    /// For one frame, all tries together. At 30 frames/s a quarter of a second is eight frames late.
    #[serde(default = "deadline_ms")]
    pub deadline_ms: u64,
    /// Within the deadline, after a connection that broke.
    #[serde(default = "retries")]
    pub retries: u32,
    /// After a failure the server is left alone for so long.
    #[serde(default = "again_after_ms")]
    pub again_after_ms: u64,
}

fn deadline_ms() -> u64 {
    250
}

fn retries() -> u32 {
    1
}

fn again_after_ms() -> u64 {
    2000
}

impl RemoteSettings {
    /// Message names the key and the allowed range.
    pub fn check(&self) -> Result<(), String> {
        Url::parse(&self.url).map_err(|why| format!("url: {why}, found {:?}", self.url))?;
        let within = |key: &str, is: u64, range: std::ops::RangeInclusive<u64>| {
            let (least, most) = (range.start(), range.end());
            if range.contains(&is) { Ok(()) } else { Err(format!("{key}: expected {least} to {most}, found {is}")) }
        };
        within("deadline_ms", self.deadline_ms, 1..=10_000)?;
        within("retries", self.retries.into(), 0..=5)?;
        within("again_after_ms", self.again_after_ms, 10..=600_000)
    }
}

/// What goes in and out by which name.
#[derive(Clone, Debug)]
pub(super) struct Ports {
    pub input: String,
    pub shape: Vec<usize>,
    pub output: String,
    pub answers: usize,
}

/// One reader's way to the server.
pub(super) struct Remote {
    server: Server,
    settings: RemoteSettings,
    ports: Ports,
    /// Of what the server says of its model.
    pub metadata_sha256: String,
    /// For one frame; longer until the golden pair has been answered.
    deadline: Duration,
    not_before: Option<Instant>,
    /// Shared by all readers, so that a failure is told once.
    down: Arc<AtomicBool>,
    news: Option<News>,
}

/// The server fell silent, or is back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    pub message: String,
    pub back: bool,
}

#[derive(Serialize)]
struct Request<'a> {
    inputs: [Input<'a>; 1],
    outputs: [Output<'a>; 1],
}

#[derive(Serialize)]
struct Input<'a> {
    name: &'a str,
    shape: &'a [usize],
    datatype: &'static str,
    data: &'a [f32],
}

#[derive(Serialize)]
struct Output<'a> {
    name: &'a str,
}

#[derive(Deserialize)]
struct Answer {
    outputs: Vec<Answered>,
}

#[derive(Deserialize)]
struct Answered {
    name: String,
    data: Value,
}

impl Remote {
    /// Asks the server about its model.
    pub(super) fn open(settings: &RemoteSettings, ports: Ports) -> Result<Self, String> {
        let mut server = Server::new(Url::parse(&settings.url)?);
        let metadata = server.get("", Instant::now() + START)?;
        Ok(Self {
            server,
            settings: settings.clone(),
            ports,
            metadata_sha256: sha256(&metadata),
            deadline: START,
            not_before: None,
            down: Arc::default(),
            news: None,
        })
    }

    /// For a reader beside this one.
    pub(super) fn another(&self) -> Self {
        Self {
            server: self.server.another(),
            settings: self.settings.clone(),
            ports: self.ports.clone(),
            metadata_sha256: self.metadata_sha256.clone(),
            deadline: self.deadline,
            not_before: None,
            down: Arc::clone(&self.down),
            news: None,
        }
    }

    /// When the server must have answered for a frame that begins now, all its tiles and tries together.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.deadline
    }

    /// The model's answer for one tile, or `None` when it is to be read here.
    pub(super) fn ask(&mut self, input: &[f32], until: Instant) -> Option<Vec<f32>> {
        if self.not_before.is_some_and(|moment| Instant::now() < moment) {
            return None;
        }
        let asked = self.infer(input, until);
        let was_down = self.down.swap(asked.is_err(), Ordering::Relaxed);
        match asked {
            Ok(answer) => {
                self.not_before = None;
                if was_down {
                    let message = format!("{} answers again", self.settings.url);
                    self.news = Some(News { message, back: true });
                }
                Some(answer)
            }
            Err(why) => {
                self.not_before = Some(Instant::now() + Duration::from_millis(self.settings.again_after_ms));
                if !was_down {
                    let message = format!("{}: {why}; the bundle's own model reads meanwhile", self.settings.url);
                    self.news = Some(News { message, back: false });
                }
                None
            }
        }
    }

    /// It has shown that it runs the model: from here on frames have their deadline.
    pub(super) fn proven(&mut self) {
        self.deadline = Duration::from_millis(self.settings.deadline_ms);
    }

    /// What is to be told since the last time.
    pub(super) fn take_news(&mut self) -> Option<News> {
        self.news.take()
    }

    fn infer(&mut self, input: &[f32], until: Instant) -> Result<Vec<f32>, String> {
        let Ports { input: name, shape, output, answers } = &self.ports;
        let inputs = [Input { name, shape, datatype: "FP32", data: input }];
        let request = Request { inputs, outputs: [Output { name: output }] };
        let body = serde_json::to_vec(&request).map_err(|e| e.to_string())?;
        let mut tries = 0;
        let bytes = loop {
            match self.server.post("/infer", &body, until) {
                Ok(bytes) => break bytes,
                // An answer that says no says it again; a connection may only have been too old.
                Err(error) if error.broken && tries < self.settings.retries && Instant::now() < until => tries += 1,
                Err(error) => return Err(error.message),
            }
        };
        let answer: Answer =
            serde_json::from_slice(&bytes).map_err(|e| format!("its answer is none of the protocol: {e}"))?;
        let Some(found) = answer.outputs.into_iter().find(|found| found.name == *output) else {
            return Err(format!("its answer has no output {output:?}"));
        };
        let mut values = Vec::with_capacity(*answers);
        flatten(&found.data, &mut values);
        if values.len() != *answers {
            return Err(format!("expected {answers} numbers in {output:?}, found {}", values.len()));
        }
        if !values.iter().all(|v| v.is_finite()) {
            return Err(format!("expected {answers} numbers in {output:?}, found {}", found.data));
        }
        Ok(values)
    }
}

/// The protocol allows rows in rows or all in one.
fn flatten(data: &Value, values: &mut Vec<f32>) {
    match data {
        Value::Array(rows) => rows.iter().for_each(|row| flatten(row, values)),
        other => values.push(other.as_f64().map_or(f32::NAN, |v| v as f32)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_checked() {
        let of = |text: &str| toml::from_str::<RemoteSettings>(text).map_err(|e| e.to_string());
        let good = "url = \"http://10.0.0.7:8080/v2/models/densenet\"";
        assert_eq!(of(good).unwrap().check(), Ok(()));
        for (more, expected) in [
            ("deadline_ms = 0", "deadline_ms: expected 1 to 10000, found 0"),
            ("retries = 6", "retries: expected 0 to 5, found 6"),
            ("again_after_ms = 1", "again_after_ms: expected 10 to 600000, found 1"),
        ] {
            assert_eq!(of(&format!("{good}\n{more}")).unwrap().check().unwrap_err(), expected);
        }
        for url in ["https://host/v2/models/x", "http://host", "host:8080", "http://:80/v2/models/x"] {
            assert!(of(&format!("url = {url:?}")).unwrap().check().is_err(), "{url}");
        }
        assert!(of(&format!("{good}\ntoken = 1")).is_err());
    }

    #[test]
    fn answers_may_be_nested() {
        let mut values = Vec::new();
        flatten(&serde_json::json!([[1.0, 2], [3.5]]), &mut values);
        assert_eq!(values, [1.0, 2.0, 3.5]);
    }
}
