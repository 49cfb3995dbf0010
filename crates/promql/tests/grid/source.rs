//! Series with all that makes windows hard: gaps, resets, stale markers, NaNs, histograms that change their layout.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use sonde_model::{Histogram, Labels, Matcher, Series, Span, TimestampMs, stale_nan};
use sonde_promql::{Grid, GridAnswer, QueryError, Queryable, SelectError, SelectLimits, Selection};

pub(crate) struct Memory(Vec<Series>);

impl Memory {
    pub(crate) fn new() -> Self {
        let mut series = vec![
            floats("requests_total", "a", 1, |i| Some((i * 7 % 100) as f64 + 0.1)),
            floats("requests_total", "b", 1, |i| (i % 9 != 4).then_some(i as f64 * 1.7)),
            floats("requests_total", "c", 2, |i| Some(if i % 17 == 5 { stale_nan() } else { (i % 23) as f64 })),
            floats("load", "a", 3, |i| Some(if i % 11 == 3 { f64::NAN } else { (i as f64).sin() * 10.0 })),
            floats("load", "b", 2, |i| (20..60).contains(&i).then_some(1e10 / (1 + i % 5) as f64)),
            floats("load", "c", 1, |i| Some(if i % 31 == 30 { f64::INFINITY } else { -(i as f64) })),
            floats("flat", "a", 1, |_| Some(3.0)),
            histograms("latency", "a", |i| exponential(i, 2)),
            histograms("latency", "b", |i| exponential(i % 40, if i < 50 { 3 } else { 1 })),
            histograms("custom", "a", custom),
        ];
        let mut mixed = histograms("mixed", "a", |i| exponential(i, 0));
        mixed.floats = floats("mixed", "a", 1, |i| (i > 60).then_some(i as f64)).floats;
        mixed.histograms.timestamps.truncate(58);
        mixed.histograms.values.truncate(58);
        series.push(mixed);
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        Memory(series)
    }
}

fn labels(name: &str, host: &str) -> Labels {
    let zone = if host == "c" { "y" } else { "x" };
    Labels::from_pairs([("__name__", name), ("host", host), ("zone", zone)])
}

fn floats(name: &str, host: &str, every: i64, value: impl Fn(i64) -> Option<f64>) -> Series {
    let mut series = Series { labels: labels(name, host), ..Series::default() };
    for i in (0..110).step_by(every as usize) {
        if let Some(value) = value(i) {
            series.floats.push(i * 15_000 + every * 111, value);
        }
    }
    series
}

fn histograms(name: &str, host: &str, value: impl Fn(i64) -> Histogram) -> Series {
    let mut series = Series { labels: labels(name, host), ..Series::default() };
    for i in 0..110 {
        series.histograms.push(i * 15_000, value(i));
    }
    series
}

fn exponential(i: i64, schema: i32) -> Histogram {
    let buckets: Vec<f64> = (0..4).map(|b| (i * (b + 1)) as f64 / 2.0).collect();
    let zeros = i as f64 / 4.0;
    Histogram {
        schema,
        zero_threshold: 0.001,
        zero_count: zeros,
        count: buckets.iter().sum::<f64>() + zeros,
        sum: i as f64 * 3.3,
        positive_spans: vec![Span { offset: 0, length: 3 }, Span { offset: (i % 3) as i32, length: 1 }],
        positive_buckets: buckets,
        ..Histogram::default()
    }
}

fn custom(i: i64) -> Histogram {
    let buckets = vec![i as f64, i as f64 * 2.0, 1.0];
    Histogram {
        schema: sonde_model::histogram::CUSTOM_BUCKETS_SCHEMA,
        count: buckets.iter().sum(),
        sum: i as f64 * 5.0,
        positive_spans: vec![Span { offset: 0, length: 3 }],
        positive_buckets: buckets,
        custom_values: if i % 50 < 40 { vec![1.0, 2.0, 5.0] } else { vec![1.0, 5.0] },
        ..Histogram::default()
    }
}

impl Queryable for Memory {
    fn select<'a>(
        &'a self,
        matchers: &[Matcher],
        from: TimestampMs,
        to: TimestampMs,
        limits: &SelectLimits,
    ) -> Result<Box<dyn Selection + 'a>, SelectError> {
        let mut selected = Vec::new();
        let mut samples = 0;
        for series in &self.0 {
            if !matchers.iter().all(|m| m.matches(series.labels.get(m.name()).unwrap_or(""))) {
                continue;
            }
            let mut cut = Series { labels: series.labels.clone(), ..Series::default() };
            for (t, v) in series.floats.timestamps.iter().zip(&series.floats.values) {
                if (from..=to).contains(t) {
                    cut.floats.push(*t, *v);
                }
            }
            for (t, h) in series.histograms.timestamps.iter().zip(&series.histograms.values) {
                if (from..=to).contains(t) {
                    cut.histograms.push(*t, h.clone());
                }
            }
            samples += cut.floats.len() + cut.histograms.len();
            selected.push(cut);
        }
        if samples > limits.max_samples {
            return Err(SelectError::TooManySamples { limit: limits.max_samples });
        }
        Ok(Box::new(selected))
    }
}

/// The same series behind a source that evaluates aggregations itself.
pub(crate) struct Pushed(Memory, AtomicUsize);

impl Pushed {
    pub(crate) fn new() -> Self {
        Pushed(Memory::new(), AtomicUsize::new(0))
    }

    /// How many aggregations it has evaluated.
    pub(crate) fn pushed(&self) -> usize {
        self.1.load(Relaxed)
    }

    fn answer(&self, grid: &Grid<'_>) -> Result<GridAnswer, QueryError> {
        let (from, to) = grid.range();
        let mut groups = grid.groups();
        if from <= to {
            let selection =
                self.0.select(grid.matchers(), from, to, &SelectLimits::UNLIMITED).map_err(QueryError::Storage)?;
            for index in 0..selection.len() {
                let mut series = Series::default();
                selection.read(index, &mut series).map_err(QueryError::Storage)?;
                groups.add(selection.labels(index), &mut series)?;
            }
        }
        Ok(groups.finish())
    }
}

impl Queryable for Pushed {
    fn select<'a>(
        &'a self,
        matchers: &[Matcher],
        from: TimestampMs,
        to: TimestampMs,
        limits: &SelectLimits,
    ) -> Result<Box<dyn Selection + 'a>, SelectError> {
        self.0.select(matchers, from, to, limits)
    }

    fn eval_grid(&self, grid: &Grid<'_>) -> Option<Result<GridAnswer, QueryError>> {
        self.1.fetch_add(1, Relaxed);
        Some(self.answer(grid))
    }
}
