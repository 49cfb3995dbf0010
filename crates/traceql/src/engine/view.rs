//! A trace made ready to be asked: spans in order, parents found, the nested-set model, the root.

use std::collections::HashMap;

use sonde_model::span::{ScopedSpan, SpanId, StatusCode, Trace};

use super::search::ServiceStats;

/// What a trace without a root says in place of its root's service.
const ROOT_MISSING: &str = "<root span not yet received>";

/// A trace and what can be derived of it.
#[derive(Debug)]
pub(crate) struct View<'a> {
    pub(crate) trace: &'a Trace,
    /// The spans in the order of their starts; duplicates are left out.
    pub(crate) spans: Vec<&'a ScopedSpan>,
    /// The children of each span.
    pub(crate) children: Vec<Vec<usize>>,
    /// The nested-set numbers of each span; all 0 for what no root leads to.
    pub(crate) sets: Vec<NestedSet>,
    /// From the first start to the last end, in nanoseconds.
    pub(crate) duration_ns: u64,
    /// The first start, in nanoseconds since the epoch.
    pub(crate) start_ns: u64,
    /// Of several roots the last one, as in Tempo.
    root: Option<usize>,
    /// The last start, in nanoseconds since the epoch.
    pub(crate) last_start_ns: u64,
}

/// The numbers of a span in the nested-set model: a descendant lies between left and right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct NestedSet {
    pub(crate) left: i64,
    pub(crate) right: i64,
    /// The left number of the parent; -1 for a root.
    pub(crate) parent: i64,
}

impl<'a> View<'a> {
    pub(crate) fn new(trace: &'a Trace) -> Self {
        let mut spans: Vec<&ScopedSpan> = trace.spans.iter().collect();
        spans.sort_by_key(|s| (s.span.start_ns, s.span.span_id, s.span.end_ns, s.span.kind));
        // A client and a server may share an id (Zipkin); the same span that came twice may not.
        spans.dedup_by_key(|s| (s.span.start_ns, s.span.span_id, s.span.end_ns, s.span.kind));
        let mut by_id: HashMap<SpanId, usize> = HashMap::with_capacity(spans.len());
        for (i, span) in spans.iter().enumerate() {
            by_id.entry(span.span.span_id).or_insert(i);
        }
        let parent = |(i, s): (usize, &&ScopedSpan)| {
            s.span.parent_span_id.and_then(|id| by_id.get(&id).copied()).filter(|p| *p != i)
        };
        let mut children = vec![Vec::new(); spans.len()];
        for (i, span) in spans.iter().enumerate() {
            if let Some(parent) = parent((i, span)) {
                children[parent].push(i);
            }
        }
        let is_root = |i: &usize| spans[*i].span.parent_span_id.is_none();
        let roots: Vec<usize> = (0..spans.len()).filter(is_root).collect();
        let start_ns = spans.iter().map(|s| s.span.start_ns).min().unwrap_or(0);
        let end_ns = spans.iter().map(|s| s.span.end_ns).max().unwrap_or(0);
        let sets = nested_sets(&roots, &children);
        let duration_ns = end_ns.saturating_sub(start_ns);
        let last_start_ns = spans.last().map_or(0, |s| s.span.start_ns);
        View { trace, spans, children, sets, duration_ns, start_ns, root: roots.last().copied(), last_start_ns }
    }

    /// The service of the root; empty where there is no root.
    pub(crate) fn root_service(&self) -> &str {
        self.root.map_or("", |i| self.spans[i].resource.service_name())
    }

    /// The service of the root as answers show it.
    pub(crate) fn shown_root_service(&self) -> &str {
        if self.root.is_some() { self.root_service() } else { ROOT_MISSING }
    }

    /// The name of the root; empty where there is no root.
    pub(crate) fn root_name(&self) -> &str {
        self.root.map_or("", |i| &self.spans[i].span.name)
    }

    /// Spans and errors of each service, in the order of their names.
    pub(crate) fn services(&self) -> Vec<ServiceStats> {
        let mut stats: Vec<ServiceStats> = Vec::new();
        for span in &self.spans {
            let service = span.resource.service_name();
            let at = match stats.binary_search_by(|s| (*s.service).cmp(service)) {
                Ok(at) => at,
                Err(at) => {
                    stats.insert(at, ServiceStats { service: service.into(), spans: 0, errors: 0 });
                    at
                }
            };
            stats[at].spans += 1;
            stats[at].errors += usize::from(span.span.status == StatusCode::Error);
        }
        stats
    }
}

/// Numbers the spans that roots lead to, depth first and without recursion: a trace may be as deep as it is long.
fn nested_sets(roots: &[usize], children: &[Vec<usize>]) -> Vec<NestedSet> {
    let mut sets = vec![NestedSet::default(); children.len()];
    let mut next = 1;
    for root in roots {
        let mut stack = vec![(*root, 0)];
        (sets[*root].left, sets[*root].parent) = (next, -1);
        next += 1;
        while let Some((span, child)) = stack.pop() {
            match children[span].get(child) {
                Some(below) => {
                    stack.push((span, child + 1));
                    if sets[*below].left == 0 {
                        (sets[*below].left, sets[*below].parent) = (next, sets[span].left);
                        next += 1;
                        stack.push((*below, 0));
                    }
                }
                None => {
                    sets[span].right = next;
                    next += 1;
                }
            }
        }
    }
    sets
}
