//! Asking a model server over HTTP: where it is, how much of an answer is read, and what its failures mean.

use std::io;
use std::time::{Duration, Instant};

use ureq::{Agent, Body, Error, http};

/// Longest answer that is read: far above any model's, far below what would hurt.
const BODY_MOST: u64 = 1 << 20;

/// `http://HOST:PORT/PATH`; no other scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url(String);

impl Url {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let expected = || "expected http://HOST:PORT/v2/models/NAME".to_owned();
        let uri: http::Uri = text.parse().map_err(|_| expected())?;
        let plain = uri.scheme_str() == Some("http") && uri.query().is_none();
        if !plain || uri.host().is_none_or(str::is_empty) || uri.path().trim_matches('/').is_empty() {
            return Err(expected());
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

/// Why there is no answer.
pub(super) struct Failed {
    pub message: String,
    /// The connection broke before an answer came: another may do.
    pub broken: bool,
}

/// One reader's way to the server, on a connection of its own that is kept.
pub(super) struct Server {
    url: Url,
    agent: Agent,
}

impl Server {
    pub(super) fn new(url: Url) -> Self {
        // Neither a proxy of the environment nor another host that the server names gets a frame.
        let config = Agent::config_builder().proxy(None).max_redirects(0).http_status_as_error(false);
        Self { url, agent: config.build().into() }
    }

    pub(super) fn another(&self) -> Self {
        Self::new(self.url.clone())
    }

    pub(super) fn get(&mut self, path: &str, until: Instant) -> Result<Vec<u8>, String> {
        let asked = self.agent.get(format!("{}{path}", self.url.0)).config();
        let asked = asked.timeout_global(Some(left(until))).build().call();
        read(asked).map_err(|failed| failed.message)
    }

    pub(super) fn post(&mut self, path: &str, body: &[u8], until: Instant) -> Result<Vec<u8>, Failed> {
        let asked = self.agent.post(format!("{}{path}", self.url.0)).config();
        let asked = asked.timeout_global(Some(left(until))).build();
        read(asked.header("Content-Type", "application/json").send(body))
    }
}

fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now())
}

fn read(answer: Result<http::Response<Body>, Error>) -> Result<Vec<u8>, Failed> {
    let broken = |error: Error| Failed { message: told(&error), broken: true };
    let mut answer = answer.map_err(broken)?;
    let body = answer.body_mut().with_config().limit(BODY_MOST).read_to_vec().map_err(broken)?;
    if answer.status() == http::StatusCode::OK {
        return Ok(body);
    }
    let words: String =
        String::from_utf8_lossy(&body).chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect();
    Err(Failed { message: format!("it answered {}: {words}", answer.status().as_u16()), broken: false })
}

fn told(error: &Error) -> String {
    match error {
        Error::Timeout(_) => "no answer within the deadline".to_owned(),
        Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the connection was closed in the middle of an answer".to_owned()
        }
        Error::Protocol(error) => format!("it does not speak HTTP/1.1: {error}"),
        Error::BodyExceedsLimit(most) => format!("its answer has more than {most} bytes"),
        _ => error.to_string(),
    }
}
