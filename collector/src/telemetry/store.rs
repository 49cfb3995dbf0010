//! The metrics of the metrics store and of its write-ahead log.

use std::sync::Arc;

use sonde_disk::WalStats;
use sonde_runtime::{Metric, Registry};
use sonde_tsdb::{Db, ExemplarRejectReason, ExemplarStatus, HeadStatus, OpenReport, RejectReason, Stats};

use super::source::{Counter, Gauge, Source, load};

/// Registers what the store counts, and its state.
pub(super) fn register_store(registry: &Registry, db: &Arc<Db>) {
    let source = Source { registry, owner: db };
    let counters: [Counter<Stats>; 36] = [
        ("sonde_tsdb_batches_total", "Batches that were stored.", |s| &s.batches),
        ("sonde_tsdb_duplicate_batches_total", "Batches that were there already.", |s| &s.duplicate_batches),
        ("sonde_tsdb_conflicting_batches_total", "Batches whose number was taken by another content.", |s| {
            &s.conflicting_batches
        }),
        ("sonde_tsdb_cursors_evicted_total", "Cursors of agents that went because there are too many.", |s| {
            &s.cursors_evicted
        }),
        ("sonde_tsdb_busy_batches_total", "Batches refused because there was no room.", |s| &s.busy_batches),
        ("sonde_tsdb_failed_batches_total", "Batches that could not be written.", |s| &s.failed_batches),
        ("sonde_tsdb_float_samples_total", "Float samples that were stored.", |s| &s.float_samples),
        ("sonde_tsdb_histogram_samples_total", "Histogram samples that were stored.", |s| &s.histogram_samples),
        ("sonde_tsdb_late_samples_total", "Stored samples that were not the newest of their series.", |s| {
            &s.late_samples
        }),
        ("sonde_tsdb_duplicate_samples_total", "Samples that were there already.", |s| &s.duplicate_samples),
        ("sonde_tsdb_exemplars_total", "Exemplars that were stored.", |s| &s.exemplars),
        ("sonde_tsdb_duplicate_exemplars_total", "Exemplars that were there already.", |s| &s.duplicate_exemplars),
        ("sonde_tsdb_exemplars_evicted_total", "Exemplars pushed out by newer ones.", |s| &s.exemplars_evicted),
        ("sonde_tsdb_series_created_total", "Series that came into being.", |s| &s.series_created),
        ("sonde_tsdb_series_removed_total", "Series that left the head.", |s| &s.series_removed),
        ("sonde_tsdb_series_refused_total", "Series refused because the head is full.", |s| &s.series_refused),
        ("sonde_tsdb_series_refused_by_metric_total", "Series refused because their metric has enough.", |s| {
            &s.series_refused_by_metric
        }),
        ("sonde_tsdb_series_refused_by_agent_total", "Series refused because their agent brought enough.", |s| {
            &s.series_refused_by_agent
        }),
        ("sonde_tsdb_metadata_dropped_total", "Metadata dropped because there is too much.", |s| &s.metadata_dropped),
        ("sonde_tsdb_flushes_total", "Flushes of the head.", |s| &s.flushes),
        ("sonde_tsdb_flush_failures_total", "Flushes of the head that failed.", |s| &s.flush_failures),
        ("sonde_tsdb_compactions_total", "Merges of blocks.", |s| &s.compactions),
        ("sonde_tsdb_compaction_failures_total", "Merges of blocks that failed.", |s| &s.compaction_failures),
        ("sonde_tsdb_blocks_expired_total", "Blocks removed by age.", |s| &s.blocks_expired),
        ("sonde_tsdb_blocks_evicted_total", "Blocks removed by size.", |s| &s.blocks_evicted),
        ("sonde_tsdb_blocks_quarantined_total", "Blocks set aside because they are damaged.", |s| {
            &s.blocks_quarantined
        }),
        ("sonde_tsdb_deletes_total", "Deletes that were done.", |s| &s.deletes),
        ("sonde_tsdb_blocks_cleaned_total", "Blocks written again without deleted samples.", |s| &s.blocks_cleaned),
        ("sonde_tsdb_ballast_released_total", "Times that reserved room was given up on a full disk.", |s| {
            &s.ballast_released
        }),
        ("sonde_tsdb_tier_feeds_total", "Days that tiers were fed with.", |s| &s.tier_feeds),
        ("sonde_tsdb_tier_feed_failures_total", "Days that a tier could not be fed with so far.", |s| {
            &s.tier_feed_failures
        }),
        ("sonde_tsdb_tier_blocks_missed_total", "Blocks removed although a tier could not be fed with them.", |s| {
            &s.tier_blocks_missed
        }),
        ("sonde_tsdb_snapshots_total", "Snapshots that were made.", |s| &s.snapshots),
        ("sonde_tsdb_corrupt_pages_total", "Pages of blocks whose checksum did not hold.", |s| &s.corrupt_pages),
        ("sonde_tsdb_replay_orphans_total", "Samples of the log whose series was lost.", |s| &s.replay_orphans),
        ("sonde_tsdb_retention_pauses_total", "Times that retention was paused because the clock is ahead.", |s| {
            &s.retention_pauses
        }),
    ];
    for (name, help, counter) in counters {
        source.counter(name, help, move |db| load(counter(db.stats())));
    }
    for reason in RejectReason::ALL {
        let metric = Metric::counter("sonde_tsdb_rejected_samples_total", "Samples that were refused, by reason.");
        source.register(metric.label("reason", reason.as_str()), move |db| db.stats().rejected(reason) as f64);
    }
    for reason in ExemplarRejectReason::ALL {
        let metric = Metric::counter("sonde_tsdb_rejected_exemplars_total", "Exemplars that were refused, by reason.");
        let read = move |db: &Db| db.stats().exemplars_rejected(reason) as f64;
        source.register(metric.label("reason", reason.as_str()), read);
    }
    let exemplars: [Gauge<ExemplarStatus>; 3] = [
        ("sonde_tsdb_exemplars", "Exemplars that are kept.", |s| s.exemplars as f64),
        ("sonde_tsdb_exemplar_series", "Series that have exemplars.", |s| s.series as f64),
        ("sonde_tsdb_exemplar_bytes", "Estimated bytes of exemplars in memory.", |s| s.bytes as f64),
    ];
    for (name, help, read) in exemplars {
        source.gauge(name, help, move |db| read(&db.exemplar_status()));
    }
    let tiers = db.tier_status().len();
    let of_tiers: [Gauge<HeadStatus>; 2] = [
        ("sonde_tsdb_tier_bytes", "Bytes of the blocks of a tier.", |s| s.block_bytes as f64),
        ("sonde_tsdb_tier_samples", "Samples in a tier.", |s| s.block_samples as f64),
    ];
    for (name, help, read) in of_tiers {
        for index in 0..tiers {
            let step = db.tier_status()[index].0.step_ms / 1000;
            let metric = Metric::gauge(name, help).label("step", format!("{step}s"));
            source.register(metric, move |db| db.tier_status().get(index).map_or(0.0, |tier| read(&tier.1)));
        }
    }
    source.gauge("sonde_tsdb_merge_peak_bytes", "The most bytes that one merge took on the disk.", |db| {
        load(&db.stats().merge_peak_bytes)
    });
    let gauges: [Gauge<HeadStatus>; 8] = [
        ("sonde_tsdb_head_series", "Series in the head.", |s| s.series as f64),
        ("sonde_tsdb_head_bytes", "Estimated bytes of samples in the head.", |s| s.bytes as f64),
        ("sonde_tsdb_head_samples", "Samples in the head.", |s| s.samples as f64),
        ("sonde_tsdb_blocks", "Blocks.", |s| s.blocks as f64),
        ("sonde_tsdb_block_bytes", "Bytes of all blocks.", |s| s.block_bytes as f64),
        ("sonde_tsdb_block_samples", "Samples in all blocks.", |s| s.block_samples as f64),
        ("sonde_tsdb_wal_bytes", "Bytes of the write-ahead log.", |s| s.wal_bytes as f64),
        ("sonde_tsdb_retention_paused", "Whether retention is paused because the clock is ahead.", |s| {
            f64::from(u8::from(s.retention_paused))
        }),
    ];
    for (name, help, read) in gauges {
        source.gauge(name, help, move |db| read(&db.status()));
    }
}

