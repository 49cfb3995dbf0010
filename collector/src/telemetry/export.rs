//! The metrics of what is sent on.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};

use sonde_runtime::Metric;

use crate::export::TargetStats;
use crate::server::Server;

/// A counter of a target: its name, its help, where it is.
type Counter = (&'static str, &'static str, fn(&TargetStats) -> &AtomicU64);

/// Registers what each target counts; called again when the targets change.
pub(crate) fn register_export(server: &Server) {
    for (name, stats) in server.export_stats.all() {
        let register = |metric: Metric, read: Box<dyn Fn(&TargetStats) -> f64 + Send + Sync>| {
            let stats: Weak<TargetStats> = Arc::downgrade(&stats);
            let read = move || stats.upgrade().map_or(0.0, |stats| read(&stats));
            server.registry.register(metric.label("target", name.clone()), read);
        };
        let counters: [Counter; 11] = [
            ("samples_total", "Float samples that the receiver has taken.", |s| &s.samples),
            ("histograms_total", "Native histograms that the receiver has taken.", |s| &s.histograms),
            ("exemplars_total", "Exemplars that the receiver has taken.", |s| &s.exemplars),
            ("metadata_total", "Entries of metadata that the receiver has taken.", |s| &s.metadata),
            ("metadata_failed_total", "Entries of metadata that were not told; they come again.", |s| {
                &s.metadata_failed
            }),
            ("requests_total", "Requests that were answered with success.", |s| &s.requests),
            ("bytes_total", "Bytes of bodies that were sent.", |s| &s.bytes),
            ("retries_total", "Attempts that failed and were made again.", |s| &s.retries),
            ("refused_samples_total", "Samples that the receiver did not want.", |s| &s.refused),
            ("skipped_records_total", "Records of the log that were cut before they were sent.", |s| {
                &s.skipped_records
            }),
            ("round_bytes", "Bytes of samples that are in memory to be sent.", |s| &s.round_bytes),
        ];
        for (suffix, help, counter) in counters {
            let full = format!("sonde_remote_write_out_{suffix}");
            let metric =
                if suffix.ends_with("_total") { Metric::counter(full, help) } else { Metric::gauge(full, help) };
            register(metric, Box::new(move |s| counter(s).load(Relaxed) as f64));
        }
        let dropped: [Counter; 4] = [
            ("relabel", "", |s| &s.dropped_by_rules),
            ("not_configured", "", |s| &s.dropped_kind),
            ("sample_age_limit", "", |s| &s.dropped_old),
            ("unknown_series", "", |s| &s.dropped_unknown),
        ];
        for (reason, _, counter) in dropped {
            let metric = Metric::counter("sonde_remote_write_out_dropped_total", "What was not sent, by reason.");
            register(metric.label("reason", reason), Box::new(move |s| counter(s).load(Relaxed) as f64));
        }
        let gauge =
            |name: &'static str, help: &'static str| Metric::gauge(format!("sonde_remote_write_out_{name}"), help);
        register(
            gauge("newest_sample_seconds", "The time of the newest sample that the receiver has taken."),
            Box::new(|s| s.newest.load(Relaxed) as f64 / 1e3),
        );
        register(
            gauge("caught_up", "Whether everything that was there has been read."),
            Box::new(|s| f64::from(u8::from(s.caught_up.load(Relaxed)))),
        );
    }
}
