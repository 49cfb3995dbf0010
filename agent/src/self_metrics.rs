//! The agent's own metrics: what its parts count, under the names that users see.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use sonde_model::Signal;
use sonde_otlp::exporter::{self, FailureKind};
use sonde_otlp::receiver;
use sonde_runtime::{Clock, Metric, Registry};
use sonde_tls::{HandshakeFailure, HandshakeStats};

use crate::config::HostReceiver;
use crate::export::ExportStats;
use crate::queue::{DropReason, Queue, QueueStats, Source};
use crate::receivers::host::{HostStats, own_process};
use crate::receivers::scrape::{Failure, ScrapeStats};

/// A name, a help text, and where the queue keeps the number.
type Described = (&'static str, &'static str, fn(&QueueStats) -> &AtomicU64);

/// Registers what the queue of one signal counts. What is counted in data points and in spans has a name of its own.
pub fn register_queue(registry: &Registry, queue: &Arc<Queue>, clock: &Clock) {
    register_items(registry, queue);
    let (stats, signal) = (queue.stats(), queue.signal_name());
    let counters: [Described; 3] = [
        ("sonde_agent_batches_sent_total", "Batches that the collector has taken.", |s| &s.sent_batches),
        ("sonde_agent_queue_holes_total", "Numbers of batches that damage took away.", |s| &s.filled_holes),
        ("sonde_agent_otlp_pushed_back_total", "Requests pushed back for want of room.", |s| &s.pushed_back),
    ];
    for (name, help, counter) in counters {
        let metric = Metric::counter(name, help).label("signal", signal);
        on(registry, metric, stats, move |stats| counter(stats).load(Relaxed));
    }
    let gauges: [Described; 2] = [
        ("sonde_agent_queue_bytes", "Bytes that wait for the collector.", |s| &s.waiting_bytes),
        ("sonde_agent_queue_batches", "Batches that wait for the collector.", |s| &s.waiting_batches),
    ];
    for (name, help, gauge) in gauges {
        let metric = Metric::gauge(name, help).label("signal", signal);
        on(registry, metric, stats, move |stats| gauge(stats).load(Relaxed));
    }
    let max_bytes = queue.max_bytes() as f64;
    let metric = Metric::gauge("sonde_agent_queue_max_bytes", "Bytes that may wait.").label("signal", signal);
    registry.register(metric, move || max_bytes);
    let metric = Metric::gauge("sonde_agent_queue_oldest_seconds", "Age of the batch that is sent next; 0 for none.");
    let (stats, clock) = (Arc::clone(stats), clock.clone());
    registry
        .register(metric.label("signal", signal), move || age_seconds(stats.oldest_ms.load(Relaxed), clock.now_ms()));
    let metric = Metric::gauge("sonde_agent_queue_disk_bytes", "Bytes of all files of the queue.");
    let wal = Arc::clone(queue.wal().stats());
    registry.register(metric.label("signal", signal), move || wal.size_bytes.load(Relaxed) as f64);
}

/// Registers what is counted in data points or spans.
fn register_items(registry: &Registry, queue: &Queue) {
    let (stats, what) = (queue.stats(), queue.items_name());
    // Only local applications send spans.
    let is_source = |source: &Source| queue.signal() == Signal::Metrics || *source == Source::Otlp;
    for source in Source::ALL.into_iter().filter(is_source) {
        let metric = Metric::counter(
            format!("sonde_agent_{what}_accepted_total"),
            format!("The {what} that the agent took responsibility for; always sent + rejected + dropped + waiting."),
        );
        on(registry, metric.label("source", source.as_str()), stats, move |stats| stats.accepted(source));
    }
    for reason in DropReason::ALL {
        let help = format!("The {what} that were dropped and left a gap.");
        let metric = Metric::counter(format!("sonde_agent_{what}_dropped_total"), help);
        on(registry, metric.label("reason", reason.as_str()), stats, move |stats| stats.dropped(reason));
    }
    let sent =
        Metric::counter(format!("sonde_agent_{what}_sent_total"), format!("The {what} that the collector has taken."));
    on(registry, sent, stats, |stats| stats.sent_items.load(Relaxed));
    let rejected = Metric::counter(
        format!("sonde_agent_{what}_rejected_total"),
        format!("The {what} that the collector left out."),
    );
    on(registry, rejected, stats, |stats| stats.rejected_items.load(Relaxed));
    let waiting =
        Metric::gauge(format!("sonde_agent_queue_{what}"), format!("The {what} that wait for the collector."));
    on(registry, waiting, stats, |stats| stats.waiting_items.load(Relaxed));
}

