//! Sets loops in rows along the fold's edge: the distal one, which counts, the proximal ones, and bleedings.

use super::loops::{self, Class, ECTATIC_UM, GIANT_UM, Shape, Stroke};
use super::pathology::Pathology;
use super::rng::Rng;
use super::scene::{Blot, HALF_LENGTH, Loop, Pigment, Scene, Vessel};

/// What the loops of one finger have in common, independent of any disease.
pub struct Build {
    pathology: Pathology,
    pub density: f32,
    variation: f32,
    pub pigment: Pigment,
    tilt: f32,
    jitter: f32,
    wriggle: f32,
    length: f32,
    gap: f32,
    width: f32,
    fade: f32,
    rows: u32,
    row_gap: f32,
    /// How far tips of the proximal rows stray from their row, as a share of the gap between rows.
    row_scatter: f32,
    /// Share of distal loops that stand back from the others.
    second_tier: f32,
    row_fade: f32,
    row_softness: f32,
    softness: f32,
    height_scatter: f32,
}

impl Build {
    pub fn draw(pathology: &Pathology, rng: &mut Rng) -> Self {
        Self {
            pathology: pathology.clone(),
            // Measured on real frames: loops stand out by an optical density of 0.1 to 0.5 in green.
            density: rng.log_within(0.12, 0.5),
            variation: rng.within(0.12, 0.45),
            pigment: [rng.within(0.14, 0.42), 1.0, rng.within(0.6, 1.0)],
            tilt: rng.normal() * 0.18,
            jitter: rng.within(0.03, 0.2),
            wriggle: rng.within(0.3, 4.5),
            length: rng.within(110.0, 320.0),
            gap: rng.within(11.0, 32.0),
            width: rng.within(8.0, 13.0),
            fade: rng.within(0.35, 1.1),
            rows: rng.count(4, 14),
            row_gap: rng.within(90.0, 230.0),
            row_scatter: rng.within(0.06, 0.5),
            second_tier: if rng.chance(0.4) { rng.within(0.12, 0.45) } else { 0.08 },
            row_fade: rng.within(0.8, 1.0),
            row_softness: rng.within(0.0, 3.0),
            softness: if rng.chance(0.3) { rng.within(2.0, 6.5) } else { rng.within(0.0, 2.0) },
            height_scatter: rng.within(4.0, 26.0),
        }
    }
}

struct Placed {
    u: f32,
    v: f32,
    row: u32,
    class: Class,
    shape: Shape,
}

pub fn add_distal(scene: &mut Scene, build: &Build, rng: &mut Rng) {
    let sick = &build.pathology;
    let pitch = 1000.0 / sick.density;
    let gaps: Vec<(f32, f32)> = (0..(sick.gaps * 2.0 * HALF_LENGTH / 1000.0).round() as u32)
        .map(|_| (rng.within(-HALF_LENGTH, HALF_LENGTH), rng.within(100.0, 250.0)))
        .collect();
    let mut u = -HALF_LENGTH;
    let mut before = 0.0;
    while u < HALF_LENGTH {
        let (class, shape) = distal_shape(build, rng);
        let step = pitch * (1.0 + rng.normal() * (0.2 + 0.12 * sick.disorder)).max(0.35);
        let room = (before + shape.outer_width()) / 2.0 + 10.0;
        u += step.max(room);
        before = shape.outer_width();
        if gaps.iter().any(|(centre, half)| (u - centre).abs() < *half) {
            continue;
        }
        let back = if rng.chance(build.second_tier) { rng.within(20.0, 130.0) } else { 0.0 };
        let v = rng.normal() * build.height_scatter * (1.0 + sick.disorder) - back;
        add_loop(scene, build, rng, Placed { u, v, row: 0, class, shape });
    }
    let bleedings = sick.haemorrhages * 2.0 * HALF_LENGTH / 1000.0;
    for _ in 0..bleedings.round() as u32 {
        add_haemorrhage(scene, rng);
    }
}

