//! Evaluates queries over traces, one whole trace at a time.
//!
//! The engine owns the trait through which it reads: a source may deliver more than was asked for, because everything is
//! judged again here, but never less. Results are deterministic: newest first.

mod aggregate;
mod field;
mod filter;
mod matching;
mod pipeline;
mod pushdown;
mod relation;
mod search;
mod shown;
mod source;
mod value;
mod view;

pub use filter::{Hierarchy, filter};
pub use matching::{Matching, matching};
pub use search::{QueryError, SearchOptions, SearchResult, ServiceStats, SpanMatch, SpansetMatch, TraceMatch, search};
pub use source::{Condition, Fetch, FetchError, SpanFilter, SpanSource};
pub use value::Value;
