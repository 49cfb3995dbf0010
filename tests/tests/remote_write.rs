//! A sender of remote write that is written from the specifications: bytes over a socket, nothing of ours in it. What is
//! answered, what the headers say, and what is found afterwards.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use sonde_tests::{Sonde, now_ms, wait_for};

const PATIENCE: Duration = Duration::from_secs(30);
const V1: &str = "application/x-protobuf";
const V1_NAMED: &str = "application/x-protobuf;proto=prometheus.WriteRequest";
const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
/// What 2.0 says that was written: samples, histograms, exemplars.
type Counts = Option<[u64; 3]>;
/// Labels.
type Pairs<'p> = &'p [(&'p str, &'p str)];

/// A protobuf message, field by field.
#[derive(Clone, Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn int(mut self, field: u64, value: i64) -> Self {
        self.varint(field << 3);
        self.varint(value as u64);
        self
    }

    fn double(mut self, field: u64, value: f64) -> Self {
        self.varint(field << 3 | 1);
        self.0.extend(value.to_le_bytes());
        self
    }

    fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    fn message(self, field: u64, message: &Message) -> Self {
        self.bytes(field, &message.0)
    }

    fn packed(self, field: u64, values: &[u64]) -> Self {
        let mut all = Message::default();
        values.iter().for_each(|value| all.varint(*value));
        self.bytes(field, &all.0)
    }

    fn snappy(&self) -> Vec<u8> {
        snap::raw::Encoder::new().compress_vec(&self.0).expect("it fits")
    }
}

fn new() -> Message {
    Message::default()
}

/// A `TimeSeries` of 2.0 with these references as labels.
fn series(refs: &[u64]) -> Message {
    new().packed(1, refs)
}

/// A `Sample` of 2.0.
fn sample(value: f64, timestamp: i64, start: i64) -> Message {
    new().double(1, value).int(2, timestamp).int(3, start)
}

/// A `Request` of 2.0.
fn request(symbols: &[&str], timeseries: &[Message]) -> Message {
    let symbols = symbols.iter().fold(new(), |all, symbol| all.bytes(4, symbol.as_bytes()));
    timeseries.iter().fold(symbols, |all, series| all.message(5, series))
}

