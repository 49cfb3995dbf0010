//! The collector's own metrics: the counters of all its parts under their names, on `/metrics` and in its own store.
//!
//! Names are `sonde_<part>_<what>_<unit>`; each drop, refusal and retry has a reason.

mod anomaly;
mod auth;
mod derive;
mod export;
mod ingest;
mod server;
mod source;
mod spans;
mod store;
mod tls;

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use sonde_model::Signal;
use sonde_otlp::Export;
use sonde_proto::otlp::{ExportMetricsServiceRequest, Message};
use sonde_runtime::telemetry::Telemetry;

pub(crate) use export::register_export;
pub(crate) use server::{register_core, register_notifier, register_server, register_spans};
pub(crate) use store::register_opening;

use crate::server::Server;

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
