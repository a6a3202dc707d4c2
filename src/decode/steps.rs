//! Finds the one trace of lost data that keeps every code legal. When overwritten bits happen to hold as many
//! blocks as before, all codes behind them stay in place, but the mean level of every block up to the next restart
//! marker is shifted: the picture steps, to the pixel, along the edges of its coding units. Optics do not do that.

use crate::frame::Size;

/// Rows compared across a unit's upper edge, counted from it: the inner two far enough apart that interpolated
/// chroma (4:2:0 spreads it over the two rows at the edge) has taken its full step, the outer two to take the
/// slope of the picture away.
const NEAR: [isize; 4] = [-5, -2, 1, 4];
/// Two rows farther apart: a step shows here as well, a dark line in the picture does not.
const FAR: [isize; 2] = [-7, 6];
/// Smallest step in grey levels that counts; half of what one sees as a different tone.
const LEAST_STEP: f32 = 4.0;
/// Fewest unit edges that speak for a step: less is less than a thousandth of the picture.
const FEWEST_EDGES: usize = 12;
/// The same for a shift that begins in the first row of units, whose upper edges show nothing: only the edges below
/// the few units before it do, though nearly the whole picture is shifted. Such a step must be nearly complete.
const FEWEST_EDGES_AT_TOP: usize = 4;
/// How many times the variance of an edge the step must explain beyond what edges along whole rows explain.
/// Over 51 real nailfold frames at two qualities and three samplings, with and without restart markers, undamaged
/// ones reached 202; 232 damaged ones whose codes all stayed legal began at 315.
const LEAST_GAIN: f32 = 250.0;
/// Share of the edges that must bear the step, each by itself; for a step along a whole row, which the border of
/// a bar makes too, nearly all.
const AGREEING: f32 = 0.6;
const AGREEING_WHOLE_ROW: f32 = 0.9;
/// A row that varies by no more than this is the blank bar of a letterbox, whose border is no damage.
const FLAT: u8 = 12;

/// How the coding units lie in the picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Units {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) across: usize,
    /// Units between restart markers.
    pub(super) interval: usize,
}

/// Reused memory.
#[derive(Debug, Default)]
pub(super) struct Steps {
    /// For red, green and blue: the step across the upper edge of each unit from the second row on, as running
    /// sums in reading order.
    sums: [Vec<f32>; 3],
    row: Vec<i16>,
    squares: Vec<f32>,
}

/// The picture and how its units lie, while it is searched.
#[derive(Clone, Copy, Debug)]
struct Picture<'a> {
    pixels: &'a [u8],
    size: Size,
    units: Units,
}

impl Steps {
    /// Whether the picture bears a step that only damage makes.
    pub(super) fn found(&mut self, pixels: &[u8], size: Size, units: Units) -> bool {
        let picture = Picture { pixels, size, units };
        self.measure(&picture);
        (0..3).any(|channel| stepped(&self.sums[channel], channel, &picture, &mut self.squares))
    }

    fn measure(&mut self, picture: &Picture<'_>) {
        let units = picture.units;
        self.row.resize(picture.stride(), 0);
        for sums in &mut self.sums {
            sums.clear();
            sums.push(0.0);
        }
        // The last rows of a picture may lie in a unit that is not whole.
        for edge in (units.height..picture.size.height as usize - 6).step_by(units.height) {
            let [a, b, c, d] = NEAR.map(|offset| picture.row(edge, offset));
            for ((((out, a), b), c), d) in self.row.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                *out = 3 * (i16::from(*c) - i16::from(*b)) - (i16::from(*d) - i16::from(*a));
            }
            for unit in self.row.chunks(units.width * 3) {
                let doubled = 2.0 * (unit.len() / 3) as f32;
                for (sums, total) in self.sums.iter_mut().zip(channel_sums(unit)) {
                    sums.push(sums[sums.len() - 1] + f32::from(total) / doubled);
                }
            }
        }
    }
}

impl<'a> Picture<'a> {
    fn stride(&self) -> usize {
        self.size.width as usize * 3
    }

    fn row(&self, edge: usize, offset: isize) -> &'a [u8] {
        &self.pixels[edge.wrapping_add_signed(offset) * self.stride()..][..self.stride()]
    }

    /// The step of one channel across the edges `from..to`, added up, taken farther from the edge.
    fn far(&self, channel: usize, from: usize, to: usize) -> f32 {
        (from..to).map(|index| self.far_step(channel, index)).sum()
    }

    fn far_step(&self, channel: usize, index: usize) -> f32 {
        let edge = (index / self.units.across + 1) * self.units.height;
        let bytes = index % self.units.across * self.units.width * 3..self.stride();
        let [above, below] = FAR.map(|offset| {
            let unit = self.row(edge, offset)[bytes.clone()].chunks_exact(3).take(self.units.width);
            unit.map(|pixel| f32::from(pixel[channel])).sum::<f32>()
        });
        (below - above) / self.units.width.min(bytes.len() / 3) as f32
    }

    /// Whether the picture is blank on one side of the edges of a row.
    fn is_flat_beside(&self, row: usize) -> bool {
        let edge = (row + 1) * self.units.height;
        [NEAR[1], NEAR[2]].into_iter().any(|offset| {
            let row = self.row(edge, offset);
            let close = |pixel: &[u8]| pixel.iter().zip(row).all(|(value, first)| value.abs_diff(*first) <= FLAT);
            row.chunks_exact(3).all(close)
        })
    }
}

