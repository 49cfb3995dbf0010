//! The collector's own metrics: the counters of all its parts under their names, on `/metrics` and in its own store.
//!
//! Names are `sonde_<part>_<what>_<unit>`; each drop, refusal and retry has a reason.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use opentelemetry::KeyValue;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use sonde_disk::WalStats;
use sonde_model::Signal;
use sonde_otlp::{Export, receiver};
use sonde_proto::otlp::{ExportMetricsServiceRequest, Message};
use sonde_runtime::telemetry::Telemetry;
use sonde_runtime::{Metric, Registry};
use sonde_tsdb::{Db, HeadStatus, OpenReport, RejectReason, Stats};

use crate::api::ApiStats;
use crate::ingest::{Ingest, IngestStats, LabelProblem};
use crate::server::Server;

/// A counter: its name, its help, where it is. For counters of one name: two label values instead.
type Counter<S> = (&'static str, &'static str, fn(&S) -> &AtomicU64);
/// A gauge: its name, its help, how it is read.
type Gauge<S> = (&'static str, &'static str, fn(&S) -> f64);

/// Registers what can be read before the store is open.
pub(crate) fn register_server(server: &Arc<Server>) {
    let registry = &server.registry;
    let build = Metric::gauge("sonde_build_info", "1, with the version of Sonde.");
    registry.register(build.label("version", env!("CARGO_PKG_VERSION")), || 1.0);
    let source = Source { registry, owner: server };
    source.gauge("sonde_start_time_seconds", "When the process started, in seconds since the epoch.", |s| {
        s.started as f64 / 1e3
    });
    source.gauge("sonde_ready", "Whether the collector is ready.", |s| f64::from(u8::from(s.health.is_ready())));
    source.gauge(
        "sonde_config_last_reload_successful",
        "Whether the last reload of the configuration succeeded.",
        |s| f64::from(u8::from(!s.reloaded().failed)),
    );
    source.gauge("sonde_config_last_reload_success_timestamp_seconds", "When a configuration was last taken.", |s| {
        s.reloaded().succeeded_at as f64 / 1e3
    });
    source.counter("sonde_clock_jumps_total", "Times that wall time jumped against monotonic time.", |s| {
        s.watch.clock_jumps() as f64
    });
    for (class, name) in ApiStats::CLASSES.into_iter().enumerate() {
        let metric = Metric::counter("sonde_http_requests_total", "Requests of the main port by class of status.");
        source.register(metric.label("status", name), move |s| s.api_stats.requests(class) as f64);
    }
    register_queries(&source);
    register_receiver(registry, &server.otlp_stats);
}

fn register_queries(source: &Source<'_, Server>) {
    source.counter("sonde_query_queries_total", "Queries that were run.", |s| load(&s.queries.stats().queries));
    source.counter("sonde_query_refused_total", "Queries refused because too many waited.", |s| {
        load(&s.queries.stats().refused)
    });
    source.counter("sonde_query_timeouts_total", "Queries whose time was over.", |s| load(&s.queries.stats().timeouts));
    source.counter("sonde_query_canceled_total", "Queries whose client left.", |s| load(&s.queries.stats().canceled));
    source.counter("sonde_query_busy_seconds_total", "Time that queries ran.", |s| {
        load(&s.queries.stats().busy_us) / 1e6
    });
    source.gauge("sonde_query_running", "Queries that run now.", |s| s.queries.running() as f64);
    source.gauge("sonde_query_waiting", "Queries that wait for their turn now.", |s| s.queries.waiting() as f64);
}

