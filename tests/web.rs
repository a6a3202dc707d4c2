//! The page in a real browser against the real binary: whole exams, and everything that goes wrong. Needs Debian's
//! chromium and chromium-driver; says by name that it was skipped where they are not installed.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside test functions")]
#![allow(clippy::print_stdout, reason = "what was skipped, and what was measured, is said")]

#[path = "support/browser.rs"]
mod browser;
#[path = "support/hairpin.rs"]
mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use browser::{Browser, ENTER, TAB};
use rustix::process::Signal;
use serde_json::Value;
use support::{Bench, Service};

const SOURCE: &str = "frames_per_s = 20.0\ntrouble_share = 0.0\nhold_s = 600.0";
/// Fields of a short protocol: no settling, and few frames are enough.
const SHORT: &str = "[exam]\nsettle_ms = 0\n[pool]\nmin_frames = 2\nmin_span_ms = 100\n";

struct Room {
    bench: Bench,
    service: Service,
    base: String,
}

/// The service with a page, on a port that was free a moment ago.
fn room(source: &str, page: &str) -> Room {
    room_of((640, 512), source, page)
}

fn room_of((width, height): (u32, u32), source: &str, page: &str) -> Room {
    let source =
        format!("kind = \"simulated\"\n[source.simulated]\nsize = {{ width = {width}, height = {height} }}\n{source}");
    let bench = Bench::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = bench.config_of(&source, &format!("{SHORT}[emit.page]\n{page}"));
    let text = std::fs::read_to_string(&config).unwrap().replace("127.0.0.1:0", &format!("127.0.0.1:{port}"));
    std::fs::write(&config, text).unwrap();
    let service = bench.serve(&config);
    Room { bench, service, base: format!("http://127.0.0.1:{port}/") }
}

/// `None` where there is no browser.
fn browser() -> Option<Browser> {
    if let Some(why) = browser::missing() {
        println!("{why}");
        return None;
    }
    Some(Browser::start(1440, 980))
}

/// The page, showing a live picture.
fn open(browser: &Browser, room: &Room) {
    browser.go(&room.base);
    browser.until("document.body.dataset.stage === 'idle'");
    browser.until("document.getElementById('stage').dataset.state === 'live'");
}

/// Sets an exam up and opens it, by keyboard alone.
fn set_up(browser: &Browser, subject: &str) {
    while browser.script("return document.activeElement.id", &[]) != "pseudonym" {
        browser.keys(&TAB.to_string());
    }
    browser.keys(subject);
    browser.keys(&format!("{TAB}Dr A{ENTER}"));
    browser.until("document.body.dataset.stage === 'open'");
}

fn field_is_recorded(browser: &Browser) {
    browser.until("/[1-9]/.test(document.getElementById('sub').textContent.split(',')[1] ?? '')");
}

/// Nothing went wrong unseen: no console error, no breach of the policy, no request to anywhere else.
#[track_caller]
fn all_is_well(browser: &Browser, room: &Room) {
    assert_eq!(browser.console(), Vec::<String>::new());
    assert!(browser.script("return document.documentElement.dataset.violations ?? null", &[]).is_null());
    let inside =
        [room.base.clone(), room.base.replacen("http", "ws", 1), format!("blob:{}", room.base), "data:".into()];
    let outside: Vec<String> =
        browser.asked().into_iter().filter(|url| !inside.iter().any(|known| url.starts_with(known.as_str()))).collect();
    assert_eq!(outside, Vec::<String>::new(), "the page asked elsewhere");
    accessible(browser);
}

/// axe-core finds nothing serious. It is not part of the project: HAIRPIN_AXE names its file, `scripts/browser` fetches it.
fn accessible(browser: &Browser) {
    let file =
        std::env::var_os("HAIRPIN_AXE").map_or_else(|| support::root().join("target/axe/axe.min.js"), PathBuf::from);
    let Ok(axe) = std::fs::read_to_string(&file) else {
        return println!("skipped: axe-core is not at {} (scripts/browser fetches it)", file.display());
    };
    browser.script(&axe, &[]);
    let found = browser.script_async(
        "const done = arguments[arguments.length - 1];
         axe.run(document, { preload: false, runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] })
           .then((r) => done(r.violations.map((v) => [v.id, v.impact, v.nodes.map((n) => n.target.join(' ')).slice(0, 5)])),
                 (e) => done([['axe', 'critical', String(e)]]));",
    );
    let serious: Vec<&Value> =
        found.as_array().unwrap().iter().filter(|v| v[1] == "serious" || v[1] == "critical").collect();
    assert!(serious.is_empty(), "{serious:#?}");
}

