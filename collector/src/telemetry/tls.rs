//! The metrics of TLS: how long certificates hold, how often they were read again, how handshakes end.

use std::sync::Arc;

use sonde_runtime::Metric;
use sonde_tls::{HandshakeFailure, Stats};

use super::source::{Source, load};
use crate::server::Server;
use crate::tls::Tls;

/// Registers what TLS counts.
pub(super) fn register(server: &Arc<Server>) {
    let source = Source { registry: &server.registry, owner: server };
    let expiry = |certificate: &'static str, read: fn(&Stats) -> Option<i64>| {
        let help = "Until when a certificate holds, in seconds since the epoch; 0 for none.";
        let metric = Metric::gauge("sonde_tls_certificate_expiry_timestamp_seconds", help);
        let read = move |server: &Server| server.tls.as_ref().and_then(|tls| read(tls.certificates().stats()));
        source.register(metric.label("certificate", certificate), move |server| read(server).unwrap_or(0) as f64);
    };
    expiry("server", Stats::certificate_end);
    expiry("client_ca", Stats::authorities_end);
    let Some(tls) = &server.tls else { return };
    let source = Source { registry: &server.registry, owner: tls.certificates() };
    let reloads = Metric::counter("sonde_tls_reloads_total", "Times that changed certificates were taken.");
    source.register(reloads.label("certificate", "server"), |tls| load(&tls.stats().reloads));
    let failures = Metric::counter("sonde_tls_reload_failures_total", "Times that changed certificates were no good.");
    source.register(failures.label("certificate", "server"), |tls| load(&tls.stats().reload_failures));
    register_handshakes(server, tls);
}

fn register_handshakes(server: &Server, tls: &Tls) {
    for (listener, stats) in tls.handshakes() {
        let source = Source { registry: &server.registry, owner: stats };
        let completed = Metric::counter("sonde_tls_handshakes_total", "TLS handshakes that led to a connection.");
        source.register(completed.label("listener", listener), |stats| load(&stats.completed));
        for failure in HandshakeFailure::ALL {
            let failed = Metric::counter("sonde_tls_handshake_failures_total", "TLS handshakes that failed.");
            let failed = failed.label("listener", listener).label("reason", failure.as_str());
            source.register(failed, move |stats| stats.failures(failure) as f64);
        }
    }
}
