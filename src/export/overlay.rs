//! What is drawn over a kept frame: the row, each loop with its limbs and its tip, haemorrhages, gaps and a scale bar,
//! as plain lines in the frame's own pixels. Shape tells the classes apart as well as colour does (Okabe and Ito's
//! colours, which colour-blind eyes tell apart).

use std::f32::consts::TAU;

use super::html;
use crate::frame::Size;
use crate::measured::{Loop, LoopClass, Measured};

/// Red, green, blue.
pub(super) type Colour = [u8; 3];

pub(super) const WHITE: Colour = [255, 255, 255];
const DARK: Colour = [17, 17, 17];
const HAEMORRHAGE: Colour = [0xD5, 0x5E, 0x00];
const GAP: Colour = [0xCC, 0x79, 0xA7];
const UNCOUNTED: Colour = [0xBB, 0xBB, 0xBB];

/// The width of a usual line, in thousandths of the picture's width.
const LINE: f32 = 3.0;
/// From the middle of a mark to its edge, in the same.
const MARK: f32 = 13.0;

/// A line over the picture, in its pixels.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stroke {
    pub(super) points: Vec<[f32; 2]>,
    pub(super) closed: bool,
    pub(super) colour: Colour,
    pub(super) width: f32,
    pub(super) dashed: bool,
}

/// Words over the picture; they begin, or end, at a point on their base line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Label {
    pub(super) at: [f32; 2],
    pub(super) ends_there: bool,
    pub(super) size: f32,
    pub(super) colour: Colour,
    pub(super) text: String,
}

/// All that is drawn over one picture, in the order in which it is drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overlay {
    pub(super) strokes: Vec<Stroke>,
    pub(super) labels: Vec<Label>,
    /// Loops that are marked.
    pub(super) loops: usize,
}

/// How a class of loops is marked.
pub(super) const fn colour(class: LoopClass) -> Colour {
    match class {
        LoopClass::Normal => [0x56, 0xB4, 0xE9],
        LoopClass::Ectatic => [0xF0, 0xE4, 0x42],
        LoopClass::Giant => [0xE6, 0x9F, 0x00],
        LoopClass::Abnormal => GAP,
        LoopClass::NotEvaluable => WHITE,
    }
}

/// The outline of a mark around `at`: a circle, diamond, triangle, square or cross.
pub(super) fn outline(class: LoopClass, [x, y]: [f32; 2], radius: f32) -> Vec<[f32; 2]> {
    let around = |corners: usize, turned: f32| {
        (0..corners).map(move |i| i as f32 / corners as f32 * TAU + turned).map(|a| [a.sin(), -a.cos()])
    };
    let corners: Vec<[f32; 2]> = match class {
        LoopClass::Normal => around(16, 0.0).collect(),
        LoopClass::Ectatic => around(4, 0.0).map(|[x, y]| [x * 1.15, y * 1.15]).collect(),
        LoopClass::Giant => around(3, 0.0).map(|[x, y]| [x * 1.35, y * 1.35]).collect(),
        LoopClass::Abnormal => around(4, TAU / 8.0).map(|[x, y]| [x * 1.25, y * 1.25]).collect(),
        LoopClass::NotEvaluable => {
            vec![[-1.0, -1.0], [0.0, 0.0], [1.0, -1.0], [0.0, 0.0], [1.0, 1.0], [0.0, 0.0], [-1.0, 1.0], [0.0, 0.0]]
        }
    };
    corners.into_iter().map(|[dx, dy]| [x + dx * radius, y + dy * radius]).collect()
}

/// What was measured on a picture of this size, with the width of every counted loop, as SVG in the picture's pixels.
pub fn marks(size: Size, measured: &Measured) -> String {
    html::overlay(&drawn(size, measured, |_| true))
}

/// `bar` words the scale bar of half a millimetre; it is drawn only where the scale is known.
pub(super) fn overlay(size: Size, measured: Option<&Measured>, bar: &str) -> Overlay {
    let Some(measured) = measured else { return Overlay::default() };
    // The width is written at loops that stand out: a figure at each would hide the row of a small picture.
    let stands_out = |class| matches!(class, LoopClass::Ectatic | LoopClass::Giant | LoopClass::Abnormal);
    let mut drawn = drawn(size, measured, stands_out);
    if let Some(um_per_px) = measured.um_per_px {
        drawn.bar(size, (500.0 / um_per_px) as f32, size.width as f32 / 1000.0, bar);
    }
    drawn
}

