//! The evaluation as one page that stands alone: no script, no font, no picture from elsewhere.

use std::fmt::Write as _;

use super::agreement::Pair;
use super::figures::{Figure, Group};
use super::frame::{Frame, Outcome};
use super::plot::{self, Dot, escape};
use super::report::{Labels, Report};
use crate::fast_track::{Category, Verdict};

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}\
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.2rem}table{border-collapse:collapse;margin:.6rem 0}\
th,td{padding:.2rem .7rem;border-bottom:1px solid #ddd;text-align:right;font-variant-numeric:tabular-nums}\
th:first-child,td:first-child{text-align:left}.notice{border:2px solid #b45309;padding:.5rem .8rem}\
.plots{display:flex;flex-wrap:wrap;gap:1rem}svg{width:26rem;max-width:100%;height:auto}text{font-size:11px;fill:#333}\
.mid{text-anchor:middle}.end{text-anchor:end}.axis{fill:none;stroke:#333}.same{stroke:#777;stroke-dasharray:4 4}\
.limit{stroke:#b45309;stroke-width:1.2}.dot{fill:#0072b2;fill-opacity:.65}.other{fill:#d55e00;fill-opacity:.75}small,.quiet{color:#555}";

/// `overlay` gives the place of a frame's overlay as the page should link to it.
pub fn html(report: &Report, overlay: Option<&dyn Fn(&str) -> String>) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\"><title>How well loops are found and counted</title>\n\
         <style>{STYLE}</style></head><body>\n<h1>How well loops are found and counted</h1>\n\
         <p class=\"notice\">{}</p>\n<p>{} frames, labelled by {}; measured by {} with {} {} ({}).</p>\n",
        escape(report.notice),
        report.frames.len(),
        if report.labels == Labels::Readers { "readers" } else { "the drawing they were made from" },
        report.software,
        escape(&report.locator.name),
        escape(&report.locator.version),
        escape(&report.locator.cohort),
    );
    for group in &report.groups {
        figures(&mut page, group);
    }
    plots(&mut page, report);
    subjects(&mut page, report);
    categories(&mut page, report);
    outcomes(&mut page, report);
    frames(&mut page, report, overlay);
    page.push_str(&explained(report));
    page + "</body></html>\n"
}

fn put(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _infallible = page.write_fmt(text);
}

fn number(figure: &Figure) -> String {
    let digits = if figure.unit == "um" { 1 } else { 2 };
    let unit = if figure.unit.is_empty() { String::new() } else { format!(" {}", figure.unit) };
    format!("{:.digits$}{unit}", figure.value)
}

/// As on the page and in the terminal: words, value, interval, count.
pub fn cells(figure: &Figure) -> [String; 4] {
    let digits = if figure.unit == "um" { 1 } else { 2 };
    let interval = figure.interval.map_or_else(String::new, |[low, high]| format!("{low:.digits$} to {high:.digits$}"));
    [figure.words.to_owned(), number(figure), interval, figure.n.to_string()]
}

fn figures(page: &mut String, group: &Group) {
    put(page, format_args!("<h2>Figures, {} ({})</h2>\n", escape(&group.name), group.frames));
    page.push_str("<table><tr><th>figure</th><th>value</th><th>95 % interval</th><th>of</th></tr>\n");
    for figure in &group.figures {
        let [words, value, interval, n] = cells(figure);
        put(page, format_args!("<tr><td>{words}</td><td>{value}</td><td>{interval}</td><td>{n}</td></tr>\n"));
    }
    page.push_str("</table>\n");
}

fn plots(page: &mut String, report: &Report) {
    type Kind = (&'static str, &'static str, fn(&Frame) -> Option<Pair>);
    let kinds: [Kind; 4] = [
        ("Density of the traced row", "traced loops a mm", |f| f.span),
        ("Density along the marked line", "loops a mm counted by the reader", |f| f.line),
        ("Density of the row across the marked line", "loops a mm counted by the reader", |f| f.across),
        ("Density of the drawn row", "drawn loops a mm", |f| f.row),
    ];
    for (title, label, pick) in kinds {
        let dots: Vec<Dot> = report.frames.iter().filter_map(|f| dot(f, pick(f)?)).collect();
        if !dots.is_empty() {
            section(
                page,
                title,
                &plot::scatter(&dots, label, "found loops a mm"),
                &plot::bland_altman(&dots, "loops a mm"),
            );
        }
    }
    let widths: Vec<Dot> = report
        .frames
        .iter()
        .flat_map(|f| f.widths.iter().filter_map(|w| dot(f, Pair { label: w.true_um, found: w.found_um })))
        .collect();
    if !widths.is_empty() {
        let scatter = plot::scatter(&widths, "drawn apical width, um", "found apical width, um");
        section(page, "Apical width of matched loops", &scatter, &plot::bland_altman(&widths, "um"));
    }
}

fn dot(frame: &Frame, pair: Pair) -> Option<Dot> {
    let other = frame.disease == Some(true) || frame.in_focus == Some(false);
    Some(Dot { name: frame.frame.clone(), other, pair })
}

fn section(page: &mut String, title: &str, one: &str, two: &str) {
    put(page, format_args!("<h2>{title}</h2>\n<div class=\"plots\">\n{one}{two}</div>\n"));
    page.push_str("<p class=\"quiet\">Squares: subjects with disease, or drawn frames out of focus.</p>\n");
}

/// What stands beside each subject's name.
const BY_SUBJECT: [(&str, &str); 9] = [
    ("apex_f1", "tips: F1"),
    ("apex_precision", "precision"),
    ("apex_recall", "recall"),
    ("span_mae", "traced density: error"),
    ("line_mae", "line density: error"),
    ("across_mae", "row across the line: error"),
    ("row_mae", "drawn density: error"),
    ("width_median_um", "median width"),
    ("not_measured", "not measured"),
];

fn subjects(page: &mut String, report: &Report) {
    if report.subjects.is_empty() {
        return;
    }
    let told = |key: &str| report.subjects.iter().any(|group| group.figure(key).is_some());
    let columns: Vec<(&str, &str)> = BY_SUBJECT.into_iter().filter(|(key, _)| told(key)).collect();
    page.push_str("<h2>By subject</h2>\n<table><tr><th>subject</th><th>frames</th>");
    columns.iter().for_each(|(_, words)| put(page, format_args!("<th>{words}</th>")));
    page.push_str("</tr>\n");
    for group in &report.subjects {
        let mark = if report.worst_subject.as_ref() == Some(&group.name) { " (least F1)" } else { "" };
        put(page, format_args!("<tr><td>{}{mark}</td><td>{}</td>", escape(&group.name), group.frames));
        for (key, _) in &columns {
            put(page, format_args!("<td>{}</td>", group.figure(key).map(number).unwrap_or_default()));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table>\n");
}

fn categories(page: &mut String, report: &Report) {
    page.push_str(
        "<h2>Fast Track categories by frame</h2>\n<table><tr><th>frames</th><th>category 1</th><th>category 2</th>\
         <th>of these borderline</th><th>undetermined</th><th>not read</th></tr>\n",
    );
    for (kind, c) in &report.categories {
        put(
            page,
            format_args!(
                "<tr><td>{kind}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                c.one, c.two, c.borderline, c.undetermined, c.not_read
            ),
        );
    }
    let against: Vec<String> = report.against.iter().map(|frame| escape(frame)).collect();
    put(
        page,
        format_args!(
            "</table>\n<p>Without a borderline mark, against what is said of the frame: {} {}</p>\n\
             <p class=\"quiet\">Disease is said of a subject, and a subject with disease has frames of category 1, too. So a frame \
             stands against it where category 2 is found on a subject without disease, or category 1 where a reader counted at \
             most 3 loops a mm on one with it. A drawn frame has its own category.</p>\n",
            report.against.len(),
            if against.is_empty() { String::new() } else { format!("({})", against.join(", ")) }
        ),
    );
}

fn outcomes(page: &mut String, report: &Report) {
    page.push_str("<h2>Frames without a measure</h2>\n");
    if report.reasons.is_empty() {
        page.push_str("<p>None: every frame passed the gate and was measured.</p>\n");
        return;
    }
    page.push_str("<table><tr><th>why</th><th>frames</th></tr>\n");
    for (why, count) in &report.reasons {
        put(page, format_args!("<tr><td>{}</td><td>{count}</td></tr>\n", escape(why)));
    }
    page.push_str("</table>\n");
}

fn frames(page: &mut String, report: &Report, overlay: Option<&dyn Fn(&str) -> String>) {
    let head = "<table><tr><th>frame</th><th>subject</th><th>tips right / extra / missed</th><th>labelled a mm</th>\
                <th>found a mm</th><th>category</th><th>median width, um</th></tr>\n";
    put(page, format_args!("<h2>The {} worst frames</h2>\n{head}", report.worst.len()));
    for name in &report.worst {
        report.frames.iter().filter(|f| f.frame == *name).for_each(|f| row(page, f, overlay));
    }
    put(page, format_args!("</table>\n<details><summary>All {} frames</summary>\n{head}", report.frames.len()));
    report.frames.iter().for_each(|f| row(page, f, overlay));
    page.push_str("</table></details>\n");
}

fn row(page: &mut String, frame: &Frame, overlay: Option<&dyn Fn(&str) -> String>) {
    let name = escape(&frame.frame);
    let name = overlay.map_or(name.clone(), |place| format!("<a href=\"{}\">{name}</a>", escape(&place(&frame.frame))));
    let tips = frame.tips.as_ref();
    let tips = tips.map(|t| format!("{} / {} / {}", t.matched, t.extra, t.missed)).unwrap_or_default();
    let (label, found) = frame
        .span
        .or(frame.line)
        .or(frame.row)
        .map(|p| (format!("{:.1}", p.label), format!("{:.1}", p.found)))
        .unwrap_or_default();
    let category = match (frame.outcome, frame.fast_track) {
        (Outcome::Refused(_), _) => "refused by the gate".to_owned(),
        (Outcome::Damaged(_), _) => "damaged".to_owned(),
        (Outcome::NotMeasured(why), _) => why.words().to_owned(),
        (_, Some(Verdict::Decided { category, .. })) => {
            let which = if category == Category::One { 1 } else { 2 };
            format!("{which}{}", if frame.borderline { ", borderline" } else { "" })
        }
        (_, Some(Verdict::Undetermined) | None) => "undetermined".to_owned(),
    };
    let width = frame.median_width_um.map(|um| format!("{um:.1}")).unwrap_or_default();
    put(
        page,
        format_args!(
            "<tr><td>{name}</td><td>{}</td><td>{tips}</td><td>{label}</td><td>{found}</td><td>{category}</td><td>{width}</td></tr>\n",
            escape(&frame.subject)
        ),
    );
}

fn explained(report: &Report) -> String {
    format!(
        "<h2>What the figures are</h2>\n<p>A found tip within {} um of a labelled one is that loop, each only once. Loops along a \
         marked line are those between its ends and at most {} um to its sides; those of the row across the line are all between its \
         ends, for readers often draw it across the limbs, far from the tips. Bias is found less labelled. \"Always the mean\" is \
         the error of answering every frame with the mean of the labels. A frame without a measure misses all its loops and has no \
         density: unknown is never nought. Intervals hold 95 % of {} resamplings of the frames (seed {}); frames of one subject are \
         alike, so they are rather too narrow. Definitions: docs/measure.md.</p>\n",
        report.match_um, report.line_band_um, report.resamples, report.seed
    )
}
