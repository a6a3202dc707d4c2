//! The page's server over real sockets: who is let in, what a slow or a foul-mouthed viewer can do, who commands.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside test functions")]
#![allow(clippy::print_stdout, reason = "what was skipped is said")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::Arc;

use hairpin::emit::control::{Answer, Who};
use hairpin::emit::token::Tokens;
use hairpin::emit::web;
use hairpin::emit::{Bus, Net, Settings};
use hairpin::frame::{Colour, Format, FrameId, RawFrame, Size};
use hairpin::time::Stamp;
use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{ClientRequestBuilder, Message, WebSocket};

use crate::service::{PATIENCE, Service, line, present, settings, wires};

pub fn with_page(change: impl FnOnce(&mut web::Settings)) -> Service {
    Service::start(|settings| {
        let mut page = web::Settings::default();
        change(&mut page);
        settings.page = Some(page);
    })
}

/// The command token is needed; returns both.
fn with_token() -> (Service, Tokens, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let service = with_page(|page| {
        page.token = Some(path.clone());
        page.operators = web::Operators::Token;
    });
    let tokens = Tokens::at(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    (service, tokens, folder)
}

pub fn address(service: &Service) -> SocketAddr {
    service.net.as_ref().unwrap().addresses().http.unwrap()
}

pub struct Viewer(pub WebSocket<TcpStream>);

impl Viewer {
    fn request(service: &Service, origin: &str) -> tungstenite::http::Request<()> {
        let uri = format!("ws://{}/live", address(service)).parse().unwrap();
        ClientRequestBuilder::new(uri).with_header("Origin", origin).into_client_request().unwrap()
    }

    /// Connected, and nothing said.
    fn silent(service: &Service) -> Self {
        let conn = TcpStream::connect(address(service)).unwrap();
        conn.set_read_timeout(Some(PATIENCE)).unwrap();
        let origin = format!("http://{}", address(service));
        let (socket, _) = tungstenite::client(Self::request(service, &origin), conn).unwrap();
        Self(socket)
    }

    pub fn open(service: &Service) -> Self {
        let mut viewer = Self::silent(service);
        viewer.say(&json!({"do": "hello"}));
        let welcome = viewer.page("welcome");
        assert_eq!(welcome["live"], true);
        viewer
    }

    fn say(&mut self, what: &Value) {
        self.0.send(Message::text(what.to_string())).unwrap();
    }

    fn next(&mut self) -> Message {
        self.0.read().unwrap()
    }

    /// The next message of the page itself of this kind.
    fn page(&mut self, kind: &str) -> Value {
        loop {
            if let Message::Text(text) = self.next() {
                let value: Value = serde_json::from_str(&text).unwrap();
                if value["page"] == kind {
                    return value;
                }
            }
        }
    }

    /// The number of the next frame.
    fn frame(&mut self) -> u64 {
        loop {
            if let Message::Binary(bytes) = self.next() {
                return u64::from_le_bytes(bytes[8..16].try_into().unwrap());
            }
        }
    }

    fn take(&mut self, name: &str, over: bool) {
        self.say(&json!({"do": "take", "name": name, "over": over}));
    }

    pub fn ask(&mut self, request: &Value) -> Value {
        self.say(&json!({"do": "ask", "request": request}));
        self.page("reply")["reply"].clone()
    }

    /// The code with which the service closes.
    fn closed(&mut self) -> Option<CloseCode> {
        loop {
            match self.0.read() {
                Ok(Message::Close(close)) => return close.map(|close| close.code),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }
}

fn frame(seq: u64) -> RawFrame {
    RawFrame {
        id: FrameId { run: 0, seq },
        at: Stamp::from_ms(seq),
        format: Format::Mjpeg,
        size: Size::new(1280, 1024),
        colour: Colour::Bt601Full,
        bytes: Arc::from(vec![0xd8; 150_000]),
        flagged: false,
    }
}

#[test]
fn the_page_is_served_with_a_strict_policy_and_only_where_it_is_wanted() {
    let service = with_page(|_| {});
    let get = |service: &Service, path: &str, host: &str| {
        service.http(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
    };
    for path in ["/", "/page.js", "/page.css", "/words.json"] {
        let answer = get(&service, path, "localhost");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
        for says in ["default-src 'none'; script-src 'self'", "x-frame-options: DENY", "nosniff"] {
            assert!(answer.contains(says), "{path} lacks {says}");
        }
        assert!(!answer.contains("unsafe"), "{path}");
    }
    assert!(get(&service, "/", "evil.example").starts_with("HTTP/1.1 421 "));
    assert!(get(&service, "/../Cargo.toml", "localhost").starts_with("HTTP/1.1 404 "));
    assert!(get(&service, "/exams", "localhost").starts_with("HTTP/1.1 404 "), "no exam is recorded here");
    assert!(get(&Service::start(|_| {}), "/", "localhost").starts_with("HTTP/1.1 404 "));
}

#[test]
fn another_site_cannot_open_the_socket() {
    let service = with_page(|_| {});
    for origin in ["http://evil.example", "null", "https://localhost"] {
        let conn = TcpStream::connect(address(&service)).unwrap();
        let refused = tungstenite::client(Viewer::request(&service, origin), conn).unwrap_err();
        assert!(refused.to_string().contains("403"), "{origin}: {refused}");
    }
}

#[test]
fn a_viewer_gets_the_state_the_lines_and_the_cameras_own_bytes() {
    let service = with_page(|_| {});
    let mut viewer = Viewer::open(&service);
    let Message::Text(first) = viewer.next() else { panic!("the state comes first") };
    assert_eq!(serde_json::from_str::<Value>(&first).unwrap()["event"], "state");
    service.bus.publish(line(7));
    let Message::Text(text) = viewer.next() else { panic!("a line is text") };
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["n"], 7);
    let raw = frame(3);
    service.live.show(&raw);
    let Message::Binary(bytes) = viewer.next() else { panic!("a frame is bytes") };
    assert_eq!(&bytes[hairpin::emit::live::HEADER..], &*raw.bytes);
    viewer.say(&json!({"do": "clock", "at": 12.5}));
    let clock = viewer.page("clock");
    assert_eq!(clock["at"], 12.5);
    assert!(clock["now_us"].is_u64(), "{clock}");
}

#[test]
fn a_viewer_that_does_not_draw_holds_up_nobody_and_goes_on_with_the_newest() {
    let service = with_page(|_| {});
    let (mut slow, mut quick) = (Viewer::open(&service), Viewer::open(&service));
    // Both look on once each has had a frame.
    service.live.show(&frame(0));
    assert_eq!((slow.frame(), quick.frame()), (0, 0));
    quick.say(&json!({"do": "seen", "frames": 1}));
    for seq in 1..=300 {
        service.live.show(&frame(seq));
    }
    while quick.frame() < 300 {
        quick.say(&json!({"do": "seen", "frames": 1}));
    }
    let second = slow.frame();
    assert!(second >= 1, "{second}");
    for seq in 301..=310 {
        service.live.show(&frame(seq));
    }
    slow.say(&json!({"do": "seen", "frames": 2}));
    assert_eq!(slow.frame(), 310, "what came between is passed over");
}

#[test]
fn one_operator_commands_and_another_takes_over_openly() {
    let service = with_page(|_| {});
    let (mut first, mut second) = (Viewer::open(&service), Viewer::open(&service));
    let refused = first.ask(&json!({"command": "field", "id": 1}));
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&1.into(), &"not_in_control".into()));
    first.take("Dr A", false);
    for viewer in [&mut first, &mut second] {
        assert_eq!(viewer.page("control")["holder"]["name"], "Dr A");
    }
    second.take("Dr B", false);
    let refused = second.page("refused");
    assert!(refused["refusal"]["message"].as_str().unwrap().contains("Dr A holds control"), "{refused}");

    first.say(&json!({"do": "ask", "request": {"command": "finger", "finger": "R4", "id": 2}}));
    let request = service.commands.recv_timeout(PATIENCE).unwrap();
    assert_eq!(request.who, Who::Operator { name: "Dr A".into(), from: [127, 0, 0, 1].into() });
    request.reply.send(Answer::Done).unwrap();
    assert_eq!(first.page("reply")["reply"]["ok"], true);

    second.take("Dr B", true);
    for viewer in [&mut first, &mut second] {
        assert_eq!(viewer.page("control")["holder"]["name"], "Dr B");
    }
    assert_eq!(first.ask(&json!({"command": "field"}))["error"]["code"], "not_in_control");
    drop(second);
    assert_eq!(first.page("control")["holder"], Value::Null, "who is gone holds nothing");
}

#[test]
fn looking_on_and_commanding_are_two_rights() {
    let (service, tokens, _folder) = with_token();
    let mut onlooker = Viewer::open(&service);
    onlooker.take("Dr A", false);
    assert_eq!(onlooker.page("refused")["refusal"]["code"], "not_allowed");
    assert_eq!(onlooker.ask(&json!({"command": "close"}))["error"]["code"], "not_allowed");
    assert_eq!(onlooker.ask(&json!({"command": "status"}))["ok"], true);
    for (token, may_command) in [(&tokens.view, false), (&tokens.command, true)] {
        let mut viewer = Viewer::silent(&service);
        viewer.say(&json!({"do": "hello", "token": token}));
        assert_eq!(viewer.page("welcome")["may_command"], may_command);
    }
    let mut wrong = Viewer::silent(&service);
    wrong.say(&json!({"do": "hello", "token": "0".repeat(64)}));
    assert_eq!(wrong.page("refused")["refusal"]["code"], "not_allowed");
    assert_eq!(wrong.closed(), Some(CloseCode::Policy));
}

#[test]
fn who_misbehaves_is_shut_out_and_nobody_else_feels_it() {
    let service = with_page(|_| {});
    let mut calm = Viewer::open(&service);
    let mut rude = Viewer::silent(&service);
    rude.say(&json!({"do": "seen", "frames": 1}));
    assert_eq!(rude.closed(), Some(CloseCode::Policy), "who does not greet is not served");
    let mut binary = Viewer::open(&service);
    binary.0.send(Message::binary(vec![0; 16])).unwrap();
    assert_eq!(binary.closed(), Some(CloseCode::Unsupported));
    let mut flood = Viewer::open(&service);
    while flood.0.send(Message::text(r#"{"do":"seen","frames":0}"#)).is_ok() {}
    let mut endless = Viewer::open(&service);
    let sent = endless.0.send(Message::text("x".repeat(4 << 20)));
    assert!(sent.is_err() || endless.closed().is_none_or(|code| code != CloseCode::Normal));
    calm.take("Dr A", false);
    assert_eq!(calm.page("control")["holder"]["name"], "Dr A");
}

#[test]
fn a_key_held_down_is_refused_as_busy() {
    let service = with_page(|_| {});
    let _exam = service.answering(Answer::Done);
    let mut viewer = Viewer::open(&service);
    viewer.take("Dr A", false);
    viewer.page("control");
    let codes: Vec<Value> =
        (0..60).map(|_| viewer.ask(&json!({"command": "field"}))["error"]["code"].clone()).collect();
    assert!(codes[0].is_null() && codes.contains(&"busy".into()), "{codes:?}");
}

#[test]
fn a_correction_asks_for_the_same_right_as_a_command() {
    let (service, tokens, _folder) = with_token();
    let correct = |id: u64| {
        json!({"do": "correct", "id": id, "exam": "e-1", "finger": "R4", "field": 1, "frame": {"run": 0, "seq": 7},
               "correction": {"correction": "removed", "apex": [410.0, 220.0]}})
    };
    let mut onlooker = Viewer::open(&service);
    onlooker.say(&correct(1));
    let refused = onlooker.page("reply")["reply"].clone();
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&1.into(), &"not_allowed".into()));
    let mut operator = Viewer::silent(&service);
    operator.say(&json!({"do": "hello", "token": tokens.command}));
    operator.page("welcome");
    operator.say(&correct(2));
    assert_eq!(operator.page("reply")["reply"]["error"]["code"], "not_in_control");
    operator.take("Dr A", false);
    operator.page("control");
    operator.say(&correct(3));
    // It goes its way now, to where no exam is recorded.
    let refused = operator.page("reply")["reply"].clone();
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&3.into(), &"refused".into()));
    assert!(refused["error"]["message"].as_str().unwrap().contains("no such exam"), "{refused}");
}

