//! The scan against the generated messages as the oracle.

use proptest::prelude::*;

use super::*;
use crate::otlp::common::{AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList, any_value};
use crate::otlp::metrics::{exponential_histogram_data_point::Buckets, summary_data_point::ValueAtQuantile, *};
use crate::otlp::resource::Resource;
use crate::otlp::trace::{ResourceSpans, ScopeSpans, Span, Status, span};
use crate::otlp::{ExportMetricsServiceRequest, ExportTraceServiceRequest, Message};

const LIMITS: ScanLimits = ScanLimits { max_items: 1_000, max_messages: 10_000, max_depth: 64 };

fn attribute(value: any_value::Value) -> KeyValue {
    KeyValue { key: "k".to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// A request that has every field of every message.
fn metrics_request() -> ExportMetricsServiceRequest {
    let attributes = vec![
        attribute(any_value::Value::StringValue("ü".to_owned())),
        attribute(any_value::Value::BoolValue(true)),
        attribute(any_value::Value::IntValue(-1)),
        attribute(any_value::Value::DoubleValue(1.5)),
        attribute(any_value::Value::BytesValue(vec![0xff])),
        attribute(any_value::Value::StringValueStrindex(1)),
        attribute(any_value::Value::ArrayValue(ArrayValue { values: vec![AnyValue { value: None }] })),
        attribute(any_value::Value::KvlistValue(KeyValueList { values: vec![KeyValue::default()] })),
    ];
    let exemplar = Exemplar {
        filtered_attributes: attributes.clone(),
        time_unix_nano: 1,
        span_id: vec![1; 8],
        trace_id: vec![2; 16],
        value: Some(exemplar::Value::AsInt(3)),
    };
    let number = NumberDataPoint {
        attributes: attributes.clone(),
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        exemplars: vec![exemplar.clone()],
        flags: 1,
        value: Some(number_data_point::Value::AsInt(-7)),
    };
    let histogram = HistogramDataPoint {
        attributes: attributes.clone(),
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        count: 3,
        sum: Some(4.0),
        bucket_counts: vec![1, 2],
        explicit_bounds: vec![1.0],
        exemplars: vec![exemplar.clone()],
        flags: 1,
        min: Some(0.0),
        max: Some(9.0),
    };
    let exponential = ExponentialHistogramDataPoint {
        attributes: attributes.clone(),
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        count: 3,
        sum: Some(4.0),
        scale: -2,
        zero_count: 1,
        positive: Some(Buckets { offset: -3, bucket_counts: vec![1, 300] }),
        negative: Some(Buckets { offset: 3, bucket_counts: vec![] }),
        flags: 1,
        exemplars: vec![exemplar],
        min: Some(0.0),
        max: Some(9.0),
        zero_threshold: 1e-9,
    };
    let summary = SummaryDataPoint {
        attributes: attributes.clone(),
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        count: 3,
        sum: 4.0,
        quantile_values: vec![ValueAtQuantile { quantile: 0.5, value: 1.0 }],
        flags: 1,
    };
    let data = [
        metric::Data::Gauge(Gauge { data_points: vec![number.clone()] }),
        metric::Data::Sum(Sum { data_points: vec![number], aggregation_temporality: 2, is_monotonic: true }),
        metric::Data::Histogram(Histogram { data_points: vec![histogram], aggregation_temporality: 1 }),
        metric::Data::ExponentialHistogram(ExponentialHistogram {
            data_points: vec![exponential],
            aggregation_temporality: 2,
        }),
        metric::Data::Summary(Summary { data_points: vec![summary] }),
    ];
    let metric = |data| Metric {
        name: "m".to_owned(),
        description: "d".to_owned(),
        unit: "u".to_owned(),
        metadata: attributes.clone(),
        data: Some(data),
    };
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource(&attributes)),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(scope(&attributes)),
                metrics: data.into_iter().map(metric).collect(),
                schema_url: "s".to_owned(),
            }],
            schema_url: "s".to_owned(),
        }],
    }
}

