//! `/metrics`: what the collector counts, for any scraper.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, header};
use sonde_proto::exposition::{Encoder, Format, MetricKind};

use crate::server::Server;

/// `/metrics`, in the text format or in OpenMetrics if the scraper asks for it.
pub(super) async fn metrics(State(server): State<Arc<Server>>, headers: HeaderMap) -> Response {
    let (format, content_type) = negotiate(&headers);
    let mut page = Encoder::new(format);
    let mut family = String::new();
    for point in server.registry.gather() {
        if family != point.metric.name {
            family = point.metric.name.to_string();
            let kind = match point.metric.kind {
                sonde_runtime::MetricKind::Counter => MetricKind::Counter,
                sonde_runtime::MetricKind::Gauge => MetricKind::Gauge,
            };
            page.family(&family, kind, &point.metric.help, "");
        }
        let labels: Vec<(&str, &str)> = point.metric.labels.iter().map(|(n, v)| (&**n, &**v)).collect();
        page.sample(&family, &labels, point.value, None);
    }
    ([(header::CONTENT_TYPE, content_type)], page.finish()).into_response()
}

/// The format that a scraper asks for, and its content type.
pub(super) fn negotiate(headers: &HeaderMap) -> (Format, &'static str) {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.contains("application/openmetrics-text") {
        (Format::OpenMetrics, "application/openmetrics-text; version=1.0.0; charset=utf-8")
    } else {
        (Format::Text, "text/plain; version=0.0.4; charset=utf-8")
    }
}
