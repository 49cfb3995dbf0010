//! The views against the generated messages: what is viewed, put into messages again, is what prost decodes.

use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::otlp::ExportMetricsServiceRequest;
use crate::otlp::common::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value};
use crate::otlp::metrics::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar,
    exponential_histogram_data_point::Buckets, metric, number_data_point, summary_data_point::ValueAtQuantile,
};
use crate::otlp::resource::Resource;

type Viewed<T> = Result<T, ViewError>;

fn request(view: MetricsRequestView<'_>) -> Viewed<ExportMetricsServiceRequest> {
    let resource_metrics =
        view.resources().map(|resource| resource.and_then(resource_metrics)).collect::<Viewed<_>>()?;
    Ok(ExportMetricsServiceRequest { resource_metrics })
}

fn resource_metrics(view: ResourceMetricsView<'_>) -> Viewed<ResourceMetrics> {
    let resource = |view: ResourceView<'_>| -> Viewed<Resource> {
        let attributes = attributes(view.attributes)?;
        Ok(Resource { attributes, ..Resource::default() })
    };
    Ok(ResourceMetrics {
        resource: view.resource()?.map(resource).transpose()?,
        scope_metrics: view.scopes().map(|scope| scope.and_then(scope_metrics)).collect::<Viewed<_>>()?,
        schema_url: String::new(),
    })
}

fn scope_metrics(view: ScopeMetricsView<'_>) -> Viewed<ScopeMetrics> {
    let scope = |view: ScopeView<'_>| -> Viewed<InstrumentationScope> {
        let (name, version) = (view.name.to_owned(), view.version.to_owned());
        Ok(InstrumentationScope {
            name,
            version,
            attributes: attributes(view.attributes)?,
            dropped_attributes_count: 0,
        })
    };
    Ok(ScopeMetrics {
        scope: view.scope()?.map(scope).transpose()?,
        metrics: view.metrics().map(|metric| metric.and_then(metric_of)).collect::<Viewed<_>>()?,
        schema_url: view.schema_url.to_owned(),
    })
}

fn metric_of(view: MetricView<'_>) -> Viewed<Metric> {
    let data = match view.data {
        None => None,
        Some(DataView::Gauge { points }) => {
            Some(metric::Data::Gauge(Gauge { data_points: points.map(number).collect::<Viewed<_>>()? }))
        }
        Some(DataView::Sum { points, temporality, monotonic }) => Some(metric::Data::Sum(Sum {
            data_points: points.map(number).collect::<Viewed<_>>()?,
            aggregation_temporality: temporality,
            is_monotonic: monotonic,
        })),
        Some(DataView::Histogram { points, temporality }) => Some(metric::Data::Histogram(Histogram {
            data_points: points.map(histogram).collect::<Viewed<_>>()?,
            aggregation_temporality: temporality,
        })),
        Some(DataView::Exponential { points, temporality }) => {
            Some(metric::Data::ExponentialHistogram(ExponentialHistogram {
                data_points: points.map(exponential).collect::<Viewed<_>>()?,
                aggregation_temporality: temporality,
            }))
        }
        Some(DataView::Summary { points }) => {
            Some(metric::Data::Summary(Summary { data_points: points.map(summary).collect::<Viewed<_>>()? }))
        }
    };
    Ok(Metric {
        name: view.name.to_owned(),
        description: view.description.to_owned(),
        unit: view.unit.to_owned(),
        metadata: attributes(view.metadata()?)?,
        data,
    })
}

fn number(view: Viewed<NumberPointView<'_>>) -> Viewed<NumberDataPoint> {
    let view = view?;
    Ok(NumberDataPoint {
        attributes: attributes(view.attributes)?,
        start_time_unix_nano: view.start_time_unix_nano,
        time_unix_nano: view.time_unix_nano,
        exemplars: view.exemplars().map(exemplar_of).collect::<Viewed<_>>()?,
        flags: view.flags,
        value: view.value.map(|value| match value {
            NumberView::Double(value) => number_data_point::Value::AsDouble(value),
            NumberView::Int(value) => number_data_point::Value::AsInt(value),
        }),
    })
}

fn histogram(view: Viewed<HistogramPointView<'_>>) -> Viewed<HistogramDataPoint> {
    let view = view?;
    Ok(HistogramDataPoint {
        attributes: attributes(view.attributes)?,
        start_time_unix_nano: view.start_time_unix_nano,
        time_unix_nano: view.time_unix_nano,
        count: view.count,
        sum: view.sum,
        bucket_counts: view.bucket_counts.integers().collect(),
        explicit_bounds: view.explicit_bounds.doubles().collect(),
        exemplars: view.exemplars().map(exemplar_of).collect::<Viewed<_>>()?,
        flags: view.flags,
        min: None,
        max: None,
    })
}

