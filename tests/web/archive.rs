//! Earlier exams: a finger across visits, the report on paper, a record that was changed.

use hairpin::export::{Lang, html::html, page};

use crate::browser::Browser;
use crate::{SOURCE, all_is_well, browser, events, open, record, room, sample, set_up, show, text};

pub fn close(browser: &Browser) {
    browser.click("#do-close");
    browser.until("document.getElementById('dialog').open");
    browser.click("dialog .primary");
    browser.until("document.body.dataset.stage === 'closed'");
}

pub fn opened(browser: &Browser, exams: usize) {
    browser.click("#tab-archive");
    browser.until(&format!("document.querySelectorAll('#exams .exam').length === {exams}"));
    browser.click("#exams .exam");
}

#[test]
fn the_same_finger_is_compared_across_visits() {
    let Some(browser) = browser() else { return };
    let room = room(SOURCE, "");
    open(&browser, &room);
    for (subject, finger, call) in [("P032", "R3", "2"), ("P033", "R3", "1"), ("P032", "R3", "0"), ("P032", "L4", "1")]
    {
        if browser.script("return document.body.dataset.stage", &[]) == "closed" {
            browser.click("#new-exam");
            browser.until("document.body.dataset.stage === 'idle'");
        }
        record(&browser, subject, finger);
        browser.keys(call);
        browser.until("document.getElementById('own-said').textContent.includes('Dr A')");
        close(&browser);
    }
    browser.click("#tab-archive");
    browser.until("document.querySelectorAll('#exams .exam').length === 4");
    browser.click("#search");
    browser.keys("P032");
    browser.until("document.querySelectorAll('#exams .exam').length === 3");
    browser.script("[...document.querySelectorAll('#exams .exam')].at(-1).click()", &[]);
    browser.until(
        "[...document.querySelectorAll('#archive section h2')].some((h) => h.textContent === 'Right middle finger')",
    );
    browser.script("[...document.querySelectorAll('#archive section button')].find((b) => b.textContent === 'Compare across visits').click()", &[]);
    browser.until("document.querySelectorAll('.compare section').length === 3");
    // Oldest first, each with the call of that visit; the visit of the other finger has none, and no other subject is there.
    let visits: Vec<String> = browser
        .script("return [...document.querySelectorAll('.compare section')].map((s) => s.textContent)", &[])
        .as_array()
        .unwrap()
        .iter()
        .map(|visit| visit.as_str().unwrap().to_owned())
        .collect();
    assert!(visits[0].contains("own call: Category 2"), "{visits:?}");
    assert!(visits[1].contains("own call: Not classifiable"), "{visits:?}");
    assert!(visits[2].contains("Not examined") && visits[2].contains("No reader's own call"), "{visits:?}");
    assert!(text(&browser, "archive").contains("Visits of P032"));
    browser.until("[...document.querySelectorAll('.compare img')].some((i) => i.naturalWidth > 0)");
    show(&browser, &room, "compare-visits");
    browser.script(
        "const p = document.getElementById('compare-finger'); p.value = 'L4'; p.dispatchEvent(new Event('change'));",
        &[],
    );
    browser.until("document.querySelectorAll('.compare section').length === 3 && document.querySelectorAll('.compare section')[2].textContent.includes('own call: Category 1')");
    all_is_well(&browser, &room);
}

#[test]
fn a_report_of_eight_fingers_with_four_fields_prints_on_two_pages() {
    let Some(browser) = browser() else { return };
    for fields in [1, 2, 4] {
        let eight = sample::EIGHT.to_vec();
        let exam = sample::Plan { fingers: eight.clone(), called: eight, fields, ..sample::Plan::default() }.closed();
        for lang in Lang::ALL {
            let file = exam.root.path().join(format!("{lang}.html"));
            std::fs::write(&file, html(&page(&exam.folder, lang, 1).unwrap())).unwrap();
            browser.go(&format!("file://{}", file.display()));
            let printed = browser.print();
            let pages = printed.windows(11).filter(|w| w == b"/Type /Page").count()
                - printed.windows(12).filter(|w| w == b"/Type /Pages").count();
            assert!((1..=2).contains(&pages), "{fields} fields in {lang} print on {pages} pages");
        }
    }
}

#[test]
fn a_record_that_does_not_hold_what_was_written_says_so_first() {
    let Some(browser) = browser() else { return };
    let room = room(SOURCE, "");
    open(&browser, &room);
    set_up(&browser, "P034");
    close(&browser);
    let record = room.bench.exam().join("events.jsonl");
    let changed = std::fs::read_to_string(&record).unwrap().replace("P034", "P035");
    std::fs::write(&record, changed).unwrap();
    opened(&browser, 1);
    browser.until(
        "document.querySelector('#archive [role=alert]')?.textContent.includes('does not hold what was written')",
    );
    browser.until("!document.getElementById('report')");
    show(&browser, &room, "damaged-record");
    assert_eq!(events(&room, "exam").len(), 2, "nothing is mended unasked");
}
