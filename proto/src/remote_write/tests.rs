//! The borrowed decoder against the owned messages as the oracle.

use proptest::prelude::*;
use prost::Message;
use sonde_model::{CounterResetHint, Histogram as Model, Span, stale_nan};

use super::*;

mod encoders;
mod request_v2;

fn limits() -> Limits {
    Limits { max_series: 20, max_samples: 40, max_labels: 6, max_label_bytes: 200, ..Limits::default() }
}

/// What a body holds, in the shape of the owned messages of 1.0; histograms stay as the model has them.
type Decoded = (Vec<(TimeSeries, Vec<HistogramView>)>, Vec<MetricMetadata>);

fn decode(version: Version, body: &[u8]) -> Result<Decoded, DecodeError> {
    let limits = limits();
    let view = WriteRequestView::new(version, body, &limits)?;
    assert_eq!(view.version(), version);
    let mut metadata = Vec::new();
    let mut of_series = view.series_metadata();
    let metadata_of = |m: MetadataView<'_>| MetricMetadata {
        kind: m.kind as i32,
        metric_family_name: m.family.to_owned(),
        help: m.help.to_owned(),
        unit: m.unit.to_owned(),
    };
    let mut series = Vec::new();
    for item in view.series() {
        let item = item?;
        let label = |l: Result<(&str, &str), _>| l.map(|(n, v)| Label { name: n.to_owned(), value: v.to_owned() });
        let exemplar = |e: Result<ExemplarView<'_>, _>| {
            let e = e?;
            Ok::<_, DecodeError>(Exemplar {
                labels: e.labels().map(label).collect::<Result<_, _>>()?,
                value: e.value,
                timestamp: e.timestamp,
            })
        };
        let owned = TimeSeries {
            labels: item.labels().map(label).collect::<Result<_, _>>()?,
            samples: item
                .samples()
                .map(|s| s.map(|s| Sample { value: s.value, timestamp: s.timestamp }))
                .collect::<Result<_, _>>()?,
            exemplars: item.exemplars().map(exemplar).collect::<Result<_, _>>()?,
            histograms: Vec::new(),
        };
        assert_eq!((item.label_count(), item.sample_count()), (owned.labels.len(), owned.samples.len()));
        assert_eq!(item.exemplar_count(), owned.exemplars.len());
        metadata.extend(of_series.read(&item)?.map(metadata_of));
        series.push((owned, item.histograms().collect::<Result<Vec<_>, _>>()?));
    }
    for item in view.metadata() {
        metadata.push(metadata_of(item?));
    }
    Ok((series, metadata))
}

fn labels() -> impl proptest::strategy::Strategy<Value = Vec<Label>> {
    prop::collection::vec(("[a-z_]{0,6}", "\\PC{0,6}").prop_map(|(name, value)| Label { name, value }), 0..5)
}

fn time_series() -> impl proptest::strategy::Strategy<Value = TimeSeries> {
    let sample =
        (any::<u64>(), any::<i64>()).prop_map(|(bits, timestamp)| Sample { value: f64::from_bits(bits), timestamp });
    let exemplar = (labels(), -1e9..1e9f64, any::<i64>()).prop_map(|(labels, value, timestamp)| Exemplar {
        labels,
        value,
        timestamp,
    });
    (labels(), prop::collection::vec(sample, 0..4), prop::collection::vec(exemplar, 0..2))
        .prop_map(|(labels, samples, exemplars)| TimeSeries { labels, samples, exemplars, histograms: Vec::new() })
}

fn request() -> impl proptest::strategy::Strategy<Value = WriteRequest> {
    let metadata = (0..9i32, "[a-z]{0,5}", "\\PC{0,5}", "[a-z]{0,5}")
        .prop_map(|(kind, metric_family_name, help, unit)| MetricMetadata { kind, metric_family_name, help, unit });
    (prop::collection::vec(time_series(), 0..8), prop::collection::vec(metadata, 0..3))
        .prop_map(|(timeseries, metadata)| WriteRequest { timeseries, metadata })
}

type Edits = Vec<(prop::sample::Index, u8, u8)>;

fn edits() -> impl proptest::strategy::Strategy<Value = Edits> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..3), 0..4)
}

