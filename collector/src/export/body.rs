//! The bodies of requests, in both versions.

use std::collections::HashMap;
use std::sync::Arc;

use sonde_model::{Exemplar, Histogram, METRIC_NAME, TimestampMs};
use sonde_proto::remote_write::{
    Carried, SymbolWriter, Version, compress, put_exemplar, put_histogram, put_metadata, put_sample, put_series,
    read_labels,
};
use sonde_tsdb::{Db, Metadata, MetricKind};

/// One thing that is sent.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The labels, as [`sonde_proto::remote_write::put_labels`] writes them.
    pub(super) labels: Arc<[u8]>,
    /// The record of the log that it came with, counted in its round.
    pub(super) record: u32,
    pub(super) timestamp: TimestampMs,
    /// Since when the value counts; 0 where that is not known, and for exemplars. 1.0 has no word for it.
    pub(super) start: TimestampMs,
    pub(super) value: Value,
}

/// What it is.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Float(f64),
    Histogram(Box<Histogram>),
    Exemplar(Box<Exemplar>),
}

impl Entry {
    /// Roughly the memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        let inner = match &self.value {
            Value::Float(_) => 0,
            Value::Histogram(h) => {
                let buckets = h.positive_buckets.len() + h.negative_buckets.len() + h.custom_values.len();
                size_of::<Histogram>() + 8 * (buckets + h.positive_spans.len() + h.negative_spans.len())
            }
            Value::Exemplar(e) => {
                size_of::<Exemplar>() + e.labels.iter().map(|(n, v)| n.len() + v.len() + 8).sum::<usize>()
            }
        };
        size_of::<Self>() + inner
    }
}

/// The body of a request with these entries, compressed.
pub(super) fn body(version: Version, entries: &[Entry], metadata: Option<&Db>) -> Vec<u8> {
    let message = match version {
        Version::V1 => first(entries),
        Version::V2 => second(entries, metadata),
    };
    snappy(&message)
}

/// The body of a request of 1.0 that tells of metrics.
pub(super) fn metadata_body(metrics: &[(String, Metadata)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, metadata) in metrics {
        put_metadata(&mut out, number(metadata.kind), name, &metadata.help, &metadata.unit);
    }
    snappy(&out)
}

fn snappy(message: &[u8]) -> Vec<u8> {
    compress(message).expect("BUG: a request is far smaller than a snappy block may be")
}

fn first(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(entries.iter().map(|entry| entry.labels.len() + 32).sum());
    for entry in entries {
        put_series(&mut out, &entry.labels, |out| match &entry.value {
            Value::Float(value) => put_sample(out, 2, entry.timestamp, *value, 0),
            Value::Histogram(histogram) => put_histogram(out, 4, entry.timestamp, histogram, 0),
            Value::Exemplar(exemplar) => put_exemplar(out, exemplar),
        });
    }
    out
}

fn second(entries: &[Entry], db: Option<&Db>) -> Vec<u8> {
    let name_of = |entry: &'_ Entry| -> String {
        let name = read_labels(&entry.labels).find(|(name, _)| *name == METRIC_NAME);
        name.map(|(_, value)| value.to_owned()).unwrap_or_default()
    };
    // The store is asked once for each metric.
    let mut known: HashMap<String, Option<Metadata>> = HashMap::new();
    let names: Vec<String> = match db {
        Some(_) => entries.iter().map(name_of).collect(),
        None => Vec::new(),
    };
    if let Some(db) = db {
        for name in &names {
            if !known.contains_key(name) {
                known.insert(name.clone(), find(db, name));
            }
        }
    }
    let mut writer = SymbolWriter::new();
    for (i, entry) in entries.iter().enumerate() {
        let metadata = names.get(i).and_then(|name| known.get(name)?.as_ref());
        let said = metadata.map(|m| (number(m.kind), m.help.as_str(), m.unit.as_str()));
        let carried = match &entry.value {
            Value::Float(value) => Carried::Float(entry.timestamp, entry.start, *value),
            Value::Histogram(histogram) => Carried::Histogram(entry.timestamp, entry.start, histogram),
            Value::Exemplar(exemplar) => Carried::Exemplar(exemplar),
        };
        writer.series(read_labels(&entry.labels), said, carried);
    }
    writer.finish()
}

/// What is known of a metric, or of the family whose classic series it is.
fn find(db: &Db, name: &str) -> Option<Metadata> {
    let ask = |name: &str| db.metadata(Some(name), 1).pop().map(|(_, metadata)| metadata);
    let family = || ["_bucket", "_count", "_sum"].iter().find_map(|suffix| ask(name.strip_suffix(suffix)?));
    ask(name).or_else(family)
}

/// The number of `MetricType`, the same in both versions.
fn number(kind: MetricKind) -> u32 {
    match kind {
        MetricKind::Unknown => 0,
        MetricKind::Counter => 1,
        MetricKind::Gauge => 2,
        MetricKind::Histogram => 3,
        MetricKind::Summary => 5,
        MetricKind::Info => 6,
        MetricKind::StateSet => 7,
    }
}
