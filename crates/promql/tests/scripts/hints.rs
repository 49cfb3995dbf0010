//! Counter reset hints as Prometheus's store gives them back.
//!
//! Histograms that fit to each other share a chunk: within it the second and later ones are known to follow no reset.
//! One that does not fit begins a chunk, and nothing is told of it unless the hint came with it: that a reset was seen
//! is lost when the original reads it back (<https://github.com/prometheus/prometheus/issues/15346>).

use sonde_model::{CounterResetHint, Histogram};

/// What is known of the chunk that the next histogram may go to.
#[derive(Debug, Default)]
pub(crate) struct ResetHints {
    last: Option<Histogram>,
}

impl ResetHints {
    /// The hint of the next histogram.
    pub(crate) fn next(&mut self, histogram: &Histogram) -> CounterResetHint {
        let hint = match &self.last {
            _ if histogram.reset_hint == CounterResetHint::Gauge => CounterResetHint::Gauge,
            _ if histogram.reset_hint == CounterResetHint::Reset => CounterResetHint::Reset,
            None => CounterResetHint::Unknown,
            Some(last) if last.reset_hint == CounterResetHint::Gauge => CounterResetHint::Unknown,
            Some(_) if histogram.is_stale() => CounterResetHint::NotReset,
            Some(last) if last.is_stale() => CounterResetHint::Unknown,
            Some(last) if !same_layout(last, histogram) => CounterResetHint::Unknown,
            Some(last) if histogram.is_reset_after(last) => CounterResetHint::Unknown,
            Some(_) => CounterResetHint::NotReset,
        };
        self.last = Some(histogram.clone());
        hint
    }
}

fn same_layout(a: &Histogram, b: &Histogram) -> bool {
    a.schema == b.schema && a.zero_threshold == b.zero_threshold && a.custom_values == b.custom_values
}
