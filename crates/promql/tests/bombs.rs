//! The worst queries that one can think of end with an answer or with a word that names the limit, and the process stays
//! small. This is a test binary of its own, because the peak of its memory is what is looked at.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sonde_model::{FloatColumn, Histogram, HistogramColumn, Labels, Matcher, Series, Span, TimestampMs};
use sonde_promql::{
    Control, Engine, EngineOptions, Helpers, Interrupt, Queryable, SamplePool, SelectError, SelectLimits, Selection,
    parse,
};

const SERIES: usize = 400;
const SAMPLES: i64 = 60;
/// 3 MB of samples for a query.
const MAX_SAMPLES: usize = 200_000;
/// What the process may take at its peak. Without limits the least of these queries would take gigabytes.
const MAX_BYTES: u64 = 250 << 20;
/// No query may go on for longer.
const PATIENCE: Duration = Duration::from_millis(500);

/// Series are made when they are read: the source itself takes no memory.
struct Source(Vec<Labels>);

struct Selected<'a> {
    labels: Vec<&'a Labels>,
    from: TimestampMs,
    to: TimestampMs,
}

impl Source {
    fn new() -> Self {
        let mut labels: Vec<Labels> = (0..SERIES)
            .map(|i| {
                let name = if i % 10 == 0 { "native" } else { "many" };
                Labels::from_pairs([
                    ("__name__", name.to_owned()),
                    ("host", format!("host-{i}")),
                    ("job", "a".to_owned()),
                    ("instance", format!("{}", i % 50)),
                    ("le", format!("{}", i % 7)),
                ])
            })
            .collect();
        labels.sort();
        Source(labels)
    }
}

impl Queryable for Source {
    fn select<'a>(
        &'a self,
        matchers: &[Matcher],
        from: TimestampMs,
        to: TimestampMs,
        limits: &SelectLimits,
    ) -> Result<Box<dyn Selection + 'a>, SelectError> {
        let matches = |labels: &&Labels| matchers.iter().all(|m| m.matches(labels.get(m.name()).unwrap_or_default()));
        let labels: Vec<&Labels> = self.0.iter().filter(matches).collect();
        if labels.len() > limits.max_series {
            return Err(SelectError::TooManySeries { limit: limits.max_series });
        }
        Ok(Box::new(Selected { labels, from, to }))
    }
}

impl Selection for Selected<'_> {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn labels(&self, index: usize) -> &Labels {
        self.labels[index]
    }

    fn read(&self, index: usize, series: &mut Series) -> Result<(), SelectError> {
        (series.floats, series.histograms) = (FloatColumn::default(), HistogramColumn::default());
        for i in 0..SAMPLES {
            let t = i * 15_000;
            if !(self.from..=self.to).contains(&t) {
                continue;
            }
            if self.labels[index].metric_name() == "native" {
                series.histograms.push(t, histogram(i));
            } else {
                // Every value is another one.
                series.floats.push(t, (index as i64 * SAMPLES + i) as f64 + 0.1);
            }
        }
        Ok(())
    }
}

fn histogram(i: i64) -> Histogram {
    let buckets: Vec<f64> = (0..100).map(|b| (i * (b + 1)) as f64).collect();
    Histogram {
        count: buckets.iter().sum(),
        sum: i as f64,
        positive_spans: vec![Span { offset: 0, length: 100 }],
        positive_buckets: buckets,
        ..Histogram::default()
    }
}

