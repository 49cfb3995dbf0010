//! Remote write: what senders are told, and what costs nobody else anything.

use super::*;

#[tokio::test]
async fn remote_write_answers_with_the_statuses_that_senders_expect() {
    let fixture = Fixture::open();
    let good = compress(&encode(&data())).expect("it fits");
    const PROTOBUF: &str = "application/x-protobuf";
    for (headers, status) in [
        (vec![], 204),
        (vec![("content-type", PROTOBUF), ("content-encoding", "snappy")], 204),
        (vec![("content-type", "application/x-protobuf;proto=prometheus.WriteRequest")], 204),
        (vec![("content-type", "application/x-protobuf;proto=io.prometheus.write.v3.Request")], 415),
        (vec![("content-type", "application/json")], 415),
        (vec![("content-type", PROTOBUF), ("content-encoding", "gzip")], 415),
        (vec![("content-length", "999999999")], 413),
    ] {
        let (found, text) = fixture.post_write(&headers, good.clone()).await;
        assert_eq!(found, status, "{headers:?}: {text}");
        assert_eq!(text.is_empty(), status == 204, "{headers:?}: {text}");
    }
    for body in [&b""[..], b"garbage", &[0xff; 40], &good[..good.len() / 2], &[0xff, 0xff, 0xff, 0xff, 0x0f, 0]] {
        let (found, text) = fixture.post_write(&[], body.to_vec()).await;
        assert_eq!(found, 400, "{body:?}: {text}");
    }
    for body in [&[0x0a, 0x05, 0x01][..], &[0xff; 30], &[0x0a; 500]] {
        let (found, text) = fixture.post_write(&[], compress(body).expect("it fits")).await;
        assert_eq!(found, 400, "{body:?}: {text}");
    }
}

#[tokio::test]
async fn mutated_bodies_never_do_harm() {
    let fixture = Fixture::open();
    let (first, second) = (encode(&data()), encode(&v2::Request::from(&data())));
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..4_000 {
        let is_first = random.bool();
        let mut body = if is_first { first.clone() } else { second.clone() };
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..body.len());
            match random.u8(..3) {
                0 => body[at] = random.u8(..),
                1 => body.truncate(at.max(1)),
                _ => body.insert(at, random.u8(..)),
            }
        }
        let mut block = compress(&body).expect("it fits");
        if random.u8(..4) == 0 {
            let at = random.usize(..block.len());
            block[at] = random.u8(..);
        }
        let content_type = [("content-type", remote_write_v2::CONTENT_TYPE)];
        let (status, text) = fixture.post_write(if is_first { &[] } else { &content_type }, block).await;
        assert!(status == 204 || status == 400 && !text.is_empty(), "{status} {text}: {body:?}");
    }
    assert_eq!(fixture.get("/api/v1/query?query=1").await.0, 200);
}

