//! Which fonts a PDF is set in, and how wide its text is. Glyphs are set one after the other by their own widths: right
//! for Latin, Greek, Cyrillic and Chinese; scripts whose letters change with their neighbours are refused, not misset.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use krilla::text::{Font, GlyphId, KrillaGlyph};
use skrifa::instance::{LocationRef, Size};
use skrifa::{FontRef, MetadataProvider};

/// Where distributions put fonts that hold what a report needs: plain, bold, and which font of a collection. In this order
/// they are asked for each character. Debian: fonts-dejavu-core, fonts-noto-core, fonts-noto-cjk, fonts-wqy-microhei.
const PLACES: [(&str, &str, u32); 8] = [
    ("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", "/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf", 0),
    ("/usr/share/fonts/dejavu-sans-fonts/DejaVuSans.ttf", "/usr/share/fonts/dejavu-sans-fonts/DejaVuSans-Bold.ttf", 0),
    ("/usr/share/fonts/TTF/DejaVuSans.ttf", "/usr/share/fonts/TTF/DejaVuSans-Bold.ttf", 0),
    ("/usr/share/fonts/truetype/noto/NotoSans-Regular.ttf", "/usr/share/fonts/truetype/noto/NotoSans-Bold.ttf", 0),
    (
        "/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf",
        "/usr/share/fonts/truetype/liberation/LiberationSans-Bold.ttf",
        0,
    ),
    // The collection holds Japanese, Korean, simplified Chinese, traditional Chinese, in this order.
    (
        "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
        "/usr/share/fonts/opentype/noto/NotoSansCJK-Bold.ttc",
        2,
    ),
    (
        "/usr/share/fonts/google-noto-sans-cjk-fonts/NotoSansCJK-Regular.ttc",
        "/usr/share/fonts/google-noto-sans-cjk-fonts/NotoSansCJK-Bold.ttc",
        2,
    ),
    ("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc", "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc", 0),
];

#[derive(Debug, thiserror::Error)]
pub enum FontError {
    #[error("cannot read the font {}: {source}; name a TrueType or OpenType file with --font", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{} is no TrueType or OpenType font that can be embedded; name another with --font", .0.display())]
    NoFont(PathBuf),
    #[error("this machine has no font that is known here: install fonts-dejavu-core, or name a font with --font")]
    None,
    #[error(
        "no font at hand has the character {character:?} (U+{:04X}), which stands in \"{text}\": name a font that has it \
         with --font (for Chinese, Debian has fonts-noto-cjk), or write the HTML page and print it from a browser",
        *character as u32
    )]
    Missing { character: char, text: String },
    #[error(
        "\"{text}\" is in a script whose letters change with their neighbours, which the PDF cannot set: write the HTML \
         page and print it from a browser"
    )]
    Script { text: String },
}

/// A font file in both weights.
struct Face {
    plain: Cut,
    bold: Cut,
}

/// One weight: as `krilla` embeds it, and what is known of its glyphs.
struct Cut {
    font: Font,
    data: Arc<Vec<u8>>,
    index: u32,
    /// Glyph and advance in ems, of the characters asked for so far.
    known: RefCell<BTreeMap<char, Option<(u32, f32)>>>,
}

/// The fonts of a PDF, in the order in which they are asked for a character.
pub struct Faces(Vec<Face>);

/// A stretch of text in one font.
pub(super) struct Stretch {
    pub(super) font: Font,
    pub(super) text: String,
    pub(super) glyphs: Vec<KrillaGlyph>,
    /// In ems.
    pub(super) advance: f32,
}

impl Cut {
    fn read(path: &Path, index: u32) -> Result<Self, FontError> {
        let data = fs::read(path).map_err(|source| FontError::Unreadable { path: path.to_owned(), source })?;
        let data = Arc::new(data);
        let no_font = || FontError::NoFont(path.to_owned());
        // Asked first: what this refuses, the other may take for granted.
        FontRef::from_index(&data, index).map_err(|_| no_font())?;
        let font = Font::new(data.clone().into(), index).ok_or_else(no_font)?;
        Ok(Self { font, data, index, known: RefCell::default() })
    }

