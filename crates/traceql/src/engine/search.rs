//! Searches: which traces match, newest first, with the spans that do.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::ControlFlow;

use sonde_model::span::{SpanId, TraceId};
use thiserror::Error;

use super::field::{Regexes, Subject};
use super::source::{Fetch, FetchError, SpanSource};
use super::value::Value;
use super::view::View;
use super::{pipeline, pushdown, shown};
use crate::ast::{Metrics, Pipeline, Query, Root};
use crate::validate::{ValidateError, validate};

/// How much of the answer is wanted.
#[derive(Clone, Copy, Debug)]
pub struct SearchOptions {
    /// Traces with a span that starts at or after this, in nanoseconds since the epoch.
    pub start_ns: u64,
    /// Traces with a span that starts at or before this, in nanoseconds since the epoch.
    pub end_ns: u64,
    /// At most so many traces.
    pub limit: usize,
    /// At most so many spans a set; 0 is all.
    pub spans_per_set: usize,
}

/// The traces that match, newest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SearchResult {
    /// The traces.
    pub traces: Vec<TraceMatch>,
    /// How many traces were looked at.
    pub inspected_traces: usize,
}

/// A trace that matches.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceMatch {
    /// Its id.
    pub trace_id: TraceId,
    /// The service of its root span.
    pub root_service: String,
    /// The name of its root span.
    pub root_name: String,
    /// Its first start, in nanoseconds since the epoch.
    pub start_ns: u64,
    /// From its first start to its last end, in nanoseconds.
    pub duration_ns: u64,
    /// Spans and errors by service, in the order of their names.
    pub services: Vec<ServiceStats>,
    /// The sets of spans that match.
    pub sets: Vec<SpansetMatch>,
}

/// Spans and errors of a service within a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceStats {
    /// The service.
    pub service: Box<str>,
    /// Its spans.
    pub spans: usize,
    /// Those of them that failed.
    pub errors: usize,
}

/// A set of spans that matches.
#[derive(Clone, Debug, PartialEq)]
pub struct SpansetMatch {
    /// The first spans of it.
    pub spans: Vec<SpanMatch>,
    /// How many spans it has.
    pub matched: usize,
    /// What was computed of it: `by(x)`, `count()`.
    pub attributes: Vec<(String, Value)>,
}

/// A span that matches.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanMatch {
    /// Its id.
    pub span_id: SpanId,
    /// Its name, where the query reads it of this span.
    pub name: Option<Box<str>>,
    /// Nanoseconds since the epoch.
    pub start_ns: u64,
    /// Nanoseconds.
    pub duration_ns: u64,
    /// What the query reads of it.
    pub attributes: Vec<(String, Value)>,
}

/// Why a query has no answer.
#[derive(Debug, Error)]
pub enum QueryError {
    /// It makes no sense, or has a meaning that is not built.
    #[error(transparent)]
    Invalid(#[from] ValidateError),
    /// It is not evaluated yet.
    #[error("{0} is not evaluated yet")]
    NotImplemented(String),
    /// The store cannot answer.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It took too long, or nobody waits for it any more.
    #[error("the query was given up before it was done")]
    Interrupted,
}

/// Evaluates a query for sets of spans. `interrupted` is asked for each trace.
pub fn search(
    source: &dyn SpanSource,
    query: &Query,
    options: &SearchOptions,
    interrupted: &dyn Fn() -> bool,
) -> Result<SearchResult, QueryError> {
    validate(query)?;
    let pipeline = spans_of(query)?;
    let fetch = Fetch { start_ns: options.start_ns, end_ns: options.end_ns, filters: pushdown::filters(pipeline) };
    let reads = shown::reads(pipeline);
    let regexes = Regexes::default();
    let mut result = SearchResult::default();
    let mut given_up = false;
    let mut newest = NewestStarts::new(options.limit);
    let ordered = source.newest_first();
    source.fetch(&fetch, &mut |trace| {
        if interrupted() {
            given_up = true;
            return ControlFlow::Break(());
        }
        result.inspected_traces += 1;
        let view = View::new(&trace);
        let sets = pipeline::run(&view, &regexes, pipeline);
        if !sets.is_empty() {
            let sets = sets.iter().map(|set| matched(&view, &regexes, &reads, set, options)).collect();
            result.traces.push(TraceMatch {
                trace_id: trace.id,
                root_service: view.shown_root_service().to_owned(),
                root_name: view.root_name().to_owned(),
                start_ns: view.start_ns,
                duration_ns: view.duration_ns,
                services: view.services(),
                sets,
            });
            // Twice the limit bounds the memory and keeps the sorting rare.
            if result.traces.len() >= options.limit.saturating_mul(2).max(64) {
                keep_newest(&mut result.traces, options.limit);
            }
            newest.add(view.start_ns);
        }
        // Traces that follow are sorted by a span that starts no later than the last of this one.
        if ordered && newest.all_after(view.last_start_ns) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if given_up {
        return Err(QueryError::Interrupted);
    }
    keep_newest(&mut result.traces, options.limit);
    Ok(result)
}

/// The pipeline of a query for spans; one for series is not evaluated yet.
pub(crate) fn spans_of(query: &Query) -> Result<&Pipeline, QueryError> {
    match &query.root {
        Root::Spans(pipeline) => Ok(pipeline),
        Root::Metrics(metrics) => Err(QueryError::NotImplemented(first_function(metrics))),
    }
}

/// The starts of the newest traces found so far.
struct NewestStarts {
    limit: usize,
    starts: BinaryHeap<Reverse<u64>>,
}

impl NewestStarts {
    fn new(limit: usize) -> Self {
        NewestStarts { limit, starts: BinaryHeap::new() }
    }

    fn add(&mut self, start_ns: u64) {
        self.starts.push(Reverse(start_ns));
        if self.starts.len() > self.limit {
            self.starts.pop();
        }
    }

    /// Whether as many as are wanted are there, all after a time.
    fn all_after(&self, ns: u64) -> bool {
        self.starts.len() >= self.limit && self.starts.peek().is_none_or(|Reverse(oldest)| *oldest > ns)
    }
}

fn keep_newest(traces: &mut Vec<TraceMatch>, limit: usize) {
    traces.sort_by(|a, b| b.start_ns.cmp(&a.start_ns).then(a.trace_id.cmp(&b.trace_id)));
    traces.truncate(limit);
}

fn matched(
    view: &View<'_>,
    regexes: &Regexes,
    reads: &[shown::Read],
    set: &pipeline::Set,
    options: &SearchOptions,
) -> SpansetMatch {
    let shown = if options.spans_per_set == 0 { set.spans.len() } else { options.spans_per_set };
    let span = |i: &usize| {
        let span = &view.spans[*i].span;
        let subject = Subject { view, span: *i, regexes };
        SpanMatch {
            span_id: span.span_id,
            name: shown::shows_name(&subject, reads).then(|| span.name.clone()),
            start_ns: span.start_ns,
            duration_ns: span.duration_ns(),
            attributes: shown::attributes(&subject, reads),
        }
    };
    SpansetMatch {
        spans: set.spans.iter().take(shown).map(span).collect(),
        matched: set.spans.len(),
        attributes: set.attributes.clone(),
    }
}

fn first_function(metrics: &Metrics) -> String {
    match metrics {
        Metrics::Function { function, .. } => function.to_string(),
        Metrics::Scalar(scalar) => scalar.to_string(),
        Metrics::Binary(_, left, right) => match &**left {
            Metrics::Scalar(_) => first_function(right),
            left => first_function(left),
        },
        Metrics::Second(input, _) => first_function(input),
    }
}
