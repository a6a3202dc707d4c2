//! The report as one HTML page that stands alone: no script, no font, no picture from elsewhere, and a policy that lets
//! the browser fetch none.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::overlay::{Colour, Label, Overlay, Stroke, colour, outline};
use super::page::{Card, Fact, Mark, Page, Section, Shot, Signature, Summary, Table};
use crate::digest::sha256_bytes;
use crate::report::NOTICE;

const STYLE: &str = include_str!("report.css");

/// Lines of a finger that stand beside its picture without making the card longer than that.
const MANY: usize = 2;
/// Remarks that have room on the first sheet: a call for each finger, and as many again.
const FULL: usize = 16;

/// The page's text. Everything that was typed by people is shown as text, whatever it holds.
pub fn html(page: &Page) -> String {
    let style = format!("{STYLE}{}", printed(page));
    let mut out = format!(
        "<!doctype html>\n<html lang=\"{lang}\"><head><meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{digest}'; \
         img-src data:; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>{title}: {exam}</title>\n<style>{style}</style></head><body><main>\n",
        lang = page.lang.code(),
        digest = STANDARD.encode(sha256_bytes(style.as_bytes())),
        title = escape(&page.title),
        exam = escape(&page.exam),
    );
    top(&mut out, page);
    summary(&mut out, &page.summary);
    table(&mut out, &page.table);
    out.push_str("<div class=\"columns\">\n");
    page.remarks.iter().for_each(|section| remark(&mut out, section));
    out.push_str("</div>\n");
    signature(&mut out, &page.signature);
    pictures(&mut out, page);
    put(&mut out, format_args!("<section class=\"made\"><h2>{}</h2>\n", escape(&page.made_with_heading)));
    facts(&mut out, &page.made_with, "one");
    out.push_str("</section>\n</main></body></html>\n");
    out
}

/// The margins of the printed page: what it is of, that it is no diagnosis, and which page.
fn printed(page: &Page) -> String {
    let numbered: Vec<String> = page.lang.say(page.page_of).split("{}").map(quoted).collect();
    let [first, second, third] = &numbered[..] else { return String::new() };
    format!(
        "@page{{size:A4;margin:10mm 10mm 13mm;@bottom-left{{content:{};font:7pt sans-serif;color:#505a66}}\
         @bottom-right{{content:{first} counter(page) {second} counter(pages) {third};font:7pt sans-serif;color:#505a66}}}}",
        quoted(&format!("{} · {NOTICE}", page.exam)),
    )
}

/// A string of a style sheet; what could end it or the sheet is written as its number.
fn quoted(text: &str) -> String {
    let safe: String =
        text.chars()
            .map(|c| {
                if c.is_ascii_control() || "\"\\<>&".contains(c) { format!("\\{:x} ", c as u32) } else { c.to_string() }
            })
            .collect();
    format!("\"{safe}\"")
}

/// Makes text harmless in HTML and SVG. Neither knows control characters.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace(|c: char| c.is_control() && c != '\n', "\u{FFFD}")
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _infallible = out.write_fmt(text);
}

fn top(out: &mut String, page: &Page) {
    put(
        out,
        format_args!(
            "<header><div><h1>{}</h1><p>{}</p></div><p class=\"subject\">{}<b>{}</b></p></header>\n\
             <p class=\"notice\">{}</p>\n",
            escape(&page.title),
            escape(&page.subtitle),
            escape(page.lang.say(super::words::Word::Subject)),
            escape(&page.subject),
            escape(&page.notice),
        ),
    );
    for alert in &page.alerts {
        put(out, format_args!("<p class=\"alert\" role=\"note\">{}</p>\n", escape(alert)));
    }
    facts(out, &page.head, "two");
}

fn facts(out: &mut String, facts: &[Fact], class: &str) {
    put(out, format_args!("<dl class=\"{class}\">\n"));
    for Fact { label, value } in facts {
        put(out, format_args!("<dt>{}</dt><dd>{}</dd>\n", escape(label), escape(value)));
    }
    out.push_str("</dl>\n");
}

fn list(out: &mut String, lines: &[String]) {
    out.push_str("<ul>");
    lines.iter().for_each(|line| put(out, format_args!("<li>{}</li>\n", escape(line))));
    out.push_str("</ul>\n");
}

fn summary(out: &mut String, summary: &Summary) {
    let (heading, counts) = (escape(&summary.heading), escape(&summary.counts));
    put(out, format_args!("<h2>{heading}</h2>\n<div class=\"summary\"><p class=\"counts\">{counts}</p>\n"));
    list(out, &summary.lines);
    if !summary.recorded.is_empty() {
        put(out, format_args!("<p class=\"recorded\" lang=\"en\">{}</p>\n", escape(&summary.recorded.join(" · "))));
    }
    out.push_str("</div>\n");
}

fn table(out: &mut String, table: &Table) {
    put(out, format_args!("<h2>{}</h2>\n<table><thead><tr>", escape(&table.heading)));
    table.columns.iter().for_each(|column| put(out, format_args!("<th scope=\"col\">{}</th>", escape(column))));
    out.push_str("</tr></thead><tbody>\n");
    for row in &table.rows {
        out.push_str("<tr>");
        row.iter().for_each(|cell| put(out, format_args!("<td>{}</td>", escape(cell))));
        out.push_str("</tr>\n");
    }
    put(out, format_args!("</tbody></table>\n<p class=\"quiet\">{}</p>\n", escape(&table.explained)));
}

