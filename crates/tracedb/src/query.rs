//! What a reader may ask for: a search is a demand on spans, conditions are comparisons with literals.

use sonde_model::span::{SpanKind, StatusCode};

/// A range of starts of spans, in nanoseconds since the epoch, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// From here.
    pub start_ns: u64,
    /// To here.
    pub end_ns: u64,
}

impl TimeRange {
    /// All of time.
    pub const ALL: TimeRange = TimeRange { start_ns: 0, end_ns: u64::MAX };

    /// Whether two ranges have something in common.
    pub(crate) fn overlaps(&self, other: TimeRange) -> bool {
        self.start_ns <= other.end_ns && self.end_ns >= other.start_ns
    }

    /// Whether a time lies in the range.
    pub(crate) fn contains(&self, ns: u64) -> bool {
        self.start_ns <= ns && ns <= self.end_ns
    }

    /// The range with so much more on both sides.
    pub(crate) fn widened(&self, ns: u64) -> TimeRange {
        TimeRange { start_ns: self.start_ns.saturating_sub(ns), end_ns: self.end_ns.saturating_add(ns) }
    }
}

/// Which traces are wanted: those with a span that starts in the range and, for each filter, a span that fulfils it.
///
/// The spans that fulfil filters may start outside of the range by
/// [`search_reach_ms`](crate::Options::search_reach_ms). More traces than those may be delivered, never fewer.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// When some span of the trace starts.
    pub range: TimeRange,
    /// What some span of the trace, for each filter another or the same, must be like.
    pub filters: Vec<SpanFilter>,
}

/// Conditions that one span must fulfil together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpanFilter {
    /// The conditions.
    pub conditions: Vec<Condition>,
}

/// A comparison of what a span has with a literal.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// What is compared.
    pub target: Target,
    /// How.
    pub op: Compare,
    /// With what.
    pub value: Literal,
}

/// What of a span is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The attribute of this key in a scope. Lists are asked element by element.
    Attribute(TagScope, Box<str>),
    /// The name of the span.
    Name,
    /// From start to end in nanoseconds.
    Duration,
    /// How the span ended.
    Status,
    /// What was said of how it ended.
    StatusMessage,
    /// What the span is to its callers and callees.
    Kind,
}

/// A comparison. What is absent fulfils none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// Matches a regular expression, whole.
    Regex,
    /// Does not match a regular expression.
    NotRegex,
}

/// What is compared with. Its type says which values of an attribute are meant.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// Values that are texts.
    String(Box<str>),
    /// Values that are whole numbers.
    Int(i64),
    /// Values that are floats.
    Float(f64),
    /// Values that are numbers of either type; for a duration nanoseconds.
    Number(f64),
    /// Truth values.
    Bool(bool),
    /// A status.
    Status(StatusCode),
    /// A kind.
    Kind(SpanKind),
}

/// Where attributes are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TagScope {
    /// In the span and in its resource.
    Any,
    /// In the span.
    Span,
    /// In the resource.
    Resource,
    /// In the events.
    Event,
    /// In the links.
    Link,
    /// In the instrumentation scope.
    Instrumentation,
}

/// A value that some span has for a key. Lists, maps and bytes are not listed.
#[derive(Clone, Debug, PartialEq)]
pub enum TagValue {
    /// A text.
    String(Box<str>),
    /// A whole number.
    Int(i64),
    /// A float.
    Double(f64),
    /// A truth value.
    Bool(bool),
}
