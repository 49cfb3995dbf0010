//! OTLP messages, and the scan that bounds and proves a request before any of it is decoded.

mod scan;
mod schema;
mod view;

pub use opentelemetry_proto::tonic::collector::metrics::v1 as metrics_service;
pub use opentelemetry_proto::tonic::collector::trace::v1 as trace_service;
pub use opentelemetry_proto::tonic::{
    common::v1 as common, metrics::v1 as metrics, resource::v1 as resource, trace::v1 as trace,
};

pub use metrics_service::{ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse};
pub use prost::{DecodeError, Message};
pub use scan::{ScanError, ScanLimits, Scanned, count_items, scan};
pub use trace_service::{ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse};
pub use view::{
    AnyValueView, ArrayView, AttributeView, AttributesView, BucketsView, DataView, ExemplarView, ExponentialPointView,
    Fixed64s, HistogramPointView, MapView, Messages, MetricView, MetricsRequestView, NumberPointView, NumberView,
    QuantileView, ResourceMetricsView, ResourceView, ScopeMetricsView, ScopeView, SummaryPointView, Varints, View,
    ViewError,
};
