//! Queries over a few series in memory: what a query gives, how it fails, and how it is stopped.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use sonde_model::{FloatColumn, Labels, Matcher, Series, TimestampMs, stale_nan};

use super::*;
use crate::error::Interrupt;
use crate::queryable::{SelectError, SelectLimits, Selection};
use crate::value::Value;

/// Series with one sample a minute from time 0.
struct Memory(Vec<Series>);

impl Memory {
    fn new(series: &[(&str, &[f64])]) -> Self {
        let series = series.iter().map(|(selector, values)| Series {
            labels: labels(selector),
            floats: FloatColumn {
                timestamps: (0..values.len() as i64).map(|i| i * 60_000).collect(),
                values: values.to_vec(),
                ..FloatColumn::default()
            },
            ..Series::default()
        });
        let mut series: Vec<Series> = series.collect();
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        Memory(series)
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
        let matching =
            self.0.iter().filter(|s| matchers.iter().all(|m| m.matches(s.labels.get(m.name()).unwrap_or(""))));
        let cut = |series: &Series| {
            let mut cut = Series { labels: series.labels.clone(), ..Series::default() };
            let samples = series.floats.timestamps.iter().zip(&series.floats.values);
            samples.filter(|(t, _)| (from..=to).contains(*t)).for_each(|(t, v)| cut.floats.push(*t, *v));
            cut
        };
        let series: Vec<Series> = matching.map(cut).collect();
        let samples: usize = series.iter().map(|s| s.floats.len()).sum();
        if samples > limits.max_samples {
            return Err(SelectError::TooManySamples { limit: limits.max_samples });
        }
        Ok(Box::new(series))
    }
}

fn labels(selector: &str) -> Labels {
    let selector = crate::parse_selector(selector).expect("a selector");
    let name = selector.name.iter().map(|name| ("__name__", name.as_str()));
    Labels::from_pairs(name.chain(selector.matchers.iter().map(|m| (m.name.as_str(), m.value.as_str()))))
}

fn fixture() -> Memory {
    Memory::new(&[
        ("requests_total{job=\"a\",instance=\"0\"}", &[0.0, 60.0, 120.0, 180.0, 240.0, 300.0]),
        ("requests_total{job=\"a\",instance=\"1\"}", &[0.0, 120.0, 240.0, 60.0, 180.0, 300.0]),
        ("requests_total{job=\"b\",instance=\"0\"}", &[5.0, 5.0, 5.0, 5.0, 5.0, 5.0]),
        ("up{job=\"a\"}", &[1.0, 1.0, 0.0, 1.0, stale_nan()]),
        ("limit{job=\"a\"}", &[100.0; 6]),
        ("limit{job=\"b\"}", &[1.0; 6]),
    ])
}

/// The result as text: series, then values at their times in seconds.
fn show(value: &Value) -> String {
    let series = |labels: &Labels, samples: Vec<(TimestampMs, f64)>| {
        let samples: Vec<_> = samples.iter().map(|(t, v)| format!("{v}@{}", t / 1000)).collect();
        format!("{labels} {}", samples.join(" "))
    };
    match value {
        Value::Scalar { v, .. } => v.to_string(),
        Value::String { s, .. } => s.clone(),
        Value::Vector(samples) => {
            let one =
                |s: &crate::value::VectorSample| series(&s.labels, vec![(s.t, s.value.as_float().expect("a float"))]);
            samples.iter().map(one).collect::<Vec<_>>().join("; ")
        }
        Value::Matrix(all) => {
            let one = |s: &Series| {
                series(&s.labels, s.floats.timestamps.iter().copied().zip(s.floats.values.iter().copied()).collect())
            };
            all.iter().map(one).collect::<Vec<_>>().join("; ")
        }
    }
}

fn instant(text: &str, time: TimestampMs) -> Result<String, QueryError> {
    let expr = crate::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let engine = Engine::new(EngineOptions::default());
    engine.instant(&fixture(), &expr, time, &Control::unlimited()).map(|result| show(&result.value))
}

