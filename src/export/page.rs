//! The report as a page of words, lists and pictures, in the order in which they stand. HTML and PDF are both made from
//! this, so neither can say more than the other.

use std::path::Path;

use super::ExportError;
use super::exam::Exam;
use super::fingers;
use super::overlay::Overlay;
use super::picture::Picture;
use super::sections;
use super::words::{Lang, Word};
use crate::measured::LoopClass;

/// A name and what stands beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    pub label: String,
    pub value: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    pub heading: String,
    pub lines: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    pub heading: String,
    /// Who many of how many, in one line.
    pub counts: String,
    pub lines: Vec<String>,
    /// As it was recorded, where the lines above are a translation.
    pub recorded: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    pub heading: String,
    pub columns: Vec<String>,
    /// Each cell is one or more lines.
    pub rows: Vec<Vec<String>>,
    pub explained: String,
}

/// A finger with its picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    pub finger: String,
    pub call: String,
    /// Whether the machine called it positive, negative or not at all is told by the words; this only sets it apart.
    pub called: bool,
    pub reader: String,
    pub shots: Vec<Shot>,
    /// Where there is no picture: why.
    pub unseen: Option<String>,
    pub fields: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Shot {
    pub picture: Picture,
    pub overlay: Overlay,
    pub caption: String,
    pub alt: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    pub class: LoopClass,
    pub words: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Signature {
    pub heading: String,
    pub lines: Vec<String>,
    /// What stands under the line for a pen; absent where the exam cannot be signed yet.
    pub place: Option<String>,
}

/// One report.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    pub lang: Lang,
    pub title: String,
    pub subtitle: String,
    pub exam: String,
    pub subject: String,
    pub notice: String,
    /// What whoever reads must know before all else.
    pub alerts: Vec<String>,
    pub head: Vec<Fact>,
    pub summary: Summary,
    pub table: Table,
    pub remarks: Vec<Section>,
    pub signature: Signature,
    pub pictures: String,
    pub legend: Vec<Mark>,
    /// Marks that are no loops, in words.
    pub legend_more: String,
    pub cards: Vec<Card>,
    pub made_with: Vec<Fact>,
    pub made_with_heading: String,
    /// "page {} of {}", to be filled.
    pub page_of: Word,
    /// Of the newest line that the page rests on, where lines bear dates.
    pub dated: Option<jiff::Timestamp>,
}

pub(super) fn page(folder: &Path, exam: &Exam, lang: Lang, frames: usize) -> Result<Page, ExportError> {
    Ok(Page {
        lang,
        title: lang.say(Word::Title).to_owned(),
        subtitle: lang.say(Word::Report).to_owned(),
        exam: exam.verified.exam.clone(),
        subject: exam.subject.clone(),
        notice: lang.say(Word::Notice).to_owned(),
        alerts: sections::alerts(exam, lang),
        head: sections::head(exam, lang),
        summary: sections::summary(exam, lang),
        table: fingers::table(exam, lang),
        remarks: sections::remarks(exam, lang),
        signature: sections::signature(exam, lang),
        pictures: lang.say(Word::Pictures).to_owned(),
        legend: legend(lang),
        legend_more: legend_more(lang),
        cards: fingers::cards(folder, exam, lang, frames)?,
        made_with: sections::made_with(exam, lang),
        made_with_heading: lang.say(Word::MadeWith).to_owned(),
        page_of: Word::PageOf,
        dated: exam.dated(),
    })
}

fn legend_more(lang: Lang) -> String {
    let marks = [Word::LegendUncounted, Word::LegendHaemorrhage, Word::LegendGap].map(|word| lang.say(word));
    format!("{}. {}", lang.list(&marks), lang.say(Word::LegendBorderline))
}

fn legend(lang: Lang) -> Vec<Mark> {
    [
        (LoopClass::Normal, Word::LegendNormal),
        (LoopClass::Ectatic, Word::LegendEctatic),
        (LoopClass::Giant, Word::LegendGiant),
        (LoopClass::Abnormal, Word::LegendAbnormal),
        (LoopClass::NotEvaluable, Word::LegendNotEvaluable),
    ]
    .into_iter()
    .map(|(class, word)| Mark { class, words: lang.say(word).to_owned() })
    .collect()
}
