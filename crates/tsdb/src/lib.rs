//! The embedded time series store: head, write-ahead log, immutable blocks, queries over all of them.
//!
//! Synchronous: it takes `now` as an argument, writes through `sonde_disk::Fs` and answers durability through
//! callbacks. It must not know of PromQL, of wire formats, of HTTP, of tokio or of the wall clock.

mod batch;
mod db;
mod error;
mod limits;
mod metadata;
mod options;
mod stats;

pub use batch::{Batch, BatchSample, BatchValue, Outcome, RejectReason, Rejected, SeriesRef, Source};
pub use db::Db;
pub use error::{AppendError, Error, SelectError, SeriesLimit};
pub use limits::SelectLimits;
pub use metadata::{Metadata, MetricKind};
pub use options::Options;
pub use stats::{HeadStatus, Stats};
