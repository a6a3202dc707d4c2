//! Whatever is said at any door is answered or shut out, and the next who comes is served.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use hairpin::emit::control::Answer;
use hairpin::emit::protocol::{Code, Reply};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tungstenite::Message;

use crate::page::{Viewer, address, with_page};
use crate::service::{PATIENCE, Service, answer, ask};

const COMMANDS: [&str; 12] =
    ["open", "finger", "field", "skip", "close", "resume", "call", "prepare", "model", "status", "reboot", ""];
const KEYS: [&str; 12] = [
    "id",
    "subject",
    "finger",
    "reason",
    "exam",
    "call",
    "comment",
    "blinded",
    "preparation",
    "bundle",
    "command",
    "x",
];

/// A value that is right somewhere, nearly right, or anything at all.
fn value() -> impl Strategy<Value = Value> {
    let known = prop::sample::select(vec![
        json!("R4"),
        json!("L9"),
        json!("P017"),
        json!("Jane Doe"),
        json!("1961-04-12x"),
        json!("category_2"),
        json!(true),
        json!({"done": ["oil_applied"], "room_celsius": 21}),
        json!({"done": ["Jane Doe"]}),
        json!({"run": 0, "seq": 7}),
        json!({"correction": "removed", "apex": [410.0, 220.0]}),
        json!({"correction": "added", "apex": [1e38, -1.0], "class": "giant", "apical_um": 0}),
        json!("../../etc/passwd"),
    ]);
    let leaf = prop_oneof![
        known,
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        ".{0,60}".prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| prop::collection::vec(inner, 0..4).prop_map(Value::from))
}

/// A request of the control protocol, right or wrong in any of its parts.
fn request() -> impl Strategy<Value = Value> {
    let parts = prop::collection::vec((prop::sample::select(KEYS.to_vec()), value()), 0..5);
    (prop::sample::select(COMMANDS.to_vec()), parts).prop_map(|(command, parts)| {
        let mut object: Map<String, Value> = parts.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        object.insert("command".to_owned(), command.into());
        Value::Object(object)
    })
}

/// What a page says, right or wrong in any of its parts.
fn said() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec!["hello", "seen", "clock", "take", "leave", "ask", "correct", "x"]);
    let key = prop::sample::select(vec![
        "token",
        "frames",
        "at",
        "name",
        "over",
        "id",
        "exam",
        "finger",
        "field",
        "frame",
        "correction",
        "x",
    ]);
    let parts = prop::collection::vec((key, value()), 0..7);
    let loose = (word, parts).prop_map(|(word, parts)| {
        let mut object: Map<String, Value> = parts.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        object.insert("do".to_owned(), word.into());
        Value::Object(object)
    });
    prop_oneof![loose, request().prop_map(|request| json!({"do": "ask", "request": request}))]
}

