//! Writes inputs to begin with, so that a fuzzer need not find out by itself what a block or a query looks like.
//!
//! Makes `$SONDE_CORPUS/TARGET/seed-N` from the stores that this program makes and the files below `$SONDE_ROOT`. It is built
//! as a target and run with `-runs=0`, because what is instrumented needs libFuzzer to be linked.
#![cfg_attr(fuzzing, no_main)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use prost::Message;
use sonde_disk::{Fs, MemFs, Wal};
use sonde_fuzz::{BLOCK, DIR};
use sonde_model::{Exemplar, Histogram, Labels, Matcher, Span, stale_nan};
use sonde_tsdb::{Batch, BatchExemplar, BatchSample, BatchValue, Db, Metadata, MetricKind, Options, Source};

/// Larger inputs make each execution slow.
const MAX_BYTES: usize = 16 << 10;

struct Corpus(PathBuf);

impl Corpus {
    fn put(&self, target: &str, bytes: &[u8]) {
        if bytes.is_empty() || bytes.len() > MAX_BYTES {
            return;
        }
        let dir = self.0.join(target);
        std::fs::create_dir_all(&dir).expect("a folder");
        let name = format!("seed-{:08x}", sonde_disk::checksum::crc32(bytes));
        std::fs::write(dir.join(name), bytes).expect("a file");
    }

    fn text(&self, target: &str, prefix: &[u8], text: &str) {
        self.put(target, &[prefix, text.as_bytes()].concat());
    }
}

libfuzzer_sys::fuzz_target!(init: write(), |_bytes: &[u8]| {});

fn write() {
    let folder = |name| PathBuf::from(std::env::var_os(name).unwrap_or_else(|| panic!("{name} is not set")));
    let (corpus, root) = (Corpus(folder("SONDE_CORPUS")), folder("SONDE_ROOT"));
    metrics(&corpus);
    golden(&corpus, &root);
    texts(&corpus, &root);
    otlp(&corpus);
    let detector = (0..500).fold(sonde_detect::Novelty::default(), |mut detector, i| {
        detector.push(i * 60_000, (i as f64 * 0.1).sin());
        detector
    });
    corpus.put("detector", &detector.to_bytes());
    corpus.put("small_texts", b"1h30m");
    corpus.put("small_texts", b"00112233445566778899aabbccddeeff\n1\n2");
}

