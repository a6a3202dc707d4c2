//! A model on a server, by the Open Inference Protocol: a small server of our own runs the tiny bundle, is slow, wrong, gone and
//! back, also within an exam of the real binary. The bundle's own model reads whatever the server does not.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside test functions")]

#[path = "support/hairpin.rs"]
mod hairpin_bench;
#[path = "support/ort.rs"]
mod ort;
#[path = "support/served.rs"]
mod served;
#[path = "support/tiny.rs"]
mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use hairpin::bundle::Bundle;
use hairpin::digest::sha256;
use hairpin::infer::{Classifier, InferError, Scores};
use hairpin::preprocess::Tensor;
use hairpin_bench::{Bench, Reader};
use rustix::process::Signal;
use serde_json::{Value, json};
use served::{golden, open, settings};
use support::tiny;

/// What the server says of its model.
const METADATA: &str = r#"{"name":"tiny","platform":"onnx"}"#;

/// What the server does with a request to infer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mood {
    Well,
    /// Answers in chunks, and rows in rows.
    Chunked,
    /// Takes its time: longer than any deadline here.
    Slow,
    /// Takes more than half of the deadline for each tile.
    Late,
    /// Answers with what is no number.
    Void,
    /// Says that it has failed.
    Failing,
    /// Answers another output.
    Strange,
    /// Closes the connection in the middle of the head of its answer.
    Cut,
    /// Speaks something else.
    Babble,
    /// Answers logits of another model.
    Other,
}

struct Server {
    address: SocketAddr,
    url: String,
    mood: Arc<Mutex<Mood>>,
    answered: Arc<AtomicU64>,
    open: Arc<AtomicBool>,
    conns: Arc<Mutex<Vec<TcpStream>>>,
    door: Option<JoinHandle<()>>,
}

impl Server {
    fn start() -> Self {
        LazyLock::force(&MODEL);
        let door = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = door.local_addr().unwrap();
        let mut server = Self {
            address,
            url: format!("http://{address}/v2/models/tiny"),
            mood: Arc::new(Mutex::new(Mood::Well)),
            answered: Arc::default(),
            open: Arc::default(),
            conns: Arc::default(),
            door: None,
        };
        server.listen(door);
        server
    }

    fn listen(&mut self, door: TcpListener) {
        self.open.store(true, Ordering::SeqCst);
        let (mood, count) = (Arc::clone(&self.mood), Arc::clone(&self.answered));
        let (open, conns) = (Arc::clone(&self.open), Arc::clone(&self.conns));
        self.door = Some(std::thread::spawn(move || {
            for conn in door.incoming().map(Result::unwrap).take_while(|_| open.load(Ordering::SeqCst)) {
                conns.lock().unwrap().push(conn.try_clone().unwrap());
                let (mood, count) = (Arc::clone(&mood), Arc::clone(&count));
                std::thread::spawn(move || converse(conn, &mood, &count));
            }
        }));
    }

    /// Closes its door and its connections, as a process that was killed.
    fn die(&mut self) {
        self.open.store(false, Ordering::SeqCst);
        // The door looks whether it is still open when somebody knocks.
        drop(TcpStream::connect(self.address));
        self.door.take().unwrap().join().unwrap();
        self.conns.lock().unwrap().drain(..).for_each(|conn| drop(conn.shutdown(Shutdown::Both)));
    }

    fn come_back(&mut self) {
        let door = TcpListener::bind(self.address).unwrap();
        self.listen(door);
    }