    fn glyph(&self, character: char) -> Option<(u32, f32)> {
        *self.known.borrow_mut().entry(character).or_insert_with(|| {
            let font = FontRef::from_index(&self.data, self.index).ok()?;
            let glyph = font.charmap().map(character)?;
            let advance = font.glyph_metrics(Size::unscaled(), LocationRef::default()).advance_width(glyph)?;
            Some((glyph.to_u32(), advance / self.font.units_per_em()))
        })
    }
}

impl Faces {
    /// The font that is named, if one is, and then those of this machine.
    pub fn find(named: Option<&Path>) -> Result<Self, FontError> {
        let mut faces = Vec::new();
        if let Some(path) = named {
            faces.push(Face { plain: Cut::read(path, 0)?, bold: Cut::read(path, 0)? });
        }
        for (plain, bold, index) in PLACES {
            let (plain, bold) = (Path::new(plain), Path::new(bold));
            if plain.exists() {
                let bold = if bold.exists() { bold } else { plain };
                faces.push(Face { plain: Cut::read(plain, index)?, bold: Cut::read(bold, index)? });
            }
        }
        if faces.is_empty() { Err(FontError::None) } else { Ok(Self(faces)) }
    }

    fn cut(&self, character: char, bold: bool) -> Option<(&Cut, u32, f32)> {
        self.0.iter().find_map(|face| {
            let cut = if bold { &face.bold } else { &face.plain };
            cut.glyph(character).map(|(glyph, advance)| (cut, glyph, advance))
        })
    }

    /// Whether all of a text can be set.
    pub(super) fn check(&self, text: &str) -> Result<(), FontError> {
        if text.chars().any(needs_shaping) {
            return Err(FontError::Script { text: text.to_owned() });
        }
        let missing = |c: &char| self.cut(*c, false).is_none() || self.cut(*c, true).is_none();
        match text.chars().find(missing) {
            Some(character) => Err(FontError::Missing { character, text: text.to_owned() }),
            None => Ok(()),
        }
    }

    /// In ems; nothing for a character that no font has.
    pub(super) fn width(&self, text: &str, bold: bool) -> f32 {
        text.chars().filter_map(|c| self.cut(c, bold)).map(|(_, _, advance)| advance).sum()
    }

    /// The text as glyphs, a new stretch wherever the font changes.
    pub(super) fn set(&self, text: &str, bold: bool) -> Vec<Stretch> {
        let mut stretches: Vec<Stretch> = Vec::new();
        for character in text.chars() {
            let Some((cut, glyph, advance)) = self.cut(character, bold) else { continue };
            if stretches.last().is_none_or(|stretch| stretch.font != cut.font) {
                let font = cut.font.clone();
                stretches.push(Stretch { font, text: String::new(), glyphs: Vec::new(), advance: 0.0 });
            }
            let Some(stretch) = stretches.last_mut() else { continue };
            let from = stretch.text.len();
            stretch.text.push(character);
            let range = from..stretch.text.len();
            stretch.glyphs.push(KrillaGlyph::new(GlyphId::new(glyph), advance, 0.0, 0.0, 0.0, range, None));
            stretch.advance += advance;
        }
        stretches
    }
}

/// Hebrew to the scripts of India, Thai, Lao, Tibetan, Burmese, Khmer, Mongolian, Arabic forms, and marks that stand over
/// the letter before them.
fn needs_shaping(c: char) -> bool {
    matches!(c as u32, 0x0300..=0x036F | 0x0590..=0x109F | 0x1780..=0x18AF | 0xA8E0..=0xA8FF | 0xFB1D..=0xFDFF | 0xFE70..=0xFEFC)
}
