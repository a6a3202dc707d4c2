//! The network's one thread: opens every configured output before it says yes, serves them, and ends in time.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use serde::Deserialize;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::door::{Attendance, Porter, Stop};
use super::listen::{self, Mode, SocketFile, UnixSocket};
use super::metrics::{Gauges, Outputs};
use super::tls::Tls;
use super::token::{Keys, Tokens};
use super::web::{self, Floor, House, Names};
use super::{Bus, control, http, stream};
use crate::report::Fault;

/// Which live outputs there are, and what their clients may take.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "snake_case")]
pub struct Settings {
    /// Lines to whoever may open this socket; mode "0660" unless set.
    pub stream: Option<UnixSocket>,
    /// Commands from whoever may open this socket; mode "0600" unless set.
    pub control: Option<UnixSocket>,
    /// The lines again, to every user of this machine: loopback asks nobody's name.
    pub tcp: Option<SocketAddr>,
    /// Health and metrics, to every user of this machine, and the page where one is served.
    pub http: Option<SocketAddr>,
    /// The live page, on `http`; absent means none.
    pub page: Option<web::Settings>,
    /// Most readers at once on the stream, and as many on TCP. A room has one screen, a recorder, perhaps a hub.
    pub readers: usize,
    /// Most control connections at once: a terminal, a pedal, a script.
    pub controllers: usize,
    /// Most HTTP connections at once. A scrape is over in milliseconds.
    pub scrapes: usize,
    /// A control connection that says nothing for so long is closed.
    pub idle_s: u64,
    /// A client that takes nothing for so long is closed. Slow is no fault, dead holds a place.
    pub stalled_s: u64,
    /// How long a command may wait for the exam thread, which at worst waits for one sync to disk.
    pub answer_s: u64,
    /// A reader is sent the changed state no more often than this. Twice a second is what an eye follows.
    pub state_every_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            stream: None,
            control: None,
            tcp: None,
            http: None,
            page: None,
            readers: 32,
            controllers: 8,
            scrapes: 16,
            idle_s: 60,
            stalled_s: 60,
            answer_s: 5,
            state_every_ms: 500,
        }
    }
}

impl Settings {
    /// The HTTP server listens where other machines reach it.
    fn beyond_loopback(&self) -> bool {
        self.http.is_some_and(|address| !address.ip().is_loopback())
    }

    pub fn check(&self) -> Result<(), String> {
        within("readers", self.readers, 1, 1024)?;
        within("controllers", self.controllers, 1, 64)?;
        within("scrapes", self.scrapes, 1, 64)?;
        within("idle_s", self.idle_s, 1, 3600)?;
        within("stalled_s", self.stalled_s, 1, 3600)?;
        within("answer_s", self.answer_s, 1, 60)?;
        within("state_every_ms", self.state_every_ms, 100, 60_000)?;
        if self.tcp.is_some_and(|a| !a.ip().is_loopback()) {
            return Err("tcp must be a loopback address, such as 127.0.0.1:7410".into());
        }
        match (&self.page, self.http) {
            (Some(_), None) => return Err("page needs http, the address that it is served on".into()),
            (Some(page), Some(_)) => page.check(self.beyond_loopback())?,
            (None, Some(address)) if !address.ip().is_loopback() => {
                return Err(
                    "http must be a loopback address, such as 127.0.0.1:7410, unless a page with a token and TLS is \
                            served there (docs/page.md)"
                        .into(),
                );
            }
            (None, _) => {}
        }
        if self.control.as_ref().and_then(|c| c.mode).is_some_and(|mode| mode.0 & 0o007 != 0) {
            return Err("control.mode must give others nothing, such as \"0600\" or \"0660\"".into());
        }
        let paths = self.stream.as_ref().zip(self.control.as_ref());
        if paths.is_some_and(|(stream, control)| stream.path == control.path) {
            return Err("stream.path and control.path are the same: reading and commanding are two sockets".into());
        }
        if self.tcp.is_some() && self.tcp == self.http && self.tcp.is_some_and(|a| a.port() != 0) {
            return Err("tcp and http have the same address: give each its own port".into());
        }
        Ok(())
    }
}

fn within<T: PartialOrd + Copy + std::fmt::Display>(key: &str, value: T, least: T, most: T) -> Result<(), String> {
    if value < least || value > most {
        return Err(format!("{key} = {value} is out of range: {least} to {most}"));
    }
    Ok(())
}

/// Why the outputs did not open.
#[derive(Debug, thiserror::Error)]
pub enum EmitError {
    /// Change the configuration.
    #[error("{0}")]
    Settings(String),
    /// Stop the other one, or leave it alone.
    #[error("another Hairpin listens on {}: stop it, or give this one other sockets", .0.display())]
    Taken(PathBuf),
    /// Change something on the machine.
    #[error("{what}: {source}: {action}")]
    Open { what: String, action: String, source: io::Error },
}