fn bombs() -> Vec<String> {
    let nested = |open: &str, inner: &str, close: &str, times: usize| {
        format!("{}{inner}{}", open.repeat(times), close.repeat(times))
    };
    let doubling = r#", "host", "$1$1$1$1$1$1$1$1", "host", "(.*)")"#;
    let joining = r#", "host", "-", "host", "host", "host", "host", "host", "host", "host", "host")"#;
    vec![
        // Subqueries in subqueries.
        nested("max_over_time((", "many", ")[1d:1s])", 4),
        nested("sum_over_time((", "many", ")[10y:1ms])", 2),
        "rate(many[100y])".into(),
        "quantile_over_time(0.5, (many)[1h:1ms])".into(),
        "avg_over_time((vector(time()))[290y:1ms])".into(),
        // Every value its own series.
        r#"count_values("v", many)"#.into(),
        r#"count_values("v", {__name__=~".+"})"#.into(),
        r#"count by (v) (count_values("v", (many * 1.1 or many * 1.2 or many * 1.3)))"#.into(),
        r#"count_values without () ("v", native)"#.into(),
        // Labels that grow eightfold each time.
        nested("label_replace(", "many", doubling, 12),
        nested("label_join(", "many", joining, 12),
        format!("label_replace(many, \"host\", \"{}\", \"host\", \"(.*)\")", "$1".repeat(20_000)),
        // Patterns.
        r#"label_replace(many, "x", "$1", "host", "((((a*)*)*)*)*(.+)+(.+)+(.+)+$")"#.into(),
        r#"many{host=~"(((.*)*)*)*-(.+)+x"}"#.into(),
        format!("many{{host=~\"{}\"}}", vec!["host-.*"; 500].join("|")),
        // Everything with everything.
        r#"{__name__=~".+"} * on (job) group_left () {__name__=~".+"}"#.into(),
        "many * on (job) group_left () topk(1, many)".into(),
        "many + on (host) group_left () (many or native)".into(),
        format!("({})", vec!["many"; 100].join(" or ")),
        format!("({})", (0..50).map(|i| format!("many + {i}")).collect::<Vec<_>>().join(" or on (nothing) ")),
        "many + fill (0) many + fill (1) native".into(),
        // Histograms by group, at each step.
        "sum by (host) (native)".into(),
        "avg by (host, le) (rate(native[5m]))".into(),
        "native + native * 2 - native / 3".into(),
        "histogram_quantiles(native, \"q\", 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1)".into(),
        r#"histogram_quantile(0.9, {__name__=~".+"})"#.into(),
        r#"info(many, {__name__=~".+", host=~".+"})"#.into(),
        r#"info({job="a"}, {__name__="native"})"#.into(),
        // All values of a group at once.
        r#"quantile(0.5, {__name__=~".+"})"#.into(),
        "topk(1e18, many)".into(),
        "limit_ratio(0.9, many)".into(),
        "sort_by_label(many, \"host\", \"job\")".into(),
        // Depth.
        nested("sum(", "many", ")", 100),
        nested("-(", "many", ")", 60),
        nested("(many + ", "many", ")", 60),
    ]
}

/// The most memory that this process has had.
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long a query goes on is part of what is tested")]
fn no_query_takes_the_process_down() {
    let source = Source::new();
    let pool = Arc::new(SamplePool::new(2 * MAX_SAMPLES));
    let options = EngineOptions {
        max_samples: MAX_SAMPLES,
        max_series: SERIES,
        max_steps: 11_000_000,
        ..EngineOptions::default()
    };
    let engine = Engine::new(options).with_helpers(Arc::new(Helpers::new(2))).with_pool(Arc::clone(&pool));
    let mut answers = 0;
    for text in bombs() {
        let shown: String = text.chars().take(90).collect();
        let expr = match parse(&text) {
            Ok(expr) => expr,
            Err(error) => panic!("{shown}: {error}"),
        };
        for (start, end, step) in [(800_000, 800_000, 1), (0, 900_000, 330)] {
            let began = Instant::now();
            let expired = || (began.elapsed() > PATIENCE).then_some(Interrupt::Timeout);
            let control = Control { expired: &expired };
            let result = match start == end {
                true => engine.instant(&source, &expr, start, &control),
                false => engine.range(&source, &expr, start, end, step, &control),
            };
            assert!(began.elapsed() < PATIENCE * 40, "{shown}: went on for {:?}", began.elapsed());
            if let Err(error) = &result {
                assert!(!matches!(error, sonde_promql::QueryError::NotImplemented(_)), "{shown}: {error}");
            }
            if let Ok(result) = result {
                answers += 1;
                assert!(result.stats.peak_samples as usize <= MAX_SAMPLES, "{shown}: {:?}", result.stats);
            }
            assert_eq!(pool.held(), 0, "{shown}: all is given back");
            if let Some(peak) = peak_bytes() {
                assert!(peak < MAX_BYTES, "{shown}: {} MiB at the peak", peak >> 20);
            }
        }
    }
    assert!(answers > 15, "some have an answer: {answers}");
}