fn exponential(view: Viewed<ExponentialPointView<'_>>) -> Viewed<ExponentialHistogramDataPoint> {
    let view = view?;
    let buckets = |view: BucketsView<'_>| Buckets { offset: view.offset, bucket_counts: view.counts.iter().collect() };
    Ok(ExponentialHistogramDataPoint {
        attributes: attributes(view.attributes)?,
        start_time_unix_nano: view.start_time_unix_nano,
        time_unix_nano: view.time_unix_nano,
        count: view.count,
        sum: view.sum,
        scale: view.scale,
        zero_count: view.zero_count,
        positive: view.positive.map(buckets),
        negative: view.negative.map(buckets),
        flags: view.flags,
        exemplars: view.exemplars().map(exemplar_of).collect::<Viewed<_>>()?,
        min: None,
        max: None,
        zero_threshold: view.zero_threshold,
    })
}

fn summary(view: Viewed<SummaryPointView<'_>>) -> Viewed<SummaryDataPoint> {
    let view = view?;
    let quantile =
        |view: Viewed<QuantileView>| view.map(|QuantileView { quantile, value }| ValueAtQuantile { quantile, value });
    Ok(SummaryDataPoint {
        attributes: attributes(view.attributes)?,
        start_time_unix_nano: view.start_time_unix_nano,
        time_unix_nano: view.time_unix_nano,
        count: view.count,
        sum: view.sum,
        quantile_values: view.quantiles().map(quantile).collect::<Viewed<_>>()?,
        flags: view.flags,
    })
}

fn exemplar_of(view: Viewed<ExemplarView<'_>>) -> Viewed<Exemplar> {
    let view = view?;
    Ok(Exemplar {
        filtered_attributes: attributes(view.filtered_attributes)?,
        time_unix_nano: view.time_unix_nano,
        span_id: view.span_id.to_vec(),
        trace_id: view.trace_id.to_vec(),
        value: view.value.map(|value| match value {
            NumberView::Double(value) => exemplar::Value::AsDouble(value),
            NumberView::Int(value) => exemplar::Value::AsInt(value),
        }),
    })
}

fn attributes(view: AttributesView<'_>) -> Viewed<Vec<KeyValue>> {
    let attributes: Vec<KeyValue> = view.iter().map(attribute).collect::<Viewed<_>>()?;
    assert_eq!(attributes.len(), view.len());
    Ok(attributes)
}

fn attribute(view: Viewed<AttributeView<'_>>) -> Viewed<KeyValue> {
    let view = view?;
    Ok(KeyValue { key: view.key.to_owned(), value: view.value.map(any_value).transpose()?, ..KeyValue::default() })
}

fn any_value(view: AnyValueView<'_>) -> Viewed<AnyValue> {
    use any_value::Value;
    let value = match view {
        AnyValueView::String(text) => Value::StringValue(text.to_owned()),
        AnyValueView::Bool(value) => Value::BoolValue(value),
        AnyValueView::Int(value) => Value::IntValue(value),
        AnyValueView::Double(value) => Value::DoubleValue(value),
        AnyValueView::Bytes(bytes) => Value::BytesValue(bytes.to_vec()),
        AnyValueView::Index => Value::StringValueStrindex(0),
        AnyValueView::Array(array) => {
            let values = array.values().map(|value| value.and_then(any_value)).collect::<Viewed<_>>()?;
            Value::ArrayValue(ArrayValue { values })
        }
        AnyValueView::Map(map) => {
            Value::KvlistValue(KeyValueList { values: map.pairs().map(attribute).collect::<Viewed<_>>()? })
        }
        AnyValueView::Empty => return Ok(AnyValue { value: None }),
    };
    Ok(AnyValue { value: Some(value) })
}

fn any_value_of_any_kind() -> impl Strategy<Value = AnyValue> {
    use any_value::Value;
    let leaf = prop_oneof![
        Just(None),
        ".{0,8}".prop_map(|text| Some(Value::StringValue(text))),
        any::<bool>().prop_map(|value| Some(Value::BoolValue(value))),
        any::<i64>().prop_map(|value| Some(Value::IntValue(value))),
        (-1e9..1e9).prop_map(|value| Some(Value::DoubleValue(value))),
        prop::collection::vec(any::<u8>(), 0..5).prop_map(|bytes| Some(Value::BytesValue(bytes))),
    ];
    let leaf = leaf.prop_map(|value| AnyValue { value });
    leaf.prop_recursive(3, 12, 3, |inner| {
        let array =
            prop::collection::vec(inner.clone(), 0..3).prop_map(|values| Value::ArrayValue(ArrayValue { values }));
        let pair = (".{0,4}", prop::option::of(inner));
        let pair = pair.prop_map(|(key, value)| KeyValue { key, value, ..KeyValue::default() });
        let map = prop::collection::vec(pair, 0..3).prop_map(|values| Value::KvlistValue(KeyValueList { values }));
        prop_oneof![array, map].prop_map(|value| AnyValue { value: Some(value) })
    })
}

