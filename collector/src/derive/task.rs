//! The task that derives every few seconds, and a last time before the stores are closed.

use std::sync::Arc;
use std::time::Duration;

use sonde_disk::Fs;
use tokio_util::sync::CancellationToken;

use super::deriver::{DeriveError, DeriveOptions, Deriver};
use super::service_graph::GraphOptions;
use super::stats::add;
use crate::config::DeriveConfig;
use crate::server::Server;

/// Spans of one step: some tenths of a second of work, and a small part of the log that may be held.
const SPANS_PER_STEP: usize = 100_000;
/// The pause between two steps while there is a backlog.
const BACKLOG_PAUSE: Duration = Duration::from_millis(10);

/// Derives until the token is cancelled. Both stores must outlive it.
pub(crate) async fn run(server: Arc<Server>, fs: Arc<dyn Fs>, token: CancellationToken) {
    let config = server.config.load().derive.clone();
    if !config.enabled() {
        return;
    }
    let mut deriver = None;
    let mut failing = false;
    let mut wait = config.interval.0;
    loop {
        let last = tokio::select! {
            () = token.cancelled() => true,
            () = server.clock.sleep(wait) => false,
        };
        let (owner, fs, options) = (Arc::clone(&server), Arc::clone(&fs), options(&config));
        let step = tokio::task::spawn_blocking(move || {
            let result = step(&owner, fs, options, &mut deriver);
            (deriver, result)
        });
        let result = match step.await {
            Ok((returned, result)) => {
                deriver = returned;
                result
            }
            Err(e) => {
                tracing::error!("the derivation of metrics from spans failed unexpectedly and has ended: {e}");
                return;
            }
        };
        let behind = result.is_ok() && deriver.as_ref().is_some_and(|deriver| !deriver.is_caught_up());
        wait = if behind { BACKLOG_PAUSE } else { config.interval.0 };
        match result {
            Ok(()) if failing => {
                failing = false;
                tracing::info!("metrics are derived from spans again");
            }
            Ok(()) => {}
            Err(e) => {
                add(&server.derive_stats.failures, 1);
                // It is tried again every few seconds: one line when it begins is enough.
                if !failing {
                    let why = sonde_runtime::stage::with_causes(&e);
                    tracing::error!("no metrics are derived from spans, it is tried again: {why}");
                }
                failing = true;
            }
        }
        if last {
            return;
        }
    }
}

/// One step, once both stores are open.
fn step(
    server: &Server,
    fs: Arc<dyn Fs>,
    options: DeriveOptions,
    deriver: &mut Option<Deriver>,
) -> Result<(), DeriveError> {
    let (Some(core), Some(spans)) = (server.core(), server.spans()) else { return Ok(()) };
    let open = match deriver {
        Some(open) => open,
        None => {
            // Beside the spans: whoever removes or restores those does so with what was derived from them.
            let dir = server.flags.data_dir.join("traces").join("derive");
            let (spans, metrics) = (Arc::clone(&spans.db), Arc::clone(&core.db));
            deriver.insert(Deriver::open(fs, &dir, spans, metrics, options, Arc::clone(&server.derive_stats))?)
        }
    };
    open.step(server.clock.now_ms())
}

fn options(config: &DeriveConfig) -> DeriveOptions {
    let graph = &config.service_graph;
    DeriveOptions {
        span_metrics: config.span_metrics.enabled.then_some(config.span_metrics.max_label_sets),
        spans_per_step: SPANS_PER_STEP,
        service_graph: graph.enabled.then(|| GraphOptions {
            wait_ms: i64::try_from(graph.wait.0.as_millis()).unwrap_or(i64::MAX),
            max_open: graph.max_open,
            max_pairs: graph.max_pairs,
        }),
    }
}
