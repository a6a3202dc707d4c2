//! Hand-traced loops to their tips. A mask holds the outlines of the distal row's loops as drawn lines; each connected
//! piece is one loop, or a few where they touch. The tip is the end of a piece that lies away from its open limbs.

use super::thinning::Stroke;
use super::{Point, peaks};

/// The scale at which the lengths below were set, in um a pixel; at others they keep their length on the skin.
const SET_AT_UM: f64 = 2.56;
/// Smaller pieces are slips of the pen, in square pixels.
const LEAST_AREA_PX: f64 = 80.0;
/// Loops this near tell a wide piece which way it points.
const NEAR_PX: f64 = 150.0;
/// Two tips of one piece: how far apart, and how deep the dip between them.
const APART_PX: f64 = 14.0;
const DIP_PX: f64 = 14.0;
/// The tip is the middle of the ink so far beside and below the highest place.
const BESIDE_PX: f64 = 5.0;
const BELOW_PX: f64 = 8.0;
/// What the direction of one piece weighs at most.
const MOST_SAY_PX: f64 = 30.0;
/// Labelled tips count as far as this beyond the outermost ones.
const MARGIN_PX: f64 = 12.0;

/// Which pixels of a picture are drawn on.
pub struct Ink {
    pub width: usize,
    pub height: usize,
    pub set: Vec<bool>,
}

/// The labelled row of one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Traced {
    pub tips: Vec<Point>,
    /// Unit vector from the limbs to the tips, over all loops.
    pub toward: Point,
    um_per_px: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MaskError {
    #[error("no loop is traced in it")]
    Empty,
    #[error("it cannot be told which way its loops point: trace them as lines whose limbs end apart from each other")]
    NoDirection,
}

/// A traced piece.
struct Piece {
    pixels: Vec<[usize; 2]>,
    middle: Point,
    /// Unit vector along it, either way.
    axis: Point,
    /// Length over breadth.
    slender: f64,
    ends: Vec<Point>,
}

impl Ink {
    /// From RGB pixels: drawn is what is lighter than half.
    pub fn of_rgb(width: usize, height: usize, rgb: &[u8]) -> Self {
        let luma = |p: &[u8]| (299 * u32::from(p[0]) + 587 * u32::from(p[1]) + 114 * u32::from(p[2]) + 500) / 1000;
        Self { width, height, set: rgb.chunks_exact(3).map(|p| luma(p) > 127).collect() }
    }

    /// Closes gaps of one or two pixels: what is set within a pixel, less what is unset within a pixel of that.
    fn closed(&self) -> Self {
        let wide = self.within_a_pixel(&self.set, true);
        Self { width: self.width, height: self.height, set: self.within_a_pixel(&wide, false) }
    }

    /// Whether any (`any`) or all of the pixel and its neighbours in the picture are set.
    fn within_a_pixel(&self, set: &[bool], any: bool) -> Vec<bool> {
        let span = |at: usize, end: usize| at.saturating_sub(1)..(at + 2).min(end);
        (0..self.height)
            .flat_map(|y| (0..self.width).map(move |x| (x, y)))
            .map(|(x, y)| {
                let mut all = span(y, self.height)
                    .flat_map(|y| span(x, self.width).map(move |x| (x, y)))
                    .map(|(x, y)| set[y * self.width + x]);
                if any { all.any(|set| set) } else { all.all(|set| set) }
            })
            .collect()
    }

    /// Connected pieces, touching at corners included.
    fn pieces(mut self) -> Vec<Vec<[usize; 2]>> {
        let mut found = Vec::new();
        for start in 0..self.set.len() {
            if !std::mem::take(&mut self.set[start]) {
                continue;
            }
            let mut piece = vec![[start % self.width, start / self.width]];
            let mut next = 0;
            while let Some([x, y]) = piece.get(next).copied() {
                for ny in y.saturating_sub(1)..(y + 2).min(self.height) {
                    for nx in x.saturating_sub(1)..(x + 2).min(self.width) {
                        if std::mem::take(&mut self.set[ny * self.width + nx]) {
                            piece.push([nx, ny]);
                        }
                    }
                }
                next += 1;
            }
            found.push(piece);
        }
        found
    }
}

