//! Where the view stands, by laying each picture over a reference picture: shift by shift from coarse to fine, on
//! structure alone, so that light, shading and a few moving highlights do not matter. While the view stays near,
//! the reference stays the same, and the track does not drift.

use std::time::Duration;

use super::reduce::Plane;
use crate::outcome::View;
use crate::time::Stamp;

/// Farthest shift between a picture and where it is expected, in columns of the coarse picture of 80: 15 % of the
/// width. At 30 frames a second that is four widths a second, faster than a hand follows a finger.
const REACH: i32 = 12;
/// The reference is renewed when the view stands farther off than this, in coarse columns, so that enough of the
/// pictures overlaps.
const RENEW: i32 = 10;
/// Mean difference at the best shift over that at all shifts. Between different real frames it is 0.82 to 0.96;
/// between two pictures of one view, moved by up to a tenth, with noise, one of them blurred, 0.20 to 0.42.
const MATCH: f32 = 0.62;
/// Mean structure below which there is nothing to hold on to, in units of the structure (thousandths of the light).
const LEAST_STRUCTURE: f32 = 2.0;
/// After the track was lost the view is unknown at least this long: at 15 read frames a second some of these
/// frames are certain to be seen, and nobody takes the new count for the old one.
const LOST_FOR: Duration = Duration::from_millis(500);
/// Structure beyond this counts as this: highlights and dirt weigh no more than loops.
const CLIP: f32 = 160.0;

/// Structure of a picture at three sizes: 320, 160 and 80 columns.
#[derive(Clone, Debug, Default)]
struct Pyramid {
    levels: [Level; 3],
}

#[derive(Clone, Debug, Default)]
struct Level {
    width: usize,
    height: usize,
    values: Vec<i16>,
}

/// What a picture's place tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Motion {
    /// Against the picture before, in thousandths of the width.
    pub(super) shift: Option<f32>,
    /// The same a second, in widths.
    pub(super) speed: Option<f32>,
    pub(super) view: View,
}

impl Motion {
    const UNKNOWN: Self = Self { shift: None, speed: None, view: None };
}

/// Follows the view from picture to picture.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    reference: Pyramid,
    current: Pyramid,
    /// Offset of the reference; `None` before the first picture.
    origin: Option<[f32; 2]>,
    /// Where the last picture stood over the reference, in columns and rows of the 320-column picture.
    last: [f32; 2],
    last_at: Stamp,
    lost_at: Option<Stamp>,
}

impl Tracker {
    /// Begins anew: another source, another picture size.
    pub(super) fn restart(&mut self) {
        self.origin = None;
        self.lost_at = None;
    }

    /// `smooth` and `shading` are the picture with its noise and with its structure taken off.
    #[inline(always)]
    pub(super) fn follow(&mut self, smooth: &Plane, shading: &Plane, at: Stamp) -> Motion {
        self.current.fill(smooth, shading);
        let before = std::mem::replace(&mut self.last_at, at);
        let structured = self.current.levels[0].mean_size() >= LEAST_STRUCTURE;
        let Some(origin) = self.origin else {
            return if structured { self.begin(at) } else { Motion::UNKNOWN };
        };
        let same_shape = self.current.levels[0].width == self.reference.levels[0].width
            && self.current.levels[0].height == self.reference.levels[0].height;
        let found = if structured && same_shape { self.current.over(&self.reference, self.last) } else { None };
        let Some(place) = found else {
            self.lost_at = Some(at);
            return if structured {
                Motion { view: None, ..self.begin(at) }
            } else {
                self.origin = None;
                Motion::UNKNOWN
            };
        };
        let (width, height) = (smooth.width as f32, smooth.height as f32);
        let shift = (place[0] - self.last[0]).hypot(place[1] - self.last[1]) / width;
        let seconds = at.since(before).as_secs_f32();
        let offset = [origin[0] + place[0] / width, origin[1] + place[1] / height];
        self.last = place;
        if place.iter().any(|far| far.abs() > (4 * RENEW) as f32) {
            self.renew(offset);
        }
        let unknown = self.lost_at.is_some_and(|lost| at.since(lost) < LOST_FOR);
        Motion {
            shift: Some(1000.0 * shift),
            speed: (seconds > 0.0).then(|| shift / seconds),
            view: (!unknown).then_some(offset),
        }
    }

    #[inline(always)]
    fn begin(&mut self, at: Stamp) -> Motion {
        self.renew([0.0; 2]);
        let unknown = self.lost_at.is_some_and(|lost| at.since(lost) < LOST_FOR);
        Motion { shift: None, speed: None, view: (!unknown).then_some([0.0; 2]) }
    }

    fn renew(&mut self, offset: [f32; 2]) {
        std::mem::swap(&mut self.reference, &mut self.current);
        self.origin = Some(offset);
        self.last = [0.0; 2];
    }
}

