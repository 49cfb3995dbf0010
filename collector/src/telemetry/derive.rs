//! The metrics of what is derived from spans.

use sonde_runtime::Metric;

use super::source::{Counter, Source, load};
use crate::derive::DeriveStats;

/// Registers what the derivation counts.
pub(super) fn register(source: &Source<'_, DeriveStats>) {
    let counters: [Counter<DeriveStats>; 7] = [
        ("sonde_derive_batches_total", "Batches of derived metrics that are durable.", |s| &s.batches),
        ("sonde_derive_spans_total", "Spans that metrics were derived from.", |s| &s.spans),
        ("sonde_derive_failures_total", "Attempts to derive that failed and were made again.", |s| &s.failures),
        ("sonde_derive_unreadable_batches_total", "Batches of spans that could not be read.", |s| &s.unreadable),
        ("sonde_derive_refused_samples_total", "Derived samples that the metrics store refused.", |s| &s.refused),
        ("sonde_derive_requests_total", "Requests that the service graph counted.", |s| &s.requests),
        ("sonde_derive_expired_requests_total", "Requests whose other side did not come in time.", |s| &s.expired),
    ];
    for (name, help, counter) in counters {
        source.counter(name, help, move |s| load(counter(s)));
    }
    let dropped: [Counter<DeriveStats>; 3] = [
        ("reason", "max_label_sets", |s| &s.too_many_label_sets),
        ("reason", "max_open", |s| &s.too_many_open),
        ("reason", "max_pairs", |s| &s.too_many_pairs),
    ];
    for (label, reason, counter) in dropped {
        let metric = Metric::counter("sonde_derive_dropped_total", "What was not counted because a limit was reached.");
        source.register(metric.label(label, reason), move |s| load(counter(s)));
    }
    source.gauge("sonde_derive_open_requests", "Requests that wait for their other side.", |s| load(&s.open));
}
