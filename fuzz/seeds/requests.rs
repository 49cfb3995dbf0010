//! Requests as their senders write them.

use prost::Message;

use crate::Corpus;

/// Requests as an SDK sends them.
pub(crate) fn write(corpus: &Corpus) {
    use sonde_proto::otlp::{ExportMetricsServiceRequest, ExportTraceServiceRequest};
    let names: &[&[u8]] = &[b"service.name", b"http.request", b"a"];
    for kind in [5u8, 7, 9, 10, 11] {
        for name in names {
            let mut metric = field(1, name);
            // A point: attributes, time, a value or a count.
            let attribute = [field(1, b"k"), field(2, &field(1, b"v"))].concat();
            let point = [field(7, &attribute), vec![0x19, 1, 0, 0, 0, 0, 0, 0, 0, 0x21, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]];
            let data = [field(1, &point.concat()), vec![0x10, 2, 0x18, 1]].concat();
            metric.extend(field(kind, &data));
            let request = field(1, &field(2, &field(2, &metric)));
            if ExportMetricsServiceRequest::decode(request.as_slice()).is_ok() {
                corpus.put("otlp_metrics", &request);
            }
        }
    }
    let span = [field(1, &[7; 16]), field(2, &[8; 8]), field(5, b"GET /"), vec![0x30, 2]].concat();
    let request = field(1, &field(2, &field(2, &span)));
    if ExportTraceServiceRequest::decode(request.as_slice()).is_ok() {
        corpus.put("otlp_traces", &request);
    }
    // Remote write 1.0: a series with two labels and a sample; 2.0: the same by symbols.
    let label = |n: &[u8], v: &[u8]| field(1, &[field(1, n), field(2, v)].concat());
    let sample = field(2, &[0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x10, 0xe8, 0x07]);
    let one = field(1, &[label(b"__name__", b"up"), label(b"job", b"a"), sample.clone()].concat());
    corpus.put("remote_write", &one);
    let symbols: Vec<u8> = [&b""[..], b"__name__", b"up", b"job", b"a"].iter().flat_map(|s| field(4, s)).collect();
    let two = [symbols, field(5, &[field(1, &[1, 2, 3, 4]), sample].concat())].concat();
    corpus.put("remote_write", &two);
    reads(corpus);
    bodies(corpus);
}

/// Remote read: a query of a selector over a minute, plain and compressed.
fn reads(corpus: &Corpus) {
    let matcher = |op: u8, name: &[u8], value: &[u8]| [vec![0x08, op], field(2, name), field(3, value)].concat();
    let hints = [vec![0x08, 0x98, 0x75], field(2, b"rate"), vec![0x18, 1, 0x20, 0xe8, 0x07]].concat();
    let matchers = [field(3, &matcher(0, b"__name__", b"up")), field(3, &matcher(2, b"job", b"a.*"))].concat();
    let query = [vec![0x08, 1, 0x10, 0xe0, 0xd4, 0x03], matchers, field(4, &hints)].concat();
    let request = [field(1, &query), vec![0x10, 1, 0x10, 0]].concat();
    assert!(sonde_proto::remote_read::ReadRequest::decode(&request).is_ok());
    corpus.put("remote_read", &request);
    corpus.put("remote_read", &sonde_proto::remote_write::compress(&request).expect("it is small"));
}

/// JSON: OTLP's, behind a byte for the signal, and what Alertmanager's clients post.
fn bodies(corpus: &Corpus) {
    let attributes = r#"[{"key":"a","value":{"stringValue":"b"}},{"key":"n","value":{"intValue":"7"}},
        {"key":"l","value":{"arrayValue":{"values":[{"doubleValue":1.5},{"boolValue":true},{"bytesValue":"AQI="}]}}},
        {"key":"m","value":{"kvlistValue":{"values":[{"key":"x","value":{}}]}}}]"#;
    let number =
        format!(r#"{{"attributes":{attributes},"startTimeUnixNano":"1","timeUnixNano":"2","asInt":"3","flags":1}}"#);
    let exemplars = r#"[{"timeUnixNano":"2","asDouble":0.5,"spanId":"eee19b7ec3c1b174","traceId":"5b8efff798038103d269b633813fc60c"}]"#;
    let histogram = format!(
        r#"{{"timeUnixNano":"2","count":"3","sum":4.5,"bucketCounts":["1","2"],"explicitBounds":[0.5],"exemplars":{exemplars}}}"#
    );
    let exponential = r#"{"timeUnixNano":"2","count":"3","sum":4.5,"scale":2,"zeroCount":"1","positive":{"offset":-1,"bucketCounts":["1","1"]}}"#;
    let summary = r#"{"timeUnixNano":"2","count":"3","sum":4.5,"quantileValues":[{"quantile":0.9,"value":1}]}"#;
    for data in [
        format!(r#""gauge":{{"dataPoints":[{number}]}}"#),
        format!(r#""sum":{{"dataPoints":[{number}],"aggregationTemporality":2,"isMonotonic":true}}"#),
        format!(r#""histogram":{{"dataPoints":[{histogram}],"aggregationTemporality":2}}"#),
        format!(r#""exponentialHistogram":{{"dataPoints":[{exponential}],"aggregationTemporality":1}}"#),
        format!(r#""summary":{{"dataPoints":[{summary}]}}"#),
    ] {
        let metric = format!(r#"{{"name":"m.x","unit":"By","description":"d",{data}}}"#);
        let request = format!(
            r#"{{"resourceMetrics":[{{"resource":{{"attributes":{attributes}}},"scopeMetrics":[{{"scope":{{"name":"s"}},"metrics":[{metric}]}}]}}]}}"#
        );
        corpus.text("otlp_json", &[0], &request);
    }
    let span = format!(
        r#"{{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"GET /","kind":2,"startTimeUnixNano":"1",
        "endTimeUnixNano":"2","attributes":{attributes},"events":[{{"timeUnixNano":"1","name":"e"}}],
        "links":[{{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174"}}],"status":{{"code":2,"message":"m"}}}}"#
    );
    let request = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"scope":{{}},"spans":[{span}]}}]}}]}}"#);
    corpus.text("otlp_json", &[1], &request);

    let silence = r#"{"id":"","matchers":[{"name":"alertname","value":"a.*","isRegex":true,"isEqual":false},
        {"name":"b c","value":"d","isRegex":false}],"startsAt":"2026-01-01T00:00:00Z","endsAt":"2026-01-02T00:00:00.5+01:00",
        "createdBy":"me","comment":"why"}"#;
    corpus.text("alert_bodies", b"", silence);
    let alerts = r#"[{"labels":{"alertname":"A","x":"y"},"annotations":{"summary":"s"},"startsAt":"2026-01-01T00:00:00Z",
        "endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://x/"},{"labels":{}}]"#;
    corpus.text("alert_bodies", b"", alerts);
}

/// A field of protobuf with a length.
fn field(number: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    sonde_disk::varint::put(&mut out, u64::from(number) << 3 | 2);
    sonde_disk::varint::put(&mut out, body.len() as u64);
    out.extend_from_slice(body);
    out
}