impl Pyramid {
    #[inline(always)]
    fn fill(&mut self, smooth: &Plane, shading: &Plane) {
        let [whole, half, quarter] = &mut self.levels;
        (whole.width, whole.height) = (smooth.width, smooth.height);
        whole.values.clear();
        whole.values.extend(
            smooth
                .values
                .iter()
                .zip(&shading.values)
                .map(|(value, shading)| (1000.0 * (value - shading) / (shading + 8.0)).clamp(-CLIP, CLIP) as i16),
        );
        half.halve(whole);
        quarter.halve(half);
    }

    /// Where this picture lies over `reference`, looked for around `expected`, in columns and rows. `None` when
    /// no place is much better than the others.
    #[inline(always)]
    fn over(&self, reference: &Self, expected: [f32; 2]) -> Option<[f32; 2]> {
        let expected = expected.map(|value| (value / 4.0).round() as i32);
        let [whole, half, quarter] = &self.levels;
        let (mut best, mut least, mut total, mut count) = ([0; 2], f32::MAX, 0.0, 0.0);
        for y in expected[1] - REACH..=expected[1] + REACH {
            for x in expected[0] - REACH..=expected[0] + REACH {
                let Some(difference) = quarter.difference(&reference.levels[2], [x, y]) else { continue };
                total += difference;
                count += 1.0;
                if difference < least {
                    (best, least) = ([x, y], difference);
                }
            }
        }
        if count == 0.0 || least * count > MATCH * total {
            return None;
        }
        best = half.refine(&reference.levels[1], best.map(|value| 2 * value))?;
        best = whole.refine(&reference.levels[0], best.map(|value| 2 * value))?;
        Some(whole.between(&reference.levels[0], best))
    }
}

impl Level {
    #[inline(always)]
    fn halve(&mut self, from: &Self) {
        (self.width, self.height) = (from.width / 2, from.height / 2);
        self.values.clear();
        for y in 0..self.height {
            let [upper, lower] = [2 * y, 2 * y + 1].map(|line| &from.values[line * from.width..][..from.width]);
            let pairs = upper.chunks_exact(2).zip(lower.chunks_exact(2));
            self.values.extend(pairs.map(|(upper, lower)| (upper[0] + upper[1] + lower[0] + lower[1]) / 4));
        }
    }

    #[inline(always)]
    fn mean_size(&self) -> f32 {
        let sum: u32 = self.values.iter().map(|value| u32::from(value.unsigned_abs())).sum();
        sum as f32 / self.values.len().max(1) as f32
    }

    /// Mean difference where the two overlap when this lies `shift` cells over `reference`. `None` when less than
    /// half overlaps.
    #[inline(always)]
    fn difference(&self, reference: &Self, shift: [i32; 2]) -> Option<f32> {
        let [x, y] = shift;
        let (width, height) = (self.width as i32, self.height as i32);
        let (columns, rows) = (width - x.abs(), height - y.abs());
        if columns <= 0 || rows <= 0 || 2 * columns * rows < width * height {
            return None;
        }
        let mut sum = 0u64;
        for line in 0..rows {
            let at = |from_x: i32, from_y: i32| ((line + from_y) * width + from_x) as usize;
            let ours = &self.values[at((-x).max(0), (-y).max(0))..][..columns as usize];
            let theirs = &reference.values[at(x.max(0), y.max(0))..][..columns as usize];
            let row: u32 = ours.iter().zip(theirs).map(|(a, b)| u32::from((a - b).unsigned_abs())).sum();
            sum += u64::from(row);
        }
        Some(sum as f32 / (columns * rows) as f32)
    }

    /// The best of the nine shifts around one.
    #[inline(always)]
    fn refine(&self, reference: &Self, around: [i32; 2]) -> Option<[i32; 2]> {
        let near = (-1..=1).flat_map(|y| (-1..=1).map(move |x| [around[0] + x, around[1] + y]));
        let differences = near.filter_map(|shift| Some((shift, self.difference(reference, shift)?)));
        differences.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(shift, _)| shift)
    }

    /// The place of the least difference between whole shifts, by a parabola through three of them each way.
    #[inline(always)]
    fn between(&self, reference: &Self, best: [i32; 2]) -> [f32; 2] {
        let at = |x: i32, y: i32| self.difference(reference, [best[0] + x, best[1] + y]);
        let vertex = |before: Option<f32>, middle: Option<f32>, after: Option<f32>| match (before, middle, after) {
            (Some(before), Some(middle), Some(after)) if before + after > 2.0 * middle => {
                (0.5 * (before - after) / (before + after - 2.0 * middle)).clamp(-0.5, 0.5)
            }
            _ => 0.0,
        };
        let middle = at(0, 0);
        [best[0] as f32 + vertex(at(-1, 0), middle, at(1, 0)), best[1] as f32 + vertex(at(0, -1), middle, at(0, 1))]
    }
}