#[test]
fn places_for_viewers_are_counted() {
    let service = with_page(|page| page.viewers = 2);
    let (first, _second) = (Viewer::open(&service), Viewer::open(&service));
    let mut third = Viewer::silent(&service);
    third.say(&json!({"do": "hello"}));
    assert_eq!(third.page("refused")["refusal"]["code"], "busy");
    drop(first);
    // The place comes free when the service has noticed.
    loop {
        let mut next = Viewer::silent(&service);
        next.say(&json!({"do": "hello"}));
        let Message::Text(text) = next.next() else { panic!("the first answer is text") };
        if text.contains("\"welcome\"") {
            break;
        }
    }
}

#[test]
fn a_thousand_connections_leave_the_page_open() {
    crate::service::allow_many_files();
    let service = with_page(|_| {});
    let mut calm = Viewer::open(&service);
    let crowd: Vec<_> = (0..1000).filter_map(|_| TcpStream::connect(address(&service)).ok()).collect();
    service.live.show(&frame(5));
    assert_eq!(calm.frame(), 5);
    drop(crowd);
    service.stop();
    assert_eq!(calm.closed(), Some(CloseCode::Away));
}

#[test]
fn beyond_this_machine_it_starts_only_with_a_token_and_tls() {
    let dir = tempfile::tempdir().unwrap();
    let anywhere = Some("0.0.0.0:0".parse().unwrap());
    for page in [None, Some(web::Settings::default())] {
        let settings = Settings { http: anywhere, page, ..settings(&dir) };
        let (wires, _commands) = wires(&Arc::default());
        let refused = Net::start(&settings, &Bus::new(8, present()), wires).unwrap_err();
        assert!(refused.to_string().contains("TLS") || refused.to_string().contains("page.tls"), "{refused}");
    }
}

