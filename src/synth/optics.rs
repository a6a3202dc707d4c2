//! Lens, light and oil: what lies between the scene and the sensor. Each fault can be set alone, so that a
//! test can show the gate one trouble at a time.

use serde::{Deserialize, Serialize};

use super::canvas::{Canvas, Tile};
use super::render::View;
use super::rng::Rng;
use super::scene::{Glint, Scene};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Optics {
    /// Strength of the scene's own highlights; 0 for none.
    pub glints: f32,
    /// Share of the picture under sheets of glare; a fault.
    pub glare_share: f32,
    /// Stray light: share of the picture replaced by its own mean.
    pub haze: f32,
    /// Blur in um (Gaussian sigma) at the sharpest and the least sharp edge of the picture.
    pub defocus_um: [f32; 2],
    /// Direction in which focus is lost, in radians.
    pub tilt: f32,
    /// Path of the picture during the exposure, in um, and its direction.
    pub motion_um: f32,
    pub motion_turned: f32,
    /// Logarithm of the light at the right and lower border against the middle.
    pub gradient: [f32; 2],
    /// Logarithm of the light lost in the corners.
    pub vignette: f32,
}

impl Optics {
    /// In focus, still, evenly lit, without a highlight.
    pub const PERFECT: Self = Self {
        glints: 0.0,
        glare_share: 0.0,
        haze: 0.0,
        defocus_um: [0.0, 0.0],
        tilt: 0.0,
        motion_um: 0.0,
        motion_turned: 0.0,
        gradient: [0.0, 0.0],
        vignette: 0.0,
    };

    /// As in frames that a clinician would read: never perfect, never hopeless.
    pub fn readable(rng: &mut Rng) -> Self {
        let sharp = if rng.chance(0.85) { rng.within(0.6, 4.2) } else { rng.within(3.0, 6.5) };
        let moving = rng.chance(0.15);
        Self {
            glints: if rng.chance(0.8) { rng.within(0.3, 1.2) } else { 0.0 },
            glare_share: 0.0,
            haze: rng.within(0.0, 0.3),
            defocus_um: [sharp, sharp + rng.within(0.0, 5.0)],
            tilt: rng.within(0.0, std::f32::consts::TAU),
            motion_um: if moving { rng.within(3.0, 16.0) } else { 0.0 },
            motion_turned: rng.within(0.0, std::f32::consts::PI),
            gradient: [rng.within(-0.2, 0.2), rng.within(-0.2, 0.2)],
            vignette: rng.within(0.0, 0.22),
        }
    }

    pub fn apply(&self, canvas: &mut Canvas, scene: &Scene, view: &View, rng: &mut Rng) {
        if self.glints > 0.0 {
            add_glints(canvas, &scene.glints, self.glints, view);
        }
        if self.glare_share > 0.0 {
            add_sheets(canvas, self.glare_share, rng);
        }
        if self.haze > 0.0 {
            veil(canvas, self.haze);
        }
        self.defocus(canvas, view.um_per_px);
        if self.motion_um > 0.0 {
            smear(canvas, self.motion_um / view.um_per_px, self.motion_turned);
        }
        self.light(canvas);
    }

    fn defocus(&self, canvas: &mut Canvas, um_per_px: f32) {
        let [near, far] = self.defocus_um.map(|um| um / um_per_px);
        if far - near < 0.2 {
            canvas.blur(near);
            return;
        }
        let mut soft = canvas.clone();
        canvas.blur(near);
        soft.blur(far);
        let (width, height) = (canvas.width(), canvas.height());
        let (sin, cos) = self.tilt.sin_cos();
        let across = |x: f32, n: usize| x / n as f32 - 0.5;
        for (sharp, soft) in canvas.planes.iter_mut().zip(&soft.planes) {
            for y in 0..height {
                let line = 0.4 + sin * across(y as f32, height);
                let row = y * width..(y + 1) * width;
                for (x, (value, blurred)) in sharp[row.clone()].iter_mut().zip(&soft[row]).enumerate() {
                    let share = (line + cos * across(x as f32, width)).clamp(0.0, 1.0);
                    *value += (blurred - *value) * share;
                }
            }
        }
    }

    fn light(&self, canvas: &mut Canvas) {
        if self.vignette.abs() + self.gradient[0].abs() + self.gradient[1].abs() <= 0.0 {
            return;
        }
        let (width, height) = (canvas.width(), canvas.height());
        let side = |n: usize, gradient: f32| -> Vec<f32> {
            let at = |i: usize| 2.0 * i as f32 / n as f32 - 1.0;
            (0..n).map(|i| (gradient * at(i) - self.vignette / 2.0 * at(i) * at(i)).exp()).collect()
        };
        let (along, down) = (side(width, self.gradient[0]), side(height, self.gradient[1]));
        for plane in &mut canvas.planes {
            for (row, down) in plane.chunks_exact_mut(width).zip(&down) {
                for (value, along) in row.iter_mut().zip(&along) {
                    *value *= down * along;
                }
            }
        }
    }
}