impl EmitError {
    pub(super) fn socket(path: &Path, source: io::Error) -> Self {
        let folder = path.parent().unwrap_or(Path::new(".")).display().to_string();
        let action = match source.kind() {
            io::ErrorKind::NotFound => format!("create the folder {folder}"),
            io::ErrorKind::PermissionDenied => format!("let the service's user write in {folder}"),
            io::ErrorKind::ReadOnlyFilesystem => "choose a path under /run".to_owned(),
            _ => "choose another path".to_owned(),
        };
        Self::Open { what: format!("cannot open the socket {}", path.display()), action, source }
    }
}

/// Where the network's thread reaches the rest of the service.
#[derive(Clone)]
pub struct Wires {
    /// Bounded; a command that finds it full is refused as `busy`.
    pub control: Sender<control::Request>,
    /// Outputs that failed after they had opened.
    pub faults: Sender<Fault>,
    pub gauges: Gauges,
    pub page: web::Wires,
}

/// The running outputs.
#[derive(Debug)]
pub struct Net {
    stop: watch::Sender<bool>,
    ended: Receiver<()>,
    thread: JoinHandle<()>,
    addresses: Addresses,
}

/// Where the TCP outputs really listen: a configured port of 0 lets the system choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    pub tcp: Option<SocketAddr>,
    pub http: Option<SocketAddr>,
}

#[derive(Debug, thiserror::Error)]
#[error("the network's thread did not end within {0:?}")]
pub struct NotStopped(Duration);

impl Net {
    /// Opens all configured outputs and serves them on a thread of their own, or opens none.
    pub fn start(settings: &Settings, bus: &Bus, wires: Wires) -> Result<Self, EmitError> {
        settings.check().map_err(EmitError::Settings)?;
        let failed = |source| EmitError::Open {
            what: "cannot start the network's thread".into(),
            action: "raise the limits on threads and open files of the service".into(),
            source,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let doors = {
            let _inside = runtime.enter();
            Doors::open(settings)?
        };
        let addresses = doors.addresses();
        let (stop, asked) = watch::channel(false);
        let (end, ended) = crossbeam_channel::bounded(1);
        let room =
            Room { settings: settings.clone(), bus: bus.clone(), wires, outputs: Arc::default(), stop: Stop(asked) };
        let body = move || {
            runtime.block_on(room.serve(doors));
            drop(runtime);
            let _ = end.send(());
        };
        let thread = std::thread::Builder::new().name("net".into()).spawn(body).map_err(failed)?;
        Ok(Self { stop, ended, thread, addresses })
    }

    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Lets nobody in any more, gives readers the lines they are owed, and ends within `deadline`.
    pub fn stop(self, deadline: Duration) -> Result<(), NotStopped> {
        self.stop.send_replace(true);
        if self.ended.recv_timeout(deadline).is_err() && !self.thread.is_finished() {
            return Err(NotStopped(deadline));
        }
        // The thread has ended or is returning; it carries no value.
        let _ = self.thread.join();
        Ok(())
    }
}

/// Every socket, opened but not yet served.
struct Doors {
    stream: Option<(UnixListener, SocketFile)>,
    control: Option<(UnixListener, SocketFile)>,
    tcp: Option<TcpListener>,
    http: Option<TcpListener>,
    gate: Gate,
}

/// What the page asks of those who come in.
#[derive(Default)]
struct Gate {
    keys: Option<Keys>,
    tls: Option<Tls>,
}

impl Gate {
    fn of(page: &web::Settings) -> Result<Self, EmitError> {
        let tokens =
            page.token.as_deref().map(Tokens::at).transpose().map_err(|e| EmitError::Settings(e.to_string()))?;
        let tls = page.tls.as_ref().map(Tls::load).transpose()?;
        Ok(Self { keys: tokens.as_ref().map(Keys::of), tls })
    }
}

impl Doors {
    /// Must be called inside the runtime that will serve them.
    fn open(settings: &Settings) -> Result<Self, EmitError> {
        Ok(Self {
            stream: settings.stream.as_ref().map(|s| unix(s, Mode(0o660))).transpose()?,
            control: settings.control.as_ref().map(|s| unix(s, Mode(0o600))).transpose()?,
            tcp: settings.tcp.map(|address| tcp("tcp", address)).transpose()?,
            http: settings.http.map(|address| tcp("http", address)).transpose()?,
            gate: settings.page.as_ref().map(Gate::of).transpose()?.unwrap_or_default(),
        })
    }

