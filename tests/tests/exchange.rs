//! Debian's Prometheus and VictoriaMetrics take from us: remote read, federation, and everything that is sent on, once and in
//! order, whatever dies on the way.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use sonde_proto::remote_read::message::{ChunkedReadResponse, LabelMatcher, Query, ReadRequest};
use sonde_proto::remote_read::read_frame;
use sonde_proto::remote_write::{
    BucketSpan, Count, Histogram, Label, Sample, TimeSeries, WriteRequest, ZeroCount, compress, encode,
};
use sonde_proto::xor_chunk::{decode_floats, decode_histograms};
use sonde_tests::{Server, Sonde, Spawn, Tool, encode as escape, free_port, get, now_ms, post, tool, wait_for};

const PATIENCE: Duration = Duration::from_secs(60);
const SERIES: usize = 20;

/// A peer that answers PromQL, and how to start it again.
struct Peer {
    server: Server,
    spawn: Spawn,
    base: String,
    ready: &'static str,
}

impl Peer {
    fn start(spawn: Spawn, base: String, ready: &'static str) -> Self {
        let mut server = spawn.start();
        server.ready(&format!("{base}{ready}"));
        Peer { server, spawn, base, ready }
    }

    fn restart(&mut self) {
        self.server = self.spawn.start();
        self.server.ready(&format!("{}{}", self.base, self.ready));
    }

    fn rows(&self, expr: &str) -> Result<BTreeMap<String, String>, String> {
        rows(&self.base, expr)
    }
}

/// Series and values of an instant query.
fn rows(base: &str, expr: &str) -> Result<BTreeMap<String, String>, String> {
    let reply = get(&format!("{base}/api/v1/query?query={}", escape(expr)))?;
    let json = reply.json();
    if json["status"] != "success" {
        return Err(json.to_string());
    }
    let row =
        |sample: &Value| (sample["metric"].to_string(), sample["value"][1].as_str().unwrap_or_default().to_owned());
    Ok(json["data"]["result"].as_array().ok_or("no list")?.iter().map(row).collect())
}

fn prometheus(program: PathBuf, dir: &Path, config: &str, more: &[&str]) -> Peer {
    let address = format!("127.0.0.1:{}", free_port());
    std::fs::write(dir.join("prometheus.yml"), config).expect("its configuration");
    let storage = format!("--storage.tsdb.path={}", dir.join("prometheus-data").display());
    let listen = format!("--web.listen-address={address}");
    let mut args = vec!["--config.file=prometheus.yml", &storage, &listen];
    args.extend(more);
    let spawn = Spawn::program(program, dir, "prometheus", &args);
    Peer::start(spawn, format!("http://{address}"), "/-/ready")
}

fn victoria(program: PathBuf, dir: &Path) -> Peer {
    let address = format!("127.0.0.1:{}", free_port());
    let storage = format!("-storageDataPath={}", dir.join("victoria-data").display());
    let args = [
        storage.as_str(),
        &format!("-httpListenAddr={address}"),
        "-search.latencyOffset=0s",
        // What is sent again after a crash is one sample.
        "-dedup.minScrapeInterval=1ms",
        "-retentionPeriod=1y",
    ];
    let spawn = Spawn::program(program, dir, "victoria", &args);
    Peer::start(spawn, format!("http://{address}"), "/health")
}

fn labels(pairs: &[(&str, &str)]) -> Vec<Label> {
    pairs.iter().map(|(name, value)| Label { name: (*name).into(), value: (*value).into() }).collect()
}

fn write(sonde: &Sonde, timeseries: Vec<TimeSeries>) -> Result<(), String> {
    let request = WriteRequest { timeseries, ..WriteRequest::default() };
    let reply = post(&sonde.url("/api/v1/write"), &[], compress(&encode(&request)).expect("it fits"))?;
    if reply.status == 204 { Ok(()) } else { Err(format!("{}: {}", reply.status, reply.text())) }
}

/// One sample of each series.
fn samples(timestamp: i64, value: f64) -> Vec<TimeSeries> {
    let one = |i: usize| TimeSeries {
        labels: labels(&[("__name__", "sent"), ("number", &i.to_string())]),
        samples: vec![Sample { value: value + i as f64, timestamp }],
        ..TimeSeries::default()
    };
    (0..SERIES).map(one).collect()
}

