//! How far two readers of the same frames agree. Each figure is absent where the frames do not determine it.

/// One frame's figure: what the reader or the drawing says, and what was measured.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Pair {
    pub label: f64,
    pub found: f64,
}

pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = sorted[(sorted.len() - 1) / 2];
    Some((lower + upper) / 2.0)
}

fn differences(pairs: &[Pair]) -> Vec<f64> {
    pairs.iter().map(|p| p.found - p.label).collect()
}

pub fn mean_absolute_error(pairs: &[Pair]) -> Option<f64> {
    mean(&differences(pairs).iter().map(|d| d.abs()).collect::<Vec<_>>())
}

/// Found less labelled.
pub fn bias(pairs: &[Pair]) -> Option<f64> {
    mean(&differences(pairs))
}

/// What always saying the labels' own mean would be off by, in the mean: a measure must be better than that.
pub fn constant_error(pairs: &[Pair]) -> Option<f64> {
    let labels: Vec<f64> = pairs.iter().map(|p| p.label).collect();
    let middle = mean(&labels)?;
    mean(&labels.iter().map(|label| (label - middle).abs()).collect::<Vec<_>>())
}

/// Share of frames off by at most `limit`.
pub fn share_within(pairs: &[Pair], limit: f64) -> Option<f64> {
    mean(&differences(pairs).iter().map(|d| if d.abs() <= limit { 1.0 } else { 0.0 }).collect::<Vec<_>>())
}

/// Pearson's r, of three frames or more.
pub fn correlation(pairs: &[Pair]) -> Option<f64> {
    if pairs.len() < 3 {
        return None;
    }
    let labels = mean(&pairs.iter().map(|p| p.label).collect::<Vec<_>>())?;
    let founds = mean(&pairs.iter().map(|p| p.found).collect::<Vec<_>>())?;
    let sum = |of: &dyn Fn(f64, f64) -> f64| pairs.iter().map(|p| of(p.label - labels, p.found - founds)).sum::<f64>();
    let spread = (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt();
    (spread > 0.0).then(|| sum(&|a, b| a * b) / spread)
}

/// Intraclass correlation of absolute agreement, two-way random effects, single measures: ICC(2,1) of Shrout and
/// Fleiss, Psychol Bull 1979;86:420.
pub fn icc(pairs: &[Pair]) -> Option<f64> {
    if pairs.len() < 3 {
        return None;
    }
    let n = pairs.len() as f64;
    let labels = pairs.iter().map(|p| p.label).sum::<f64>() / n;
    let founds = pairs.iter().map(|p| p.found).sum::<f64>() / n;
    let grand = (labels + founds) / 2.0;
    let frame = |p: &Pair| (p.label + p.found) / 2.0;
    let between_frames = 2.0 * pairs.iter().map(|p| (frame(p) - grand).powi(2)).sum::<f64>() / (n - 1.0);
    let between_readers = n * ((labels - grand).powi(2) + (founds - grand).powi(2));
    let rest = |p: &Pair| {
        let left = |value: f64, reader: f64| (value - frame(p) - reader + grand).powi(2);
        left(p.label, labels) + left(p.found, founds)
    };
    let error = pairs.iter().map(rest).sum::<f64>() / (n - 1.0);
    let all = between_frames + error + 2.0 * (between_readers - error) / n;
    (all > 0.0).then(|| (between_frames - error) / all)
}

/// Mean difference and the limits that hold 95 % of differences (Bland and Altman, Lancet 1986;1:307).
pub fn limits_of_agreement(pairs: &[Pair]) -> Option<[f64; 3]> {
    let middle = bias(pairs).filter(|_| pairs.len() > 1)?;
    let square: f64 = differences(pairs).iter().map(|d| (d - middle).powi(2)).sum();
    let spread = 1.96 * (square / (pairs.len() - 1) as f64).sqrt();
    Some([middle - spread, middle, middle + spread])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(values: &[(f64, f64)]) -> Vec<Pair> {
        values.iter().map(|(label, found)| Pair { label: *label, found: *found }).collect()
    }

    /// The first two judges of Shrout and Fleiss's table 2, of six targets.
    const JUDGES: [(f64, f64); 6] = [(9.0, 2.0), (6.0, 1.0), (8.0, 4.0), (7.0, 1.0), (10.0, 5.0), (6.0, 2.0)];

    #[test]
    fn the_icc_is_that_of_a_hand_count() {
        // Sums by hand: means 46/6 and 15/6; between targets 23.41667/5, judges 80.08333, rest 3.41667/5.
        let (targets, judges, rest) = (23.416_667 / 5.0, 80.083_333, 3.416_667 / 5.0);
        let expected = (targets - rest) / (targets + rest + 2.0 * (judges - rest) / 6.0);
        let found = icc(&pairs(&JUDGES)).unwrap();
        assert!((found - expected).abs() < 1e-6, "{found} for {expected}");
        assert!((found - 0.125_654).abs() < 1e-6, "{found}");
        let same = pairs(&[(2.0, 2.0), (5.0, 5.0), (7.0, 7.0)]);
        assert!((icc(&same).unwrap() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn errors_bias_and_correlation_are_those_of_a_hand_count() {
        let four = pairs(&[(2.0, 3.0), (4.0, 4.0), (6.0, 4.0), (8.0, 9.0)]);
        assert_eq!(mean_absolute_error(&four), Some(1.0));
        assert_eq!(bias(&four), Some(0.0));
        assert_eq!(constant_error(&four), Some(2.0));
        assert_eq!(share_within(&four, 1.0), Some(0.75));
        // Products 18 over the root of 20 and 22.
        assert!((correlation(&four).unwrap() - 18.0 / 440f64.sqrt()).abs() < 1e-12);
        let [low, middle, high] = limits_of_agreement(&four).unwrap();
        assert!((middle.abs() < 1e-12) && (high - 1.96 * 2f64.sqrt()).abs() < 1e-12 && (low + high).abs() < 1e-12);
        assert_eq!(
            (median(&[3.0, 1.0, 2.0]), median(&[4.0, 1.0, 2.0, 3.0]), median(&[])),
            (Some(2.0), Some(2.5), None)
        );
    }

    #[test]
    fn what_the_frames_do_not_determine_is_absent() {
        let none = pairs(&[]);
        assert_eq!((mean_absolute_error(&none), bias(&none), constant_error(&none)), (None, None, None));
        let flat = pairs(&[(5.0, 5.0), (5.0, 5.0), (5.0, 5.0)]);
        assert_eq!((correlation(&flat), icc(&flat)), (None, None));
        assert_eq!(icc(&pairs(&[(1.0, 2.0), (2.0, 1.0)])), None);
    }
}
