//! OTLP metrics to Prometheus series: names, units, labels, temporality, histograms. OTLP spans to the model's.
//! Relabelling of series.
//!
//! Pure: messages in, rows out. It must not know of stores, limits of tenants, sockets or clocks. The reference is
//! what Prometheus 3.14 does at `/api/v1/otlp/v1/metrics`; where we differ on purpose,
//! `docs/decisions/0011-otlp-to-prometheus.md` says so.

mod exemplar;
mod exponential;
mod histogram;
mod label_name;
mod labels;
mod metric_name;
mod number;
mod options;
mod point;
pub mod relabel;
mod report;
mod resource;
mod row;
mod spans;
mod summary;
mod translator;
mod unit;
mod value;

pub use options::{Options, Promotion, Strategy};
pub use report::{MetricKind, RejectReason, Report};
pub use row::{MetricMetadata, Piece, Row, RowValue, SeriesKey, Sink, Times};
pub use spans::{MAX_VALUE_DEPTH, SpanReject, Spans, otlp_span, otlp_span_bytes, resource_spans, spans};
pub use translator::Translator;

use sonde_proto::otlp::{ExportMetricsServiceRequest, Message, MetricsRequestView};

/// Translates a request that is at hand as a message: `sink` is called once a sample, in the order of the request.
///
/// A point that cannot be translated is left out and counted in the report with its reason; everything else is kept.
/// Whoever has the encoded request, or translates many, keeps a [`Translator`].
pub fn translate(request: &ExportMetricsServiceRequest, options: &Options, sink: &mut dyn Sink) -> Report {
    let body = request.encode_to_vec();
    let report = Translator::new(options.clone()).translate(MetricsRequestView::new(&body), sink);
    report.expect("BUG: what was just encoded is no request")
}
