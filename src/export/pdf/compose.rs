//! The page's parts on sheets of A4: the result and its signature first, then the pictures, then what it was made with.

use super::layout::{Area, INK, Item, LEFT, MEASURE, QUIET, STRONG, Sheets, Style, WARN};
use crate::export::overlay::{Colour, Label, Stroke, colour, outline};
use crate::export::page::{Card, Fact, Page, Section, Shot, Signature, Summary, Table};
use crate::export::words::Word;

const TEXT: Style = Style::plain(7.9);
const SMALL: Style = Style::plain(6.5).in_colour(QUIET);
const CELL: Style = Style::plain(6.9);
const TINT: Colour = [0xF3, 0xF6, 0xF9];
const WARN_TINT: Colour = [0xFF, 0xF4, 0xE8];
const RULE: Colour = [0xC9, 0xD0, 0xD8];
const GUTTER: f32 = 10.0;

/// How much room the pictures and what stands beside them take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// Width of the kept frames.
    shot: f32,
    /// Of what each field came to.
    note: Style,
    /// The pictures begin a sheet of their own.
    apart: bool,
}

/// From the largest to the smallest that can still be read at arm's length: the largest with which all stands on two
/// sheets is taken.
pub(super) const CUTS: [Cut; 6] = [
    cut(126.0, 6.2, true),
    cut(110.0, 5.8, true),
    cut(98.0, 5.4, true),
    cut(88.0, 5.0, true),
    cut(98.0, 5.4, false),
    cut(88.0, 5.0, false),
];

const fn cut(shot: f32, size: f32, apart: bool) -> Cut {
    Cut { shot, note: Style::plain(size), apart }
}

/// Shares of the table's width, in the order of its columns.
const COLUMNS: [f32; 11] = [0.145, 0.165, 0.1, 0.065, 0.08, 0.14, 0.07, 0.065, 0.055, 0.06, 0.055];

pub(super) fn compose(sheets: &mut Sheets<'_>, page: &Page, cut: Cut) {
    top(sheets, page);
    facts(sheets, &page.head, TEXT, 2);
    summary(sheets, &page.summary);
    table(sheets, &page.table);
    remarks(sheets, &page.remarks);
    signature(sheets, &page.signature);
    if cut.apart {
        sheets.new_sheet();
    }
    heading(sheets, &page.pictures);
    legend(sheets, page);
    for (row, cards) in page.cards.chunks(2).enumerate() {
        let heights = cards.iter().map(|one| card_height(sheets, one, cut));
        let height = heights.fold(0.0, f32::max);
        sheets.room(height);
        for (column, one) in cards.iter().enumerate() {
            card(sheets, one, (row * 2 + column, column as f32), height, cut);
        }
        sheets.y += height + 5.0;
    }
    heading(sheets, &page.made_with_heading);
    facts(sheets, &page.made_with, Style::plain(5.9), 1);
}

fn heading(sheets: &mut Sheets<'_>, text: &str) {
    let style = Style::plain(8.8).bold().in_colour(STRONG);
    sheets.gap(4.5);
    // A heading does not stand alone at the end of a sheet.
    sheets.room(style.leading() * 3.0);
    sheets.words([LEFT, sheets.y], style, text);
    sheets.y += style.leading();
    sheets.rule([LEFT, sheets.y], [LEFT + MEASURE, sheets.y], STRONG, 0.8);
    sheets.y += 3.0;
}

fn top(sheets: &mut Sheets<'_>, page: &Page) {
    let (right, top) = (LEFT + MEASURE, sheets.y);
    sheets.words([LEFT, top], Style::plain(16.0).bold().in_colour(STRONG), &page.title);
    sheets.words([LEFT, top + 20.0], TEXT.in_colour(QUIET), &page.subtitle);
    sheets.words_to([right, top], SMALL, page.lang.say(Word::Subject));
    sheets.words_to([right, top + 10.0], Style::plain(15.0).bold(), &page.subject);
    sheets.y = top + 33.0;
    sheets.rule([LEFT, sheets.y], [right, sheets.y], STRONG, 2.0);
    sheets.y += 5.0;
    banner(sheets, &page.notice);
    page.alerts.iter().for_each(|alert| banner(sheets, alert));
    sheets.gap(2.0);
}

/// What must not be overlooked.
fn banner(sheets: &mut Sheets<'_>, text: &str) {
    let style = TEXT.bold().in_colour(WARN);
    let height = sheets.height(text, style, MEASURE - 16.0) + 4.0;
    sheets.room(height);
    sheets.put(Item::Fill { area: [LEFT, sheets.y, MEASURE, height], colour: WARN_TINT });
    sheets.put(Item::Fill { area: [LEFT, sheets.y, 3.0, height], colour: WARN });
    sheets.block([LEFT + 9.0, sheets.y + 2.0], MEASURE - 16.0, style, text);
    sheets.y += height + 2.5;
}