fn histogram(timestamp: i64, count: f64) -> Histogram {
    Histogram {
        count: Some(Count::Float(count)),
        sum: count * 2.0,
        schema: 2,
        zero_threshold: 2f64.powi(-128),
        zero_count: Some(ZeroCount::Float(1.0)),
        positive_spans: vec![BucketSpan { offset: 0, length: 2 }],
        positive_counts: vec![count - 2.0, 1.0],
        timestamp,
        ..Histogram::default()
    }
}

#[test]
fn prometheus_reads_from_us_and_chunks_are_its_own() {
    let Some(program) = tool(Tool::Prometheus, "prometheus remote-reads from us") else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let sonde = Sonde::collector(dir.path(), &[]);
    let now = now_ms() / 1_000 * 1_000;
    // Prometheus cuts its chunks at even hours of UTC, too: the ten minutes lie on one side.
    let since_cut = now % 7_200_000;
    let now = if since_cut < 610_000 { now - since_cut - 1_000 } else { now };
    let floats: Vec<Sample> = (0..300)
        .map(|i| Sample { timestamp: now - 600_000 + i * 2_000 + i % 3, value: (i % 50) as f64 * 0.1 })
        .collect();
    let histograms = (0..100).map(|i| histogram(now - 600_000 + i * 5_000, 4.0 + (i % 60) as f64)).collect();
    let all = vec![
        TimeSeries { labels: labels(&[("__name__", "ours"), ("a", "1")]), samples: floats, ..TimeSeries::default() },
        TimeSeries { labels: labels(&[("__name__", "sizes")]), histograms, ..TimeSeries::default() },
    ];
    write(&sonde, all.clone()).expect("it is taken");

    // What only we have, asked of a Prometheus that reads from us. Histograms are left to the chunks: Debian's release does
    // not read them.
    let config = format!("remote_read: [{{url: '{}', read_recent: true}}]\n", sonde.url("/api/v1/read"));
    let features = ["--web.enable-remote-write-receiver", "--enable-feature=native-histograms"];
    let peer = prometheus(program, dir.path(), &config, &features);
    for expr in [
        "ours",
        "sum_over_time(ours[10m])",
        "count_over_time(ours{a=~\"1|2\"}[10m])",
        "max_over_time(ours{b!=\"x\"}[5m])",
        "changes(ours[3m])",
        "absent(theirs)",
    ] {
        let path = format!("{expr} @ {}.5", now / 1_000 - 120);
        let expr = if expr.contains('(') { expr.to_owned() } else { path };
        let time = format!("&time={}.5", now / 1_000 - 110);
        let ask = |base: &str| {
            get(&format!("{base}/api/v1/query?query={}{time}", escape(&expr)))
                .map(|r| r.json()["data"]["result"].to_string())
        };
        let (theirs, ours) = (ask(&peer.base).expect("an answer"), ask(&sonde.base).expect("an answer"));
        assert_eq!(theirs, ours, "{expr}");
        assert_ne!(theirs, "[]", "{expr}");
    }

    // The same samples in its own store come out of it in the chunks that we make.
    let own = WriteRequest { timeseries: all, ..WriteRequest::default() };
    let reply = post(&format!("{}/api/v1/write", peer.base), &[], compress(&encode(&own)).expect("it fits"))
        .expect("an answer");
    assert_eq!(reply.status, 204, "{}", reply.text());
    let theirs = chunks(&peer.base, "ours", now);
    let ours = chunks(&sonde.base, "ours", now);
    let data = |chunks: &[(i32, Vec<u8>)]| chunks.iter().map(|(_, data)| data.clone()).collect::<Vec<_>>();
    let decoded = |chunks: &[(i32, Vec<u8>)]| -> Vec<(i64, u64)> {
        let pairs = |data: &Vec<u8>| {
            let (times, values) = decode_floats(data).expect("a chunk");
            times.into_iter().zip(values.into_iter().map(f64::to_bits)).collect::<Vec<_>>()
        };
        chunks.iter().flat_map(|(_, data)| pairs(data)).collect()
    };
    assert_eq!(decoded(&theirs), decoded(&ours));
    assert_eq!(data(&theirs)[0], data(&ours)[0], "the first chunk has 120 samples in both");
    let (theirs, ours) = (chunks(&peer.base, "sizes", now), chunks(&sonde.base, "sizes", now));
    let values = |chunks: &[(i32, Vec<u8>)]| -> Vec<sonde_model::Histogram> {
        let mut all: Vec<_> = chunks.iter().flat_map(|(_, data)| decode_histograms(data).expect("a chunk").1).collect();
        // What stands at the beginning of a chunk is not known to follow a reset; how chunks are cut is each one's own affair.
        all.iter_mut().for_each(|h| h.reset_hint = sonde_model::CounterResetHint::Unknown);
        all
    };
    assert!(theirs.iter().chain(&ours).all(|(encoding, _)| *encoding == 3));
    assert_eq!(values(&theirs), values(&ours));
    assert_eq!(data(&theirs)[0], data(&ours)[0], "both cut at the first reset");
}

