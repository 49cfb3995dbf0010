//! Opening a store: manifest, blocks, then the WAL from the last flush on. Damage is set aside and reported.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering::Relaxed};

use parking_lot::{Mutex, RwLock};
use sonde_disk::blocks::clock::Clock;
use sonde_disk::blocks::directory::{self, Quarantined};
use sonde_disk::blocks::layout;
use sonde_disk::{Fs, FsLock, Wal, WalOptions, write_atomic};
use sonde_model::{Signal, StreamId, Streams, TimestampMs};

use crate::block::footer::OLDEST;
use crate::block::{Block, Cached, PageCache, outdated};
use crate::codec::DecodeError;
use crate::data::Data;
use crate::db::{Db, Maintenance};
use crate::delete::tombstones::{self, Deletes, Tombstone};
use crate::exemplar;
use crate::exemplar::file::Loaded;
use crate::exemplar::store::{Bounds, Exemplars};
use crate::head::Registry;
use crate::judge::Judge;
use crate::manifest::Manifest;
use crate::record::{self, BatchRecord, Item, Record};
use crate::refusals::Refusals;
use crate::renumbered::Renumbered;
use crate::shared::Shared;
use crate::tier::Tier;
use crate::{Error, Metadata, Options, Stats};

/// What opening a store found.
#[derive(Debug, Default)]
pub struct OpenReport {
    /// What the WAL says about itself: records, the tail that was cut, damage.
    pub wal: sonde_disk::OpenReport,
    /// Blocks that were opened.
    pub blocks: usize,
    /// Blocks that were set aside because they are damaged: their samples are not in the answers.
    pub quarantined: Vec<Quarantined>,
    /// Blocks that could not be opened for a reason that says nothing about them: the next start tries again.
    pub unavailable: Vec<Quarantined>,
    /// Why the manifest could not be read. All blocks that can be read were taken instead.
    pub manifest_damage: Option<String>,
    /// Why the file of exemplars could not be read. What the WAL holds of them is there.
    pub exemplar_damage: Option<String>,
    /// Why the file of deletes could not be read. Deleted samples whose space had not come back are there again.
    pub tombstone_damage: Option<String>,
    /// Samples that came back from the WAL.
    pub samples: u64,
    /// Series that came back from the WAL.
    pub series: usize,
    /// Samples whose series definition was lost with damaged WAL records.
    pub orphans: u64,
    /// Exemplars whose series definition was lost with damaged WAL records.
    pub orphan_exemplars: u64,
    /// Records that pass their checksum and still cannot be read.
    pub unreadable_records: u64,
    /// Why the first of those cannot be read.
    pub first_unreadable: Option<String>,
}

impl OpenReport {
    /// Whether data was lost or set aside.
    pub fn is_damaged(&self) -> bool {
        !self.wal.damage.is_empty()
            || !self.quarantined.is_empty()
            || !self.unavailable.is_empty()
            || self.manifest_damage.is_some()
            || self.exemplar_damage.is_some()
            || self.tombstone_damage.is_some()
            || self.orphans > 0
            || self.orphan_exemplars > 0
            || self.unreadable_records > 0
    }
}

