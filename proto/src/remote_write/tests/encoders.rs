//! What the encoders write is what prost reads, and prost's messages are what they write.

use sonde_model::{Exemplar as ModelExemplar, Labels};

use super::*;
use crate::remote_write::{
    Carried, SymbolWriter, put_exemplar, put_histogram, put_labels, put_metadata, put_sample, put_series, read_labels,
};

fn labels() -> impl Strategy<Value = Labels> {
    prop::collection::vec(("[a-z]{1,9}", ".{1,12}"), 0..6).prop_map(Labels::from_pairs)
}

fn histogram() -> impl Strategy<Value = Model> {
    (any::<f64>(), any::<f64>(), -4..9i32, prop::collection::vec((-3..9i32, 0..4u32), 0..4), 0..4usize).prop_map(
        |(count, sum, schema, spans, hint)| {
            let hints = [
                CounterResetHint::Unknown,
                CounterResetHint::Reset,
                CounterResetHint::NotReset,
                CounterResetHint::Gauge,
            ];
            let positive_spans: Vec<Span> = spans.into_iter().map(|(offset, length)| Span { offset, length }).collect();
            let buckets = positive_spans.iter().map(|s| s.length).sum::<u32>();
            Model {
                schema,
                count,
                sum,
                reset_hint: hints[hint],
                zero_count: 0.0,
                zero_threshold: 0.25,
                negative_spans: positive_spans.iter().rev().copied().collect(),
                negative_buckets: (0..buckets).map(f64::from).collect(),
                positive_buckets: (0..buckets).map(|i| f64::from(i) * 0.5).collect(),
                positive_spans,
                custom_values: Vec::new(),
            }
        },
    )
}

fn message_of(h: &Model, timestamp: i64) -> Histogram {
    let spans = |spans: &[Span]| spans.iter().map(|s| BucketSpan { offset: s.offset, length: s.length }).collect();
    Histogram {
        count: Some(Count::Float(h.count)),
        sum: h.sum,
        schema: h.schema,
        zero_threshold: h.zero_threshold,
        zero_count: Some(ZeroCount::Float(h.zero_count)),
        negative_spans: spans(&h.negative_spans),
        negative_counts: h.negative_buckets.clone(),
        positive_spans: spans(&h.positive_spans),
        positive_counts: h.positive_buckets.clone(),
        reset_hint: h.reset_hint as i32,
        timestamp,
        ..Histogram::default()
    }
}

fn label_messages(labels: &Labels) -> Vec<Label> {
    labels.iter().map(|(n, v)| Label { name: n.to_owned(), value: v.to_owned() }).collect()
}

proptest! {
    #[test]
    fn requests_of_1_0_are_byte_for_byte_those_of_prost(
        series in prop::collection::vec((labels(), any::<i64>(), any::<f64>(), histogram(), labels()), 0..5),
        help in ".{0,200}",
    ) {
        let mut ours = Vec::new();
        let mut message = WriteRequest::default();
        for (labels, timestamp, value, histogram, exemplar) in &series {
            let exemplar = ModelExemplar { labels: exemplar.clone(), value: *value, timestamp: *timestamp };
            let mut encoded = Vec::new();
            put_labels(&mut encoded, labels.iter());
            prop_assert!(read_labels(&encoded).eq(labels.iter()));
            put_series(&mut ours, &encoded, |out| {
                put_sample(out, 2, *timestamp, *value, 0);
                put_exemplar(out, &exemplar);
                put_histogram(out, 4, *timestamp, histogram, 0);
            });
            message.timeseries.push(TimeSeries {
                labels: label_messages(labels),
                samples: vec![Sample { value: *value, timestamp: *timestamp }],
                exemplars: vec![Exemplar { labels: label_messages(&exemplar.labels), value: *value, timestamp: *timestamp }],
                histograms: vec![message_of(histogram, *timestamp)],
            });
        }
        put_metadata(&mut ours, 1, "a_total", &help, "");
        message.metadata.push(MetricMetadata { kind: 1, metric_family_name: "a_total".into(), help, unit: String::new() });
        // A negative zero is no default for us: it must arrive. To prost it is.
        let has_negative_zero = series.iter().any(|(_, _, value, h, _)| [*value, h.sum].iter().any(|v| v.to_bits() == 1 << 63));
        prop_assume!(!has_negative_zero);
        prop_assert_eq!(ours, encode(&message));
    }

    #[test]
    fn requests_of_2_0_are_what_prost_reads(series in prop::collection::vec((labels(), any::<(i64, i64)>(), any::<u32>(), 0..3u8, histogram()), 0..8)) {
        let exemplars: Vec<_> = series.iter().map(|(labels, (timestamp, _), value, ..)| ModelExemplar {
            labels: labels.clone(), value: f64::from(*value), timestamp: *timestamp,
        }).collect();
        let mut writer = SymbolWriter::new();
        for ((labels, (timestamp, start), value, kind, histogram), exemplar) in series.iter().zip(&exemplars) {
            let carried = match kind {
                0 => Carried::Float(*timestamp, *start, f64::from(*value)),
                1 => Carried::Histogram(*timestamp, *start, histogram),
                _ => Carried::Exemplar(exemplar),
            };
            writer.series(labels.iter(), (*kind == 0).then_some((2, "help", "")), carried);
        }
        let read = v2::Request::decode(writer.finish().as_slice()).expect("a message");
        prop_assert_eq!(&read.symbols[0], "");
        let text = |i: u32| read.symbols[i as usize].clone();
        let spelled = |refs: &[u32]| -> Vec<Label> {
            refs.chunks(2).map(|pair| Label { name: text(pair[0]), value: text(pair[1]) }).collect()
        };
        prop_assert_eq!(read.timeseries.len(), series.len());
        for ((labels, (timestamp, start), value, kind, histogram), found) in series.iter().zip(&read.timeseries) {
            prop_assert_eq!(spelled(&found.labels_refs), label_messages(labels));
            match kind {
                0 => {
                    prop_assert_eq!((found.samples[0].timestamp, found.samples[0].start_timestamp), (*timestamp, *start));
                    prop_assert_eq!(found.samples[0].value, f64::from(*value));
                    let said = found.metadata.expect("it was given");
                    prop_assert_eq!((said.kind, text(said.help_ref), said.unit_ref), (2, "help".to_owned(), 0));
                }
                1 => {
                    let message = Histogram { start_timestamp: *start, ..message_of(histogram, *timestamp) };
                    prop_assert_eq!(found.histograms[0].encode_to_vec(), message.encode_to_vec());
                }
                _ => prop_assert_eq!(spelled(&found.exemplars[0].labels_refs), label_messages(labels)),
            }
        }
        let unique: std::collections::HashSet<_> = read.symbols.iter().collect();
        prop_assert_eq!(unique.len(), read.symbols.len());
    }
}
