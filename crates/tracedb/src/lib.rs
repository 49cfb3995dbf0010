//! The embedded span store.
mod batch;
mod db;
mod error;
mod options;
mod query;
mod stats;
mod streams;
pub use batch::{Outcome, RejectReason, Rejected, SpanBatch};
pub use db::{Committed, OpenReport, Position, TraceDb};
pub use error::{AppendError, Error, ReadError};
pub use options::Options;
pub use query::{Compare, Condition, Literal, Search, SpanFilter, TagScope, TagValue, Target, TimeRange};
pub use stats::{HeadStatus, Stats};
pub use streams::StreamId;
