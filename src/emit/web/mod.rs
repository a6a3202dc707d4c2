//! The live page: its files, its socket, earlier exams, and who may look on or command. Owns what all its
//! connections share; `session` is one viewer.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use tokio::sync::{Semaphore, watch};

use super::Bus;
use super::bounded::Peer;
use super::control::Desk;
use super::door::Stop;
use super::live::Live;
use super::metrics::{Gauges, Outputs};
use super::protocol::LINE_MOST;
use super::tls::Files;
use super::token::{Keys, Right};
use crate::time::Clock;

pub mod archive;
mod assets;
mod floor;
mod message;
mod session;

pub use archive::Archive;
pub(in crate::emit) use floor::Floor;

/// The page as configured; `[emit.page]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "snake_case")]
pub struct Settings {
    /// Who may command from this machine. Beyond loopback it is always the bearer of the command token.
    pub operators: Operators,
    /// The file of both tokens; made at the first start. Needed beyond loopback.
    pub token: Option<PathBuf>,
    /// Needed beyond loopback.
    pub tls: Option<Files>,
    /// Names under which the page may be asked for beyond loopback, such as "capillaries.clinic.example".
    pub hosts: Vec<String>,
    /// Most viewers at once. A teaching room has about twenty.
    pub viewers: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { operators: Operators::ThisMachine, token: None, tls: None, hosts: Vec::new(), viewers: 32 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operators {
    /// Every user of this machine.
    ThisMachine,
    /// The bearer of the command token.
    Token,
}

impl Settings {
    pub fn check(&self, beyond_loopback: bool) -> Result<(), String> {
        if !(1..=256).contains(&self.viewers) {
            return Err(format!("page.viewers = {} is out of range: 1 to 256", self.viewers));
        }
        if self.operators == Operators::Token && self.token.is_none() {
            return Err("page.operators = \"token\" needs page.token, the file of the tokens".into());
        }
        if beyond_loopback && (self.token.is_none() || self.tls.is_none()) {
            return Err(
                "http is beyond loopback: that needs page.token and page.tls (docs/page.md); or use a loopback \
                        address, such as 127.0.0.1:7411"
                    .into(),
            );
        }
        match self.hosts.iter().find(|host| !is_name(host)) {
            Some(host) => Err(format!("page.hosts: {host:?} is no name of a host: write it without scheme and port")),
            None => Ok(()),
        }
    }
}

fn is_name(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
}

/// Where the page reaches the rest of the service.
#[derive(Clone)]
pub struct Wires {
    /// Where the capture thread shows its frames.
    pub live: Live,
    /// The one that stamps the frames.
    pub clock: Clock,
    /// Earlier exams; absent where none are recorded.
    pub archive: Option<Arc<dyn Archive>>,
}

impl Default for Wires {
    /// Shows nothing.
    fn default() -> Self {
        Self { live: Live::default(), clock: Clock::Recorded { started: None }, archive: None }
    }
}

/// What all connections of the page share.
pub(super) struct House {
    pub bus: Bus,
    pub desk: Desk,
    pub wires: Wires,
    pub outputs: Arc<Outputs>,
    pub gauges: Gauges,
    pub keys: Option<Keys>,
    pub operators: Operators,
    pub beyond_loopback: bool,
    pub encrypted: bool,
    pub places: Arc<Semaphore>,
    /// Sessions that have not ended yet.
    pub inside: watch::Sender<usize>,
    pub floor: Floor,
    pub sessions: AtomicU64,
    pub state_every: Duration,
    pub stalled: Duration,
    pub stop: Stop,
}

/// A session that has not ended yet.
struct Inside(Arc<House>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.inside.send_modify(|count| *count -= 1);
    }
}

impl House {
    /// What the bearer of this token, or nobody in particular, may do.
    fn right(&self, token: Option<&str>) -> Right {
        let given = match (&self.keys, token) {
            (Some(keys), Some(token)) => keys.right(token),
            (None, _) | (_, None) => Right::Nothing,
        };
        let free = match (self.beyond_loopback, self.operators) {
            (true, _) => Right::Nothing,
            (false, Operators::ThisMachine) => Right::Command,
            (false, Operators::Token) => Right::View,
        };
        given.max(free)
    }

    /// Counts a session for as long as what comes back lives.
    fn enter(self: &Arc<Self>) -> Inside {
        self.inside.send_modify(|count| *count += 1);
        Inside(self.clone())
    }

    /// Waits until every session has said its last words. The HTTP server knows nothing of them any more.
    pub async fn all_gone(&self) {
        // The sender is here, so that this cannot fail.
        let _ = self.inside.subscribe().wait_for(|count| *count == 0).await;
    }