fn some_attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let attribute = (".{0,6}", prop::option::of(any_value_of_any_kind()));
    let attribute = attribute.prop_map(|(key, value)| KeyValue { key, value, ..KeyValue::default() });
    prop::collection::vec(attribute, 0..4)
}

fn exemplars_of_any_kind() -> impl Strategy<Value = Vec<Exemplar>> {
    let value = prop_oneof![
        Just(None),
        (-1e9..1e9).prop_map(|value| Some(exemplar::Value::AsDouble(value))),
        any::<i64>().prop_map(|value| Some(exemplar::Value::AsInt(value))),
    ];
    let ids = (prop::collection::vec(any::<u8>(), 0..17), prop::collection::vec(any::<u8>(), 0..9));
    let exemplar =
        (some_attributes(), any::<u64>(), value, ids).prop_map(|(attributes, time, value, (trace, span))| Exemplar {
            filtered_attributes: attributes,
            time_unix_nano: time,
            value,
            trace_id: trace,
            span_id: span,
        });
    prop::collection::vec(exemplar, 0..3)
}

fn numbers() -> impl Strategy<Value = Vec<NumberDataPoint>> {
    let value = prop_oneof![
        Just(None),
        (-1e9..1e9).prop_map(|value| Some(number_data_point::Value::AsDouble(value))),
        any::<i64>().prop_map(|value| Some(number_data_point::Value::AsInt(value))),
    ];
    let point = (some_attributes(), any::<u64>(), any::<u64>(), value, any::<u32>(), exemplars_of_any_kind());
    let point = point.prop_map(|(attributes, start, time, value, flags, exemplars)| NumberDataPoint {
        attributes,
        start_time_unix_nano: start,
        time_unix_nano: time,
        exemplars,
        flags,
        value,
    });
    prop::collection::vec(point, 0..3)
}

fn histograms() -> impl Strategy<Value = Vec<HistogramDataPoint>> {
    let counts = prop::collection::vec(any::<u64>(), 0..5);
    let bounds = prop::collection::vec(-1e9..1e9, 0..5);
    let point = (some_attributes(), any::<u64>(), prop::option::of(-1e9..1e9), counts, bounds, exemplars_of_any_kind());
    let point = point.prop_map(|(attributes, n, sum, bucket_counts, explicit_bounds, exemplars)| HistogramDataPoint {
        attributes,
        start_time_unix_nano: n / 3,
        time_unix_nano: n / 2,
        count: n,
        sum,
        bucket_counts,
        explicit_bounds,
        exemplars,
        flags: n as u32,
        min: None,
        max: None,
    });
    prop::collection::vec(point, 0..3)
}

fn exponentials() -> impl Strategy<Value = Vec<ExponentialHistogramDataPoint>> {
    let side = || {
        let side = (any::<i32>(), prop::collection::vec(any::<u64>(), 0..5));
        prop::option::of(side.prop_map(|(offset, bucket_counts)| Buckets { offset, bucket_counts }))
    };
    let point = (some_attributes(), any::<u64>(), any::<i32>(), prop::option::of(0.0..9.0), side(), side());
    let point = (point, exemplars_of_any_kind());
    let point =
        point.prop_map(|((attributes, n, scale, sum, positive, negative), exemplars)| ExponentialHistogramDataPoint {
            attributes,
            start_time_unix_nano: n / 3,
            time_unix_nano: n / 2,
            count: n,
            sum,
            scale,
            zero_count: n / 7,
            positive,
            negative,
            flags: n as u32,
            exemplars,
            min: None,
            max: None,
            zero_threshold: sum.unwrap_or(0.0),
        });
    prop::collection::vec(point, 0..3)
}

fn summaries() -> impl Strategy<Value = Vec<SummaryDataPoint>> {
    let quantile = (0.0..1.0, -1e9..1e9).prop_map(|(quantile, value)| ValueAtQuantile { quantile, value });
    let point = (some_attributes(), any::<u64>(), -1e9..1e9, prop::collection::vec(quantile, 0..4));
    let point = point.prop_map(|(attributes, n, sum, quantile_values)| SummaryDataPoint {
        attributes,
        start_time_unix_nano: n / 3,
        time_unix_nano: n / 2,
        count: n,
        sum,
        quantile_values,
        flags: n as u32,
    });
    prop::collection::vec(point, 0..3)
}

