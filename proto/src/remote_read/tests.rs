use proptest::prelude::*;
use prost::Message;
use sonde_model::{Histogram, Labels, MatchOp, Series, Span};

use super::*;
use crate::remote_write::{Count, Label};
use crate::xor_chunk::{decode_floats, decode_histograms};

fn labels(series: &Series) -> Vec<Label> {
    series.labels.iter().map(|(n, v)| Label { name: n.to_owned(), value: v.to_owned() }).collect()
}

fn series(name: &str, floats: usize, histograms: usize) -> Series {
    let mut series = Series { labels: Labels::from_pairs([("__name__", name), ("a", "b")]), ..Series::default() };
    (0..floats).for_each(|i| series.floats.push(i as i64 * 15_000, i as f64 * 0.5));
    for i in 0..histograms {
        series.histograms.push(
            (floats + i) as i64 * 15_000,
            Histogram {
                count: i as f64 + 1.0,
                sum: -0.0,
                positive_spans: vec![Span { offset: -1, length: 1 }],
                positive_buckets: vec![i as f64],
                ..Histogram::default()
            },
        );
    }
    series
}

fn matcher() -> impl Strategy<Value = message::LabelMatcher> {
    (0..4i32, "[a-z]{0,5}", ".{0,5}").prop_map(|(kind, name, value)| message::LabelMatcher { kind, name, value })
}

proptest! {
    #[test]
    fn requests_agree_with_prost(
        queries in prop::collection::vec((any::<i64>(), any::<i64>(), prop::collection::vec(matcher(), 0..4)), 0..4),
        accepted in prop::collection::vec(0..3i32, 0..4),
    ) {
        let queries: Vec<_> = queries.into_iter().map(|(start_timestamp_ms, end_timestamp_ms, matchers)| {
            message::Query { start_timestamp_ms, end_timestamp_ms, matchers }
        }).collect();
        let request = message::ReadRequest { queries, accepted_response_types: accepted.clone() };
        let decoded = ReadRequest::decode(&request.encode_to_vec());
        let known = accepted.iter().find(|kind| **kind < 2);
        if known.is_none() && !accepted.is_empty() {
            prop_assert!(matches!(decoded, Err(DecodeError::ResponseType(_))));
            return Ok(());
        }
        let decoded = decoded.expect("valid");
        prop_assert_eq!(decoded.response_type == ResponseType::Chunks, known == Some(&1));
        let ops = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex];
        let back: Vec<_> = decoded.queries.iter().map(|query| message::Query {
            start_timestamp_ms: query.from,
            end_timestamp_ms: query.to,
            matchers: query.matchers.iter().map(|m| message::LabelMatcher {
                kind: ops.iter().position(|op| *op == m.op).expect("all are there") as i32,
                name: m.name.clone(),
                value: m.value.clone(),
            }).collect(),
        }).collect();
        prop_assert_eq!(back, request.queries);
    }

    #[test]
    fn arbitrary_requests_and_frames_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = ReadRequest::decode(&bytes);
        let mut rest = bytes.as_slice();
        while let Ok(Some((_, more))) = read_frame(rest) {
            rest = more;
        }
    }
}

#[test]
fn too_much_is_refused() {
    let query =
        message::Query { matchers: vec![message::LabelMatcher::default(); MAX_MATCHERS + 1], ..Default::default() };
    let request = message::ReadRequest { queries: vec![query], ..Default::default() };
    let error = ReadRequest::decode(&request.encode_to_vec()).expect_err("too much");
    assert_eq!(error, DecodeError::Limit { what: "matchers in a query", limit: MAX_MATCHERS });
    let request =
        message::ReadRequest { queries: vec![message::Query::default(); MAX_QUERIES + 1], ..Default::default() };
    assert!(ReadRequest::decode(&request.encode_to_vec()).is_err());
    let matchers = vec![message::LabelMatcher { kind: 7, ..Default::default() }];
    let request =
        message::ReadRequest { queries: vec![message::Query { matchers, ..Default::default() }], ..Default::default() };
    assert_eq!(ReadRequest::decode(&request.encode_to_vec()), Err(DecodeError::MatcherType(7)));
}

#[test]
fn samples_are_what_prost_reads() {
    let all = [series("one", 300, 2), series("two", 0, 0)];
    let mut answer = SampleAnswer::default();
    let filled = answer.result(|out| {
        all.iter().for_each(|series| out.series(series));
        Ok::<(), ()>(())
    });
    assert_eq!((filled, answer.result(|_| Err(7))), (Ok(()), Err(7)));
    let read = message::ReadResponse::decode(answer.finish().as_slice()).expect("a message");
    assert_eq!(read.results.len(), 2);
    let [one, two] = read.results[0].timeseries.as_slice() else { panic!("{read:?}") };
    assert_eq!((one.samples.len(), one.labels.clone(), two.labels.clone()), (300, labels(&all[0]), labels(&all[1])));
    assert_eq!((one.samples[299].timestamp, one.samples[299].value), (299 * 15_000, 149.5));
    let histogram = &one.histograms[1];
    assert_eq!((histogram.count, histogram.sum.to_bits()), (Some(Count::Float(2.0)), (-0.0f64).to_bits()));
    assert_eq!((histogram.positive_counts.clone(), histogram.positive_spans[0].offset), (vec![1.0], -1));
}

#[test]
fn frames_hold_all_chunks_of_a_series_within_their_size() {
    let whole = series("one", 1_000, 10);
    for (max_bytes, at_least) in [(1 << 20, 1), (500, 3), (1, 10)] {
        let mut out = Vec::new();
        frames(&mut out, 3, &whole, max_bytes);
        let (mut rest, mut count, mut samples, mut histograms) = (out.as_slice(), 0, Vec::new(), Vec::new());
        while let Some((message, more)) = read_frame(rest).expect("our own frame") {
            (rest, count) = (more, count + 1);
            let read = message::ChunkedReadResponse::decode(message).expect("a message");
            let [one] = read.chunked_series.as_slice() else { panic!("{read:?}") };
            assert_eq!((read.query_index, one.labels.clone()), (3, labels(&whole)));
            for chunk in &one.chunks {
                match chunk.encoding {
                    1 => samples.extend(decode_floats(&chunk.data).expect("our own chunk").0),
                    3 => histograms.extend(decode_histograms(&chunk.data).expect("our own chunk").0),
                    other => panic!("encoding {other}"),
                }
            }
        }
        assert!(count >= at_least, "{max_bytes}: {count}");
        assert_eq!((samples, histograms), (whole.floats.timestamps.clone(), whole.histograms.timestamps.clone()));
    }
    let mut none = Vec::new();
    frames(&mut none, 0, &series("none", 0, 0), 100);
    assert_eq!(none, []);
}

#[test]
fn a_damaged_frame_is_told() {
    let mut out = Vec::new();
    frames(&mut out, 0, &series("one", 10, 0), 1 << 20);
    assert_eq!(read_frame(&out[..out.len() - 1]), Err(FrameError::Truncated));
    let last = out.len() - 1;
    out[last] ^= 1;
    assert_eq!(read_frame(&out), Err(FrameError::Checksum));
    assert_eq!(read_frame(&[0xff, 0xff, 0xff, 0xff, 0xff, 1]), Err(FrameError::TooLong));
}
