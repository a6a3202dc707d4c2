//! Who may look on and command, and two who look on at once.

use std::io::{Read, Write};
use std::net::TcpListener;

use crate::browser::{Browser, ENTER};
use crate::{SOURCE, browser, look, open, room, set_up};

#[test]
fn without_the_token_nothing_is_commanded_and_a_second_operator_takes_over_openly() {
    let Some(browser) = browser() else { return };
    let room = room(SOURCE, "operators = \"token\"\ntoken = \"token\"\n");
    let shown = room.bench.run(&["token", "--config", room.bench.path("hairpin.toml").to_str().unwrap()]).ok().out;
    let token = shown.split("to command:").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    open(&browser, &room);
    browser.until("document.getElementById('open').disabled");
    browser.go("about:blank");
    browser.go(&format!("{}#token={}", room.base, "0".repeat(64)));
    browser.until("document.getElementById('dialog').open");
    look(&browser, "wrong-token");
    browser.keys(&format!("{token}{ENTER}"));
    browser.until("document.getElementById('open') && !document.getElementById('open').disabled");
    assert!(!browser.script("return location.href", &[]).as_str().unwrap().contains("token"));
    set_up(&browser, "P019");

    let second = Browser::start(1440, 980);
    second.go(&format!("{}#token={token}", room.base));
    second.until("document.getElementById('holder').textContent.includes('Dr A')");
    second.click("#holder");
    second.until("document.getElementById('dialog').open");
    look(&second, "take-over");
    second.script("document.getElementById('operator-name').value = ''", &[]);
    second.keys(&format!("Dr B{ENTER}"));
    second.until("document.getElementById('holder').textContent.includes('In control: Dr B')");
    browser.until("document.getElementById('told').textContent.includes('Dr B took over')");
    look(&browser, "taken-over");
}

#[test]
fn another_site_gets_nothing() {
    let Some(browser) = browser() else { return };
    let room = room(SOURCE, "");
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let site = format!("http://{}/", other.local_addr().unwrap());
    std::thread::spawn(move || {
        for conn in other.incoming() {
            let mut conn = conn.unwrap();
            let _ = conn.read(&mut [0; 4096]);
            let page = "<!doctype html><title>x</title>";
            let _ = conn.write_all(format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}", page.len()).as_bytes());
        }
    });
    browser.go(&site);
    let socket = room.base.replacen("http", "ws", 1) + "live";
    let told = browser.script_async(&format!(
        "const done = arguments[arguments.length - 1]; const s = new WebSocket('{socket}'); s.onopen = () => done('open'); s.onerror = () => done('refused');"
    ));
    assert_eq!(told, "refused");
    let read = browser.script_async(&format!(
        "const done = arguments[arguments.length - 1]; fetch('{}exams').then(() => done('read'), () => done('refused'));",
        room.base
    ));
    assert_eq!(read, "refused");
}
