//! From frames to field, finger and exam: pure functions, values in and values out. This file holds what all
//! three levels share, the rules of pooling (`Rules`) and the model's own terms (`Reader`).
//!
//! What is absent first: no level takes the maximum over frames or fields, none makes a call out of one frame,
//! none says that a disease is excluded, and none gives a yes or no for the patient.

pub mod exam;
pub mod field;
pub mod finger;
pub mod loops;
pub mod scores;
pub mod second;

use std::collections::BTreeSet;

use serde::Deserialize;

/// The scheme whose two categories are those of the Fast Track rules.
pub const FAST_TRACK: &str = "fast-track";

/// Odds of 1000 to 1, in logits: no set of held-out subjects that a model is calibrated on can tell longer odds
/// apart, so none are reported, and frames that lie beyond them agree with each other.
pub const LONGEST_ODDS: f64 = 6.907_755_278_982_137;

/// How much evidence a field and a finger need. Unless a source is named the figures are ours, not a consensus.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "snake_case")]
pub struct Rules {
    /// Distinct readable frames that a field needs. Ten: a third of a second of a 30 fps camera, enough for a
    /// spread to mean something. Never below two, because one frame is never a verdict.
    pub min_frames: u32,
    /// Time from the first to the last of them. One second holds a whole heartbeat at 60 a minute, so that a
    /// field is not read from one moment of the pulse.
    pub min_span_ms: u64,
    /// Share of the weight that is cut from each end of the frames, ordered by how positive they are, before the
    /// mean is taken. A tenth: the flickers of three frames a second at 30 fps.
    pub trim: f64,
    /// Largest standard deviation over the frames of a stable field, in calibrated logits. At 1.5 the middle two
    /// thirds of the frames differ by a factor of 20 in odds; from a lower threshold of 0.2 to an upper of 0.8 is a factor
    /// of 16. Frames that spread wider than both verdicts lie apart are no stable reading.
    pub max_spread: f64,
    /// Largest share of a field's frames that may look unlike what the model was trained on: what the trim at
    /// both ends could carry.
    pub max_out_of_cohort: f64,
    /// Positive fields that make a finger positive: the finding must recur.
    pub min_positive_fields: u32,
    /// Places that must be read as negative before a finger is negative.
    pub min_negative_fields: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            min_frames: 10,
            min_span_ms: 1000,
            trim: 0.1,
            max_spread: 1.5,
            max_out_of_cohort: 0.2,
            min_positive_fields: 2,
            min_negative_fields: 2,
        }
    }
}

impl Rules {
    /// Names the first key that is out of its range.
    pub fn check(&self) -> Result<(), String> {
        let within = |key: &str, is: f64, from: f64, to: f64| {
            if (from..=to).contains(&is) { Ok(()) } else { Err(format!("{key} is {is}: it must be {from} to {to}")) }
        };
        within("min_frames", f64::from(self.min_frames), 2.0, field::MOST_FRAMES as f64)?;
        within("min_span_ms", self.min_span_ms as f64, 100.0, 60_000.0)?;
        within("trim", self.trim, 0.0, 0.25)?;
        within("max_spread", self.max_spread, 0.1, 5.0)?;
        within("max_out_of_cohort", self.max_out_of_cohort, 0.0, 0.5)?;
        within("min_positive_fields", f64::from(self.min_positive_fields), 2.0, 8.0)?;
        within("min_negative_fields", f64::from(self.min_negative_fields), 2.0, 8.0)
    }
}

/// The model's own terms, out of its bundle: what its columns mean and where its thresholds lie.
#[derive(Clone, Debug, PartialEq)]
pub struct Reader {
    labels: Vec<String>,
    positive: usize,
    scheme: String,
    temperature: Option<f64>,
    lower: f64,
    upper: f64,
}

