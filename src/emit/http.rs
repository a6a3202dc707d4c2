//! Health and metrics over HTTP, on loopback, for programs on this machine: one small request a connection.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HOST, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

use super::door::{Attendance, Porter};
use super::metrics::{self, Gauges, Outputs, SourceState};
use super::{Bus, Present};
use crate::outcome::Tally;
use crate::report::{Fault, ModelWords, NOTICE, SCHEMA};

/// A request with its headers; browsers stay below this, and nobody sends us a body.
const REQUEST_MOST: usize = 16 * 1024;
/// From the first byte to the last. A scrape takes milliseconds; who drips bytes holds a place no longer than this.
const CONNECTION_MOST: Duration = Duration::from_secs(10);

/// What the pages are made of.
#[derive(Clone)]
pub(super) struct Site {
    pub bus: Bus,
    pub gauges: Gauges,
    pub outputs: Arc<Outputs>,
}

pub(super) async fn serve(door: TcpListener, porter: Porter, site: Site) {
    let mut stop = porter.stop.clone();
    let limited = Limited { permits: Arc::new(Semaphore::new(porter.most)), door, porter };
    let ended = axum::serve(limited, router(site)).with_graceful_shutdown(async move { stop.asked().await }).await;
    if let Err(e) = ended {
        tracing::debug!("the HTTP server ended: {e}");
    }
}

fn router(site: Site) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/metrics", get(metrics_page))
        .layer(middleware::from_fn(guard))
        .with_state(site)
}

