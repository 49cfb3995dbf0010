//! The store: its parts, its state.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use parking_lot::Mutex;
use sonde_disk::blocks::clock::Clock;
use sonde_disk::{Fs, FsLock, Wal};
use sonde_model::{Cursor, TimestampMs};

use crate::block::PageCache;
use crate::manifest::Manifest;
use crate::shared::Shared;
use crate::{Error, HeadStatus, Stats, StreamId};

/// An open store. All methods may be called from any thread.
#[derive(Debug)]
pub struct TraceDb {
    pub(crate) shared: Arc<Shared>,
    pub(crate) wal: Wal,
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) dir: PathBuf,
    pub(crate) cache: Arc<PageCache>,
    /// Held by whatever changes blocks: flush, merge, retention, quarantine.
    pub(crate) maintenance: Mutex<Maintenance>,
    pub(crate) _lock: FsLock,
}

/// What only maintenance needs.
#[derive(Debug)]
pub(crate) struct Maintenance {
    pub(crate) manifest: Manifest,
    pub(crate) next_seq: u64,
    /// Files that a manifest may name whose writing failed half-way: they go when the next one is written.
    pub(crate) orphans: Vec<PathBuf>,
    pub(crate) last_flush: TimestampMs,
    /// Whether the wall clock may be believed.
    pub(crate) clock: Clock,
    /// Where the WAL may be cut once the frozen part of the head is in blocks.
    pub(crate) frozen_from: Option<sonde_disk::Position>,
}

impl TraceDb {
    /// The counters.
    pub fn stats(&self) -> &Stats {
        &self.shared.stats
    }

    /// The counters of the WAL.
    pub fn wal_stats(&self) -> &Arc<sonde_disk::WalStats> {
        self.wal.stats()
    }

    /// The state at this moment.
    pub fn status(&self) -> HeadStatus {
        let data = self.shared.data.read();
        let times = data.head_times();
        HeadStatus {
            traces: data.active.trace_count() + data.frozen.as_ref().map_or(0, |f| f.head.trace_count()),
            spans: data.spans(),
            bytes: data.bytes(),
            min_start_ns: times.map(|t| t.0),
            max_start_ns: times.map(|t| t.1),
            blocks: data.blocks.len(),
            block_bytes: data.blocks.iter().map(|b| b.bytes()).sum(),
            block_spans: data.blocks.iter().map(|b| b.meta().rows).sum(),
            block_min_start_ns: data.blocks.iter().map(|b| b.range().start_ns).min(),
            block_max_start_ns: data.blocks.iter().map(|b| b.range().end_ns).max(),
            wal_bytes: self.wal.size_bytes(),
            retention_paused: self.shared.retention_paused.load(Relaxed),
        }
    }

    /// The cursors of all agent streams, for people to look at.
    pub fn cursors(&self) -> Vec<(StreamId, Cursor)> {
        self.shared.judge.lock().streams.iter().map(|(stream, cursor)| (*stream, cursor.clone())).collect()
    }

    /// Refuses appends from now on, waits for what is pending and closes the WAL. The head stays in the WAL for the
    /// next opening.
    pub fn close(&self) {
        self.shared.judge.lock().closed = true;
        self.wal.close();
    }

    /// Reports a failed operation on a path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io { action, path, source }
    }
}
