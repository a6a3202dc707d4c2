//! What the page says when something is not as it should be: one state a test, each provoked where it arises.

use rustix::process::Signal;

use crate::browser::Browser;
use crate::support::root;
use crate::{
    Room, SOURCE, all_is_well, browser, events, field_is_recorded, look, open, record, room, room_with, set_up, show,
    text, tiny,
};

const SIZE: (u32, u32) = (640, 512);
/// Colours that any picture has.
const ANY: &str = "[[-9.0, 9.0], [-9.0, 9.0], [-9.0, 9.0]]";

/// Loops are measured, as often as the machine can.
fn with_loops(config: &str) -> String {
    let locator = root().join("models/locator-synth-0.2.0");
    format!("{config}\n[measure]\nbundle = {locator:?}\nevery_ms = 100\n")
}

/// Another classifier in place of the tiny one.
fn with_model(config: &str, bundle: &std::path::Path) -> String {
    config.replace(&format!("{:?}", crate::support::tiny()), &format!("{bundle:?}"))
}

fn fault(browser: &Browser, words: &str) {
    browser.until(&format!("document.getElementById('faults').textContent.includes({words:?})"));
}

fn no_fault(browser: &Browser, words: &str) {
    browser.until(&format!("!document.getElementById('faults').textContent.includes({words:?})"));
}

fn advice(browser: &Browser, state: &str, words: &str) {
    browser.until(&format!("document.getElementById('advice').dataset.state === {state:?}"));
    browser.until(&format!("document.getElementById('advice-text').textContent.includes({words:?})"));
}

/// Frames of the field that is being recorded.
fn pooled(browser: &Browser) -> u64 {
    let said = text(browser, "sub");
    let frames = said.split(',').nth(1).unwrap_or_default();
    frames.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0)
}

fn more_is_pooled(browser: &Browser, than: u64) {
    browser.until(&format!(
        "Number((document.getElementById('sub').textContent.split(',')[1] ?? '').replace(/\\D/g, '')) > {than}"
    ));
}

/// A microscope with which something goes wrong when the file says so.
fn with_mishaps() -> (Room, std::path::PathBuf) {
    let room = room(&format!("{SOURCE}\nmishap = \"mishap\""), "");
    let path = room.bench.path("mishap");
    (room, path)
}

#[test]
fn a_picture_that_is_not_live_is_greyed_and_said() {
    let Some(browser) = browser() else { return };
    let room = room(SOURCE, "");
    open(&browser, &room);
    room.service.signal(Signal::STOP);
    browser.until("document.getElementById('stage').dataset.state === 'old'");
    browser.until("document.getElementById('veil').textContent.includes('Not live')");
    look(&browser, "not-live");
    room.service.signal(Signal::CONT);
    browser.until("document.getElementById('stage').dataset.state === 'live'");
    browser.until("document.getElementById('veil').textContent === ''");
    all_is_well(&browser, &room);
}

#[test]
fn a_camera_that_is_lost_in_an_exam_is_told_and_the_field_goes_on_when_it_is_back() {
    let Some(browser) = browser() else { return };
    let (room, mishap) = with_mishaps();
    open(&browser, &room);
    record(&browser, "P020", "R2");
    std::fs::write(&mishap, "unplugged").unwrap();
    browser.until("document.getElementById('stage').dataset.state === 'old'");
    fault(&browser, "the simulated microscope is unplugged");
    fault(&browser, "check the cable");
    advice(&browser, "bad", "No new picture: check the cable");
    browser.until("document.getElementById('pulse').dataset.state === 'warn'");
    let before = pooled(&browser);
    show(&browser, &room, "camera-lost");
    std::fs::remove_file(&mishap).unwrap();
    browser.until("document.getElementById('stage').dataset.state === 'live'");
    no_fault(&browser, "unplugged");
    more_is_pooled(&browser, before);
    assert!(text(&browser, "big").contains("Right index finger"));
    show(&browser, &room, "camera-back");
    let changes: Vec<String> =
        events(&room, "source").iter().map(|line| line["change"].as_str().unwrap().to_owned()).collect();
    let at = |change: &str| changes.iter().position(|told| told == change).unwrap();
    assert!(at("lost") < at("recovering") && at("recovering") < at("opened"), "{changes:?}");
}

#[test]
fn a_frozen_camera_is_told_and_nothing_of_its_one_frame_is_pooled() {
    let Some(browser) = browser() else { return };
    let (room, mishap) = with_mishaps();
    open(&browser, &room);
    record(&browser, "P021", "L3");
    std::fs::write(&mishap, "frozen").unwrap();
    fault(&browser, "the picture is frozen");
    browser.until("document.getElementById('stage').dataset.state === 'old'");
    browser.until("document.getElementById('veil').textContent.includes('Not live')");
    advice(&browser, "bad", "Picture frozen");
    let before = pooled(&browser);
    show(&browser, &room, "camera-frozen");
    assert_eq!(pooled(&browser), before, "a frame was pooled that came again");
    std::fs::write(&mishap, "").unwrap();
    browser.until("document.getElementById('stage').dataset.state === 'live'");
    no_fault(&browser, "frozen");
    more_is_pooled(&browser, before);
    all_is_well(&browser, &room);
}