pub fn add_proximal(scene: &mut Scene, build: &Build, rng: &mut Rng) {
    // Deeper rows thin out less than the distal one does in disease.
    let density = build.pathology.density.max(3.5) * rng.within(0.95, 1.25);
    for row in 1..=build.rows {
        let mut u = -HALF_LENGTH + rng.within(0.0, 100.0);
        let shortening = 0.9f32.powi(row as i32);
        while u < HALF_LENGTH {
            u += 1000.0 / density * (1.0 + rng.normal() * 0.35).max(0.25);
            let v = -(row as f32) * build.row_gap * rng.within(0.92, 1.08)
                + rng.normal() * build.row_scatter * build.row_gap;
            let mut shape = slim(build, rng);
            shape.length *= shortening * rng.within(0.35, 1.0);
            if build.pathology.ectatic > 0.2 && rng.chance(build.pathology.ectatic) {
                widen(&mut shape, rng.within(ECTATIC_UM, build.pathology.ectatic_um.1 * 0.8), rng);
            }
            let class = if shape.apical >= ECTATIC_UM { Class::Ectatic } else { Class::Hairpin };
            add_loop(scene, build, rng, Placed { u, v, row, class, shape });
        }
    }
}

fn add_loop(scene: &mut Scene, build: &Build, rng: &mut Rng, placed: Placed) {
    let Placed { u, v, row, class, shape } = placed;
    let slope = (scene.edge.slope(u) * 0.7).atan();
    let disorder = 1.0 + build.pathology.disorder * 1.5;
    let lean = slope + build.tilt + rng.normal() * build.jitter * disorder;
    let apex = [u, scene.edge.height(u) + v];
    let wide = class == Class::Giant || class == Class::Ectatic;
    let mut density = build.density * rng.spread(build.variation) * build.row_fade.powi(row as i32);
    // A distal loop that nobody could see would be a wrong truth, not a hard case.
    density = density.clamp(if row == 0 { 0.09 } else { 0.02 }, 0.8);
    if class == Class::Giant {
        density = density.max(0.16);
    }
    let softness = build.softness
        + build.row_softness * row as f32 * 0.7
        + if wide { rng.log_within(1.0, 16.0) * shape.apical / 50.0 } else { 0.0 };
    let mut pigment = build.pigment;
    // Slow, spent blood in a wide loop looks purple.
    if wide && rng.chance(0.5) {
        pigment[0] = (pigment[0] * rng.within(1.0, 1.6)).min(0.6);
        pigment[2] *= rng.within(0.55, 1.0);
    }
    let mut strokes = match class {
        Class::Abnormal => loops::abnormal(rng, &shape),
        _ => vec![loops::hairpin(rng, &shape)],
    };
    fade_limbs(rng, &mut strokes[0]);
    let (sin, cos) = lean.sin_cos();
    if wide && row == 0 && rng.chance(if class == Class::Giant { 0.3 } else { 0.1 }) {
        add_cap(scene, rng, apex, [-sin, cos], shape.apical);
    }
    for mut stroke in strokes {
        for p in &mut stroke.points {
            *p = [apex[0] + p[0] * cos - p[1] * sin, apex[1] + p[0] * sin + p[1] * cos];
        }
        scene.vessels.push(Vessel::new(stroke, Some(row), density, pigment, softness));
    }
    scene.loops.push(Loop { apex, lean, apical_um: shape.apical, class, row, density, softness });
}

/// Blood that has left a wide loop at its tip: a purple cap upon it.
fn add_cap(scene: &mut Scene, rng: &mut Rng, apex: [f32; 2], toward: [f32; 2], apical: f32) {
    let ahead = apical * rng.within(0.2, 0.7);
    let radius = apical * rng.within(0.4, 0.75);
    scene.blots.push(Blot {
        at: [apex[0] + ahead * toward[0], apex[1] + ahead * toward[1]],
        radii: [radius, radius * rng.within(0.5, 0.9)],
        angle: (-toward[0]).atan2(toward[1]),
        density: rng.within(0.12, 0.5),
        pigment: [rng.within(0.5, 0.9), 1.0, rng.within(0.45, 0.8)],
        flatness: rng.within(1.0, 2.5),
        roughness: rng.within(0.05, 0.4),
        haemorrhage: true,
    });
}