/// A small store with everything in it, and its files.
fn metrics(corpus: &Corpus) {
    for samples in [3, 40, 700] {
        let fs = MemFs::new();
        let (db, _) = Db::open(Arc::new(fs.clone()), Path::new(DIR), Options::default(), 0).expect("it is new");
        for i in 0..samples {
            let at = i64::from(i) * 15_000;
            let one = |labels: &[(&str, &str)], value| {
                let series = db.series_ref(labels).expect("there is room");
                BatchSample { series, timestamp: at, value }
            };
            let float = |v: f64| BatchValue::Float(v);
            let f = f64::from(i);
            let histogram = Histogram {
                schema: if i % 50 < 40 { 2 } else { -53 },
                count: f,
                sum: f,
                positive_spans: vec![Span { offset: if i % 50 < 40 { -2 } else { 0 }, length: 2 }],
                positive_buckets: vec![0.0, f],
                custom_values: if i % 50 < 40 { vec![] } else { vec![1.0] },
                ..Histogram::default()
            };
            let samples = vec![
                one(&[("__name__", "a"), ("i", "1")], float(if i % 9 == 8 { stale_nan() } else { f })),
                one(&[("__name__", "a"), ("i", "2")], float(f / 10.0)),
                one(&[("__name__", "n")], float((f * 0.7).sin())),
                one(&[("__name__", "k")], float(1.0)),
                one(&[("__name__", "h")], BatchValue::Histogram(Box::new(histogram))),
            ];
            let exemplar = Exemplar { labels: Labels::from_pairs([("trace_id", "ab")]), value: f, timestamp: at };
            let exemplars = vec![BatchExemplar { series: samples[0].series, exemplar }];
            let help = Metadata { kind: MetricKind::Gauge, help: "h".into(), unit: "u".into() };
            let metadata = vec![("a".to_owned(), help)];
            // Half of the samples have start timestamps, one of which changes.
            let starts = if i % 100 < 50 { vec![7, 0, 1 + at / 600_000, 0, 7] } else { Vec::new() };
            let batch = Batch { source: Source::Push, cursor: None, samples, starts, metadata, exemplars };
            db.append(batch, at, |_| {}).expect("there is room");
        }
        db.close();
        drop(db);
        let mut records = Vec::new();
        Wal::examine(&fs, &Path::new(DIR).join("wal"), &mut |_, record| {
            records.extend((record.len() as u16).to_le_bytes());
            records.extend(record);
        })
        .expect("memory");
        records.truncate(MAX_BYTES);
        corpus.put("wal_records", &records);
        let (db, _) = Db::open(Arc::new(fs.clone()), Path::new(DIR), Options::default(), 0).expect("it is there");
        db.flush(0).expect("memory");
        db.delete(vec![vec![Matcher::equal("i", "1")]], 0, 20_000, 0).expect("memory");
        db.close();
        drop(db);
        let read = |name: &str| sonde_disk::read_all(&fs, &Path::new(DIR).join(name), 1 << 24);
        corpus.put("block", &read(BLOCK).expect("it was flushed"));
        for (which, name) in ["manifest", "tombstones", "exemplars", "clock"].into_iter().enumerate() {
            if let Ok(bytes) = read(name) {
                corpus.put("store_files", &[&[which as u8], bytes.as_slice()].concat());
            }
        }
        for entry in fs.list(&Path::new(DIR).join("wal")).expect("it is there") {
            if let Ok(bytes) = read(&format!("wal/{}", entry.name)) {
                corpus.put("wal", &bytes[bytes.len().min(4160)..]);
            }
        }
    }
    let mut chunk = vec![0; 18];
    chunk[8..16].copy_from_slice(&150_000i64.to_le_bytes());
    chunk[16..18].copy_from_slice(&11u16.to_le_bytes());
    for values in [[1.0; 11], std::array::from_fn(|i| i as f64), std::array::from_fn(|i| (i as f64).sin())] {
        let times: Vec<i64> = (0..11).map(|i| i * 15_000).collect();
        for starts in [vec![], vec![7; 11], (1..12).collect()] {
            let mut bytes = chunk.clone();
            sonde_tsdb::codec::sealed::encode_floats(&times, &values, &starts, &mut Default::default(), &mut bytes);
            corpus.put("chunk", &bytes);
        }
    }
}

/// Files of released formats.
fn golden(corpus: &Corpus, root: &Path) {
    for (target, dir, records) in [
        ("block", "crates/tsdb/tests/golden", "wal_records"),
        ("span_block", "crates/tracedb/tests/golden", "span_records"),
    ] {
        for file in files(&root.join(dir)) {
            let Ok(bytes) = std::fs::read(&file) else { continue };
            match file.extension().and_then(|e| e.to_str()) {
                Some("block") => corpus.put(target, &bytes),
                Some("wal") => {
                    corpus.put("wal", &bytes[bytes.len().min(4160)..]);
                    let wal = file.parent().expect("it lies in a folder");
                    let mut all = Vec::new();
                    let _ = Wal::examine(&sonde_disk::OsFs, wal, &mut |_, record| {
                        all.extend((record.len() as u16).to_le_bytes());
                        all.extend(record);
                    });
                    all.truncate(MAX_BYTES);
                    corpus.put(records, &all);
                }
                _ => {}
            }
        }
    }
}

