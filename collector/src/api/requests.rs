//! Counts requests by the class of their answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use crate::server::Server;

/// Requests of the main port by the first digit of their status.
#[derive(Debug, Default)]
pub(crate) struct ApiStats([AtomicU64; 5]);

impl ApiStats {
    /// The classes of statuses.
    pub(crate) const CLASSES: [&'static str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

    /// Requests that were answered with a status of this class, by its index in [`ApiStats::CLASSES`].
    pub(crate) fn requests(&self, class: usize) -> u64 {
        self.0.get(class).map_or(0, |n| n.load(Relaxed))
    }
}

/// The middleware that counts.
pub(super) async fn count(State(server): State<Arc<Server>>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let class = usize::from(response.status().as_u16() / 100).wrapping_sub(1);
    if let Some(counter) = server.api_stats.0.get(class) {
        counter.fetch_add(1, Relaxed);
    }
    response
}