/// A body with some bytes changed, added or removed.
fn edited(mut body: Vec<u8>, edits: Edits) -> Vec<u8> {
    for (at, byte, edit) in edits {
        if body.is_empty() {
            break;
        }
        let at = at.index(body.len());
        match edit {
            0 => body[at] = byte,
            1 => body.insert(at, byte),
            _ => {
                body.remove(at);
            }
        }
    }
    body
}

/// Equality that sees the bits of floats.
fn bits(series: &TimeSeries) -> Vec<u8> {
    series.encode_to_vec()
}

proptest! {
    #[test]
    fn what_is_encoded_decodes(request in request()) {
        let body = encode(&request);
        let (series, metadata) = decode(Version::V1, &body).unwrap();
        prop_assert_eq!(series.len(), request.timeseries.len());
        for ((found, _), expected) in series.iter().zip(&request.timeseries) {
            prop_assert_eq!(bits(found), bits(expected));
        }
        prop_assert_eq!(metadata, request.metadata);
    }

    /// Bodies with bytes changed: what the borrowed decoder takes, the owned one takes with the same content.
    #[test]
    fn what_decodes_is_what_was_meant(
        request in request(),
        edits in edits(),
    ) {
        let body = edited(encode(&request), edits);
        if let Ok((series, _)) = decode(Version::V1, &body) {
            let oracle = WriteRequest::decode(body.as_slice()).unwrap();
            prop_assert_eq!(series.len(), oracle.timeseries.len());
            for ((found, histograms), mut expected) in series.into_iter().zip(oracle.timeseries) {
                prop_assert_eq!(histograms.len(), expected.histograms.len());
                expected.histograms.clear();
                prop_assert_eq!(bits(&found), bits(&expected));
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        for version in Version::ALL {
            let _ = decode(version, &body);
        }
        let _ = HistogramView::parse(&body, 100);
    }
}

#[test]
fn limits_are_kept() {
    let label = |n: usize| Label { name: "a".repeat(n), value: String::new() };
    let series = |labels, samples| TimeSeries { labels, samples, ..TimeSeries::default() };
    let check = |timeseries: Vec<TimeSeries>, expected: &str| {
        let error =
            decode(Version::V1, &encode(&WriteRequest { timeseries, metadata: vec![] })).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(vec![TimeSeries::default(); 21], "21 series, the limit is 20");
    check(vec![series(vec![], vec![Sample::default(); 21]); 2], "42 samples, the limit is 40");
    check(vec![series(vec![label(1); 7], vec![])], "7 labels in a series, the limit is 6");
    check(vec![series(vec![label(201)], vec![])], "204 bytes of labels in a series, the limit is 200");
    let limits = Limits { max_body_bytes: 10, ..limits() };
    assert!(WriteRequestView::new(Version::V1, &[0; 11], &limits).is_err());
}

#[test]
fn the_label_bytes_of_equal_series_are_equal() {
    let labels = vec![Label { name: "a".to_owned(), value: "b".to_owned() }; 2];
    let first = TimeSeries { labels, samples: vec![Sample { value: 1.0, timestamp: 2 }], ..TimeSeries::default() };
    let second = TimeSeries { samples: vec![Sample { value: 3.0, timestamp: 4 }; 3], ..first.clone() };
    let body = encode(&WriteRequest { timeseries: vec![first.clone(), second], metadata: vec![] });
    let limits = limits();
    let view = WriteRequestView::new(Version::V1, &body, &limits).unwrap();
    let bytes: Vec<_> = view.series().map(|s| s.unwrap().label_bytes().unwrap()).collect();
    assert_eq!(bytes[0], bytes[1]);
    // A label behind a sample: legal protobuf that no sender writes.
    let mut odd = Vec::new();
    TimeSeries { labels: vec![], ..first.clone() }.encode(&mut odd).unwrap();
    TimeSeries { samples: vec![], ..first.clone() }.encode(&mut odd).unwrap();
    let series = SeriesView::parse(&odd, None, &limits).unwrap();
    assert_eq!((series.label_bytes(), series.labels().count(), series.samples().count()), (None, 2, 1));
}

fn histogram() -> Histogram {
    Histogram {
        count: Some(Count::Int(12)),
        sum: 18.4,
        schema: 1,
        zero_threshold: 0.001,
        zero_count: Some(ZeroCount::Int(2)),
        negative_spans: vec![BucketSpan { offset: 0, length: 1 }],
        negative_deltas: vec![1],
        positive_spans: vec![BucketSpan { offset: -2, length: 2 }, BucketSpan { offset: 1, length: 2 }],
        positive_deltas: vec![1, 1, -1, 2],
        reset_hint: 2,
        timestamp: 77,
        ..Histogram::default()
    }
}

#[test]
fn histograms_become_absolute() {
    let view = HistogramView::parse(&histogram().encode_to_vec(), 100).unwrap();
    let expected = Model {
        schema: 1,
        reset_hint: CounterResetHint::NotReset,
        zero_threshold: 0.001,
        zero_count: 2.0,
        count: 12.0,
        sum: 18.4,
        positive_spans: vec![Span { offset: -2, length: 2 }, Span { offset: 1, length: 2 }],
        positive_buckets: vec![1.0, 2.0, 1.0, 3.0],
        negative_spans: vec![Span { offset: 0, length: 1 }],
        negative_buckets: vec![1.0],
        custom_values: vec![],
    };
    assert_eq!(view, HistogramView { timestamp: 77, start_timestamp: 0, histogram: expected.clone() });
    let floats = Histogram {
        count: Some(Count::Float(12.0)),
        zero_count: Some(ZeroCount::Float(2.0)),
        negative_deltas: vec![],
        negative_counts: vec![1.0],
        positive_deltas: vec![],
        positive_counts: vec![1.0, 2.0, 1.0, 3.0],
        ..histogram()
    };
    assert_eq!(HistogramView::parse(&floats.encode_to_vec(), 100).unwrap().histogram, expected);
    let stale = Histogram { sum: stale_nan(), positive_deltas: vec![], ..histogram() };
    assert!(HistogramView::parse(&stale.encode_to_vec(), 100).unwrap().histogram.is_stale());
}

#[test]
fn histograms_that_contradict_themselves_are_refused() {
    let check = |histogram: Histogram, expected: &str| {
        let error = HistogramView::parse(&histogram.encode_to_vec(), 100).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    let custom = |values: Vec<f64>| Histogram {
        count: Some(Count::Int(4)),
        schema: -53,
        positive_spans: vec![BucketSpan { offset: 0, length: 2 }],
        positive_deltas: vec![1, 1],
        custom_values: values,
        ..Histogram::default()
    };
    assert!(HistogramView::parse(&custom(vec![1.0]).encode_to_vec(), 100).is_ok());
    check(custom(vec![]), "more custom buckets than bounds");
    check(custom(vec![2.0, 1.0]), "custom bounds that do not grow");
    check(Histogram { schema: 9, ..histogram() }, "the schema is neither");
    check(Histogram { positive_deltas: vec![1], ..histogram() }, "do not describe as many buckets");
    check(Histogram { positive_deltas: vec![1, 1, -3, 2], ..histogram() }, "a negative count");
    check(Histogram { positive_deltas: vec![i64::MAX, 1, 1, 1], ..histogram() }, "overflows");
    check(Histogram { positive_counts: vec![1.0; 4], ..histogram() }, "both as deltas and as floats");
    check(Histogram { count: Some(Count::Int(1)), ..histogram() }, "more observations than the count");
    check(Histogram { zero_threshold: -1.0, ..histogram() }, "zero threshold");
    check(Histogram { positive_deltas: vec![0; 101], ..histogram() }, "101 buckets in a histogram, the limit is 100");
    let huge = vec![BucketSpan { offset: i32::MAX, length: 4 }];
    check(Histogram { positive_spans: huge, ..histogram() }, "does not fit 32 bits");
    let overlapping = vec![BucketSpan { offset: 0, length: 2 }, BucketSpan { offset: -1, length: 2 }];
    check(Histogram { positive_spans: overlapping, ..histogram() }, "overlaps");
    // A span of no buckets that promises none is fine however long the list of spans describes nothing.
    check(
        Histogram { positive_spans: vec![BucketSpan { offset: 0, length: u32::MAX }; 3], ..histogram() },
        "do not describe as many buckets",
    );
}