/// The chunks of a metric as a server streams them: encodings and data.
fn chunks(base: &str, name: &str, now: i64) -> Vec<(i32, Vec<u8>)> {
    let matchers = vec![LabelMatcher { kind: 0, name: "__name__".into(), value: name.into() }];
    let query = Query { start_timestamp_ms: now - 3_600_000, end_timestamp_ms: now + 1, matchers };
    let request = ReadRequest { queries: vec![query], accepted_response_types: vec![1] };
    let body = compress(&encode(&request)).expect("it fits");
    let headers = [
        ("content-type", "application/x-protobuf"),
        ("content-encoding", "snappy"),
        ("x-prometheus-remote-read-version", "0.1.0"),
    ];
    let reply = post(&format!("{base}/api/v1/read"), &headers, body).expect("an answer");
    assert_eq!(reply.status, 200, "{}", reply.text());
    let (mut rest, mut chunks) = (reply.body.as_slice(), Vec::new());
    while let Some((message, more)) = read_frame(rest).expect("a frame") {
        let read: ChunkedReadResponse = prost::Message::decode(message).expect("a message");
        chunks.extend(read.chunked_series.into_iter().flat_map(|s| s.chunks).map(|c| (c.encoding, c.data)));
        rest = more;
    }
    chunks
}

