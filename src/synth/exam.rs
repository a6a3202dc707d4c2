//! A whole exam under the simulated microscope: which field is seen when, how the hand moves, what goes wrong.
//! Everything is a function of the seed and the time since the start.

use std::f32::consts::TAU;

use serde::{Deserialize, Serialize};

use super::cohort::mix;
use super::plate::{Look, MARGIN};
use super::rng::Rng;
use crate::finger::Finger;

/// What can go wrong while a field is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    Defocus,
    Motion,
    Glare,
    Dark,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub seed: u64,
    pub fingers: Vec<Finger>,
    /// Fields of each finger.
    pub fields: u32,
    /// Seconds that each field is held in focus.
    pub hold_s: f32,
    /// Share of the fields with an episode of trouble.
    pub trouble_share: f32,
    pub troubles: Vec<Trouble>,
}

/// One field's turn, in seconds since the start.
#[derive(Clone, Debug, PartialEq)]
pub struct Stop {
    pub finger: Finger,
    /// Counts the finger's fields from 0.
    pub field: u32,
    pub from: f32,
    pub held: [f32; 2],
    pub to: f32,
    pub trouble: Option<(Trouble, [f32; 2])>,
}

/// Where in a stop a moment lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Finding the place and the focus.
    Approaching,
    Held,
    /// Off to the next field.
    Leaving,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    /// Index into the script.
    pub stop: usize,
    pub phase: Phase,
    pub trouble: Option<Trouble>,
    pub look: Look,
}

/// The stops in their order, and the hand that goes through them.
#[derive(Clone, Debug)]
pub struct Script {
    pub stops: Vec<Stop>,
    /// Where the exam ends.
    pub length: f32,
    um_per_px: f32,
    hand: Hand,
}

/// Seconds before the first stop.
pub const LEAD_S: f32 = 0.5;
/// Seconds from touching down to a steady, sharp field; a practised examiner's pace.
const APPROACH_S: f32 = 1.2;
const LEAVE_S: f32 = 0.4;
/// Extra seconds in which the next finger is laid under the lens.
const CHANGE_S: f32 = 0.8;
/// Shutter of a microscope with its own light, in seconds.
const SHUTTER_S: f32 = 0.012;
/// How far off focus a lifted lens is.
const LIFTED_UM: f32 = 54.0;

impl Script {
    pub fn new(plan: &Plan, um_per_px: f32) -> Self {
        let mut rng = Rng::new(plan.seed, "script");
        let mut stops = Vec::new();
        let mut now = LEAD_S;
        for finger in &plan.fingers {
            for field in 0..plan.fields {
                let from = now;
                let start = from + APPROACH_S + if field == 0 { CHANGE_S } else { 0.0 };
                let held = [start, start + plan.hold_s];
                let trouble = trouble_in(plan, held, stops.len(), &mut rng);
                now = held[1] + LEAVE_S;
                stops.push(Stop { finger: *finger, field, from, held, to: now, trouble });
            }
        }
        Self { stops, length: now + LEAD_S, um_per_px, hand: Hand::new(plan.seed) }
    }

    /// `now` is in seconds since the start; past the end the last stop stays.
    pub fn at(&self, now: f32) -> Moment {
        let stop = self.stops.partition_point(|stop| stop.to <= now).min(self.stops.len() - 1);
        let Stop { from, held, to, trouble, .. } = &self.stops[stop];
        let trouble = trouble.filter(|(_, span)| (span[0]..span[1]).contains(&now));
        let phase = match now {
            _ if now < held[0] => Phase::Approaching,
            _ if now < held[1] => Phase::Held,
            _ => Phase::Leaving,
        };
        let shaking = if matches!(trouble, Some((Trouble::Motion, _))) { 90.0 } else { 0.0 };
        let place = |t: f32| {
            let hand = self.hand.place(t, shaking);
            let slide = self.slide(stop, t);
            [hand[0] + slide[0], hand[1] + slide[1]]
        };
        let (here, before) = (place(now), place(now - SHUTTER_S));
        let lifted = match phase {
            Phase::Approaching => focusing((now - from) / (held[0] - from)),
            Phase::Held => 0.0,
            Phase::Leaving => ((now - held[1]) / (to - held[1])).clamp(0.0, 1.0),
        };
        let per_px = 1.0 / self.um_per_px;
        let reach = MARGIN as f32 - 40.0;
        let mut look = Look {
            offset: here.map(|um| (um * per_px).clamp(-reach, reach)),
            smear: [0, 1].map(|axis| ((here[axis] - before[axis]) * per_px).clamp(-36.0, 36.0)),
            defocus_um: LIFTED_UM * lifted,
            light: 1.0,
            glare: 0.0,
        };
        if let Some((trouble, span)) = trouble {
            apply(trouble, ramp(now, span), &mut look);
        }
        Moment { stop, phase, trouble: trouble.map(|(kind, _)| kind), look }
    }