#[test]
fn instant_queries() {
    for (text, expected) in [
        ("1 + 2 * 3", "7"),
        ("\"a\"", "a"),
        ("limit", "limit{job=\"a\"} 100@300; limit{job=\"b\"} 1@300"),
        ("-limit{job=\"a\"}", "{job=\"a\"} -100@300"),
        ("up", ""),
        ("up offset 2m", "up{job=\"a\"} 1@300"),
        ("up @ 120", "up{job=\"a\"} 0@300"),
        ("limit[2m]", "limit{job=\"a\"} 100@240 100@300; limit{job=\"b\"} 1@240 1@300"),
        ("rate(requests_total{job=\"a\"}[2m])", "{instance=\"0\", job=\"a\"} 1@300; {instance=\"1\", job=\"a\"} 2@300"),
        ("sum(rate(requests_total[5m]))", "{} 2.75@300"),
        ("sum by (job) (requests_total)", "{job=\"a\"} 600@300; {job=\"b\"} 5@300"),
        (
            "requests_total / on (job) group_left limit{job=\"a\"}",
            "{instance=\"0\", job=\"a\"} 3@300; {instance=\"1\", job=\"a\"} 3@300",
        ),
        ("sum by (job) (requests_total) > on (job) limit", "{job=\"a\"} 600@300; {job=\"b\"} 5@300"),
        ("sum by (job) (requests_total) > bool 100", "{job=\"a\"} 1@300; {job=\"b\"} 0@300"),
        ("10 < limit", "limit{job=\"a\"} 100@300"),
        ("limit and on (job) up offset 2m", "limit{job=\"a\"} 100@300"),
        ("limit unless on (job) up offset 2m", "limit{job=\"b\"} 1@300"),
        ("up or limit{job=\"b\"}", "limit{job=\"b\"} 1@300"),
        ("topk(1, requests_total)", "requests_total{instance=\"0\", job=\"a\"} 300@300"),
        ("count_values(\"v\", requests_total)", "{v=\"300\"} 2@300; {v=\"5\"} 1@300"),
        ("max_over_time(requests_total{instance=\"1\"}[10m])", "{instance=\"1\", job=\"a\"} 300@300"),
        (
            "resets(requests_total[10m])",
            "{instance=\"0\", job=\"a\"} 0@300; {instance=\"0\", job=\"b\"} 0@300; {instance=\"1\", job=\"a\"} 1@300",
        ),
        ("absent_over_time(nothing{a=\"b\"}[5m])", "{a=\"b\"} 1@300"),
        ("max_over_time(sum(up)[5m:1m])", "{} 1@300"),
        ("quantile(0.5, requests_total)", "{} 300@300"),
    ] {
        assert_eq!(instant(text, 300_000).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn queries_that_have_no_answer() {
    for (text, why) in [
        (
            "limit * on () requests_total",
            "found duplicate series for the match group {} on the right hand-side of the operation: \
             [{__name__=\"requests_total\", instance=\"0\", job=\"b\"}, {__name__=\"requests_total\", instance=\"0\", \
             job=\"a\"}];many-to-many matching not allowed: matching labels must be unique on one side",
        ),
        (
            "requests_total * on (job) limit",
            "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
        ),
        ("-{__name__=~\"up|limit\"} @ 0", "vector cannot contain metrics with the same labelset"),
        ("topk(NaN, up)", "Parameter value is NaN"),
        (
            "double_exponential_smoothing(up[5m], 2, 0.1)",
            "invalid smoothing factor. Expected: 0 < sf < 1, got: 2.000000",
        ),
    ] {
        assert_eq!(instant(text, 300_000), Err(QueryError::execution(why)), "{text}");
    }
}

#[test]
fn range_queries_slide_their_windows() {
    let engine = Engine::new(EngineOptions::default());
    let run = |text: &str| {
        let expr = crate::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        engine.range(&fixture(), &expr, 0, 300_000, 60_000, &Control::unlimited()).map(|r| show(&r.value))
    };
    for (text, expected) in [
        ("1", "{} 1@0 1@60 1@120 1@180 1@240 1@300"),
        ("up", "up{job=\"a\"} 1@0 1@60 0@120 1@180"),
        ("up @ 60", "up{job=\"a\"} 1@0 1@60 1@120 1@180 1@240 1@300"),
        ("up @ end() offset 2m", "up{job=\"a\"} 1@0 1@60 1@120 1@180 1@240 1@300"),
        (
            "increase(requests_total{instance=\"1\"}[3m])",
            "{instance=\"1\", job=\"a\"} 120@60 240@120 270@180 270@240 300@300",
        ),
        ("sum_over_time(up[2m])", "{job=\"a\"} 1@0 2@60 1@120 1@180 1@240"),
        ("sum(requests_total) > 400", "{} 425@240 605@300"),
        ("absent_over_time(up[1m])", "{} 1@240 1@300"),
    ] {
        assert_eq!(run(text).as_deref(), Ok(expected), "{text}");
    }
    assert!(matches!(run("up[5m]"), Err(QueryError::Execution(_))));
}

#[test]
fn a_query_holds_no_more_samples_than_it_may() {
    let expr = crate::parse("sum(requests_total) + sum(limit)").expect("valid");
    for (max_samples, fits) in [(4, false), (40, true)] {
        let engine = Engine::new(EngineOptions { max_samples, ..EngineOptions::default() });
        let result = engine.instant(&fixture(), &expr, 300_000, &Control::unlimited());
        match result {
            Ok(result) => assert!(fits && result.stats.peak_samples as usize <= max_samples),
            Err(error) => assert_eq!((fits, error), (false, QueryError::TooManySamples { limit: max_samples })),
        }
    }
}

/// Memory counts beside samples: labels weigh, and so do series that are held for nothing else.
#[test]
fn a_query_takes_no_more_memory_than_it_may() {
    let long = "x".repeat(50_000);
    let source = Memory::new(&[(&format!("up{{job=\"{long}\"}}"), &[1.0; 6]), ("up{job=\"b\"}", &[2.0; 6])]);
    for (text, bytes) in [
        ("up", 60_000),
        ("count(up)", 60_000),
        ("max_over_time(up[2m])", 60_000),
        ("label_join(up, \"all\", \",\", \"job\", \"job\")", 210_000),
    ] {
        let expr = crate::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let run = |max_bytes: usize| {
            let engine = Engine::new(EngineOptions { max_bytes, ..EngineOptions::default() });
            engine.range(&source, &expr, 0, 300_000, 60_000, &Control::unlimited())
        };
        assert!(run(bytes).is_ok(), "{text}: {:?}", run(bytes));
        let refused = run(40_000);
        let is_told = matches!(refused, Err(QueryError::TooManyBytes { needed, limit: 40_000 }) if needed > 50_000);
        assert!(is_told, "{text}: {refused:?}");
    }
    // Slices of the steps need less at a time.
    let expr = crate::parse("sum(count_values without () (\"v\", requests_total))").expect("valid");
    let run = |max_bytes: usize| {
        let engine = Engine::new(EngineOptions { max_bytes, ..EngineOptions::default() });
        engine.range(&fixture(), &expr, 0, 600_000, 1_000, &Control::unlimited())
    };
    let whole = run(usize::MAX).expect("no limit");
    let sliced = run(100_000).expect("it fits in slices");
    assert_eq!(show(&sliced.value), show(&whole.value));
}

/// What does not fit at once is evaluated in slices of its steps, with the same result.
#[test]
fn a_range_query_holds_no_more_than_a_slice() {
    for text in [
        "sum(rate(requests_total[3m]))",
        "count(requests_total > on (job) group_left () limit)",
        "max_over_time(sum(requests_total)[2m:10s])",
        "sum(limit @ end() + on (job) group_right () requests_total)",
        "count_values(\"v\", sum(requests_total) > 100)",
        "scalar(sum(requests_total)) + time()",
    ] {
        let expr = crate::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let run = |max_samples: usize| {
            let engine = Engine::new(EngineOptions { max_samples, ..EngineOptions::default() });
            engine.range(&fixture(), &expr, 0, 600_000, 10_000, &Control::unlimited())
        };
        let whole = run(1_000_000).unwrap_or_else(|error| panic!("{text}: {error}"));
        let peak = whole.stats.peak_samples as usize;
        let sliced = run(peak * 4 / 5).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(show(&sliced.value), show(&whole.value), "{text}");
        assert_eq!(run(3).err(), Some(QueryError::TooManySamples { limit: 3 }), "{text}");
    }
}

#[test]
fn a_query_stops_when_it_is_told_to() {
    let expr = crate::parse("sum(rate(requests_total[5m]))").expect("valid");
    let engine = Engine::new(EngineOptions::default());
    let asked = AtomicU32::new(0);
    for (interrupt, error) in [(Interrupt::Timeout, QueryError::Timeout), (Interrupt::Canceled, QueryError::Canceled)] {
        let expired = || {
            asked.fetch_add(1, Relaxed);
            asked.load(Relaxed).is_multiple_of(4).then_some(interrupt)
        };
        let result = engine.instant(&fixture(), &expr, 300_000, &Control { expired: &expired });
        assert_eq!(result, Err(error));
    }
}

#[test]
fn a_range_is_bounded_before_it_is_evaluated() {
    let expr = crate::parse("vector_that_is_not_there").expect("valid");
    let engine = Engine::new(EngineOptions::default());
    for (start, end, step) in [(0, i64::MAX, 1), (i64::MIN, i64::MAX, 1), (0, 1, 0)] {
        assert!(matches!(
            engine.range(&fixture(), &expr, start, end, step, &Control::unlimited()),
            Err(QueryError::Execution(_))
        ));
    }
    let empty = engine.range(&fixture(), &expr, 10, 0, 1, &Control::unlimited()).expect("nothing to do");
    assert_eq!(empty.value, Value::Matrix(Vec::new()));
}

/// The worst that a query can ask for ends with an answer or a clear word, within its budget and soon after it is told
/// to stop.
#[test]
fn no_query_takes_more_than_it_may() {
    const MAX_SAMPLES: usize = 200_000;
    const MAX_CHECKS: u32 = 20_000;
    let deep = |open: &str, close: &str| format!("{}up{}", open.repeat(60), close.repeat(60));
    let chained = |operator: &str| vec!["requests_total"; 350].join(operator);
    let texts = [
        "sum_over_time(requests_total[292y])".to_owned(),
        "sum_over_time(requests_total[100y:1ms])".to_owned(),
        "sum_over_time(requests_total[5m:1ms] offset -200y)".to_owned(),
        "requests_total offset 292y".to_owned(),
        "requests_total @ 9223372036854".to_owned(),
        "rate(requests_total[292y] @ -9223372036854)".to_owned(),
        "max_over_time((max_over_time((max_over_time(up[1d:1s]))[1d:1s]))[1d:1s])".to_owned(),
        "count_over_time((1 + vector(1))[1y:10s])".to_owned(),
        "quantile_over_time(0.5, vector(time())[5m:1s])".to_owned(),
        "count_values(\"v\", vector(time()))".to_owned(),
        "sum(count_values(\"v\", requests_total)) by (v)".to_owned(),
        "topk(1e18, requests_total)".to_owned(),
        "double_exponential_smoothing(vector(1)[50d:1s], 0.5, 0.5)".to_owned(),
        "label_replace(requests_total, \"x\", \"$1\", \"job\", \"(((a*)*)*)*\")".to_owned(),
        "{__name__=~\".+\"} * on () group_left () vector(scalar(up)) + on (job) group_right () {__name__=~\".+\"}"
            .to_owned(),
        "info(requests_total, {__name__=~\".+\"})".to_owned(),
        deep("(", ")"),
        deep("-(", ")"),
        deep("sum(", ")"),
        deep("abs(", ")"),
        chained(" + "),
        chained(" or "),
        chained(" unless "),
        chained(" == bool "),
    ];
    let engine = Engine::new(EngineOptions { max_samples: MAX_SAMPLES, ..EngineOptions::default() });
    for text in &texts {
        let expr = crate::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        for (start, end, step) in
            [(300_000, 300_000, 1), (0, 300_000, 1_000), (0, 400_000_000, 1_000), (i64::MIN, i64::MAX, i64::MAX)]
        {
            let asked = AtomicU32::new(0);
            let expired = || {
                asked.fetch_add(1, Relaxed);
                (asked.load(Relaxed) > MAX_CHECKS).then_some(Interrupt::Timeout)
            };
            let control = Control { expired: &expired };
            let result = match start == end {
                true => engine.instant(&fixture(), &expr, start, &control),
                false => engine.range(&fixture(), &expr, start, end, step, &control),
            };
            assert!(asked.load(Relaxed) <= MAX_CHECKS + 1, "{text}: went on after it was told to stop");
            if let Ok(result) = result {
                assert!(result.stats.peak_samples as usize <= MAX_SAMPLES, "{text}: {:?}", result.stats);
            }
        }
    }
}

/// Counts how often series are selected, and how many are read.
struct Counting(Memory, AtomicU32);

impl Queryable for Counting {
    fn select<'a>(
        &'a self,
        matchers: &[Matcher],
        from: TimestampMs,
        to: TimestampMs,
        limits: &SelectLimits,
    ) -> Result<Box<dyn Selection + 'a>, SelectError> {
        self.1.fetch_add(1, Relaxed);
        self.0.select(matchers, from, to, limits)
    }
}

#[test]
fn equal_sub_expressions_are_evaluated_once() {
    for (text, selections) in [
        ("sum(rate(requests_total[2m])) / sum(rate(requests_total[2m]))", 1),
        ("sum(rate(requests_total[2m])) / count(rate( requests_total[2m]))", 1),
        ("limit / (limit + limit)", 1),
        ("(limit - 1) / (limit - 1) + on (job) group_right () (requests_total or requests_total)", 2),
        ("limit / limit offset 1m", 2),
        ("sum(limit) + on () max_over_time(sum(limit)[2m:1m])", 2),
        ("max_over_time(sum(limit)[2m:1m]) + max_over_time(sum(limit)[2m:1m])", 1),
        ("limit and (up and limit) and up", 2),
        ("{job=\"a\"} or limit", 2),
        // Each has something to say about its place.
        ("rate(limit[2m]) + rate(limit[2m])", 2),
    ] {
        let expr = crate::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let engine = Engine::new(EngineOptions::default());
        let source = Counting(fixture(), AtomicU32::new(0));
        let range = engine.range(&source, &expr, 0, 300_000, 60_000, &Control::unlimited());
        let range = range.unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(source.1.load(Relaxed), selections, "{text}");
        // The same as at each step alone, each expression for itself.
        let Value::Matrix(series) = range.value else { panic!("{text}: a matrix") };
        let points: usize = series.iter().map(|one| one.floats.len()).sum();
        let mut alone = 0;
        for time in (0..=300_000).step_by(60_000) {
            let Ok(result) = engine.instant(&source, &expr, time, &Control::unlimited()) else { panic!("{text}") };
            let Value::Vector(samples) = result.value else { panic!("{text}: a vector") };
            alone += samples.len();
        }
        assert_eq!(points, alone, "{text}");
    }
    let twice = crate::parse("rate(limit[2m]) + rate(limit[2m])").expect("valid");
    let result = Engine::new(EngineOptions::default()).instant(&fixture(), &twice, 300_000, &Control::unlimited());
    assert_eq!(result.expect("an answer").annotations.infos[0].position(), 23);
}

/// Threads that help, and halves of the range, change nothing: not a bit.
#[test]
fn answers_do_not_depend_on_threads() {
    let names: Vec<String> = (0..700).map(|i| format!("many{{host=\"{i}\",zone=\"{}\"}}", i % 7)).collect();
    let values: Vec<Vec<f64>> =
        (0..700).map(|i| (0..30).map(|t| 0.1 * f64::from(i * 37 % 11) + 1e-9 * f64::from(t * i)).collect()).collect();
    let series: Vec<(&str, &[f64])> = names.iter().map(String::as_str).zip(values.iter().map(Vec::as_slice)).collect();
    let source = Memory::new(&series);
    for text in [
        "sum(many)",
        "avg by (zone) (rate(many[3m]))",
        "many * 2",
        "quantile by (zone) (0.3, many)",
        "topk(3, delta(many[5m]))",
        "stddev(many) / count(many)",
    ] {
        let expr = crate::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let run = |threads: usize| {
            let engine = Engine::new(EngineOptions::default()).with_helpers(Arc::new(Helpers::new(threads)));
            engine.range(&source, &expr, 0, 1_800_000, 30_000, &Control::unlimited()).expect("an answer")
        };
        let alone = run(0);
        for threads in [1, 2, 5] {
            assert_eq!(run(threads), alone, "{text} with {threads} threads");
        }
    }
}

/// An aggregation holds its groups and one series, however many there are.
#[test]
fn an_aggregation_holds_no_series() {
    let names: Vec<String> = (0..500).map(|i| format!("many{{host=\"{i}\"}}")).collect();
    let values = vec![1.0; 200];
    let series: Vec<(&str, &[f64])> = names.iter().map(|name| (name.as_str(), values.as_slice())).collect();
    let source = Memory::new(&series);
    let engine = Engine::new(EngineOptions::default());
    let peak = |text: &str| {
        let expr = crate::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let result = engine.range(&source, &expr, 0, 6_000_000, 60_000, &Control::unlimited()).expect("an answer");
        assert!(result.stats.samples >= 500 * 100, "{text}: {:?}", result.stats);
        result.stats.peak_samples
    };
    assert!(peak("sum(many)") < 500);
    assert!(peak("avg(rate(many[10m]))") < 500);
    assert!(peak("sum by (host) (many)") > 500 * 100);
}

/// Writes down what it is told: depth, the expression, and what came of it.
#[derive(Debug, Default)]
struct Notebook(std::sync::Mutex<(usize, Vec<String>)>);

impl Observer for Notebook {
    fn enter(&self, _: &Expr) {
        self.0.lock().unwrap().0 += 1;
    }

    fn leave(&self, expr: &Expr, work: NodeWork) {
        let mut notes = self.0.lock().unwrap();
        notes.0 -= 1;
        let NodeWork { series, samples, series_read, samples_read } = work;
        let depth = notes.0;
        notes.1.push(format!("{depth} {expr}: {series} series, {samples}, read {series_read}, {samples_read}"));
    }
}

#[test]
fn who_watches_is_told_of_every_node() {
    let source = Memory::new(&[("a{x=\"1\"}", &[1.0, 2.0, 3.0]), ("a{x=\"2\"}", &[1.0, 2.0, 3.0])]);
    let expr = crate::parse("sum(increase(a[2m])) + (1 * a{x=\"1\"})").expect("valid");
    let notebook = Arc::new(Notebook::default());
    let engine = Engine::new(EngineOptions::default()).observed(Arc::clone(&notebook) as _);
    engine.range(&source, &expr, 60_000, 120_000, 60_000, &Control::unlimited()).expect("an answer");
    let notes = notebook.0.lock().unwrap();
    assert_eq!(notes.0, 0, "what begins ends");
    let told: Vec<&str> = notes.1.iter().map(|note| note.split(':').next().unwrap_or_default()).collect();
    assert_eq!(
        told,
        [
            "3 a[2m]",
            "2 increase(a[2m])",
            "1 sum(increase(a[2m]))",
            "3 a{x=\"1\"}",
            "2 1 * a{x=\"1\"}",
            "1 (1 * a{x=\"1\"})",
            "0 sum(increase(a[2m])) + (1 * a{x=\"1\"})"
        ]
    );
    assert!(notes.1[1].contains(": 2 series, "), "{:?}", notes.1);
    assert!(notes.1[6].ends_with("read 3, 9"), "{:?}", notes.1);
}