impl Reader {
    /// `positive` is the place of the positive label; `lower` and `upper` are limits of its probability. Without a
    /// `temperature` the model is not calibrated, and gives scores instead of probabilities.
    pub fn new(
        labels: Vec<String>,
        positive: usize,
        scheme: String,
        temperature: Option<f32>,
        lower: f32,
        upper: f32,
    ) -> Result<Self, String> {
        if labels.len() < 2 || labels.iter().any(String::is_empty) {
            return Err(format!("the labels {labels:?} must be two or more, none of them empty"));
        }
        if labels.iter().collect::<BTreeSet<_>>().len() != labels.len() {
            return Err(format!("the labels {labels:?} must differ from each other"));
        }
        if positive >= labels.len() {
            return Err(format!("label {positive} is named as the positive one, of {} counted from 0", labels.len()));
        }
        if !(0.0 < lower && lower <= upper && upper < 1.0) {
            return Err(format!("the thresholds are {lower} and {upper}: they must be 0 < lower <= upper < 1"));
        }
        if temperature.is_some_and(|t| !t.is_finite() || t <= 0.0) {
            return Err(format!("the temperature is {temperature:?}: it must be a number above 0"));
        }
        let temperature = temperature.map(f64::from);
        Ok(Self { labels, positive, scheme, temperature, lower: lower.into(), upper: upper.into() })
    }

    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    pub fn calibrated(&self) -> bool {
        self.temperature.is_some()
    }

    /// The place of the positive label among the labels.
    pub fn positive_index(&self) -> u32 {
        self.positive as u32
    }

    /// Lower and upper limit of the positive label's probability.
    pub fn limits(&self) -> (f32, f32) {
        (self.lower as f32, self.upper as f32)
    }

    pub fn positive_label(&self) -> &str {
        &self.labels[self.positive]
    }

    /// What a negative call is named: the other label of two. Of three or more, a low positive says only which
    /// one it is not.
    pub fn negative_label(&self) -> String {
        match (self.labels.as_slice(), self.positive) {
            ([_, other], 0) | ([other, _], 1) => other.clone(),
            _ => format!("not {}", self.positive_label()),
        }
    }

    /// How a screen names a call: the categories of the Fast Track rules by their number, whatever the bundle
    /// writes, and any other label as it stands.
    pub fn words(&self, positive: bool) -> String {
        match (self.scheme == FAST_TRACK, positive) {
            (true, true) => "category 2".to_owned(),
            (true, false) => "category 1".to_owned(),
            (false, true) => self.positive_label().to_owned(),
            (false, false) => self.negative_label(),
        }
    }

    /// The logarithm of the odds of the positive label against all others, after calibration.
    fn margin(&self, logits: &[f32]) -> f64 {
        let others = logits.iter().enumerate().filter(|&(i, _)| i != self.positive).map(|(_, z)| self.calibrate(*z));
        self.calibrate(logits[self.positive]) - log_sum_exp(others)
    }

    fn probs(&self, logits: &[f32]) -> Vec<f32> {
        let calibrated = logits.iter().map(|z| self.calibrate(*z));
        let all = log_sum_exp(calibrated.clone());
        calibrated.map(|z| (z - all).exp() as f32).collect()
    }

    fn calibrate(&self, logit: f32) -> f64 {
        f64::from(logit) / self.temperature.unwrap_or(1.0)
    }

    fn above_upper(&self, margin: f64) -> bool {
        sigmoid(margin) > self.upper
    }

    fn below_lower(&self, margin: f64) -> bool {
        sigmoid(margin) < self.lower
    }
}

fn sigmoid(margin: f64) -> f64 {
    1.0 / (1.0 + (-margin).exp())
}