    /// Sliding in and out along the fold, in um: fast, so that the shutter smears it.
    fn slide(&self, stop: usize, now: f32) -> [f32; 2] {
        let Stop { from, held, to, .. } = &self.stops[stop];
        // Over three millimetres a second in the end: a field's width in less than half a second.
        const FAR_UM: f32 = 1500.0;
        let left = if now < held[0] {
            let part = ((now - from) / (held[0] - from) / 0.6).clamp(0.0, 1.0);
            -(1.0 - part).powi(3)
        } else if now > held[1] {
            ((now - held[1]) / (to - held[1])).clamp(0.0, 1.2).powi(2)
        } else {
            0.0
        };
        let (sin, cos) = self.hand.heading.sin_cos();
        [FAR_UM * left * cos, FAR_UM * left * sin]
    }
}

fn trouble_in(plan: &Plan, held: [f32; 2], number: usize, rng: &mut Rng) -> Option<(Trouble, [f32; 2])> {
    let (share, place, length) = (rng.unit(), rng.unit(), rng.within(0.6, 1.1));
    let room = held[1] - held[0] - length;
    if plan.troubles.is_empty() || share >= plan.trouble_share || room < 1.0 {
        return None;
    }
    // Each kind in its turn, so that a short exam shows all.
    let kind = plan.troubles[(number + mix(plan.seed, 9) as usize % 4) % plan.troubles.len()];
    let from = held[0] + 0.4 + place * (room - 0.6);
    Some((kind, [from, from + length]))
}

/// Up within a fifth of the span and down again at its end.
fn ramp(now: f32, span: [f32; 2]) -> f32 {
    let part = (now - span[0]) / (span[1] - span[0]);
    (part.min(1.0 - part) / 0.2).clamp(0.0, 1.0)
}

fn apply(trouble: Trouble, strength: f32, look: &mut Look) {
    match trouble {
        Trouble::Defocus => look.defocus_um += 36.0 * strength,
        // The shaking is already in the hand's place.
        Trouble::Motion => {}
        Trouble::Glare => look.glare = strength,
        Trouble::Dark => look.light = 1.0 - 0.92 * strength,
    }
}

/// Turning the focus wheel: down to sharp, once past it, and back.
fn focusing(part: f32) -> f32 {
    let part = part.clamp(0.0, 1.0);
    let down = (1.0 - part / 0.65).max(0.0);
    let past = if part > 0.65 { 0.16 * ((part - 0.65) / 0.35 * std::f32::consts::PI).sin() } else { 0.0 };
    down * down + past
}

/// Tremor, breath and drift of a hand that holds a probe.
#[derive(Clone, Debug)]
struct Hand {
    /// Amplitude in um, frequency in Hz and phase, for either axis.
    waves: [[(f32, f32, f32); 4]; 2],
    heading: f32,
}

impl Hand {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed, "hand");
        // Physiological tremor lies at 8 to 12 Hz; at rest on a table its amplitude is a few um.
        let waves = std::array::from_fn(|_| {
            [(0.6, 2.0, 8.0, 12.0), (3.0, 8.0, 0.8, 1.6), (6.0, 16.0, 0.2, 0.35), (15.0, 45.0, 0.03, 0.09)]
                .map(|(least, most, slow, fast)| (rng.within(least, most), rng.within(slow, fast), rng.unit()))
        });
        Self { waves, heading: rng.within(0.0, TAU) }
    }

    fn place(&self, now: f32, shaking: f32) -> [f32; 2] {
        self.waves.each_ref().map(|waves| {
            let calm: f32 = waves.iter().map(|(um, hz, phase)| um * (TAU * (hz * now + phase)).sin()).sum();
            calm + shaking * (TAU * (6.3 * now + waves[0].2)).sin()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script() -> Script {
        let plan = Plan {
            seed: 4,
            fingers: Finger::PROTOCOL[..3].to_vec(),
            fields: 2,
            hold_s: 4.0,
            trouble_share: 1.0,
            troubles: vec![Trouble::Defocus, Trouble::Motion, Trouble::Glare, Trouble::Dark],
        };
        Script::new(&plan, 1.2)
    }

    #[test]
    fn each_field_has_its_turn_and_each_trouble_shows() {
        let script = script();
        assert_eq!(script.stops.len(), 6);
        let mut seen = std::collections::HashSet::new();
        for stop in &script.stops {
            let (kind, span) = stop.trouble.unwrap();
            assert!(span[0] >= stop.held[0] && span[1] <= stop.held[1], "{stop:?}");
            seen.insert(kind);
            let middle = script.at((span[0] + span[1]) / 2.0);
            assert_eq!(middle.trouble, Some(kind));
        }
        assert_eq!(seen.len(), 4);
    }

    #[test]
    fn a_held_field_is_sharp_and_steady_and_a_change_is_neither() {
        let script = script();
        let stop = &script.stops[2];
        let held = script.at(stop.held[0] + 0.1);
        assert_eq!((held.stop, held.phase, held.look.defocus_um), (2, Phase::Held, 0.0));
        assert!(held.look.smear[0].hypot(held.look.smear[1]) < 3.0, "{:?}", held.look);
        let leaving = script.at(stop.to - 0.02);
        assert!(leaving.look.defocus_um > 40.0 && leaving.look.smear[0].hypot(leaving.look.smear[1]) > 20.0);
        let arriving = script.at(script.stops[3].from + 0.02);
        assert_eq!(arriving.stop, 3);
        assert!(arriving.look.defocus_um > 40.0);
    }
}
