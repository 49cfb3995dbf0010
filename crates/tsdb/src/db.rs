//! The store: its parts, its series, its state.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use parking_lot::Mutex;
use sonde_disk::blocks::clock::Clock;
use sonde_disk::{Fs, FsLock, Wal};
use sonde_model::{AgentId, Cursor, METRIC_NAME, StreamId, TimestampMs};

use crate::block::{Block, PageCache};
use crate::delete::tombstones::Tombstone;
use crate::head::Registry;
use crate::manifest::Manifest;
use crate::retention::Handled;
use crate::shared::Shared;
use crate::tier::Tier;
use crate::{BlockStatus, Error, HeadStatus, Metadata, SeriesLimit, SeriesRef, Stats};

/// An open store. All methods may be called from any thread.
#[derive(Debug)]
pub struct Db {
    pub(crate) shared: Arc<Shared>,
    pub(crate) wal: Wal,
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) dir: PathBuf,
    pub(crate) cache: Arc<PageCache>,
    /// Held by whatever changes blocks: flush, merge, retention, quarantine.
    pub(crate) maintenance: Mutex<Maintenance>,
    /// The finest first.
    pub(crate) tiers: Vec<Tier>,
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
    pub(crate) clock: Clock,
    /// The opening could not read the file of exemplars, and nothing has replaced it since.
    pub(crate) exemplars_unread: bool,
    /// Blocks of formats that are not read any more, and when they were set aside.
    pub(crate) outdated: Vec<(TimestampMs, PathBuf)>,
    /// What retention by classes has done to blocks.
    pub(crate) expired: HashMap<u64, Handled>,
    /// When blocks in which something could not be read were found sound.
    pub(crate) sound: HashMap<u64, TimestampMs>,
    /// Deletes whose samples are not out of all blocks yet.
    pub(crate) tombstones: Vec<Tombstone>,
    /// Where the WAL may be cut once the frozen part of the head is in blocks.
    pub(crate) frozen_from: Option<sonde_disk::Position>,
}

/// Labels of a series at most; further ones are bounded by the edge already.
const MAX_LABELS: usize = 1 << 16;

impl Db {
    /// The series with these labels, which must be sorted by name, unique and without empty values. A new series is
    /// made if there is none; it becomes visible to reads with its first durable sample.
    pub fn series_ref(&self, sorted_labels: &[(&str, &str)]) -> Result<SeriesRef, SeriesLimit> {
        self.series_ref_of(None, sorted_labels)
    }

    /// The same; a new series is put down to the agent that brings it. Where a limit refuses it nothing else suffers:
    /// that is found out without holding anybody up.
    pub fn series_ref_of(
        &self,
        agent: Option<AgentId>,
        sorted_labels: &[(&str, &str)],
    ) -> Result<SeriesRef, SeriesLimit> {
        debug_assert!(sorted_labels.windows(2).all(|w| w[0].0 < w[1].0), "BUG: labels not sorted: {sorted_labels:?}");
        let find = |registry: &Registry| match registry.find(sorted_labels) {
            Some(found) => Ok(Some(found)),
            None => self.admit(registry, agent, sorted_labels).map(|()| None),
        };
        let refused = |limit| self.refuse(limit, agent, sorted_labels);
        if let Some(found) = find(&self.shared.registry.read()).map_err(refused)? {
            return Ok(found);
        }
        let mut registry = self.shared.registry.write();
        if let Some(found) = find(&registry).map_err(refused)? {
            return Ok(found);
        }
        self.shared.stats.series_created.fetch_add(1, Relaxed);
        let series = registry.insert(sorted_labels);
        agent.inspect(|agent| registry.owners_mut().assign(series.slot, *agent));
        Ok(series)
    }

