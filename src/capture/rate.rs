//! The rate at which a camera really sends, by the driver's own numbers and stamps: what we lose on our side does not
//! lower it, and what was negotiated does not raise it.

use std::time::Duration;

use crate::time::Stamp;

/// Sixty frames at the usual rate: short enough to be told soon, long enough for two figures.
const WINDOW: Duration = Duration::from_secs(2);
/// A change by a tenth is told; jitter over the window is far below it.
const CHANGE: f64 = 0.1;
/// Below three quarters of what was granted is slow: cameras that lengthen their exposure halve their rate.
const SLOW: f64 = 0.75;
/// And over four fifths is well again: as little above as keeps the two from alternating, because a camera that never
/// kept quite what it granted was no fault before either.
const WELL: f64 = 0.8;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum News {
    /// Measured for the first time, or another than before.
    Rate(f64),
    /// Fell far below what was granted.
    Slow { measured: f64, granted: f64 },
    /// Is what was granted again.
    Recovered(f64),
}

#[derive(Debug)]
pub struct RateWatch {
    granted: Option<f64>,
    window: Option<(u64, Stamp)>,
    told: Option<f64>,
    slow: bool,
}

impl RateWatch {
    /// `told`: what is known already.
    pub fn new(granted: Option<f64>, told: Option<f64>) -> Self {
        Self { granted, window: None, told, slow: false }
    }

    /// The stream was interrupted: what is between this frame and the last is no frame time.
    pub fn interrupted(&mut self) {
        self.window = None;
    }

    /// Takes note of a frame.
    pub fn note(&mut self, seq: u64, at: Stamp) -> Option<News> {
        let (first, since) = *self.window.get_or_insert((seq, at));
        let span = at.since(since);
        if span < WINDOW {
            return None;
        }
        self.window = Some((seq, at));
        self.judge(seq.saturating_sub(first) as f64 / span.as_secs_f64())
    }

    fn judge(&mut self, rate: f64) -> Option<News> {
        let changed = self.told.is_none_or(|told| (rate / told - 1.0).abs() > CHANGE);
        if changed {
            self.told = Some(rate);
        }
        if let Some(granted) = self.granted {
            if !self.slow && rate < granted * SLOW {
                self.slow = true;
                return Some(News::Slow { measured: rate, granted });
            }
            if self.slow && rate > granted * WELL {
                self.slow = false;
                return Some(News::Recovered(rate));
            }
        }
        changed.then_some(News::Rate(rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames at a rate for some seconds, from a number and a moment on.
    fn run(watch: &mut RateWatch, from: &mut (u64, f64), per_s: f64, seconds: f64) -> Vec<News> {
        let mut news = Vec::new();
        let end = from.1 + seconds;
        while from.1 < end {
            news.extend(watch.note(from.0, Stamp::from_ns((from.1 * 1e9) as u64)));
            from.0 += 1;
            from.1 += 1.0 / per_s;
        }
        news
    }

    #[test]
    fn the_rate_is_told_once_and_again_when_it_halves_and_comes_back() {
        let mut watch = RateWatch::new(Some(30.0), None);
        let mut at = (0, 0.0);
        let [News::Rate(first)] = run(&mut watch, &mut at, 30.0, 9.0)[..] else { panic!("one figure") };
        assert!((first - 30.0).abs() < 0.1, "{first}");
        let news = run(&mut watch, &mut at, 15.0, 9.0);
        let Some(News::Slow { measured, granted }) = news.iter().find(|n| matches!(n, News::Slow { .. })) else {
            panic!("{news:?}")
        };
        assert!((*granted - 30.0).abs() < 1e-9 && *measured < 22.5, "{measured}");
        let news = run(&mut watch, &mut at, 30.0, 9.0);
        assert!(news.iter().any(|n| matches!(n, News::Recovered(rate) if *rate > 24.0)), "{news:?}");
    }

    #[test]
    fn a_camera_that_never_kept_quite_what_it_granted_is_well_again() {
        let mut watch = RateWatch::new(Some(30.0), None);
        let mut at = (0, 0.0);
        assert!(matches!(run(&mut watch, &mut at, 26.0, 9.0)[..], [News::Rate(_)]));
        assert!(run(&mut watch, &mut at, 15.0, 9.0).iter().any(|n| matches!(n, News::Slow { .. })));
        assert!(run(&mut watch, &mut at, 26.0, 9.0).iter().any(|n| matches!(n, News::Recovered(_))));
    }

    #[test]
    fn frames_that_we_lost_were_sent_all_the_same() {
        let mut watch = RateWatch::new(Some(30.0), None);
        let frames = (0..90).filter(|n| n % 3 == 0);
        let news: Vec<News> = frames.filter_map(|n| watch.note(n, Stamp::from_ms(n * 100 / 3))).collect();
        assert!(matches!(news[..], [News::Rate(rate)] if (rate - 30.0).abs() < 0.2), "{news:?}");
    }

    #[test]
    fn an_interruption_is_no_slow_frame() {
        let mut watch = RateWatch::new(Some(30.0), None);
        let mut at = (0, 0.0);
        run(&mut watch, &mut at, 30.0, 1.0);
        watch.interrupted();
        at.1 += 60.0;
        assert!(matches!(run(&mut watch, &mut at, 30.0, 3.0)[..], [News::Rate(rate)] if rate > 29.0));
    }
}
