//! The HTTP server: health and metrics for programs, the page for people. One small request a connection, but for the
//! page's socket.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::bounded::{Limited, Peer};
use super::door::Porter;
use super::metrics::{self, Gauges, Outputs, SourceState};
use super::tls::Tls;
use super::web::{self, House, Names};
use super::{Bus, Present};
use crate::outcome::Tally;
use crate::report::{Fault, ModelWords, NOTICE, SCHEMA};

/// What the pages are made of.
#[derive(Clone)]
pub(super) struct Site {
    pub bus: Bus,
    pub gauges: Gauges,
    pub outputs: Arc<Outputs>,
    pub names: Arc<Names>,
    /// Absent where no page is served.
    pub house: Option<Arc<House>>,
    pub tls: Option<Tls>,
}

pub(super) async fn serve(door: TcpListener, porter: Porter, mut site: Site) {
    let mut stop = porter.stop.clone();
    let (tls, house) = (site.tls.take(), site.house.clone());
    let limited = Limited { permits: Arc::new(Semaphore::new(porter.most)), door, porter, tls };
    let service = router(site).into_make_service_with_connect_info::<Peer>();
    let ended = axum::serve(limited, service).with_graceful_shutdown(async move { stop.asked().await }).await;
    if let Err(e) = ended {
        tracing::debug!("the HTTP server ended: {e}");
    }
    if let Some(house) = house {
        house.all_gone().await;
    }
}

fn router(site: Site) -> Router {
    let names = site.names.clone();
    let figures = Router::new().route("/health", get(health)).route("/metrics", get(metrics_page));
    let house = site.house.clone();
    // Beyond this machine the figures are for those who may look on.
    let figures = match &house {
        Some(house) if house.beyond_loopback => {
            figures.layer(middleware::from_fn_with_state(house.clone(), web::viewers_only))
        }
        _ => figures,
    };
    let figures = figures.with_state(site);
    let all = match house {
        Some(house) => figures.merge(web::routes(house)),
        None => figures,
    };
    all.layer(middleware::from_fn_with_state(names, guard))
}

/// Refuses requests that a web page made in the name of another host (DNS rebinding), and ends the connection
/// after each answer.
async fn guard(State(names): State<Arc<Names>>, request: Request, next: Next) -> Response {
    let mut response = if names.know(request.headers()) {
        next.run(request).await
    } else {
        let says = "ask for localhost, 127.0.0.1 or [::1], or name the host in emit.page.hosts\n";
        (StatusCode::MISDIRECTED_REQUEST, says).into_response()
    };
    let switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    if !switched {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::tests::present;
    use crate::report::FaultKind;

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