/// Sums of the three channels of at most 32 pixels; sixteen bits hold them, since no value is past 1020.
fn channel_sums(row: &[i16]) -> [i16; 3] {
    let mut lanes = [0i16; 24];
    let parts = row.chunks_exact(24);
    let rest = parts.remainder();
    for part in parts {
        lanes.iter_mut().zip(part).for_each(|(lane, value)| *lane += value);
    }
    lanes.iter_mut().zip(rest).for_each(|(lane, value)| *lane += value);
    let (low, high) = lanes.split_at(12);
    let mut sums = [0; 3];
    for (n, (low, high)) in low.iter().zip(high).enumerate() {
        sums[n % 3] += low + high;
    }
    sums
}

/// Searches one channel for a unit from which on the picture is shifted.
fn stepped(sums: &[f32], channel: usize, picture: &Picture<'_>, squares: &mut Vec<f32>) -> bool {
    let Units { across, interval, .. } = picture.units;
    let count = sums.len() - 1;
    let mut noise = None;
    let mut end = interval;
    for unit in 0..count + across {
        if unit == end {
            end += interval;
        }
        let trace = Trace::of(unit, end, across, count);
        let (edges, sum) = (trace.edges(), trace.sum(sums));
        let fewest = if unit < across { FEWEST_EDGES_AT_TOP } else { FEWEST_EDGES };
        if edges < fewest || sum.abs() < LEAST_STEP * edges as f32 {
            continue;
        }
        let step = sum / edges as f32;
        let (row, column) = ((unit / across).saturating_sub(1), unit % across);
        let (explained, agreeing) = match column {
            0 => (0.0, AGREEING_WHOLE_ROW),
            _ if edges < FEWEST_EDGES => (0.0, AGREEING_WHOLE_ROW),
            _ => ((row..row + 3).map(|row| whole_row(sums, row * across, across)).sum(), AGREEING),
        };
        if sum * step - explained > LEAST_GAIN * *noise.get_or_insert_with(|| variance(sums, squares))
            && trace.agreeing(sums, step) >= agreeing
            && (0.5..2.0).contains(&(trace.far(channel, picture) / sum))
            && !(column == 0 && unit >= across && picture.is_flat_beside(row))
        {
            return true;
        }
    }
    false
}

/// What a step along a whole row of units explains: the edge of a bar or of a nail that lies level.
fn whole_row(sums: &[f32], from: usize, across: usize) -> f32 {
    let last = sums.len() - 1;
    let sum = sums[(from + across).min(last)] - sums[from.min(last)];
    sum * sum / across as f32
}

/// The variance of an edge without a step, by the median of every third so that loops and specks do not count.
fn variance(sums: &[f32], squares: &mut Vec<f32>) -> f32 {
    squares.clear();
    squares.extend(sums.windows(2).step_by(3).map(|pair| (pair[1] - pair[0]) * (pair[1] - pair[0])));
    let middle = squares.len() / 2;
    // The median of a squared normal variable is 0.455 of its variance; below 1/16 only rounding is left.
    (*squares.select_nth_unstable_by(middle, f32::total_cmp).1 / 0.455).max(0.0625)
}

/// Units that a shift from one unit on puts a step above, and those it puts the opposite step above.
#[derive(Clone, Copy, Debug)]
struct Trace {
    from: usize,
    to: usize,
    back_from: usize,
    back_to: usize,
}

impl Trace {
    /// What a shift from `unit` to `end`, where the restart interval ends, would mark, as indices of edges. The
    /// first row of units has none.
    fn of(unit: usize, end: usize, across: usize, count: usize) -> Self {
        let edge = |unit: usize| unit.saturating_sub(across).min(count);
        let next_row = unit + across;
        Self {
            from: edge(unit),
            to: edge(end.min(next_row)),
            back_from: edge(end.max(next_row)),
            back_to: edge((end + across).min(next_row + across)),
        }
    }

    fn edges(&self) -> usize {
        self.to - self.from + self.back_to.saturating_sub(self.back_from)
    }

    fn sum(&self, sums: &[f32]) -> f32 {
        let back = if self.back_to > self.back_from { sums[self.back_to] - sums[self.back_from] } else { 0.0 };
        sums[self.to] - sums[self.from] - back
    }

    fn far(&self, channel: usize, picture: &Picture<'_>) -> f32 {
        picture.far(channel, self.from, self.to)
            - picture.far(channel, self.back_from, self.back_to.max(self.back_from))
    }

    /// Share of the edges that bear at least a third of `step`.
    fn agreeing(&self, sums: &[f32], step: f32) -> f32 {
        let bears = |n: usize, sign: f32| (sums[n + 1] - sums[n]) * sign * step.signum() >= step.abs() / 3.0;
        let count = (self.from..self.to).filter(|&n| bears(n, 1.0)).count()
            + (self.back_from..self.back_to).filter(|&n| bears(n, -1.0)).count();
        count as f32 / self.edges() as f32
    }
}