    fn be(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn answered(&self) -> u64 {
        self.answered.load(Ordering::SeqCst)
    }
}

fn converse(mut conn: TcpStream, mood: &Mutex<Mood>, count: &AtomicU64) {
    let mut from = BufReader::new(conn.try_clone().unwrap());
    loop {
        let (mut first, mut length) = (String::new(), 0);
        if from.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        loop {
            let mut header = String::new();
            if from.read_line(&mut header).unwrap_or(0) == 0 {
                return;
            }
            if header.trim().is_empty() {
                break;
            }
            if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        if from.read_exact(&mut body).is_err() {
            return;
        }
        if first.starts_with("GET /v2/models/tiny ") {
            answer(&mut conn, 200, METADATA);
            continue;
        }
        assert!(first.starts_with("POST /v2/models/tiny/infer "), "{first}");
        let logits = infer(&serde_json::from_slice(&body).unwrap());
        let now = *mood.lock().unwrap();
        // Before the answer: whoever has it may count at once.
        count.fetch_add(1, Ordering::SeqCst);
        let good = |data: Value| json!({ "outputs": [{ "name": "logits", "datatype": "FP32", "shape": [1, 2], "data": data }] });
        match now {
            Mood::Well => answer(&mut conn, 200, &good(json!(logits)).to_string()),
            Mood::Chunked => chunked(&mut conn, &good(json!([logits])).to_string()),
            Mood::Other => answer(&mut conn, 200, &good(json!([logits[1], logits[0]])).to_string()),
            Mood::Failing => answer(&mut conn, 500, r#"{"error":"out of memory"}"#),
            Mood::Strange => answer(&mut conn, 200, r#"{"outputs":[{"name":"other","data":[1]}]}"#),
            Mood::Babble => drop(conn.write_all(b"SSH-2.0-OpenSSH_9.2\r\n")),
            Mood::Void => answer(&mut conn, 200, &good(json!([null, 0.5])).to_string()),
            Mood::Late => {
                std::thread::sleep(Duration::from_millis(900));
                answer(&mut conn, 200, &good(json!(logits)).to_string());
            }
            Mood::Slow => std::thread::sleep(Duration::from_secs(3)),
            Mood::Cut => {
                let _ = conn.write_all(b"HTTP/1.1 200 OK\r\nContent-Le");
                // Dropping it alone would leave the other handle of it open.
                let _ = conn.shutdown(Shutdown::Both);
                return;
            }
        }
    }
}

fn answer(conn: &mut TcpStream, status: u16, body: &str) {
    let text = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    // A client that gave up has closed its end.
    let _ = conn.write_all(text.as_bytes());
}

fn chunked(conn: &mut TcpStream, body: &str) {
    let (a, b) = body.split_at(body.len() / 3);
    let parts = format!("{:x}\r\n{a}\r\n{:x};x=1\r\n{b}\r\n0\r\n\r\n", a.len(), b.len());
    let _ = conn.write_all(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{parts}").as_bytes());
}

/// Loaded before the first request, so that no deadline runs meanwhile.
static MODEL: LazyLock<Mutex<(Bundle, Classifier)>> = LazyLock::new(|| Mutex::new(open(&tiny("tiny-resize"))));

fn infer(request: &Value) -> Vec<f32> {
    let (bundle, classifier) = &mut *MODEL.lock().unwrap();
    let input = &request["inputs"][0];
    assert_eq!((&input["name"], &input["datatype"]), (&"input".into(), &"FP32".into()), "{input}");
    assert_eq!(input["shape"], json!([1, 3, 40, 48]));
    assert_eq!(request["outputs"][0]["name"], "logits");
    let data = input["data"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect();
    let (height, width) = (bundle.input.height as usize, bundle.input.width as usize);
    let tensor = Tensor { tiles: 1, channels: 3, height, width, data, ..Tensor::default() };
    let mut scores = Scores::default();
    classifier.classify(&tensor, &mut scores).unwrap();
    scores.logits
}

#[test]
fn the_server_reads_and_gives_what_the_bundle_gives() {
    let server = Server::start();
    let (bundle, mut here) = open(&tiny("tiny-resize"));
    let (_, mut there) = open(&tiny("tiny-resize"));
    assert_eq!(there.ask_remotely(&settings(&server.url), &bundle).unwrap(), None);
    let running = there.words().1.provider_running;
    assert!(
        running.starts_with(&server.url) && running.contains("metadata sha256") && running.contains("else cpu"),
        "{running}"
    );
    let (mut a, mut b) = (Scores::default(), Scores::default());
    let mut tensor = golden(&bundle);
    for mood in [Mood::Well, Mood::Chunked] {
        server.be(mood);
        let before = server.answered();
        for _ in 0..3 {
            here.classify(&tensor, &mut a).unwrap();
            there.classify(&tensor, &mut b).unwrap();
            assert_eq!(a, b, "{mood:?}: JSON bears every digit");
            tensor.data.rotate_left(7);
        }
        assert_eq!(server.answered() - before, 3, "{mood:?}: the server read them all");
    }
    let mut another = there.another().unwrap();
    let before = server.answered();
    another.classify(&tensor, &mut b).unwrap();
    assert_eq!(server.answered() - before, 1);
}

#[test]
fn what_the_server_does_not_answer_is_read_here_and_told_once() {
    let server = Server::start();
    let (bundle, mut here) = open(&tiny("tiny-resize"));
    let (_, mut there) = open(&tiny("tiny-resize"));
    there.ask_remotely(&settings(&server.url), &bundle).unwrap();
    let tensor = golden(&bundle);
    let (mut a, mut b) = (Scores::default(), Scores::default());
    here.classify(&tensor, &mut a).unwrap();
    let cases = [
        (Mood::Slow, "no answer within the deadline"),
        (Mood::Failing, "it answered 500: {\"error\":\"out of memory\"}"),
        (Mood::Strange, "no output \"logits\""),
        (Mood::Void, "expected 2 numbers in \"logits\", found [null,0.5]"),
        (Mood::Cut, "closed in the middle of an answer"),
        (Mood::Babble, "does not speak HTTP/1.1"),
    ];
    for (mood, why) in cases {
        server.be(mood);
        there.classify(&tensor, &mut b).unwrap();
        assert_eq!(a, b, "{mood:?}");
        let news = there.take_news().unwrap_or_else(|| panic!("{mood:?}: nothing was told"));
        assert!(!news.back && news.message.contains(why) && news.message.contains(&server.url), "{mood:?}: {news:?}");
        there.classify(&tensor, &mut b).unwrap();
        assert_eq!((&a, there.take_news()), (&b, None), "{mood:?}: told once");
        server.be(Mood::Well);
        let news = std::iter::repeat_with(|| {
            there.classify(&tensor, &mut b).unwrap();
            there.take_news()
        });
        assert!(news.flatten().next().unwrap().back, "{mood:?}: it answers again");
    }
}

#[test]
fn a_server_with_another_model_is_refused_and_one_that_is_gone_is_told() {
    let server = Server::start();
    let (bundle, mut classifier) = open(&tiny("tiny-resize"));
    server.be(Mood::Other);
    let error = classifier.ask_remotely(&settings(&server.url), &bundle).unwrap_err();
    assert!(matches!(error, InferError::Model { .. }), "{error:?}");
    let words = format!("{} runs another model: the golden picture gives other logits", server.url);
    assert!(error.to_string().contains(&words), "{error}");

    let (bundle, mut classifier) = open(&tiny("tiny-resize"));
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let why = classifier.ask_remotely(&settings(&format!("http://{gone}/v2/models/tiny")), &bundle).unwrap().unwrap();
    assert!(why.contains(&gone.to_string()) && why.to_lowercase().contains("refused"), "{why}");
    let mut scores = Scores::default();
    classifier.classify(&golden(&bundle), &mut scores).unwrap();
    assert!(classifier.words().1.provider_running.starts_with("cpu "));
}

#[test]
fn the_deadline_is_of_a_frame_and_not_of_each_of_its_tiles() {
    let server = Server::start();
    let (bundle, mut there) = open(&tiny("tiny-resize"));
    there.ask_remotely(&settings(&server.url), &bundle).unwrap();
    let one = golden(&bundle);
    let wide = Tensor { tiles: 3, data: one.data.repeat(3), ..one };
    server.be(Mood::Late);
    let before = server.answered();
    there.classify(&wide, &mut Scores::default()).unwrap();
    let news = there.take_news().unwrap();
    assert!(!news.back && news.message.contains("no answer within the deadline"), "{news:?}");
    assert_eq!(server.answered() - before, 2, "one in time, one too late, the third not asked for");
}

const LIVE: &str = "frames_per_s = 30.0\ntrouble_share = 0.0\nhold_s = 600.0";

/// The configuration with the deciding model on a server.
fn config(bench: &Bench, url: &str) -> std::path::PathBuf {
    let path = bench.config(LIVE, "");
    let text = std::fs::read_to_string(&path).unwrap();
    let remote = format!("remote = {{ url = {url:?}, deadline_ms = 1500, again_after_ms = 10 }}\n[runtime]");
    std::fs::write(&path, text.replacen("[runtime]", &remote, 1)).unwrap();
    path
}

fn fault(cleared: bool) -> impl Fn(&Value) -> bool {
    move |line| line["event"] == "fault" && line["kind"] == "remote" && line["cleared"] == cleared
}

/// Waits until the server has read a frame more.
fn asked_again(reader: &mut Reader, server: &Server) {
    let before = server.answered();
    reader.until(|line| line["event"] == "finding" && server.answered() > before);
}

#[test]
fn an_exam_goes_on_when_its_server_dies_and_when_it_is_back() {
    let mut server = Server::start();
    let bench = Bench::new();
    let service = bench.serve(&config(&bench, &server.url));
    let mut reader = bench.reader();
    bench.exam_command(&["open", "P017"]).ok();
    let opened = reader.until(|line| line["step"] == "opened");
    let running = opened["provenance"]["runtime"]["provider_running"].as_str().unwrap();
    let expected = format!("{} (metadata sha256 {}), else cpu ", server.url, sha256(METADATA.as_bytes()));
    assert!(running.starts_with(&expected), "{running}");

    bench.exam_command(&["finger", "R4"]).ok();
    asked_again(&mut reader, &server);

    server.die();
    let dead = reader.until(fault(false));
    assert!(dead["message"].as_str().unwrap().starts_with(&server.url), "{dead}");
    assert!(dead["message"].as_str().unwrap().ends_with("the bundle's own model reads meanwhile"), "{dead}");
    assert!(dead["action"].as_str().unwrap().contains("[model] remote"), "{dead}");
    // More than were under way when it died.
    let mut frames = 0;
    reader.until(|line| {
        frames += usize::from(line["event"] == "finding");
        frames == 8
    });
    let state = bench.exam_command(&["status", "--json"]).ok().json();
    let state = &state["state"];
    assert_eq!((&state["finger"], &state["faults"][0]["kind"]), (&"R4".into(), &"remote".into()), "{state}");

    server.come_back();
    let back = reader.until(fault(true));
    assert_eq!(back["message"], format!("{} answers again", server.url));
    asked_again(&mut reader, &server);

    bench.exam_command(&["close"]).ok();
    let closed = reader.until(|line| line["step"] == "closed");
    assert_eq!(closed["report"]["ending"], "closed", "{closed}");
    assert_eq!(closed["report"]["frames"]["failed"], 0, "{closed}");
    assert!(closed["report"]["provenance"]["runtime"]["provider_running"].as_str().unwrap().starts_with(&expected));
    service.signal(Signal::TERM);
    assert_eq!(service.end(), Some(0));
    bench.run(&["verify", bench.exam().to_str().unwrap()]).ok();
    let record = std::fs::read_to_string(bench.exam().join("events.jsonl")).unwrap();
    let lines: Vec<Value> = record.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told = |cleared| lines.iter().filter(|&line| fault(cleared)(line)).count();
    assert_eq!((told(false), told(true)), (1, 1), "both are on record, once each");
}

#[test]
fn a_service_whose_server_is_gone_begins_without_it_and_one_with_another_model_does_not_begin() {
    let server = Server::start();
    let bench = Bench::new();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{gone}/v2/models/tiny");
    let service = bench.serve(&config(&bench, &url));
    let mut reader = bench.reader();
    bench.exam_command(&["open", "P017"]).ok();
    let opened = reader.until(|line| line["step"] == "opened");
    let running = opened["provenance"]["runtime"]["provider_running"].as_str().unwrap();
    assert!(running.starts_with("cpu "), "{running}");
    assert!(service.log().contains(&url), "{}", service.log());
    service.signal(Signal::TERM);
    assert_eq!(service.end(), Some(0));

    server.be(Mood::Other);
    let path = config(&bench, &server.url);
    let words = format!("{} runs another model", server.url);
    bench.run(&["run", "--config", path.to_str().unwrap()]).ends(78, &[&words]);
}
