//! The Fast Track algorithm (Smith et al., Autoimmun Rev 2019;18:102394) over one linear millimetre, in
//! three-valued logic: a measurement may be unknown, and then so may the category.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Loops per mm from which rule 1 holds.
pub const DENSITY_NORMAL: f64 = 7.0;
/// Loops per mm up to which rule 2b holds.
pub const DENSITY_LOSS: f64 = 3.0;

/// What was measured on the linear millimetre. `None` is "not known", never zero or no.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measures {
    /// Loops of the distal row a millimetre, not rounded.
    pub density_per_mm: Option<f64>,
    pub giants: Option<u32>,
    pub abnormal_shapes: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// Non-scleroderma pattern: normal, or with non-specific abnormalities. Not the same as normal.
    One,
    /// Scleroderma pattern.
    Two,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Density at least 7 and no giant.
    Normal,
    /// At least one giant.
    Giant,
    /// Density at most 3 and abnormal shapes.
    LossWithAbnormalShapes,
    /// Neither of the others, whichever way the unknown measures fall.
    Otherwise,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Verdict {
    Decided { category: Category, rule: Rule },
    Undetermined,
}

impl Rule {
    pub const fn words(self) -> &'static str {
        match self {
            Self::Normal => "rule 1: density at least 7 and no giant",
            Self::Giant => "rule 2: a giant",
            Self::LossWithAbnormalShapes => "rule 2: density at most 3 and abnormal shapes",
            Self::Otherwise => "rule 3: neither rule 1 nor rule 2",
        }
    }
}

/// Applies the rules; every combination of known and unknown is a test below.
pub fn judge(m: Measures) -> Verdict {
    let decided = |category, rule| Verdict::Decided { category, rule };
    let loss = m.density_per_mm.map(|d| d <= DENSITY_LOSS);
    match (m.giants, loss, m.abnormal_shapes) {
        (Some(1..), _, _) => decided(Category::Two, Rule::Giant),
        (_, Some(true), Some(true)) => decided(Category::Two, Rule::LossWithAbnormalShapes),
        (None, _, _) => Verdict::Undetermined,
        (Some(0), Some(false), _) => match m.density_per_mm {
            Some(d) if d >= DENSITY_NORMAL => decided(Category::One, Rule::Normal),
            _ => decided(Category::One, Rule::Otherwise),
        },
        (Some(0), _, Some(false)) => decided(Category::One, Rule::Otherwise),
        (Some(0), Some(true), None) | (Some(0), None, Some(true) | None) => Verdict::Undetermined,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(density: Option<f64>, giants: Option<u32>, abnormal: Option<bool>) -> Verdict {
        judge(Measures { density_per_mm: density, giants, abnormal_shapes: abnormal })
    }

    #[test]
    fn the_table_of_known_and_unknown_measures() {
        use Category::{One, Two};
        use Rule::{Giant, LossWithAbnormalShapes as Loss, Normal, Otherwise};
        let decided = |category, rule| Verdict::Decided { category, rule };
        let unknown = Verdict::Undetermined;
        for (density, giants, abnormal, expected) in [
            (None, Some(1), None, decided(Two, Giant)),
            (Some(9.0), Some(3), Some(false), decided(Two, Giant)),
            (Some(3.0), None, Some(true), decided(Two, Loss)),
            (Some(3.0), Some(0), Some(true), decided(Two, Loss)),
            (Some(9.0), None, Some(false), unknown),
            (Some(3.0), None, Some(false), unknown),
            (Some(7.0), Some(0), None, decided(One, Normal)),
            (Some(5.0), Some(0), Some(true), decided(One, Otherwise)),
            (Some(3.01), Some(0), Some(true), decided(One, Otherwise)),
            (Some(6.99), Some(0), None, decided(One, Otherwise)),
            (Some(2.0), Some(0), Some(false), decided(One, Otherwise)),
            (Some(2.0), Some(0), None, unknown),
            (None, Some(0), Some(false), decided(One, Otherwise)),
            (None, Some(0), Some(true), unknown),
            (None, Some(0), None, unknown),
            (None, None, None, unknown),
        ] {
            assert_eq!(
                judged(density, giants, abnormal),
                expected,
                "density {density:?}, giants {giants:?}, abnormal {abnormal:?}"
            );
        }
    }
}