/// The tips of the traced loops.
pub fn tips(ink: &Ink, um_per_px: f64) -> Result<Traced, MaskError> {
    let px = |at_set_scale: f64| at_set_scale * SET_AT_UM / um_per_px;
    let least_area = LEAST_AREA_PX * px(1.0).powi(2);
    let pieces: Vec<Piece> =
        ink.closed().pieces().into_iter().filter(|pixels| pixels.len() as f64 >= least_area).map(Piece::of).collect();
    if pieces.is_empty() {
        return Err(MaskError::Empty);
    }
    let toward = direction(&pieces, px(MOST_SAY_PX)).ok_or(MaskError::NoDirection)?;
    let mut tips = Vec::new();
    for piece in &pieces {
        let up = piece.up(&pieces, toward, px(NEAR_PX)).ok_or(MaskError::NoDirection)?;
        piece.tips(up, &px, &mut tips);
    }
    Ok(Traced { tips, toward, um_per_px })
}

/// Open ends lie at the limbs: the way from them to the middle, summed, then each slender piece's axis that way.
fn direction(pieces: &[Piece], most: f64) -> Option<Point> {
    let mut sum = [0.0; 2];
    for piece in pieces.iter().filter(|piece| !piece.ends.is_empty()) {
        let count = piece.ends.len() as f64;
        let ends = piece.ends.iter().fold([0.0; 2], |sum, e| [sum[0] + e[0] / count, sum[1] + e[1] / count]);
        let say = dot([piece.middle[0] - ends[0], piece.middle[1] - ends[1]], piece.axis).clamp(-most, most);
        sum = [sum[0] + piece.axis[0] * say, sum[1] + piece.axis[1] * say];
    }
    let mut toward = unit(sum)?;
    // The first turn may sway the vote of the second; more change nothing.
    for _ in 0..3 {
        let slender = pieces.iter().filter(|piece| piece.slender > 1.5);
        let votes = slender.map(|piece| piece.along(toward)).fold([0.0; 2], |sum, v| [sum[0] + v[0], sum[1] + v[1]]);
        toward = unit(votes).unwrap_or(toward);
    }
    Some(toward)
}

impl Piece {
    fn of(pixels: Vec<[usize; 2]>) -> Self {
        let n = pixels.len() as f64;
        let points = || pixels.iter().map(|[x, y]| [*x as f64, *y as f64]);
        let sum = points().fold([0.0; 2], |sum, p| [sum[0] + p[0], sum[1] + p[1]]);
        let middle = [sum[0] / n, sum[1] / n];
        let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
        for [x, y] in points() {
            let (dx, dy) = (x - middle[0], y - middle[1]);
            (xx, xy, yy) = (xx + dx * dx, xy + dx * dy, yy + dy * dy);
        }
        let spread = ((xx - yy) / 2.0).hypot(xy);
        let (long, short) = ((xx + yy) / 2.0 + spread, ((xx + yy) / 2.0 - spread).max(0.0));
        let turned = xy.atan2((xx - yy) / 2.0) / 2.0;
        Self {
            middle,
            axis: [turned.cos(), turned.sin()],
            slender: (long / short).sqrt(),
            ends: Stroke::of(&pixels).ends(),
            pixels,
        }
    }

    /// Its axis, the way that `toward` points.
    fn along(&self, toward: Point) -> Point {
        let way = dot(self.axis, toward);
        if way == 0.0 { [0.0; 2] } else { self.axis.map(|v| v * way.signum()) }
    }

    /// Which way its tip lies: its own axis where it is slender, else that of slender ones near it, else of the row.
    fn up(&self, pieces: &[Self], toward: Point, near_px: f64) -> Option<Point> {
        let own = if self.slender > 1.5 { self.along(toward) } else { toward };
        if self.slender >= 2.5 {
            return Some(own);
        }
        let near = |other: &&Self| {
            let far = (other.middle[0] - self.middle[0]).hypot(other.middle[1] - self.middle[1]);
            other.slender > 2.0 && far < near_px
        };
        let mut votes = pieces.iter().filter(near).map(|other| other.along(toward)).peekable();
        if votes.peek().is_none() {
            return Some(own);
        }
        unit(votes.fold([0.0; 2], |sum, v| [sum[0] + v[0], sum[1] + v[1]]))
    }

