//! Finds the distal row: the line along which tips stand and beyond which the nail's side begins, whichever way
//! the picture is turned. The best line of all is found, by dynamic programming over steps along the fold.

use super::tips::Tip;
use crate::infer::{Maps, Plane, sigmoid};

/// Steps of the search, in um: along the fold and towards the nail.
const STEP_U: f32 = 40.0;
const STEP_W: f32 = 20.0;
/// Steepest rise a step along, in steps towards the nail: 60 degrees.
const STEEPEST: usize = 4;
/// How far from the line a tip still speaks for it, in um.
const REACH_UM: f32 = 150.0;
/// Ahead of and behind the line, how much of the nail's side is compared, in um.
const SIDE_UM: f32 = 200.0;
/// What the nail's edge weighs beside a tip of score one.
const EDGE_WEIGHT: f32 = 0.35;
/// What a rise of one step towards the nail a step along costs; rises go in as squares.
const BEND_COST: f32 = 0.03;

/// The row in a frame of its own: `u` along the fold and `w` towards the nail, in um from the picture's middle.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub axes: Axes,
    /// `u` of the first place of the line; the others follow by `STEP_U`.
    first: f32,
    heights: Vec<f32>,
    /// Which of the places lie inside the picture.
    inside: Vec<bool>,
    /// Mean over the line of how much more nail lies ahead of it than behind, -1 to 1.
    pub edge: f32,
}

/// Which way the nail is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Axes {
    /// Unit vector towards the nail.
    pub nail: [f32; 2],
    um_per_cell: f32,
    middle: [f32; 2],
}

impl Axes {
    /// `None` where the picture shows no nail's side, or nothing else.
    pub fn of(maps: &Maps) -> Option<Self> {
        let nail = maps.plane(Plane::Nail);
        let (mut with, mut without, mut total) = ([0.0f64; 2], [0.0f64; 2], [0.0f64; 2]);
        for (y, row) in nail.chunks_exact(maps.width).enumerate() {
            let (mut p_sum, mut px_sum, mut x_sum) = (0.0f64, 0.0f64, 0.0f64);
            for (x, logit) in row.iter().enumerate() {
                let p = f64::from(sigmoid(*logit));
                p_sum += p;
                px_sum += p * x as f64;
                x_sum += x as f64;
            }
            let (n, y) = (row.len() as f64, y as f64);
            with = [with[0] + px_sum, with[1] + p_sum * y];
            without = [without[0] + x_sum - px_sum, without[1] + (n - p_sum) * y];
            total = [total[0] + p_sum, total[1] + n - p_sum];
        }
        let cells = total[0] + total[1];
        if total[0] < 0.01 * cells || total[1] < 0.01 * cells {
            return None;
        }
        let away = [with[0] / total[0] - without[0] / total[1], with[1] / total[0] - without[1] / total[1]];
        let length = away[0].hypot(away[1]);
        // Where the two lie within each other there is no direction.
        (length > 1.0).then(|| Self {
            nail: [(away[0] / length) as f32, (away[1] / length) as f32],
            um_per_cell: maps.um_per_cell as f32,
            middle: [maps.width as f32 / 2.0, maps.height as f32 / 2.0],
        })
    }

    /// From cells to `[u, w]` in um.
    pub fn to_fold(self, x: f32, y: f32) -> [f32; 2] {
        let (dx, dy) = ((x - self.middle[0]) * self.um_per_cell, (y - self.middle[1]) * self.um_per_cell);
        [-dx * self.nail[1] + dy * self.nail[0], dx * self.nail[0] + dy * self.nail[1]]
    }

    /// From `[u, w]` in um to cells.
    pub fn to_cells(self, [u, w]: [f32; 2]) -> [f32; 2] {
        let (dx, dy) = (-u * self.nail[1] + w * self.nail[0], u * self.nail[0] + w * self.nail[1]);
        [self.middle[0] + dx / self.um_per_cell, self.middle[1] + dy / self.um_per_cell]
    }
}

/// The evidence for each place of the search, and how it lies.
struct Field {
    columns: usize,
    rows: usize,
    first: [f32; 2],
    /// `columns` times `rows`: from tips, and from the nail's edge.
    tips: Vec<f32>,
    edge: Vec<f32>,
    inside: Vec<bool>,
}

impl Row {
    pub fn find(maps: &Maps, tips: &[Tip]) -> Option<Self> {
        let axes = Axes::of(maps)?;
        let field = Field::of(maps, tips, &axes);
        let path = field.best_path();
        let at = |column: usize, row: usize| column * field.rows + row;
        let inside: Vec<bool> = path.iter().enumerate().map(|(c, r)| field.inside[at(c, *r)]).collect();
        let seen = inside.iter().filter(|i| **i).count();
        if seen == 0 {
            return None;
        }
        let edge = path.iter().enumerate().filter(|(c, _)| inside[*c]).map(|(c, r)| field.edge[at(c, *r)]).sum::<f32>();
        let heights: Vec<f32> = path.iter().map(|r| field.first[1] + *r as f32 * STEP_W).collect();
        Some(Self { axes, first: field.first[0], heights: smoothed(&heights), inside, edge: edge / seen as f32 })
    }

    /// Height of the line at `u`; at its ends it goes on level.
    pub fn height(&self, u: f32) -> f32 {
        let place = ((u - self.first) / STEP_U).clamp(0.0, (self.heights.len() - 1) as f32);
        let (i, part) = (place as usize, place.fract());
        let next = self.heights[(i + 1).min(self.heights.len() - 1)];
        self.heights[i] + (next - self.heights[i]) * part
    }

