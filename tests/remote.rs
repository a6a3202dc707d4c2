//! A model on a server, by the Open Inference Protocol: a small server of our own runs the tiny bundle, is slow, wrong, gone and
//! back. The bundle's own model reads whatever the server does not.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside test functions")]

#[path = "support/ort.rs"]
mod ort;
#[path = "support/tiny.rs"]
mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use hairpin::bundle::Bundle;
use hairpin::infer::{Classifier, InferError, Intake, RemoteSettings, Runtime, Scores, Settings};
use hairpin::preprocess::Tensor;
use serde_json::{Value, json};
use support::tiny;

/// What the server does with a request to infer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mood {
    Well,
    /// Answers in chunks, and rows in rows.
    Chunked,
    /// Takes its time: longer than any deadline here.
    Slow,
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
    url: String,
    mood: Arc<Mutex<Mood>>,
    answered: Arc<AtomicU64>,
}

impl Server {
    fn start() -> Self {
        LazyLock::force(&MODEL);
        let door = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v2/models/tiny", door.local_addr().unwrap());
        let (mood, answered) = (Arc::new(Mutex::new(Mood::Well)), Arc::new(AtomicU64::new(0)));
        let (its_mood, count) = (Arc::clone(&mood), Arc::clone(&answered));
        std::thread::spawn(move || {
            for conn in door.incoming() {
                let (mood, count) = (Arc::clone(&its_mood), Arc::clone(&count));
                std::thread::spawn(move || converse(conn.unwrap(), &mood, &count));
            }
        });
        Self { url, mood, answered }
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
            from.read_line(&mut header).unwrap();
            if header.trim().is_empty() {
                break;
            }
            if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        from.read_exact(&mut body).unwrap();
        if first.starts_with("GET /v2/models/tiny ") {
            answer(&mut conn, 200, &json!({ "name": "tiny", "platform": "onnx" }).to_string());
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
            Mood::Slow => std::thread::sleep(Duration::from_secs(3)),
            Mood::Cut => {
                conn.write_all(b"HTTP/1.1 200 OK\r\nContent-Le").unwrap();
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
    conn.write_all(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{parts}").as_bytes()).unwrap();
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

fn open(dir: &std::path::Path) -> (Bundle, Classifier) {
    let bundle = Bundle::load(dir).unwrap();
    let runtime = Runtime::load(&ort::library()).unwrap();
    let classifier = Classifier::open(&runtime, &bundle, &Settings::default()).unwrap();
    (bundle, classifier)
}

fn settings(url: &str) -> RemoteSettings {
    RemoteSettings { url: url.to_owned(), deadline_ms: 1500, retries: 1, again_after_ms: 10 }
}

fn golden(bundle: &Bundle) -> Tensor {
    let golden = bundle.golden().unwrap();
    let mut tensor = Tensor::default();
    Intake::new(bundle).prepare_pixels(golden.size, &golden.rgb, None, &mut tensor).unwrap();
    tensor
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
