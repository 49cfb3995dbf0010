//! What a range query gives at each of its steps is what an instant query gives at that time: columns, sliding windows
//! and matching for all steps at once change nothing.
//!
//! Values may differ in their last digits, because the order in which aggregations meet their series depends on which
//! series there are at all.

mod queries;
mod source;

use std::collections::BTreeMap;

use proptest::prelude::*;
use sonde_model::{Histogram, Labels, TimestampMs};
use sonde_promql::{Control, Engine, EngineOptions, Expr, QueryError, SampleValue, Value};

use queries::queries;
use source::{Memory, Pushed};

/// Neither the samples nor the windows of the queries are aligned with it.
const STEP_MS: i64 = 47_000;
const STEPS: i64 = 30;
const START_MS: i64 = 100_000;

/// The values of each series over time.
type Answer = BTreeMap<(Labels, TimestampMs), SampleValue>;

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_range_query_is_its_instant_queries(text in queries()) {
        let expr = sonde_promql::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let source = Memory::new();
        match (range(&source, &expr), instants(&source, &expr)) {
            (Ok(range), Ok(instants)) => {
                for key in range.keys().chain(instants.keys()) {
                    let (a, b) = (range.get(key), instants.get(key));
                    let same = a.is_some_and(|a| b.is_some_and(|b| is_same(a, b)));
                    prop_assert!(same, "{text}: {} at {}: as a range {a:?}, alone {b:?}", key.0, key.1);
                }
            }
            (Err(_), Err(_)) => {}
            (range, instants) => {
                prop_assert!(false, "{text}: as a range {:?}, alone {:?}", range.err(), instants.err());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_source_that_aggregates_itself_comes_to_the_same(text in queries()) {
        let expr = sonde_promql::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let end = START_MS + (STEPS - 1) * STEP_MS;
        let (plain, pushed) = (Memory::new(), Pushed::new());
        let ask = |source: &dyn sonde_promql::Queryable| {
            let whole = engine().range(source, &expr, START_MS, end, STEP_MS, &Control::unlimited());
            let one = engine().instant(source, &expr, end, &Control::unlimited());
            [whole, one].map(|result| result.map(|r| (format!("{:?}", r.value), r.annotations, r.stats.samples)))
        };
        prop_assert_eq!(ask(&plain), ask(&pushed), "{}", text);
    }
}

/// The property above says nothing if nothing is pushed down.
#[test]
fn aggregations_over_selectors_are_pushed_down() {
    for (text, times) in [
        ("sum by (host) (rate(requests_total[2m]))", 1),
        ("max(load) - min(load offset 1m)", 2),
        ("quantile(0.3, (latency))", 1),
        ("topk(1, load)", 0),
        ("sum(load + 1)", 0),
        ("sum(max_over_time(load[5m:1m]))", 0),
    ] {
        let (source, expr) = (Pushed::new(), sonde_promql::parse(text).expect("valid"));
        engine().instant(&source, &expr, START_MS, &Control::unlimited()).expect("an answer");
        assert_eq!(source.pushed(), times, "{text}");
    }
}

fn engine() -> Engine {
    Engine::new(EngineOptions { max_samples: 2_000_000, ..EngineOptions::default() })
}

fn range(source: &Memory, expr: &Expr) -> Result<Answer, QueryError> {
    let end = START_MS + (STEPS - 1) * STEP_MS;
    let result = engine().range(source, expr, START_MS, end, STEP_MS, &Control::unlimited())?;
    let mut answer = Answer::new();
    let Value::Matrix(matrix) = result.value else { panic!("a range query gives a matrix") };
    for series in matrix {
        let labels = || series.labels.clone();
        for (t, v) in series.floats.timestamps.iter().zip(&series.floats.values) {
            answer.insert((labels(), *t), SampleValue::Float(*v));
        }
        for (t, h) in series.histograms.timestamps.iter().zip(&series.histograms.values) {
            answer.insert((labels(), *t), SampleValue::Histogram(Box::new(h.clone())));
        }
    }
    Ok(answer)
}

fn instants(source: &Memory, expr: &Expr) -> Result<Answer, QueryError> {
    let mut answer = Answer::new();
    for time in (0..STEPS).map(|i| START_MS + i * STEP_MS) {
        let result = engine().instant(source, expr, time, &Control::unlimited())?;
        let samples = match result.value {
            Value::Scalar { v, .. } => vec![(Labels::empty(), SampleValue::Float(v))],
            Value::Vector(samples) => samples.into_iter().map(|sample| (sample.labels, sample.value)).collect(),
            other => panic!("neither a scalar nor a vector: {other:?}"),
        };
        for (labels, value) in samples {
            let before = answer.insert((labels, time), value);
            assert_eq!(before, None, "two samples of one series at one time");
        }
    }
    Ok(answer)
}

fn is_same(a: &SampleValue, b: &SampleValue) -> bool {
    match (a, b) {
        (SampleValue::Float(a), SampleValue::Float(b)) => is_close(*a, *b),
        (SampleValue::Histogram(a), SampleValue::Histogram(b)) => is_same_histogram(a, b),
        _ => false,
    }
}

/// The hint is not looked at: it may depend on samples that only the range query read.
fn is_same_histogram(a: &Histogram, b: &Histogram) -> bool {
    let buckets = |h: &Histogram| h.all_buckets().into_iter().filter(|b| b.count != 0.0).collect::<Vec<_>>();
    let (of_a, of_b) = (buckets(a), buckets(b));
    a.schema == b.schema
        && a.custom_values == b.custom_values
        && is_close(a.count, b.count)
        && is_close(a.sum, b.sum)
        && of_a.len() == of_b.len()
        && of_a.iter().zip(&of_b).all(|(a, b)| a.lower == b.lower && a.upper == b.upper && is_close(a.count, b.count))
}

fn is_close(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}
