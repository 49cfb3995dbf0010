//! The metrics of ingest: what came, by which road, and what was refused of it.

use std::sync::Arc;

use sonde_otlp::receiver;
use sonde_runtime::{Metric, Registry};

use super::source::{Counter, Source, load};
use crate::ingest::{Ingest, IngestStats, LabelProblem};

/// Registers what ingest counts.
pub(super) fn register_ingest(registry: &Registry, ingest: &Arc<Ingest>) {
    let source = Source { registry, owner: ingest };
    let counters: [Counter<IngestStats>; 10] = [
        ("sonde_import_samples_total", "Samples of imported pages, whatever became of them.", |s| &s.import_samples),
        ("sonde_remote_write_samples_total", "Samples that came by remote write, whatever became of them.", |s| {
            &s.remote_write_samples
        }),
        ("sonde_remote_write_bytes_total", "Bytes of remote write bodies after decompression.", |s| {
            &s.remote_write_bytes
        }),
        ("sonde_ingest_exemplars_total", "Exemplars that came, whatever became of them.", |s| &s.exemplars),
        (
            "sonde_ingest_trimmed_exemplars_total",
            "OTLP exemplars whose attributes were left out because they are too long.",
            |s| &s.exemplars_trimmed,
        ),
        (
            "sonde_remote_write_empty_series_total",
            "Remote write 2.0 series with neither samples nor histograms.",
            |s| &s.remote_write_empty_series,
        ),
        (
            "sonde_remote_write_invalid_metadata_total",
            "Metadata of metrics in remote write 2.0 requests that refers to symbols that are not there or not UTF-8.",
            |s| &s.remote_write_bad_metadata,
        ),
        ("sonde_remote_write_invalid_histograms_total", "Histograms that contradict themselves.", |s| {
            &s.invalid_histograms
        }),
        ("sonde_otlp_points_total", "Data points that came by OTLP, whatever became of them.", |s| &s.otlp_points),
        ("sonde_otlp_untranslated_points_total", "Data points that could not be translated.", |s| &s.otlp_untranslated),
    ];
    for (name, help, counter) in counters {
        source.counter(name, help, move |ingest| load(counter(ingest.stats())));
    }
    let results: [Counter<IngestStats>; 14] = [
        ("import", "stored", |s| &s.import_requests),
        ("import", "invalid", |s| &s.import_invalid),
        ("import", "busy", |s| &s.import_busy),
        ("import", "failed", |s| &s.import_failed),
        ("remote_write", "stored", |s| &s.remote_write_requests),
        ("remote_write", "invalid", |s| &s.remote_write_invalid),
        ("remote_write", "busy", |s| &s.remote_write_busy),
        ("remote_write", "failed", |s| &s.remote_write_failed),
        ("otlp", "stored", |s| &s.otlp_batches),
        ("otlp", "duplicate", |s| &s.otlp_duplicate_batches),
        ("otlp", "invalid", |s| &s.otlp_invalid),
        ("otlp", "busy", |s| &s.otlp_busy),
        ("otlp", "conflict", |s| &s.otlp_conflicts),
        ("otlp", "failed", |s| &s.otlp_failed),
    ];
    for (protocol, result, counter) in results {
        let metric = Metric::counter("sonde_ingest_requests_total", "Requests with samples, by what became of them.");
        let read = move |ingest: &Ingest| load(counter(ingest.stats()));
        source.register(metric.label("protocol", protocol).label("result", result), read);
    }
    for problem in LabelProblem::ALL {
        let help = "Samples whose series was refused, by reason.";
        let metric = Metric::counter("sonde_ingest_refused_samples_total", help).label("reason", problem.as_str());
        source.register(metric, move |ingest| ingest.stats().refused(problem) as f64);
    }
    const REFUSED: &str = "sonde_ingest_refused_exemplars_total";
    let refused: [Counter<IngestStats>; 3] = [
        (REFUSED, "series_refused", |s| &s.exemplars_without_series),
        (REFUSED, "invalid_labels", |s| &s.exemplars_with_bad_labels),
        (REFUSED, "no_value", |s| &s.exemplars_without_value),
    ];
    for (name, reason, counter) in refused {
        let help = "Exemplars that were refused before they came to the store, by reason.";
        let metric = Metric::counter(name, help).label("reason", reason);
        source.register(metric, move |ingest| load(counter(ingest.stats())));
    }
    source.gauge("sonde_ingest_inflight_bytes", "Bytes of requests that are being worked on.", |i| {
        i.budget().used() as f64
    });
    source.counter(
        "sonde_ingest_inflight_refused_total",
        "Requests refused because too many bytes were in work.",
        |i| i.budget().refused() as f64,
    );
    source.gauge("sonde_ingest_memo_series", "Series that the memo remembers.", |i| i.series_memo().len() as f64);
    source.counter("sonde_ingest_memo_misses_total", "Series that were not in the memo.", |i| {
        load(&i.series_memo().stats().misses)
    });
    source.counter("sonde_ingest_memo_evicted_total", "Series dropped from the memo because it was full.", |i| {
        load(&i.series_memo().stats().evicted)
    });
    source.gauge("sonde_ingest_agents", "Agents that sent batches since the start.", |i| i.agents().len() as f64);
}

/// Registers what the OTLP receivers count.
pub(super) fn register_receiver(registry: &Registry, stats: &Arc<receiver::Stats>) {
    let source = Source { registry, owner: stats };
    source.counter("sonde_otlp_requests_total", "OTLP requests that were accepted.", |s| load(&s.accepted_requests));
    source
        .counter("sonde_otlp_items_total", "Data points and spans of accepted requests.", |s| load(&s.accepted_items));
    source.counter("sonde_otlp_rejected_items_total", "Data points and spans left out of accepted requests.", |s| {
        load(&s.rejected_items)
    });
    source
        .counter("sonde_otlp_received_bytes_total", "Bytes of OTLP bodies as they came.", |s| load(&s.received_bytes));
    source.gauge("sonde_otlp_in_flight", "OTLP requests that are being handled.", |s| load(&s.in_flight));
    for reason in receiver::Reason::ALL {
        let metric =
            Metric::counter("sonde_otlp_requests_refused_total", "OTLP requests that were refused, by reason.");
        source.register(metric.label("reason", reason.as_str()), move |s| s.refused(reason) as f64);
    }
}
