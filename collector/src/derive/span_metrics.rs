//! Calls, durations and sizes of spans by service, name, kind and status, under Tempo's names.
//!
//! It knows nothing of stores: spans go in, the growth of counters comes out.

use std::collections::BTreeMap;

use sonde_model::TimestampMs;
use sonde_model::span::{ScopedSpan, StatusCode, TraceId};

use super::latency::{Latency, Shape};
use super::row::{Observed, Row, Rows, label_value};

/// How long label sets that no span has are kept in sight.
pub(super) const IDLE_MS: i64 = 15 * 60 * 1000;
/// Bytes of the labels of all label sets at most: what grew has to fit into one record of the metrics store.
const LABEL_BYTES: usize = 1 << 20;

const LATENCY: Shape = Shape {
    bucket: "traces_spanmetrics_latency_bucket",
    sum: "traces_spanmetrics_latency_sum",
    count: "traces_spanmetrics_latency_count",
    first: 0.002,
    bounds: 14,
};

/// The growth of the metrics of spans since the last collection.
#[derive(Debug)]
pub(super) struct SpanMetrics {
    max_label_sets: usize,
    label_bytes: usize,
    /// By service and name (each with a zero byte behind), kind and status.
    groups: BTreeMap<Box<str>, Group>,
    key: String,
}

#[derive(Debug)]
struct Group {
    calls: u64,
    bytes: u64,
    latency: Latency,
    /// The trace of the last span.
    trace: Option<TraceId>,
    fresh: bool,
    seen: TimestampMs,
}

/// There are as many label sets as are allowed; the span was not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooManyLabelSets;

impl SpanMetrics {
    /// Nothing counted yet.
    pub(super) fn new(max_label_sets: usize) -> Self {
        SpanMetrics { max_label_sets, label_bytes: 0, groups: BTreeMap::new(), key: String::new() }
    }

    /// Counts a span.
    pub(super) fn count(&mut self, scoped: &ScopedSpan, now: TimestampMs) -> Result<(), TooManyLabelSets> {
        let span = &scoped.span;
        self.key.clear();
        for text in [label_value(scoped.resource.service_name()), label_value(&span.name)] {
            // A zero byte ends a text, so none may be within it.
            self.key.extend(text.chars().filter(|c| *c != '\0'));
            self.key.push('\0');
        }
        self.key.push_str(span.kind.otlp_name());
        self.key.push('\0');
        self.key.push_str(status_label(span.status));

        let full = self.groups.len() >= self.max_label_sets || self.label_bytes + self.key.len() > LABEL_BYTES;
        let group = match self.groups.get_mut(self.key.as_str()) {
            Some(group) => group,
            None if full => return Err(TooManyLabelSets),
            None => {
                self.label_bytes += self.key.len();
                let group =
                    Group { calls: 0, bytes: 0, latency: Latency::default(), trace: None, fresh: true, seen: now };
                self.groups.entry(self.key.as_str().into()).or_insert(group)
            }
        };
        group.calls += 1;
        group.bytes += sonde_translate::otlp_span_bytes(span) as u64;
        group.seen = now;
        group.trace = Some(span.trace_id);
        LATENCY.observe(&mut group.latency, span.duration_ns() as f64 / 1e9, span.trace_id);
        Ok(())
    }

    /// What grew since the last collection, and what is still in sight.
    pub(super) fn collect(&mut self, now: TimestampMs, into: &mut Vec<Row>) {
        let label_bytes = &mut self.label_bytes;
        self.groups.retain(|key, group| {
            let kept = group.calls > 0 || now.saturating_sub(group.seen) < IDLE_MS;
            if !kept {
                *label_bytes -= key.len();
            }
            kept
        });
        for (key, group) in &mut self.groups {
            let mut parts = key.split('\0');
            let mut part = || parts.next().unwrap_or_default();
            let (service, span_name, span_kind, status_code) = (part(), part(), part(), part());
            let labels = [
                ("service", service),
                ("span_kind", span_kind),
                ("span_name", span_name),
                ("status_code", status_code),
            ];
            let mut rows = Rows { into, labels: &labels, fresh: std::mem::take(&mut group.fresh) };
            let call = group.trace.take().map(|trace| Observed { value: 1.0, trace });
            rows.counter("traces_spanmetrics_calls_total", std::mem::take(&mut group.calls) as f64, call);
            rows.counter("traces_spanmetrics_size_total", std::mem::take(&mut group.bytes) as f64, None);
            LATENCY.rows(&mut group.latency, &mut rows);
        }
    }
}