fn add_glints(canvas: &mut Canvas, glints: &[Glint], strength: f32, view: &View) {
    let mut tile = Tile::default();
    for glint in glints {
        let [x, y] = view.to_picture(glint.at);
        let longest = glint.radii[0].max(glint.radii[1]) / view.um_per_px;
        // The halo that a bright speck has in glass and oil.
        let halo = longest * 0.5 + 0.6;
        let soft = longest * 0.08;
        let reach = longest + 3.0 * halo + 1.0;
        let inside = |p: f32, n: usize| p > -reach && p < n as f32 + reach;
        if !(inside(x, canvas.width()) && inside(y, canvas.height())) {
            continue;
        }
        let radii = glint.radii.map(|r| (r / view.um_per_px).max(0.35));
        ellipse(&mut tile, [x, y], radii, glint.angle + view.turned, reach, glint.ring);
        // A speck smaller than a pixel gives the pixel only its share of light.
        let share = (glint.radii[1] / view.um_per_px / 0.35).min(1.0);
        tile.blur(soft);
        canvas.add_tile(&tile, [strength * glint.strength * share; 3]);
        tile.blur(halo);
        canvas.add_tile(&tile, [0.35 * strength * glint.strength * share; 3]);
    }
}

fn ellipse(tile: &mut Tile, at: [f32; 2], radii: [f32; 2], angle: f32, reach: f32, ring: bool) {
    let (left, top) = ((at[0] - reach).floor(), (at[1] - reach).floor());
    let side = (2.0 * reach).ceil() as usize + 1;
    tile.reset(left as i32, top as i32, side, side);
    let (sin, cos) = angle.sin_cos();
    let narrowest = radii[0].min(radii[1]);
    for y in 0..side {
        for x in 0..side {
            let (dx, dy) = (left + x as f32 + 0.5 - at[0], top + y as f32 + 0.5 - at[1]);
            let (a, b) = ((dx * cos + dy * sin) / radii[0], (dy * cos - dx * sin) / radii[1]);
            let outside = (a.hypot(b) - 1.0) * narrowest;
            let value = if ring { 1.0 - (outside / (0.12 * narrowest + 0.7)).powi(2) } else { 0.5 - outside };
            tile.data[y * side + x] = value.clamp(0.0, 1.0);
        }
    }
}

/// Broad reflections until about `share` of the picture is under them.
fn add_sheets(canvas: &mut Canvas, share: f32, rng: &mut Rng) {
    let (width, height) = (canvas.width() as f32, canvas.height() as f32);
    let mut tile = Tile::default();
    let mut covered = 0.0;
    while covered < share * width * height {
        let radius = width * rng.within(0.03, 0.14);
        let radii = [radius * rng.within(1.0, 2.0), radius * rng.within(0.4, 1.0)];
        let at = [rng.within(0.0, width), rng.within(0.0, height)];
        ellipse(&mut tile, at, radii, rng.within(0.0, std::f32::consts::PI), radii[0] * 1.4, false);
        tile.blur(radius * 0.12);
        canvas.add_tile(&tile, [rng.within(0.8, 1.6); 3]);
        covered += std::f32::consts::PI * radii[0] * radii[1];
    }
}

fn veil(canvas: &mut Canvas, share: f32) {
    for plane in &mut canvas.planes {
        let mean = plane.iter().map(|v| v.min(1.0)).sum::<f32>() / plane.len() as f32;
        for value in plane {
            *value += (mean - *value) * share;
        }
    }
}

/// Mean of copies along the path of the motion.
fn smear(canvas: &mut Canvas, length: f32, turned: f32) {
    let copies = (length.ceil() as i32).clamp(2, 24);
    let (sin, cos) = turned.sin_cos();
    let (width, height) = (canvas.width() as i32, canvas.height() as i32);
    let shifts: Vec<(i32, i32)> = (0..copies)
        .map(|i| {
            let along = (i as f32 / (copies - 1) as f32 - 0.5) * length;
            ((along * cos).round() as i32, (along * sin).round() as i32)
        })
        .collect();
    for plane in &mut canvas.planes {
        let source = std::mem::replace(plane, vec![0.0; source_len(width, height)]);
        for (y, target) in plane.chunks_exact_mut(width as usize).enumerate() {
            for (dx, dy) in &shifts {
                let row = (y as i32 + dy).clamp(0, height - 1) * width;
                for (x, value) in target.iter_mut().enumerate() {
                    *value += source[(row + (x as i32 + dx).clamp(0, width - 1)) as usize];
                }
            }
            for value in target {
                *value /= copies as f32;
            }
        }
    }
}

fn source_len(width: i32, height: i32) -> usize {
    width as usize * height as usize
}
