//! Health and metrics, and requests that are none.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use crate::service::{PATIENCE, Service, fault, present};

#[test]
fn health_and_metrics_answer_programs_of_this_machine() {
    let service = Service::start(|_| {});
    let get = |path: &str, host: &str| service.http(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    let health = get("/health", "localhost");
    assert!(health.starts_with("HTTP/1.1 200 "), "{health}");
    let body: serde_json::Value = serde_json::from_str(health.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!((&body["status"], &body["ready"], &body["schema"]), (&"ok".into(), &true.into(), &1.into()));
    let page = get("/metrics", "127.0.0.1:7410");
    assert!(page.contains("text/plain; version=0.0.4") && page.contains("\nhairpin_ready 1\n"), "{page}");
    for (answer, status) in [
        (get("/health", "evil.example"), "421"),
        (get("/nothing", "localhost"), "404"),
        (service.http("POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"), "405"),
        (service.http("\r\n\x16\x03\x01 garbage\r\n\r\n"), "400"),
    ] {
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{status} expected: {answer}");
    }

    service.gauges.lock().unwrap().stuck = vec!["read".into()];
    assert!(get("/health", "localhost").starts_with("HTTP/1.1 503 "));
    service.gauges.lock().unwrap().stuck.clear();
    let mut faulty = present();
    Arc::make_mut(&mut faulty.snapshot).faults.push(fault());
    service.bus.present(faulty);
    assert!(get("/health", "localhost").starts_with("HTTP/1.1 503 "));
}

#[test]
fn a_request_without_end_and_a_crowd_are_cut_off() {
    let service = Service::start(|s| s.scrapes = 2);
    let address = service.net.as_ref().unwrap().addresses().http.unwrap();
    let mut endless = TcpStream::connect(address).unwrap();
    endless.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ =
        endless.write_all(format!("GET /health HTTP/1.1\r\nHost: localhost\r\nX: {}", "x".repeat(1 << 20)).as_bytes());
    let mut answer = Vec::new();
    let _ = endless.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 200"));

    // Two that say nothing hold both places; the third is closed without a word.
    let _held: Vec<_> = std::iter::repeat_with(|| TcpStream::connect(address).unwrap()).take(2).collect();
    let mut third = TcpStream::connect(address).unwrap();
    third.set_read_timeout(Some(PATIENCE)).unwrap();
    let end = third.read(&mut [0; 1]);
    assert!(matches!(&end, Ok(0)) || end.is_err_and(|e| e.kind() == ErrorKind::ConnectionReset));
}