/// Names and values in `columns` columns of pairs.
fn facts(sheets: &mut Sheets<'_>, facts: &[Fact], style: Style, columns: usize) {
    let width = (MEASURE - GUTTER * (columns as f32 - 1.0)) / columns as f32;
    let name = facts.iter().map(|fact| sheets.faces.width(&fact.label, false) * style.size).fold(0.0, f32::max) + 8.0;
    for pair in facts.chunks(columns) {
        let height =
            pair.iter().map(|fact| sheets.height(&fact.value, style, width - name)).fold(style.leading(), f32::max);
        sheets.room(height);
        for (i, fact) in pair.iter().enumerate() {
            let x = LEFT + i as f32 * (width + GUTTER);
            sheets.words([x, sheets.y], style.in_colour(QUIET), &fact.label);
            sheets.block([x + name, sheets.y], width - name, style, &fact.value);
        }
        sheets.y += height + 0.8;
    }
}

fn bullet(sheets: &mut Sheets<'_>, x: f32, width: f32, style: Style, text: &str) {
    sheets.room(style.leading());
    let dot = sheets.y + style.size * 0.55;
    sheets.put(Item::Fill { area: [x, dot, 2.0, 2.0], colour: style.colour });
    sheets.paragraph(x + 7.0, width - 7.0, style, text);
}

fn summary(sheets: &mut Sheets<'_>, summary: &Summary) {
    heading(sheets, &summary.heading);
    let style = Style::plain(10.6).bold();
    let height = sheets.height(&summary.counts, style, MEASURE - 12.0) + 5.0;
    sheets.put(Item::Fill { area: [LEFT, sheets.y, MEASURE, height], colour: TINT });
    sheets.block([LEFT + 6.0, sheets.y + 2.5], MEASURE - 12.0, style, &summary.counts);
    sheets.y += height + 2.0;
    summary.lines.iter().for_each(|line| bullet(sheets, LEFT + 4.0, MEASURE - 4.0, TEXT, line));
    if !summary.recorded.is_empty() {
        sheets.gap(1.0);
        sheets.paragraph(LEFT + 4.0, MEASURE - 4.0, Style::plain(5.9).in_colour(QUIET), &summary.recorded.join(" · "));
    }
}

fn table(sheets: &mut Sheets<'_>, table: &Table) {
    heading(sheets, &table.heading);
    row(sheets, &table.columns, CELL.in_colour(QUIET), INK);
    table.rows.iter().for_each(|cells| row(sheets, cells, CELL, RULE));
    sheets.gap(1.5);
    sheets.paragraph(LEFT, MEASURE, SMALL, &table.explained);
}

/// The first line of a finger's name and the machine's call are set apart.
fn row(sheets: &mut Sheets<'_>, cells: &[String], style: Style, rule: Colour) {
    let widths = COLUMNS.map(|share| share * MEASURE - 5.0);
    let in_column = |column: usize| if column == 1 { style.bold() } else { style };
    let heights =
        cells.iter().zip(widths).enumerate().map(|(i, (cell, width))| sheets.height(cell, in_column(i), width));
    let height = heights.fold(0.0, f32::max);
    sheets.room(height + 4.0);
    let mut x = LEFT;
    for (i, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let at = [x, sheets.y + 1.5];
        match cell.split_once('\n').filter(|_| i == 0) {
            Some((name, words)) => {
                let first = sheets.block(at, width, style.bold(), name);
                sheets.block([at[0], at[1] + first], width, style, words);
            }
            None => {
                sheets.block(at, width, in_column(i), cell);
            }
        }
        x += width + 5.0;
    }
    sheets.y += height + 3.0;
    sheets.rule([LEFT, sheets.y], [LEFT + MEASURE, sheets.y], rule, 0.5);
}

fn remarks(sheets: &mut Sheets<'_>, sections: &[Section]) {
    for section in sections {
        heading(sheets, &section.heading);
        section.lines.iter().for_each(|line| bullet(sheets, LEFT + 4.0, MEASURE - 4.0, TEXT, line));
    }
}

fn signature(sheets: &mut Sheets<'_>, signature: &Signature) {
    sheets.room(62.0);
    heading(sheets, &signature.heading);
    for line in &signature.lines {
        sheets.paragraph(LEFT, MEASURE, TEXT, line);
    }
    if let Some(place) = &signature.place {
        sheets.gap(24.0);
        sheets.rule([LEFT, sheets.y], [LEFT + 280.0, sheets.y], INK, 0.6);
        sheets.gap(2.0);
        sheets.paragraph(LEFT, MEASURE, SMALL, place);
    }
}

