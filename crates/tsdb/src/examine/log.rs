//! The write-ahead log as an opening would read it.

use std::collections::{HashMap, HashSet};

use sonde_disk::blocks::layout;
use sonde_disk::{Wal, WalError};
use sonde_model::TimestampMs;

use super::report::LogUse;
use super::{Examiner, Progress};
use crate::Error;
use crate::codec::DecodeError;
use crate::db::Db;
use crate::record::{self, Item, Record};

/// Which series a slot of an epoch stands for, as a hash of its labels.
type Slots = HashMap<u32, u64, foldhash::fast::RandomState>;

impl Examiner {
    /// Bytes of the files of the log.
    pub(super) fn log_bytes(&self) -> Result<u64, Error> {
        let dir = layout::wal(&self.dir);
        if !self.fs.exists(&dir).map_err(Db::io("look for", &dir))? {
            return Ok(0);
        }
        let entries = self.fs.list(&dir).map_err(Db::io("list", &dir))?;
        Ok(entries.iter().filter(|entry| !entry.is_dir).map(|entry| entry.len).sum())
    }

    /// Reads the log. `before` of `total` bytes were read when this begins.
    pub(super) fn read_log(&self, before: u64, total: u64, progress: &mut Progress<'_>) -> Result<LogUse, Error> {
        let bytes = self.log_bytes()?;
        let mut reading = Reading::new(self.flushed, self.manifest_damage.is_some());
        if bytes > 0 {
            let mut read = 0;
            let report = Wal::examine(self.fs.as_ref(), &layout::wal(&self.dir), &mut |_, record| {
                read += record.len() as u64;
                progress(before + read.min(bytes), total);
                reading.record(record);
            });
            reading.found.report = report.map_err(|error: WalError| Error::Wal(error))?;
        }
        reading.found.bytes = bytes;
        reading.found.series = reading.series.len() as u64;
        Ok(reading.found)
    }
}

struct Reading {
    flushed: u64,
    trusts_first_checkpoint: bool,
    epoch: u64,
    slots: Slots,
    series: HashSet<u64, foldhash::fast::RandomState>,
    hasher: foldhash::fast::RandomState,
    found: LogUse,
}

impl Reading {
    fn new(flushed: u64, trusts_first_checkpoint: bool) -> Self {
        Reading {
            flushed,
            trusts_first_checkpoint,
            epoch: 0,
            slots: Slots::default(),
            series: HashSet::default(),
            hasher: foldhash::fast::RandomState::default(),
            found: LogUse::default(),
        }
    }

    fn record(&mut self, bytes: &[u8]) {
        if let Err(error) = self.read(bytes) {
            self.found.unreadable += 1;
            self.found.first_unreadable.get_or_insert_with(|| error.to_string());
        }
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        let batch = match record::read(bytes)? {
            Record::Batch(batch) => batch,
            Record::Cursors(_) | Record::Metadata(_) => return Ok(()),
            Record::Checkpoint { flush, epoch } => {
                if flush <= self.flushed || self.trusts_first_checkpoint {
                    // All that came before is in blocks; what lacks its definition was being cut.
                    let (report, unreadable) = (std::mem::take(&mut self.found.report), self.found.unreadable);
                    let first_unreadable = self.found.first_unreadable.take();
                    self.found = LogUse { report, unreadable, first_unreadable, ..LogUse::default() };
                    self.series.clear();
                }
                self.epoch = epoch;
                self.slots.clear();
                return Ok(());
            }
        };
        self.trusts_first_checkpoint = false;
        if batch.epoch != self.epoch {
            self.epoch = batch.epoch;
            self.slots.clear();
        }
        let Reading { slots, series, hasher, found, .. } = self;
        batch.walk(&mut |item| match item {
            Item::Definition { slot, labels } => {
                slots.insert(slot, std::hash::BuildHasher::hash_one(hasher, labels));
            }
            Item::Sample { slot, timestamp, .. } => match slots.get(&slot) {
                Some(of) => {
                    series.insert(*of);
                    found.samples += 1;
                    let widen = |known: Option<TimestampMs>, pick: fn(i64, i64) -> i64| {
                        Some(known.map_or(timestamp, |known| pick(known, timestamp)))
                    };
                    found.min_time = widen(found.min_time, i64::min);
                    found.max_time = widen(found.max_time, i64::max);
                }
                None => found.orphans += 1,
            },
            Item::Exemplar { slot, .. } => match slots.contains_key(&slot) {
                true => found.exemplars += 1,
                false => found.orphans += 1,
            },
        })
    }
}