fn remark(out: &mut String, section: &Section) {
    put(out, format_args!("<section><h2>{}</h2>\n", escape(&section.heading)));
    list(out, &section.lines);
    out.push_str("</section>\n");
}

fn signature(out: &mut String, signature: &Signature) {
    put(out, format_args!("<section class=\"sign\"><h2>{}</h2>\n", escape(&signature.heading)));
    signature.lines.iter().for_each(|line| put(out, format_args!("<p>{}</p>\n", escape(line))));
    if let Some(place) = &signature.place {
        put(out, format_args!("<div class=\"line\"></div><p class=\"quiet\">{}</p>\n", escape(place)));
    }
    out.push_str("</section>\n");
}

fn pictures(out: &mut String, page: &Page) {
    // They begin a sheet, unless what is said before them has filled one and begun another.
    let said: usize = page.remarks.iter().map(|section| section.lines.len()).sum();
    let class = if said > FULL { "pictures on" } else { "pictures" };
    put(out, format_args!("<section class=\"{class}\"><h2>{}</h2>\n<p class=\"legend\">", escape(&page.pictures)));
    page.legend.iter().for_each(|mark| legend(out, mark));
    // Where much is said each takes less room, so that all stands on two sheets.
    let many = said > FULL || page.cards.iter().any(|card| card.fields.len() > MANY);
    let class = if many { "cards many" } else { "cards" };
    put(out, format_args!("<span>{}</span></p>\n<div class=\"{class}\">\n", escape(&page.legend_more)));
    page.cards.iter().for_each(|one| card(out, one));
    out.push_str("</div></section>\n");
}

fn legend(out: &mut String, mark: &Mark) {
    let stroke = Stroke {
        points: outline(mark.class, [10.0, 10.0], 6.0),
        closed: true,
        colour: colour(mark.class),
        width: 2.0,
        dashed: false,
    };
    out.push_str("<span><svg viewBox=\"0 0 20 20\" aria-hidden=\"true\">");
    draw(out, &stroke);
    put(out, format_args!("</svg>{}</span>\n", escape(&mark.words)));
}

fn card(out: &mut String, card: &Card) {
    put(
        out,
        format_args!(
            "<article class=\"card\"><h3>{}</h3><p class=\"call\">{} <span>· {}</span></p>\n<div class=\"body\">",
            escape(&card.finger),
            escape(&card.call),
            escape(&card.reader)
        ),
    );
    if !card.shots.is_empty() {
        out.push_str("<div>");
        card.shots.iter().for_each(|one| shot(out, one));
        out.push_str("</div>\n");
    }
    if let Some(unseen) = &card.unseen {
        put(out, format_args!("<p class=\"unseen\">{}</p>\n", escape(unseen)));
    }
    list(out, &card.fields);
    out.push_str("</div></article>\n");
}

fn shot(out: &mut String, shot: &Shot) {
    let size = shot.picture.size;
    put(
        out,
        format_args!(
            "<figure><svg viewBox=\"0 0 {w} {h}\" role=\"img\" aria-label=\"{}\">\
             <image width=\"{w}\" height=\"{h}\" href=\"data:{};base64,{}\"/>\n",
            escape(&shot.alt),
            shot.picture.media.name(),
            STANDARD.encode(&shot.picture.bytes),
            w = size.width,
            h = size.height,
        ),
    );
    out.push_str(&overlay(&shot.overlay));
    put(out, format_args!("</svg><figcaption>{}</figcaption></figure>\n", escape(&shot.caption)));
}

/// As elements of SVG, in the picture's pixels.
pub(super) fn overlay(Overlay { strokes, labels, .. }: &Overlay) -> String {
    let mut svg = String::new();
    strokes.iter().for_each(|stroke| draw(&mut svg, stroke));
    labels.iter().for_each(|label| write(&mut svg, label));
    svg
}

fn hex([r, g, b]: Colour) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

fn draw(out: &mut String, stroke: &Stroke) {
    let points: Vec<String> = stroke.points.iter().map(|[x, y]| format!("{x:.1},{y:.1}")).collect();
    put(
        out,
        format_args!(
            "<{} points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{:.1}\"",
            if stroke.closed { "polygon" } else { "polyline" },
            points.join(" "),
            hex(stroke.colour),
            stroke.width,
        ),
    );
    if stroke.dashed {
        let dash = stroke.width * 3.0;
        put(out, format_args!(" stroke-dasharray=\"{dash:.1} {dash:.1}\""));
    }
    out.push_str("/>\n");
}

fn write(out: &mut String, label: &Label) {
    let [x, y] = label.at;
    put(
        out,
        format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{:.1}\" font-weight=\"700\" fill=\"{}\" stroke=\"#111\" \
             stroke-width=\"{:.1}\" paint-order=\"stroke\"{}>{}</text>\n",
            label.size,
            hex(label.colour),
            label.size * 0.16,
            if label.ends_there { " text-anchor=\"end\"" } else { "" },
            escape(&label.text)
        ),
    );
}
