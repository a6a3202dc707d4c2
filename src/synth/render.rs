//! Draws a view of a scene: ground, vessels, blots and highlights, before any lens or camera.

use super::canvas::{Canvas, Tile};
use super::noise::Noise;
use super::rng::Rng;
use super::scene::{Blot, Scene, Vessel};
use crate::frame::Size;

/// Where the microscope looks. Image axes: x right, y down, in pixels from the upper left corner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// What lies in the middle of the picture: u and v in um.
    pub centre: [f32; 2],
    /// Towards the nail: radians clockwise from up in the picture.
    pub turned: f32,
    pub um_per_px: f32,
    pub size: Size,
}

impl View {
    pub fn to_scene(&self, x: f32, y: f32) -> [f32; 2] {
        let (sin, cos) = self.turned.sin_cos();
        let dx = (x - self.size.width as f32 / 2.0) * self.um_per_px;
        let dy = (y - self.size.height as f32 / 2.0) * self.um_per_px;
        // Along the fold is (cos, sin) in the picture, towards the nail (sin, -cos).
        [self.centre[0] + dx * cos + dy * sin, self.centre[1] + dx * sin - dy * cos]
    }

    pub fn to_picture(&self, at: [f32; 2]) -> [f32; 2] {
        let (sin, cos) = self.turned.sin_cos();
        let (du, dv) = ((at[0] - self.centre[0]) / self.um_per_px, (at[1] - self.centre[1]) / self.um_per_px);
        [self.size.width as f32 / 2.0 + du * cos + dv * sin, self.size.height as f32 / 2.0 + du * sin - dv * cos]
    }

    /// A direction of the scene as one of the picture; both are unit vectors.
    pub fn direction(&self, [du, dv]: [f32; 2]) -> [f32; 2] {
        let (sin, cos) = self.turned.sin_cos();
        [du * cos + dv * sin, du * sin - dv * cos]
    }

    /// Whether a place lies inside the picture, `margin` pixels from its borders.
    pub fn holds(&self, at: [f32; 2], margin: f32) -> bool {
        let [x, y] = self.to_picture(at);
        x >= margin && y >= margin && x < self.size.width as f32 - margin && y < self.size.height as f32 - margin
    }

    /// Half the diagonal, in um.
    fn reach(&self) -> f32 {
        (self.size.width as f32).hypot(self.size.height as f32) / 2.0 * self.um_per_px
    }
}

/// Everything but highlights, as light before the lens.
pub fn draw(scene: &Scene, view: &View) -> Canvas {
    // Nothing on the ground is finer than about 20 um.
    let step = ((10.0 / view.um_per_px).round() as u32).clamp(1, 8);
    let mut canvas = Canvas::from_coarse(view.size, step, |x, y| {
        let [u, v] = view.to_scene(x, y);
        scene.skin.log_at(u, v, scene.edge.beyond(u, v))
    });
    let reach = view.reach();
    let mut tile = Tile::default();
    for vessel in &scene.vessels {
        let [low, high] = vessel.bounds;
        let near = (0..2).all(|a| low[a] < view.centre[a] + reach && high[a] > view.centre[a] - reach);
        if near && stroke(vessel, view, &mut tile) {
            canvas.absorb(&tile, vessel.density, vessel.pigment);
        }
    }
    let rough = roughness(scene);
    for blot in &scene.blots {
        let far = (blot.at[0] - view.centre[0]).hypot(blot.at[1] - view.centre[1]);
        if far < reach + 2.5 * blot.radii[0].max(blot.radii[1]) {
            stain(blot, &rough, view, &mut tile);
            canvas.absorb(&tile, blot.density, blot.pigment);
        }
    }
    canvas.to_light();
    canvas
}

/// What makes the rims of a scene's blots uneven.
pub(super) fn roughness(scene: &Scene) -> Noise {
    Noise::new(&mut Rng::new(scene.seed, "rough"), [14.0, 14.0])
}

