//! The report as PDF, drawn from the same page as the HTML: text that can be selected and searched, fonts embedded, the
//! camera's JPEG bytes as they are. Where the exam bears a date it keeps to PDF/A-2u, for archives.

mod compose;
mod font;
mod layout;

use krilla::color::rgb;
use krilla::configure::{Archival, ConfigurationBuilder};
use krilla::geom::{Path, PathBuilder, Point, Rect, Size, Transform};
use krilla::image::Image;
use krilla::metadata::{DateTime, Metadata};
use krilla::num::NormalizedF32;
use krilla::page::PageSettings;
use krilla::paint::{Fill, FillRule, LineJoin, Stroke as PdfStroke, StrokeDash};
use krilla::surface::Surface;
use krilla::{Document, SerializeSettings};

use self::compose::{CUTS, compose};
use self::layout::{Area, HEIGHT, Item, LEFT, MEASURE, QUIET, Sheets, Style, WIDTH};
use super::overlay::{Colour, Stroke};
use super::page::Page;
use super::picture::Media;

pub use self::font::{Faces, FontError};

#[derive(Debug, thiserror::Error)]
pub enum PdfError {
    #[error(transparent)]
    Font(#[from] FontError),
    #[error("cannot make the PDF: {0}; write the HTML page and print it from a browser")]
    Made(String),
}

/// What a clinic files of an exam: one to two pages.
const SHEETS: usize = 2;

fn made(error: impl std::fmt::Display) -> PdfError {
    PdfError::Made(error.to_string())
}

/// The bytes of the PDF. The same page and fonts give the same bytes.
pub fn pdf(page: &Page, faces: &Faces) -> Result<Vec<u8>, PdfError> {
    let mut sheets = composed(page, faces)?;
    feet(&mut sheets, page, faces)?;
    let images = images(page)?;
    let mut configuration = ConfigurationBuilder::new();
    // The standard asks for a date, which a recording may not have.
    if page.dated.is_some() {
        configuration = configuration.with_archival_validator(Archival::A2_U);
    }
    let configuration = configuration.finish().map_err(|error| made(format!("{error:?}")))?;
    let mut document = Document::new_with(SerializeSettings { configuration, ..SerializeSettings::default() });
    document.set_metadata(metadata(page));
    for sheet in &sheets {
        let settings = PageSettings::from_wh(WIDTH, HEIGHT).ok_or_else(|| made("no page size"))?;
        let mut drawn = document.start_page_with(settings);
        let mut surface = drawn.surface();
        sheet.iter().for_each(|item| draw(&mut surface, item, faces, &images));
        surface.finish();
        drawn.finish();
    }
    document.finish().map_err(|error| made(format!("{error:?}")))
}

/// As large as two sheets allow; a report that needs more of them in any case is not made smaller for it.
fn composed(page: &Page, faces: &Faces) -> Result<Vec<Vec<Item>>, FontError> {
    let with = |cut| {
        let mut sheets = Sheets::new(faces);
        compose(&mut sheets, page, cut);
        sheets.done()
    };
    let first = with(CUTS[0])?;
    for cut in CUTS.into_iter().skip(1).take_while(|_| first.len() > SHEETS) {
        let smaller = with(cut)?;
        if smaller.len() <= SHEETS {
            return Ok(smaller);
        }
    }
    Ok(first)
}

fn metadata(page: &Page) -> Metadata {
    let metadata = Metadata::new()
        .title(format!("{}: {}", page.title, page.exam))
        .description(page.notice.clone())
        .creator(concat!("hairpin ", env!("CARGO_PKG_VERSION")).to_owned())
        .language(page.lang.code().to_owned());
    match page.dated.map(|at| at.to_zoned(jiff::tz::TimeZone::UTC)) {
        None => metadata,
        Some(at) => metadata.creation_date(
            DateTime::new(at.year().unsigned_abs())
                .month(at.month().unsigned_abs())
                .day(at.day().unsigned_abs())
                .hour(at.hour().unsigned_abs())
                .minute(at.minute().unsigned_abs())
                .second(at.second().unsigned_abs())
                .utc_offset_hour(0)
                .utc_offset_minute(0),
        ),
    }
}

/// The foot of each sheet: what it is of, that it is no diagnosis, and which sheet.
fn feet(sheets: &mut [Vec<Item>], page: &Page, faces: &Faces) -> Result<(), FontError> {
    let (style, base) = (Style::plain(6.2).in_colour(QUIET), HEIGHT - 20.0);
    let left = format!("{} · {}", page.exam, page.notice);
    let count = sheets.len().to_string();
    for (i, sheet) in sheets.iter_mut().enumerate() {
        let right = page.lang.fill(page.page_of, &[&(i + 1).to_string(), &count]);
        faces.check(&left).and_then(|()| faces.check(&right))?;
        let x = LEFT + MEASURE - faces.width(&right, false) * style.size;
        sheet.push(Item::Words { at: [LEFT, base], style, text: left.clone() });
        sheet.push(Item::Words { at: [x, base], style, text: right });
    }
    Ok(())
}

/// Of each card, the pictures of its shots.
fn images(page: &Page) -> Result<Vec<Vec<Image>>, PdfError> {
    let image = |media, bytes: &[u8]| match media {
        Media::Jpeg => Image::from_jpeg(bytes.to_vec().into(), false),
        Media::Png => Image::from_png(bytes.to_vec().into(), false),
    };
    let of_card = |card: &super::page::Card| {
        card.shots.iter().map(|shot| image(shot.picture.media, &shot.picture.bytes)).collect::<Result<Vec<_>, _>>()
    };
    page.cards.iter().map(of_card).collect::<Result<_, _>>().map_err(made)
}

fn fill([r, g, b]: Colour) -> Fill {
    Fill { paint: rgb::Color::new(r, g, b).into(), opacity: NormalizedF32::ONE, rule: FillRule::NonZero }
}

fn rectangle([x, y, width, height]: Area) -> Option<Path> {
    let mut path = PathBuilder::new();
    path.push_rect(Rect::from_xywh(x, y, width, height)?);
    path.finish()
}

/// Nothing is drawn for an area without size.
fn draw(surface: &mut Surface<'_>, item: &Item, faces: &Faces, images: &[Vec<Image>]) {
    match item {
        Item::Words { at, style, text } => words(surface, *at, *style, text, faces),
        Item::Fill { area, colour } => {
            let Some(path) = rectangle(*area) else { return };
            surface.set_stroke(None);
            surface.set_fill(Some(fill(*colour)));
            surface.draw_path(&path);
        }
        Item::Line(stroke) => line(surface, stroke),
        Item::Picture { card, shot, area: [x, y, width, height] } => {
            let image = images.get(*card).and_then(|shots| shots.get(*shot));
            let (Some(image), Some(size)) = (image, Size::from_wh(*width, *height)) else { return };
            surface.push_transform(&Transform::from_translate(*x, *y));
            surface.draw_image(image.clone(), size);
            surface.pop();
        }
        Item::Clip(area) => {
            // Each clip is undone by its `Unclip`, so something has to be pushed in any case.
            match rectangle(*area) {
                Some(path) => surface.push_clip_path(&path, &FillRule::NonZero),
                None => surface.push_transform(&Transform::identity()),
            }
        }
        Item::Unclip => surface.pop(),
    }
}

fn words(surface: &mut Surface<'_>, [x, y]: [f32; 2], style: Style, text: &str, faces: &Faces) {
    surface.set_stroke(None);
    surface.set_fill(Some(fill(style.colour)));
    let mut x = x;
    for stretch in faces.set(text, style.bold) {
        surface.draw_glyphs(Point::from_xy(x, y), &stretch.glyphs, stretch.font, &stretch.text, style.size, false);
        x += stretch.advance * style.size;
    }
}

fn line(surface: &mut Surface<'_>, stroke: &Stroke) {
    let mut path = PathBuilder::new();
    let mut points = stroke.points.iter();
    let Some([x, y]) = points.next() else { return };
    path.move_to(*x, *y);
    points.for_each(|[x, y]| path.line_to(*x, *y));
    if stroke.closed {
        path.close();
    }
    let Some(path) = path.finish() else { return };
    let [r, g, b] = stroke.colour;
    surface.set_fill(None);
    surface.set_stroke(Some(PdfStroke {
        paint: rgb::Color::new(r, g, b).into(),
        width: stroke.width,
        line_join: LineJoin::Round,
        dash: stroke.dashed.then(|| StrokeDash { array: vec![stroke.width * 3.0, stroke.width * 3.0], offset: 0.0 }),
        ..PdfStroke::default()
    }));
    surface.draw_path(&path);
}