    fn addresses(&self) -> Addresses {
        let of = |listener: &Option<TcpListener>| listener.as_ref().and_then(|l| l.local_addr().ok());
        Addresses { tcp: of(&self.tcp), http: of(&self.http) }
    }
}

fn unix(socket: &UnixSocket, mode: Mode) -> Result<(UnixListener, SocketFile), EmitError> {
    let (listener, file) = listen::unix(socket, mode)?;
    let listener = UnixListener::from_std(listener).map_err(|source| EmitError::socket(&socket.path, source))?;
    Ok((listener, file))
}

fn tcp(key: &str, address: SocketAddr) -> Result<TcpListener, EmitError> {
    let listener = listen::tcp(key, address)?;
    TcpListener::from_std(listener).map_err(|source| EmitError::Open {
        what: format!("cannot serve {key} = \"{address}\""),
        action: "raise the limit on open files of the service".into(),
        source,
    })
}

/// What the servers share.
struct Room {
    settings: Settings,
    bus: Bus,
    wires: Wires,
    outputs: Arc<Outputs>,
    stop: Stop,
}

/// A browser that loads the page opens about six connections at once.
const CONNECTIONS_A_VIEWER: usize = 6;

/// What stopping waits for clients that do not take the lines they are owed.
const LAST_WORDS: Duration = Duration::from_secs(1);

impl Room {
    async fn serve(self, doors: Doors) {
        let mut servers = JoinSet::new();
        let mut files = Vec::new();
        let readers = self.settings.readers;
        if let Some((door, file)) = doors.stream {
            let name = format!("the stream on {}", file.path().display());
            servers.spawn(stream::serve(door, self.porter(name, readers, &self.outputs.stream), self.reading()));
            files.push(file);
        }
        if let Some(door) = doors.tcp {
            let porter = self.porter("the stream on TCP".into(), readers, &self.outputs.tcp);
            servers.spawn(stream::serve(door, porter, self.reading()));
        }
        if let Some((door, file)) = doors.control {
            let name = format!("the control socket {}", file.path().display());
            let porter = self.porter(name, self.settings.controllers, &self.outputs.control);
            servers.spawn(control::serve(door, porter, Arc::new(self.desk())));
            files.push(file);
        }
        if let Some(door) = doors.http {
            let viewers = self.settings.page.as_ref().map_or(0, |page| page.viewers);
            let most = self.settings.scrapes + viewers * CONNECTIONS_A_VIEWER;
            let porter = self.porter("the HTTP server".into(), most, &self.outputs.http);
            servers.spawn(http::serve(door, porter, self.site(doors.gate)));
        }
        let mut stop = self.stop;
        stop.asked().await;
        let all_ended = async { while servers.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_WORDS, all_ended).await.is_err() {
            tracing::debug!("clients were cut off that did not take their last lines");
        }
    }

    fn porter(&self, name: String, most: usize, attendance: &Arc<Attendance>) -> Porter {
        let (faults, stop) = (self.wires.faults.clone(), self.stop.clone());
        Porter { name, most, attendance: attendance.clone(), faults, stop, shut: false }
    }

    fn reading(&self) -> stream::Reading {
        stream::Reading {
            bus: self.bus.clone(),
            state_every: Duration::from_millis(self.settings.state_every_ms),
            stalled: Duration::from_secs(self.settings.stalled_s),
            outputs: self.outputs.clone(),
            stop: self.stop.clone(),
        }
    }

    fn desk(&self) -> control::Desk {
        control::Desk {
            bus: self.bus.clone(),
            queue: self.wires.control.clone(),
            outputs: self.outputs.clone(),
            idle: Duration::from_secs(self.settings.idle_s),
            stalled: Duration::from_secs(self.settings.stalled_s),
            answer: Duration::from_secs(self.settings.answer_s),
            stop: self.stop.clone(),
        }
    }

    fn site(&self, gate: Gate) -> http::Site {
        let encrypted = gate.tls.is_some();
        let hosts = self.settings.page.as_ref().map(|page| page.hosts.clone()).unwrap_or_default();
        let house = self.settings.page.as_ref().map(|page| Arc::new(self.house(page, gate.keys, encrypted)));
        http::Site {
            bus: self.bus.clone(),
            gauges: self.wires.gauges.clone(),
            outputs: self.outputs.clone(),
            names: Arc::new(Names { beyond_loopback: self.settings.beyond_loopback(), hosts }),
            house,
            tls: gate.tls,
        }
    }

    fn house(&self, page: &web::Settings, keys: Option<Keys>, encrypted: bool) -> House {
        House {
            bus: self.bus.clone(),
            desk: self.desk(),
            wires: self.wires.page.clone(),
            outputs: self.outputs.clone(),
            gauges: self.wires.gauges.clone(),
            keys,
            operators: page.operators,
            beyond_loopback: self.settings.beyond_loopback(),
            encrypted,
            places: Arc::new(Semaphore::new(page.viewers)),
            inside: watch::Sender::new(0),
            floor: Floor::default(),
            sessions: AtomicU64::new(0),
            state_every: Duration::from_millis(self.settings.state_every_ms),
            stalled: Duration::from_secs(self.settings.stalled_s),
            stop: self.stop.clone(),
        }
    }
}