/// A picture of the state, where pictures are asked for (`make screenshots`).
fn shoot(browser: &Browser, name: &str) {
    if let Some(folder) = std::env::var_os("HAIRPIN_SCREENSHOTS") {
        std::fs::create_dir_all(&folder).unwrap();
        browser.screenshot(&Path::new(&folder).join(format!("{name}.png")));
    }
}

fn events(room: &Room, event: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(room.bench.exam().join("events.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).filter(|line: &Value| line["event"] == event).collect()
}

#[test]
fn an_exam_of_eight_fingers_by_keyboard_alone() {
    let Some(browser) = browser() else { return };
    let room = room(SOURCE, "");
    open(&browser, &room);
    shoot(&browser, "set-up");
    accessible(&browser);
    set_up(&browser, "P017");
    for (number, finger) in ["R2", "R3", "R4", "R5", "L2", "L3", "L4"].into_iter().enumerate() {
        browser.keys("n");
        browser
            .until(&format!("document.querySelector('.finger[data-finger={finger}]').dataset.state === 'recording'"));
        field_is_recorded(&browser);
        browser.keys(" ");
        browser.until("/^Field 2,/.test(document.getElementById('sub').textContent)");
        field_is_recorded(&browser);
        if number == 0 {
            // Nothing of the machine's call is seen before the reader's own.
            browser.until("document.querySelector('#reading .hidden-call')");
            browser.until("!document.querySelector('#reading .verdict, #reading .track')");
            shoot(&browser, "recording-own-call-first");
            accessible(&browser);
        }
        browser.keys(["1", "2", "0"][number % 3]);
        browser.until("document.getElementById('own-said').textContent.includes('Dr A')");
    }
    shoot(&browser, "recording");
    browser.keys("s");
    browser.until("document.getElementById('dialog').open");
    shoot(&browser, "skip");
    browser.keys(&format!("bandage{ENTER}"));
    browser.until("document.querySelector('.finger[data-finger=L5]').dataset.state === 'skipped'");
    browser.keys("c");
    browser.until("document.getElementById('dialog').open");
    browser.keys(&ENTER.to_string());
    browser.until("document.body.dataset.stage === 'closed'");
    shoot(&browser, "closed");
    all_is_well(&browser, &room);

    let own = events(&room, "own_call");
    assert_eq!(own.len(), 7);
    assert_eq!(
        (&own[1]["finger"], &own[1]["call"], &own[1]["blinded"]),
        (&"R3".into(), &"category_2".into(), &true.into())
    );
    assert!(own[0]["by"].as_str().unwrap().starts_with("Dr A, at the page"), "{}", own[0]);
    let commands = events(&room, "command");
    let given =
        |name: &str| commands.iter().filter(|line| line["command"] == name && line["refused"].is_null()).count();
    assert_eq!((given("open"), given("finger"), given("skip"), given("close")), (1, 7, 1, 1));
    let verified = room.bench.run(&["verify", room.bench.exam().to_str().unwrap(), "--json"]).ok().json();
    assert_eq!(verified["state"]["closed"], "closed");

    // And the exam is found again.
    browser.click("#tab-archive");
    browser.until("document.querySelectorAll('#exams .exam').length === 1");
    shoot(&browser, "earlier-exams");
    browser.click("#exams .exam");
    browser.until("[...document.querySelectorAll('.shots img')].some((i) => i.naturalWidth > 0)");
    shoot(&browser, "earlier-exam");
    // Its report is fetched as a file of its own; the machine's call and the reader's stand beside each other on it.
    browser.script(
        "window.saved = ''; const make = URL.createObjectURL; HTMLAnchorElement.prototype.click = () => {}; \
         URL.createObjectURL = (blob) => { \
           if (blob.type.startsWith('text/html')) blob.text().then((text) => { window.saved = text; }); \
           return make.call(URL, blob); };",
        &[],
    );
    browser.click("#report");
    browser.until("window.saved.startsWith('<!doctype html>')");
    browser.until("window.saved.includes('Dr A') && window.saved.includes('not validated on patients')");
    all_is_well(&browser, &room);
}

#[test]
fn an_exam_by_mouse_and_what_is_refused() {
    let Some(browser) = browser() else { return };
    let room = room(SOURCE, "");
    open(&browser, &room);
    browser.click("#pseudonym");
    for (name, why) in [("Jane Doe 1", "characters"), ("Smith", "digit"), ("x1961-04-12", "date")] {
        browser.script("document.getElementById('pseudonym').value = ''", &[]);
        browser.keys(&format!("{name}{ENTER}"));
        browser.until(&format!("/{why}|letters/.test(document.getElementById('subject-wrong').textContent)"));
    }
    shoot(&browser, "pseudonym-refused");
    assert!(!room.bench.path("exams").read_dir().unwrap().any(|entry| entry.unwrap().path().is_dir()));
    browser.script("document.getElementById('pseudonym').value = ''", &[]);
    browser.click("#blind");
    set_up(&browser, "P018");
    browser.click(".finger[data-finger=L4] .nail");
    browser.until("document.getElementById('big').textContent.includes('Left ring')");
    field_is_recorded(&browser);
    browser.until("document.querySelector('#reading .track')");
    shoot(&browser, "recording-open");
    browser.click("#do-finger");
    browser.until("document.querySelector('#reading-title') && document.getElementById('big').textContent.includes('Left little')");
    // One field is not enough for a call: the finger abstains, and says why.
    browser.until("document.querySelector('.finger[data-finger=L4] .mark').textContent === '?'");
    browser.click("#do-close");
    browser.click("dialog .primary");
    browser.until("document.body.dataset.stage === 'closed'");
    all_is_well(&browser, &room);
}

#[test]
fn a_picture_that_is_not_live_is_greyed_and_said() {
    let Some(browser) = browser() else { return };
    let room = room(SOURCE, "");
    open(&browser, &room);
    room.service.signal(Signal::STOP);
    browser.until("document.getElementById('stage').dataset.state === 'old'");
    browser.until("document.getElementById('veil').textContent.includes('Not live')");
    shoot(&browser, "not-live");
    room.service.signal(Signal::CONT);
    browser.until("document.getElementById('stage').dataset.state === 'live'");
    browser.until("document.getElementById('veil').textContent === ''");
    accessible(&browser);
}

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
    shoot(&browser, "wrong-token");
    browser.keys(&format!("{token}{ENTER}"));
    browser.until("document.getElementById('open') && !document.getElementById('open').disabled");
    assert!(!browser.script("return location.href", &[]).as_str().unwrap().contains("token"));
    set_up(&browser, "P019");

    let second = Browser::start(1440, 980);
    second.go(&format!("{}#token={token}", room.base));
    second.until("document.getElementById('holder').textContent.includes('Dr A')");
    second.click("#holder");
    second.until("document.getElementById('dialog').open");
    shoot(&second, "take-over");
    second.script("document.getElementById('operator-name').value = ''", &[]);
    second.keys(&format!("Dr B{ENTER}"));
    second.until("document.getElementById('holder').textContent.includes('In control: Dr B')");
    browser.until("document.getElementById('told').textContent.includes('Dr B took over')");
    shoot(&browser, "taken-over");
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

#[test]
fn every_language_and_both_themes_are_whole() {
    let Some(browser) = browser() else { return };
    let room = room(SOURCE, "");
    open(&browser, &room);
    browser.click("#theme");
    for language in ["fr", "zh", "en"] {
        browser.script("const l = document.getElementById('language'); l.value = arguments[0]; l.dispatchEvent(new Event('change'));", &[language.into()]);
        browser.until("document.getElementById('open')");
        shoot(&browser, &format!("language-{language}"));
        all_is_well(&browser, &room);
        browser.click("#theme");
    }
}

/// How long from the capture to the screen, and how many frames a second, beside the reading. A figure and no check: the machine
/// decides it. `cargo test --test web -- --ignored --nocapture capture_to_screen`
#[test]
#[ignore = "measures"]
fn capture_to_screen() {
    let Some(browser) = browser() else { return };
    let room = room_of((1280, 1024), "frames_per_s = 30.0\ntrouble_share = 0.0\nhold_s = 600.0", "");
    open(&browser, &room);
    browser.click("#pulse");
    browser.until("Number(document.getElementById('health').dataset.count) >= 600");
    let figures = browser
        .script("const d = document.getElementById('health').dataset; return [d.p50, d.p95, d.perS, d.count]", &[]);
    println!("capture to screen [p50 ms, p95 ms, frames/s, frames]: {figures}");
}
