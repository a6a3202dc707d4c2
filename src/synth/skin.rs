//! The ground on which loops are seen: pink skin, pale cuticle and nail, as reflectance at a place in um.
//! Drawn without any regard to the disease, so that colour can teach a model nothing about it.

use super::noise::Noise;
use super::rng::Rng;

type Colour = [f32; 3];

/// A line along the edge of the cuticle, or a fold in it.
#[derive(Clone, Debug)]
struct Fold {
    off: f32,
    width: f32,
    strength: f32,
}

#[derive(Clone, Debug)]
pub struct Skin {
    skin: Colour,
    cuticle: Colour,
    nail: Colour,
    /// Where the skin ends and where the nail begins, and over how many um each passes into the next.
    cuticle_at: (f32, f32),
    nail_at: (f32, f32),
    /// How much of the cuticle's and nail's own colour shows.
    cover: f32,
    folds: Vec<Fold>,
    edge_noise: (Noise, f32),
    blood: Colour,
    redness: (f32, f32, f32),
    red_noise: (Noise, f32),
    mottle: (Noise, f32),
    grain: (Noise, f32),
    streaks: (Noise, f32),
    streak_lean: f32,
    light: (Noise, f32),
    tint: (Noise, f32),
    /// Scales: a rough, glittering patch of the nail's side.
    scales: Option<(Noise, Noise, f32)>,
    stain: (Noise, f32, Colour),
}

impl Skin {
    pub fn draw(rng: &mut Rng) -> Self {
        // Ratios to green as measured on real frames: skin R/G 1.2 to 1.45 under its redness, nail side near grey,
        // B/G from 0.7 (yellow light) to 1.1 over the whole picture.
        let warm = rng.within(0.76, 1.1);
        let white = |level: f32, red: f32, blue: f32| [level * red, level, level * warm * blue];
        let skin = white(rng.within(0.42, 0.6), rng.within(1.0, 1.24), rng.within(0.92, 1.1));
        let pale = rng.within(0.45, 0.66);
        let cuticle = white(pale, rng.within(0.96, 1.1), rng.within(0.8, 1.04));
        let shine = pale * if rng.chance(0.2) { rng.within(1.2, 1.9) } else { rng.within(0.8, 1.2) };
        let nail = white(shine, rng.within(0.95, 1.08), rng.within(0.88, 1.16));
        let begins = rng.within(35.0, 300.0);
        let folds = if rng.chance(0.6) { rng.count(1, 5) } else { 0 };
        let folds = (0..folds)
            .map(|_| Fold {
                off: begins + rng.within(-20.0, 420.0),
                width: rng.log_within(18.0, 80.0),
                strength: rng.within(-0.09, 0.07),
            })
            .collect();
        Self {
            skin,
            cuticle,
            nail,
            cuticle_at: (begins, rng.log_within(90.0, 420.0)),
            nail_at: (begins + rng.within(150.0, 800.0), rng.log_within(110.0, 420.0)),
            cover: rng.within(0.3, 1.0),
            folds,
            edge_noise: (Noise::new(rng, [260.0, 500.0]), rng.within(0.0, 22.0)),
            blood: [rng.within(0.14, 0.4), 1.0, rng.within(0.62, 1.0)],
            redness: (rng.within(0.0, 0.42) * rng.within(0.3, 1.0), rng.within(-40.0, 450.0), rng.within(100.0, 900.0)),
            red_noise: (Noise::new(rng, [420.0, 300.0]), rng.within(0.0, 0.22)),
            mottle: (Noise::new(rng, [240.0, 200.0]), rng.within(0.0, 0.03)),
            grain: grain(rng),
            streaks: (Noise::new(rng, [38.0, 260.0]), rng.within(0.0, 0.028)),
            streak_lean: rng.normal() * 0.2,
            light: (Noise::new(rng, [1500.0, 1500.0]), rng.within(0.0, 0.07)),
            tint: (Noise::new(rng, [1100.0, 900.0]), rng.within(0.0, 0.05)),
            scales: rng.chance(0.5).then(|| {
                let cell = rng.within(200.0, 600.0);
                let coarse = Noise::new(rng, [cell, 300.0]);
                (coarse, Noise::new(rng, [22.0, 16.0]), rng.within(0.02, 0.12))
            }),
            stain: (
                Noise::new(rng, [330.0, 260.0]),
                if rng.chance(0.25) { rng.within(0.05, 0.25) } else { 0.0 },
                [rng.within(0.3, 0.7), rng.within(0.7, 1.0), rng.within(1.0, 1.6)],
            ),
        }
    }

    /// Natural logarithm of the reflectance at scene place (`u`, `v`), `beyond` um past the distal row.
    pub fn log_at(&self, u: f32, v: f32, beyond: f32) -> Colour {
        let past = beyond + self.edge_noise.1 * self.edge_noise.0.at(u, v);
        let cuticle = self.cover * rise(past - self.cuticle_at.0, self.cuticle_at.1);
        let nail = self.cover * rise(past - self.nail_at.0, self.nail_at.1);
        let mut shade = self.grain.1 * self.grain.0.at(u, v) + self.mottle.1 * self.mottle.0.at(u, v);
        shade += self.streaks.1 * (1.0 - cuticle) * self.streaks.0.at(u + self.streak_lean * beyond, v);
        shade += self.light.1 * self.light.0.at(u, v);
        for fold in &self.folds {
            let across = (past - fold.off) / fold.width;
            if across.abs() < 3.0 {
                shade += fold.strength * self.cover * (-across * across).exp();
            }
        }
        let red = self.redness.0
            * rise(-(beyond + self.redness.1), self.redness.2)
            * (1.0 + self.red_noise.1 * self.red_noise.0.at(u, v));
        let tint = self.tint.1 * self.tint.0.at(u, v);
        let stain = if self.stain.1 > 0.0 && past > 0.0 {
            self.stain.1 * (self.stain.0.at(u, v) + 0.2).max(0.0) * rise(past - self.cuticle_at.0, 120.0)
        } else {
            0.0
        };
        if let Some((patches, flakes, strength)) = &self.scales {
            let patch = (patches.at(u, v) * 0.7 + 0.1).clamp(0.0, 1.0) * rise(past - self.nail_at.0, 60.0);
            if patch > 0.0 {
                let glitter = flakes.at(u, v) + 0.6 * flakes.at(2.3 * v, 2.1 * u);
                shade += strength * patch * glitter;
            }
        }
        std::array::from_fn(|c| {
            let ground = self.skin[c] + (self.cuticle[c] - self.skin[c]) * cuticle;
            let ground = ground + (self.nail[c] - ground) * nail;
            let tinted = [tint, 0.0, -tint][c];
            ground.ln() + shade + tinted - red * self.blood[c] - stain * self.stain.2[c]
        })
    }
}

fn grain(rng: &mut Rng) -> (Noise, f32) {
    let cell = rng.log_within(20.0, 90.0);
    (Noise::new(rng, [cell, cell * 1.3]), rng.within(0.003, 0.016))
}

/// From 0 to 1 around zero, over `width`.
fn rise(x: f32, width: f32) -> f32 {
    1.0 / (1.0 + (-3.0 * x / width).exp())
}
