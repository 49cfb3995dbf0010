//! The metrics of spans: what came by OTLP, and what the span store counts.

use std::sync::Arc;

use sonde_disk::WalStats;
use sonde_runtime::{Metric, Registry};
use sonde_tracedb::{HeadStatus, RejectReason, Stats, TraceDb};
use sonde_translate::SpanReject;

use super::source::{Counter, Gauge, Source, load};
use crate::ingest::{SpanIngest, SpanStats};

/// Registers what the road of spans counts.
pub(super) fn register_ingest(registry: &Registry, ingest: &Arc<SpanIngest>) {
    let source = Source { registry, owner: ingest };
    source.counter("sonde_otlp_spans_total", "Spans that came by OTLP, whatever became of them.", |i| {
        load(&i.stats().spans)
    });
    source.counter("sonde_otlp_dropped_links_total", "Links of spans whose ids are no ids.", |i| {
        load(&i.stats().dropped_links)
    });
    let results: [Counter<SpanStats>; 6] = [
        ("result", "stored", |s| &s.batches),
        ("result", "duplicate", |s| &s.duplicate_batches),
        ("result", "invalid", |s| &s.invalid),
        ("result", "busy", |s| &s.busy),
        ("result", "conflict", |s| &s.conflicts),
        ("result", "failed", |s| &s.failed),
    ];
    for (label, result, counter) in results {
        let metric =
            Metric::counter("sonde_ingest_span_requests_total", "Requests with spans, by what became of them.");
        source.register(metric.label(label, result), move |i: &SpanIngest| load(counter(i.stats())));
    }
    for reason in SpanReject::ALL {
        let help = "Spans that were refused before the store saw them, by reason.";
        let label = reason.as_str().replace(' ', "_");
        let metric = Metric::counter("sonde_ingest_refused_spans_total", help).label("reason", label);
        source.register(metric, move |i| i.stats().refused(reason) as f64);
    }
}

/// Registers what the log of the span store counts.
pub(super) fn register_wal(registry: &Registry, stats: &Arc<WalStats>) {
    let source = Source { registry, owner: stats };
    let counters: [Counter<WalStats>; 6] = [
        ("sonde_tracedb_wal_records_total", "Records of the log that are on disk.", |s| &s.records),
        ("sonde_tracedb_wal_record_bytes_total", "Bytes of those records.", |s| &s.bytes),
        ("sonde_tracedb_wal_syncs_total", "Syncs of the log that succeeded.", |s| &s.syncs),
        ("sonde_tracedb_wal_busy_total", "Records refused because too many bytes waited for the disk.", |s| &s.busy),
        ("sonde_tracedb_wal_failed_records_total", "Records that could not be written.", |s| &s.failed_records),
        ("sonde_tracedb_wal_failed_syncs_total", "Syncs of the log that failed.", |s| &s.failed_syncs),
    ];
    for (name, help, counter) in counters {
        source.counter(name, help, move |s| load(counter(s)));
    }
}

/// Registers what the span store counts, and its state.
pub(super) fn register_store(registry: &Registry, db: &Arc<TraceDb>) {
    let source = Source { registry, owner: db };
    let counters: [Counter<Stats>; 18] = [
        ("sonde_tracedb_batches_total", "Batches that were stored.", |s| &s.batches),
        ("sonde_tracedb_duplicate_batches_total", "Batches that were there already.", |s| &s.duplicate_batches),
        ("sonde_tracedb_conflicting_batches_total", "Batches whose number was taken by another content.", |s| {
            &s.conflicting_batches
        }),
        ("sonde_tracedb_cursors_evicted_total", "Cursors of agents that went because there are too many.", |s| {
            &s.cursors_evicted
        }),
        ("sonde_tracedb_busy_batches_total", "Batches refused because there was no room.", |s| &s.busy_batches),
        ("sonde_tracedb_failed_batches_total", "Batches that could not be written.", |s| &s.failed_batches),
        ("sonde_tracedb_spans_total", "Spans that were stored.", |s| &s.spans),
        ("sonde_tracedb_duplicate_spans_total", "Spans that a block held already.", |s| &s.duplicate_spans),
        ("sonde_tracedb_flushes_total", "Flushes of the head.", |s| &s.flushes),
        ("sonde_tracedb_flush_failures_total", "Flushes of the head that failed.", |s| &s.flush_failures),
        ("sonde_tracedb_compactions_total", "Merges of blocks.", |s| &s.compactions),
        ("sonde_tracedb_compaction_failures_total", "Merges of blocks that failed.", |s| &s.compaction_failures),
        ("sonde_tracedb_blocks_expired_total", "Blocks removed by age.", |s| &s.blocks_expired),
        ("sonde_tracedb_blocks_evicted_total", "Blocks removed by size.", |s| &s.blocks_evicted),
        ("sonde_tracedb_blocks_quarantined_total", "Blocks set aside because they are damaged.", |s| {
            &s.blocks_quarantined
        }),
        ("sonde_tracedb_searches_total", "Searches that were answered.", |s| &s.searches),
        (
            "sonde_tracedb_traces_too_large_total",
            "Traces left out of searches because they have more than traces.max_trace_spans spans.",
            |s| &s.traces_too_large,
        ),
        ("sonde_tracedb_traces_read_total", "Traces that were put together for reads.", |s| &s.traces_read),
    ];
    for (name, help, counter) in counters {
        source.counter(name, help, move |db| load(counter(db.stats())));
    }
    for reason in RejectReason::ALL {
        let metric = Metric::counter("sonde_tracedb_rejected_spans_total", "Spans that were refused, by reason.");
        source.register(metric.label("reason", reason.name()), move |db| db.stats().rejected(reason) as f64);
    }
    let gauges: [Gauge<HeadStatus>; 8] = [
        ("sonde_tracedb_head_traces", "Traces in the head.", |s| s.traces as f64),
        ("sonde_tracedb_head_spans", "Spans in the head.", |s| s.spans as f64),
        ("sonde_tracedb_head_bytes", "Estimated bytes of the head.", |s| s.bytes as f64),
        ("sonde_tracedb_blocks", "Blocks.", |s| s.blocks as f64),
        ("sonde_tracedb_block_bytes", "Bytes of all blocks.", |s| s.block_bytes as f64),
        ("sonde_tracedb_block_spans", "Spans in all blocks.", |s| s.block_spans as f64),
        ("sonde_tracedb_wal_bytes", "Bytes of the write-ahead log.", |s| s.wal_bytes as f64),
        ("sonde_tracedb_retention_paused", "Whether retention is paused because the clock is ahead.", |s| {
            f64::from(u8::from(s.retention_paused))
        }),
    ];
    for (name, help, read) in gauges {
        source.gauge(name, help, move |db| read(&db.status()));
    }
}
