//! Loops of an earlier exam, corrected by mouse, touch and keyboard, and who may not.

use hairpin::export::{Lang, html::html, page};
use serde_json::Value;

use crate::archive::{close, opened};
use crate::browser::Browser;
use crate::support::root;
use crate::{Room, SOURCE, all_is_well, browser, open, record, room_with, show};

const PAGE_DOWN: &str = "\u{e00f}";
const INSERT: &str = "\u{e016}";
const DELETE: &str = "\u{e017}";

/// A service that measures loops, on a finger that has a full row of them.
fn measuring(page: &str) -> Room {
    let source = format!("{SOURCE}\nseed = 3\nfingers = [\"R3\"]\ncohort = \"healthy\"");
    room_with((640, 512), &source, page, |_, config| {
        let locator = root().join("models/locator-synth-0.2.0");
        format!("{config}\n[measure]\nbundle = {locator:?}\nevery_ms = 100\n")
    })
}

/// An exam of one finger whose loops were measured, closed.
fn examined(browser: &Browser, room: &Room, subject: &str) {
    record(browser, subject, "R3");
    room.bench
        .reader()
        .until(|line| line["event"] == "measured" && line["finger"] == "R3" && line["density_per_mm"].is_object());
    close(browser);
}

/// The loops of the field as the service tells them.
fn told(browser: &Browser, room: &Room) -> Value {
    let exam = room.bench.exam();
    browser.script_async(&format!(
        "const done = arguments[arguments.length - 1];
         fetch('/exams/{}/loops/R3/1').then((answer) => answer.json()).then(done, (error) => done(String(error)));",
        exam.file_name().unwrap().to_str().unwrap()
    ))
}

/// Where a place of the frame is seen in the window.
fn seen_at(browser: &Browser, apex: &Value) -> (i64, i64) {
    let found = browser.script(
        "const c = document.getElementById('correct-picture'); c.scrollIntoView({ block: 'center' });
         const r = c.getBoundingClientRect();
         return [Math.round(r.left + arguments[0][0] * r.width / c.width), Math.round(r.top + arguments[0][1] * r.height / c.height)];",
        std::slice::from_ref(apex),
    );
    (found[0].as_i64().unwrap(), found[1].as_i64().unwrap())
}

fn counted(told: &Value) -> Vec<Value> {
    let loops = told["corrected"]["loops"].as_array().unwrap();
    loops.iter().filter(|one| one["counted"] == true).cloned().collect()
}

fn on_record(browser: &Browser) {
    browser.until("document.getElementById('correct-told').textContent.includes('On record')");
}

fn amendments(room: &Room) -> Vec<Value> {
    let text = std::fs::read_to_string(room.bench.exam().join("amendments.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn loops_are_corrected_by_keyboard_mouse_and_touch_and_all_that_follows_is_worked_out_anew() {
    let Some(browser) = browser() else { return };
    let room = measuring("");
    open(&browser, &room);
    examined(&browser, &room, "P030");
    opened(&browser, 1);
    browser.until("document.querySelector('.correct-open')");
    browser.click(".correct-open");
    browser.until("document.activeElement.id === 'correct-picture'");
    let before = told(&browser, &room);
    let loops = counted(&before).len();
    assert!(loops >= 5, "{loops} loops were found on a healthy finger");
    show(&browser, &room, "correct-loops");

    // Keyboard alone: to the next loop, away with it, and back again.
    browser.script("document.getElementById('correct-picture').focus()", &[]);
    browser.keys(PAGE_DOWN);
    browser.until("!document.getElementById('correct-at').textContent.includes('no counted loop')");
    browser.keys(DELETE);
    on_record(&browser);
    browser.until("document.getElementById('correct-at').textContent.includes('no counted loop')");
    assert_eq!(counted(&told(&browser, &room)).len(), loops - 1);
    let other: f64 = told(&browser, &room)["corrected"]["density_per_mm"]["value"].as_f64().unwrap();
    assert!(other < before["corrected"]["density_per_mm"]["value"].as_f64().unwrap());
    browser.keys(INSERT);
    browser.until("!document.getElementById('correct-at').textContent.includes('no counted loop')");
    assert_eq!(counted(&told(&browser, &room)).len(), loops);

    // By mouse: a loop is a giant.
    let first = counted(&told(&browser, &room))[0]["apex"].clone();
    let (x, y) = seen_at(&browser, &first);
    browser.point("mouse", x, y);
    browser.until("!document.getElementById('correct-change').disabled");
    browser.script(
        "document.getElementById('correct-class').value = 'giant'; document.getElementById('correct-width').value = '62';",
        &[],
    );
    browser.click("#correct-change");
    browser.until("/giant|Giant/.test(document.getElementById('correct-at').textContent)");
    browser.until("document.getElementById('correct-figures').textContent.includes('rule 2: a giant')");
    // By touch: what cannot be meant is refused, and nothing is written.
    let (x, y) = seen_at(&browser, &counted(&told(&browser, &room))[1]["apex"]);
    browser.point("touch", x, y);
    browser.script(
        "document.getElementById('correct-class').value = 'normal'; document.getElementById('correct-width').value = '90';",
        &[],
    );
    browser.click("#correct-change");
    browser.until("document.getElementById('correct-told').textContent.includes('none of a')");
    show(&browser, &room, "loops-corrected");
    browser.click("#correct-remove");
    on_record(&browser);

    let written = amendments(&room);
    let kinds: Vec<&str> = written.iter().map(|line| line["correction"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["removed", "added", "reclassified", "removed"]);
    assert!(written.iter().all(|line| line["by"] == "Dr A" && line["finger"] == "R3" && line["field"] == 1));
    let exam = room.bench.exam();
    let verified = room.bench.run(&["verify", exam.to_str().unwrap(), "--json"]).ok().json();
    assert_eq!(verified["amendments"], 4);
    // What was measured stands beside it, on the page and on the report.
    browser.click("#archive button");
    browser.until("document.querySelector('.corrected')?.textContent.includes('as corrected by Dr A')");
    show(&browser, &room, "earlier-exam-corrected");
    let report = html(&page(&exam, Lang::En, 1).unwrap());
    assert!(report.contains("field 1 as corrected by Dr A (4 loops)"), "the report has no word of it");
    all_is_well(&browser, &room);
}

#[test]
fn who_may_not_command_corrects_nothing() {
    let Some(browser) = browser() else { return };
    let room = measuring("operators = \"token\"\ntoken = \"token\"\n");
    let shown = room.bench.run(&["token", "--config", room.bench.path("hairpin.toml").to_str().unwrap()]).ok().out;
    let token = shown.split("to command:").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    browser.go(&format!("{}#token={token}", room.base));
    browser.until("document.body.dataset.stage === 'idle'");
    examined(&browser, &room, "P031");
    drop(browser);
    let onlooker = Browser::start(1440, 980);
    onlooker.go(&room.base);
    onlooker.until("document.body.dataset.stage === 'closed'");
    opened(&onlooker, 1);
    onlooker.until("document.querySelector('.correct-open')");
    onlooker.click(".correct-open");
    onlooker.until("document.activeElement.id === 'correct-picture'");
    onlooker.keys(&format!("{PAGE_DOWN}{DELETE}"));
    onlooker.until("document.getElementById('correct-told').textContent.includes('may look on, not command')");
    assert_eq!(amendments(&room), Vec::<Value>::new());
    all_is_well(&onlooker, &room);
}
