//! The eight fingers as two rows of boxes, each with its state in a sign, a word and a colour.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, BorderType, Paragraph};

use super::words;
use crate::finger::Finger;
use crate::report::{Decision, FieldVerdict, FingerResult, Snapshot};

/// Lines inside a box.
const INSIDE: usize = 3;
pub const ROW: u16 = 5;

/// Yellow and cyan stay apart for every kind of colour blindness; the sign and the word say the same.
const POSITIVE: Style = Style::new().fg(Color::Yellow).add_modifier(Modifier::BOLD);
const NEGATIVE: Style = Style::new().fg(Color::Cyan);
const NOW: Style = Style::new().add_modifier(Modifier::BOLD);
const QUIET: Style = Style::new().add_modifier(Modifier::DIM);
const PLAIN: Style = Style::new();

/// Draws the fingers of the protocol, right hand above, left hand below.
pub fn draw(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot) {
    let rows: [Rect; 2] = Layout::vertical([Constraint::Length(ROW); 2]).areas(area);
    for (row, fingers) in rows.into_iter().zip(Finger::PROTOCOL.chunks(4)) {
        let boxes: [Rect; 4] = Layout::horizontal([Constraint::Ratio(1, 4); 4]).areas(row);
        for (place, finger) in boxes.into_iter().zip(fingers) {
            one(frame, place, *finger, snapshot);
        }
    }
}

fn one(frame: &mut Frame<'_>, place: Rect, finger: Finger, snapshot: &Snapshot) {
    let width = usize::from(place.width.saturating_sub(2));
    let (style, lines) = told(finger, snapshot, width);
    let now = snapshot.finger == Some(finger);
    let name = finger.words().trim_end_matches(" finger");
    let title = if now { format!("▶{finger} {name} ") } else { format!(" {finger} {name} ") };
    let border = if now { BorderType::Thick } else { BorderType::Plain };
    let block = Block::bordered().border_type(border).border_style(style).title(Line::styled(title, style));
    let text: Vec<Line<'_>> = lines.into_iter().map(|line| Line::styled(line, style)).collect();
    frame.render_widget(Paragraph::new(text).block(block), place);
}

fn told(finger: Finger, snapshot: &Snapshot, width: usize) -> (Style, [String; INSIDE]) {
    let [none, fields] = [String::new(), fields_line(finger, snapshot)];
    if snapshot.finger == Some(finger) {
        let field = snapshot.field.map(|n| format!("field {n}")).unwrap_or_default();
        return (NOW, ["recording".into(), field, fields]);
    }
    if let Some(result) = snapshot.fingers.iter().rev().find(|result| result.finger == finger) {
        return decided(result, snapshot, width);
    }
    if let Some(reason) = snapshot.skipped.get(&finger) {
        let [first, second] = two_lines(&words::plain(reason), width);
        return (QUIET, ["– skipped".into(), first, second]);
    }
    if fields.is_empty() {
        (QUIET, ["· not examined".into(), none, fields])
    } else {
        (PLAIN, ["○ begun".into(), none, fields])
    }
}

fn decided(result: &FingerResult, snapshot: &Snapshot, width: usize) -> (Style, [String; INSIDE]) {
    match &result.decision {
        Decision::Called { label, confidence, .. } => {
            let positive = snapshot.limits.and_then(|limits| snapshot.model.labels.get(limits.positive as usize));
            let all = result.fields_positive + result.fields_negative + result.fields_not_classifiable;
            let (style, sign, count) = match positive {
                Some(positive) if positive == label => (POSITIVE, '■', result.fields_positive),
                _ => (NEGATIVE, '□', result.fields_negative),
            };
            let label = words::plain(label);
            let support = format!("in {count} of {}", words::fields_of(all));
            (style, [format!("{sign} {label}"), words::confidence(*confidence), support])
        }
        Decision::Abstained { why } => {
            let [first, second] = two_lines(words::short(*why), width);
            (PLAIN, ["? not classifiable".into(), first, second])
        }
    }
}

/// What the finished fields of a finger that has no result yet say, in a box's width.
fn fields_line(finger: Finger, snapshot: &Snapshot) -> String {
    let mut signs = String::new();
    for field in snapshot.fields.iter().filter(|field| field.finger == finger) {
        signs.push(' ');
        signs.push(match field.verdict {
            FieldVerdict::Positive => '■',
            FieldVerdict::Negative => '□',
            FieldVerdict::NotClassifiable(_) => '?',
        });
    }
    if signs.is_empty() { signs } else { format!("fields{signs}") }
}

/// Breaks at words; what does not fit ends in an ellipsis.
pub fn two_lines(text: &str, width: usize) -> [String; 2] {
    let mut lines = [String::new(), String::new()];
    let mut at = 0;
    for word in text.split_whitespace() {
        let long = |line: &String| line.chars().count() + usize::from(!line.is_empty()) + word.chars().count() > width;
        if at == 0 && long(&lines[0]) && !lines[0].is_empty() {
            at = 1;
        }
        if !lines[at].is_empty() {
            lines[at].push(' ');
        }
        lines[at].push_str(word);
    }
    lines.map(|line| cut(&line, width))
}

/// At most `width` characters.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}
