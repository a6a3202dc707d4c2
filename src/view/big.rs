//! The name of the finger in letters that are read from across a room.

/// Columns of a label of two letters, with a gap to what follows.
pub const WIDTH: u16 = 10;

const GLYPHS: [(char, [&str; 3]); 7] = [
    ('R', ["█▀▄", "█▀▄", "▀ ▀"]),
    ('L', ["█  ", "█  ", "▀▀▀"]),
    ('1', ["▄█ ", " █ ", "▀▀▀"]),
    ('2', ["▀▀█", "█▀▀", "▀▀▀"]),
    ('3', ["▀▀█", " ▀█", "▀▀▀"]),
    ('4', ["█ █", "▀▀█", "  ▀"]),
    ('5', ["█▀▀", "▀▀█", "▀▀▀"]),
];

/// The three rows of `text`; a letter without a glyph stands in the middle as it is.
pub fn rows(text: &str) -> [String; 3] {
    let mut rows = [const { String::new() }; 3];
    for letter in text.chars() {
        let glyph = GLYPHS.iter().find(|(known, _)| *known == letter);
        for (i, row) in rows.iter_mut().enumerate() {
            match glyph {
                Some((_, lines)) => row.push_str(lines[i]),
                None if i == 1 => row.push(letter),
                None => row.push(' '),
            }
            row.push(' ');
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finger_has_glyphs_of_one_width() {
        for finger in crate::finger::Finger::PROTOCOL {
            let rows = rows(&finger.to_string());
            assert!(rows.iter().all(|row| row.chars().count() == 8), "{finger}: {rows:?}");
        }
    }
}