#[test]
fn over_tls_nothing_is_shown_without_a_token() {
    let tool = |name: &str, asked: &str| Command::new(name).arg(asked).stdout(Stdio::null()).status().is_ok();
    if !tool("openssl", "version") || !tool("curl", "--version") {
        return println!("skipped: openssl and curl are needed to make a certificate and to speak TLS");
    }
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let token = folder.path().join("token");
    let service = Service::start(|settings| {
        settings.http = Some("0.0.0.0:0".parse().unwrap());
        settings.page = Some(web::Settings {
            token: Some(token.clone()),
            tls: Some(hairpin::emit::tls::Files { certificate: certificate.clone(), key }),
            ..web::Settings::default()
        });
    });
    let port = address(&service).port();
    let get = |path: &str, more: &[&str]| {
        let url = format!("https://127.0.0.1:{port}{path}");
        let output = Command::new("curl")
            .args(["-s", "-w", "%{http_code}", "--cacert"])
            .arg(&certificate)
            .args(more)
            .arg(url)
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    assert!(get("/", &[]).ends_with("200"));
    assert!(get("/health", &[]).ends_with("401"));
    let bearer = format!("Authorization: Bearer {}", Tokens::at(&token).unwrap().view);
    assert!(get("/health", &["-H", &bearer]).ends_with("200"));
    assert!(get("/", &["-H", "Host: evil.example"]).ends_with("421"));
    let mut plain = TcpStream::connect(("127.0.0.1", port)).unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/"), "plain HTTP was answered");
}

#[test]
fn a_stop_closes_every_viewer() {
    let service = with_page(|_| {});
    let mut viewers: Vec<_> = (0..20).map(|_| Viewer::open(&service)).collect();
    service.stop();
    for viewer in &mut viewers {
        let code = viewer.closed();
        assert!(code.is_none_or(|code| code == CloseCode::Away), "{code:?}");
    }
}