fn status_label(status: StatusCode) -> &'static str {
    match status {
        StatusCode::Unset => "STATUS_CODE_UNSET",
        StatusCode::Ok => "STATUS_CODE_OK",
        StatusCode::Error => "STATUS_CODE_ERROR",
    }
}

#[cfg(test)]
mod tests {
    use sonde_model::span::Span;

    use super::*;

    fn named(name: &str) -> ScopedSpan {
        let trace_id = TraceId([name.as_bytes()[0]; 16]);
        let span = Span { name: name.into(), trace_id, end_ns: 3_000_000, ..Span::default() };
        ScopedSpan { span, ..ScopedSpan::default() }
    }

    fn growth(metrics: &mut SpanMetrics, now: TimestampMs, name: &str) -> Vec<f64> {
        let mut rows = Vec::new();
        metrics.collect(now, &mut rows);
        rows.iter().filter(|r| &*r.labels[0].1 == name).map(|r| r.growth).collect()
    }

    #[test]
    fn growth_is_told_once_and_idle_label_sets_go() {
        let mut metrics = SpanMetrics::new(2);
        for name in ["a", "a", "b"] {
            assert_eq!(metrics.count(&named(name), 0), Ok(()), "{name}");
        }
        assert_eq!(metrics.count(&named("c"), 0), Err(TooManyLabelSets));
        let mut calls = growth(&mut metrics, 1, "traces_spanmetrics_calls_total");
        calls.sort_by(f64::total_cmp);
        assert_eq!(calls, [1.0, 2.0]);
        assert_eq!(growth(&mut metrics, 2, "traces_spanmetrics_calls_total"), [0.0, 0.0]);
        assert!(growth(&mut metrics, IDLE_MS, "traces_spanmetrics_calls_total").is_empty());
        assert_eq!((metrics.label_bytes, metrics.count(&named("c"), IDLE_MS)), (0, Ok(())));
    }

    #[test]
    fn calls_and_buckets_lead_to_the_last_trace_once() {
        let mut metrics = SpanMetrics::new(2);
        for name in ["a", "b"] {
            assert_eq!(metrics.count(&named(name), 0), Ok(()));
        }
        let observed = |metrics: &mut SpanMetrics| -> Vec<(String, Observed)> {
            let mut rows = Vec::new();
            metrics.collect(1, &mut rows);
            let label = |row: &Row, name: &str| row.labels.iter().find(|(n, _)| *n == name).map(|(_, v)| v.to_string());
            let seen = |row: &Row| Some((label(row, "le").or(label(row, "__name__"))?, row.observed?));
            rows.iter().filter_map(seen).collect()
        };
        let (calls, bucket) = ("traces_spanmetrics_calls_total".to_owned(), "0.004".to_owned());
        let of = |id: u8, value: f64| Observed { value, trace: TraceId([id; 16]) };
        let expected = [b'a', b'b'].map(|id| [(calls.clone(), of(id, 1.0)), (bucket.clone(), of(id, 0.003))]);
        assert_eq!(observed(&mut metrics), expected.concat());
        assert_eq!(observed(&mut metrics), []);
    }

    #[test]
    fn buckets_hold_what_is_not_longer_than_their_bound() {
        let mut metrics = SpanMetrics::new(1);
        assert_eq!(metrics.count(&named("a"), 0), Ok(()));
        let buckets = growth(&mut metrics, 0, "traces_spanmetrics_latency_bucket");
        assert_eq!((buckets.len(), &buckets[..3]), (15, &[0.0, 1.0, 1.0][..]));
    }
}