    /// The profile of its upper side, smoothed over three columns; each peak of it is a tip.
    fn tips(&self, up: Point, px: &dyn Fn(f64) -> f64, tips: &mut Vec<Point>) {
        let right = [-up[1], up[0]];
        let places: Vec<(Point, f64, f64)> =
            self.pixels.iter().map(|[x, y]| [*x as f64, *y as f64]).map(|p| (p, dot(p, right), dot(p, up))).collect();
        let least = |of: fn(&(Point, f64, f64)) -> f64| places.iter().map(of).fold(f64::INFINITY, f64::min);
        let (left, low) = (least(|p| p.1).floor(), least(|p| p.2));
        let (end, high) = (-least(|p| -p.1), -least(|p| -p.2));
        let mut profile = vec![low - 1.0; (end - left) as usize + 1 + 2 * PAD];
        for (_, a, t) in &places {
            let column = &mut profile[(a - left) as usize + PAD];
            *column = column.max(*t);
        }
        let smooth = smoothed(&profile);
        let top = highest(&smooth);
        let mut found = peaks::find(&smooth, px(APART_PX).ceil().max(1.0) as usize, px(DIP_PX));
        // A peak far down is a foot of the limbs.
        found.retain(|peak| smooth[*peak] > low + 0.35 * (high - low));
        if found.is_empty() {
            found.push(top);
        }
        for peak in found {
            let at = left + peak as f64 - PAD as f64;
            let here = |p: &&(Point, f64, f64)| (p.1 - at).abs() < px(BESIDE_PX) && p.2 > smooth[peak] - px(BELOW_PX);
            let head: Vec<Point> = places.iter().filter(here).map(|p| p.0).collect();
            tips.push(mean(&head).unwrap_or_else(|| highest_place(&places)));
        }
    }
}

/// Empty columns before and after a profile, so that its ends can be peaks.
const PAD: usize = 3;

/// Means of three; the ends go on as they are.
fn smoothed(profile: &[f64]) -> Vec<f64> {
    let last = profile.len() - 1;
    (0..=last).map(|i| (profile[i.saturating_sub(1)] + profile[i] + profile[(i + 1).min(last)]) / 3.0).collect()
}

fn highest(profile: &[f64]) -> usize {
    (0..profile.len()).fold(0, |best, i| if profile[i] > profile[best] { i } else { best })
}

fn highest_place(places: &[(Point, f64, f64)]) -> Point {
    let first = (places[0].0, places[0].2);
    places.iter().fold(first, |best, p| if p.2 > best.1 { (p.0, p.2) } else { best }).0
}

fn mean(points: &[Point]) -> Option<Point> {
    let n = points.len() as f64;
    let sum = points.iter().fold([0.0; 2], |sum, p| [sum[0] + p[0], sum[1] + p[1]]);
    (!points.is_empty()).then(|| [sum[0] / n, sum[1] / n])
}

fn dot(a: Point, b: Point) -> f64 {
    a[0] * b[0] + a[1] * b[1]
}

fn unit(v: Point) -> Option<Point> {
    let length = v[0].hypot(v[1]);
    (length > 1e-9).then(|| [v[0] / length, v[1] / length])
}

impl Traced {
    /// Where a place stands along the row, in pixels.
    fn along(&self, place: Point) -> f64 {
        dot(place, [-self.toward[1], self.toward[0]])
    }

    fn reach(&self) -> [f64; 2] {
        let along = || self.tips.iter().map(|tip| self.along(*tip));
        [along().fold(f64::INFINITY, f64::min), along().fold(f64::NEG_INFINITY, f64::max)]
    }

    /// Whether a place lies within the stretch of row that was traced.
    pub fn holds(&self, place: Point) -> bool {
        let ([from, to], margin) = (self.reach(), MARGIN_PX * SET_AT_UM / self.um_per_px);
        (from - margin..=to + margin).contains(&self.along(place))
    }

