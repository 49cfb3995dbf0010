//! The embedded time series store: head, write-ahead log, immutable blocks, queries over all of them.
//!
//! Synchronous: it takes `now` as an argument, writes through `sonde_disk::Fs` and answers durability through
//! callbacks. It must not know of PromQL, of wire formats, of HTTP, of tokio or of the wall clock.
//!
//! In reading order: `append` judges a batch (`judge`), writes one record (`record`) and applies it once durable
//! (`shared`, `data`); `flush` turns the head into blocks, `compact` merges them, `retention` drops them; `read`,
//! `selection` and `listing` answer queries over head and blocks; `open` brings it all back.

mod batch;
mod cardinality;
mod error;
mod limits;
mod metadata;
mod options;
mod partitions;
mod stats;

mod accumulate;
mod append;
mod ballast;
mod changes;
mod committed;
mod compact;
mod cut;
mod data;
mod db;
mod delete;
pub mod examine;
mod exemplar;
mod flush;
mod judge;
mod listing;
mod maintain;
mod open;
mod read;
mod record;
mod refusals;
mod renumbered;
mod retention;
mod runs;
mod selection;
mod shared;
mod snapshot;
mod tier;

mod block;
pub mod codec;
mod columns;
mod head;
mod index;
mod manifest;

pub use batch::{Batch, BatchSample, BatchValue, Outcome, RejectReason, Rejected, SeriesRef, Source};
pub use cardinality::Cardinality;
pub use changes::Mark;
pub use committed::{Committed, CommittedReader, Position, Step};
pub use cut::Place;
pub use db::Db;
pub use error::{AppendError, Error, SelectError, SeriesLimit};
pub use exemplar::{BatchExemplar, ExemplarRejectReason, ExemplarStatus, SeriesExemplars};
pub use limits::{ListLimits, SelectLimits, TimedLimits};
pub use metadata::{Metadata, MetricKind};
pub use open::OpenReport;
pub use options::Options;
pub use retention::{Retention, RetentionClass};
pub use selection::Selection;
pub use sonde_disk::blocks::directory::Quarantined;
pub use sonde_model::StreamId;
pub use stats::{BlockStatus, HeadStatus, Stats};
pub use tier::{Joined, MAX_TIERS, Resolution, TierOptions, TierPart};
