//! The shapes of single capillary loops, as strokes in um with the apex at the origin and the nail along +y.

use serde::{Deserialize, Serialize};

use super::rng::Rng;

/// The words of the EULAR morphology: the first five are normal shapes (hairpin, tortuous or crossing, of any
/// width), `Abnormal` is branched, bushy or with a tip that is not convex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    Hairpin,
    Tortuous,
    Crossing,
    /// Apical width 20 to 50 um.
    Ectatic,
    /// Apical width above 50 um.
    Giant,
    Abnormal,
}

/// Apical width from which a loop of normal shape is a giant, in um.
pub const GIANT_UM: f32 = 50.0;
/// Apical width from which it is ectatic, in um.
pub const ECTATIC_UM: f32 = 20.0;

/// A vessel's centre line with its width and how much it shows at each point.
#[derive(Clone, Debug, PartialEq)]
pub struct Stroke {
    pub points: Vec<[f32; 2]>,
    pub widths: Vec<f32>,
    /// Share of the vessel's own optical density, fading as the limb dives.
    pub shows: Vec<f32>,
}

/// What a loop is drawn from; lengths in um.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    pub length: f32,
    /// Between the centre lines of the limbs.
    pub gap: f32,
    pub arterial: f32,
    pub apical: f32,
    pub venous: f32,
    /// Amplitude of the wriggling.
    pub wriggle: f32,
    /// Half turns that the limbs make around each other; 0 for none.
    pub turns: f32,
    /// Length over which the limbs fade, as a share of `length`.
    pub fade: f32,
}

impl Shape {
    pub fn outer_width(&self) -> f32 {
        self.gap + self.apical.max((self.arterial + self.venous) / 2.0)
    }
}

const LIMB_POINTS: usize = 18;
const CAP_POINTS: usize = 9;

/// Two limbs and the cap between them.
pub fn hairpin(rng: &mut Rng, shape: &Shape) -> Stroke {
    let mut waves = |per: (f32, f32)| {
        let (frequency, phase) = (rng.within(per.0, per.1), rng.unit());
        move |s: f32| (std::f32::consts::TAU * (s * frequency + phase)).sin()
    };
    let (slow, quick, between) = (waves((0.6, 2.2)), waves((2.0, 4.0)), waves((1.0, 3.0)));
    let quickness = rng.within(0.0, 0.5);
    let bend = rng.within(-0.12, 0.12) * shape.length;
    let taper = rng.within(-0.3, 0.7);
    let head = (shape.gap / 2.0 * rng.within(0.7, 1.7)).min(shape.length * 0.5);
    let swell = rng.within(1.0, 1.2);

    let middle = |s: f32| {
        let here = slow(s) + quickness * quick(s);
        shape.wriggle * (here - slow(1.0) - quickness * quick(1.0)) + bend * (1.0 - s) * (1.0 - s)
    };
    let gap = |s: f32| {
        let parallel = shape.gap * (1.0 + taper * (1.0 - s));
        let twisted = parallel * (std::f32::consts::PI * shape.turns * (1.0 - s)).cos();
        twisted + 0.35 * shape.wriggle * between(s) * (1.0 - s)
    };
    let mut stroke = Stroke { points: Vec::new(), widths: Vec::new(), shows: Vec::new() };
    let limb = |side: f32, width: f32, stroke: &mut Stroke, up: bool| {
        for i in 0..LIMB_POINTS {
            let i = if up { i } else { LIMB_POINTS - 1 - i };
            let s = i as f32 / (LIMB_POINTS - 1) as f32;
            let y = -shape.length + s * (shape.length - head);
            stroke.points.push([middle(s) + side * gap(s) / 2.0, y]);
            stroke.widths.push(width + (shape.apical - width) * s.powi(3));
        }
    };
    limb(-1.0, shape.arterial, &mut stroke, true);
    for i in 1..=CAP_POINTS {
        let angle = std::f32::consts::PI * (1.0 - i as f32 / (CAP_POINTS + 1) as f32);
        let swelling = 1.0 + (swell - 1.0) * angle.sin();
        stroke.points.push([shape.gap / 2.0 * swelling * angle.cos(), head * (angle.sin() - 1.0)]);
        stroke.widths.push(shape.apical);
    }
    limb(1.0, shape.venous, &mut stroke, false);
    let steep = rng.within(1.0, 2.5);
    stroke.shows =
        stroke.points.iter().map(|p| (-(-p[1].min(0.0) / (shape.length * shape.fade)).powf(steep)).exp()).collect();
    stroke
}

/// A shape that is none of hairpin, tortuous and crossing.
pub fn abnormal(rng: &mut Rng, shape: &Shape) -> Vec<Stroke> {
    match rng.weighted(&[0.45, 0.35, 0.2]) {
        0 => branched(rng, shape),
        1 => bushy(rng, shape),
        _ => dented(rng, shape),
    }
}