fn traces_request() -> ExportTraceServiceRequest {
    let attributes = vec![attribute(any_value::Value::StringValue("v".to_owned()))];
    let span = Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        trace_state: "a=b".to_owned(),
        parent_span_id: vec![3; 8],
        flags: 0x101,
        name: "GET".to_owned(),
        kind: 2,
        start_time_unix_nano: 1,
        end_time_unix_nano: 2,
        attributes: attributes.clone(),
        dropped_attributes_count: 1,
        events: vec![span::Event {
            time_unix_nano: 1,
            name: "e".to_owned(),
            attributes: attributes.clone(),
            dropped_attributes_count: 1,
        }],
        dropped_events_count: 1,
        links: vec![span::Link {
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            trace_state: "a=b".to_owned(),
            attributes: attributes.clone(),
            dropped_attributes_count: 1,
            flags: 1,
        }],
        dropped_links_count: 1,
        status: Some(Status { message: "m".to_owned(), code: 2 }),
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource(&attributes)),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope(&attributes)),
                spans: vec![span.clone(), span],
                schema_url: "s".to_owned(),
            }],
            schema_url: "s".to_owned(),
        }],
    }
}

fn resource(attributes: &[KeyValue]) -> Resource {
    let entity = EntityRef {
        schema_url: "s".to_owned(),
        r#type: "t".to_owned(),
        id_keys: vec!["k".to_owned()],
        description_keys: vec!["k".to_owned()],
    };
    Resource { attributes: attributes.to_vec(), dropped_attributes_count: 1, entity_refs: vec![entity] }
}

fn scope(attributes: &[KeyValue]) -> InstrumentationScope {
    InstrumentationScope {
        name: "n".to_owned(),
        version: "v".to_owned(),
        attributes: attributes.to_vec(),
        dropped_attributes_count: 1,
    }
}

/// An attribute value of `depth` arrays in each other, wrapped into a request. Built as bytes, from the inside out.
fn nested(depth: usize) -> Vec<u8> {
    let wrap = |key: u8, inner: Vec<u8>| {
        let mut outer = vec![key];
        prost::encoding::encode_varint(inner.len() as u64, &mut outer);
        outer.extend(inner);
        outer
    };
    let mut value = Vec::new();
    for _ in 0..depth {
        value = wrap(5 << 3 | 2, wrap(1 << 3 | 2, value));
    }
    // KeyValue.value, Resource.attributes, ResourceMetrics.resource, request.resource_metrics
    [2u8, 1, 1, 1].into_iter().fold(value, |inner, number| wrap(number << 3 | 2, inner))
}

#[test]
fn whole_requests_are_counted() {
    let metrics = scan(Signal::Metrics, &metrics_request().encode_to_vec(), &LIMITS).unwrap();
    let traces = scan(Signal::Traces, &traces_request().encode_to_vec(), &LIMITS).unwrap();
    assert_eq!((metrics.items, traces.items), (5, 2));
    assert!(metrics.messages > 200 && traces.messages > 20, "{metrics:?} {traces:?}");
    assert_eq!(scan(Signal::Metrics, &[], &LIMITS), Ok(Scanned { items: 0, messages: 1 }));
}

#[test]
fn counting_stops_at_the_items() {
    let body = metrics_request().encode_to_vec();
    let counted = count_items(Signal::Metrics, &body, &LIMITS).unwrap();
    // The request, a resource, a scope, five metrics with their data and one point each, and what a summary has: a
    // quantile and eight attributes.
    assert_eq!(counted, Scanned { items: 5, messages: 3 + 5 * 3 + 9 });
    let limits = ScanLimits { max_items: 4, ..LIMITS };
    let too_many = ScanError::TooMany { what: "data points or spans", limit: 4 };
    assert_eq!(count_items(Signal::Metrics, &body, &limits), Err(too_many));
    let traces = traces_request().encode_to_vec();
    assert_eq!(count_items(Signal::Traces, &traces, &LIMITS).map(|counted| counted.items), Ok(2));
    assert!(count_items(Signal::Traces, &traces[..traces.len() - 1], &LIMITS).is_err());
}

