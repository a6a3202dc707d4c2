//! A service without a pipeline behind it: the test is its exam thread.

#![expect(clippy::unwrap_used, reason = "in a test's helper a panic is the message")]

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use hairpin::command::Command;
use hairpin::emit::control::{Answer, Request};
use hairpin::emit::listen::UnixSocket;
use hairpin::emit::live::Live;
use hairpin::emit::protocol::Reply;
use hairpin::emit::{Bus, Net, Present, Settings, Wires, metrics, web};
use hairpin::report::{Event, Fault, FaultKind, Line, ModelWords, NOTICE, SCHEMA, Snapshot};
use hairpin::time::Clock;

/// A guard against hanging, not a measure: no test passes or fails by how fast it is.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Service {
    pub dir: tempfile::TempDir,
    pub bus: Bus,
    pub net: Option<Net>,
    pub commands: Receiver<Request>,
    pub gauges: Arc<std::sync::Mutex<metrics::Snapshot>>,
    /// Where the test shows frames, as the capture thread does.
    pub live: Live,
}

impl Service {
    pub fn start(change: impl FnOnce(&mut Settings)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = settings(&dir);
        change(&mut settings);
        let bus = Bus::new(1024, present());
        let gauges = Arc::new(std::sync::Mutex::new(metrics::Snapshot { ready: true, ..Default::default() }));
        let (wires, commands) = wires(&gauges);
        let live = wires.page.live.clone();
        let net = Some(Net::start(&settings, &bus, wires).unwrap());
        Self { dir, bus, net, commands, gauges, live }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn stream(&self) -> BufReader<UnixStream> {
        connected(UnixStream::connect(self.path("stream.sock")).unwrap())
    }

    pub fn control(&self) -> BufReader<UnixStream> {
        connected(UnixStream::connect(self.path("control.sock")).unwrap())
    }

    /// Answers every command, as the exam thread does.
    pub fn answering(&self, answer: Answer) -> JoinHandle<Vec<Command>> {
        let commands = self.commands.clone();
        std::thread::spawn(move || {
            let mut seen = Vec::new();
            for request in commands {
                seen.push(request.command);
                let _ = request.reply.send(answer.clone());
            }
            seen
        })
    }

    pub fn http(&self, request: &str) -> String {
        let mut conn = TcpStream::connect(self.net.as_ref().unwrap().addresses().http.unwrap()).unwrap();
        conn.set_read_timeout(Some(PATIENCE)).unwrap();
        conn.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        conn.read_to_string(&mut answer).unwrap();
        answer
    }

    pub fn stop(mut self) {
        self.net.take().unwrap().stop(PATIENCE).unwrap();
    }
}

fn connected(conn: UnixStream) -> BufReader<UnixStream> {
    conn.set_read_timeout(Some(PATIENCE)).unwrap();
    conn.set_write_timeout(Some(PATIENCE)).unwrap();
    BufReader::new(conn)
}

pub fn settings(dir: &tempfile::TempDir) -> Settings {
    let socket = |name: &str| Some(UnixSocket { path: dir.path().join(name), mode: None, group: None });
    let any = Some("127.0.0.1:0".parse().unwrap());
    Settings {
        stream: socket("stream.sock"),
        control: socket("control.sock"),
        tcp: any,
        http: any,
        ..Default::default()
    }
}

pub fn wires(gauges: &Arc<std::sync::Mutex<metrics::Snapshot>>) -> (Wires, Receiver<Request>) {
    let (control, commands): (Sender<Request>, _) = crossbeam_channel::bounded(4);
    let gauges = gauges.clone();
    let gauges: metrics::Gauges = Arc::new(move || gauges.lock().unwrap().clone());
    let page = web::Wires { live: Live::default(), clock: Clock::live(), archive: None };
    (Wires { control, faults: crossbeam_channel::unbounded().0, gauges, page }, commands)
}

pub fn present() -> Present {
    let model = ModelWords {
        name: "arithmetic".into(),
        version: "1.0.0".into(),
        sha256: "00".repeat(32),
        scheme: "fast-track".into(),
        labels: vec!["category 1".into(), "category 2".into()],
        cohort: "synthetic".into(),
        validated_on_patients: false,
    };
    let snapshot = Snapshot::before(model, "cpu".into());
    Present { at_ms: 0, date: None, exam: None, snapshot: Arc::new(snapshot) }
}

pub fn fault() -> Fault {
    let (message, action) = ("the record cannot be written".into(), "make room".into());
    Fault { kind: FaultKind::Record, message, action, cleared: false }
}

pub fn line(n: u64) -> Arc<Line> {
    let (notice, event) = (NOTICE.into(), Event::Fault(fault()));
    Arc::new(Line { schema: SCHEMA, n, at_ms: n, date: None, exam: None, notice, event })
}

pub fn next<R: BufRead>(from: &mut R) -> Option<Line> {
    let mut text = String::new();
    from.read_line(&mut text).unwrap();
    (!text.is_empty()).then(|| serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e} in {text}")))
}

/// The next line that is no state.
pub fn event<R: BufRead>(from: &mut R) -> Option<Line> {
    std::iter::from_fn(|| next(from)).find(|line| !matches!(line.event, Event::State(_)))
}

pub fn ask(conn: &mut BufReader<UnixStream>, request: &str) -> Reply {
    conn.get_mut().write_all(format!("{request}\n").as_bytes()).unwrap();
    answer(conn)
}

pub fn answer(conn: &mut BufReader<UnixStream>) -> Reply {
    let mut text = String::new();
    conn.read_line(&mut text).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e} in {text:?}"))
}

pub fn allow_many_files() {
    let mut limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current = limit.maximum;
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
}

pub fn ended(conn: &mut BufReader<UnixStream>) -> bool {
    match conn.read(&mut [0; 1]) {
        Ok(n) => n == 0,
        Err(e) => e.kind() == ErrorKind::ConnectionReset,
    }
}
