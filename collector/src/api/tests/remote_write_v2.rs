//! Remote write 2.0: statuses, what was written, and what is found afterwards.

use super::*;

pub(super) const CONTENT_TYPE: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
const UP: &[(&str, &str)] = &[("__name__", "up")];

/// The status, the text, and what the headers say: samples, histograms and exemplars.
type Answer = (u16, String, Option<[u64; 3]>);

async fn post(fixture: &Fixture, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
    let mut request = Request::post("/api/v1/write");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = fixture.send(request.body(Body::from(body)).expect("a request")).await;
    let written = |kind: &str| {
        let value = response.headers().get(format!("x-prometheus-remote-write-{kind}-written"))?;
        value.to_str().ok()?.parse().ok()
    };
    let written = match [written("samples"), written("histograms"), written("exemplars")] {
        [Some(samples), Some(histograms), Some(exemplars)] => Some([samples, histograms, exemplars]),
        none => {
            assert_eq!(none, [None; 3], "all of them or none");
            None
        }
    };
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.expect("a body");
    (status, String::from_utf8_lossy(&body).into_owned(), written)
}

pub(super) async fn write(fixture: &Fixture, request: &v2::Request) -> Answer {
    let headers = [
        ("content-type", CONTENT_TYPE),
        ("content-encoding", "snappy"),
        ("x-prometheus-remote-write-version", "2.0.0"),
    ];
    post(fixture, &headers, compress(&encode(request)).expect("it fits")).await
}

fn of_series(build: impl FnOnce(&mut v2::SymbolTable) -> Vec<v2::TimeSeries>) -> v2::Request {
    let mut table = v2::SymbolTable::new();
    let timeseries = build(&mut table);
    v2::Request { symbols: table.into_symbols(), timeseries }
}

fn one(labels_refs: Vec<u32>, timestamp: i64, value: f64) -> v2::TimeSeries {
    let sample = v2::Sample { value, timestamp, start_timestamp: 1 };
    v2::TimeSeries { labels_refs, samples: vec![sample], ..v2::TimeSeries::default() }
}

#[tokio::test]
async fn the_status_says_what_senders_should_do_and_headers_what_was_written() {
    let fixture = Fixture::open();
    let good = compress(&encode(&v2::Request::from(&data()))).expect("it fits");
    let nothing = Some([0, 0, 0]);
    let all = Some([20, 1, 3]);
    let snappy = ("content-encoding", "snappy");
    let typed = ("content-type", CONTENT_TYPE);
    for (headers, status, written) in [
        (vec![typed, snappy], 204, all),
        (vec![typed], 204, all),
        (vec![("content-type", "application/x-protobuf; proto=\"io.prometheus.write.v2.Request\"")], 204, all),
        (vec![typed, ("content-length", "999999999")], 413, nothing),
        (vec![("content-type", "application/x-protobuf;proto=io.prometheus.write.v3.Request")], 415, None),
        (vec![typed, ("content-encoding", "gzip")], 415, None),
        (vec![("content-type", "application/json"), snappy], 415, None),
    ] {
        let (found, text, found_written) = post(&fixture, &headers, good.clone()).await;
        assert_eq!((found, found_written), (status, written), "{headers:?}: {text}");
        assert_eq!(text.is_empty(), status == 204, "{headers:?}: {text}");
    }
    for body in [b"garbage".to_vec(), good[..good.len() / 2].to_vec(), compress(&[0x2a, 0x05, 0x01]).expect("it fits")]
    {
        let (status, text, written) = post(&fixture, &[typed], body).await;
        assert_eq!((status, written, text.is_empty()), (400, nothing, false), "{text}");
    }
    // Whoever takes one version for the other is told that nothing was written.
    let first = compress(&encode(&data())).expect("it fits");
    assert_eq!(post(&fixture, &[typed], first.clone()).await, (204, String::new(), nothing));
    assert_eq!(post(&fixture, &[snappy], first).await, (204, String::new(), None), "1.0 has no such headers");

    let closed = Fixture::new(Config::default(), Flags::default());
    assert_eq!(post(&closed, &[typed], good.clone()).await.0, 503);
    let mut config = Config::default();
    config.ingest.max_inflight = sonde_runtime::config::ByteSize(4096);
    let full = Fixture::open_with(config, Flags::default());
    let (status, _, written) = post(&full, &[typed], vec![0; 5000]).await;
    assert_eq!((status, written), (429, nothing));
}

