//! The metrics of anomaly watches.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use sonde_runtime::Metric;

use super::source::{Counter, Source, load};
use crate::anomaly::Stats;
use crate::server::Server;

/// Registers what watches count.
pub(super) fn register(server: &Arc<Server>) {
    let source = Source { registry: &server.registry, owner: server };
    let of = |read: fn(&Stats) -> &AtomicU64| {
        move |s: &Server| s.core().map_or(0.0, |core| load(read(core.anomalies.stats())))
    };
    let counters: [Counter<Stats>; 12] = [
        ("sonde_anomaly_evaluations_total", "Evaluations of watches.", |s| &s.evaluations),
        ("sonde_anomaly_evaluation_failures_total", "Evaluations of watches that failed.", |s| &s.evaluation_failures),
        ("sonde_anomaly_values_total", "Values that detectors took.", |s| &s.values),
        ("sonde_anomaly_unusable_values_total", "Values that are no finite floats.", |s| &s.unusable_values),
        ("sonde_anomaly_alarms_total", "Values that scored 1.0 or more.", |s| &s.alarms),
        ("sonde_anomaly_skipped_steps_total", "Steps longer ago than the history that is walked over.", |s| {
            &s.skipped_steps
        }),
        ("sonde_anomaly_samples_appended_total", "Scores that were stored.", |s| &s.samples_appended),
        ("sonde_anomaly_samples_rejected_total", "Scores that were refused.", |s| &s.samples_rejected),
        ("sonde_anomaly_append_failures_total", "Batches of scores that could not be stored.", |s| &s.append_failures),
        ("sonde_anomaly_saves_total", "States that were written.", |s| &s.saves),
        ("sonde_anomaly_save_failures_total", "States that could not be written.", |s| &s.save_failures),
        ("sonde_anomaly_unusable_states_total", "States that could not be used.", |s| &s.unusable_states),
    ];
    for (name, help, read) in counters {
        source.counter(name, help, of(read));
    }
    let refused = |reason, read| {
        let metric =
            Metric::counter("sonde_anomaly_refused_series_total", "Series refused in an evaluation, by reason.");
        source.register(metric.label("reason", reason), of(read));
    };
    refused("max_series", |s| &s.refused_full);
    refused("ambiguous", |s| &s.refused_ambiguous);
    source.gauge("sonde_anomaly_series", "Series that are watched.", |s| {
        s.core().map_or(0.0, |core| core.anomalies.series() as f64)
    });
}