/// A `WriteRequest` of 1.0: series with one sample each.
fn first(all: &[(Pairs<'_>, f64, i64)]) -> Message {
    all.iter().fold(new(), |request, (labels, value, timestamp)| {
        let label = |(name, text): &(&str, &str)| new().bytes(1, name.as_bytes()).bytes(2, text.as_bytes());
        let series = labels.iter().fold(new(), |series, pair| series.message(1, &label(pair)));
        request.message(1, &series.message(2, &new().double(1, *value).int(2, *timestamp)))
    })
}

/// What came back.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    text: String,
}

impl Answer {
    fn read(socket: &mut TcpStream) -> Self {
        let mut all = Vec::new();
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        socket.read_to_end(&mut all).expect("an answer");
        let all = String::from_utf8(all).expect("text");
        let (head, text) = all.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Answer { status, head: head.to_ascii_lowercase(), text: text.to_owned() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.filter(|(n, _)| *n == name).map(|(_, value)| value).next()
    }

    fn written(&self) -> Counts {
        let of = |kind: &str| self.header(&format!("x-prometheus-remote-write-{kind}-written"))?.parse().ok();
        match [of("samples"), of("histograms"), of("exemplars")] {
            [Some(samples), Some(histograms), Some(exemplars)] => Some([samples, histograms, exemplars]),
            none => {
                assert_eq!(none, [None; 3], "all of them or none");
                None
            }
        }
    }
}

/// A connection with the head of a request sent, whose body is still to come.
fn open(sonde: &Sonde, method: &str, headers: &[(&str, &str)]) -> TcpStream {
    let address = sonde.base.trim_start_matches("http://");
    let mut socket = TcpStream::connect(address).expect("it listens");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("{method} /api/v1/write HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{lines}\r\n");
    socket.write_all(head.as_bytes()).expect("it is taken");
    socket
}

fn send(sonde: &Sonde, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let length = body.len().to_string();
    let mut headers = headers.to_vec();
    headers.push(("Content-Length", &length));
    let mut socket = open(sonde, "POST", &headers);
    // A server that answers before it has the body may close its end.
    let _ = socket.write_all(body);
    Answer::read(&mut socket)
}

fn send_as(sonde: &Sonde, content_type: &str, message: &Message) -> Answer {
    let version = if content_type == V2 { "2.0.0" } else { "0.1.0" };
    let headers = [
        ("Content-Type", content_type),
        ("Content-Encoding", "snappy"),
        ("User-Agent", "from-the-specification/1"),
        ("X-Prometheus-Remote-Write-Version", version),
    ];
    send(sonde, &headers, &message.snappy())
}

fn value(sonde: &Sonde, expr: &str) -> f64 {
    sonde.value(expr).unwrap_or_else(|problem| panic!("{problem}"))
}

/// A request of 2.0 with everything in it, `now` being the time of its samples.
fn everything(now: i64) -> Message {
    let symbols = ["", "__name__", "calls_total", "job", "shop", "sizes", "trace_id", "ab12", "Calls so far.", "calls"];
    let exemplar = new().packed(1, &[6, 7]).double(2, 0.5).int(3, now);
    let metadata = new().int(1, 1).int(3, 8).int(4, 9);
    let calls = series(&[1, 2, 3, 4]).message(2, &sample(4.0, now - 1_000, now - 60_000));
    let calls = calls.message(2, &sample(5.0, now, now - 60_000)).message(4, &exemplar).message(5, &metadata);
    let span = new().int(1, 0).int(2, 2);
    // Counts 1 and 3 as differences, in zigzag, and one observation of zero.
    let histogram = new().int(1, 5).double(3, 9.5).int(4, 0).double(5, 0.001).int(6, 1).message(11, &span);
    let histogram = histogram.packed(12, &[2, 4]).int(15, now).int(17, now - 30_000);
    request(&symbols, &[calls, series(&[1, 5]).message(3, &histogram)])
}

#[test]
fn a_request_of_2_0_is_kept_whole_counted_and_on_disk_when_it_is_answered() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut sonde = Sonde::collector(dir.path(), &[]);
    let now = now_ms();
    for _ in 0..2 {
        // A repetition is answered like the first: a sender that did not hear us sends it again.
        let answer = send_as(&sonde, V2, &everything(now));
        assert_eq!((answer.status, answer.written(), answer.text.as_str()), (204, Some([2, 1, 1]), ""), "{answer:?}");
    }
    sonde.server.kill();
    sonde.restart();
    assert_eq!(value(&sonde, r#"calls_total{job="shop"}"#), 5.0);
    assert_eq!(value(&sonde, "count_over_time(calls_total[1m])"), 2.0);
    assert_eq!(value(&sonde, "histogram_count(sizes)"), 5.0);
    assert_eq!(value(&sonde, "histogram_sum(sizes)"), 9.5);
    for (expr, ago) in [("calls_total", 60_000), ("sizes", 30_000)] {
        let start = value(&sonde, &format!("start_timestamp({expr})"));
        assert_eq!((start * 1e3).round() as i64, now - ago, "{expr}");
    }
    let metadata = &sonde.get("/api/v1/metadata?metric=calls_total").json()["data"]["calls_total"][0];
    assert_eq!([&metadata["type"], &metadata["help"], &metadata["unit"]], ["counter", "Calls so far.", "calls"]);
    let path = format!("/api/v1/query_exemplars?query=calls_total&start={}&end={}", now / 1_000 - 60, now / 1_000 + 60);
    let exemplars = sonde.get(&path).json();
    assert_eq!(exemplars["data"][0]["exemplars"][0]["labels"]["trace_id"], "ab12", "{exemplars}");
}

#[test]
fn statuses_and_headers_are_those_that_senders_go_by() {
    let dir = tempfile::tempdir().expect("a folder");
    let sonde = Sonde::collector(dir.path(), &[]);
    let now = now_ms();
    let (whole, nothing) = (everything(now), Some([0, 0, 0]));
    let plain = first(&[(&[("__name__", "plain"), ("a", "1")], 1.0, now)]);
    let snappy = ("Content-Encoding", "snappy");
    let of = |content_type| ("Content-Type", content_type);
    let check = |headers: &[(&str, &str)], body: &[u8], status: u16, written: Counts| {
        let answer = send(&sonde, headers, body);
        assert_eq!((answer.status, answer.written()), (status, written), "{headers:?}: {answer:?}");
        assert_eq!(answer.text.is_empty(), status == 204, "a reason where it is no success: {answer:?}");
    };
    // Headers, and the body of which version they announce.
    for (headers, is_v2, status, written) in [
        (vec![of(V2), snappy], true, 204, Some([2, 1, 1])),
        (vec![of(V2)], true, 204, Some([2, 1, 1])),
        (vec![of(V1), snappy], false, 204, None),
        (vec![of(V1_NAMED), snappy], false, 204, None),
        (vec![of(V1)], false, 204, None),
        (vec![], false, 204, None),
        (vec![of("application/x-protobuf;proto=io.prometheus.write.v3.Request"), snappy], true, 415, None),
        (vec![of("application/json"), snappy], true, 415, None),
        (vec![of("text/plain"), snappy], false, 415, None),
        (vec![of(V2), ("Content-Encoding", "gzip")], true, 415, None),
        (vec![of(V1), ("Content-Encoding", "zstd")], false, 415, None),
    ] {
        check(&headers, &if is_v2 { whole.snappy() } else { plain.snappy() }, status, written);
    }
    // What is no snappy, what is cut, and what is no message.
    let cut = |message: &Message| message.snappy()[..message.snappy().len() / 2].to_vec();
    for (content_type, written, message) in [(V2, nothing, &whole), (V1, None, &plain)] {
        for body in [message.0.clone(), cut(message), Message(vec![0x2a, 5, 1]).snappy(), vec![]] {
            check(&[of(content_type), snappy], &body, 400, written);
        }
    }
    let answer = Answer::read(&mut open(&sonde, "POST", &[of(V2), snappy, ("Content-Length", "99999999999")]));
    assert_eq!((answer.status, answer.written()), (413, nothing), "before it is sent: {answer:?}");
    let answer = Answer::read(&mut open(&sonde, "GET", &[]));
    assert_eq!((answer.status, answer.header("allow")), (405, Some("post")), "{answer:?}");

    // A body whose length nobody knows at first, in pieces of 7 bytes.
    let mut socket = open(&sonde, "POST", &[of(V2), snappy, ("Transfer-Encoding", "chunked")]);
    for piece in whole.snappy().chunks(7) {
        socket.write_all(&[format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()).expect("it is taken");
    }
    socket.write_all(b"0\r\n\r\n").expect("it is taken");
    let answer = Answer::read(&mut socket);
    assert_eq!((answer.status, answer.written()), (204, Some([2, 1, 1])), "{answer:?}");
}

#[test]
fn what_is_good_in_a_request_is_kept_and_the_rest_is_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let sonde = Sonde::collector(dir.path(), &[]);
    let now = now_ms();
    let symbols = ["", "__name__", "good", "ahead", "empty", "twice", "a", "1"];
    let with = |refs: &[u64], timestamp| series(refs).message(2, &sample(1.0, timestamp, 0));
    let ahead = now + 3_600_000;
    let mixed = request(
        &symbols,
        &[
            with(&[1, 2], now),
            with(&[1, 99], now),
            with(&[1], now),
            with(&[1, 3], ahead),
            series(&[1, 4]),
            with(&[1, 5, 6, 7, 6, 7], now),
        ],
    );
    let answer = send_as(&sonde, V2, &mixed);
    assert_eq!((answer.status, answer.written()), (400, Some([1, 0, 0])), "{answer:?}");
    for part in ["symbols that are not there", "max_ahead", "neither samples nor histograms", "twice"] {
        assert!(answer.text.contains(part), "{part}: {answer:?}");
    }
    // Another value at a time that has one.
    let other = request(&symbols, &[series(&[1, 2]).message(2, &sample(2.0, now, 0))]);
    let answer = send_as(&sonde, V2, &other);
    assert_eq!((answer.status, answer.written()), (400, Some([0, 0, 0])), "{answer:?}");

    // 1.0: the same, without the headers.
    let old = now - 30 * 86_400_000;
    for (labels, written, timestamp, status) in [
        ([("__name__", "first"), ("a", "1")], 1.0, now, 204),
        ([("__name__", "first"), ("a", "1")], 1.0, now, 204),
        ([("__name__", "first"), ("a", "1")], 7.0, now, 400),
        ([("__name__", "first"), ("a", "1")], 7.0, now - 60_000, 204),
        ([("__name__", "first"), ("a", "1")], 7.0, ahead, 400),
        ([("__name__", "first"), ("a", "1")], 7.0, old, 400),
        ([("__name__", "first"), ("__name__", "second")], 7.0, now, 400),
    ] {
        let message = first(&[(&labels, written, timestamp), (&[("__name__", "beside")], 1.0, now)]);
        let answer = send_as(&sonde, V1, &message);
        assert_eq!((answer.status, answer.written()), (status, None), "{labels:?} at {timestamp}: {answer:?}");
    }
    let names = sonde.get("/api/v1/label/__name__/values").json()["data"].to_string();
    assert_eq!(names, r#"["beside","first","good"]"#);
    assert_eq!(value(&sonde, "first"), 1.0, "what is there stays");
    assert_eq!(value(&sonde, "count_over_time(first[5m])"), 2.0, "with what came late");
}

#[test]
fn a_sender_for_which_there_is_no_room_is_asked_to_come_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = dir.path().join("collector.yml");
    let text = "ingest: {max_body: 64KiB, max_decoded_body: 64KiB, max_inflight: 320KiB}\n";
    std::fs::write(&config, text).expect("a configuration");
    let sonde = Sonde::collector(dir.path(), &["--config", &config.to_string_lossy()]);
    let headers = [("Content-Type", V2), ("Content-Encoding", "snappy")];
    let message = everything(now_ms());
    // Bodies that are announced and do not come hold what they may need.
    let announced = [headers[0], headers[1], ("Content-Length", "65536")];
    let mut held: Vec<TcpStream> = Vec::new();
    wait_for("no room", PATIENCE, || match sonde.own_metric("sonde_ingest_inflight_bytes") {
        327_680.0 => Ok(()),
        bytes => {
            held.push(open(&sonde, "POST", &announced));
            Err(format!("{bytes} bytes are in work"))
        }
    });
    let answer = send_as(&sonde, V2, &message);
    assert_eq!((answer.status, answer.written()), (429, Some([0, 0, 0])), "{answer:?}");
    assert!(answer.header("retry-after").is_some_and(|after| after.parse::<u32>().is_ok()), "{answer:?}");
    drop(held);
    wait_for("room", PATIENCE, || match send_as(&sonde, V2, &message) {
        answer if answer.written() == Some([2, 1, 1]) => Ok(()),
        answer => Err(format!("{answer:?}")),
    });
}