    /// Whether there is room for a new series.
    fn admit(&self, registry: &Registry, agent: Option<AgentId>, labels: &[(&str, &str)]) -> Result<(), SeriesLimit> {
        let options = &self.shared.options;
        if registry.len() >= options.max_series {
            return Err(SeriesLimit::Total { limit: options.max_series });
        }
        if labels.len() > MAX_LABELS {
            return Err(SeriesLimit::Labels { limit: MAX_LABELS });
        }
        if let Some(limit) = options.max_series_per_metric
            && registry.count(METRIC_NAME, metric_of(labels)) >= limit
        {
            return Err(SeriesLimit::Metric { limit });
        }
        match (options.max_series_per_agent, agent) {
            (Some(limit), Some(agent)) if registry.owners().count(agent) >= limit => Err(SeriesLimit::Agent { limit }),
            _ => Ok(()),
        }
    }

    /// Counts a series that was refused, with whose it was.
    fn refuse(&self, limit: SeriesLimit, agent: Option<AgentId>, labels: &[(&str, &str)]) -> SeriesLimit {
        let stats = &self.shared.stats;
        match limit {
            SeriesLimit::Total { .. } | SeriesLimit::Labels { .. } => &stats.series_refused,
            SeriesLimit::Metric { .. } => &stats.series_refused_by_metric,
            SeriesLimit::Agent { .. } => &stats.series_refused_by_agent,
        }
        .fetch_add(1, Relaxed);
        self.shared.refusals.of_metric(metric_of(labels));
        agent.inspect(|agent| self.shared.refusals.of_agent(*agent));
        limit
    }

    /// Whether a ref is good: its series has not left the head since.
    pub fn is_current(&self, series: SeriesRef) -> bool {
        self.shared.registry.read().generation(series.slot) == Some(series.generation)
    }

    /// What is known of one metric, or of all, sorted by metric name, at most `limit`.
    pub fn metadata(&self, metric: Option<&str>, limit: usize) -> Vec<(String, Metadata)> {
        let data = self.shared.data.read();
        let owned = |(name, entry): (&String, &Metadata)| (name.clone(), entry.clone());
        match metric {
            Some(metric) => data.metadata.get_key_value(metric).into_iter().take(limit).map(owned).collect(),
            None => data.metadata.iter().take(limit).map(owned).collect(),
        }
    }

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
        let (series, label_pairs, index_bytes) = {
            let registry = self.shared.registry.read();
            (registry.len(), registry.label_pairs(), registry.bytes())
        };
        let data = self.shared.data.read();
        let times = data.head_times();
        HeadStatus {
            series,
            label_pairs,
            index_bytes,
            bytes: data.bytes(),
            samples: data.count(),
            min_time: times.map(|t| t.0),
            max_time: times.map(|t| t.1),
            blocks: data.blocks.len(),
            block_bytes: data.blocks.iter().map(|b| b.bytes()).sum(),
            block_samples: data.blocks.iter().map(|b| b.meta().samples).sum(),
            block_min_time: data.blocks.iter().map(|b| b.meta().min_time).min(),
            block_max_time: data.blocks.iter().map(|b| b.meta().max_time).max(),
            wal_bytes: self.wal.size_bytes(),
            retention_paused: self.shared.retention_paused.load(Relaxed),
        }
    }

    /// The blocks, the oldest first.
    pub fn blocks(&self) -> Vec<BlockStatus> {
        let status = |block: &Arc<Block>| {
            let meta = block.meta();
            BlockStatus {
                number: meta.seq,
                min_time: meta.min_time,
                max_time: meta.max_time,
                series: u64::from(meta.series),
                samples: meta.samples,
                bytes: block.bytes(),
                merges: meta.level,
            }
        };
        let mut blocks: Vec<BlockStatus> = self.shared.data.read().blocks.iter().map(status).collect();
        blocks.sort_by_key(|block| (block.min_time, block.number));
        blocks
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
        self.tiers.iter().for_each(|tier| tier.db.close());
    }

    /// Reports a failed operation on a path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io { action, path, source }
    }
}

fn metric_of<'a>(labels: &[(&str, &'a str)]) -> &'a str {
    labels.iter().find(|(name, _)| *name == METRIC_NAME).map_or("", |(_, value)| value)
}
