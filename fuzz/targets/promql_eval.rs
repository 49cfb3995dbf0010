//! PromQL: what parses is evaluated over a few series, as an instant and as a range, within a budget.
#![cfg_attr(fuzzing, no_main)]

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use libfuzzer_sys::fuzz_target;
use sonde_model::{FloatColumn, Histogram, HistogramColumn, Labels, Matcher, Series, Span, TimestampMs, stale_nan};
use sonde_promql::{Control, Engine, EngineOptions, Interrupt, Queryable, SelectError, SelectLimits, Selection};

/// A few series with everything that samples can be.
struct Few(Vec<Series>);

static FEW: LazyLock<Few> = LazyLock::new(|| {
    let floats = |values: &[f64]| {
        let mut column = FloatColumn::default();
        values.iter().enumerate().for_each(|(i, v)| column.push(i as i64 * 15_000, *v));
        column
    };
    let mut series = Vec::new();
    let mut add = |labels: &[(&str, &str)], floats: FloatColumn, histograms: HistogramColumn| {
        series.push(Series { labels: Labels::from_pairs(labels.iter().copied()), floats, histograms });
    };
    let counter: Vec<f64> = (0..40).map(|i| f64::from(i % 17) * 3.0).collect();
    let odd = [0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e308, -1e308, 5e-324, stale_nan(), 1.0];
    for (le, share) in [("0.1", 1.0), ("1", 2.0), ("+Inf", 3.0)] {
        let values: Vec<f64> = counter.iter().map(|v| v * share).collect();
        add(&[("__name__", "b"), ("le", le), ("j", "x")], floats(&values), HistogramColumn::default());
    }
    add(&[("__name__", "c"), ("j", "x")], floats(&counter), HistogramColumn::default());
    add(&[("__name__", "c"), ("j", "y")], floats(&odd), HistogramColumn::default());
    let mut column = HistogramColumn::default();
    for i in 0..20 {
        let f = f64::from(i % 7);
        let exponential = Histogram {
            schema: i % 9 - 4,
            count: 4.0 * f,
            sum: f,
            zero_threshold: 0.001,
            positive_spans: vec![Span { offset: i % 5 - 2, length: 2 }],
            positive_buckets: vec![2.0 * f, 2.0 * f],
            ..Histogram::default()
        };
        let custom = Histogram {
            schema: -53,
            count: 3.0 * f,
            sum: f,
            positive_spans: vec![Span { offset: 0, length: 3 }],
            positive_buckets: vec![f, f, f],
            custom_values: vec![1.0, 2.0],
            ..Histogram::default()
        };
        column.push(i64::from(i) * 30_000, if i % 6 == 5 { custom } else { exponential });
    }
    add(&[("__name__", "h"), ("j", "x")], FloatColumn::default(), column);
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    Few(series)
});

impl Queryable for Few {
    fn select<'a>(
        &'a self,
        matchers: &[Matcher],
        from: TimestampMs,
        to: TimestampMs,
        _: &SelectLimits,
    ) -> Result<Box<dyn Selection + 'a>, SelectError> {
        let holds = |s: &&Series| matchers.iter().all(|m| m.matches(s.labels.get(m.name()).unwrap_or("")));
        let cut = |s: &Series| {
            let mut out = Series { labels: s.labels.clone(), ..Series::default() };
            let floats = s.floats.timestamps.iter().zip(&s.floats.values);
            floats.filter(|(t, _)| (from..=to).contains(*t)).for_each(|(t, v)| out.floats.push(*t, *v));
            let histograms = s.histograms.timestamps.iter().zip(&s.histograms.values);
            let there = histograms.filter(|(t, _)| (from..=to).contains(*t));
            there.for_each(|(t, h)| out.histograms.push(*t, h.clone()));
            out
        };
        Ok(Box::new(self.0.iter().filter(holds).map(cut).collect::<Vec<_>>()))
    }
}

fuzz_target!(|text: &str| {
    let Ok(expr) = sonde_promql::parse(text) else { return };
    let options = EngineOptions { max_samples: 50_000, max_steps: 2_000, ..EngineOptions::default() };
    let engine = Engine::new(options);
    let asked = AtomicU32::new(0);
    let expired = || {
        let before = asked.fetch_add(1, Relaxed);
        (before >= 20_000).then_some(Interrupt::Timeout)
    };
    let control = Control { expired: &expired };
    let _ = engine.instant(&*FEW, &expr, 300_000, &control);
    let _ = engine.range(&*FEW, &expr, 0, 600_000, 60_000, &control);
});
