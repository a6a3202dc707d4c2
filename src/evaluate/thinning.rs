//! Thins a drawn stroke to its middle line (Zhang and Suen, Commun ACM 1984;27:236), to find where it ends.

use super::Point;

/// One connected stroke with a border of two empty pixels around it.
pub struct Stroke {
    width: usize,
    ink: Vec<bool>,
    /// Of its upper left pixel in the picture.
    origin: Point,
}

const BORDER: i64 = 2;

impl Stroke {
    /// `pixels` are column and row in the picture; there is at least one.
    pub fn of(pixels: &[[usize; 2]]) -> Self {
        let least = |axis: usize| pixels.iter().map(|p| p[axis]).min().unwrap_or(0);
        let most = |axis: usize| pixels.iter().map(|p| p[axis]).max().unwrap_or(0);
        let (left, top) = (least(0) as i64 - BORDER, least(1) as i64 - BORDER);
        let side = |axis: usize, from: i64| (most(axis) as i64 - from + BORDER + 1) as usize;
        let (width, height) = (side(0, left), side(1, top));
        let mut ink = vec![false; width * height];
        for [x, y] in pixels {
            ink[(*y as i64 - top) as usize * width + (*x as i64 - left) as usize] = true;
        }
        Self { width, ink, origin: [left as f64, top as f64] }
    }

    /// Where the middle line ends.
    pub fn ends(mut self) -> Vec<Point> {
        while self.peel(false) | self.peel(true) {}
        let inked = (0..self.ink.len()).filter(|at| self.ink[*at]);
        inked
            .filter(|at| self.around(*at).iter().filter(|set| **set).count() == 1)
            .map(|at| [(at % self.width) as f64 + self.origin[0], (at / self.width) as f64 + self.origin[1]])
            .collect()
    }

    /// The eight neighbours, from the upper one clockwise. Ink never lies on the border.
    fn around(&self, at: usize) -> [bool; 8] {
        let w = self.width;
        [at - w, at - w + 1, at + 1, at + w + 1, at + w, at + w - 1, at - 1, at - w - 1].map(|at| self.ink[at])
    }

    /// Takes one layer from two sides; whether there was one.
    fn peel(&mut self, second: bool) -> bool {
        let goes = |at: &usize| {
            if !self.ink[*at] {
                return false;
            }
            let n = self.around(*at);
            let set = n.iter().filter(|set| **set).count();
            let steps = (0..8).filter(|i| !n[*i] && n[(*i + 1) % 8]).count();
            // First what lies to the right and below goes, then what lies to the left and above: the middle stays.
            let sides = if second { [[0, 2, 6], [0, 4, 6]] } else { [[0, 2, 4], [2, 4, 6]] };
            let open = sides.iter().all(|side| side.iter().any(|i| !n[*i]));
            (2..=6).contains(&set) && steps == 1 && open
        };
        let gone: Vec<usize> = (0..self.ink.len()).filter(goes).collect();
        for at in &gone {
            self.ink[*at] = false;
        }
        !gone.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thick_bar_ends_twice_and_a_ring_never() {
        let bar: Vec<[usize; 2]> = (0..30).flat_map(|x| (0..5).map(move |y| [x + 3, y + 7])).collect();
        let mut ends = Stroke::of(&bar).ends();
        ends.sort_by(|a, b| a[0].total_cmp(&b[0]));
        assert_eq!(ends.len(), 2, "{ends:?}");
        assert!(ends[0][0] < 8.0 && ends[1][0] > 27.0 && ends.iter().all(|e| (7.0..12.0).contains(&e[1])), "{ends:?}");
        let ring: Vec<[usize; 2]> = (0..40)
            .flat_map(|x| (0..40).map(move |y| [x, y]))
            .filter(|[x, y]| (9.0..14.0).contains(&(*x as f64 - 20.0).hypot(*y as f64 - 20.0)))
            .collect();
        assert!(Stroke::of(&ring).ends().is_empty());
    }
}