fn register_receiver(registry: &Registry, stats: &Arc<receiver::Stats>) {
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

/// Registers what the open store, ingest and rules count.
pub(crate) fn register_core(server: &Arc<Server>) {
    let Some(core) = server.core() else { return };
    register_store(&server.registry, &core.db);
    register_wal(&server.registry, core.db.wal_stats());
    register_ingest(&server.registry, &core.ingest);
    let source = Source { registry: &server.registry, owner: server };
    let rules =
        |read: fn(&crate::rules::Stats) -> f64| move |s: &Server| s.core().map_or(0.0, |core| read(core.rules.stats()));
    source.counter("sonde_rules_evaluations_total", "Evaluations of rules.", rules(|s| s.evaluations() as f64));
    source.counter(
        "sonde_rules_evaluation_failures_total",
        "Evaluations of rules that failed.",
        rules(|s| s.evaluation_failures() as f64),
    );
    source.counter(
        "sonde_rules_evaluation_seconds_total",
        "Time that evaluations of rules took.",
        rules(|s| s.evaluation_seconds()),
    );
    source.counter("sonde_rules_iterations_total", "Evaluations of groups.", rules(|s| s.iterations() as f64));
    source.counter(
        "sonde_rules_iterations_missed_total",
        "Evaluations of groups that were missed.",
        rules(|s| s.iterations_missed() as f64),
    );
    source.counter(
        "sonde_rules_samples_appended_total",
        "Samples that rules stored.",
        rules(|s| s.samples_appended() as f64),
    );
    source.counter(
        "sonde_rules_samples_rejected_total",
        "Samples of rules that were refused.",
        rules(|s| s.samples_rejected() as f64),
    );
    source.counter(
        "sonde_rules_append_failures_total",
        "Outputs of rules that could not be stored.",
        rules(|s| s.append_failures() as f64),
    );
    register_notifier(server);
}

/// Registers the counters of the receivers that there are now; again after each reload.
pub(crate) fn register_notifier(server: &Server) {
    for stats in server.notifier.stats() {
        let registry = &server.registry;
        let name = stats.name().to_owned();
        let register = |metric: Metric, read: fn(&crate::notify::ReceiverStats) -> u64| {
            let stats = Arc::clone(&stats);
            registry.register(metric.label("receiver", name.clone()), move || read(&stats) as f64);
        };
        let counter = Metric::counter;
        register(counter("sonde_notify_delivered_total", "Notifications that were delivered."), |s| s.delivered());
        register(counter("sonde_notify_failed_total", "Notifications that were given up."), |s| s.failed());
        register(counter("sonde_notify_retries_total", "Attempts after the first."), |s| s.retries());
        register(counter("sonde_notify_dropped_alerts_total", "Alerts dropped because too many were active."), |s| {
            s.dropped_alerts()
        });
        register(Metric::gauge("sonde_notify_alerts", "Alerts that the receiver knows."), |s| s.alerts());
    }
}

fn register_store(registry: &Registry, db: &Arc<Db>) {
    let source = Source { registry, owner: db };
    let counters: [Counter<Stats>; 23] = [
        ("sonde_tsdb_batches_total", "Batches that were stored.", |s| &s.batches),
        ("sonde_tsdb_duplicate_batches_total", "Batches that were there already.", |s| &s.duplicate_batches),
        ("sonde_tsdb_conflicting_batches_total", "Batches whose number was taken by another content.", |s| {
            &s.conflicting_batches
        }),
        ("sonde_tsdb_busy_batches_total", "Batches refused because there was no room.", |s| &s.busy_batches),
        ("sonde_tsdb_failed_batches_total", "Batches that could not be written.", |s| &s.failed_batches),
        ("sonde_tsdb_float_samples_total", "Float samples that were stored.", |s| &s.float_samples),
        ("sonde_tsdb_histogram_samples_total", "Histogram samples that were stored.", |s| &s.histogram_samples),
        ("sonde_tsdb_late_samples_total", "Stored samples that were not the newest of their series.", |s| {
            &s.late_samples
        }),
        ("sonde_tsdb_duplicate_samples_total", "Samples that were there already.", |s| &s.duplicate_samples),
        ("sonde_tsdb_series_created_total", "Series that came into being.", |s| &s.series_created),
        ("sonde_tsdb_series_removed_total", "Series that left the head.", |s| &s.series_removed),
        ("sonde_tsdb_series_refused_total", "Series refused because the head is full.", |s| &s.series_refused),
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

fn register_wal(registry: &Registry, stats: &Arc<WalStats>) {
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

fn register_ingest(registry: &Registry, ingest: &Arc<Ingest>) {
    let source = Source { registry, owner: ingest };
    let counters: [Counter<IngestStats>; 6] = [
        ("sonde_remote_write_samples_total", "Samples that came by remote write, whatever became of them.", |s| {
            &s.remote_write_samples
        }),
        ("sonde_remote_write_bytes_total", "Bytes of remote write bodies after decompression.", |s| {
            &s.remote_write_bytes
        }),
        (
            "sonde_remote_write_exemplars_dropped_total",
            "Exemplars that came by remote write; they are not stored.",
            |s| &s.exemplars_dropped,
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
    let results: [Counter<IngestStats>; 10] = [
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

/// Starts to write the collector's own metrics into its own store, by the road of all OTLP metrics.
pub(crate) fn start(server: &Arc<Server>) -> Option<Telemetry> {
    let interval = server.config.load().telemetry.interval.0;
    if interval.is_zero() {
        return None;
    }
    let resource = [
        KeyValue::new("service.name", "sonde-collector"),
        KeyValue::new("service.instance.id", server.flags.listen.to_string()),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
    ];
    // The registry, which the server owns, keeps what is installed into it.
    let owner = Arc::downgrade(server);
    let export = move |metrics: &ResourceMetrics| owner.upgrade().map_or(Ok(()), |server| store_own(&server, metrics));
    let telemetry = Telemetry::start(resource, interval, export);
    server.registry.install(&telemetry.meter("sonde-collector"));
    Some(telemetry)
}

/// Stores what was collected. It does not wait for the disk: what is lost here comes again with the next collection.
fn store_own(server: &Server, metrics: &ResourceMetrics) -> Result<(), String> {
    let Some(core) = server.core() else { return Ok(()) };
    let request = ExportMetricsServiceRequest::from(metrics);
    let body = request.encode_to_vec().into();
    let consumed = core.ingest.consume(&Export { signal: Signal::Metrics, body, batch: None, items: 0 });
    consumed.map(drop).map_err(|e| e.to_string())
}

/// Registers metrics that are read from one owner.
///
/// The registry does not keep the owner alive: the server owns the registry, and a store that is held has its files
/// locked.
struct Source<'a, T> {
    registry: &'a Registry,
    owner: &'a Arc<T>,
}

impl<T: Send + Sync + 'static> Source<'_, T> {
    fn counter(&self, name: &'static str, help: &'static str, read: impl Fn(&T) -> f64 + Send + Sync + 'static) {
        self.register(Metric::counter(name, help), read);
    }

    fn gauge(&self, name: &'static str, help: &'static str, read: impl Fn(&T) -> f64 + Send + Sync + 'static) {
        self.register(Metric::gauge(name, help), read);
    }

    fn register(&self, metric: Metric, read: impl Fn(&T) -> f64 + Send + Sync + 'static) {
        let owner = Arc::downgrade(self.owner);
        self.registry.register(metric, move || owner.upgrade().map_or(0.0, |owner| read(&owner)));
    }
}

fn load(counter: &AtomicU64) -> f64 {
    counter.load(Relaxed) as f64
}
