//! The embedded span store: head, write-ahead log, immutable blocks, whole traces over all of them.
//!
//! Synchronous: it takes `now` as an argument, writes through `sonde_disk::Fs` and answers durability through
//! callbacks. It must not know of TraceQL, of wire formats, of HTTP, of tokio or of the wall clock.
//!
//! In reading order: `append` judges a batch (`judge`), encodes it (`chunk`), writes one record (`record`) and applies
//! it once durable (`shared`, `head`); `flush` turns the head into blocks, `compact` merges them, `retention` drops
//! them; `read`, `scan` and `tags` answer over head and blocks; `committed` hands batches to who derives from them;
//! `open` brings it all back.

mod batch;
mod error;
mod options;
mod query;
mod stats;

mod append;
mod chunk;
mod committed;
mod compact;
mod cut;
mod data;
mod db;
mod flush;
mod head;
mod judge;
mod maintain;
mod open;
mod plan;
mod read;
mod record;
mod scan;
mod shared;
mod tags;

mod block;
mod codec;
mod manifest;

pub use batch::{Outcome, RejectReason, Rejected, SpanBatch};
pub use committed::{Committed, Position};
pub use db::TraceDb;
pub use error::{AppendError, Error, ReadError};
pub use open::OpenReport;
pub use options::Options;
pub use query::{Compare, Condition, Literal, Search, SpanFilter, TagScope, TagValue, Target, TimeRange};
pub use sonde_disk::blocks::directory::Quarantined;
pub use sonde_model::StreamId;
pub use stats::{HeadStatus, Stats};
