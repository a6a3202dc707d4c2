//! Smooth noise fixed to the skin, so that two views of one place show the same texture.

use super::rng::Rng;

/// A power of two, so that wrapping works for negative places too.
const SIDE: usize = 64;

/// Cubic B-spline over a periodic lattice of normal deviates; zero mean, unit variance.
#[derive(Clone, Debug)]
pub struct Noise {
    lattice: Box<[f32; SIDE * SIDE]>,
    per_cell: [f32; 2],
}

impl Noise {
    /// `cell` is the lattice spacing along the nailfold and across it, in um.
    pub fn new(rng: &mut Rng, cell: [f32; 2]) -> Self {
        // The spline averages its neighbours; this restores the variance to one.
        const GAIN: f32 = 2.0;
        let lattice = Box::new(std::array::from_fn(|_| rng.normal() * GAIN));
        Self { lattice, per_cell: [1.0 / cell[0], 1.0 / cell[1]] }
    }

    pub fn at(&self, u: f32, v: f32) -> f32 {
        let (x, y) = (u * self.per_cell[0], v * self.per_cell[1]);
        let (fx, fy) = (x.floor(), y.floor());
        let (wx, wy) = (weights(x - fx), weights(y - fy));
        let (ix, iy) = (fx as i32, fy as i32);
        let mut sum = 0.0;
        for (j, wy) in wy.iter().enumerate() {
            let row = ((iy + j as i32 - 1) as usize % SIDE) * SIDE;
            for (i, wx) in wx.iter().enumerate() {
                let column = (ix + i as i32 - 1) as usize % SIDE;
                sum += wx * wy * self.lattice[row + column];
            }
        }
        sum
    }
}

/// Of the uniform cubic B-spline at `t` past the second of four knots.
pub fn weights(t: f32) -> [f32; 4] {
    let (t2, t3) = (t * t, t * t * t);
    let s = 1.0 - t;
    [s * s * s / 6.0, (3.0 * t3 - 6.0 * t2 + 4.0) / 6.0, (-3.0 * t3 + 3.0 * t2 + 3.0 * t + 1.0) / 6.0, t3 / 6.0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_smooth_and_of_unit_variance() {
        let noise = Noise::new(&mut Rng::new(3, "noise"), [20.0, 20.0]);
        let values: Vec<f32> = (0..4000).map(|i| noise.at(i as f32 * 7.0, i as f32 * 13.0)).collect();
        let variance = values.iter().map(|x| x * x).sum::<f32>() / values.len() as f32;
        assert!((0.7..1.4).contains(&variance), "{variance}");
        assert!((noise.at(100.0, 40.0) - noise.at(100.1, 40.0)).abs() < 0.05);
    }
}
