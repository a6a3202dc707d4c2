//! From the microscope to the page: an exam of the real service, whose loops were measured on the frames that are shown.

use std::collections::BTreeMap;

use hairpin::report::{Event, Line};

use crate::exam::contents;
use crate::support::{Bench, root};

#[test]
fn an_exam_of_the_service_is_shown_with_its_loops() {
    let bench = Bench::new();
    let bundle = root().join("models/locator-synth-0.2.0");
    let source = "paced = false\nscripted = true\nfingers = [\"R4\"]\nfields = 2\nhold_s = 2.0\ntrouble_share = 0.0";
    let config = bench.config(source, &format!("[measure]\nbundle = {bundle:?}"));
    bench.run(&["run", "--config", config.to_str().unwrap()]).ok();
    let exam = bench.exam();
    let before = contents(&exam);

    // In each field one of the kept frames was measured.
    let text = std::fs::read_to_string(exam.join("events.jsonl")).unwrap();
    let (mut measured, mut fields) = (BTreeMap::new(), 0);
    for line in text.lines().map(|line| serde_json::from_str::<Line>(line).unwrap()) {
        match line.event {
            Event::Measured(found) => {
                measured.insert(found.frame, found.measured.row_mm.is_some());
            }
            Event::Field(field) if field.measured.as_ref().is_some_and(|m| m.frames > 0) => {
                fields += 1;
                let shown = field.evidence.iter().any(|kept| measured.get(&kept.frame) == Some(&true));
                assert!(shown, "field {} keeps no measured frame", field.number);
            }
            _ => {}
        }
    }
    assert!(fields > 0, "no field was measured");

    bench.run(&["report", exam.to_str().unwrap(), "--out", "exam.html", "--frames", "2"]).ok();
    let html = std::fs::read_to_string(bench.path("exam.html")).unwrap();
    assert_eq!(html.matches("<figure>").count(), 2);
    assert!(html.matches("<polygon").count() > 20, "no loops are drawn");
    assert!(html.contains("0.5 mm</text>"), "no scale bar");
    assert_eq!(contents(&exam), before, "the record was touched");
}
