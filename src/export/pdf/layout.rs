//! Where everything stands: words, lines and pictures on sheets of A4, in points from the upper left corner. Knows how
//! wide text is and nothing of PDF.

use super::font::{Faces, FontError};
use crate::export::overlay::{Colour, Stroke};

pub(super) const WIDTH: f32 = 595.28;
pub(super) const HEIGHT: f32 = 841.89;
pub(super) const LEFT: f32 = 30.0;
const TOP: f32 = 28.0;
/// Below it stands the foot of the sheet.
const BOTTOM: f32 = HEIGHT - 38.0;
/// Of what is printed.
pub(super) const MEASURE: f32 = WIDTH - 2.0 * LEFT;
/// From base line to base line, in sizes.
const LEADING: f32 = 1.28;

pub(super) const INK: Colour = [0x14, 0x18, 0x1D];
pub(super) const QUIET: Colour = [0x50, 0x5A, 0x66];
pub(super) const STRONG: Colour = [0x00, 0x3F, 0x73];
pub(super) const WARN: Colour = [0x8A, 0x3B, 0x00];

/// How words look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) size: f32,
    pub(super) bold: bool,
    pub(super) colour: Colour,
}

impl Style {
    pub(super) const fn plain(size: f32) -> Self {
        Self { size, bold: false, colour: INK }
    }

    pub(super) const fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    pub(super) const fn in_colour(self, colour: Colour) -> Self {
        Self { colour, ..self }
    }

    pub(super) const fn leading(self) -> f32 {
        self.size * LEADING
    }
}

/// A rectangle: left, top, width, height.
pub(super) type Area = [f32; 4];

/// One thing on a sheet.
#[derive(Debug)]
pub(super) enum Item {
    /// `at` is the left end of its base line.
    Words {
        at: [f32; 2],
        style: Style,
        text: String,
    },
    Fill {
        area: Area,
        colour: Colour,
    },
    Line(Stroke),
    /// The picture of a shot, by card and shot.
    Picture {
        card: usize,
        shot: usize,
        area: Area,
    },
    /// Until `Unclip`, nothing is drawn outside.
    Clip(Area),
    Unclip,
}

/// Sheets that are filled from top to bottom.
pub(super) struct Sheets<'f> {
    pub(super) faces: &'f Faces,
    pub(super) sheets: Vec<Vec<Item>>,
    /// Where the next thing begins.
    pub(super) y: f32,
    /// The first text that could not be set.
    failed: Option<FontError>,
}

impl<'f> Sheets<'f> {
    pub(super) fn new(faces: &'f Faces) -> Self {
        Self { faces, sheets: vec![Vec::new()], y: TOP, failed: None }
    }

    /// All sheets, unless some text could not be set.
    pub(super) fn done(self) -> Result<Vec<Vec<Item>>, FontError> {
        self.failed.map_or(Ok(self.sheets), Err)
    }

    pub(super) fn put(&mut self, item: Item) {
        if let Item::Words { text, .. } = &item
            && self.failed.is_none()
        {
            self.failed = self.faces.check(text).err();
        }
        if let Some(sheet) = self.sheets.last_mut() {
            sheet.push(item);
        }
    }

    pub(super) fn new_sheet(&mut self) {
        self.sheets.push(Vec::new());
        self.y = TOP;
    }

    /// Goes to a new sheet where less than `height` is left on this one.
    pub(super) fn room(&mut self, height: f32) {
        if self.y + height > BOTTOM && self.y > TOP {
            self.new_sheet();
        }
    }

    pub(super) fn gap(&mut self, height: f32) {
        self.y += height;
    }

    /// One line of words whose top is `top`.
    pub(super) fn words(&mut self, [x, top]: [f32; 2], style: Style, text: &str) {
        self.put(Item::Words { at: [x, top + style.size], style, text: text.to_owned() });
    }

    /// One line that ends at `right`.
    pub(super) fn words_to(&mut self, [right, top]: [f32; 2], style: Style, text: &str) {
        let width = self.faces.width(text, style.bold) * style.size;
        self.words([right - width, top], style, text);
    }

