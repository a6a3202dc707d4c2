//! The page in a real browser against the real binary: whole exams, and everything that goes wrong. Needs Debian's
//! chromium and chromium-driver; says by name that it was skipped where they are not installed.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside test functions")]
#![allow(clippy::print_stdout, reason = "what was skipped, and what was measured, is said")]

#[path = "../support/browser.rs"]
mod browser;
#[allow(dead_code, reason = "a part of it is enough here")]
#[path = "../report/exam.rs"]
mod sample;
#[path = "../support/hairpin.rs"]
mod support;
#[path = "../support/tiny.rs"]
mod tiny;

mod access;
mod archive;
mod correct;
mod exam;
mod states;

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use browser::{Browser, ENTER, TAB};
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

fn room_of(size: (u32, u32), source: &str, page: &str) -> Room {
    room_with(size, source, page, |_, config| config)
}

/// The same with a configuration that was changed before the service read it.
fn room_with(
    (width, height): (u32, u32),
    source: &str,
    page: &str,
    change: impl FnOnce(&Bench, String) -> String,
) -> Room {
    let source =
        format!("kind = \"simulated\"\n[source.simulated]\nsize = {{ width = {width}, height = {height} }}\n{source}");
    let bench = Bench::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = bench.config_of(&source, &format!("{SHORT}[emit.page]\n{page}"));
    let text = std::fs::read_to_string(&config).unwrap().replace("127.0.0.1:0", &format!("127.0.0.1:{port}"));
    std::fs::write(&config, change(&bench, text)).unwrap();
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

/// A picture of the state in either theme, and nothing serious found in it.
fn show(browser: &Browser, room: &Room, name: &str) {
    for theme in ["dark", "light"] {
        // As many presses as it takes: which one it begins with is the browser's.
        browser.script(
            "if (document.documentElement.dataset.theme !== arguments[0]) document.getElementById('theme').click();",
            &[theme.into()],
        );
        shoot(browser, &format!("{name}-{theme}"));
        all_is_well(browser, room);
    }
}

/// Opens an exam, and records a field of a finger.
fn record(browser: &Browser, subject: &str, finger: &str) {
    set_up(browser, subject);
    browser.click(&format!(".finger[data-finger={finger}]"));
    browser.until(&format!("document.querySelector('.finger[data-finger={finger}]').dataset.state === 'recording'"));
    field_is_recorded(browser);
}

fn text(browser: &Browser, id: &str) -> String {
    let said = browser.script("return document.getElementById(arguments[0]).textContent", &[id.into()]);
    said.as_str().unwrap().to_owned()
}

/// The same, where the whole is looked at later.
fn look(browser: &Browser, name: &str) {
    shoot(browser, name);
    accessible(browser);
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

/// What the page holds while an exam is recorded, minute by minute. A figure and no check.
/// `HAIRPIN_MINUTES=60 cargo test --test web -- --ignored --nocapture memory_of_the_page`
#[test]
#[ignore = "measures"]
fn memory_of_the_page() {
    let Some(browser) = browser() else { return };
    let minutes: u32 = std::env::var("HAIRPIN_MINUTES").ok().and_then(|minutes| minutes.parse().ok()).unwrap_or(60);
    let room = room_of((1280, 1024), "frames_per_s = 30.0\nfields = 4\nhold_s = 20.0", "");
    open(&browser, &room);
    record(&browser, "P001", "R4");
    for minute in 0..=minutes {
        let (script_bytes, nodes) = browser.held();
        println!("minute {minute}: {:.2} MiB of script, {nodes} nodes", script_bytes / f64::from(1 << 20));
        browser.script_async("setTimeout(arguments[arguments.length - 1], 60000)");
    }
}
