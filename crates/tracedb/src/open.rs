//! Opening a store: manifest, blocks, then the WAL from the last flush on. Damage is set aside and reported.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering::Relaxed};

use parking_lot::{Mutex, RwLock};
use sonde_disk::blocks::clock::Clock;
use sonde_disk::blocks::directory::{self, Quarantined};
use sonde_disk::blocks::layout;
use sonde_disk::{Fs, Position, Wal, WalOptions, write_atomic};
use sonde_model::{Signal, StreamId, Streams, TimestampMs};

use crate::block::{Block, Cached, PageCache};
use crate::chunk::Chunk;
use crate::codec::DecodeError;
use crate::cut::Cut;
use crate::data::Data;
use crate::db::{Maintenance, TraceDb};
use crate::judge::Judge;
use crate::manifest::Manifest;
use crate::options::ns_to_ms;
use crate::record::{self, Record};
use crate::shared::Shared;
use crate::{Error, Options, Stats};

/// What opening a store found.
#[derive(Debug, Default)]
pub struct OpenReport {
    /// What the WAL says about itself: records, the tail that was cut, damage.
    pub wal: sonde_disk::OpenReport,
    /// Blocks that were opened.
    pub blocks: usize,
    /// Blocks that were set aside because they are damaged: their spans are not in the answers.
    pub quarantined: Vec<Quarantined>,
    /// Blocks that could not be opened this time, for a reason that is not theirs: their spans are not in the answers.
    pub unavailable: Vec<Quarantined>,
    /// Why the manifest could not be read. All blocks that can be read were taken instead.
    pub manifest_damage: Option<String>,
    /// Spans that came back from the WAL.
    pub spans: u64,
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
            || self.unreadable_records > 0
    }
}

impl TraceDb {
    /// Opens the store in `dir`, which is made if it is not there. Damage is set aside and reported, never a reason
    /// not to start.
    pub fn open(
        fs: Arc<dyn Fs>,
        dir: &Path,
        options: Options,
        now: TimestampMs,
    ) -> Result<(Arc<TraceDb>, OpenReport), Error> {
        let blocks_dir = layout::blocks(dir);
        fs.create_dir_all(&blocks_dir).map_err(TraceDb::io("create", &blocks_dir))?;
        let lock = fs.lock(&layout::lock(dir)).map_err(|source| match source.kind() {
            std::io::ErrorKind::WouldBlock => Error::Locked { dir: dir.to_owned() },
            _ => Error::Io { action: "lock", path: layout::lock(dir), source },
        })?;
        let mut report = OpenReport::default();
        let stats = Stats::default();
        let cache = Arc::new(PageCache::new(options.cache_bytes, Cached::bytes));
        let listed = directory::list_blocks(fs.as_ref(), dir)?;
        let known = read_manifest(fs.as_ref(), dir, &mut report)?;
        let mut manifest = match &known {
            Some(manifest) => manifest.clone(),
            None => Manifest { blocks: listed.iter().copied().collect(), ..Manifest::default() },
        };
        let next_seq = listed.iter().chain(&manifest.blocks).max().map_or(1, |seq| seq + 1);
        if known.is_some() {
            directory::remove_leftovers(fs.as_ref(), dir, &listed, &manifest.blocks);
        }
        let blocks = open_blocks(fs.as_ref(), dir, &mut manifest, &cache, &mut report)?;
        if known.as_ref() != Some(&manifest) {
            let path = layout::manifest(dir);
            write_atomic(fs.as_ref(), &path, &manifest.encode()).map_err(TraceDb::io("write", &path))?;
        }
        stats.blocks_quarantined.store(report.quarantined.len() as u64, Relaxed);
        report.blocks = blocks.len();

        let manifest_is_lost = report.manifest_damage.is_some();
        let mut replay = Replay::new(&manifest, manifest_is_lost, &mut report);
        let wal_options = WalOptions {
            segment_bytes: options.wal_segment_bytes,
            max_pending_bytes: options.wal_pending_bytes,
            max_record_bytes: options.wal_record_bytes,
            ..WalOptions::default()
        };
        let opened = Wal::open(Arc::clone(&fs), &layout::wal(dir), wal_options, &mut |at, bytes| {
            replay.record(at, bytes);
        });
        let Replay { mut data, mut judge, cut, newest_flush, .. } = replay;
        let (wal, wal_report) = opened?;
        report.wal = wal_report;
        report.spans = data.spans();

        data.blocks = Arc::new(blocks);
        judge.next_flush = newest_flush.max(manifest.flushed) + 1;
        let head_bytes = AtomicUsize::new(data.bytes());
        let newest = data.newest().map(ns_to_ms);
        let clock = Clock::load(fs.as_ref(), dir, newest, now, options.retention_pause_ms);
        if clock.is_doubted() {
            stats.retention_pauses.fetch_add(1, Relaxed);
            let believed = clock.believed();
            tracing::warn!(now, believed, "the clock is far ahead of what the store knows: retention by age is paused");
        }
        let shared = Arc::new(Shared {
            judge: Mutex::new(judge),
            data: RwLock::new(data),
            cut: Mutex::new(cut),
            head_bytes,
            believed: AtomicI64::new(clock.believed()),
            retention_paused: AtomicBool::new(clock.is_doubted()),
            options,
            stats,
        });
        let maintenance = Mutex::new(Maintenance {
            manifest,
            next_seq,
            orphans: Vec::new(),
            last_flush: now,
            clock,
            frozen_from: None,
        });
        let db = TraceDb { shared, wal, fs, dir: dir.to_owned(), cache, maintenance, _lock: lock };
        Ok((Arc::new(db), report))
    }
}