fn age_seconds(made_ms: u64, now_ms: i64) -> f64 {
    let age_ms = if made_ms == 0 { 0 } else { u64::try_from(now_ms).unwrap_or(0).saturating_sub(made_ms) };
    age_ms as f64 / 1_000.0
}

/// Registers what the connection to the collector counts.
pub fn register_sent(registry: &Registry, sent: &Arc<exporter::Stats>) {
    for kind in
        FailureKind::ALL.into_iter().filter(|kind| !matches!(kind, FailureKind::Refused | FailureKind::Conflict))
    {
        let retries = Metric::counter("sonde_agent_export_retries_total", "Attempts that had to be repeated.");
        on(registry, retries.label("reason", kind.as_str()), sent, move |sent| sent.failures(kind));
    }
    let bytes = Metric::counter("sonde_agent_sent_bytes_total", "Bytes of the batches sent, before compression.");
    on(registry, bytes, sent, |sent| sent.sent_bytes.load(Relaxed));
}

/// Registers what the exporter of one queue counts.
pub fn register_export(registry: &Registry, stats: &Arc<ExportStats>, queue: &Queue) {
    let signal = queue.signal_name();
    let refused = Metric::counter("sonde_agent_batches_refused_total", "Batches that were refused for good.");
    on(registry, refused.label("signal", signal), stats, |s| s.refused_batches.load(Relaxed));
    let failures = Metric::gauge("sonde_agent_export_failures", "Attempts that failed in a row.");
    on(registry, failures.label("signal", signal), stats, |s| s.failures_in_a_row.load(Relaxed));
}

/// Registers what the host receivers count.
pub fn register_host(registry: &Registry, stats: &Arc<HostStats>) {
    let collections = Metric::counter("sonde_agent_host_collections_total", "Collections of host metrics.");
    on(registry, collections, stats, |s| s.collections.load(Relaxed));
    let missed = Metric::counter("sonde_agent_host_missed_total", "Collections skipped because of a slow one before.");
    on(registry, missed, stats, |s| s.missed.load(Relaxed));
    let jumps = Metric::counter("sonde_agent_clock_jumps_total", "Jumps of the host's clock.");
    on(registry, jumps, stats, |s| s.clock_jumps.load(Relaxed));
    let jumped = Metric::gauge("sonde_agent_clock_jumped_seconds", "How far the host's clock has jumped in all.");
    let own = Arc::clone(stats);
    registry.register(jumped, move || own.clock_jumped_ms.load(Relaxed) as f64 / 1_000.0);
    let busy = Metric::counter("sonde_agent_host_busy_seconds_total", "Time that collections of host metrics took.");
    let own = Arc::clone(stats);
    registry.register(busy, move || own.busy_us.load(Relaxed) as f64 / 1e6);
    for receiver in HostReceiver::ALL {
        let failed = Metric::counter("sonde_agent_host_failures_total", "Readings that failed.");
        on(registry, failed.label("receiver", receiver.name()), stats, move |stats| stats.failed(receiver));
    }
}

/// Registers what the OTLP receiver of one protocol counts.
pub fn register_otlp(registry: &Registry, stats: &Arc<receiver::Stats>) {
    let requests =
        Metric::counter("sonde_agent_otlp_requests_total", "Requests of local applications that were taken.");
    on(registry, requests, stats, |s| s.accepted_requests.load(Relaxed));
    for reason in receiver::Reason::ALL {
        let refused = Metric::counter("sonde_agent_otlp_refused_total", "Requests of local applications refused.");
        on(registry, refused.label("reason", reason.as_str()), stats, move |stats| stats.refused(reason));
    }
}