#[test]
fn prometheus_federates_from_us() {
    let Some(program) = tool(Tool::Prometheus, "prometheus federates from us") else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let sonde = Sonde::collector(dir.path(), &[]);
    let config = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: federate\n  honor_labels: true\n  metrics_path: /federate\n  \
         params: {{'match[]': ['sent{{number=~\"[0-4]\"}}', '{{job=\"sonde-collector\"}}']}}\n  static_configs: [{{targets: ['{}']}}]\n",
        sonde.base.trim_start_matches("http://")
    );
    let peer = prometheus(program, dir.path(), &config, &[]);
    let at = now_ms();
    write(&sonde, samples(at, 7.0)).expect("it is taken");
    let theirs = wait_for("federated samples", PATIENCE, || match peer.rows("timestamp(sent)")? {
        rows if rows.len() == 5 => Ok(rows),
        rows => Err(format!("{rows:?}")),
    });
    let seconds = at as f64 / 1e3;
    assert!(theirs.values().all(|time| time.parse() == Ok(seconds)), "{theirs:?}, {seconds}");
    // Labels are ours: no instance was made up, and the job stayed.
    assert_eq!(theirs.keys().next().map(String::as_str), Some(r#"{"job":"federate","number":"0"}"#));
    let values = peer.rows("sent").expect("an answer");
    assert_eq!(values.values().map(String::as_str).collect::<Vec<_>>(), ["7", "8", "9", "10", "11"]);
}

#[test]
fn what_is_sent_on_arrives_once_over_kills_and_outages() {
    let test = "prometheus and victoria-metrics receive from us";
    let (Some(prom), Some(vm)) = (tool(Tool::Prometheus, test), tool(Tool::VictoriaMetrics, test)) else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let mut prom = prometheus(prom, dir.path(), "{}", &["--web.enable-remote-write-receiver"]);
    let mut vm = victoria(vm, dir.path());
    let queue = "queue_config: {batch_send_deadline: 100ms, max_backoff: 500ms}";
    let config = format!(
        "remote_write:\n\
         - {{url: '{}/api/v1/write', name: prometheus, protobuf_message: io.prometheus.write.v2.Request, external_labels: {{from: sonde}}, {queue}}}\n\
         - {{url: '{}/api/v1/write', name: victoria, external_labels: {{from: sonde}}, {queue}}}\n\
         telemetry: {{interval: 0s}}\n",
        prom.base, vm.base
    );
    let config_file = dir.path().join("sonde.yml");
    std::fs::write(&config_file, config).expect("our configuration");
    let mut sonde = Sonde::collector(dir.path(), &["--config", &config_file.to_string_lossy()]);

    let mut sent = 0;
    let mut send = |sonde: &Sonde, count: usize| {
        for _ in 0..count {
            let at = now_ms();
            wait_for("a sample to be taken", PATIENCE, || write(sonde, samples(at, sent as f64)));
            sent += 1;
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    send(&sonde, 30);
    prom.server.kill();
    send(&sonde, 30);
    sonde.server.kill();
    sonde.restart();
    // Without a log of its own it loses what it has taken in the seconds before a kill: it is stopped in order.
    vm.server.stop();
    send(&sonde, 30);
    prom.restart();
    vm.restart();
    send(&sonde, 30);
    sonde.server.kill();
    sonde.restart();
    send(&sonde, 30);
    let sent = sent as f64;

    let ours = sonde.query("count(count_over_time(sent[10m]) == 150)").expect("an answer");
    assert_eq!(ours.first().map(|(_, n)| *n), Some(SERIES as f64), "we have all of it");
    for (name, peer) in [("prometheus", &prom), ("victoria", &vm)] {
        let what = format!("all samples in {name}");
        let counts = wait_for(&what, PATIENCE, || {
            let counts = peer.rows("count_over_time(sent{from=\"sonde\"}[10m])")?;
            let done = counts.len() == SERIES && counts.values().all(|n| n.parse() == Ok(sent));
            if done { Ok(counts) } else { Err(format!("{sent} of each are expected: {counts:?}")) }
        });
        assert_eq!(counts.len(), SERIES);
        // The same values, in the same order.
        for expr in ["sum_over_time(sent[10m])", "changes(sent[10m])", "last_over_time(sent[10m])"] {
            let mut theirs: Vec<_> = peer.rows(expr).expect("an answer").into_values().collect();
            let mut ours: Vec<_> = rows(&sonde.base, expr).expect("an answer").into_values().collect();
            theirs.sort();
            ours.sort();
            assert_eq!(theirs.len(), ours.len());
            // VictoriaMetrics counts the first sample of a window as a change.
            if !(name == "victoria" && expr.starts_with("changes")) {
                assert_eq!(theirs, ours, "{name}: {expr}");
            }
        }
    }
    let status = sonde.get("/api/v1/status/remote_write").json();
    let targets = status["data"]["targets"].as_array().expect("a list");
    assert_eq!(targets.iter().map(|t| t["name"].as_str()).collect::<Vec<_>>(), [Some("prometheus"), Some("victoria")]);
    // Debian's release takes 2.0 for an empty 1.0, and says nothing of what it has written.
    assert_eq!(targets[0]["protobufMessage"], "prometheus.WriteRequest", "{status}");
    assert_eq!(sonde.own_metric("sonde_remote_write_out_skipped_records_total"), 0.0);
}

#[test]
fn one_collector_sends_to_another_in_2_0() {
    let dir = tempfile::tempdir().expect("a folder");
    let [here, there] = ["here", "there"].map(|name| {
        let folder = dir.path().join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        folder
    });
    let there = Sonde::collector(&there, &[]);
    let config = format!(
        "remote_write: [{{url: '{}', protobuf_message: io.prometheus.write.v2.Request, send_native_histograms: true, \
         send_exemplars: true, queue_config: {{batch_send_deadline: 100ms}}, \
         write_relabel_configs: [{{source_labels: [__name__], regex: 'sent|sizes', action: keep}}]}}]\n",
        there.url("/api/v1/write")
    );
    let config_file = here.join("sonde.yml");
    std::fs::write(&config_file, config).expect("our configuration");
    let here = Sonde::collector(&here, &["--config", &config_file.to_string_lossy()]);
    let at = now_ms();
    let sizes = TimeSeries {
        labels: labels(&[("__name__", "sizes")]),
        histograms: vec![histogram(at, 9.0)],
        ..TimeSeries::default()
    };
    // A sample that only the other one refuses: its clock is the same, its series are not.
    write(&here, samples(at, 1.0).into_iter().chain([sizes]).collect()).expect("it is taken");
    wait_for("the samples at the other collector", PATIENCE, || {
        match (there.value("count(sent)")?, there.value("histogram_count(sizes)")?) {
            (sent, count) if sent == SERIES as f64 && count == 9.0 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    let status = here.get("/api/v1/status/remote_write").json();
    let target = &status["data"]["targets"][0];
    assert_eq!(target["protobufMessage"], "io.prometheus.write.v2.Request", "{status}");
    wait_for("the counters", PATIENCE, || {
        let status = here.get("/api/v1/status/remote_write").json();
        let target = status["data"]["targets"][0].clone();
        let counts = [&target["samples"], &target["histograms"], &target["refused"]].map(|n| n.as_u64());
        if counts == [Some(SERIES as u64), Some(1), Some(0)] { Ok(()) } else { Err(status.to_string()) }
    });
}