#[tokio::test]
async fn the_good_part_of_a_request_is_kept() {
    let fixture = Fixture::open();
    let request = of_series(|table| {
        let up = table.intern_labels(UP.iter().copied());
        let twice = table.intern_labels([("__name__", "twice"), ("a", "1"), ("a", "2")]);
        let native = table.intern_labels([("__name__", "native")]);
        let empty = table.intern_labels([("__name__", "empty")]);
        let trace = table.intern_labels([("trace_id", "a1")]);
        let exemplar =
            |labels_refs: &[u32], timestamp| v2::Exemplar { labels_refs: labels_refs.to_vec(), value: 1.0, timestamp };
        let mut good = one(up.clone(), 60_000, 1.0);
        good.exemplars = vec![exemplar(&trace, 60_000), exemplar(&[7, 999], 60_001), exemplar(&trace, 99_999_999)];
        let mut lost = one(vec![up[0], 999], 60_000, 1.0);
        lost.exemplars = vec![exemplar(&trace, 60_000)];
        let mut said = one(table.intern_labels([("__name__", "said")]), 60_000, 1.0);
        said.metadata = Some(v2::Metadata { kind: 1, help_ref: 999, unit_ref: 0 });
        let ahead = histogram(3, &[1, 1]);
        let histograms =
            vec![histogram(3, &[1, 1]), histogram(3, &[1, -7]), Histogram { timestamp: 99_999_999, ..ahead }];
        vec![
            good,
            lost,
            one(vec![up[0], up[1], up[0]], 60_000, 1.0),
            one(twice, 60_000, 1.0),
            one(up, 99_999_999, 1.0),
            v2::TimeSeries { histograms, ..one(native, 60_001, 1.0) },
            v2::TimeSeries {
                labels_refs: empty,
                exemplars: vec![exemplar(&trace, 60_000)],
                ..v2::TimeSeries::default()
            },
            said,
        ]
    });
    let (status, text, written) = write(&fixture, &request).await;
    assert_eq!((status, written), (400, Some([3, 1, 1])), "{text}");
    for part in [
        "6 samples were refused:",
        "2 with labels that refer to symbols that are not there, or a name without a value",
        "1 with a label name that comes twice",
        "2 further ahead of the clock than storage.max_ahead allows",
        "1 with a histogram that contradicts itself",
        "1 series had neither samples nor histograms",
        "the metadata of 1 metric refers to symbols that are not there",
        "4 were stored",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // What is there already is written: the answer to a repetition is that to the first.
    assert_eq!(write(&fixture, &request).await.2, Some([3, 1, 1]));
    let (_, names) = fixture.get("/api/v1/label/__name__/values").await;
    assert_eq!(names, r#"{"status":"success","data":["native","said","up"]}"#);
    let (_, page) = fixture.get("/metrics").await;
    for line in [
        "sonde_ingest_refused_samples_total{reason=\"bad_reference\"} 4",
        "sonde_ingest_refused_exemplars_total{reason=\"invalid_labels\"} 2",
        "sonde_ingest_refused_exemplars_total{reason=\"series_refused\"} 4",
        "sonde_remote_write_empty_series_total 2",
        "sonde_remote_write_invalid_metadata_total 2",
        "sonde_remote_write_samples_total 20",
    ] {
        assert!(page.lines().any(|l| l == line), "{line} is not in\n{page}");
    }
}

#[tokio::test]
async fn histograms_with_custom_buckets_and_the_metadata_of_families_are_kept() {
    let fixture = Fixture::open();
    let request = of_series(|table| {
        let help_ref = table.intern("Seconds.");
        let unit_ref = table.intern("seconds");
        let metadata = Some(v2::Metadata { kind: 3, help_ref, unit_ref });
        let custom = Histogram {
            count: Some(Count::Int(3)),
            sum: 2.5,
            schema: -53,
            positive_spans: vec![BucketSpan { offset: 0, length: 2 }],
            positive_deltas: vec![1, 1],
            custom_values: vec![0.5],
            timestamp: 60_000,
            start_timestamp: 1,
            ..Histogram::default()
        };
        let native = table.intern_labels([("__name__", "custom_sum")]);
        let mut series = vec![v2::TimeSeries {
            labels_refs: native,
            histograms: vec![custom],
            metadata,
            created_timestamp: 1,
            ..v2::TimeSeries::default()
        }];
        for name in ["classic_bucket", "classic_count", "classic_sum"] {
            let labels_refs = table.intern_labels([("__name__", name)]);
            series.push(v2::TimeSeries { metadata, ..one(labels_refs, 60_000, 1.0) });
        }
        series
    });
    assert_eq!(write(&fixture, &request).await, (204, String::new(), Some([3, 1, 0])));
    let (_, found) = fixture.get("/api/v1/metadata").await;
    let said = r#"[{"type":"histogram","help":"Seconds.","unit":"seconds"}]"#;
    let expected = format!(r#"{{"status":"success","data":{{"classic":{said},"custom_sum":{said}}}}}"#);
    assert_eq!(found, expected);
    let (_, found) = fixture.get("/api/v1/query?query=custom_sum&time=60").await;
    let buckets = r#"{"count":"3","sum":"2.5","buckets":[[3,"-Inf","0.5","1"],[0,"0.5","+Inf","2"]]}"#;
    assert!(found.contains(buckets), "{found}");
}

#[tokio::test]
async fn samples_tell_since_when_they_count() {
    let fixture = Fixture::open();
    let request = of_series(|table| {
        let mut series = |name, start_timestamp, created_timestamp| {
            let samples = vec![v2::Sample { value: 5.0, timestamp: 60_000, start_timestamp }];
            let labels_refs = table.intern_labels([("__name__", "n"), ("is", name)]);
            v2::TimeSeries { labels_refs, samples, created_timestamp, ..v2::TimeSeries::default() }
        };
        vec![series("none", 0, 0), series("own", 30_000, 0), series("of_series", 0, 31_000), series("late", 60_000, 1)]
    });
    assert_eq!(write(&fixture, &request).await, (204, String::new(), Some([4, 0, 0])));
    let (_, found) = fixture.get("/api/v1/query?query=start_timestamp(n)&time=60").await;
    // One that is not before its sample says nothing.
    for (series, start) in [("none", "0"), ("own", "30"), ("of_series", "31"), ("late", "0")] {
        let part = format!(r#"{{"is":"{series}"}},"value":[60,"{start}"]"#);
        assert!(found.contains(&part), "{part} is not in {found}");
    }
}

/// Each request numbers its symbols anew; a series that was seen is found in the memo all the same.
#[tokio::test]
async fn the_memo_knows_series_under_other_numbers() {
    let fixture = Fixture::open();
    let labels = [("__name__", "up"), ("job", "a")];
    for (filler, timestamp) in [("", 50_000), ("other", 51_000), ("job", 52_000)] {
        let request = of_series(|table| {
            table.intern(filler);
            vec![one(table.intern_labels(labels), timestamp, 1.0)]
        });
        assert_eq!(write(&fixture, &request).await, (204, String::new(), Some([1, 0, 0])));
    }
    // The same numbers under another table are another series.
    let symbols = ["", "__name__", "up", "job", "b"].map(str::to_owned).to_vec();
    let other = v2::Request { symbols, timeseries: vec![one(vec![1, 2, 3, 4], 52_000, 2.0)] };
    assert_eq!(write(&fixture, &other).await.0, 204);
    let (_, page) = fixture.get("/metrics").await;
    assert!(page.lines().any(|l| l == "sonde_ingest_memo_misses_total 2"), "{page}");
    let (_, found) = fixture.get("/api/v1/query?query=count_over_time(up%5B1m%5D)&time=60").await;
    assert!(found.contains(r#"{"job":"a"},"value":[60,"3"]"#) && found.contains(r#"{"job":"b"},"value":[60,"1"]"#));
}
