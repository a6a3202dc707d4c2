//! The nailfold's edge: a curve v = f(u) along which the distal apices stand, in um.

use super::rng::Rng;

#[derive(Clone, Debug, PartialEq)]
pub struct Edge {
    /// Amplitude, waves a um (times tau), phase.
    waves: [(f32, f32, f32); 3],
}

impl Edge {
    pub fn draw(rng: &mut Rng) -> Self {
        let tau = std::f32::consts::TAU;
        // The fold follows the nail with a radius of 2.5 mm or more; shorter waves are the fold's own unevenness.
        let long = tau / rng.within(6000.0, 12000.0);
        let curvature = rng.within(0.0, 4.0e-4);
        let middle = tau / rng.within(1200.0, 3000.0);
        let short = tau / rng.within(280.0, 1100.0);
        Self {
            waves: [
                (curvature / (long * long), long, tau * rng.unit()),
                (rng.within(0.0, 70.0), middle, tau * rng.unit()),
                (rng.within(0.0, 22.0), short, tau * rng.unit()),
            ],
        }
    }

    pub fn height(&self, u: f32) -> f32 {
        self.waves.iter().map(|(amplitude, rate, phase)| amplitude * (rate * u + phase).sin()).sum()
    }

    pub fn slope(&self, u: f32) -> f32 {
        self.waves.iter().map(|(amplitude, rate, phase)| amplitude * rate * (rate * u + phase).cos()).sum()
    }

    /// Distance to the curve without its shortest waves, positive on the nail's side; near enough within a field.
    /// The skin changes colour along this smoother line.
    pub fn beyond(&self, u: f32, v: f32) -> f32 {
        let smooth = &self.waves[..2];
        let height: f32 = smooth.iter().map(|(amplitude, rate, phase)| amplitude * (rate * u + phase).sin()).sum();
        let slope: f32 =
            smooth.iter().map(|(amplitude, rate, phase)| amplitude * rate * (rate * u + phase).cos()).sum();
        (v - height) / slope.hypot(1.0)
    }
}