fn metrics() -> impl Strategy<Value = Vec<Metric>> {
    let temporality = -1..4_i32;
    let data = prop_oneof![
        Just(None),
        numbers().prop_map(|data_points| Some(metric::Data::Gauge(Gauge { data_points }))),
        (numbers(), temporality.clone(), any::<bool>()).prop_map(|(data_points, t, is_monotonic)| Some(
            metric::Data::Sum(Sum { data_points, aggregation_temporality: t, is_monotonic })
        )),
        (histograms(), temporality.clone()).prop_map(|(data_points, t)| Some(metric::Data::Histogram(Histogram {
            data_points,
            aggregation_temporality: t
        }))),
        (exponentials(), temporality).prop_map(|(data_points, t)| Some(metric::Data::ExponentialHistogram(
            ExponentialHistogram { data_points, aggregation_temporality: t }
        ))),
        summaries().prop_map(|data_points| Some(metric::Data::Summary(Summary { data_points }))),
    ];
    let metric = (".{0,8}", ".{0,8}", ".{0,4}", data, some_attributes())
        .prop_map(|(name, description, unit, data, metadata)| Metric { name, description, unit, metadata, data });
    prop::collection::vec(metric, 0..3)
}

fn requests() -> impl Strategy<Value = ExportMetricsServiceRequest> {
    let scope = (".{0,4}", ".{0,4}", some_attributes()).prop_map(|(name, version, attributes)| InstrumentationScope {
        name,
        version,
        attributes,
        dropped_attributes_count: 0,
    });
    let scope_metrics = (prop::option::of(scope), metrics(), ".{0,4}")
        .prop_map(|(scope, metrics, schema_url)| ScopeMetrics { scope, metrics, schema_url });
    let resource = some_attributes().prop_map(|attributes| Resource { attributes, ..Resource::default() });
    let resource_metrics = (prop::option::of(resource), prop::collection::vec(scope_metrics, 0..3))
        .prop_map(|(resource, scope_metrics)| ResourceMetrics { resource, scope_metrics, schema_url: String::new() });
    prop::collection::vec(resource_metrics, 0..3)
        .prop_map(|resource_metrics| ExportMetricsServiceRequest { resource_metrics })
}

proptest! {
    #[test]
    fn what_is_viewed_is_what_the_generated_messages_decode(message in requests()) {
        let body = message.encode_to_vec();
        prop_assert_eq!(request(MetricsRequestView::new(&body)), Ok(message));
    }

    #[test]
    fn broken_bytes_are_viewed_as_prost_decodes_them(message in requests(), at: prop::sample::Index, to: u8) {
        let mut body = message.encode_to_vec();
        prop_assume!(!body.is_empty());
        let at = at.index(body.len());
        body[at] = to;
        // Fields that no view shows may be broken, or come to life; what is shown must be what prost decodes, and what
        // prost refuses of it must be refused.
        match (request(MetricsRequestView::new(&body)), ExportMetricsServiceRequest::decode(body.as_slice())) {
            (Ok(viewed), Ok(decoded)) => {
                let (viewed, decoded) = (debug(&viewed), debug(&strip(decoded)));
                prop_assert_eq!(viewed, decoded);
            }
            (Err(ViewError::Wire(error)), Ok(_)) => prop_assert!(false, "prost decodes it: {error}"),
            _ => {}
        }
    }
}

/// NaN is not equal to itself; as text it is.
fn debug(message: &ExportMetricsServiceRequest) -> String {
    format!("{message:?}")
}

/// Leaves out what no view shows.
fn strip(mut request: ExportMetricsServiceRequest) -> ExportMetricsServiceRequest {
    for resource_metrics in &mut request.resource_metrics {
        resource_metrics.schema_url.clear();
        if let Some(resource) = &mut resource_metrics.resource {
            resource.dropped_attributes_count = 0;
            resource.entity_refs.clear();
            resource.attributes.iter_mut().for_each(strip_attribute);
        }
        for scope_metrics in &mut resource_metrics.scope_metrics {
            if let Some(scope) = &mut scope_metrics.scope {
                scope.dropped_attributes_count = 0;
                scope.attributes.iter_mut().for_each(strip_attribute);
            }
            scope_metrics.metrics.iter_mut().for_each(strip_metric);
        }
    }
    request
}