/// Dots or a cap of old blood just beyond a loop of the distal row.
fn add_haemorrhage(scene: &mut Scene, rng: &mut Rng) {
    let distal = scene.loops.iter().filter(|l| l.row == 0).count();
    if distal == 0 {
        return;
    }
    let host = rng.count(0, distal as u32 - 1) as usize;
    let Some(near) = scene.loops.iter().filter(|l| l.row == 0).nth(host).cloned() else { return };
    let pigment = [rng.within(0.35, 0.8), 1.0, rng.within(0.6, 1.2)];
    let density = rng.within(0.18, 0.75);
    let mut ahead = rng.within(5.0, 45.0) + near.apical_um / 2.0;
    for _ in 0..rng.weighted(&[0.0, 0.6, 0.25, 0.15]) {
        let radius = rng.log_within(14.0, 55.0);
        scene.blots.push(Blot {
            at: [near.apex[0] + rng.normal() * 14.0, near.apex[1] + ahead],
            radii: [radius * rng.within(0.8, 1.5), radius * rng.within(0.5, 1.0)],
            angle: rng.normal() * 0.3,
            density: density * rng.within(0.6, 1.0),
            pigment,
            flatness: rng.within(1.0, 2.5),
            roughness: rng.within(0.1, 0.7),
            haemorrhage: true,
        });
        ahead += rng.within(30.0, 70.0);
    }
}

fn slim(build: &Build, rng: &mut Rng) -> Shape {
    let width = build.width * rng.spread(0.13);
    Shape {
        length: build.length * rng.spread(0.25),
        gap: build.gap * rng.spread(0.22),
        arterial: width * rng.within(0.7, 1.0),
        apical: (width * rng.within(1.0, 1.45)).min(ECTATIC_UM - 1.5),
        venous: width * rng.within(1.0, 1.35),
        wriggle: build.wriggle * rng.within(0.3, 1.4),
        turns: 0.0,
        fade: build.fade * rng.spread(0.2),
    }
}

fn widen(shape: &mut Shape, apical: f32, rng: &mut Rng) {
    shape.apical = apical;
    shape.arterial = apical * rng.within(0.4, 0.85);
    shape.venous = apical * rng.within(0.55, 1.05);
    shape.gap = apical * rng.within(0.75, 1.25);
    shape.length = shape.length.max(apical * rng.within(1.6, 3.2));
    shape.wriggle *= 0.7;
}

fn distal_shape(build: &Build, rng: &mut Rng) -> (Class, Shape) {
    let sick = &build.pathology;
    let mut shape = slim(build, rng);
    if rng.chance(sick.giants / sick.density.max(1.0)) {
        let apical = rng.within(sick.giant_um.0, sick.giant_um.1);
        widen(&mut shape, apical, rng);
        shape.gap = apical * rng.within(0.25, 1.1);
        shape.fade = rng.within(0.6, 1.4);
        if rng.chance(0.5) {
            globular(&mut shape, rng);
        }
        return (Class::Giant, shape);
    }
    if rng.chance(sick.abnormal) {
        shape.length = shape.length.clamp(90.0, 240.0);
        let factor = rng.within(1.0, 2.2);
        shape.arterial *= factor;
        shape.apical *= factor;
        shape.venous *= factor;
        shape.gap *= factor.sqrt();
        return (Class::Abnormal, shape);
    }
    if rng.chance(sick.ectatic) {
        widen(&mut shape, rng.within(sick.ectatic_um.0, sick.ectatic_um.1).min(GIANT_UM - 2.0), rng);
        return (Class::Ectatic, shape);
    }
    if rng.chance(sick.tortuous) {
        shape.wriggle = rng.within(7.0, 16.0);
        return (Class::Tortuous, shape);
    }
    if rng.chance(sick.crossing) {
        shape.turns = rng.within(0.6, 2.0);
        return (Class::Crossing, shape);
    }
    (Class::Hairpin, shape)
}

/// A head alone: short limbs close together, that dive within a width or two. Many giants of real frames look so.
fn globular(shape: &mut Shape, rng: &mut Rng) {
    shape.gap = shape.apical * rng.within(0.2, 0.6);
    shape.length = shape.apical * rng.within(1.2, 2.2);
    shape.fade = rng.within(0.35, 0.9);
}

/// In some loops one limb, or all but the head, is hidden.
fn fade_limbs(rng: &mut Rng, stroke: &mut Stroke) {
    let half = stroke.shows.len() / 2;
    if rng.chance(0.25) {
        let hidden = rng.within(0.2, 0.8);
        let first = rng.chance(0.5);
        for (i, shows) in stroke.shows.iter_mut().enumerate() {
            let from_head = half.abs_diff(i) as f32 / half as f32;
            if (i < half) == first && from_head > 0.25 {
                *shows *= 1.0 - (1.0 - hidden) * ((from_head - 0.25) / 0.2).min(1.0);
            }
        }
    }
}