/// Registers how long certificates hold and how often they were read again; `own` and `authorities` are their names.
pub fn register_certificates(
    registry: &Registry,
    stats: &Arc<sonde_tls::Stats>,
    own: &'static str,
    authorities: &'static str,
) {
    let expiry = |certificate: &'static str, end: fn(&sonde_tls::Stats) -> Option<i64>| {
        let help = "Until when a certificate holds, in seconds since the epoch; 0 for none.";
        let metric = Metric::gauge("sonde_tls_certificate_expiry_timestamp_seconds", help);
        on(registry, metric.label("certificate", certificate), stats, move |stats| {
            end(stats).and_then(|end| u64::try_from(end).ok()).unwrap_or(0)
        });
    };
    expiry(own, sonde_tls::Stats::certificate_end);
    expiry(authorities, sonde_tls::Stats::authorities_end);
    let reloads = Metric::counter("sonde_tls_reloads_total", "Times that changed certificates were taken.");
    on(registry, reloads.label("certificate", own), stats, |stats| stats.reloads.load(Relaxed));
    let failures = Metric::counter("sonde_tls_reload_failures_total", "Times that changed certificates were no good.");
    on(registry, failures.label("certificate", own), stats, |stats| stats.reload_failures.load(Relaxed));
}

/// Registers how the TLS handshakes of a listener end.
pub fn register_handshakes(registry: &Registry, stats: &Arc<HandshakeStats>, listener: &'static str) {
    let completed = Metric::counter("sonde_tls_handshakes_total", "TLS handshakes that led to a connection.");
    on(registry, completed.label("listener", listener), stats, |stats| stats.completed.load(Relaxed));
    for failure in HandshakeFailure::ALL {
        let failed = Metric::counter("sonde_tls_handshake_failures_total", "TLS handshakes that failed.");
        let failed = failed.label("listener", listener).label("reason", failure.as_str());
        on(registry, failed, stats, move |stats| stats.failures(failure));
    }
}

/// Registers what scraping counts.
pub fn register_scrape(registry: &Registry, stats: &Arc<ScrapeStats>) {
    let scrapes = Metric::counter("sonde_agent_scrapes_total", "Readings of /metrics pages.");
    on(registry, scrapes, stats, |s| s.scrapes.load(Relaxed));
    let samples = Metric::counter("sonde_agent_scraped_samples_total", "Samples on the pages.");
    on(registry, samples, stats, |s| s.samples.load(Relaxed));
    let exemplars = Metric::counter("sonde_agent_scraped_exemplars_total", "Exemplars on the pages.");
    on(registry, exemplars, stats, |s| s.exemplars.load(Relaxed));
    let long = "Exemplars left out because their labels are longer than OpenMetrics allows.";
    let long = Metric::counter("sonde_agent_long_exemplars_total", long);
    on(registry, long, stats, |s| s.long_exemplars.load(Relaxed));
    let duplicates = Metric::counter("sonde_agent_scrape_duplicates_total", "Samples that stood on a page twice.");
    on(registry, duplicates, stats, |s| s.duplicates.load(Relaxed));
    for failure in Failure::ALL {
        let failed = Metric::counter("sonde_agent_scrape_failures_total", "Pages that could not be read.");
        on(registry, failed.label("reason", failure.as_str()), stats, move |stats| stats.failed(failure));
    }
}

/// Registers what the process uses, under the names that Prometheus clients use.
pub fn register_process(registry: &Registry) {
    if own_process::read().is_none() {
        return;
    }
    let read = || own_process::read().unwrap_or_default();
    registry.register(Metric::counter("process_cpu_seconds_total", "CPU time of the process."), move || {
        read().cpu.as_secs_f64()
    });
    registry.register(Metric::gauge("process_resident_memory_bytes", "Memory that the process holds."), move || {
        read().resident_bytes as f64
    });
}

fn on<S: Send + Sync + 'static>(
    registry: &Registry,
    metric: Metric,
    stats: &Arc<S>,
    read: impl Fn(&S) -> u64 + Send + Sync + 'static,
) {
    let stats = Arc::clone(stats);
    registry.register(metric, move || read(&stats) as f64);
}