/// The vessel as a round tube: density falls from the axis to the wall as the chord does.
pub(super) fn stroke(vessel: &Vessel, view: &View, tile: &mut Tile) -> bool {
    let points: Vec<[f32; 2]> = vessel.stroke.points.iter().map(|p| view.to_picture(*p)).collect();
    let softness = vessel.softness / view.um_per_px;
    let widest = vessel.stroke.widths.iter().copied().fold(0.0, f32::max) / view.um_per_px;
    let margin = widest / 2.0 + 2.0 + 2.5 * softness;
    let mut bounds = [f32::MAX, f32::MAX, f32::MIN, f32::MIN];
    for p in &points {
        bounds = [bounds[0].min(p[0]), bounds[1].min(p[1]), bounds[2].max(p[0]), bounds[3].max(p[1])];
    }
    let (left, top) = ((bounds[0] - margin).floor(), (bounds[1] - margin).floor());
    let (right, bottom) = ((bounds[2] + margin).ceil(), (bounds[3] + margin).ceil());
    if right < 0.0 || bottom < 0.0 || left > view.size.width as f32 || top > view.size.height as f32 {
        return false;
    }
    tile.reset(left as i32, top as i32, (right - left) as usize + 1, (bottom - top) as usize + 1);
    for i in 1..points.len() {
        let end = |i: usize| End {
            x: points[i][0] - left,
            y: points[i][1] - top,
            radius: vessel.stroke.widths[i] / view.um_per_px / 2.0,
            shows: vessel.stroke.shows[i],
        };
        segment(tile, end(i - 1), end(i));
    }
    tile.blur(softness);
    true
}

#[derive(Clone, Copy)]
struct End {
    x: f32,
    y: f32,
    radius: f32,
    shows: f32,
}

fn segment(tile: &mut Tile, a: End, b: End) {
    // A pixel gathers light over its own area: thin vessels look wider and paler by it.
    const PIXEL: f32 = 0.6;
    let soft = |r: f32| (r * r + PIXEL * PIXEL).sqrt();
    let widest = soft(a.radius.max(b.radius));
    let x0 = (a.x.min(b.x) - widest).floor().max(0.0) as usize;
    let y0 = (a.y.min(b.y) - widest).floor().max(0.0) as usize;
    let x1 = ((a.x.max(b.x) + widest).ceil() as usize).min(tile.width - 1);
    let y1 = ((a.y.max(b.y) + widest).ceil() as usize).min(tile.height - 1);
    let (dx, dy) = (b.x - a.x, b.y - a.y);
    let per_length = 1.0 / (dx * dx + dy * dy).max(1e-6);
    for y in y0..=y1 {
        let py = y as f32 + 0.5 - a.y;
        let row = &mut tile.data[y * tile.width + x0..=y * tile.width + x1];
        for (i, value) in row.iter_mut().enumerate() {
            let px = (x0 + i) as f32 + 0.5 - a.x;
            let t = ((px * dx + py * dy) * per_length).clamp(0.0, 1.0);
            let (ex, ey) = (px - t * dx, py - t * dy);
            let radius = a.radius + (b.radius - a.radius) * t;
            let squared = radius * radius + PIXEL * PIXEL;
            let chord = (1.0 - (ex * ex + ey * ey) / squared).max(0.0).sqrt();
            let shows = (a.shows + (b.shows - a.shows) * t) * radius / squared.sqrt();
            *value = value.max(chord * shows);
        }
    }
}

pub(super) fn stain(blot: &Blot, rough: &Noise, view: &View, tile: &mut Tile) {
    let [cx, cy] = view.to_picture(blot.at);
    let reach = 2.2 * blot.radii[0].max(blot.radii[1]) / view.um_per_px + 1.0;
    let (left, top) = ((cx - reach).floor(), (cy - reach).floor());
    let side = (2.0 * reach).ceil() as usize + 1;
    tile.reset(left as i32, top as i32, side, side);
    let (sin, cos) = blot.angle.sin_cos();
    for y in 0..side {
        for x in 0..side {
            let [u, v] = view.to_scene(left + x as f32 + 0.5, top + y as f32 + 0.5);
            let (du, dv) = (u - blot.at[0], v - blot.at[1]);
            let (a, b) = ((du * cos + dv * sin) / blot.radii[0], (dv * cos - du * sin) / blot.radii[1]);
            let squared = a * a + b * b;
            if squared > 4.8 {
                continue;
            }
            let wobble = blot.roughness * 0.5 * rough.at(u, v);
            let far = (squared + wobble * squared.min(1.0).sqrt()).max(0.0);
            tile.data[y * side + x] = (-far.powf(blot.flatness)).exp() * (1.0 + 0.25 * wobble);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picture_and_scene_are_each_others_inverse() {
        let view = View { centre: [100.0, -50.0], turned: 0.7, um_per_px: 1.3, size: Size::new(640, 480) };
        let [u, v] = view.to_scene(123.0, 45.0);
        let [x, y] = view.to_picture([u, v]);
        assert!((x - 123.0).abs() < 1e-2 && (y - 45.0).abs() < 1e-2, "{x} {y}");
        let up = View { turned: 0.0, ..view };
        assert!(up.to_picture([100.0, 0.0])[1] < 240.0, "the nail is up when nothing is turned");
    }
}
