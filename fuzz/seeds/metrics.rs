//! A store of metrics, and what lies in its folder.

use std::path::Path;
use std::sync::Arc;

use sonde_disk::{Fs, MemFs};
use sonde_fuzz::{BLOCK, DIR};
use sonde_model::{Exemplar, Histogram, Labels, Matcher, Span, stale_nan};
use sonde_tsdb::{Batch, BatchExemplar, BatchSample, BatchValue, Db, Metadata, MetricKind, Options, Source};

use crate::{Corpus, records};

/// A small store with everything in it, and its files.
pub(crate) fn write(corpus: &Corpus) {
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
        corpus.put("wal_records", &records(&fs, &Path::new(DIR).join("wal")));
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