#[test]
fn a_classifier_and_a_rule_that_contradict_each_other_are_told_and_give_no_category() {
    let Some(browser) = browser() else { return };
    // It calls whatever it sees category 1; the drawn fingers have giants.
    let model = tiny::with("tiny-resize", "lower = 0.3\nupper = 0.7", "lower = 0.9998\nupper = 0.9999");
    let manifest = model.path().join("manifest.toml");
    let seen = std::fs::read_to_string(&manifest)
        .unwrap()
        .replace("[[-0.3652, 0.2348], [-0.2277, 0.3723], [-0.0139, 0.5861]]", ANY)
        .replace("[[0.5268, 1.5805], [0.5265, 1.5795], [0.525, 1.5751]]", "[[0.0, 9.0], [0.0, 9.0], [0.0, 9.0]]");
    std::fs::write(&manifest, seen).unwrap();
    let source = format!("{SOURCE}\nseed = 7\nfingers = [\"R3\"]\ncohort = \"scleroderma\"");
    let room = room_with(SIZE, &source, "", |_, config| {
        with_loops(&with_model(&config, model.path()))
            .replace("min_span_ms = 100", "min_span_ms = 100\nmax_out_of_cohort = 0.5\nmax_spread = 5.0")
    });
    open(&browser, &room);
    browser.click("#blind");
    record(&browser, "P022", "R3");
    let sure = |line: &serde_json::Value| line["fast_track"]["category"] == "two" && line["borderline"] == false;
    let mut reader = room.bench.reader();
    for _ in 0..3 {
        reader.until(|line| line["event"] == "measured" && line["finger"] == "R3" && sure(line));
    }
    more_is_pooled(&browser, 5);
    browser.keys(" ");
    browser.until("document.querySelector('#reading .contradiction')");
    assert!(text(&browser, "reading").contains("classifier and rule contradict each other"));
    browser.click("#do-finger");
    browser.until("document.querySelector('.finger[data-finger=R3] .mark').textContent === '?'");
    browser.click(".finger[data-finger=R3]");
    browser.until("document.getElementById('dialog').open");
    browser.click("dialog button[type=button]");
    browser.until("document.querySelector('#reading .verdict')?.textContent.includes('contradict')");
    show(&browser, &room, "contradiction");
    browser.keys("o");
    browser.until("document.getElementById('held-card').classList.contains('large')");
    show(&browser, &room, "measured-frame-enlarged");
    let field = &events(&room, "field")[0];
    assert_eq!(
        (&field["verdict"]["is"], &field["verdict"]["why"]),
        (&"not_classifiable".into(), &"contradiction".into())
    );
}

#[test]
fn a_finger_that_the_machine_does_not_call_says_why() {
    let Some(browser) = browser() else { return };
    let room = room(SOURCE, "");
    open(&browser, &room);
    browser.click("#blind");
    record(&browser, "P023", "R4");
    browser.click("#do-finger");
    browser.until("document.querySelector('.finger[data-finger=R4] .mark').textContent === '?'");
    browser.click(".finger[data-finger=R4]");
    browser.until("document.getElementById('dialog').open");
    browser.click("dialog button[type=button]");
    browser.until("document.querySelector('#reading .verdict')?.textContent.startsWith('Not classifiable: ')");
    let decided = &events(&room, "finger")[0]["decision"];
    let why = match decided["why"].as_str().unwrap() {
        "out_of_cohort" => "unlike what the model was trained on",
        "too_few_fields" => "too few readable fields",
        "between_thresholds" => "between the thresholds",
        "unstable" => "unstable from frame to frame",
        other => panic!("one field of two frames gave {other}"),
    };
    assert!(text(&browser, "reading-body").contains(why), "{}", text(&browser, "reading-body"));
    show(&browser, &room, "abstention");
    browser.click("#do-close");
    browser.click("dialog .primary");
    browser.until("document.body.dataset.stage === 'closed'");
    browser.until("document.getElementById('reading-body').textContent.includes('not classifiable')");
    all_is_well(&browser, &room);
}

