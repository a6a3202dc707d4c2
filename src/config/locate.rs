//! Finds the line on which a key stands, so that an error of sense can name it as an error of syntax would.

use toml::de::{DeTable, DeValue};

/// The line (from 1) of `key`, a path such as `model.threads`; `None` when it is not written there.
pub fn line_of(text: &str, key: &str) -> Option<usize> {
    let parsed = DeTable::parse(text).ok()?;
    let mut table = parsed.get_ref();
    let mut start = None;
    for part in key.split('.') {
        let (name, value) = table.iter().find(|(name, _)| name.get_ref() == part)?;
        start = Some(name.span().start);
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            _ => break,
        }
    }
    Some(1 + text[..start?].matches('\n').count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_where_it_is_written() {
        let text = "# a comment\n[model]\nbundle = \"x\"\n\n[emit.unix]\npath = \"y\"\n";
        assert_eq!(line_of(text, "model.bundle"), Some(3));
        assert_eq!(line_of(text, "emit.unix.path"), Some(6));
        assert_eq!(line_of(text, "model.threads"), None);
        assert_eq!(line_of("a = 1", "a"), Some(1));
    }
}
