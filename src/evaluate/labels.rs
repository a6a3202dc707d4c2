//! `labels.csv`: what somebody has said of each frame. Every error names the row and the column.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use super::Point;

/// The columns that are read, in any order; only the first must be there.
const COLUMNS: [&str; 6] = ["frame", "subject", "disease", "loops_per_mm", "line_xyxy", "mask"];

/// A row of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// Of the row in the file; the head is line 1.
    pub line: u64,
    pub frame: String,
    /// Empty where nobody says.
    pub subject: String,
    pub disease: Option<bool>,
    pub counted: Option<Counted>,
    pub mask: Option<String>,
}

/// Loops that a reader counted along a marked line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Counted {
    pub per_mm: f64,
    pub line: [Point; 2],
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    #[error("line {line}, column {column}: {why}")]
    Cell { line: u64, column: &'static str, why: String },
    #[error("{0}")]
    File(String),
}

pub fn cell(line: u64, column: &'static str, why: impl Into<String>) -> LabelError {
    LabelError::Cell { line, column, why: why.into() }
}

pub fn parse(text: &str) -> Result<Vec<Label>, LabelError> {
    // Spreadsheets put a mark of byte order in front.
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(text.as_bytes());
    let head = reader.headers().map_err(|e| LabelError::File(e.to_string()))?.clone();
    let places = places(&head)?;
    let mut labels: Vec<Label> = Vec::new();
    let mut seen = BTreeSet::new();
    for record in reader.records() {
        let record = record.map_err(|e| LabelError::File(e.to_string()))?;
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() != head.len() {
            let why = format!("line {line} has {} columns, the head has {}", record.len(), head.len());
            return Err(LabelError::File(why));
        }
        let label = row(line, &|column| places[column].and_then(|at| record.get(at)).unwrap_or_default())?;
        if !seen.insert(label.frame.clone()) {
            return Err(cell(line, "frame", format!("{} stands in an earlier row, too", label.frame)));
        }
        labels.push(label);
    }
    if labels.is_empty() {
        return Err(LabelError::File("there is no row below the head".to_owned()));
    }
    Ok(labels)
}

/// Where each of [`COLUMNS`] stands.
fn places(head: &csv::StringRecord) -> Result<[Option<usize>; COLUMNS.len()], LabelError> {
    let mut places = [None; COLUMNS.len()];
    for (at, name) in head.iter().enumerate() {
        let Some(column) = COLUMNS.iter().position(|known| *known == name) else {
            return Err(LabelError::File(format!(
                "line 1: no column is called {name:?}; known are {}",
                COLUMNS.join(", ")
            )));
        };
        if places[column].replace(at).is_some() {
            return Err(LabelError::File(format!("line 1: the column {name} stands there twice")));
        }
    }
    if places[0].is_none() {
        return Err(LabelError::File(format!("line 1: no column is called frame; known are {}", COLUMNS.join(", "))));
    }
    Ok(places)
}

fn row<'a>(line: u64, text: &dyn Fn(usize) -> &'a str) -> Result<Label, LabelError> {
    let disease = match text(2) {
        "" => None,
        "yes" => Some(true),
        "no" => Some(false),
        other => return Err(cell(line, COLUMNS[2], format!("{other:?} is neither yes nor no nor empty"))),
    };
    let frame = name(line, COLUMNS[0], text(0))?.ok_or_else(|| cell(line, COLUMNS[0], "is empty"))?;
    let mask = name(line, COLUMNS[5], text(5))?;
    let counted = match (text(3), text(4)) {
        ("", "") => None,
        ("", _) => return Err(cell(line, COLUMNS[3], "is empty beside a line_xyxy: give the count along it, too")),
        (_, "") => {
            return Err(cell(line, COLUMNS[4], "is empty beside loops_per_mm: give the line that was counted along"));
        }
        (count, ends) => Some(Counted { per_mm: density(line, count)?, line: ends_of(line, ends)? }),
    };
    Ok(Label { line, frame, subject: text(1).to_owned(), disease, counted, mask })
}

/// A file's name below its folder; nothing outside is read.
fn name(line: u64, column: &'static str, text: &str) -> Result<Option<String>, LabelError> {
    if text.is_empty() {
        return Ok(None);
    }
    if !Path::new(text).components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(cell(line, column, format!("{text:?} does not lie below the folder")));
    }
    Ok(Some(text.to_owned()))
}

