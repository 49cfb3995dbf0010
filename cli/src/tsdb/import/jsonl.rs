//! JSON lines: `{"metric":{...},"values":[...],"timestamps":[...]}`, the same with `histograms`, with or without `starts`, and
//! lines of `exemplars`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use sonde_model::{CounterResetHint, Exemplar, Histogram, Labels, NORMAL_NAN_BITS, Span, TimestampMs, stale_nan};
use sonde_tsdb::BatchValue;

use super::batches::{Batches, OneSample};
use super::{Input, Progress, not_understood, read_line};
use crate::problem::Problem;

/// The longest line.
const LINE_BYTES: usize = 64 << 20;

#[derive(Deserialize)]
struct Line {
    metric: BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<Number>,
    #[serde(default)]
    histograms: Vec<HistogramValue>,
    #[serde(default)]
    timestamps: Vec<TimestampMs>,
    /// Since when each value is counted; 0 where that is not known.
    #[serde(default)]
    starts: Vec<TimestampMs>,
    #[serde(default)]
    exemplars: Vec<OneExemplar>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OneExemplar {
    labels: BTreeMap<String, String>,
    value: Number,
    timestamp: TimestampMs,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HistogramValue {
    count: Number,
    sum: Number,
    #[serde(default)]
    schema: i32,
    #[serde(default)]
    zero_threshold: Number,
    #[serde(default)]
    zero_count: Number,
    #[serde(default)]
    negative_spans: Vec<(i32, u32)>,
    #[serde(default)]
    negative_buckets: Vec<Number>,
    #[serde(default)]
    positive_spans: Vec<(i32, u32)>,
    #[serde(default)]
    positive_buckets: Vec<Number>,
    #[serde(default)]
    custom_values: Vec<Number>,
    #[serde(default)]
    reset: Reset,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Reset {
    #[default]
    Unknown,
    Yes,
    No,
    Gauge,
}

/// A number, or what JSON has no number for.
#[derive(Clone, Copy, Default)]
struct Number(f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfNumber;

        impl Visitor<'_> for OfNumber {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, null, \"Infinity\", \"-Infinity\", \"NaN\" or \"StaleNaN\"")
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Number, E> {
                Ok(Number(value))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Number, E> {
                Ok(Number(value as f64))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Number, E> {
                Ok(Number(value as f64))
            }

            fn visit_unit<E: Error>(self) -> Result<Number, E> {
                Ok(Number(f64::from_bits(NORMAL_NAN_BITS)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
                match text {
                    "Infinity" | "Inf" | "+Inf" => Ok(Number(f64::INFINITY)),
                    "-Infinity" | "-Inf" => Ok(Number(f64::NEG_INFINITY)),
                    "NaN" => self.visit_unit(),
                    "StaleNaN" => Ok(Number(stale_nan())),
                    other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
                }
            }
        }

        deserializer.deserialize_any(OfNumber)
    }
}

/// Reads all lines of a file.
pub(super) fn read(
    path: &Path,
    input: &mut Input,
    batches: &mut Batches<'_>,
    progress: &mut Progress,
) -> Result<(), Problem> {
    let mut bytes = Vec::new();
    for number in 1.. {
        let wrong = |reason: &str| not_understood(path, number, reason);
        if read_line(input.reader(), &mut bytes, LINE_BYTES).map_err(|e| wrong(&e.to_string()))? == 0 {
            break;
        }
        if bytes.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let line: Line = serde_json::from_slice(&bytes).map_err(|e| wrong(&e.to_string()))?;
        add(&line, batches, &wrong)?;
        progress.at(input.taken(), input.len);
    }
    Ok(())
}

fn add(line: &Line, batches: &mut Batches<'_>, wrong: &dyn Fn(&str) -> Problem) -> Result<(), Problem> {
    let labels = || line.metric.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let (values, histograms) = (line.values.len(), line.histograms.len());
    if values + histograms != line.timestamps.len() || (values > 0 && histograms > 0) {
        return Err(wrong("there are not as many timestamps as values or histograms"));
    }
    if !line.starts.is_empty() && line.starts.len() != line.timestamps.len() {
        return Err(wrong("there are not as many starts as timestamps"));
    }
    let starts = line.starts.iter().copied().chain(std::iter::repeat(0));
    let times = line.timestamps.iter().copied().zip(starts);
    let one = |(timestamp, start), value| OneSample { timestamp, start, value, exemplar: None };
    for (time, value) in times.clone().zip(&line.values) {
        batches.sample("", labels(), one(time, BatchValue::Float(value.0)))?;
    }
    for (time, histogram) in times.zip(&line.histograms) {
        let histogram = Histogram::from(histogram);
        histogram.validate().map_err(|e| wrong(&e.to_string()))?;
        batches.sample("", labels(), one(time, BatchValue::Histogram(Box::new(histogram))))?;
    }
    if !line.exemplars.is_empty() {
        batches.exemplars(labels(), line.exemplars.iter().map(Exemplar::from));
    }
    Ok(())
}

impl From<&OneExemplar> for Exemplar {
    fn from(exemplar: &OneExemplar) -> Self {
        let OneExemplar { labels, value, timestamp } = exemplar;
        let labels = Labels::from_pairs(labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        Exemplar { labels, value: value.0, timestamp: *timestamp }
    }
}

impl From<&HistogramValue> for Histogram {
    fn from(value: &HistogramValue) -> Self {
        let numbers = |list: &[Number]| list.iter().map(|n| n.0).collect();
        let spans = |list: &[(i32, u32)]| {
            list.iter().map(|(offset, length)| Span { offset: *offset, length: *length }).collect()
        };
        Histogram {
            schema: value.schema,
            reset_hint: match value.reset {
                Reset::Unknown => CounterResetHint::Unknown,
                Reset::Yes => CounterResetHint::Reset,
                Reset::No => CounterResetHint::NotReset,
                Reset::Gauge => CounterResetHint::Gauge,
            },
            zero_threshold: value.zero_threshold.0,
            zero_count: value.zero_count.0,
            count: value.count.0,
            sum: value.sum.0,
            positive_spans: spans(&value.positive_spans),
            positive_buckets: numbers(&value.positive_buckets),
            negative_spans: spans(&value.negative_spans),
            negative_buckets: numbers(&value.negative_buckets),
            custom_values: numbers(&value.custom_values),
        }
    }
}
