//! A copy of the store while it runs: blocks as hard links, and the checkpoint that names the cursors.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::sync_channel;

use sonde_disk::blocks::layout;
use sonde_disk::{Wal, WalError, WalOptions, write_atomic};
use sonde_model::TimestampMs;

use crate::db::{Db, Maintenance};
use crate::delete::tombstones;
use crate::record::{self, Record};
use crate::{Error, exemplar};

impl Db {
    /// Makes `dir`, which must not exist and has to be on the same file system, a store with everything that was durable
    /// before the call: the head is flushed, blocks are linked and take no further space until the store drops them.
    /// Complete and durable when this returns; after an error nothing is left of it.
    pub fn snapshot(&self, dir: &Path, now: TimestampMs) -> Result<(), Error> {
        let mut maintenance = self.maintenance.lock();
        self.flush_locked(&mut maintenance, now)?;
        if self.fs.exists(dir).map_err(Db::io("look for", dir))? {
            let source = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
            return Err(Error::Io { action: "create", path: dir.to_owned(), source });
        }
        let made = self.snapshot_tiers(dir, now).and_then(|()| self.link_into(&maintenance, dir));
        if made.is_err() {
            // What cannot be removed is no store: it has no manifest.
            let _ = self.fs.remove_dir_all(dir);
        }
        self.shared.stats.snapshots.fetch_add(u64::from(made.is_ok()), Relaxed);
        made
    }

    fn link_into(&self, maintenance: &Maintenance, dir: &Path) -> Result<(), Error> {
        let blocks = layout::blocks(dir);
        self.fs.create_dir_all(&blocks).map_err(Db::io("create", &blocks))?;
        for seq in &maintenance.manifest.blocks {
            let (from, to) = (layout::block(&self.dir, *seq), layout::block(dir, *seq));
            self.fs.hard_link(&from, &to).map_err(Db::io("link", &from))?;
        }
        self.fs.sync_dir(&blocks).map_err(Db::io("sync", &blocks))?;
        tombstones::store(self.fs.as_ref(), dir, maintenance.manifest.flushed, &maintenance.tombstones)?;
        exemplar::file::copy(self.fs.as_ref(), &self.dir, dir)?;
        self.copy_checkpoint(maintenance, &layout::wal(dir))?;
        // The manifest comes last: without it there is no store.
        let manifest = layout::manifest(dir);
        write_atomic(self.fs.as_ref(), &manifest, &maintenance.manifest.encode()).map_err(Db::io("write", &manifest))
    }

    /// Copies the checkpoint of the last flush, so that agents may repeat batches to the copy, too.
    fn copy_checkpoint(&self, maintenance: &Maintenance, dir: &Path) -> Result<(), Error> {
        let mut pieces: Vec<Vec<u8>> = Vec::new();
        // What readers of the log hold back lies before it, and may be much.
        let last_flush = self.shared.cut.lock().last_flush();
        let mut reader = self.wal.reader(last_flush.unwrap_or_else(|| self.wal.start()));
        // Damage behind which nothing but pieces of a checkpoint came, of which it may have taken some.
        let mut damage = None;
        loop {
            let bytes = match reader.next() {
                Ok(None) => return damage.map_or(Ok(()), |error: WalError| Err(error.into())),
                Ok(Some((_, _, bytes))) => bytes,
                Err(error @ WalError::Damaged(_)) => {
                    damage = Some(error);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            match record::read(&bytes) {
                Ok(Record::Cursors(_) | Record::Metadata(_)) => pieces.push(bytes),
                Ok(Record::Checkpoint { flush, .. }) if flush == maintenance.manifest.flushed => {
                    pieces.push(bytes);
                    return damage.map_or_else(|| self.write_checkpoint(pieces, dir), |error| Err(error.into()));
                }
                _ => {
                    pieces.clear();
                    damage = None;
                }
            }
        }
    }

    fn write_checkpoint(&self, pieces: Vec<Vec<u8>>, dir: &Path) -> Result<(), Error> {
        let max_record_bytes = self.shared.options.wal_record_bytes;
        let options = WalOptions { max_record_bytes, max_pending_bytes: 2 * max_record_bytes, ..WalOptions::default() };
        let (wal, _) = Wal::open(Arc::clone(&self.fs), dir, options, &mut |_, _| {})?;
        for piece in pieces {
            let (sender, durable) = sync_channel(1);
            // The receiver waits below until this is sent.
            wal.append(piece, Box::new(move |result| drop(sender.send(result))))?;
            durable.recv().unwrap_or(Err(WalError::Closed))?;
        }
        wal.close();
        Ok(())
    }
}