impl Db {
    /// Opens the store in `dir`, which is made if it is not there. Damage is set aside and reported, never a reason
    /// not to start.
    pub fn open(
        fs: Arc<dyn Fs>,
        dir: &Path,
        options: Options,
        now: TimestampMs,
    ) -> Result<(Arc<Db>, OpenReport), Error> {
        let blocks_dir = layout::blocks(dir);
        fs.create_dir_all(&blocks_dir).map_err(Db::io("create", &blocks_dir))?;
        let lock = Self::lock(fs.as_ref(), dir)?;
        let tiers = Tier::open_all(&fs, dir, &options, now)?;
        let mut report = OpenReport::default();
        let stats = Stats::default();
        let cache = Arc::new(PageCache::new(options.cache_bytes, Cached::bytes));
        let listed = directory::list_blocks(fs.as_ref(), dir)?;
        let known = read_manifest(fs.as_ref(), dir, &mut report)?;
        let Deletes { flushed, tombstones: deleted } = read_tombstones(fs.as_ref(), dir, &mut report)?;
        let mut manifest = match &known {
            Some(manifest) => manifest.clone(),
            // What readers hold of the log would bring back what was deleted.
            None => Manifest { flushed, blocks: listed.iter().copied().collect() },
        };
        if known.is_some() {
            directory::remove_leftovers(fs.as_ref(), dir, &listed, &manifest.blocks);
        }
        // A block with a number that a delete covers would lose what is written into it.
        let covered = deleted.iter().map(|tombstone| &tombstone.covers);
        let next_seq =
            listed.iter().chain(&manifest.blocks).chain(covered).max().map_or(1, |seq| seq.saturating_add(1));
        let blocks = open_blocks(fs.as_ref(), dir, &mut manifest, &cache, &deleted, &mut report, now)?;
        if known.as_ref() != Some(&manifest) {
            let path = layout::manifest(dir);
            write_atomic(fs.as_ref(), &path, &manifest.encode()).map_err(Db::io("write", &path))?;
        }
        stats.blocks_quarantined.store(report.quarantined.len() as u64, Relaxed);
        report.blocks = blocks.len();

        let manifest_is_lost = report.manifest_damage.is_some();
        let load_exemplars = || {
            let mut exemplars = Exemplars::new(Bounds {
                exemplars: options.max_exemplars,
                per_series: options.max_exemplars_per_series,
                bytes: options.exemplar_bytes,
            });
            let loaded = exemplar::file::load(fs.as_ref(), dir, &mut exemplars);
            (exemplars, loaded)
        };
        let (exemplars, loaded) = load_exemplars();
        let exemplars_unread = matches!(loaded, Loaded::Unread(_));
        report.exemplar_damage = match loaded {
            Loaded::Whole => None,
            Loaded::Damaged(reason) | Loaded::Unread(reason) => Some(reason),
        };
        let file_is_whole = report.exemplar_damage.is_none();
        let flushed_exemplars = || {
            let (exemplars, loaded) = file_is_whole.then(load_exemplars)?;
            matches!(loaded, Loaded::Whole).then_some(exemplars)
        };
        let mut replay = Replay::new(manifest.flushed, manifest_is_lost, exemplars, &flushed_exemplars, &mut report);
        let wal_options = WalOptions {
            segment_bytes: options.wal_segment_bytes,
            max_pending_bytes: options.wal_pending_bytes,
            max_record_bytes: options.wal_record_bytes,
            ..WalOptions::default()
        };
        let opened = Wal::open(Arc::clone(&fs), &layout::wal(dir), wal_options, &mut |_, bytes| replay.record(bytes));
        let Replay { registry, mut data, exemplars, mut judge, epoch, newest_flush, .. } = replay;
        let (wal, wal_report) = opened?;
        report.wal = wal_report;
        report.samples = data.count();
        report.series = registry.len();
        stats.replay_orphans.store(report.orphans, Relaxed);

        data.blocks = Arc::new(blocks);
        if let Some(newest) = data.newest() {
            // A block may have gone while the store was closed.
            data.note_unsure(newest);
        }
        judge.epoch = epoch + 1;
        judge.next_flush = newest_flush.max(manifest.flushed) + 1;
        judge.adopt(&registry, &data);
        let head_bytes = AtomicUsize::new(data.bytes());
        let clock = Clock::load(fs.as_ref(), dir, data.newest(), now, options.retention_pause_ms);
        if clock.is_doubted() {
            stats.retention_pauses.fetch_add(1, Relaxed);
            let believed = clock.believed();
            tracing::warn!(now, believed, "the clock is far ahead of what the store knows: retention by age is paused");
        }
        let shared = Arc::new(Shared {
            judge: Mutex::new(judge),
            registry: RwLock::new(registry),
            data: RwLock::new(data),
            exemplars: RwLock::new(exemplars),
            cut: Mutex::default(),
            head_bytes,
            retention: RwLock::new((0, Arc::new(options.retention()))),
            believed: AtomicI64::new(clock.believed()),
            retention_paused: AtomicBool::new(clock.is_doubted()),
            options,
            stats,
            refusals: Refusals::default(),
        });
        let maintenance = Mutex::new(Maintenance {
            manifest,
            next_seq,
            orphans: Vec::new(),
            last_flush: now,
            clock,
            frozen_from: None,
            exemplars_unread,
            expired: HashMap::new(),
            sound: HashMap::new(),
            outdated: outdated::list(fs.as_ref(), dir)?,
            tombstones: deleted,
        });
        let db = Db { shared, wal, fs, dir: dir.to_owned(), cache, maintenance, tiers, _lock: lock };
        // What was too old before the stop must not be seen again until the first maintenance, which sets a damaged block
        // aside and tries again what failed.
        if db.shared.drops_before(now).is_some()
            && let Err(error) = db.expire_classes(&mut db.maintenance.lock(), now, false)
        {
            tracing::error!(%error, "series that are too old for their class may be seen until the first maintenance");
        }
        Ok((Arc::new(db), report))
    }