/// `tells`: which classes of loops have their width beside them.
fn drawn(size: Size, measured: &Measured, tells: impl Fn(LoopClass) -> bool) -> Overlay {
    let unit = size.width as f32 / 1000.0;
    let mut drawn = Overlay::default();
    drawn.line(&measured.row, WHITE, unit * 1.6, true);
    for gap in &measured.gaps {
        drawn.line(&[gap.from, gap.to], GAP, unit * LINE * 2.5, false);
    }
    for one in &measured.loops {
        drawn.one(one, unit, tells(one.class));
    }
    for bled in &measured.haemorrhages {
        let around = outline(LoopClass::Normal, bled.at, bled.radius_px.max(unit * MARK * 0.8));
        let colour = HAEMORRHAGE;
        drawn.strokes.push(Stroke { points: around, closed: true, colour, width: unit * LINE, dashed: true });
    }
    drawn.loops = measured.loops.len();
    drawn
}

impl Overlay {
    /// A line with a dark edge, so that it shows on any skin. A line of less than two points is none.
    fn line(&mut self, points: &[[f32; 2]], colour: Colour, width: f32, dashed: bool) {
        if points.len() < 2 {
            return;
        }
        let stroke = |colour, width| Stroke { points: points.to_vec(), closed: false, colour, width, dashed };
        self.strokes.push(stroke(DARK, width * 1.9));
        self.strokes.push(stroke(colour, width));
    }

    fn one(&mut self, one: &Loop, unit: f32, tells: bool) {
        let (colour, width) =
            if one.counted { (colour(one.class), unit * LINE) } else { (UNCOUNTED, unit * LINE * 0.5) };
        self.line(&one.centreline, colour, width * 0.7, false);
        let around = outline(one.class, one.apex, unit * MARK);
        for (colour, width) in [(DARK, width * 1.9), (colour, width)] {
            self.strokes.push(Stroke { points: around.clone(), closed: true, colour, width, dashed: false });
        }
        if let Some(um) = one.apical_um.filter(|_| one.counted && tells) {
            let [x, y] = [one.apex[0] + one.toward[0] * unit * 36.0, one.apex[1] + one.toward[1] * unit * 36.0];
            let at = [x - unit * 12.0, y + unit * 9.0];
            self.labels.push(Label { at, ends_there: false, size: unit * 27.0, colour, text: format!("{um:.0}") });
        }
    }

    fn bar(&mut self, size: Size, length: f32, unit: f32, words: &str) {
        let [right, y] = [size.width as f32 - unit * 24.0, size.height as f32 - unit * 24.0];
        self.line(&[[right - length, y], [right, y]], WHITE, unit * 6.0, false);
        let at = [right, y - unit * 16.0];
        self.labels.push(Label { at, ends_there: true, size: unit * 30.0, colour: WHITE, text: words.to_owned() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measured::{NotMeasured, nothing};

    #[test]
    fn nothing_is_drawn_where_nothing_is_known() {
        let size = Size::new(640, 480);
        assert_eq!(overlay(size, None, "0.5 mm"), Overlay::default());
        assert_eq!(overlay(size, Some(&nothing(NotMeasured::NoScale)), "0.5 mm"), Overlay::default());
    }

    #[test]
    fn the_bar_is_half_a_millimetre_long() {
        let mut measured = nothing(NotMeasured::NoRow);
        measured.um_per_px = Some(2.0);
        let drawn = overlay(Size::new(1000, 800), Some(&measured), "0.5 mm");
        let [from, to] = drawn.strokes[1].points[..] else { panic!("{drawn:?}") };
        assert!((to[0] - from[0] - 250.0).abs() < 1e-3);
        assert_eq!(drawn.labels[0].text, "0.5 mm");
    }

    #[test]
    fn each_class_has_a_shape_and_a_colour_of_its_own() {
        let all =
            [LoopClass::Normal, LoopClass::Ectatic, LoopClass::Giant, LoopClass::Abnormal, LoopClass::NotEvaluable];
        for (i, one) in all.iter().enumerate() {
            for other in &all[..i] {
                assert_ne!(colour(*one), colour(*other));
                assert_ne!(outline(*one, [0.0, 0.0], 1.0), outline(*other, [0.0, 0.0], 1.0));
            }
        }
    }
}
