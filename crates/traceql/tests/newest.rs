//! A search over a source that is sorted ends early, and finds the same as over one that is not.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use proptest::prelude::*;
use sonde_model::span::{ScopedSpan, Span, SpanId, Trace, TraceId};
use sonde_traceql::engine::{Fetch, FetchError, SearchOptions, SearchResult, SpanSource, search};
use sonde_traceql::parse;

struct Source {
    traces: Vec<Trace>,
    sorted: bool,
    visited: AtomicUsize,
}

impl SpanSource for Source {
    fn fetch(&self, _: &Fetch, visit: &mut dyn FnMut(Trace) -> ControlFlow<()>) -> Result<(), FetchError> {
        for trace in &self.traces {
            self.visited.fetch_add(1, Relaxed);
            if visit(trace.clone()).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn newest_first(&self) -> bool {
        self.sorted
    }
}

/// A trace with spans that start at these times.
fn trace(number: u8, starts: &[u64]) -> Trace {
    let id = TraceId([number; 16]);
    let span = |(i, start): (usize, &u64)| ScopedSpan {
        span: Span {
            trace_id: id,
            span_id: SpanId([i as u8 + 1; 8]),
            start_ns: *start,
            end_ns: *start,
            ..Span::default()
        },
        ..ScopedSpan::default()
    };
    Trace { id, spans: starts.iter().enumerate().map(span).collect() }
}

fn find(source: &Source, limit: usize) -> Vec<TraceId> {
    let options = SearchOptions { start_ns: 0, end_ns: u64::MAX, limit, spans_per_set: 3 };
    let query = parse("{ }").expect("a query");
    let SearchResult { traces, .. } = search(source, &query, &options, &|| false).expect("an answer");
    traces.into_iter().map(|t| t.trace_id).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn ending_early_changes_nothing(
        starts in proptest::collection::vec(proptest::collection::vec(0u64..50, 1..4), 0..40),
        limit in 1usize..10,
    ) {
        // The key of a trace is the start of its first span of the list: any span may be the one that matches.
        let mut keyed: Vec<(u64, Trace)> =
            starts.iter().zip(1u8..).map(|(starts, n)| (starts[0], trace(n, starts))).collect();
        keyed.sort_by_key(|(key, _)| std::cmp::Reverse(*key));
        let traces: Vec<Trace> = keyed.into_iter().map(|(_, trace)| trace).collect();
        let source = |sorted| Source { traces: traces.clone(), sorted, visited: AtomicUsize::new(0) };
        prop_assert_eq!(find(&source(true), limit), find(&source(false), limit));
    }
}

#[test]
fn few_of_many_traces_are_read() {
    let traces: Vec<Trace> = (1..=200u8).rev().map(|n| trace(n, &[u64::from(n)])).collect();
    let source = Source { traces, sorted: true, visited: AtomicUsize::new(0) };
    assert_eq!((find(&source, 3).len(), source.visited.load(Relaxed)), (3, 4));
}
