//! The live view in a terminal: a calm picture of one `Snapshot`. It shows what is known, in words; colour
//! only repeats what a sign or a word says.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use crate::outcome::Tally;
use crate::report::{Limits, SecondFinger, Snapshot};

pub mod big;
pub mod hands;
pub mod screen;
pub mod words;

/// All that one drawing shows.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    pub snapshot: &'a Snapshot,
    /// The open exam.
    pub exam: Option<&'a str>,
    /// As the service gave it.
    pub notice: &'a str,
    pub link: Link,
    /// How to leave, such as "q quits".
    pub hint: &'a str,
}

/// Whether what is shown is the present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    Live,
    /// The service is out of reach: what is shown is the past.
    Lost,
}

/// The smallest terminal for the whole view.
pub const SIZE: (u16, u16) = (80, 24);

const STRONG: Style = Style::new().add_modifier(Modifier::BOLD);
const ALARM: Style = Style::new().add_modifier(Modifier::BOLD).add_modifier(Modifier::REVERSED);

pub fn draw(frame: &mut Frame<'_>, scene: &Scene<'_>) {
    let area = frame.area();
    if area.width < SIZE.0 || area.height < SIZE.1 {
        return draw_small(frame, scene);
    }
    let [title, hands, _, now, pooled, _, faults, figures, notice] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(2 * hands::ROW),
        Constraint::Length(1),
        Constraint::Length(3),
        Constraint::Length(2),
        Constraint::Length(1),
        Constraint::Min(2),
        Constraint::Length(3),
        Constraint::Length(1),
    ])
    .areas(area);
    draw_title(frame, title, scene);
    hands::draw(frame, hands, scene.snapshot);
    draw_now(frame, now, scene);
    frame.render_widget(Paragraph::new(pooled_lines(scene.snapshot)), pooled);
    draw_faults(frame, faults, scene.snapshot);
    frame.render_widget(Paragraph::new(figure_lines(scene.snapshot).map(Line::from).to_vec()), figures);
    draw_notice(frame, notice, scene);
}

/// The essentials, for a terminal that is too small; the notice stays.
fn draw_small(frame: &mut Frame<'_>, scene: &Scene<'_>) {
    let [rest, notice] = Layout::vertical([Constraint::Min(0), Constraint::Length(2)]).areas(frame.area());
    let mut lines = vec![Line::styled(doing(scene), STRONG), Line::from(quality(scene))];
    lines.extend(open_faults(scene.snapshot).map(|fault| Line::styled(fault, ALARM)));
    lines.push(Line::from(format!("(the whole view needs {} x {})", SIZE.0, SIZE.1)));
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: true }), rest);
    frame.render_widget(Paragraph::new(scene.notice).style(STRONG).wrap(Wrap { trim: true }), notice);
}

fn draw_title(frame: &mut Frame<'_>, area: Rect, scene: &Scene<'_>) {
    let exam = match (&scene.snapshot.subject, scene.exam) {
        (Some(subject), _) => format!("exam of {subject}"),
        (None, Some(exam)) => format!("exam {exam}"),
        (None, None) => "no exam is open".to_owned(),
    };
    let exam = words::plain(&exam);
    let room = usize::from(area.width).saturating_sub(exam.chars().count() + 12);
    let source = hands::cut(&words::plain(&source(scene.snapshot)), room);
    sides(frame, area, Line::from(vec![Span::styled("Hairpin", STRONG), Span::raw("  "), Span::raw(source)]), exam);
}

fn source(snapshot: &Snapshot) -> String {
    let Some(source) = &snapshot.source else { return "no source".to_owned() };
    let size = source.size.map(|size| format!(", {size}")).unwrap_or_default();
    format!("{}{size}: {}", source.kind, source.name)
}

/// Where the operator is, what to do about the picture, and what the fields so far have given.
fn draw_now(frame: &mut Frame<'_>, area: Rect, scene: &Scene<'_>) {
    let [label, text] = Layout::horizontal([Constraint::Length(big::WIDTH), Constraint::Min(0)]).areas(area);
    if let Some(finger) = scene.snapshot.finger {
        let rows = big::rows(&finger.to_string()).map(|row| Line::styled(row, STRONG));
        frame.render_widget(Paragraph::new(rows.to_vec()), label);
    }
    let readable = scene.snapshot.quality.as_ref().is_some_and(|q| q.rejected.is_none());
    let calm = scene.link == Link::Live && (readable || scene.snapshot.quality.is_none());
    let fields = scene.snapshot.finger.map_or_else(String::new, |finger| {
        words::support(scene.snapshot.fields.iter().filter(|field| field.finger == finger))
    });
    let lines = vec![
        Line::styled(doing(scene), STRONG),
        Line::styled(quality(scene), if calm { Style::new() } else { ALARM }),
        Line::from(fields),
    ];
    frame.render_widget(Paragraph::new(lines), text);
}

fn doing(scene: &Scene<'_>) -> String {
    match (scene.snapshot.finger, scene.snapshot.subject.is_some() || scene.exam.is_some()) {
        (Some(finger), _) => words::place(finger, scene.snapshot.field),
        (None, true) => "choose a finger".to_owned(),
        (None, false) => "open an exam".to_owned(),
    }
}