#[tokio::test]
async fn bad_samples_are_refused_one_by_one() {
    let fixture = Fixture::open();
    fixture.clock.advance(std::time::Duration::from_secs(100_000));
    let now = 60_000 + 100_000_000;
    let mut broken = series(&[("__name__", "broken")], &[]);
    broken.histograms.push(histogram(3, &[1, -7]));
    let request = of(vec![
        series(&[("__name__", "good")], &[(now, 1.0)]),
        series(&[("job", "nameless")], &[(now, 1.0)]),
        series(&[("__name__", "twice"), ("a", "1"), ("a", "2")], &[(now, 1.0), (now + 1, 2.0)]),
        series(&[("__name__", "ahead")], &[(now, 1.0), (now + 3_600_000, 2.0)]),
        broken,
    ]);
    let (status, text) = fixture.write(&request).await;
    assert_eq!(status, 400, "{text}");
    for part in [
        "5 samples were refused:",
        "1 further ahead of the clock than storage.max_ahead allows",
        "1 with a histogram that contradicts itself",
        "2 with a label name that comes twice",
        "1 without a metric name",
        "2 were stored",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // The same again is no error where the same was stored.
    assert_eq!(fixture.write(&of(vec![series(&[("__name__", "good")], &[(now, 1.0)])])).await.0, 204);
    let (status, text) = fixture.write(&of(vec![series(&[("__name__", "good")], &[(now, 2.0)])])).await;
    assert_eq!(status, 400, "{text}");
    assert!(text.contains("1 sample was refused: 1 with another value than the one stored") && text.contains("good"));
    let late = of(vec![series(&[("__name__", "good")], &[(now - 7_200_000, 1.0)])]);
    let (status, text) = fixture.write(&late).await;
    assert_eq!((status, text.contains("older than storage.lateness")), (400, true), "{text}");
    let (_, answer) =
        fixture.get(&format!("/api/v1/query?query=count(%7B__name__=~%22.%2B%22%7D)&time={}", now / 1_000)).await;
    assert!(answer.contains(r#""2"]"#), "good and ahead are stored: {answer}");
}

#[tokio::test]
async fn limits_are_answered_before_memory_is_spent() {
    let mut config = Config::default();
    config.ingest.max_samples = 10;
    let fixture = Fixture::open_with(config.clone(), Flags::default());
    let many: Vec<(i64, f64)> = (0..11).map(|n| (50_000 + n, 1.0)).collect();
    let (status, text) = fixture.write(&of(vec![series(&[("__name__", "many")], &many)])).await;
    assert_eq!((status, text.contains("11 samples, the limit is 10")), (400, true), "{text}");

    config.ingest.max_inflight = sonde_runtime::config::ByteSize(4096);
    let fixture = Fixture::open_with(config, Flags::default());
    let mut response = Request::post("/api/v1/write").header("content-length", "5000");
    response = response.header("content-encoding", "snappy");
    let response = fixture.send(response.body(Body::from(vec![0; 5000])).expect("a request")).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers().get("retry-after").and_then(|v| v.to_str().ok()), Some("1"));

    // What would not fit alone need not come again.
    let json = format!(r#"{{"resourceMetrics":[{{"schemaUrl":"{}"}}]}}"#, "x".repeat(2_000));
    let request = Request::post("/v1/metrics").header("content-type", "application/json");
    let (status, text) = fixture.answer(request.body(Body::from(json)).expect("a request")).await;
    assert_eq!((status, text.contains("ingest.max_inflight")), (413, true), "{text}");
}

#[tokio::test]
async fn bad_exemplars_are_counted_and_fail_nothing() {
    let fixture = Fixture::open();
    let mut up = series(&[("__name__", "up")], &[(60_000, 1.0)]);
    let long = "x".repeat(200);
    up.exemplars = vec![
        exemplar(&[("trace_id", "a"), ("trace_id", "b")], 1.0, 60_000),
        exemplar(&[("", "a")], 1.0, 60_000),
        exemplar(&[("trace_id", &long)], 1.0, 60_000),
        exemplar(&[("z", "1"), ("b", ""), ("a", "2")], 1.0, 60_000),
        exemplar(&[("z", "1"), ("a", "2")], 1.0, 60_000 + 3_600_000),
    ];
    let mut nameless = series(&[("job", "a")], &[]);
    nameless.exemplars = vec![exemplar(&[], 1.0, 60_000)];
    let mut alone = series(&[("__name__", "alone")], &[]);
    alone.exemplars = vec![exemplar(&[("a", "1")], 1.0, 60_000)];
    assert_eq!(fixture.write(&of(vec![up, nameless, alone])).await, (204, String::new()));
    let (_, found) = fixture.get("/api/v1/query_exemplars?query=up%20or%20alone").await;
    let one = |name: &str, labels: &str| {
        format!(
            r#"{{"seriesLabels":{{"__name__":"{name}"}},"exemplars":[{{"labels":{labels},"value":"1","timestamp":60}}]}}"#
        )
    };
    let expected = format!("[{},{}]", one("alone", r#"{"a":"1"}"#), one("up", r#"{"a":"2","z":"1"}"#));
    assert_eq!(found, format!(r#"{{"status":"success","data":{expected}}}"#));
    let (_, page) = fixture.get("/metrics").await;
    for line in [
        "sonde_ingest_exemplars_total 7",
        "sonde_ingest_refused_exemplars_total{reason=\"invalid_labels\"} 2",
        "sonde_ingest_refused_exemplars_total{reason=\"series_refused\"} 1",
        "sonde_tsdb_rejected_exemplars_total{reason=\"labels_too_long\"} 1",
        "sonde_tsdb_rejected_exemplars_total{reason=\"too_far_ahead\"} 1",
        "sonde_tsdb_exemplars 2",
    ] {
        assert!(page.lines().any(|l| l == line), "{line} is not in\n{page}");
    }
}