fn density(line: u64, text: &str) -> Result<f64, LabelError> {
    let value = text.parse::<f64>().ok().filter(|value| (0.0..=100.0).contains(value));
    value.ok_or_else(|| cell(line, COLUMNS[3], format!("{text:?} is no number of loops from 0 to 100")))
}

fn ends_of(line: u64, text: &str) -> Result<[Point; 2], LabelError> {
    let wrong = || cell(line, COLUMNS[4], format!("{text:?} is not four numbers, x y x y in pixels of two ends apart"));
    let numbers: Vec<f64> = text.split_whitespace().map(|n| n.parse().ok()).collect::<Option<_>>().ok_or_else(wrong)?;
    match numbers[..] {
        [x1, y1, x2, y2] if numbers.iter().all(|n| n.is_finite()) && (x1 - x2).hypot(y1 - y2) >= 1.0 => {
            Ok([[x1, y1], [x2, y2]])
        }
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "frame,subject,disease,loops_per_mm,line_xyxy,mask\n";

    #[test]
    fn rows_are_read_in_any_order_of_columns_and_with_empty_cells() {
        let text = format!("\u{feff}{HEAD}a.jpg,S1,yes,7,1 2 301 2,\nb.png,S2,no,,,b.png\r\n\"c, d.png\",,,,,\n");
        let labels = parse(&text).unwrap();
        assert_eq!(labels[0].counted, Some(Counted { per_mm: 7.0, line: [[1.0, 2.0], [301.0, 2.0]] }));
        assert_eq!((labels[0].line, labels[0].disease, labels[0].mask.as_deref()), (2, Some(true), None));
        assert_eq!(
            (labels[1].disease, labels[1].mask.as_deref(), labels[1].counted),
            (Some(false), Some("b.png"), None)
        );
        assert_eq!((labels[2].frame.as_str(), labels[2].subject.as_str(), labels[2].disease), ("c, d.png", "", None));
        let few = parse("mask,frame\nm.png,a.png\n").unwrap();
        assert_eq!((few[0].frame.as_str(), few[0].mask.as_deref()), ("a.png", Some("m.png")));
    }

    #[test]
    fn what_is_wrong_is_named_by_line_and_column() {
        for (rows, words) in [
            ("a.jpg,S1,ill,,,\n", "line 2, column disease: \"ill\" is neither yes nor no"),
            (",S1,yes,,,\n", "line 2, column frame: is empty"),
            ("a.jpg,S1,yes,,,\n../b.jpg,S1,yes,,,\n", "line 3, column frame: \"../b.jpg\" does not lie below"),
            ("a.jpg,S1,yes,,,/etc/x.png\n", "line 2, column mask"),
            ("a.jpg,S1,yes,many,1 2 3 4,\n", "line 2, column loops_per_mm: \"many\" is no number"),
            ("a.jpg,S1,yes,-1,1 2 3 4,\n", "line 2, column loops_per_mm"),
            ("a.jpg,S1,yes,NaN,1 2 3 4,\n", "line 2, column loops_per_mm"),
            ("a.jpg,S1,yes,7,1 2 3,\n", "line 2, column line_xyxy: \"1 2 3\" is not four numbers"),
            ("a.jpg,S1,yes,7,1 2 1 2,\n", "line 2, column line_xyxy"),
            ("a.jpg,S1,yes,7,1 2 inf 2,\n", "line 2, column line_xyxy"),
            ("a.jpg,S1,yes,7,,\n", "line 2, column line_xyxy: is empty beside loops_per_mm"),
            ("a.jpg,S1,yes,,1 2 3 4,\n", "line 2, column loops_per_mm: is empty"),
            ("a.jpg,,,,,\na.jpg,,,,,\n", "line 3, column frame: a.jpg stands in an earlier row"),
            ("a.jpg,S1\n", "line 2 has 2 columns, the head has 6"),
            ("", "no row below the head"),
        ] {
            let error = parse(&format!("{HEAD}{rows}")).unwrap_err().to_string();
            assert!(error.contains(words), "{rows:?}: {error}");
        }
        for (head, words) in [
            ("frame,masks\na,b\n", "no column is called \"masks\""),
            ("frame,frame\na,b\n", "twice"),
            ("mask\nb\n", "no column is called frame"),
            ("", "no column is called"),
        ] {
            let error = parse(head).unwrap_err().to_string();
            assert!(error.contains(words), "{head:?}: {error}");
        }
    }
}
