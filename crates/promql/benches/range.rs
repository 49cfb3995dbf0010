//! A range query over 1,000 series in memory: six hours at 15 s, a step a minute.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use sonde_model::{FloatColumn, Labels, Matcher, Series, TimestampMs};
use sonde_promql::{Control, Engine, EngineOptions, Queryable, SelectError, SelectLimits, Selection, parse};

const SERIES: usize = 1_000;
const INTERVAL_MS: i64 = 15_000;
const RANGE_MS: i64 = 6 * 3_600_000;
const STEP_MS: i64 = 60_000;

/// Counters of 10 jobs; every answer is copied out of memory, as a store would decode it.
struct Memory(Vec<Series>);

impl Memory {
    fn new() -> Self {
        let series = (0..SERIES).map(|i| {
            let labels = Labels::from_pairs([
                ("__name__", "requests_total".to_owned()),
                ("instance", format!("host-{i:04}")),
                ("job", format!("job-{}", i % 10)),
            ]);
            let timestamps: Vec<_> = (0..RANGE_MS / INTERVAL_MS).map(|n| n * INTERVAL_MS).collect();
            let values = timestamps.iter().map(|t| (t / 1000 * (1 + i as i64 % 7)) as f64).collect();
            Series { labels, floats: FloatColumn { timestamps, values, ..FloatColumn::default() }, ..Series::default() }
        });
        let mut series: Vec<Series> = series.collect();
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        Memory(series)
    }
}

impl Queryable for Memory {
    fn select<'a>(
        &'a self,
        _: &[Matcher],
        from: TimestampMs,
        to: TimestampMs,
        _: &SelectLimits,
    ) -> Result<Box<dyn Selection + 'a>, SelectError> {
        let cut = |series: &Series| {
            let timestamps = &series.floats.timestamps;
            let range = timestamps.partition_point(|t| *t < from)..timestamps.partition_point(|t| *t <= to);
            let floats = FloatColumn {
                timestamps: timestamps[range.clone()].to_vec(),
                values: series.floats.values[range].to_vec(),
                ..FloatColumn::default()
            };
            Series { labels: series.labels.clone(), floats, ..Series::default() }
        };
        Ok(Box::new(self.0.iter().map(cut).collect::<Vec<Series>>()))
    }
}

fn range_queries(criterion: &mut Criterion) {
    let source = Memory::new();
    let engine = Engine::new(EngineOptions::default());
    let mut group = criterion.benchmark_group("range_1000_series_6h");
    group.sample_size(20);
    for text in [
        "requests_total",
        "rate(requests_total[5m])",
        "sum by (job) (rate(requests_total[5m]))",
        "max_over_time(requests_total[1h])",
        "avg_over_time(requests_total[5m])",
        "requests_total / requests_total",
        "topk(5, rate(requests_total[5m]))",
    ] {
        let expr = parse(text).expect("valid");
        group.bench_function(text, |bencher| {
            bencher.iter(|| {
                let result = engine.range(&source, &expr, 0, RANGE_MS, STEP_MS, &Control::unlimited());
                black_box(result.expect("an answer"))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, range_queries);
criterion_main!(benches);