    /// The places of the line inside the picture, in um: one run, the longest.
    pub fn places(&self) -> Vec<[f32; 2]> {
        let mut best = 0..0;
        let mut start = None;
        for i in 0..=self.inside.len() {
            match (self.inside.get(i).copied().unwrap_or(false), start) {
                (true, None) => start = Some(i),
                (false, Some(from)) => {
                    if i - from > best.len() {
                        best = from..i;
                    }
                    start = None;
                }
                _ => {}
            }
        }
        best.map(|i| [self.first + i as f32 * STEP_U, self.heights[i]]).collect()
    }
}

impl Field {
    fn of(maps: &Maps, tips: &[Tip], axes: &Axes) -> Self {
        let (w, h) = (maps.width as f32, maps.height as f32);
        let corners = [[0.0, 0.0], [w, 0.0], [0.0, h], [w, h]].map(|[x, y]| axes.to_fold(x, y));
        let low = |axis: usize| corners.iter().map(|c| c[axis]).fold(f32::MAX, f32::min);
        let high = |axis: usize| corners.iter().map(|c| c[axis]).fold(f32::MIN, f32::max);
        let columns = ((high(0) - low(0)) / STEP_U) as usize + 1;
        let rows = ((high(1) - low(1)) / STEP_W) as usize + 1;
        let mut field = Self {
            columns,
            rows,
            first: [low(0), low(1)],
            tips: vec![0.0; columns * rows],
            edge: vec![0.0; columns * rows],
            inside: vec![false; columns * rows],
        };
        field.add_edge(maps, axes);
        for tip in tips {
            field.add_tip(axes.to_fold(tip.x, tip.y), tip.score);
        }
        field
    }

    fn add_edge(&mut self, maps: &Maps, axes: &Axes) {
        let nail = maps.plane(Plane::Nail);
        let side = (SIDE_UM / STEP_W) as usize;
        let mut sums = vec![[0.0f32; 2]; self.rows + 1];
        for column in 0..self.columns {
            let u = self.first[0] + column as f32 * STEP_U;
            for row in 0..self.rows {
                let [x, y] = axes.to_cells([u, self.first[1] + row as f32 * STEP_W]);
                let inside = x >= 0.0 && y >= 0.0 && x < maps.width as f32 && y < maps.height as f32;
                self.inside[column * self.rows + row] = inside;
                let p = if inside { sigmoid(nail[y as usize * maps.width + x as usize]) } else { 0.0 };
                let seen = if inside { 1.0 } else { 0.0 };
                sums[row + 1] = [sums[row][0] + p, sums[row][1] + seen];
            }
            let mean = |from: usize, to: usize| {
                let [p, n] = [sums[to][0] - sums[from][0], sums[to][1] - sums[from][1]];
                (n > 0.0).then(|| p / n)
            };
            for row in 0..self.rows {
                let (behind, ahead) = (mean(row.saturating_sub(side), row), mean(row, (row + side).min(self.rows)));
                if let (Some(behind), Some(ahead)) = (behind, ahead) {
                    self.edge[column * self.rows + row] = ahead - behind;
                }
            }
        }
    }

    fn add_tip(&mut self, [u, w]: [f32; 2], score: f32) {
        let column = (u - self.first[0]) / STEP_U;
        let row = (w - self.first[1]) / STEP_W;
        let reach = REACH_UM / STEP_W;
        for c in [column.floor(), column.floor() + 1.0] {
            let share = 1.0 - (column - c).abs();
            if c < 0.0 || c as usize >= self.columns || share <= 0.0 {
                continue;
            }
            for r in (row - reach).ceil().max(0.0) as usize..=((row + reach) as usize).min(self.rows - 1) {
                let off = (r as f32 - row) / reach;
                self.tips[c as usize * self.rows + r] += score * share * (1.0 - off * off).max(0.0);
            }
        }
    }

    /// The row of each column on the line with the most evidence and the fewest bends.
    fn best_path(&self) -> Vec<usize> {
        let value = |c: usize, r: usize| {
            let i = c * self.rows + r;
            self.tips[i] + EDGE_WEIGHT * self.edge[i]
        };
        let mut best: Vec<f32> = (0..self.rows).map(|r| value(0, r)).collect();
        let mut came = vec![0u32; self.columns * self.rows];
        let mut next = vec![0.0; self.rows];
        for c in 1..self.columns {
            for r in 0..self.rows {
                let mut chosen = (f32::MIN, r);
                let low = r.saturating_sub(STEEPEST);
                for (from, so_far) in (low..).zip(&best[low..=(r + STEEPEST).min(self.rows - 1)]) {
                    let bend = from.abs_diff(r) as f32;
                    let sum = so_far - BEND_COST * bend * bend;
                    if sum > chosen.0 {
                        chosen = (sum, from);
                    }
                }
                next[r] = chosen.0 + value(c, r);
                came[c * self.rows + r] = chosen.1 as u32;
            }
            std::mem::swap(&mut best, &mut next);
        }
        let mut at = (0..self.rows).max_by(|a, b| best[*a].total_cmp(&best[*b])).unwrap_or(0);
        let mut path = vec![0; self.columns];
        for c in (0..self.columns).rev() {
            path[c] = at;
            at = came[c * self.rows + at] as usize;
        }
        path
    }
}

/// A running mean over five places: the search's steps are coarser than the fold.
fn smoothed(heights: &[f32]) -> Vec<f32> {
    (0..heights.len())
        .map(|i| {
            let around = &heights[i.saturating_sub(2)..(i + 3).min(heights.len())];
            around.iter().sum::<f32>() / around.len() as f32
        })
        .collect()
}
