//! The deepest queries that the parser lets through are evaluated, printed and dropped on an ordinary thread's stack.

use sonde_model::{Matcher, TimestampMs};
use sonde_promql::ast::ValueType;
use sonde_promql::parse::{MAX_DEPTH, MAX_NESTING};
use sonde_promql::{Control, Engine, EngineOptions, Queryable, SelectError, SelectLimits, Selection, parse};

/// A source without series.
struct Empty;

impl Queryable for Empty {
    fn select<'a>(
        &'a self,
        _: &[Matcher],
        _: TimestampMs,
        _: TimestampMs,
        _: &SelectLimits,
    ) -> Result<Box<dyn Selection + 'a>, SelectError> {
        Ok(Box::new(Vec::new()))
    }
}

#[test]
fn the_deepest_queries_fit_on_the_stack() {
    // What threads of Rust and of the runtime get; the test runner's own may be told otherwise.
    const STACK: usize = 2 << 20;
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(evaluate_all).expect("a thread");
    thread.join().expect("no panic");
}

fn evaluate_all() {
    let engine = Engine::new(EngineOptions::default());
    let control = Control { expired: &|| None };
    let (chain, nested) = (MAX_DEPTH - 1, MAX_NESTING - 1);
    for text in [
        vec!["foo"; chain].join(" or "),
        vec!["1"; chain].join(" + "),
        format!("{}foo{}", "(".repeat(nested), ")".repeat(nested)),
        format!("{}foo", "-".repeat(nested)),
        format!("{}foo{}", "abs(".repeat(nested), ")".repeat(nested)),
        format!("{}vector(1){}", "sum(".repeat(nested - 1), ")".repeat(nested - 1)),
        format!("{}foo{}", "max_over_time(".repeat(nested - 2), "[1m:1m])".repeat(nested - 2)),
        vec!["foo"; nested].join(" ^ "),
        format!("{}foo{}", "foo + (".repeat(nested / 2), ")".repeat(nested / 2)),
        format!("foo[{}1{}]", "(".repeat(nested - 1), ")".repeat(nested - 1)),
        format!("foo[{}]", vec!["1m"; chain - 2].join(" + ")),
    ] {
        let expr = parse(&text).unwrap_or_else(|e| panic!("{}: {e}", &text[..40]));
        assert_eq!(parse(&expr.to_string()).map(|again| again.to_string()), Ok(expr.to_string()));
        engine.instant(&Empty, &expr, 0, &control).expect("evaluated");
        // A range vector has no values over time: that is an error, and not a crash.
        let is_matrix = expr.value_type() == ValueType::Matrix;
        assert_eq!(engine.range(&Empty, &expr, 0, 120_000, 60_000, &control).is_err(), is_matrix);
    }
}
