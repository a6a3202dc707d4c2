//! What ails a subject and each of its fingers, as the figures from which the loops are drawn.

use serde::{Deserialize, Serialize};

use super::rng::Rng;

/// The course a subject is on. Finger differs from finger: a scleroderma patient has unremarkable ones too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disease {
    Healthy,
    /// Dilated, tortuous or fewer loops, bleedings, but nothing that makes a scleroderma pattern.
    NonSpecific,
    Early,
    Active,
    Late,
}

/// Whom a set of subjects is drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cohort {
    Healthy,
    Scleroderma,
    Mixed,
}

impl Cohort {
    /// The disease of the `number`th subject. Golden-ratio steps instead of independent draws keep the shares near
    /// their aim in small sets too.
    pub fn disease(self, seed: u64, number: u32) -> Disease {
        const ALL: [Disease; 5] =
            [Disease::Healthy, Disease::NonSpecific, Disease::Early, Disease::Active, Disease::Late];
        // Chosen so that a mixed cohort has about as many frames of either Fast Track category.
        let weights = match self {
            Self::Healthy => [1.0f32, 0.0, 0.0, 0.0, 0.0],
            Self::Scleroderma => [0.0, 0.0, 0.3, 0.4, 0.3],
            Self::Mixed => [0.14, 0.27, 0.20, 0.19, 0.20],
        };
        let start = f64::from(Rng::new(seed, "cohort").unit());
        let place = (start + f64::from(number) * 0.618_033_988_749_895).fract() as f32;
        let mut reached = 0.0;
        let chosen = weights.iter().position(|weight| {
            reached += weight;
            place < reached
        });
        chosen.map_or(Disease::NonSpecific, |index| ALL[index])
    }
}

/// The figures of one finger's nailfold. Lengths in um, rates a mm of the distal row, shares 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Pathology {
    pub density: f32,
    pub giants: f32,
    pub giant_um: (f32, f32),
    pub ectatic: f32,
    pub ectatic_um: (f32, f32),
    pub abnormal: f32,
    pub tortuous: f32,
    pub crossing: f32,
    pub haemorrhages: f32,
    /// Stretches of 200 to 500 um without a loop.
    pub gaps: f32,
    /// Scatter of direction and height beyond the healthy.
    pub disorder: f32,
}

impl Pathology {
    pub fn of_finger(disease: Disease, rng: &mut Rng) -> Self {
        let spared = match disease {
            Disease::Healthy | Disease::NonSpecific => false,
            Disease::Early => rng.chance(0.15),
            Disease::Active | Disease::Late => rng.chance(0.08),
        };
        let pale = match disease {
            Disease::NonSpecific => rng.chance(0.15),
            _ => spared && rng.chance(0.3),
        };
        match disease {
            _ if pale => Self::healthy(rng),
            _ if spared => Self::non_specific(rng),
            Disease::Healthy => Self::healthy(rng),
            Disease::NonSpecific => Self::non_specific(rng),
            Disease::Early => Self::early(rng),
            Disease::Active => Self::active(rng),
            Disease::Late => Self::late(rng),
        }
    }

    fn healthy(rng: &mut Rng) -> Self {
        Self {
            // Normal is 7 to 12 a mm; the mean was 8.2 in 101 healthy adults. From 7.2, so that chance seldom ends below 7.
            density: rng.within(7.2, 11.0),
            giants: 0.0,
            giant_um: (55.0, 60.0),
            ectatic: rng.within(0.0, 0.05),
            ectatic_um: (20.0, 28.0),
            abnormal: rng.within(0.0, 0.02),
            tortuous: rng.within(0.0, 0.3),
            crossing: rng.within(0.0, 0.2),
            haemorrhages: if rng.chance(0.15) { rng.within(0.1, 0.6) } else { 0.0 },
            gaps: 0.0,
            disorder: rng.within(0.0, 0.3),
        }
    }

    /// The hard middle: each of its shapes looks ill in one way and stays category 1.
    fn non_specific(rng: &mut Rng) -> Self {
        let mut finger = Self::healthy(rng);
        finger.tortuous = rng.within(0.0, 0.6);
        finger.crossing = rng.within(0.0, 0.3);
        finger.disorder = rng.within(0.0, 0.8);
        match rng.weighted(&[0.3, 0.3, 0.2, 0.2]) {
            0 => {
                finger.density = rng.within(3.8, 7.0);
                finger.ectatic = rng.within(0.1, 0.7);
                finger.ectatic_um = (22.0, rng.within(30.0, 47.0));
                finger.haemorrhages = rng.within(0.0, 2.0);
            }
            1 => {
                finger.density = rng.within(5.0, 8.5);
                finger.ectatic = rng.within(0.2, 0.8);
                finger.ectatic_um = (rng.within(22.0, 30.0), rng.within(36.0, 47.0));
                finger.haemorrhages = rng.within(0.3, 2.5);
            }
            2 => {
                finger.density = rng.within(3.9, 6.5);
                finger.abnormal = rng.within(0.1, 0.5);
                finger.gaps = rng.within(0.0, 0.3);
            }
            // Loss without abnormal shapes: rule 3.
            _ => {
                finger.density = rng.within(1.6, 3.6);
                finger.abnormal = 0.0;
                finger.ectatic = rng.within(0.0, 0.5);
                finger.ectatic_um = (20.0, rng.within(30.0, 45.0));
                finger.gaps = rng.within(0.0, 0.4);
                finger.haemorrhages = rng.within(0.0, 1.0);
            }
        }
        finger
    }

    fn early(rng: &mut Rng) -> Self {
        let mut finger = Self::healthy(rng);
        finger.density = rng.within(5.8, 9.0);
        finger.giants = rng.within(0.9, 2.5);
        finger.giant_um = (53.0, rng.within(65.0, 95.0));
        finger.ectatic = rng.within(0.1, 0.5);
        finger.ectatic_um = (20.0, rng.within(30.0, 48.0));
        finger.haemorrhages = rng.within(0.0, 1.5);
        finger.disorder = rng.within(0.1, 0.6);
        finger
    }

    fn active(rng: &mut Rng) -> Self {
        let mut finger = Self::early(rng);
        finger.density = rng.within(3.6, 6.2);
        finger.giants = rng.within(1.6, 4.0);
        finger.giant_um = (53.0, rng.within(75.0, 140.0));
        finger.abnormal = rng.within(0.0, 0.3);
        finger.haemorrhages = rng.within(0.3, 2.5);
        finger.gaps = rng.within(0.1, 0.6);
        finger.disorder = rng.within(0.3, 1.0);
        finger
    }

    fn late(rng: &mut Rng) -> Self {
        let mut finger = Self::healthy(rng);
        finger.density = rng.within(1.2, 2.9);
        finger.giants = if rng.chance(0.4) { rng.within(0.1, 0.8) } else { 0.0 };
        finger.giant_um = (53.0, rng.within(60.0, 100.0));
        finger.ectatic = rng.within(0.0, 0.4);
        finger.ectatic_um = (20.0, rng.within(30.0, 46.0));
        finger.abnormal = rng.within(0.45, 0.95);
        finger.tortuous = rng.within(0.1, 0.6);
        finger.haemorrhages = rng.within(0.0, 0.5);
        finger.gaps = rng.within(0.0, 0.5);
        finger.disorder = rng.within(0.5, 1.2);
        finger
    }
}