    fn next_session(&self) -> u64 {
        self.sessions.fetch_add(1, Ordering::Relaxed) + 1
    }
}

pub(super) fn routes(house: Arc<House>) -> Router {
    let exams = archive::routes().layer(middleware::from_fn_with_state(house.clone(), viewers_only));
    Router::new()
        .route("/live", get(live))
        .merge(exams)
        .with_state(house)
        .merge(assets::routes())
        .layer(middleware::from_fn(assets::secured))
}

/// Lets those through who may look on.
pub(super) async fn viewers_only(State(house): State<Arc<House>>, request: Request, next: Next) -> Response {
    if house.right(bearer(request.headers())) >= Right::View {
        return next.run(request).await;
    }
    (StatusCode::UNAUTHORIZED, "a token is needed: `hairpin token` shows it\n").into_response()
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

async fn live(
    State(house): State<Arc<House>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    if !is_own_page(&headers, house.encrypted) {
        return (StatusCode::FORBIDDEN, "only Hairpin's own page may speak here\n").into_response();
    }
    upgrade
        .max_message_size(LINE_MOST)
        .max_frame_size(LINE_MOST)
        .on_upgrade(move |socket| session::attend(socket, peer, house))
}

/// The page that opened the socket came from the same host: no other site speaks in a visitor's name.
fn is_own_page(headers: &HeaderMap, encrypted: bool) -> bool {
    let one = |name| {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok(),
            _ => None,
        }
    };
    let scheme = if encrypted { "https://" } else { "http://" };
    match (one(ORIGIN), one(HOST)) {
        (Some(origin), Some(host)) => {
            origin.strip_prefix(scheme).is_some_and(|from| from.eq_ignore_ascii_case(host) && !host.is_empty())
        }
        _ => false,
    }
}

/// Under which names the server may be asked for, so that no web page reaches it by pointing its own name here.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub beyond_loopback: bool,
    pub hosts: Vec<String>,
}

impl Names {
    pub fn know(&self, headers: &HeaderMap) -> bool {
        let mut hosts = headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
        let Ok(host) = host.to_str() else { return false };
        let name = match host.rsplit_once(':') {
            Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => host,
        };
        let address = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).unwrap_or(name);
        match address.parse::<IpAddr>() {
            // An address cannot be pointed elsewhere.
            Ok(ip) => ip.is_loopback() || self.beyond_loopback,
            Err(_) => {
                name.eq_ignore_ascii_case("localhost")
                    || self.hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(axum::http::HeaderName, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name.clone(), HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn only_names_that_are_ours_are_hosts() {
        let here = Names { beyond_loopback: false, hosts: vec![] };
        let room = Names { beyond_loopback: true, hosts: vec!["room.clinic.example".into()] };
        for (hosts, at_home, in_room) in [
            (&["localhost"] as &[_], true, true),
            (&["LOCALHOST:7410"], true, true),
            (&["127.0.0.1:7410"], true, true),
            (&["127.1.2.3"], true, true),
            (&["[::1]:7410"], true, true),
            (&["[::1]"], true, true),
            (&["evil.example"], false, false),
            (&["evil.example:7410"], false, false),
            (&["localhost.evil.example"], false, false),
            (&["127.0.0.1.evil.example"], false, false),
            (&["192.168.1.4"], false, true),
            (&["room.clinic.example:7411"], false, true),
            (&["localhost:"], false, false),
            (&[""], false, false),
            (&[], false, false),
            (&["localhost", "evil.example"], false, false),
        ] {
            let told: Vec<_> = hosts.iter().map(|host| (HOST, *host)).collect();
            assert_eq!(here.know(&headers(&told)), at_home, "{hosts:?}");
            assert_eq!(room.know(&headers(&told)), in_room, "{hosts:?}");
        }
    }

    #[test]
    fn only_the_own_page_may_open_the_socket() {
        for (origin, host, encrypted, own) in [
            (Some("http://127.0.0.1:7411"), "127.0.0.1:7411", false, true),
            (Some("http://LOCALHOST:7411"), "localhost:7411", false, true),
            (Some("https://room.clinic.example"), "room.clinic.example", true, true),
            (Some("http://room.clinic.example"), "room.clinic.example", true, false),
            (Some("http://127.0.0.1:8000"), "127.0.0.1:7411", false, false),
            (Some("http://evil.example"), "127.0.0.1:7411", false, false),
            (Some("null"), "127.0.0.1:7411", false, false),
            (None, "127.0.0.1:7411", false, false),
        ] {
            let mut told = vec![(HOST, host)];
            told.extend(origin.map(|origin| (ORIGIN, origin)));
            assert_eq!(is_own_page(&headers(&told), encrypted), own, "{origin:?} {host}");
        }
    }

    #[test]
    fn beyond_loopback_needs_a_token_and_tls() {
        let tls = Files { certificate: "c.pem".into(), key: "k.pem".into() };
        let open = Settings::default();
        let token = Settings { token: Some("token".into()), ..Settings::default() };
        let both = Settings { tls: Some(tls), ..token.clone() };
        assert!(open.check(false).is_ok());
        assert!(both.check(true).is_ok());
        for half in [open, token] {
            assert!(half.check(true).unwrap_err().contains("needs page.token and page.tls"));
        }
        let by_token = Settings { operators: Operators::Token, ..Settings::default() };
        assert!(by_token.check(false).unwrap_err().contains("needs page.token"));
        let url = Settings { hosts: vec!["https://x".into()], ..Settings::default() };
        assert!(url.check(false).unwrap_err().contains("without scheme"));
    }
}
