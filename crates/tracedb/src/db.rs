//! The store.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use sonde_disk::Fs;
use sonde_model::span::{ScopedSpan, Trace, TraceId};
use sonde_model::{Cursor, TimestampMs};

use crate::*;

/// An open store. All methods may be called from any thread.
#[derive(Debug)]
pub struct TraceDb {
    stats: Stats,
}

/// What opening a store found.
#[derive(Debug, Default)]
pub struct OpenReport {
    /// What the WAL says about itself: records, the tail that was cut, damage.
    pub wal: sonde_disk::OpenReport,
}

/// The number of a committed batch. Numbers grow, may have gaps, and stay valid across restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

/// The committed batches from a position on, in order.
#[derive(Debug)]
pub struct Committed(());

impl Committed {
    /// The next committed batch and the position behind it. `None` while there is no more; ask again later.
    #[expect(clippy::should_implement_trait, reason = "`None` means not yet, which an iterator must not say")]
    pub fn next(&mut self) -> Result<Option<(Position, Vec<ScopedSpan>)>, Error> {
        Err(not_yet("committed"))
    }
}

fn not_yet(what: &str) -> Error {
    Error::Unreadable { reason: format!("{what} is not implemented yet") }
}

impl TraceDb {
    /// Opens the store in `dir`, which is made if it is not there.
    pub fn open(
        _fs: Arc<dyn Fs>,
        _dir: &Path,
        _options: Options,
        _now: TimestampMs,
    ) -> Result<(Arc<TraceDb>, OpenReport), Error> {
        Err(not_yet("open"))
    }

    /// Writes a batch as one WAL record and calls `on_durable` once it is on disk and visible to reads. Does not wait
    /// for the disk. After an error nothing was written and `on_durable` is dropped.
    pub fn append(
        &self,
        _batch: SpanBatch,
        _now: TimestampMs,
        _on_durable: impl FnOnce(Result<(), Error>) + Send + 'static,
    ) -> Result<Outcome, AppendError> {
        Err(AppendError::Closed)
    }

    /// A whole trace; with a range, only if a span of it starts there.
    pub fn trace(&self, _id: TraceId, _range: Option<TimeRange>) -> Result<Option<Trace>, ReadError> {
        Err(not_yet("trace").into())
    }

    /// Hands whole traces to `visit`, newest first, each once, until there are no more or `visit` breaks.
    pub fn search(&self, _search: &Search, _visit: &mut dyn FnMut(Trace) -> ControlFlow<()>) -> Result<(), ReadError> {
        Err(not_yet("search").into())
    }

    /// The attribute keys of a scope (of every scope for `Any`), each with its scope, sorted, at most `limit`.
    pub fn tag_names(
        &self,
        _scope: TagScope,
        _range: TimeRange,
        _limit: usize,
    ) -> Result<Vec<(TagScope, Box<str>)>, ReadError> {
        Err(not_yet("tag_names").into())
    }

    /// The values of an attribute or of a name, sorted, at most `limit`.
    pub fn tag_values(&self, _target: &Target, _range: TimeRange, _limit: usize) -> Result<Vec<TagValue>, ReadError> {
        Err(not_yet("tag_values").into())
    }

    /// The committed batches at and behind a position, for what is derived from them.
    pub fn committed(&self, _from: Position) -> Committed {
        Committed(())
    }

    /// Says that everything before a position has been derived, so that the WAL before it may go.
    pub fn release_before(&self, _position: Position) -> Result<(), Error> {
        Err(not_yet("release_before"))
    }

    /// Writes the head into blocks and frees its part of the WAL.
    pub fn flush(&self, _now: TimestampMs) -> Result<(), Error> {
        Err(not_yet("flush"))
    }

    /// Merges blocks until there is nothing left to merge.
    pub fn compact(&self, _now: TimestampMs) -> Result<(), Error> {
        Err(not_yet("compact"))
    }

    /// What the owner calls every few seconds: flush when it is due, retention, one merge, damaged blocks set aside.
    pub fn maintain(&self, _now: TimestampMs) -> Result<(), Error> {
        Err(not_yet("maintain"))
    }

    /// The counters.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The state at this moment.
    pub fn status(&self) -> HeadStatus {
        HeadStatus::default()
    }

    /// The cursors of all agent streams, for people to look at.
    pub fn cursors(&self) -> Vec<(StreamId, Cursor)> {
        Vec::new()
    }

    /// Refuses appends from now on, waits for what is pending and closes the WAL.
    pub fn close(&self) {}
}