fn strip_metric(metric: &mut Metric) {
    metric.metadata.iter_mut().for_each(strip_attribute);
    let exemplars = |exemplars: &mut Vec<Exemplar>| {
        exemplars.iter_mut().flat_map(|e| &mut e.filtered_attributes).for_each(strip_attribute);
    };
    match &mut metric.data {
        None => {}
        Some(metric::Data::Gauge(Gauge { data_points }) | metric::Data::Sum(Sum { data_points, .. })) => {
            for point in data_points {
                point.attributes.iter_mut().for_each(strip_attribute);
                exemplars(&mut point.exemplars);
            }
        }
        Some(metric::Data::Histogram(histogram)) => {
            for point in &mut histogram.data_points {
                (point.min, point.max) = (None, None);
                point.attributes.iter_mut().for_each(strip_attribute);
                exemplars(&mut point.exemplars);
            }
        }
        Some(metric::Data::ExponentialHistogram(histogram)) => {
            for point in &mut histogram.data_points {
                (point.min, point.max) = (None, None);
                point.attributes.iter_mut().for_each(strip_attribute);
                exemplars(&mut point.exemplars);
            }
        }
        Some(metric::Data::Summary(summary)) => {
            for point in &mut summary.data_points {
                point.attributes.iter_mut().for_each(strip_attribute);
            }
        }
    }
}

fn strip_attribute(attribute: &mut KeyValue) {
    attribute.key_strindex = 0;
    if let Some(value) = &mut attribute.value {
        strip_value(value);
    }
}

fn strip_value(value: &mut AnyValue) {
    use any_value::Value;
    match &mut value.value {
        Some(Value::StringValueStrindex(index)) => *index = 0,
        Some(Value::ArrayValue(array)) => array.values.iter_mut().for_each(strip_value),
        Some(Value::KvlistValue(map)) => map.values.iter_mut().for_each(strip_attribute),
        _ => {}
    }
}

#[test]
fn attributes_in_one_piece_are_at_hand_as_bytes() {
    let key_value = |key: &str| KeyValue { key: key.to_owned(), ..KeyValue::default() };
    let point = NumberDataPoint {
        attributes: vec![key_value("a"), key_value("b")],
        time_unix_nano: 7,
        flags: 1,
        ..NumberDataPoint::default()
    };
    let whole = point.encode_to_vec();
    let view = NumberPointView::parse(&whole).expect("valid");
    let only = NumberDataPoint { attributes: point.attributes.clone(), ..NumberDataPoint::default() };
    assert_eq!(view.attributes.bytes(), Some(only.encode_to_vec().as_slice()));

    let mut pieces = whole.clone();
    pieces.extend(only.encode_to_vec());
    let view = NumberPointView::parse(&pieces).expect("valid");
    assert_eq!((view.attributes.bytes(), view.attributes.len()), (None, 4));
    let keys: Vec<&str> = view.attributes.iter().map(|a| a.expect("valid").key).collect();
    assert_eq!(keys, ["a", "b", "a", "b"]);
}

#[test]
fn deltas_are_found() {
    let body = |data| {
        let metrics = vec![Metric::default(), Metric { data: Some(data), ..Metric::default() }];
        let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
        let resource_metrics =
            vec![ResourceMetrics::default(), ResourceMetrics { scope_metrics, ..Default::default() }];
        ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
    };
    let sum = |temporality| Sum { aggregation_temporality: temporality, ..Sum::default() };
    let histogram = |temporality| Histogram { aggregation_temporality: temporality, ..Histogram::default() };
    for (data, expected) in [
        (metric::Data::Gauge(Gauge::default()), false),
        (metric::Data::Sum(sum(2)), false),
        (metric::Data::Sum(sum(1)), true),
        (metric::Data::Histogram(histogram(2)), false),
        (metric::Data::Histogram(histogram(1)), true),
    ] {
        assert_eq!(MetricsRequestView::new(&body(data)).has_deltas(), Ok(expected));
    }
}

#[test]
fn what_needs_merging_is_told() {
    let metrics = ResourceMetrics { resource: Some(Resource::default()), ..ResourceMetrics::default() };
    let mut message = metrics.encode_to_vec();
    message.extend(metrics.encode_to_vec());
    assert_eq!(ResourceMetricsView::parse(&message).err(), Some(ViewError::Unusual { field: 1 }));

    let mut unpacked = Vec::new();
    for count in [1_u64, 2] {
        prost::encoding::fixed64::encode(6, &count, &mut unpacked);
    }
    assert_eq!(HistogramPointView::parse(&unpacked).err(), Some(ViewError::Unusual { field: 6 }));
}