    /// Words broken to `width` from here on down; each line goes to a new sheet where it must.
    pub(super) fn paragraph(&mut self, x: f32, width: f32, style: Style, text: &str) {
        for line in self.wrap(text, style, width) {
            self.room(style.leading());
            self.words([x, self.y], style, &line);
            self.y += style.leading();
        }
    }

    /// A block of lines at a place of its own; gives its height.
    pub(super) fn block(&mut self, [x, top]: [f32; 2], width: f32, style: Style, text: &str) -> f32 {
        let lines = self.wrap(text, style, width);
        for (i, line) in lines.iter().enumerate() {
            self.words([x, top + i as f32 * style.leading()], style, line);
        }
        lines.len() as f32 * style.leading()
    }

    pub(super) fn height(&self, text: &str, style: Style, width: f32) -> f32 {
        self.wrap(text, style, width).len() as f32 * style.leading()
    }

    pub(super) fn rule(&mut self, from: [f32; 2], to: [f32; 2], colour: Colour, width: f32) {
        self.put(Item::Line(Stroke { points: vec![from, to], closed: false, colour, width, dashed: false }));
    }

    /// The lines of a text that is `width` wide; a line break in it begins a new one.
    pub(super) fn wrap(&self, text: &str, style: Style, width: f32) -> Vec<String> {
        let most = width / style.size;
        text.split('\n').flat_map(|line| wrap(line, most, |piece| self.faces.width(piece, style.bold))).collect()
    }
}

/// Breaks at spaces and between Chinese characters; a word that is too long for a line is broken where it must be.
fn wrap(text: &str, most: f32, width: impl Fn(&str) -> f32) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for piece in pieces(text) {
        if width(&line) + width(piece.trim_end_matches(' ')) <= most {
            line.push_str(piece);
            continue;
        }
        if !line.trim().is_empty() {
            lines.push(std::mem::take(&mut line).trim_end_matches(' ').to_owned());
        }
        line.clear();
        for character in piece.chars() {
            let mut buffer = [0; 4];
            if width(&line) + width(character.encode_utf8(&mut buffer)) > most && !line.is_empty() && character != ' ' {
                lines.push(std::mem::take(&mut line).trim_end_matches(' ').to_owned());
            }
            line.push(character);
        }
    }
    lines.push(line.trim_end_matches(' ').to_owned());
    lines
}

/// What may not be broken, each with the spaces behind it.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut from = 0;
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let Some(&(next_at, next)) = characters.peek() else { break };
        let after_space = character == ' ' && next != ' ';
        let chinese = is_chinese(character) || (is_chinese(next) && character != ' ');
        if (after_space || chinese) && !is_closing(next) && !is_opening(character) && next != ' ' {
            pieces.push(&text[from..next_at]);
            from = next_at;
        }
        debug_assert!(at < next_at);
    }
    pieces.push(&text[from..]);
    pieces
}

fn is_chinese(c: char) -> bool {
    matches!(c as u32, 0x2E80..=0x9FFF | 0xF900..=0xFAFF | 0xFF00..=0xFFEF | 0x20000..=0x3FFFF)
}

/// Marks that no line begins with.
fn is_closing(c: char) -> bool {
    "，。；：、）”！？,.;:)!?%".contains(c)
}

/// Marks that no line ends with.
fn is_opening(c: char) -> bool {
    "（“(".contains(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn by_count(text: &str) -> f32 {
        text.chars().count() as f32
    }

    #[test]
    fn lines_break_where_a_reader_would() {
        assert_eq!(wrap("one two three", 7.0, by_count), ["one two", "three"]);
        assert_eq!(wrap("0123456789", 4.0, by_count), ["0123", "4567", "89"]);
        assert_eq!(wrap("未见硬皮病样改变；这不能", 8.0, by_count), ["未见硬皮病样改", "变；这不能"]);
        assert_eq!(wrap("", 4.0, by_count), [""]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_no_line_is_too_long(text in "[a-z 未变；]{0,60}", most in 3..20_u8) {
            let lines = wrap(&text, f32::from(most), by_count);
            prop_assert_eq!(lines.concat().replace(' ', ""), text.replace(' ', ""));
            prop_assert!(lines.iter().all(|line| by_count(line) <= f32::from(most) || !line.contains(|c| c != ' ')));
        }
    }
}
