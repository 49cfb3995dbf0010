//! What the engine asks of a store.

use std::ops::ControlFlow;

use sonde_model::span::Trace;
use thiserror::Error;

use crate::ast::{Attribute, CompareOp, Static};

/// Which traces are wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fetch {
    /// Traces with a span that starts at or after this, in nanoseconds since the epoch.
    pub start_ns: u64,
    /// Traces with a span that starts at or before this, in nanoseconds since the epoch.
    pub end_ns: u64,
    /// A trace is of interest only if, for each of these, some span of it fulfils all its conditions.
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
    pub attribute: Attribute,
    /// How.
    pub op: CompareOp,
    /// With what.
    pub value: Static,
}

/// Why a source cannot answer.
#[derive(Debug, Error)]
#[error("the span store cannot be read: {0}")]
pub struct FetchError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Where traces come from.
pub trait SpanSource: Send + Sync {
    /// Hands whole traces to `visit`, each once, until there are no more or `visit` breaks.
    fn fetch(&self, fetch: &Fetch, visit: &mut dyn FnMut(Trace) -> ControlFlow<()>) -> Result<(), FetchError>;

    /// Whether traces come newest first: each has a span that starts no later than some span of each trace before it,
    /// and by which it is sorted. A search may then end early. Otherwise they come in any order.
    fn newest_first(&self) -> bool {
        false
    }
}
