//! Peaks of a profile, by the rules of SciPy's `find_peaks`: first a least distance, the higher peak before the lower,
//! then a least prominence.

/// Places of the peaks, in order.
pub fn find(profile: &[f64], distance: usize, prominence: f64) -> Vec<usize> {
    let peaks = apart(profile, &maxima(profile), distance);
    peaks.into_iter().filter(|peak| rises(profile, *peak) >= prominence).collect()
}

/// Places higher than both sides; of a level top its middle.
fn maxima(profile: &[f64]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut at = 1;
    while at + 1 < profile.len() {
        let end = (at..profile.len()).take_while(|i| profile[*i].total_cmp(&profile[at]).is_eq()).last().unwrap_or(at);
        if profile[at - 1] < profile[at] && profile.get(end + 1).is_some_and(|next| *next < profile[at]) {
            found.push((at + end) / 2);
        }
        at = end + 1;
    }
    found
}

fn apart(profile: &[f64], peaks: &[usize], distance: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..peaks.len()).collect();
    order.sort_by(|a, b| profile[peaks[*b]].total_cmp(&profile[peaks[*a]]).then(b.cmp(a)));
    let mut kept: Vec<usize> = Vec::new();
    for peak in order.into_iter().map(|i| peaks[i]) {
        if kept.iter().all(|other| other.abs_diff(peak) >= distance) {
            kept.push(peak);
        }
    }
    kept.sort_unstable();
    kept
}

/// How far one must go down from the peak, on the less deep side, before a higher one.
fn rises(profile: &[f64], peak: usize) -> f64 {
    let top = profile[peak];
    let least = |side: &mut dyn Iterator<Item = &f64>| side.take_while(|v| **v <= top).copied().fold(top, f64::min);
    let (left, right) = (least(&mut profile[..peak].iter().rev()), least(&mut profile[peak + 1..].iter()));
    top - left.max(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_are_those_of_scipy() {
        // scipy.signal.find_peaks(x, distance=3, prominence=2) on the same series.
        let x = [0.0, 5.0, 4.0, 6.0, 0.0, 3.0, 3.0, 3.0, 0.0, 1.0, 0.0, 9.0];
        assert_eq!(find(&x, 3, 2.0), [3, 6]);
        assert_eq!(find(&x, 1, 0.5), [1, 3, 6, 9]);
        assert_eq!(find(&x, 1, 2.0), [3, 6], "the first rises 1 above the dip beside it");
        assert!(find(&[1.0, 2.0, 3.0], 1, 0.0).is_empty(), "an end is no peak");
        assert!(find(&[], 1, 0.0).is_empty());
    }
}
