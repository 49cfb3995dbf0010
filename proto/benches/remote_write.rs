//! Remote write 1.0 and 2.0: what decoding a request costs a sample, and encoding one.
//!
//! The request is what Prometheus sends: 2,000 series of eight labels with one sample each.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sonde_proto::remote_write::{
    Carried, Label, Limits, Sample, SymbolWriter, TimeSeries, Version, WriteRequest, WriteRequestView, compress,
    decompress, encode, put_labels, put_sample, put_series, read_labels, v2,
};

const SERIES: usize = 2_000;

fn request() -> WriteRequest {
    let series = |i: usize| {
        let cpu = (i % 16).to_string();
        let instance = format!("host-{:04}.example.org:9100", i / 128);
        let labels = [
            ("__name__", "node_cpu_seconds_total"),
            ("cluster", "production"),
            ("cpu", &cpu),
            ("environment", "eu-west-1"),
            ("instance", &instance),
            ("job", "node"),
            ("mode", ["idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"][i / 16 % 8]),
            ("team", "infrastructure"),
        ];
        let label = |(name, value): (&str, &str)| Label { name: name.to_owned(), value: value.to_owned() };
        let sample = Sample { value: i as f64 * 1.25, timestamp: 1_700_000_000_000 };
        TimeSeries { labels: labels.into_iter().map(label).collect(), samples: vec![sample], ..TimeSeries::default() }
    };
    WriteRequest { timeseries: (0..SERIES).map(series).collect(), metadata: Vec::new() }
}

fn decode(criterion: &mut Criterion) {
    let body = encode(&request());
    let block = compress(&body).expect("a request is small enough to compress");
    let limits = Limits::default();
    let mut group = criterion.benchmark_group("remote_write_decode");
    group.throughput(Throughput::Elements(SERIES as u64));
    group.bench_function("snappy", |b| b.iter(|| decompress(black_box(&block), limits.max_body_bytes)));
    // What the steady state needs: the bytes that identify a series, and its samples.
    group.bench_function("label_bytes_and_samples", |b| {
        b.iter(|| {
            let view = WriteRequestView::new(Version::V1, black_box(&body), &limits).expect("a valid request");
            let mut sum = 0.0;
            for series in view.series() {
                let series = series.expect("a valid series");
                black_box(series.label_bytes());
                for sample in series.samples() {
                    sum += sample.expect("a valid sample").value;
                }
            }
            sum
        });
    });
    // The same in 2.0, where what identifies a series are references.
    let symbolised = encode(&v2::Request::from(&request()));
    group.bench_function("symbol_refs_and_samples", |b| {
        b.iter(|| {
            let view = WriteRequestView::new(Version::V2, black_box(&symbolised), &limits).expect("a valid request");
            let mut sum = 0.0;
            for series in view.series() {
                let series = series.expect("a valid series");
                for reference in series.symbol_refs().expect("a request of 2.0") {
                    black_box(reference.expect("a valid reference"));
                }
                for sample in series.samples() {
                    sum += sample.expect("a valid sample").value;
                }
            }
            sum
        });
    });
    // What a series that was never seen needs: its labels as text.
    group.bench_function("labels_and_samples", |b| {
        b.iter(|| {
            let view = WriteRequestView::new(Version::V1, black_box(&body), &limits).expect("a valid request");
            let mut sum = 0.0;
            let mut labels = Vec::new();
            for series in view.series() {
                let series = series.expect("a valid series");
                labels.clear();
                labels.extend(series.labels().map(|label| label.expect("a valid label")));
                black_box(&labels);
                for sample in series.samples() {
                    sum += sample.expect("a valid sample").value;
                }
            }
            sum
        });
    });
    group.bench_function("prost", |b| {
        b.iter(|| <WriteRequest as prost::Message>::decode(black_box(body.as_slice())).expect("a valid request"));
    });
    group.finish();
}

/// What a sender pays for a sample: labels are encoded already, as it keeps them.
fn encode_path(criterion: &mut Criterion) {
    let labels: Vec<Vec<u8>> = request()
        .timeseries
        .iter()
        .map(|series| {
            let mut out = Vec::new();
            put_labels(&mut out, series.labels.iter().map(|label| (label.name.as_str(), label.value.as_str())));
            out
        })
        .collect();
    let mut group = criterion.benchmark_group("remote_write_encode");
    group.throughput(Throughput::Elements(SERIES as u64));
    group.bench_function("1.0", |b| {
        b.iter(|| {
            let mut out = Vec::with_capacity(labels.iter().map(|labels| labels.len() + 32).sum());
            for (i, labels) in black_box(&labels).iter().enumerate() {
                put_series(&mut out, labels, |out| put_sample(out, 2, 1_700_000_000_000, i as f64 * 1.25, 0));
            }
            out
        });
    });
    group.bench_function("2.0", |b| {
        b.iter(|| {
            let mut writer = SymbolWriter::new();
            for (i, labels) in black_box(&labels).iter().enumerate() {
                writer.series(read_labels(labels), None, Carried::Float(1_700_000_000_000, 0, i as f64 * 1.25));
            }
            writer.finish()
        });
    });
    group.bench_function("1.0 by messages", |b| {
        let request = request();
        b.iter(|| encode(black_box(&request)));
    });
}

criterion_group!(benches, decode, encode_path);
criterion_main!(benches);
