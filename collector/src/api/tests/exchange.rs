//! Remote read and federation.

use prost::Message;
use sonde_proto::remote_read::message::{ChunkedReadResponse, LabelMatcher, Query, ReadRequest, ReadResponse};
use sonde_proto::remote_read::read_frame;
use sonde_proto::remote_write::decompress;
use sonde_proto::xor_chunk::decode_floats;

use super::*;

const STALE: u64 = sonde_model::STALE_NAN_BITS;

fn request(matchers: &[(i32, &str, &str)], to: i64, accepted: &[i32]) -> ReadRequest {
    let matcher = |(kind, name, value): &(i32, &str, &str)| LabelMatcher {
        kind: *kind,
        name: (*name).to_owned(),
        value: (*value).to_owned(),
    };
    let matchers = matchers.iter().map(matcher).collect();
    let query = Query { start_timestamp_ms: 0, end_timestamp_ms: to, matchers };
    ReadRequest { queries: vec![query], accepted_response_types: accepted.to_vec() }
}

async fn read(fixture: &Fixture, body: Vec<u8>) -> (u16, Option<String>, Vec<u8>) {
    let response = fixture.send(Request::post("/api/v1/read").body(Body::from(body)).expect("a request")).await;
    let status = response.status().as_u16();
    let content_type = response.headers().get("content-type").map(|v| v.to_str().expect("text").to_owned());
    let body = axum::body::to_bytes(response.into_body(), 64 << 20).await.expect("a body");
    (status, content_type, body.to_vec())
}

async fn ask(fixture: &Fixture, request: &ReadRequest) -> (u16, Option<String>, Vec<u8>) {
    read(fixture, compress(&request.encode_to_vec()).expect("it fits")).await
}

async fn filled() -> Fixture {
    let fixture = Fixture::open();
    let times: Vec<(i64, f64)> = (0..300).map(|i| (i * 100, i as f64)).collect();
    let request = of(vec![
        series(&[("__name__", "up"), ("instance", "a"), ("job", "x")], &times),
        series(&[("__name__", "up"), ("job", "y")], &[(1_000, 1.0), (50_000, 0.5)]),
        series(&[("__name__", "down")], &[(1_000, 1.0), (2_000, f64::from_bits(STALE))]),
    ]);
    assert_eq!(fixture.write(&request).await.0, 204);
    fixture
}

#[tokio::test]
async fn readers_get_samples_or_chunks() {
    let fixture = filled().await;
    let (status, content_type, body) = ask(&fixture, &request(&[(0, "__name__", "up")], 29_000, &[])).await;
    assert_eq!((status, content_type.as_deref()), (200, Some("application/x-protobuf")));
    let answer = ReadResponse::decode(&*decompress(&body, 1 << 20).expect("a block")).expect("a message");
    let [result] = answer.results.as_slice() else { panic!("{answer:?}") };
    let counts: Vec<_> = result.timeseries.iter().map(|s| (s.labels.len(), s.samples.len())).collect();
    assert_eq!(counts, [(3, 291), (2, 1)], "inclusive, sorted by labels");
    assert_eq!((result.timeseries[0].samples[290].timestamp, result.timeseries[0].samples[290].value), (29_000, 290.0));

    let (status, content_type, body) = ask(&fixture, &request(&[(2, "job", "x|z")], 60_000, &[1, 0])).await;
    let expected = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
    assert_eq!((status, content_type.as_deref()), (200, Some(expected)));
    let (message, rest) = read_frame(&body).expect("a frame").expect("one");
    assert!(rest.is_empty());
    let answer = ChunkedReadResponse::decode(message).expect("a message");
    let chunks = &answer.chunked_series[0].chunks;
    let times: Vec<i64> = chunks.iter().flat_map(|c| decode_floats(&c.data).expect("a chunk").0).collect();
    assert_eq!((chunks.len(), times), (3, (0..300).map(|i| i * 100).collect()));

    // Stale markers are samples, too: the reader's engine needs them.
    let (_, _, body) = ask(&fixture, &request(&[(0, "__name__", "down")], 60_000, &[])).await;
    let answer = ReadResponse::decode(&*decompress(&body, 1 << 20).expect("a block")).expect("a message");
    assert_eq!(answer.results[0].timeseries[0].samples[1].value.to_bits(), STALE);
}

#[tokio::test]
async fn what_readers_ask_wrongly_is_told() {
    let mut config = Config::default();
    config.query.max_samples = 100;
    let fixture = Fixture::open_with(config, Flags::default());
    let times: Vec<(i64, f64)> = (0..101).map(|i| (i * 100, 1.0)).collect();
    assert_eq!(fixture.write(&of(vec![series(&[("__name__", "up")], &times)])).await.0, 204);
    for (request, status, words) in [
        (request(&[(0, "__name__", "up")], 9_900, &[]), 200, ""),
        (request(&[(0, "__name__", "up")], 10_000, &[]), 400, "exceeded sample limit (100"),
        (request(&[(2, "__name__", "(")], 1, &[]), 400, "regular expression"),
        (request(&[(4, "__name__", "x")], 1, &[]), 400, "matcher type 4"),
        (request(&[], 1, &[7]), 400, "response types [7]"),
    ] {
        let (found, _, body) = ask(&fixture, &request).await;
        let text = String::from_utf8_lossy(&body);
        assert!(found == status && text.contains(words), "{request:?}: {found} {text}");
    }
    for body in [b"garbage".to_vec(), compress(&[0x0a, 0x7f]).expect("it fits"), vec![0xff; (1 << 20) + 1]] {
        assert_eq!(read(&fixture, body).await.0, 400);
    }
    let (status, _) = fixture.get("/api/v1/read").await;
    assert_eq!(status, 405);
    let opening = Fixture::new(Config::default(), Flags::default());
    assert_eq!(ask(&opening, &request(&[], 1, &[])).await.0, 503);
}

