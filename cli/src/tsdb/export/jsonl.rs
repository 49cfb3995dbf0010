//! JSON lines as VictoriaMetrics exports them: `{"metric":{...},"values":[...],"timestamps":[...]}`.
//!
//! Native histograms, which it has no form for, are lines with `histograms` in the place of `values`. `starts` and `exemplars` are
//! further keys, which it passes over.

use std::fmt::Write as _;
use std::io::{self, Write};

use sonde_model::{CounterResetHint, Exemplar, Histogram, Labels, Series, Span, TimestampMs, is_stale};

use super::super::files::Output;

/// Samples of a line at most: readers hold a line at once.
const LINE_SAMPLES: usize = 10_000;
/// Histograms of a line at most.
const LINE_HISTOGRAMS: usize = 100;

pub(super) struct Writer {
    output: Output,
    line: String,
}

impl Writer {
    pub(super) fn new(output: Output) -> Self {
        Writer { output, line: String::new() }
    }

    pub(super) fn series(&mut self, series: &Series, exemplars: &[Exemplar]) -> io::Result<()> {
        let metric = object(&series.labels);
        let mut exemplars = exemplars;
        let floats = &series.floats;
        for (i, (times, values)) in
            floats.timestamps.chunks(LINE_SAMPLES).zip(floats.values.chunks(LINE_SAMPLES)).enumerate()
        {
            let starts = floats.starts.get(i * LINE_SAMPLES..).unwrap_or_default();
            let more =
                More { starts: &starts[..starts.len().min(times.len())], exemplars: std::mem::take(&mut exemplars) };
            self.line(&metric, "values", times, values, more, |out, value| number(out, *value))?;
        }
        let histograms = &series.histograms;
        let times = histograms.timestamps.chunks(LINE_HISTOGRAMS);
        for (i, (times, values)) in times.zip(histograms.values.chunks(LINE_HISTOGRAMS)).enumerate() {
            let starts = histograms.starts.get(i * LINE_HISTOGRAMS..).unwrap_or_default();
            let more =
                More { starts: &starts[..starts.len().min(times.len())], exemplars: std::mem::take(&mut exemplars) };
            self.line(&metric, "histograms", times, values, more, histogram)?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> io::Result<()> {
        self.output.finish()
    }

    fn line<V>(
        &mut self,
        metric: &str,
        key: &str,
        times: &[TimestampMs],
        values: &[V],
        more: More<'_>,
        put: impl Fn(&mut String, &V),
    ) -> io::Result<()> {
        self.line.clear();
        let line = &mut self.line;
        line.push_str("{\"metric\":");
        line.push_str(metric);
        line.push_str(",\"");
        line.push_str(key);
        line.push_str("\":");
        list(line, values, put);
        line.push_str(",\"timestamps\":");
        let time = |out: &mut String, t: &TimestampMs| write!(out, "{t}").expect("BUG: writing to a string failed");
        list(line, times, time);
        if more.starts.iter().any(|start| *start != 0) {
            line.push_str(",\"starts\":");
            list(line, more.starts, time);
        }
        if !more.exemplars.is_empty() {
            line.push_str(",\"exemplars\":");
            list(line, more.exemplars, exemplar);
        }
        line.push_str("}\n");
        self.output.write_all(self.line.as_bytes())
    }
}

/// What a line has besides values and times.
struct More<'s> {
    /// As many as times, or none.
    starts: &'s [TimestampMs],
    exemplars: &'s [Exemplar],
}

fn object(labels: &Labels) -> String {
    let map: serde_json::Map<String, serde_json::Value> =
        labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    serde_json::Value::from(map).to_string()
}

fn exemplar(out: &mut String, exemplar: &Exemplar) {
    out.push_str("{\"labels\":");
    out.push_str(&object(&exemplar.labels));
    out.push_str(",\"value\":");
    number(out, exemplar.value);
    write!(out, ",\"timestamp\":{}}}", exemplar.timestamp).expect("BUG: writing to a string failed");
}

fn list<V>(out: &mut String, values: &[V], put: impl Fn(&mut String, &V)) {
    out.push('[');
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        put(out, value);
    }
    out.push(']');
}

/// A number; JSON has no word for what is none: VictoriaMetrics writes `null` for NaN and strings for the infinities.
fn number(out: &mut String, value: f64) {
    let written = match value {
        f64::INFINITY => write!(out, "\"Infinity\""),
        f64::NEG_INFINITY => write!(out, "\"-Infinity\""),
        _ if is_stale(value) => write!(out, "\"StaleNaN\""),
        _ if value.is_nan() => write!(out, "null"),
        _ if value != 0.0 && (value.abs() < 1e-6 || value.abs() >= 1e21) => write!(out, "{value:e}"),
        _ => write!(out, "{value}"),
    };
    written.expect("BUG: writing to a string failed");
}

fn histogram(out: &mut String, h: &Histogram) {
    let key = |out: &mut String, key: &str| {
        out.push_str(key);
    };
    for (name, value) in [
        ("{\"count\":", h.count),
        (",\"sum\":", h.sum),
        (",\"schema\":", f64::from(h.schema)),
        (",\"zero_threshold\":", h.zero_threshold),
        (",\"zero_count\":", h.zero_count),
    ] {
        key(out, name);
        number(out, value);
    }
    let spans = |out: &mut String, spans: &[Span]| {
        list(out, spans, |out, span| {
            write!(out, "[{},{}]", span.offset, span.length).expect("BUG: writing to a string failed");
        });
    };
    let numbers = |out: &mut String, values: &[f64]| list(out, values, |out, value| number(out, *value));
    key(out, ",\"negative_spans\":");
    spans(out, &h.negative_spans);
    key(out, ",\"negative_buckets\":");
    numbers(out, &h.negative_buckets);
    key(out, ",\"positive_spans\":");
    spans(out, &h.positive_spans);
    key(out, ",\"positive_buckets\":");
    numbers(out, &h.positive_buckets);
    key(out, ",\"custom_values\":");
    numbers(out, &h.custom_values);
    out.push_str(match h.reset_hint {
        CounterResetHint::Unknown => ",\"reset\":\"unknown\"}",
        CounterResetHint::Reset => ",\"reset\":\"yes\"}",
        CounterResetHint::NotReset => ",\"reset\":\"no\"}",
        CounterResetHint::Gauge => ",\"reset\":\"gauge\"}",
    });
}
