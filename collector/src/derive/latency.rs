//! Classic histograms of durations, as they grow between two collections.

use sonde_model::span::TraceId;

use super::row::{Observed, Rows};

/// The names and bounds of a histogram in seconds.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) bucket: &'static str,
    pub(super) sum: &'static str,
    pub(super) count: &'static str,
    /// The lowest bound; each further one is twice the one before it.
    pub(super) first: f64,
    /// How many bounds there are besides `+Inf`.
    pub(super) bounds: u8,
}

/// By how much a histogram grew.
#[derive(Clone, Debug, Default)]
pub(super) struct Latency {
    /// Observations by the first bound that holds them, the last one for all others.
    counts: [u64; 16],
    sum: f64,
    /// The last observation of each bucket that has one; few have.
    last: Vec<(u8, Observed)>,
}

impl Shape {
    fn bound(&self, at: u8) -> f64 {
        self.first * f64::from(1u32 << u32::from(at))
    }

    /// Counts an observation.
    pub(super) fn observe(&self, latency: &mut Latency, seconds: f64, trace: TraceId) {
        let at = (0..self.bounds).find(|at| seconds <= self.bound(*at)).unwrap_or(self.bounds);
        latency.counts[usize::from(at)] += 1;
        latency.sum += seconds;
        let observed = Observed { value: seconds, trace };
        match latency.last.iter_mut().find(|(bucket, _)| *bucket == at) {
            Some((_, last)) => *last = observed,
            None => latency.last.push((at, observed)),
        }
    }

    /// The counters of the histogram; it begins to grow anew.
    pub(super) fn rows(&self, latency: &mut Latency, rows: &mut Rows<'_>) {
        let Latency { counts, sum, last } = std::mem::take(latency);
        let mut total = 0;
        for at in 0..=self.bounds {
            total += counts[usize::from(at)];
            let le = if at == self.bounds { "+Inf".to_owned() } else { self.bound(at).to_string() };
            let observed = last.iter().find(|(bucket, _)| *bucket == at).map(|(_, observed)| *observed);
            rows.bucket(self.bucket, &le, total as f64, observed);
        }
        rows.counter(self.sum, sum, None);
        rows.counter(self.count, total as f64, None);
    }
}
