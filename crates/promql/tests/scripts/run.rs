//! Runs a script and judges every evaluation of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use sonde_model::TimestampMs;
use sonde_promql::{Control, Engine, EngineOptions, Expr, QueryResult, SampleValue, Value, VectorSample};

use crate::compare;
use crate::eval::{Eval, Grid, When};
use crate::rerun;
use crate::script::{self, Command};
use crate::store::Store;

const MINUTE: i64 = 60_000;

/// How a file fared.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) passed: usize,
    pub(crate) total: usize,
    /// `line: query: what is wrong`
    pub(crate) failures: Vec<String>,
}

/// Runs all commands of a script.
pub(crate) fn run_file(path: &Path) -> Outcome {
    let mut outcome = Outcome::default();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) => {
            outcome.fail("0", e.to_string());
            return outcome;
        }
    };
    let commands = match script::parse(&text) {
        Ok(commands) => commands,
        Err(e) => {
            outcome.fail("0", e);
            return outcome;
        }
    };
    let mut runner = Runner { engine: engine(), store: Store::default(), outcome };
    for (line, command) in commands {
        match command {
            Command::Clear => runner.store = Store::default(),
            Command::Load(load) => {
                if let Err(e) = runner.store.load(&load) {
                    runner.outcome.fail(&line.to_string(), e);
                }
            }
            Command::Eval(eval) => runner.evaluate(line, &eval),
        }
    }
    runner.outcome
}

/// The engine as the original suite sets it up.
fn engine() -> Engine {
    Engine::new(EngineOptions { max_samples: 10_000, ..EngineOptions::default() })
}

struct Runner {
    engine: Engine,
    store: Store,
    outcome: Outcome,
}

impl Outcome {
    fn fail(&mut self, place: &str, problem: String) {
        self.total += 1;
        self.failures.push(format!("{place}: {problem}"));
    }

    fn count(&mut self, place: &str, result: Result<(), String>) {
        match result {
            Ok(()) => {
                self.total += 1;
                self.passed += 1;
            }
            Err(e) => self.fail(place, e),
        }
    }
}

impl Runner {
    fn evaluate(&mut self, line: usize, eval: &Eval) {
        let expr = match sonde_promql::parse(&eval.query) {
            Ok(expr) => expr,
            Err(e) => return self.outcome.fail(&format!("{line}: {}", eval.query), e.to_string()),
        };
        match eval.when {
            When::Range(grid) => {
                let place = format!("{line}: {} (range)", eval.query);
                let result = self.range(eval, &expr, grid);
                self.outcome.count(&place, result);
            }
            When::Instant(time) => {
                self.instant_both_ways(line, eval, &eval.query, &expr, time);
                let Some((query, times)) = rerun::with_at(&expr, time) else { return };
                match sonde_promql::parse(&query) {
                    Ok(expr) => times.into_iter().for_each(|t| self.instant_both_ways(line, eval, &query, &expr, t)),
                    Err(e) => self.outcome.fail(&format!("{line}: {query}"), e.to_string()),
                }
            }
        }
    }

    /// Runs an instant query as it is, and as the middle step of a range query.
    fn instant_both_ways(&mut self, line: usize, eval: &Eval, query: &str, expr: &Expr, time: TimestampMs) {
        let result = self.instant(eval, query, expr, time);
        self.outcome.count(&format!("{line}: {query} at {time}"), result);
        let is_string = matches!(eval.expected, crate::eval::Expected::String(_));
        if !eval.expectations.fail.is_empty()
            || eval.expectations.ordered
            || eval.range_vector.is_some()
            || is_string
            || rerun::knows_its_range(query)
        {
            return;
        }
        let result = self.as_range(eval, expr, time);
        self.outcome.count(&format!("{line}: {query} at {time} (as a range)"), result);
    }

    fn instant(&self, eval: &Eval, query: &str, expr: &Expr, time: TimestampMs) -> Result<(), String> {
        let result = guarded(|| self.engine.instant(&self.store, expr, time, &never()))?;
        let Some(result) = judge_failure(eval, result)? else { return Ok(()) };
        check_annotations(eval, query, &result)?;
        compare::check(eval, &result.value, eval.range_vector)
    }

    fn range(&self, eval: &Eval, expr: &Expr, grid: Grid) -> Result<(), String> {
        let Grid { start, end, step } = grid;
        let result = guarded(|| self.engine.range(&self.store, expr, start, end, step, &never()))?;
        let Some(result) = judge_failure(eval, result)? else { return Ok(()) };
        check_annotations(eval, &eval.query, &result)?;
        compare::check(eval, &result.value, Some(grid))
    }

    fn as_range(&self, eval: &Eval, expr: &Expr, time: TimestampMs) -> Result<(), String> {
        let (start, end) = (time - MINUTE, time + MINUTE);
        let result = guarded(|| self.engine.range(&self.store, expr, start, end, MINUTE, &never()))?;
        let result = result.map_err(|e| e.to_string())?;
        let Value::Matrix(all) = &result.value else {
            return Err(format!("a range query yields a {}", result.value.kind()));
        };
        compare::check_sorted(all)?;
        let mut samples = Vec::new();
        for series in all {
            let float = series.floats.timestamps.iter().position(|t| *t == time).map(|i| series.floats.values[i]);
            let histogram = series.histograms.timestamps.iter().position(|t| *t == time);
            let histogram = histogram.map(|i| SampleValue::Histogram(Box::new(series.histograms.values[i].clone())));
            if let Some(value) = float.map(SampleValue::Float).or(histogram) {
                samples.push(VectorSample { labels: series.labels.clone(), t: time, value });
            }
        }
        let scalar = matches!(eval.expected, crate::eval::Expected::Scalar(_));
        let value = match samples.first().and_then(|sample| sample.value.as_float()) {
            Some(v) if scalar => Value::Scalar { t: time, v },
            _ => Value::Vector(samples),
        };
        compare::check(eval, &value, None)
    }
}

/// A query that must fail is done when it has; one that must not goes on with its result.
fn judge_failure(
    eval: &Eval,
    result: Result<QueryResult, sonde_promql::QueryError>,
) -> Result<Option<QueryResult>, String> {
    match (result, eval.expectations.fail.is_empty()) {
        (Ok(result), true) => Ok(Some(result)),
        (Ok(result), false) => Err(format!("expected an error, got {:?}", result.value)),
        (Err(e), true) => Err(e.to_string()),
        (Err(e), false) => eval.expectations.check_failure(&e.to_string()).map(|()| None),
    }
}

fn check_annotations(eval: &Eval, query: &str, result: &QueryResult) -> Result<(), String> {
    let annotations = &result.annotations;
    eval.expectations.check_annotations(&annotations.warning_texts(query), &annotations.info_texts(query))
}

fn never() -> Control<'static> {
    Control { expired: &|| None }
}

/// A panic fails the evaluation, not the whole test.
fn guarded<T>(evaluate: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(evaluate)).map_err(|_| "panic".to_owned())
}