    /// From the first to the last traced tip along the row; `None` where there are not two.
    pub fn span_mm(&self) -> Option<f64> {
        let [from, to] = self.reach();
        let span = (to - from) * self.um_per_px / 1000.0;
        (self.tips.len() > 1 && span > 0.0).then_some(span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hairpins of the given tips, drawn with a pen of five pixels: limbs 24 pixels apart at most, 90 long.
    fn drawn(tips: &[[f64; 2]], turned: f64) -> Ink {
        let (width, height) = (500, 400);
        let mut set = vec![false; width * height];
        let (sin, cos) = turned.sin_cos();
        for tip in tips {
            for step in 0..=400 {
                // A half circle of radius 12 below the tip, then two straight limbs.
                let s = f64::from(step) / 400.0 * 2.0 - 1.0;
                let (across, down) = if s.abs() < 0.4 {
                    let turn = s / 0.4 * std::f64::consts::FRAC_PI_2;
                    (12.0 * turn.sin(), 12.0 - 12.0 * turn.cos())
                } else {
                    (12.0 * s.signum(), 12.0 + (s.abs() - 0.4) / 0.6 * 80.0)
                };
                let (x, y) = (tip[0] + across * cos - down * sin, tip[1] + across * sin + down * cos);
                for dy in -2..=2 {
                    for dx in -2..=2 {
                        let (x, y) = ((x.round() as i32 + dx) as usize, (y.round() as i32 + dy) as usize);
                        set[y * width + x] = true;
                    }
                }
            }
        }
        Ink { width, height, set }
    }

    fn near(found: &[Point], expected: &[[f64; 2]], within: f64) {
        assert_eq!(found.len(), expected.len(), "{found:?} for {expected:?}");
        for tip in expected {
            let far = found.iter().map(|f| (f[0] - tip[0]).hypot(f[1] - tip[1])).fold(f64::INFINITY, f64::min);
            assert!(far < within, "{far} px off {tip:?}: {found:?}");
        }
    }

    #[test]
    fn tips_of_drawn_hairpins_are_found_whichever_way_they_point() {
        let row = [[60.0, 150.0], [130.0, 160.0], [210.0, 155.0], [300.0, 150.0]];
        for (turned, toward) in [(0.0, [0.0, -1.0]), (std::f64::consts::PI, [0.0, 1.0]), (0.5, [0.479, -0.878])] {
            let traced = tips(&drawn(&row, turned), 2.56).unwrap();
            near(&traced.tips, &row, 5.0);
            let off = (traced.toward[0] - toward[0]).hypot(traced.toward[1] - toward[1]);
            assert!(off < 0.05, "turned by {turned}: {:?}", traced.toward);
        }
    }

    #[test]
    fn two_loops_that_touch_are_two_and_a_slip_of_the_pen_is_none() {
        let row = [[60.0, 150.0], [100.0, 158.0], [200.0, 150.0]];
        let mut ink = drawn(&row, 0.0);
        // The limbs between the first two touch further down.
        for x in 70..90 {
            (200..204).for_each(|y| ink.set[y * ink.width + x] = true);
        }
        for at in 0..60 {
            ink.set[(300 + at / 10) * ink.width + 300 + at % 10] = true;
        }
        near(&tips(&ink, 2.56).unwrap().tips, &row, 6.0);
    }

    #[test]
    fn the_span_reaches_from_the_first_tip_to_the_last() {
        let traced = tips(&drawn(&[[60.0, 150.0], [260.0, 150.0]], 0.0), 2.5).unwrap();
        assert!((traced.span_mm().unwrap() - 0.5).abs() < 0.005, "{:?}", traced.span_mm());
        let places = [[40.0, 10.0], [50.0, 10.0], [200.0, 390.0], [290.0, 150.0]];
        assert_eq!(places.map(|place| traced.holds(place)), [false, true, true, false]);
        let one = tips(&drawn(&[[60.0, 150.0]], 0.0), 2.5).unwrap();
        assert_eq!(one.span_mm(), None);
    }

    #[test]
    fn a_mask_without_a_loop_or_without_open_ends_is_refused() {
        let blank = Ink { width: 100, height: 100, set: vec![false; 10_000] };
        assert_eq!(tips(&blank, 2.56), Err(MaskError::Empty));
        let disc = |at: usize| (at as f64 % 100.0 - 50.0).hypot((at / 100) as f64 - 50.0);
        let ring = Ink { set: (0..10_000).map(|at| (20.0..25.0).contains(&disc(at))).collect(), ..blank };
        assert_eq!(tips(&ring, 2.56), Err(MaskError::NoDirection));
    }
}
