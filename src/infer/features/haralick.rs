//! Haralick's textures (IEEE Trans. Syst. Man Cybern. 1973) as mahotas computes them: symmetric co-occurrence at a
//! distance of one pixel, one matrix a direction, as many levels as the picture's largest grey and one more.

const LEVELS: usize = 256;
/// Counts whose entropy is looked up; larger ones are rare.
const LOOKED_UP: usize = 4096;

/// Keeps the matrix of counts from picture to picture; it is empty between them.
pub(super) struct Haralick {
    /// Pairs of neighbours by their smaller and their larger grey.
    pairs: Vec<u32>,
    /// `n log2 n`.
    entropies: Vec<f64>,
}

/// What the figures of one direction are made of.
struct Sums {
    /// Neighbours, each pair from both sides.
    total: f64,
    squares: f64,
    /// Sum of `n log2 n` over the cells.
    entropy: f64,
    product: f64,
    level: [f64; LEVELS],
    sum: [f64; 2 * LEVELS],
    difference: [f64; LEVELS],
}

impl Haralick {
    pub(super) fn new() -> Self {
        let entropies = (0..LOOKED_UP).map(|n| if n == 0 { 0.0 } else { n as f64 * (n as f64).log2() }).collect();
        Self { pairs: vec![0; LEVELS * LEVELS], entropies }
    }

    /// The mean of thirteen figures over the four directions: right, down right, down, down left.
    pub(super) fn run(&mut self, grey: &[u8], width: usize) -> [f64; 13] {
        let levels = grey.iter().max().map_or(0, |most| usize::from(*most)) + 1;
        let mut means = [0.0; 13];
        for (right, left, below) in [(1, 0, false), (1, 0, true), (0, 0, true), (0, 1, true)] {
            for (y, row) in grey.chunks_exact(width).enumerate() {
                let other = if below { grey.get((y + 1) * width..(y + 2) * width) } else { Some(row) };
                let Some(other) = other else { break };
                self.count(&row[left..width - right], &other[right..width - left]);
            }
            let figures = self.sums(levels).figures(levels);
            means.iter_mut().zip(figures).for_each(|(mean, figure)| *mean += figure / 4.0);
        }
        means
    }

    fn count(&mut self, row: &[u8], other: &[u8]) {
        for (a, b) in row.iter().zip(other) {
            let (low, high) = (usize::from(*a.min(b)), usize::from(*a.max(b)));
            self.pairs[low * LEVELS + high] += 1;
        }
    }

    /// Takes the counts out of the matrix. A pair stands in it once, and in mahotas' matrix once a side.
    fn sums(&mut self, levels: usize) -> Sums {
        let mut sums = Sums {
            total: 0.0,
            squares: 0.0,
            entropy: 0.0,
            product: 0.0,
            level: [0.0; LEVELS],
            sum: [0.0; 2 * LEVELS],
            difference: [0.0; LEVELS],
        };
        for low in 0..levels {
            for high in low..levels {
                let pairs = std::mem::take(&mut self.pairs[low * LEVELS + high]);
                if pairs == 0 {
                    continue;
                }
                let n = f64::from(pairs);
                sums.total += 2.0 * n;
                if low == high {
                    sums.squares += 4.0 * n * n;
                    sums.entropy += entropy(&self.entropies, 2 * pairs as usize);
                } else {
                    sums.squares += 2.0 * n * n;
                    sums.entropy += 2.0 * entropy(&self.entropies, pairs as usize);
                }
                sums.product += 2.0 * n * (low * high) as f64;
                sums.level[low] += n;
                sums.level[high] += n;
                sums.sum[low + high] += 2.0 * n;
                sums.difference[high - low] += 2.0 * n;
            }
        }
        sums
    }
}

fn entropy(looked_up: &[f64], n: usize) -> f64 {
    looked_up.get(n).copied().unwrap_or_else(|| n as f64 * (n as f64).log2())
}

/// Of shares that sum to one, in bits.
fn bits(shares: impl Iterator<Item = f64>) -> f64 {
    -shares.filter(|p| *p > 0.0).map(|p| p * p.log2()).sum::<f64>()
}

impl Sums {
    /// The figures in mahotas' order. `haralick_labels` there names them.
    fn figures(&self, levels: usize) -> [f64; 13] {
        let share = |n: &f64| n / self.total;
        let level = || self.level[..levels].iter().map(share);
        let sum = || self.sum[..2 * levels].iter().map(share);
        let difference = || self.difference[..levels].iter().map(share);
        let moment = |p: &mut dyn Iterator<Item = f64>, power: i32| -> f64 {
            p.enumerate().map(|(k, p)| (k as f64).powi(power) * p).sum()
        };
        let mean = moment(&mut level(), 1);
        let variance = moment(&mut level(), 2) - mean * mean;
        let correlation =
            if variance.max(0.0).sqrt() == 0.0 { 1.0 } else { (self.product / self.total - mean * mean) / variance };
        let alike: f64 = difference().enumerate().map(|(k, p)| p / (1.0 + (k * k) as f64)).sum();
        let sum_average = moment(&mut sum(), 1);
        let entropy = self.total.log2() - self.entropy / self.total;
        // Both orders of the joint distribution have the same margins, so that theirs together is twice one's.
        let margin = bits(level());
        let apart = entropy - 2.0 * margin;
        let even = 1.0 / levels as f64;
        let difference_variance = difference().map(|p| (p - even) * (p - even)).sum::<f64>() / levels as f64;
        [
            self.squares / (self.total * self.total),
            moment(&mut difference(), 2),
            correlation,
            variance,
            alike,
            sum_average,
            moment(&mut sum(), 2) - sum_average * sum_average,
            bits(sum()),
            entropy,
            difference_variance,
            bits(difference()),
            if margin == 0.0 { apart } else { apart / margin },
            (1.0 - (2.0 * apart).exp()).max(0.0).sqrt(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_board_of_two_greys_has_the_figures_that_one_gets_by_hand() {
        // Neighbours across and down always differ, diagonal ones never do.
        let grey: Vec<u8> = (0..64).map(|i| u8::from((i % 8 + i / 8) % 2 == 1)).collect();
        let [angular, contrast, correlation, ..] = Haralick::new().run(&grey, 8);
        assert!((angular - 0.5).abs() < 1e-3, "two cells, as good as equal, in every direction: {angular}");
        assert!((contrast - 0.5).abs() < 1e-12, "one in two directions, none in two: {contrast}");
        assert!(correlation.abs() < 1e-2, "as often opposite as alike: {correlation}");
    }

    #[test]
    fn an_even_picture_has_no_entropy() {
        let figures = Haralick::new().run(&[7; 256], 16);
        assert_eq!((figures[0], figures[1], figures[2], figures[3]), (1.0, 0.0, 1.0, 0.0));
        assert!(figures[8].abs() < 1e-9 && figures[11].abs() < 1e-9, "{figures:?}");
    }
}
