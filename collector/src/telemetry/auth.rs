//! The metrics of tokens and of who is turned away.

use std::sync::Arc;

use sonde_runtime::Metric;

use super::source::Source;
use crate::auth::Reason;
use crate::server::Server;

/// Registers what the gate counts.
pub(super) fn register(server: &Arc<Server>) {
    let source = Source { registry: &server.registry, owner: server };
    for reason in Reason::ALL {
        let refused = Metric::counter("sonde_auth_refused_total", "Requests that were turned away, by why.");
        source.register(refused.label("reason", reason.as_str()), move |s| s.auth.stats().refused(reason) as f64);
    }
    source.gauge("sonde_auth_tokens", "Tokens that there are.", |s| s.auth.token_count() as f64);
    source.gauge("sonde_auth_required", "Whether callers are asked who they are.", |s| {
        f64::from(u8::from(s.auth.is_required(s.config.load().auth.required)))
    });
}