fn legend(sheets: &mut Sheets<'_>, page: &Page) {
    let style = Style::plain(6.5);
    let mut x = LEFT;
    for mark in &page.legend {
        let width = sheets.faces.width(&mark.words, false) * style.size + 24.0;
        if x + width > LEFT + MEASURE {
            (x, sheets.y) = (LEFT, sheets.y + 11.0);
        }
        sheets.put(Item::Fill { area: [x, sheets.y, 9.0, 9.0], colour: [0x33, 0x33, 0x33] });
        let points = outline(mark.class, [x + 4.5, sheets.y + 4.5], 2.6);
        let colour = colour(mark.class);
        sheets.put(Item::Line(Stroke { points, closed: true, colour, width: 0.9, dashed: false }));
        sheets.words([x + 12.0, sheets.y + 0.8], style, &mark.words);
        x += width;
    }
    sheets.y += 11.0;
    sheets.paragraph(LEFT, MEASURE, style, &page.legend_more);
    sheets.gap(2.0);
}

fn card_width() -> f32 {
    (MEASURE - GUTTER) / 2.0
}

fn shot_height(shot: &Shot, width: f32) -> f32 {
    width * shot.picture.size.height as f32 / shot.picture.size.width as f32
}

const HEAD: Style = Style::plain(8.2);
const NOTE: Style = Style::plain(6.2);
const CAPTION: Style = Style::plain(5.6).in_colour(QUIET);

/// Of a card with its frame.
fn card_height(sheets: &Sheets<'_>, card: &Card, cut: Cut) -> f32 {
    let width = card_width() - 8.0;
    let head = HEAD.leading() + NOTE.leading() + sheets.height(&card.call, NOTE.bold(), width);
    let shots: f32 = card
        .shots
        .iter()
        .map(|shot| shot_height(shot, cut.shot) + sheets.height(&shot.caption, CAPTION, cut.shot) + 3.0)
        .sum();
    let unseen = card.unseen.as_ref().map_or(0.0, |unseen| sheets.height(unseen, NOTE, cut.shot));
    let fields: f32 = card.fields.iter().map(|line| sheets.height(line, cut.note, width - cut.shot - 6.0) + 2.0).sum();
    head + f32::max(shots + unseen, fields) + 7.0
}

fn card(sheets: &mut Sheets<'_>, card: &Card, (number, column): (usize, f32), height: f32, cut: Cut) {
    let (x, top, width) = (LEFT + column * (card_width() + GUTTER), sheets.y, card_width());
    let frame = [[x, top], [x + width, top], [x + width, top + height], [x, top + height]];
    let frame = Stroke { points: frame.to_vec(), closed: true, colour: RULE, width: 0.6, dashed: false };
    sheets.put(Item::Line(frame));
    let (x, mut y, width) = (x + 4.0, top + 3.0, width - 8.0);
    sheets.words([x, y], HEAD.bold(), &card.finger);
    y += HEAD.leading();
    y += sheets.block([x, y], width, NOTE.bold(), &card.call);
    sheets.words([x, y], NOTE.in_colour(QUIET), &card.reader);
    y += NOTE.leading() + 2.0;
    let mut fields = y;
    for (i, shot) in card.shots.iter().enumerate() {
        y += picture(sheets, shot, (number, i), [x, y], cut.shot);
    }
    if let Some(unseen) = &card.unseen {
        sheets.block([x, y], cut.shot, NOTE.in_colour(QUIET), unseen);
    }
    for line in &card.fields {
        fields += sheets.block([x + cut.shot + 6.0, fields], width - cut.shot - 6.0, cut.note, line) + 2.0;
    }
}

/// A kept frame with what is drawn over it; gives the height that it takes.
fn picture(sheets: &mut Sheets<'_>, shot: &Shot, (card, number): (usize, usize), [x, y]: [f32; 2], width: f32) -> f32 {
    let height = shot_height(shot, width);
    let area: Area = [x, y, width, height];
    sheets.put(Item::Picture { card, shot: number, area });
    sheets.put(Item::Clip(area));
    let scale = width / shot.picture.size.width as f32;
    let place = |[px, py]: [f32; 2]| [x + px * scale, y + py * scale];
    for stroke in &shot.overlay.strokes {
        let points = stroke.points.iter().copied().map(place).collect();
        sheets.put(Item::Line(Stroke { points, width: stroke.width * scale, ..stroke.clone() }));
    }
    for Label { at, ends_there, size, colour, text } in &shot.overlay.labels {
        let style = Style::plain(size * scale).bold().in_colour(*colour);
        let [left, base] = place(*at);
        let long = sheets.faces.width(text, true) * style.size;
        let left = if *ends_there { left - long } else { left };
        // A dark ground in place of the dark edge that a browser draws.
        let ground = [left - 0.6, base - style.size * 0.8, long + 1.2, style.size];
        sheets.put(Item::Fill { area: ground, colour: [0x11, 0x11, 0x11] });
        sheets.put(Item::Words { at: [left, base], style, text: text.clone() });
    }
    sheets.put(Item::Unclip);
    height + sheets.block([x, y + height + 1.0], width, CAPTION, &shot.caption) + 3.0
}