#[test]
fn limits_are_kept() {
    let body = metrics_request().encode_to_vec();
    let check = |limits: ScanLimits, expected: &str| {
        assert_eq!(scan(Signal::Metrics, &body, &limits).unwrap_err().to_string(), expected);
    };
    check(
        ScanLimits { max_items: 4, ..LIMITS },
        "the request has more than 4 data points or spans: send smaller requests",
    );
    check(ScanLimits { max_messages: 9, ..LIMITS }, "the request has more than 9 messages: send smaller requests");
    check(ScanLimits { max_depth: 5, ..LIMITS }, "the request is nested deeper than 5 messages");
}

#[test]
fn deep_nesting_is_refused_and_what_passes_decodes() {
    let widest = ScanLimits { max_depth: u32::MAX, ..LIMITS };
    for depth in [0, 1, 20, 30, 40, 43, 44, 50, 10_000] {
        let body = nested(depth);
        let scanned = scan(Signal::Metrics, &body, &widest);
        assert_eq!(scanned.is_ok(), depth <= 43, "{depth}: {scanned:?}");
        if scanned.is_ok() {
            ExportMetricsServiceRequest::decode(body.as_slice()).unwrap();
        }
    }
}

#[test]
fn a_tiny_body_cannot_ask_for_much_memory() {
    // 5,000 empty points in 10 kB.
    let points: Vec<u8> = [0x0a, 0x00].repeat(5_000);
    let wrap = |key: u8, inner: Vec<u8>| {
        let mut outer = vec![key << 3 | 2];
        prost::encoding::encode_varint(inner.len() as u64, &mut outer);
        outer.extend(inner);
        outer
    };
    let body = wrap(1, wrap(2, wrap(2, wrap(5, points))));
    let too_many = Err(ScanError::TooMany { what: "data points or spans", limit: 1_000 });
    assert_eq!(scan(Signal::Metrics, &body, &LIMITS), too_many);
    assert_eq!(count_items(Signal::Metrics, &body, &LIMITS), too_many);

    // One summary of 20,000 quantiles in 40 kB.
    let quantiles: Vec<u8> = [6 << 3 | 2, 0x00].repeat(20_000);
    let body = wrap(1, wrap(2, wrap(2, wrap(11, wrap(1, quantiles)))));
    let too_many = Err(ScanError::TooMany { what: "messages", limit: 10_000 });
    assert_eq!(count_items(Signal::Metrics, &body, &LIMITS), too_many);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Requests with bytes changed, inserted and cut: what the scan takes, the messages take.
    #[test]
    fn what_the_scan_takes_decodes(
        traces: bool, cut in 0usize..5_000,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..3), 0..4),
    ) {
        let mut body = if traces { traces_request().encode_to_vec() } else { metrics_request().encode_to_vec() };
        for (at, byte, edit) in edits {
            let at = at.index(body.len());
            match edit {
                0 => body[at] = byte,
                1 => body.insert(at, byte),
                _ => { body.remove(at); }
            }
        }
        body.truncate(cut.max(1));
        let signal = if traces { Signal::Traces } else { Signal::Metrics };
        let decoded = if traces {
            ExportTraceServiceRequest::decode(body.as_slice()).map(drop)
        } else {
            ExportMetricsServiceRequest::decode(body.as_slice()).map(drop)
        };
        match scan(signal, &body, &LIMITS) {
            Ok(scanned) => {
                prop_assert!(decoded.is_ok(), "{decoded:?}");
                let counted = count_items(signal, &body, &LIMITS).map(|counted| counted.items);
                prop_assert_eq!(counted, Ok(scanned.items));
            }
            Err(ScanError::Wire(WireError::Key { .. } | WireError::Utf8 { .. })) => {}
            Err(e) => prop_assert!(decoded.is_err(), "{e:?}"),
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        for signal in [Signal::Metrics, Signal::Traces] {
            if let Ok(scanned) = scan(signal, &body, &LIMITS) {
                prop_assert!(scanned.messages as usize <= body.len() + 1);
            }
            if let Ok(counted) = count_items(signal, &body, &LIMITS) {
                prop_assert!(counted.messages as usize <= body.len() + 1);
            }
        }
    }
}
