//! The metrics of the process, of queries, rules and notifications.

use std::sync::Arc;

use sonde_runtime::Metric;

use super::source::{Source, load};
use super::{anomaly, auth, derive, ingest, spans, store, tls};
use crate::api::ApiStats;
use crate::server::Server;

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
    tls::register(server);
    ingest::register_receiver(registry, &server.otlp_stats);
    auth::register(server);
}

fn register_queries(source: &Source<'_, Server>) {
    source.counter("sonde_query_queries_total", "Queries that were run.", |s| load(&s.queries.stats().queries));
    source.counter("sonde_query_quick_total", "Queries answered on the thread that had the request.", |s| {
        load(&s.queries.stats().quick)
    });
    source.counter("sonde_query_refused_total", "Queries refused because too many waited.", |s| {
        load(&s.queries.stats().refused)
    });
    source.counter("sonde_query_timeouts_total", "Queries whose time was over.", |s| load(&s.queries.stats().timeouts));
    source.counter("sonde_query_canceled_total", "Queries whose client left.", |s| load(&s.queries.stats().canceled));
    source.counter("sonde_query_busy_seconds_total", "Time that queries ran.", |s| {
        load(&s.queries.stats().busy_us) / 1e6
    });
    source.counter("sonde_query_joined_total", "Queries answered with what somebody else had asked for.", |s| {
        s.answers.joined() as f64
    });
    source.counter("sonde_query_cache_hits_total", "Range queries answered from kept results alone.", |s| {
        load(&s.answers.cache.stats().hits)
    });
    source.counter("sonde_query_cache_partial_hits_total", "Range queries answered from kept results in part.", |s| {
        load(&s.answers.cache.stats().partial)
    });
    source.counter("sonde_query_cache_misses_total", "Range queries that found no kept result.", |s| {
        load(&s.answers.cache.stats().misses)
    });
    source.counter(
        "sonde_query_cache_invalidations_total",
        "Kept results that lost steps because samples had changed.",
        |s| load(&s.answers.cache.stats().invalidations),
    );
    source.counter("sonde_query_cache_evictions_total", "Kept results that made room for others.", |s| {
        load(&s.answers.cache.stats().evictions)
    });
    source
        .gauge("sonde_query_cache_bytes", "Memory that kept results take, about.", |s| s.answers.cache.bytes() as f64);
    source.gauge("sonde_query_held_samples", "Samples that queries hold in memory, small queries apart.", |s| {
        s.answers.pool.held() as f64
    });
    source.gauge("sonde_query_running", "Queries that run now.", |s| s.queries.running() as f64);
    source.gauge("sonde_query_waiting", "Queries that wait for their turn now.", |s| s.queries.waiting() as f64);
}

/// Registers what the open store, ingest and rules count.
pub(crate) fn register_core(server: &Arc<Server>) {
    let Some(core) = server.core() else { return };
    store::register_store(&server.registry, &core.db);
    store::register_wal(&server.registry, core.db.wal_stats());
    ingest::register_ingest(&server.registry, &core.ingest);
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
        "sonde_rules_iterations_missed_down_total",
        "Evaluations of groups that were missed while the process was not there.",
        rules(|s| s.iterations_missed_down() as f64),
    );
    source.counter(
        "sonde_rules_commit_failures_total",
        "Evaluations of groups whose alerts are in memory only, because the state database did not take them.",
        rules(|s| s.commit_failures() as f64),
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
    anomaly::register(server);
    let state = |read: fn(&crate::state::Stats) -> u64| {
        move |s: &Server| s.core().map_or(0.0, |c| read(c.state.stats()) as f64)
    };
    source.counter("sonde_state_commits_total", "Transactions of the state database.", state(|s| s.commits()));
    source.counter(
        "sonde_state_commit_failures_total",
        "Transactions of the state database that failed.",
        state(|s| s.commit_failures()),
    );
    source.counter(
        "sonde_state_busy_total",
        "Changes that the state database did not take because too many waited.",
        state(|s| s.busy()),
    );
    let notifier = server.notifier.clone();
    let expired = Metric::counter(
        "sonde_notify_expired_alerts_total",
        "Alerts dropped because for days after their end they could not be told.",
    );
    server.registry.register(expired, move || notifier.expired() as f64);
    register_alertmanager(&source);
    register_notifier(server);
}

/// Registers silences and the alerts of other senders.
fn register_alertmanager(source: &Source<'_, Server>) {
    use sonde_alerting::SilenceState;
    for state in [SilenceState::Active, SilenceState::Pending, SilenceState::Expired] {
        let metric = Metric::gauge("sonde_silences", "Silences that are kept, by state.");
        source.register(metric.label("state", state.as_str()), move |s| {
            s.notifier.silences().current().count(state, s.clock.now_ms()) as f64
        });
    }
    source.gauge("sonde_alerts_received_firing", "Alerts of other senders that fire.", |s| {
        s.inbox.current().iter().len() as f64
    });
    source
        .counter("sonde_alerts_received_total", "Alerts of other senders that were taken.", |s| s.inbox.taken() as f64);
    source.counter("sonde_alerts_received_refused_total", "Alerts of other senders that were refused.", |s| {
        s.inbox.refused() as f64
    });
}

/// Registers what the open span store and the road into it count.
pub(crate) fn register_spans(server: &Arc<Server>) {
    let Some(open) = server.spans() else { return };
    spans::register_ingest(&server.registry, &open.ingest);
    spans::register_store(&server.registry, &open.db);
    spans::register_wal(&server.registry, open.db.wal_stats());
    derive::register(&Source { registry: &server.registry, owner: &server.derive_stats });
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