#[test]
fn a_slow_viewer_skips_frames_and_takes_none_from_a_quick_one() {
    let Some(quick) = browser() else { return };
    let room = room(SOURCE, "");
    let slow = Browser::start(1440, 980);
    // As on a machine that takes a second to decode a frame.
    slow.before_each_page(
        "const decode = window.createImageBitmap.bind(window);
         window.createImageBitmap = (...given) => new Promise((done) => setTimeout(done, 1000)).then(() => decode(...given));",
    );
    for viewer in [&quick, &slow] {
        viewer.go(&room.base);
        viewer.until("document.body.dataset.stage === 'idle'");
        viewer.click("#pulse");
    }
    let drawn = |viewer: &Browser| {
        let count = viewer.script("return Number(document.getElementById('health').dataset.count)", &[]);
        count.as_f64().unwrap()
    };
    slow.until("Number(document.getElementById('health').dataset.count) >= 5");
    let (before, began) = (drawn(&quick), drawn(&slow));
    slow.until(&format!("Number(document.getElementById('health').dataset.count) >= {}", began + 5.0));
    // At most two frames are under way to it, a second each; the quick one has drawn what came.
    assert!(drawn(&quick) - before > 2.0 * 5.0, "{} frames beside 5 of the slow viewer", drawn(&quick) - before);
    slow.until("document.getElementById('stage').dataset.state === 'old'");
    assert!(text(&slow, "veil").contains("Not live"));
    quick.until("document.getElementById('stage').dataset.state === 'live'");
    show(&slow, &room, "slow-viewer");
    all_is_well(&quick, &room);
}

#[test]
fn a_disk_with_little_room_is_told_before_writing_fails() {
    let Some(browser) = browser() else { return };
    let room = room_with(SIZE, SOURCE, "", |_, config| {
        config.replace("folder = \"exams\"", "folder = \"exams\"\nleast_free_mb = 100000000")
    });
    open(&browser, &room);
    fault(&browser, "Disk nearly full");
    fault(&browser, "move closed exams to another disk");
    fault(&browser, "MB are free on the disk of");
    show(&browser, &room, "disk-nearly-full");
    record(&browser, "P024", "R2");
    // It is no more than a warning: what is written is written.
    assert_eq!(events(&room, "exam")[0]["step"], "opened");
    for (language, words) in [("fr", "Disque presque plein"), ("zh", "磁盘将满")] {
        browser.script("const l = document.getElementById('language'); l.value = arguments[0]; l.dispatchEvent(new Event('change'));", &[language.into()]);
        fault(&browser, words);
    }
}

#[test]
fn a_model_on_the_processor_in_place_of_a_graphics_card_is_told() {
    let Some(browser) = browser() else { return };
    let room = room_with(SIZE, SOURCE, "", |_, config| {
        config.replace("[runtime]\n", "[runtime]\nproviders = [\"cuda\", \"cpu\"]\non_missing = \"next\"\n")
    });
    open(&browser, &room);
    fault(&browser, "Model on the processor");
    fault(&browser, "cuda was asked for first");
    show(&browser, &room, "model-on-processor");
}

#[test]
fn a_scale_is_valid_until_it_expires_and_then_nothing_is_in_micrometres() {
    let Some(browser) = browser() else { return };
    let until = |seconds| (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds)).to_string();
    let with = |until: &str| room(&format!("{SOURCE}\nscale = {{ until = \"{until}\" }}"), "");
    let valid = with(&until(30 * 24 * 3600));
    open(&browser, &valid);
    browser.until("document.getElementById('setup').textContent.includes('valid until')");
    record(&browser, "P025", "R2");
    assert!(text(&browser, "notice").contains("valid until") && !text(&browser, "faults").contains("Scale"));
    show(&browser, &valid, "scale-valid");
    browser.go("about:blank");
    drop(valid);

    let expiring = with(&until(5));
    browser.go(&expiring.base);
    fault(&browser, "Scale expired");
    browser.until("document.getElementById('setup').textContent.includes('expired on')");
    browser.until("document.getElementById('scale').hidden");
    set_up(&browser, "P026");
    browser.click(".finger[data-finger=R2]");
    // The tiny model reads nothing whose magnification is not known.
    advice(&browser, "act", "No scale: calibrate first");
    assert!(!text(&browser, "notice").contains("µm"));
    show(&browser, &expiring, "scale-expired");
    let changed = events(&expiring, "exam");
    assert!(changed[0]["provenance"]["source"]["scale"].is_null(), "{}", changed[0]);
    assert!(changed[0]["provenance"]["source"]["scale_expired"].is_string(), "{}", changed[0]);
}

#[test]
fn without_a_scale_loops_are_counted_and_the_page_says_why_it_is_no_more() {
    let Some(browser) = browser() else { return };
    let model = tiny::with("tiny-resize", "max_um_per_px = 5.0\n", "");
    let source = format!("{SOURCE}\nseed = 3\nfingers = [\"R3\"]\ncohort = \"healthy\"\nscale = \"nothing\"");
    let room = room_with(SIZE, &source, "", |_, config| with_loops(&with_model(&config, model.path())));
    open(&browser, &room);
    fault(&browser, "No scale");
    assert!(text(&browser, "setup").contains("nothing is measured"));
    browser.click("#blind");
    record(&browser, "P027", "R3");
    browser.until(
        "/loops in view; not measured: the scale is not known/.test(document.getElementById('held-said').textContent)",
    );
    browser.keys(" ");
    browser.until("/Loops in view *[1-9]/.test(document.getElementById('reading-body').textContent)");
    let said = text(&browser, "reading-body");
    assert!(said.contains("not measured: the scale is not known") && !said.contains("µm"), "{said}");
    field_is_recorded(&browser);
    show(&browser, &room, "no-scale");
}