fn log_sum_exp(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let most = values.clone().fold(f64::NEG_INFINITY, f64::max);
    most + values.map(|v| (v - most).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(labels: &[&str], temperature: Option<f32>, lower: f32, upper: f32) -> Result<Reader, String> {
        let labels = labels.iter().map(|l| (*l).to_owned()).collect();
        Reader::new(labels, 1, FAST_TRACK.to_owned(), temperature, lower, upper)
    }

    #[test]
    fn margins_and_probabilities_are_those_of_softmax() {
        let two = reader(&["category 1", "category 2"], Some(2.0), 0.2, 0.8).unwrap();
        assert!((two.margin(&[-1.0, 3.0]) - 2.0).abs() < 1e-12);
        let probs = two.probs(&[-1.0, 3.0]);
        assert!((f64::from(probs[1]) - sigmoid(2.0)).abs() < 1e-6);
        assert!((probs.iter().sum::<f32>() - 1.0).abs() < 1e-6);

        let three = reader(&["early", "active", "late"], None, 0.2, 0.8).unwrap();
        let logits = [0.3, 1.7, -0.4];
        assert!((sigmoid(three.margin(&logits)) - f64::from(three.probs(&logits)[1])).abs() < 1e-6);
    }

    #[test]
    fn huge_logits_stay_numbers() {
        let two = reader(&["category 1", "category 2"], Some(0.05), 0.2, 0.8).unwrap();
        for logits in [[-3e4, 3e4], [3e4, -3e4]] {
            assert!(two.margin(&logits).is_finite());
            assert!(two.probs(&logits).iter().all(|p| p.is_finite()), "{:?}", two.probs(&logits));
        }
    }

    #[test]
    fn of_two_labels_the_other_is_the_negative_one_and_of_three_none_is() {
        assert_eq!(reader(&["a", "b"], None, 0.2, 0.8).unwrap().negative_label(), "a");
        assert_eq!(reader(&["a", "b", "c"], None, 0.2, 0.8).unwrap().negative_label(), "not b");
        let first = Reader::new(vec!["a".into(), "b".into()], 0, String::new(), None, 0.2, 0.8).unwrap();
        assert_eq!(first.negative_label(), "b");
    }

    #[test]
    fn terms_that_mean_nothing_are_refused() {
        for (labels, temperature, lower, upper) in [
            (&["a"] as &[&str], None, 0.2, 0.8),
            (&["a", "a"], None, 0.2, 0.8),
            (&["a", ""], None, 0.2, 0.8),
            (&["a", "b"], Some(0.0), 0.2, 0.8),
            (&["a", "b"], Some(f32::NAN), 0.2, 0.8),
            (&["a", "b"], None, 0.8, 0.2),
            (&["a", "b"], None, 0.0, 0.8),
            (&["a", "b"], None, 0.2, 1.0),
            (&["a", "b"], None, f32::NAN, 0.8),
        ] {
            assert!(reader(labels, temperature, lower, upper).is_err(), "{labels:?} {temperature:?} {lower} {upper}");
        }
        assert!(Reader::new(vec!["a".into(), "b".into()], 2, String::new(), None, 0.2, 0.8).is_err());
    }

    #[test]
    fn rules_out_of_range_are_refused_by_name() {
        assert_eq!(Rules::default().check(), Ok(()));
        for (key, rules) in [
            ("min_frames", Rules { min_frames: 1, ..Rules::default() }),
            ("min_frames", Rules { min_frames: 601, ..Rules::default() }),
            ("min_span_ms", Rules { min_span_ms: 0, ..Rules::default() }),
            ("trim", Rules { trim: 0.5, ..Rules::default() }),
            ("max_spread", Rules { max_spread: f64::NAN, ..Rules::default() }),
            ("max_out_of_cohort", Rules { max_out_of_cohort: 1.0, ..Rules::default() }),
            ("min_positive_fields", Rules { min_positive_fields: 1, ..Rules::default() }),
            ("min_negative_fields", Rules { min_negative_fields: 1, ..Rules::default() }),
        ] {
            let refused = rules.check().unwrap_err();
            assert!(refused.starts_with(key) && refused.contains("must be"), "{refused}");
        }
    }
}
