//! A search made ready: checks with compiled patterns, and the traces that were found so far.
//!
//! A check holds wherever the comparison of the search holds; it may hold more often.

use std::cmp::Ordering;
use std::collections::HashMap;

use sonde_model::span::{AttributeValue, SpanKind, StatusCode, TraceId};
use sonde_model::{MatchOp, Matcher};

use crate::codec::raw::RawValue;
use crate::query::{Compare, Literal, Search, Target, TimeRange};

/// Filters that are looked at; a search with more delivers what fulfils these.
const MAX_FILTERS: usize = 64;

/// A search made ready.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) range: TimeRange,
    /// The range in which spans may lie that fulfil filters.
    pub(crate) reach: TimeRange,
    pub(crate) filters: Vec<Vec<Test>>,
}

/// A condition made ready.
#[derive(Debug)]
pub(crate) struct Test {
    pub(crate) target: Target,
    pub(crate) check: Check,
}

/// A comparison with a literal.
#[derive(Debug)]
pub(crate) struct Check {
    op: Compare,
    value: Literal,
    pattern: Option<Matcher>,
}

impl Plan {
    pub(crate) fn new(search: &Search, reach_ns: u64) -> Self {
        let filters = search.filters.iter().map(|filter| {
            let tests = filter.conditions.iter().filter_map(|c| {
                let check = Check::new(c.op, c.value.clone())?;
                Some(Test { target: c.target.clone(), check })
            });
            tests.collect::<Vec<_>>()
        });
        // A filter without conditions is fulfilled by any span.
        let filters: Vec<Vec<Test>> = filters.filter(|tests| !tests.is_empty()).take(MAX_FILTERS).collect();
        let reach = if filters.is_empty() { search.range } else { search.range.widened(reach_ns) };
        Plan { range: search.range, reach, filters }
    }
}

impl Check {
    /// `None` for a pattern that cannot be compiled: it says nothing.
    fn new(op: Compare, value: Literal) -> Option<Self> {
        let pattern = match (op, &value) {
            (Compare::Regex | Compare::NotRegex, Literal::String(text)) => {
                Some(Matcher::new("", MatchOp::Regex, text).ok()?)
            }
            _ => None,
        };
        Some(Check { op, value, pattern })
    }

    /// The text that a value must equal, if that is what is demanded.
    pub(crate) fn equal_text(&self) -> Option<&str> {
        match (self.op, &self.value) {
            (Compare::Equal, Literal::String(text)) => Some(text),
            _ => None,
        }
    }

    /// Whether only texts can hold.
    pub(crate) fn wants_text(&self) -> bool {
        matches!(self.value, Literal::String(_))
    }

    pub(crate) fn text(&self, text: &str) -> bool {
        match (&self.value, &self.pattern) {
            (Literal::String(_), Some(pattern)) => pattern.matches(text) == (self.op == Compare::Regex),
            (Literal::String(other), None) => self.ordered(Some(text.cmp(other))),
            _ => false,
        }
    }

    pub(crate) fn int(&self, n: i64) -> bool {
        match &self.value {
            Literal::Int(other) => self.ordered(Some(n.cmp(other))),
            Literal::Number(other) => self.ordered((n as f64).partial_cmp(other)),
            _ => false,
        }
    }

    pub(crate) fn double(&self, x: f64) -> bool {
        match &self.value {
            Literal::Float(other) | Literal::Number(other) => self.ordered(x.partial_cmp(other)),
            _ => false,
        }
    }

    pub(crate) fn boolean(&self, b: bool) -> bool {
        matches!(&self.value, Literal::Bool(other) if self.ordered(Some(b.cmp(other))))
    }

    /// Whether a duration in nanoseconds holds; numbers of all types count.
    pub(crate) fn duration(&self, ns: u64) -> bool {
        match &self.value {
            Literal::Int(other) => self.ordered((ns as f64).partial_cmp(&(*other as f64))),
            Literal::Float(other) | Literal::Number(other) => self.ordered((ns as f64).partial_cmp(other)),
            _ => false,
        }
    }

    pub(crate) fn status(&self, status: StatusCode) -> bool {
        matches!(&self.value, Literal::Status(other) if self.alike(status == *other))
    }

    pub(crate) fn kind(&self, kind: SpanKind) -> bool {
        matches!(&self.value, Literal::Kind(other) if self.alike(kind == *other))
    }

    /// Whether a value holds, or an element of a list.
    pub(crate) fn raw(&self, value: &RawValue<'_>) -> bool {
        match value {
            RawValue::String(text) => self.text(text),
            RawValue::Bool(b) => self.boolean(*b),
            RawValue::Int(n) => self.int(*n),
            RawValue::Double(x) => self.double(*x),
            RawValue::Other(AttributeValue::Array(items)) => {
                items.iter().any(|item| !matches!(item, AttributeValue::Array(_)) && self.raw(&RawValue::of(item)))
            }
            RawValue::Other(_) => false,
        }
    }

    fn alike(&self, equal: bool) -> bool {
        match self.op {
            Compare::NotEqual => !equal,
            Compare::Equal | Compare::LessEqual | Compare::GreaterEqual => equal,
            _ => false,
        }
    }

    fn ordered(&self, order: Option<Ordering>) -> bool {
        order.is_some_and(|order| match self.op {
            Compare::Equal => order.is_eq(),
            Compare::NotEqual => order.is_ne(),
            Compare::Less => order.is_lt(),
            Compare::LessEqual => order.is_le(),
            Compare::Greater => order.is_gt(),
            Compare::GreaterEqual => order.is_ge(),
            Compare::Regex | Compare::NotRegex => false,
        })
    }
}

/// The traces of which something was found: which filters are fulfilled, and the newest start of a span that does.
#[derive(Debug, Default)]
pub(crate) struct Matches {
    traces: HashMap<TraceId, (u64, u64), foldhash::fast::RandomState>,
}

impl Matches {
    pub(crate) fn add(&mut self, id: TraceId, filters: u64, start_ns: u64) {
        let found = self.traces.entry(id).or_default();
        found.0 |= filters;
        found.1 = found.1.max(start_ns);
    }

    /// The traces that fulfil all filters, newest first.
    pub(crate) fn complete(self, plan: &Plan) -> Vec<TraceId> {
        let all = (0..plan.filters.len()).fold(0u64, |all, bit| all | 1 << bit);
        let mut found: Vec<(u64, TraceId)> =
            self.traces.into_iter().filter(|(_, (filters, _))| *filters == all).map(|(id, (_, at))| (at, id)).collect();
        found.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        found.into_iter().map(|(_, id)| id).collect()
    }
}