    /// Keeps other processes away from the store.
    pub(crate) fn lock(fs: &dyn Fs, dir: &Path) -> Result<FsLock, Error> {
        fs.lock(&layout::lock(dir)).map_err(|source| match source.kind() {
            std::io::ErrorKind::WouldBlock => Error::Locked { dir: dir.to_owned() },
            _ => Error::Io { action: "lock", path: layout::lock(dir), source },
        })
    }
}

/// The manifest; an empty one for a new store, `None` for one that cannot be read.
fn read_manifest(fs: &dyn Fs, dir: &Path, report: &mut OpenReport) -> Result<Option<Manifest>, Error> {
    let found = directory::read_manifest(fs, dir, &Manifest::default().encode(), Manifest::decode)?;
    Ok(found.map_err(|reason| report.manifest_damage = Some(reason)).ok())
}

/// The deletes whose samples are not out of all blocks yet.
fn read_tombstones(fs: &dyn Fs, dir: &Path, report: &mut OpenReport) -> Result<Deletes, Error> {
    Ok(tombstones::load(fs, dir)?.unwrap_or_else(|reason| {
        let path = tombstones::path(dir);
        tracing::error!(path = %path.display(), reason, "the file of deletes is damaged and was set aside");
        // Where it cannot be renamed the next delete replaces it.
        let _ = fs.rename(&path, &path.with_extension("damaged"));
        report.tombstone_damage = Some(reason);
        Deletes::default()
    }))
}

/// How often a file is read before an error that says nothing about it is taken for one that lasts.
pub(crate) const TRIES: usize = 3;

/// Opens the blocks of the manifest, in the order of their ranks. Damaged ones leave the manifest.
fn open_blocks(
    fs: &dyn Fs,
    dir: &Path,
    manifest: &mut Manifest,
    cache: &Arc<PageCache>,
    tombstones: &[Tombstone],
    report: &mut OpenReport,
    now: TimestampMs,
) -> Result<Vec<Arc<Block>>, Error> {
    let mut blocks = Vec::new();
    let mut kept = Vec::new();
    for seq in std::mem::take(&mut manifest.blocks) {
        let path = layout::block(dir, seq);
        let open = || {
            let block = Block::open(fs, &path, Arc::clone(cache))?;
            tombstones.iter().try_for_each(|tombstone| tombstone.hide_in(&block))?;
            Ok(block)
        };
        // An error that passes must not cost a block: a counter of deltas would begin anew without it.
        let passes = |opened: &Result<Block, Error>| match opened {
            Err(Error::Io { source, .. }) => !directory::says_damaged(source),
            _ => false,
        };
        let mut opened = open();
        for _ in 1..TRIES {
            if passes(&opened) {
                opened = open();
            }
        }
        match opened {
            Ok(block) => {
                kept.push(seq);
                blocks.push(Arc::new(block));
            }
            Err(Error::Io { source, .. }) if !directory::says_damaged(&source) => {
                // The file may be sound and the system short of something: it stays, and the next start tries again.
                tracing::error!(block = %path.display(), error = %source, "a block cannot be opened");
                kept.push(seq);
                report.unavailable.push(Quarantined { path, reason: source.to_string() });
            }
            Err(error @ Error::UnknownVersion { version, .. }) => {
                // One of an older format has its end: it is told once. One of a newer format waits for its program.
                if version < OLDEST
                    && let Ok(path) = outdated::set_aside(fs, &path, now)
                {
                    report.quarantined.push(Quarantined { path, reason: error.to_string() });
                    continue;
                }
                tracing::error!(%error, "a block is left alone");
                kept.push(seq);
                report.unavailable.push(Quarantined { path, reason: error.to_string() });
            }
            Err(error) => report.quarantined.push(set_aside(fs, &path, &error)),
        }
    }
    manifest.blocks = kept;
    blocks.sort_by_key(|block| block.meta().rank);
    Ok(blocks)
}

/// Renames a damaged block, so that it is kept for a look and never opened again.
pub(crate) fn set_aside(fs: &dyn Fs, path: &Path, error: &Error) -> Quarantined {
    let reason = match error {
        Error::Io { source, .. } => source.to_string(),
        other => other.to_string(),
    };
    directory::set_aside(fs, path, reason)
}