#[tokio::test]
async fn federation_shows_what_is_new_and_alive() {
    let fixture = filled().await;
    let (status, page) = fixture.get("/federate?match[]=up&match[]=%7Bjob=%22x%22%7D&match[]=down").await;
    let expected = "# TYPE up untyped\nup{instance=\"a\",job=\"x\"} 299 29900\nup{job=\"y\",instance=\"\"} 0.5 50000\n";
    assert_eq!((status, page.as_str()), (200, expected));

    let asked = Request::get("/federate?match[]=up%7Bjob=%22y%22%7D").header("accept", "application/openmetrics-text");
    let (_, page) = fixture.answer(asked.body(Body::empty()).expect("a request")).await;
    assert_eq!(page, "# TYPE up unknown\nup{job=\"y\",instance=\"\"} 0.5 50.000\n# EOF\n");

    assert_eq!(fixture.get("/federate").await, (200, String::new()));
    assert_eq!(fixture.get("/federate?match[]=up%7B").await.0, 400);
    fixture.clock.advance(std::time::Duration::from_secs(600));
    assert_eq!(fixture.get("/federate?match[]=up").await, (200, String::new()), "beyond the lookback");
}

#[tokio::test]
async fn a_histogram_counts_for_what_it_takes() {
    let mut config = Config::default();
    config.query.max_samples = 100;
    let fixture = Fixture::open_with(config, Flags::default());
    let mut sizes = series(&[("__name__", "sizes")], &[]);
    sizes.histograms =
        (0..20).map(|i| sonde_proto::remote_write::Histogram { timestamp: i * 100, ..histogram(3, &[1, 1]) }).collect();
    assert_eq!(fixture.write(&of(vec![sizes])).await.0, 204);
    for accepted in [&[0][..], &[1]] {
        let few = request(&[(0, "__name__", "sizes")], 1_000, accepted);
        assert_eq!(ask(&fixture, &few).await.0, 200, "11 of 8 samples each");
        let (status, _, body) = ask(&fixture, &request(&[(0, "__name__", "sizes")], 1_900, accepted)).await;
        let text = String::from_utf8_lossy(&body);
        assert!(status == 400 && text.contains("exceeded sample limit (100"), "{accepted:?}: {status} {text}");
    }
}

/// Of what is answered in frames little is in memory, however much it is, and a reader that leaves ends the work.
#[tokio::test]
async fn frames_are_made_while_they_are_sent() {
    let fixture = Fixture::open();
    let mut random = fastrand::Rng::with_seed(7);
    let long = "x".repeat(1_000);
    for batch in 0..30 {
        let one = |n: usize| {
            let values: Vec<(i64, f64)> = (0..100).map(|i| (i * 500, random.f64())).collect();
            series(&[("__name__", "wide"), ("batch", &format!("{batch:02}")), ("n", &format!("{n}{long}"))], &values)
        };
        assert_eq!(fixture.write(&of((0..100).map(one).collect())).await.0, 204);
    }
    let asked = || {
        let body = compress(&request(&[(0, "__name__", "wide")], 60_000, &[1]).encode_to_vec()).expect("it fits");
        Request::post("/api/v1/read").body(Body::from(body)).expect("a request")
    };
    let mut response = fixture.send(asked()).await;
    let frame = http_body_util::BodyExt::frame(response.body_mut()).await.expect("a piece").expect("of frames");
    let piece = frame.into_data().expect("data");
    assert!((1 << 20..3 << 20).contains(&piece.len()), "{}", piece.len());
    assert_eq!(fixture.server.queries.running(), 1, "it waits for the reader");
    drop(response);
    while fixture.server.queries.running() > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let body = axum::body::to_bytes(fixture.send(asked()).await.into_body(), 64 << 20).await.expect("all of it");
    let (mut rest, mut found) = (&body[..], 0);
    while let Some((message, behind)) = read_frame(rest).expect("a frame") {
        let answer = ChunkedReadResponse::decode(message).expect("a message");
        found += answer.chunked_series[0]
            .chunks
            .iter()
            .map(|c| decode_floats(&c.data).expect("a chunk").0.len())
            .sum::<usize>();
        rest = behind;
    }
    assert_eq!(found, 30 * 100 * 100);
    assert_eq!(fixture.server.queries.running(), 0);
}

#[tokio::test]
async fn federation_has_a_deadline() {
    let mut config = Config::default();
    config.query.timeout = sonde_runtime::config::Duration(std::time::Duration::ZERO);
    let fixture = Fixture::open_with(config, Flags::default());
    assert_eq!(fixture.write(&of(vec![series(&[("__name__", "up")], &[(1_000, 1.0)])])).await.0, 204);
    let (status, text) = fixture.get("/federate?match[]=up").await;
    assert!(status == 503 && text.contains("timed out"), "{status} {text}");
}