/// A loop with one to four twigs from its upper half.
fn branched(rng: &mut Rng, shape: &Shape) -> Vec<Stroke> {
    let trunk = hairpin(rng, shape);
    let mut strokes = Vec::new();
    for _ in 0..rng.count(2, 4) {
        let from = LIMB_POINTS * 2 / 5 + (rng.unit() * (LIMB_POINTS + CAP_POINTS) as f32) as usize;
        let side = if from < trunk.points.len() / 2 { -1.0 } else { 1.0 };
        let reach = rng.within(0.25, 0.8) * shape.length.max(60.0);
        let width = trunk.widths[from] * rng.within(0.5, 0.9);
        strokes.push(twig(rng, trunk.points[from], side, reach, width));
    }
    strokes.insert(0, trunk);
    strokes
}

fn twig(rng: &mut Rng, from: [f32; 2], side: f32, reach: f32, width: f32) -> Stroke {
    const POINTS: usize = 12;
    let mut angle = side * rng.within(0.3, 1.3);
    let turn = side * rng.within(-0.16, 0.12);
    let mut at = from;
    let mut stroke = Stroke { points: vec![at], widths: vec![width], shows: vec![1.0] };
    for i in 1..POINTS {
        angle += turn + rng.normal() * 0.12;
        let step = reach / POINTS as f32;
        at = [at[0] + step * angle.sin(), at[1] + step * angle.cos()];
        stroke.points.push(at);
        stroke.widths.push(width * (1.0 - 0.35 * i as f32 / POINTS as f32));
        stroke.shows.push(1.0 - 0.4 * i as f32 / POINTS as f32);
    }
    stroke
}

/// Several small loops that sprout from one stem at different heights.
fn bushy(rng: &mut Rng, shape: &Shape) -> Vec<Stroke> {
    let stem_height = shape.length * rng.within(0.25, 0.6);
    let base = [0.0, -shape.length];
    let stem = Shape { length: stem_height, wriggle: shape.wriggle + 4.0, fade: 1.5, ..shape.clone() };
    let mut strokes = vec![turned(hairpin(rng, &stem), base, stem_height, rng.normal() * 0.2)];
    let count = rng.count(2, 5);
    for i in 0..count {
        let fan = (i as f32 / (count - 1) as f32 - 0.5) * rng.within(0.5, 1.7) + rng.normal() * 0.15;
        let left = shape.length - stem_height;
        let part = Shape {
            length: left * rng.within(0.5, 1.0),
            gap: shape.gap * rng.within(0.4, 0.9),
            apical: shape.apical * rng.within(0.6, 1.0),
            wriggle: shape.wriggle + rng.within(2.0, 9.0),
            fade: 2.0,
            ..shape.clone()
        };
        let foot = [base[0] + rng.normal() * shape.gap * 0.5, base[1] + stem_height * rng.within(0.6, 1.0)];
        let length = part.length;
        strokes.push(turned(hairpin(rng, &part), foot, length, fan));
    }
    strokes
}

/// Sets a loop of `length` upon `foot`, leaning by `angle`.
fn turned(mut stroke: Stroke, foot: [f32; 2], length: f32, angle: f32) -> Stroke {
    let (sin, cos) = angle.sin_cos();
    for p in &mut stroke.points {
        let up = [p[0], p[1] + length];
        *p = [foot[0] + up[0] * cos + up[1] * sin, foot[1] - up[0] * sin + up[1] * cos];
    }
    stroke
}

/// A wide head with a dent: the tip is not convex.
fn dented(rng: &mut Rng, shape: &Shape) -> Vec<Stroke> {
    let wide = Shape { gap: shape.gap.max(shape.apical * 1.6) + 12.0, turns: 0.0, ..shape.clone() };
    let mut stroke = hairpin(rng, &wide);
    let depth = rng.within(0.8, 1.6) * shape.apical + 8.0;
    let reach = wide.gap * 0.32;
    for p in &mut stroke.points[LIMB_POINTS..LIMB_POINTS + CAP_POINTS] {
        p[1] -= depth * (-(p[0] / reach).powi(2)).exp();
    }
    vec![stroke]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> Shape {
        Shape {
            length: 200.0,
            gap: 20.0,
            arterial: 9.0,
            apical: 13.0,
            venous: 12.0,
            wriggle: 4.0,
            turns: 0.0,
            fade: 0.7,
        }
    }

    #[test]
    fn a_hairpin_has_its_tip_at_the_origin_and_fades_downward() {
        let stroke = hairpin(&mut Rng::new(5, "hairpin"), &shape());
        let top = stroke.points.iter().map(|p| p[1]).fold(f32::MIN, f32::max);
        assert!(top.abs() < 0.5, "{top}");
        let tip = LIMB_POINTS + CAP_POINTS / 2;
        assert!(stroke.points[tip][0].abs() < 1.0);
        assert!((stroke.widths[tip] - 13.0).abs() < 1e-3);
        assert!(stroke.shows[tip] > 0.95 && stroke.shows[0] < 0.5);
        assert_eq!(stroke.points.len(), stroke.shows.len());
    }

    #[test]
    fn a_dent_lies_below_its_shoulders() {
        let stroke = &dented(&mut Rng::new(5, "dent"), &shape())[0];
        let tip = LIMB_POINTS + CAP_POINTS / 2;
        assert!(stroke.points[tip][1] < stroke.points[LIMB_POINTS + 1][1] - 3.0);
    }
}