/// Any message that a WebSocket can bear.
fn message() -> impl Strategy<Value = Message> {
    let cut = (said(), any::<prop::sample::Index>()).prop_map(|(said, at)| {
        let text = said.to_string();
        let at = (0..=at.index(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        Message::text(&text[..at])
    });
    prop_oneof![
        8 => said().prop_map(|said| Message::text(said.to_string())),
        2 => cut,
        2 => ".{0,200}".prop_map(Message::text),
        1 => prop::collection::vec(any::<u8>(), 0..200).prop_map(Message::binary),
        1 => prop::collection::vec(any::<u8>(), 0..100).prop_map(|bytes| Message::Ping(bytes.into())),
    ]
}

/// A request line with its headers, whole, broken in any place, or no HTTP at all.
fn http() -> impl Strategy<Value = Vec<u8>> {
    let method = prop::sample::select(vec!["GET", "POST", "HEAD", "OPTIONS", "BREW", "get", "", "G\u{e9}T"]);
    let path = prop_oneof![
        prop::sample::select(vec![
            "/",
            "/health",
            "/metrics",
            "/live",
            "/exams",
            "/exams/../../x",
            "/exams/%2e%2e/keyframes/x",
            "/exams/e/loops/R4/x",
            "*",
            "http://evil.example/",
            "//",
            "/words.json?x=%00",
        ])
        .prop_map(str::to_owned),
        "/[ -~]{0,80}",
        ".{0,40}",
    ];
    let version = prop::sample::select(vec!["HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/9.9", "", "http/1.1"]);
    let header = prop_oneof![
        prop::sample::select(vec![
            "Host: localhost",
            "Host: evil.example",
            "Host:",
            "Content-Length: 99999999999999999999",
            "Content-Length: -1",
            "Transfer-Encoding: chunked",
            "Transfer-Encoding: chunked, identity",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: x",
            "Origin: null",
            "Expect: 100-continue",
            " folded",
            "Host: localhost\r\nHost: x",
        ])
        .prop_map(str::to_owned),
        "[!-~]{1,20}: [ -~]{0,60}",
        ".{0,60}",
    ];
    let whole = (method, path, version, prop::collection::vec(header, 0..8), "[\\x00-\\x7f]{0,40}").prop_map(
        |(method, path, version, headers, body)| {
            let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
            format!("{method} {path} {version}\r\n{headers}\r\n{body}").into_bytes()
        },
    );
    let cut = (whole, any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut bytes, at, put)| {
        let at = at.index(bytes.len().max(1));
        if let Some(byte) = bytes.get_mut(at) {
            *byte = put;
        }
        bytes
    });
    prop_oneof![4 => cut, 1 => prop::collection::vec(any::<u8>(), 0..400)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(32) })]

    #[test]
    fn each_line_at_the_control_socket_has_one_answer_that_repeats_no_name(
        requests in prop::collection::vec(request(), 1..24),
    ) {
        let service = Service::start(|_| {});
        let exam = service.answering(Answer::Refused("no exam is open".into()));
        let mut control = service.control();
        for request in &requests {
            let reply: Reply = ask(&mut control, &request.to_string());
            if let Some(error) = &reply.error {
                prop_assert!(!error.message.contains("Jane"), "{}", error.message);
                // Only what fits its command reaches the exam.
                prop_assert!(error.code != Code::BadJson, "{request} is JSON: {}", error.message);
            }
        }
        // And lines that are none, in one piece.
        let mut torn = service.control();
        for request in &requests {
            let text = request.to_string();
            torn.get_mut().write_all(&text.as_bytes()[..text.len() - 1]).unwrap();
            torn.get_mut().write_all(b"\n").unwrap();
            prop_assert_eq!(answer(&mut torn).error.map(|error| error.code), Some(Code::BadJson));
        }
        let status = ask(&mut control, r#"{"command":"status"}"#);
        prop_assert!(status.ok);
        drop((control, torn));
        service.stop();
        drop(exam);
    }

    #[test]
    fn whatever_a_page_says_is_answered_or_shut_out(messages in prop::collection::vec(message(), 1..16)) {
        let service = with_page(|_| {});
        let _exam = service.answering(Answer::Refused("no exam is open".into()));
        let mut viewer = Viewer::open(&service);
        for message in messages {
            if viewer.0.send(message).is_err() {
                break;
            }
        }
        let mut calm = Viewer::open(&service);
        prop_assert_eq!(&calm.ask(&json!({"command": "status"}))["ok"], &Value::Bool(true));
        service.stop();
    }

    #[test]
    fn whatever_is_asked_over_http_is_answered_or_cut_off(requests in prop::collection::vec(http(), 1..12)) {
        let service = with_page(|_| {});
        for bytes in requests {
            let mut conn = TcpStream::connect(address(&service)).unwrap();
            conn.set_read_timeout(Some(PATIENCE)).unwrap();
            // It may be cut off while it still speaks.
            let _ = conn.write_all(&bytes);
            let _ = conn.shutdown(Shutdown::Write);
            let mut answer = Vec::new();
            let _ = conn.read_to_end(&mut answer);
            prop_assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."), "{}", String::from_utf8_lossy(&answer));
            prop_assert!(!answer.starts_with(b"HTTP/1.1 500"), "{}", String::from_utf8_lossy(&answer));
        }
        let health = service.http("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
        prop_assert!(health.starts_with("HTTP/1.1 200 "), "{}", health);
        service.stop();
    }
}

/// Connections that the HTTP server says it has; `None` while it has no place for the question.
fn clients(service: &Service) -> Option<u64> {
    let mut conn = TcpStream::connect(address(service)).ok()?;
    conn.set_read_timeout(Some(PATIENCE)).ok()?;
    conn.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").ok()?;
    let mut page = String::new();
    conn.read_to_string(&mut page).ok()?;
    let line = page.lines().find_map(|line| line.strip_prefix("hairpin_clients{output=\"http\"} "))?;
    line.parse().ok()
}

#[test]
fn a_thousand_connections_that_speak_nonsense_leave_nothing_behind() {
    crate::service::allow_many_files();
    let service = with_page(|_| {});
    let mut crowd: Vec<TcpStream> = (0..1000).filter_map(|_| TcpStream::connect(address(&service)).ok()).collect();
    for (n, conn) in crowd.iter_mut().enumerate() {
        let nonsense: &[u8] = match n % 4 {
            0 => b"GET /health HTTP/1.1\r\nHost: ",
            1 => b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            2 => b"GET /live HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            _ => b"",
        };
        // It may be turned away while it still speaks.
        let _ = conn.write_all(nonsense);
    }
    drop(crowd);
    // One is left in the end: the one that asks.
    while clients(&service) != Some(1) {
        std::thread::yield_now();
    }
    service.stop();
}
