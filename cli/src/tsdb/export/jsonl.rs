//! JSON lines as VictoriaMetrics exports them: `{"metric":{...},"values":[...],"timestamps":[...]}`.
//!
//! Native histograms, which it has no form for, are lines with `histograms` in the place of `values`.

use std::fmt::Write as _;
use std::io::{self, Write};

use sonde_model::{CounterResetHint, Histogram, Series, Span, TimestampMs, is_stale};

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

    pub(super) fn series(&mut self, series: &Series) -> io::Result<()> {
        let metric: serde_json::Map<String, serde_json::Value> =
            series.labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        let metric = serde_json::Value::from(metric).to_string();
        let floats = &series.floats;
        for (times, values) in floats.timestamps.chunks(LINE_SAMPLES).zip(floats.values.chunks(LINE_SAMPLES)) {
            self.line(&metric, "values", times, values, |out, value| number(out, *value))?;
        }
        let histograms = &series.histograms;
        let times = histograms.timestamps.chunks(LINE_HISTOGRAMS);
        for (times, values) in times.zip(histograms.values.chunks(LINE_HISTOGRAMS)) {
            self.line(&metric, "histograms", times, values, histogram)?;
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
        list(line, times, |out, t| write!(out, "{t}").expect("BUG: writing to a string failed"));
        line.push_str("}\n");
        self.output.write_all(self.line.as_bytes())
    }
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