/// Registers what opening the store found: it does not change any more.
pub(crate) fn register_opening(registry: &Registry, report: &OpenReport) {
    let found = [
        (
            "sonde_tsdb_wal_damaged_ranges_total",
            "Damaged ranges of the log at the start.",
            report.wal.damage.len() as u64,
        ),
        (
            "sonde_tsdb_wal_unreadable_records_total",
            "Records of the log that could not be read.",
            report.unreadable_records,
        ),
        ("sonde_tsdb_wal_replayed_samples_total", "Samples that came back from the log at the start.", report.samples),
    ];
    for (name, help, count) in found {
        registry.register(Metric::counter(name, help), move || count as f64);
    }
}

/// Registers what the write-ahead log counts.
pub(super) fn register_wal(registry: &Registry, stats: &Arc<WalStats>) {
    let source = Source { registry, owner: stats };
    let counters: [Counter<WalStats>; 10] = [
        ("sonde_tsdb_wal_records_total", "Records of the log that are on disk.", |s| &s.records),
        ("sonde_tsdb_wal_record_bytes_total", "Bytes of those records.", |s| &s.bytes),
        ("sonde_tsdb_wal_syncs_total", "Syncs of the log that succeeded.", |s| &s.syncs),
        ("sonde_tsdb_wal_busy_total", "Records refused because too many bytes waited for the disk.", |s| &s.busy),
        ("sonde_tsdb_wal_failed_records_total", "Records that could not be written.", |s| &s.failed_records),
        ("sonde_tsdb_wal_disk_full_total", "Batches of records that failed because the disk was full.", |s| {
            &s.disk_full
        }),
        ("sonde_tsdb_wal_failed_writes_total", "Writes of the log that failed.", |s| &s.failed_writes),
        ("sonde_tsdb_wal_failed_syncs_total", "Syncs of the log that failed.", |s| &s.failed_syncs),
        ("sonde_tsdb_wal_abandoned_segments_total", "Segments given up after a failed write or sync.", |s| {
            &s.abandoned_segments
        }),
        ("sonde_tsdb_wal_callback_panics_total", "Callbacks that panicked.", |s| &s.callback_panics),
    ];
    for (name, help, counter) in counters {
        source.counter(name, help, move |s| load(counter(s)));
    }
    source.gauge("sonde_tsdb_wal_pending_bytes", "Bytes of the log that wait for their sync.", |s| {
        load(&s.pending_bytes)
    });
    source.gauge("sonde_tsdb_wal_segments", "Segments of the log.", |s| load(&s.segments));
}
