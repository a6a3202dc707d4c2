//! Whole exams, and what they look like in every language.

use serde_json::Value;

use crate::browser::ENTER;
use crate::{SOURCE, all_is_well, browser, events, field_is_recorded, look, open, room, set_up};

#[test]
fn an_exam_of_eight_fingers_by_keyboard_alone() {
    let Some(browser) = browser() else { return };
    let room = room(SOURCE, "");
    open(&browser, &room);
    look(&browser, "set-up");
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
            look(&browser, "recording-own-call-first");
        }
        browser.keys(["1", "2", "0"][number % 3]);
        browser.until("document.getElementById('own-said').textContent.includes('Dr A')");
    }
    look(&browser, "recording");
    browser.click("#help-open");
    browser.until("document.getElementById('dialog').open");
    look(&browser, "keys");
    browser.keys(&ENTER.to_string());
    browser.until("!document.getElementById('dialog').open");
    browser.keys("h");
    browser.until("!document.getElementById('health').hidden");
    look(&browser, "health");
    browser.keys("h");
    browser.keys("s");
    browser.until("document.getElementById('dialog').open");
    look(&browser, "skip");
    browser.keys(&format!("bandage{ENTER}"));
    browser.until("document.querySelector('.finger[data-finger=L5]').dataset.state === 'skipped'");
    browser.keys("c");
    browser.until("document.getElementById('dialog').open");
    browser.keys(&ENTER.to_string());
    browser.until("document.body.dataset.stage === 'closed'");
    look(&browser, "closed");
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
    look(&browser, "earlier-exams");
    browser.click("#exams .exam");
    browser.until("[...document.querySelectorAll('.shots img')].some((i) => i.naturalWidth > 0)");
    look(&browser, "earlier-exam");
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
    look(&browser, "pseudonym-refused");
    assert!(!room.bench.path("exams").read_dir().unwrap().any(|entry| entry.unwrap().path().is_dir()));
    browser.script("document.getElementById('pseudonym').value = ''", &[]);
    browser.click("#blind");
    set_up(&browser, "P018");
    browser.click(".finger[data-finger=L4]");
    browser.until("document.getElementById('big').textContent.includes('Left ring')");
    field_is_recorded(&browser);
    browser.until("document.querySelector('#reading .track')");
    look(&browser, "recording-open");
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
fn an_exam_by_touch() {
    let Some(browser) = browser() else { return };
    let room = room(SOURCE, "");
    open(&browser, &room);
    // What is typed comes from a keyboard on the glass or a scanner; all else is a finger's.
    browser.tap("#pseudonym");
    browser.keys("P019");
    browser.tap("#operator");
    browser.keys("Dr A");
    browser.tap("#open");
    browser.until("document.body.dataset.stage === 'open'");
    browser.tap(".finger[data-finger=R4]");
    browser.until("document.querySelector('.finger[data-finger=R4]').dataset.state === 'recording'");
    field_is_recorded(&browser);
    browser.tap("#do-field");
    browser.until("/^Field 2,/.test(document.getElementById('sub').textContent)");
    field_is_recorded(&browser);
    browser.tap("#calls button:nth-child(2)");
    browser.until("document.getElementById('own-said').textContent.includes('Dr A')");
    browser.tap("#do-finger");
    browser.until("document.querySelector('.finger[data-finger=R5]').dataset.state === 'recording'");
    // Until a field of it is recorded it is this finger that would be skipped; from then on it is the next.
    field_is_recorded(&browser);
    browser.tap("#do-skip");
    browser.until("document.getElementById('dialog').open");
    browser.tap("dialog .inline button:nth-child(2)");
    browser.tap("dialog .primary");
    browser.until("document.querySelector('.finger[data-finger=L2]').dataset.state === 'skipped'");
    browser.tap("#do-close");
    browser.until("document.getElementById('dialog').open");
    browser.tap("dialog .primary");
    browser.until("document.body.dataset.stage === 'closed'");
    all_is_well(&browser, &room);
    let own = events(&room, "own_call");
    assert_eq!((&own[0]["finger"], &own[0]["call"]), (&"R4".into(), &"category_2".into()));
    let skipped = events(&room, "command").into_iter().find(|line| line["command"] == "skip").unwrap();
    assert_eq!((&skipped["finger"], &skipped["refused"]), (&"L2".into(), &Value::Null), "{skipped}");
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
        look(&browser, &format!("language-{language}"));
        all_is_well(&browser, &room);
        browser.click("#theme");
    }
}