/// What comes back from the WAL.
struct Replay<'r> {
    registry: Registry,
    data: Data,
    exemplars: Exemplars,
    /// Reads the exemplars of the file again: it has those before the last flush, less what was deleted.
    flushed_exemplars: &'r dyn Fn() -> Option<Exemplars>,
    /// Whether there are exemplars of the log among them.
    has_logged_exemplars: bool,
    judge: Judge,
    flushed: u64,
    newest_flush: u64,
    epoch: u32,
    /// Slots as the records number them, to slots of the new head; of one epoch.
    slots: Renumbered,
    /// What came with a checkpoint whose end has not been read.
    cursors: Vec<(StreamId, sonde_model::Cursor)>,
    metadata: Vec<(String, Metadata)>,
    /// Without a manifest a checkpoint counts if the WAL begins with it: the WAL is only cut after a flush.
    trusts_first_checkpoint: bool,
    report: &'r mut OpenReport,
}

impl<'r> Replay<'r> {
    fn new(
        flushed: u64,
        trusts_first_checkpoint: bool,
        exemplars: Exemplars,
        flushed_exemplars: &'r dyn Fn() -> Option<Exemplars>,
        report: &'r mut OpenReport,
    ) -> Self {
        Replay {
            registry: Registry::default(),
            data: Data::default(),
            exemplars,
            flushed_exemplars,
            has_logged_exemplars: false,
            judge: Judge::default(),
            flushed,
            newest_flush: 0,
            epoch: 0,
            slots: Renumbered::default(),
            cursors: Vec::new(),
            metadata: Vec::new(),
            trusts_first_checkpoint,
            report,
        }
    }

    fn record(&mut self, bytes: &[u8]) {
        if let Err(error) = self.read(bytes) {
            self.report.unreadable_records += 1;
            self.report.first_unreadable.get_or_insert_with(|| error.to_string());
        }
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        match record::read(bytes)? {
            Record::Batch(batch) => return self.batch(batch),
            Record::Cursors(cursors) => self.cursors.extend(cursors),
            Record::Metadata(metadata) => {
                self.metadata.extend(metadata.into_iter().map(|(name, entry)| (name.to_owned(), entry)));
            }
            Record::Checkpoint { flush, epoch } => {
                let counts = flush <= self.flushed || self.trusts_first_checkpoint;
                let (cursors, metadata) = (std::mem::take(&mut self.cursors), std::mem::take(&mut self.metadata));
                if counts {
                    // All that came before is in blocks, and what is remembered of it came with the checkpoint. What
                    // lacks its definition belongs to a part of the WAL that was being cut.
                    self.report.orphans = 0;
                    self.report.orphan_exemplars = 0;
                    self.registry = Registry::default();
                    self.data = Data::default();
                    if std::mem::take(&mut self.has_logged_exemplars)
                        && let Some(flushed) = (self.flushed_exemplars)()
                    {
                        self.exemplars = flushed;
                    }
                    self.judge.streams = Streams::of(Signal::Metrics);
                    cursors.into_iter().for_each(|(stream, cursor)| self.judge.streams.restore(stream, cursor));
                    self.data.metadata = metadata.into_iter().collect();
                }
                self.newest_flush = self.newest_flush.max(flush);
                self.begin_epoch(u32::try_from(epoch).map_err(|_| DecodeError::OutOfRange)?);
            }
        }
        Ok(())
    }

    fn batch(&mut self, batch: BatchRecord<'_>) -> Result<(), DecodeError> {
        self.trusts_first_checkpoint = false;
        let epoch = u32::try_from(batch.epoch).map_err(|_| DecodeError::OutOfRange)?;
        if epoch != self.epoch {
            self.begin_epoch(epoch);
        }
        if let Some((id, checksum)) = batch.cursor {
            self.judge.streams.record(id, checksum);
        }
        for (name, entry) in &batch.metadata {
            self.data.metadata.insert((*name).to_owned(), entry.clone());
        }
        let agent = batch.cursor.map(|(id, _)| id.agent);
        let Replay { registry, data, exemplars, has_logged_exemplars, slots, report, .. } = self;
        batch.walk(&mut |item| match item {
            Item::Definition { slot, labels } => {
                let series = registry.find(labels).unwrap_or_else(|| {
                    let series = registry.insert(labels);
                    agent.inspect(|agent| registry.owners_mut().assign(series.slot, *agent));
                    series
                });
                slots.insert(slot, series.slot);
            }
            Item::Sample { slot, timestamp, start, value } => match slots.get(slot) {
                Some(slot) => data.apply(slot, timestamp, start, &value),
                None => report.orphans += 1,
            },
            Item::Exemplar { slot, exemplar } => match slots.get(slot) {
                Some(slot) => {
                    exemplars.insert(&registry.labels(slot), exemplar);
                    *has_logged_exemplars = true;
                }
                None => report.orphan_exemplars += 1,
            },
        })
    }

    fn begin_epoch(&mut self, epoch: u32) {
        self.epoch = epoch;
        self.slots.clear();
    }
}
