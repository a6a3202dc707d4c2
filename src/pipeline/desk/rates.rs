//! Rates and latencies over the last seconds of a live source, and their histograms since the start.

use std::collections::VecDeque;
use std::time::Duration;

use crate::emit::metrics::Stages;
use crate::pipeline::ended::Spent;
use crate::report::{Latency, Rates};
use crate::time::Stamp;

/// Long enough for a steady figure, short enough to follow a change.
const WINDOW: Duration = Duration::from_secs(3);

#[derive(Default)]
pub struct Meter {
    captured: VecDeque<Stamp>,
    read: VecDeque<(Stamp, Duration, Duration)>,
    pub stages: Stages,
}

impl Meter {
    pub fn captured(&mut self, at: Stamp) {
        // The same frame again is no other frame.
        if self.captured.back().is_some_and(|last| at == *last) {
            return;
        }
        self.captured.push_back(at);
        while self.captured.front().is_some_and(|first| at.since(*first) > WINDOW) {
            self.captured.pop_front();
        }
    }

    /// Notes a read frame; `now` is the moment its event leaves.
    pub fn read(&mut self, at: Stamp, now: Stamp, spent: &Spent) -> Latency {
        let total = now.since(at);
        let waited = total.saturating_sub(spent.total());
        self.stages.waited.observe(waited);
        self.stages.decode.observe(spent.decode);
        self.stages.gate.observe(spent.gate);
        self.stages.preprocess.observe(spent.preprocess);
        self.stages.infer.observe(spent.infer);
        self.stages.total.observe(total);
        self.read.push_back((at, total, spent.infer));
        while self.read.front().is_some_and(|first| at.since(first.0) > WINDOW) {
            self.read.pop_front();
        }
        let ms = |span: Duration| span.as_secs_f32() * 1e3;
        Latency {
            waited_ms: ms(waited),
            decode_ms: ms(spent.decode),
            gate_ms: ms(spent.gate),
            preprocess_ms: ms(spent.preprocess),
            infer_ms: ms(spent.infer),
            total_ms: ms(total),
        }
    }

    /// `None` before a second of frames has come, and when none came of late.
    pub fn rates(&self, now: Stamp) -> Option<Rates> {
        let span = self.captured.back()?.since(*self.captured.front()?).as_secs_f32();
        if span < 1.0 || now.since(*self.captured.back()?) > WINDOW {
            return None;
        }
        let quantile = |mut spans: Vec<Duration>, q: f64| {
            spans.sort_unstable();
            let place = ((spans.len().saturating_sub(1)) as f64 * q).round() as usize;
            spans.get(place).map_or(0.0, |s| s.as_secs_f32() * 1e3)
        };
        let totals: Vec<Duration> = self.read.iter().map(|r| r.1).collect();
        Some(Rates {
            captured_per_s: (self.captured.len() - 1) as f32 / span,
            read_per_s: self.read.len() as f32 / span,
            latency_p50_ms: quantile(totals.clone(), 0.5),
            latency_p99_ms: quantile(totals, 0.99),
            infer_p50_ms: quantile(self.read.iter().map(|r| r.2).collect(), 0.5),
        })
    }
}