/// The manifest; an empty one for a new store, `None` for one that cannot be read.
fn read_manifest(fs: &dyn Fs, dir: &Path, report: &mut OpenReport) -> Result<Option<Manifest>, Error> {
    let found = directory::read_manifest(fs, dir, &Manifest::default().encode(), Manifest::decode)?;
    Ok(found.map_err(|reason| report.manifest_damage = Some(reason)).ok())
}

/// Opens the blocks of the manifest, in the order of their numbers. Damaged ones leave the manifest.
fn open_blocks(
    fs: &dyn Fs,
    dir: &Path,
    manifest: &mut Manifest,
    cache: &Arc<PageCache>,
    report: &mut OpenReport,
) -> Result<Vec<Arc<Block>>, Error> {
    let mut blocks = Vec::new();
    let mut kept = Vec::new();
    for seq in std::mem::take(&mut manifest.blocks) {
        let path = layout::block(dir, seq);
        match Block::open(fs, &path, Arc::clone(cache)) {
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
            Err(error) => report.quarantined.push(set_aside(fs, &path, &error)),
        }
    }
    manifest.blocks = kept;
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
    data: Data,
    judge: Judge,
    cut: Cut,
    flushed: u64,
    /// Batches before this position are in blocks.
    in_blocks: u64,
    newest_flush: u64,
    /// What came with a checkpoint whose end has not been read.
    cursors: Vec<(StreamId, sonde_model::Cursor)>,
    /// Without a manifest a checkpoint counts if the WAL begins with it: the WAL is only cut after a flush.
    trusts_first_checkpoint: bool,
    report: &'r mut OpenReport,
}

impl<'r> Replay<'r> {
    fn new(manifest: &Manifest, trusts_first_checkpoint: bool, report: &'r mut OpenReport) -> Self {
        Replay {
            data: Data::default(),
            judge: Judge::new(manifest.position.max(1)),
            cut: Cut::default(),
            flushed: manifest.flushed,
            in_blocks: manifest.position,
            newest_flush: 0,
            cursors: Vec::new(),
            trusts_first_checkpoint,
            report,
        }
    }

    fn record(&mut self, at: Position, bytes: &[u8]) {
        if let Err(error) = self.read(at, bytes) {
            self.report.unreadable_records += 1;
            self.report.first_unreadable.get_or_insert_with(|| error.to_string());
        }
    }

    fn read(&mut self, at: Position, bytes: &[u8]) -> Result<(), DecodeError> {
        match record::read(bytes)? {
            Record::Batch { position, cursor, body } => {
                self.trusts_first_checkpoint = false;
                self.judge.next_position = self.judge.next_position.max(position.saturating_add(1));
                self.cut.saw(at, position);
                if let Some((id, checksum)) = cursor {
                    self.judge.streams.record(id, checksum);
                }
                if position >= self.in_blocks {
                    self.data.active.push(Arc::new(Chunk::parse(body)?));
                }
            }
            Record::Cursors(cursors) => self.cursors.extend(cursors),
            Record::Checkpoint { flush, position } => {
                let counts = flush <= self.flushed || self.trusts_first_checkpoint;
                let cursors = std::mem::take(&mut self.cursors);
                if counts {
                    // All that came before is in blocks, and what is remembered of it came with the checkpoint.
                    self.data = Data::default();
                    self.judge.streams = Streams::of(Signal::Traces);
                    cursors.into_iter().for_each(|(stream, cursor)| self.judge.streams.restore(stream, cursor));
                }
                self.judge.next_position = self.judge.next_position.max(position);
                self.newest_flush = self.newest_flush.max(flush);
            }
        }
        Ok(())
    }
}