fn quality(scene: &Scene<'_>) -> String {
    match (scene.link, &scene.snapshot.quality) {
        (Link::Lost, _) => "! no connection to the service: what you see is old; trying again".to_owned(),
        (Link::Live, None) => "no picture judged yet".to_owned(),
        (Link::Live, Some(now)) => {
            let sign = if now.rejected.is_none() { '●' } else { '▲' };
            format!("{sign} {}", words::quality(now))
        }
    }
}

/// The pooled score of the field under way between its thresholds, once there are frames enough to pool.
fn pooled_lines(snapshot: &Snapshot) -> Vec<Line<'static>> {
    if snapshot.field.is_none() {
        return second_lines(snapshot);
    }
    let frames = snapshot.pooled_frames;
    let (Some(limits), Some(pooled)) = (snapshot.limits, &snapshot.pooling) else {
        return vec![Line::from("no frame of this field is read yet")];
    };
    let score = pooled.probs.get(limits.positive as usize);
    match score {
        Some(score) if frames >= limits.min_frames => bar(snapshot, limits, *score),
        _ => vec![Line::from(format!("too few frames of this field yet: {frames} of {}", limits.min_frames))],
    }
}

/// Between fields: what models that do not decide would call the last of the fingers.
fn second_lines(snapshot: &Snapshot) -> Vec<Line<'static>> {
    let Some(last) = snapshot.fingers.last() else { return Vec::new() };
    let words = |second: &SecondFinger| {
        let call = words::decision(&second.decision);
        Line::from(words::plain(&format!("{}: {} (does not decide) {call}", last.finger, second.model)))
    };
    last.second.iter().take(2).map(words).collect()
}

const BAR: u16 = 30;

fn bar(snapshot: &Snapshot, limits: Limits, score: f32) -> Vec<Line<'static>> {
    let label = snapshot.model.labels.get(limits.positive as usize).map_or("", String::as_str);
    let kind = if limits.calibrated { "probability" } else { "score" };
    let place = |value: f32| (value.clamp(0.0, 1.0) * f32::from(BAR - 1)).round() as u16;
    let track: String = (0..BAR)
        .map(|i| match i {
            _ if i == place(score) => '◆',
            _ if i == place(limits.lower) || i == place(limits.upper) => '│',
            _ => '─',
        })
        .collect();
    let label = hands::cut(&words::plain(label), 20);
    let (lower, upper) = (limits.lower, limits.upper);
    vec![
        Line::from(format!("so far {score:.2} ├{track}┤ {kind} of {label}")),
        Line::from(format!(
            "{} frames pooled, thresholds {lower:.2} and {upper:.2}; no result before the field ends",
            snapshot.pooled_frames
        )),
    ]
}

fn open_faults(snapshot: &Snapshot) -> impl Iterator<Item = String> {
    snapshot.faults.iter().filter(|fault| !fault.cleared).map(|fault| format!("! {}", words::fault(fault)))
}

fn draw_faults(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot) {
    let faults: Vec<String> = open_faults(snapshot).collect();
    let lines = match faults.as_slice() {
        [] => vec![Line::from("no faults")],
        // One fault may use all lines; several have one each, and the last line counts the rest.
        [only] => vec![Line::styled(only.clone(), ALARM)],
        many => {
            let room = usize::from(area.height);
            let shown = if many.len() > room { room - 1 } else { many.len() };
            let width = usize::from(area.width);
            let mut lines: Vec<Line<'_>> =
                many[..shown].iter().map(|fault| Line::styled(hands::cut(fault, width), ALARM)).collect();
            if shown < many.len() {
                lines.push(Line::styled(format!("! and {} more: see the log", many.len() - shown), ALARM));
            }
            lines
        }
    };
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: true }), area);
}

fn figure_lines(snapshot: &Snapshot) -> [String; 3] {
    let rates = match snapshot.rates {
        Some(r) => format!(
            "{:.1} frames/s, {:.1} read/s; latency {:.0} ms, p99 {:.0} ms, of it inference {:.0} ms",
            r.captured_per_s, r.read_per_s, r.latency_p50_ms, r.latency_p99_ms, r.infer_p50_ms
        ),
        None => "no frame rate measured yet".to_owned(),
    };
    let model = &snapshot.model;
    let model = format!("{} {} on {}; cohort {}", model.name, model.version, snapshot.provider_running, model.cohort);
    [rates, losses(&snapshot.frames), words::plain(&model)]
}

fn losses(frames: &Tally) -> String {
    format!(
        "frames {}: read {}, refused {}, damaged {}, dropped {}, failed {}; lost {}",
        frames.produced,
        frames.scored,
        frames.rejected(),
        frames.undecodable(),
        frames.dropped,
        frames.failed,
        frames.lost_before_capture
    )
}

fn draw_notice(frame: &mut Frame<'_>, area: Rect, scene: &Scene<'_>) {
    sides(frame, area, Line::styled(words::plain(scene.notice), STRONG), scene.hint.to_owned());
}

/// One line with something at either end.
fn sides(frame: &mut Frame<'_>, area: Rect, left: Line<'_>, right: String) {
    let width = u16::try_from(right.chars().count()).unwrap_or(u16::MAX);
    let [start, end] = Layout::horizontal([Constraint::Min(0), Constraint::Length(width)]).areas(area);
    frame.render_widget(Paragraph::new(left), start);
    frame.render_widget(Paragraph::new(right), end);
}

#[cfg(test)]
mod tests;