/// What people write: queries, rules, pages.
fn texts(corpus: &Corpus, root: &Path) {
    for file in files(&root.join("crates/promql/tests")) {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        for line in text.lines() {
            let rest = line.strip_prefix("eval ").map(|rest| rest.trim_start_matches("instant at ").trim());
            if let Some((_, query)) = rest.and_then(|rest| rest.split_once(' ')) {
                corpus.text("promql", b"", query);
                corpus.text("promql_eval", b"", query);
            }
        }
    }
    const QUERIES: [&str; 22] = [
        "sum by (j) (rate(c[1m]))",
        "histogram_quantile(0.9, rate(b[2m]))",
        "histogram_quantile(0.5, h) + on (j) group_left () c",
        "max_over_time(c[1m:15s] @ start() offset 1m)",
        "topk(2, c) unless b{le=~\"0.*|1\"}",
        "quantile_over_time(scalar(c), c[5m])",
        "label_replace(c, \"k\", \"$1\", \"j\", \"(.*)\")",
        "absent_over_time(nope[5m]) or vector(1) > bool 2",
        "predict_linear(c[5m], 60) ^ 2 % 3 atan2 c",
        "count_values(\"v\", c)",
        "histogram_fraction(0, 1, h) * histogram_count(h)",
        "sum(h) - sum(h offset 30s)",
        "delta(h[2m]) / 2",
        "limitk(1, c) and limit_ratio(0.5, c)",
        "sort_by_label(c, \"j\")",
        "double_exponential_smoothing(c[5m], 0.5, 0.5)",
        "stddev_over_time(c[5m]) + stdvar(c)",
        "rate(c[1m] anchored) + rate(c[1m] smoothed)",
        "avg(h) + avg_over_time(h[3m])",
        "{\"c\", j!=\"x\"}[5m]",
        "c + fill(0) b",
        "info(c)",
    ];
    for query in QUERIES {
        corpus.text("promql", b"", query);
        corpus.text("promql_eval", b"", query);
    }
    for file in files(&root.join("crates/traceql")) {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        let quoted = text.split('"').filter(|part| part.trim_start().starts_with('{'));
        quoted.for_each(|query| corpus.text("traceql", b"", query));
    }
    for file in files(&root.join("alert-rules")) {
        if let Ok(text) = std::fs::read_to_string(&file) {
            corpus.text("alerting", &[0], &text);
        }
    }
    corpus.text("alerting", &[1], "{a=\"b\", c!~\"d.*\", \"e f\"=g}");
    corpus.text("alerting", &[2], "{{ range $i, $a := .Labels }}{{ $value | humanize }}{{ end }}");
    let page = "# HELP a_total text\n# TYPE a_total counter\na_total{b=\"c\\n\",d=\"\"} 1 1700000000000\n\
        {\"x y\",q=\"1\"} NaN\nh_bucket{le=\"+Inf\"} 2\n";
    corpus.text("exposition", b"", page);
    let page =
        "# TYPE a counter\n# UNIT a_seconds seconds\na_total{b=\"c\"} 1 1.5 # {trace_id=\"x\"} 0.5 1.25\n# EOF\n";
    corpus.text("exposition", b"", page);
    let page = "h{a=\"b\"} {count:3,sum:NaN,schema:-53,positive_spans:[0:1,1:1],positive_buckets:[1,2],custom_values:[1,2,3],reset:no} 1\n\
        h {count:1,sum:StaleNaN,schema:3,zero_threshold:1e-3,zero_count:1,negative_spans:[-3:1],negative_buckets:[1]}\n";
    corpus.text("exposition", b"", page);
}

/// Requests as an SDK sends them.
fn otlp(corpus: &Corpus) {
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
}

/// A field of protobuf with a length.
fn field(number: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    sonde_disk::varint::put(&mut out, u64::from(number) << 3 | 2);
    sonde_disk::varint::put(&mut out, body.len() as u64);
    out.extend_from_slice(body);
    out
}

/// All files below a folder; none where there is no folder.
fn files(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut found = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}