/// Refuses requests that a web page made in the name of another host (DNS rebinding), and ends the connection
/// after each answer.
async fn guard(request: Request, next: Next) -> Response {
    let mut response = if names_this_machine(request.headers()) {
        next.run(request).await
    } else {
        (StatusCode::MISDIRECTED_REQUEST, "ask for localhost, 127.0.0.1 or [::1]\n").into_response()
    };
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn names_this_machine(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let Ok(host) = host.to_str() else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || address.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

async fn metrics_page(State(site): State<Site>) -> Response {
    let text = metrics::render(&(site.gauges)(), &site.bus.latest(), site.bus.newest(), &site.outputs);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

async fn health(State(site): State<Site>) -> Response {
    let health = Health::of((site.gauges)(), &site.bus.latest());
    let code = if health.status == Status::Ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, axum::Json(health)).into_response()
}

/// The body of /health. Every user of the machine may ask, so no exam's name and no path of a recording is in it.
#[derive(Debug, Serialize)]
struct Health {
    schema: u32,
    notice: &'static str,
    version: &'static str,
    status: Status,
    ready: bool,
    /// Data threads that have not advanced in time.
    stuck: Vec<String>,
    source: Option<String>,
    source_state: SourceState,
    model: ModelWords,
    providers_asked: Vec<String>,
    provider_running: String,
    exam_open: bool,
    faults: Vec<Fault>,
    frames: Tally,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Ok,
    Starting,
    Fault,
    Stuck,
}

impl Health {
    fn of(gauges: metrics::Snapshot, present: &Present) -> Self {
        let faults: Vec<Fault> = present.snapshot.faults.iter().filter(|fault| !fault.cleared).cloned().collect();
        let status = match () {
            () if !gauges.stuck.is_empty() => Status::Stuck,
            () if !faults.is_empty() => Status::Fault,
            () if !gauges.ready => Status::Starting,
            () => Status::Ok,
        };
        Self {
            schema: SCHEMA,
            notice: NOTICE,
            version: env!("CARGO_PKG_VERSION"),
            status,
            ready: gauges.ready,
            stuck: gauges.stuck,
            source: gauges.source.map(|source| source.kind),
            source_state: gauges.source_state,
            model: present.snapshot.model.clone(),
            providers_asked: gauges.runtime.map(|runtime| runtime.providers_asked).unwrap_or_default(),
            provider_running: present.snapshot.provider_running.clone(),
            exam_open: present.exam.is_some(),
            faults,
            frames: gauges.frames,
        }
    }
}

/// The listener, with a limit on connections.
struct Limited {
    permits: Arc<Semaphore>,
    door: TcpListener,
    porter: Porter,
}

impl axum::serve::Listener for Limited {
    type Io = Bounded;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Bounded, Self::Addr) {
        loop {
            let conn = self.porter.next(&self.door).await;
            // Peers on loopback have no address worth knowing; one that is already gone is served to nobody.
            let address = conn.peer_addr().unwrap_or_else(|_| ([127, 0, 0, 1], 0).into());
            match self.permits.clone().try_acquire_owned() {
                Ok(permit) => return (Bounded::new(conn, permit, self.porter.attendance.clone()), address),
                Err(_) => {
                    self.porter.attendance.refused.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.door.local_addr()
    }
}

/// A connection with a limit on its life and on what it may send.
struct Bounded {
    conn: TcpStream,
    left: usize,
    end: Pin<Box<Sleep>>,
    attendance: Arc<Attendance>,
    _permit: OwnedSemaphorePermit,
}

impl Bounded {
    fn new(conn: TcpStream, permit: OwnedSemaphorePermit, attendance: Arc<Attendance>) -> Self {
        attendance.inside.fetch_add(1, Ordering::Relaxed);
        let end = Box::pin(tokio::time::sleep(CONNECTION_MOST));
        Self { conn, left: REQUEST_MOST, end, attendance, _permit: permit }
    }

    fn out_of_time(&mut self, cx: &mut Context<'_>) -> bool {
        self.end.as_mut().poll(cx).is_ready()
    }
}

impl Drop for Bounded {
    fn drop(&mut self) {
        self.attendance.inside.fetch_sub(1, Ordering::Relaxed);
    }
}

impl AsyncRead for Bounded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.left == 0 || self.out_of_time(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.conn).poll_read(cx, buf);
        self.left = self.left.saturating_sub(buf.filled().len() - before);
        polled
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.out_of_time(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.conn).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.conn).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.conn).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::tests::present;
    use crate::report::FaultKind;

    #[test]
    fn only_names_of_this_machine_are_hosts() {
        for (hosts, good) in [
            (&["localhost"] as &[_], true),
            (&["LOCALHOST:7410"], true),
            (&["127.0.0.1:7410"], true),
            (&["127.1.2.3"], true),
            (&["[::1]:7410"], true),
            (&["[::1]"], true),
            (&["evil.example"], false),
            (&["evil.example:7410"], false),
            (&["localhost.evil.example"], false),
            (&["127.0.0.1.evil.example"], false),
            (&["192.168.1.4"], false),
            (&["localhost:"], false),
            (&[""], false),
            (&[], false),
            (&["localhost", "evil.example"], false),
        ] {
            let mut headers = HeaderMap::new();
            for host in hosts {
                headers.append(HOST, HeaderValue::from_static(host));
            }
            assert_eq!(names_this_machine(&headers), good, "{hosts:?}");
        }
    }

    #[test]
    fn health_is_the_worst_of_what_is_known() {
        let fault = |cleared| Fault {
            kind: FaultKind::Record,
            message: "disk full".into(),
            action: "make room".into(),
            cleared,
        };
        for (ready, stuck, faults, status) in [
            (true, vec![], vec![], Status::Ok),
            (true, vec![], vec![fault(true)], Status::Ok),
            (false, vec![], vec![], Status::Starting),
            (true, vec![], vec![fault(false)], Status::Fault),
            (true, vec!["read".to_owned()], vec![fault(false)], Status::Stuck),
        ] {
            let gauges = metrics::Snapshot { ready, stuck, ..metrics::Snapshot::default() };
            let mut present = present();
            Arc::make_mut(&mut present.snapshot).faults = faults;
            assert_eq!(Health::of(gauges, &present).status, status);
        }
    }
}
