//! Whether every byte of a store is sound.

use std::collections::BTreeSet;
use std::path::PathBuf;

use sonde_disk::blocks::clock::Clock;
use sonde_disk::blocks::layout;
use sonde_disk::wal::DamageReason;

use super::inspect::in_words;
use super::report::{Damage, Verification};
use super::{Examiner, Progress};
use crate::Error;
use crate::block::outdated;
use crate::db::Db;
use crate::delete::tombstones::{self, Tombstone};
use crate::exemplar;
use crate::tier::fed::{self, Fed};

impl Examiner {
    /// Reads everything, checks every checksum and whether what is read fits together. Errors: a disk that refuses to
    /// be read in a way that says nothing of the files.
    pub fn verify(&self, progress: &mut Progress<'_>) -> Result<Verification, Error> {
        let total = self.read_bytes()?;
        let mut found = Verification::default();
        self.verify_into(&mut found, 0, total, progress)?;
        progress(total, total);
        Ok(found)
    }

    /// Verifies the store and its tiers when `before` of `total` bytes were read; gives how many then are.
    fn verify_into(
        &self,
        found: &mut Verification,
        before: u64,
        total: u64,
        progress: &mut Progress<'_>,
    ) -> Result<u64, Error> {
        if let Some(reason) = &self.manifest_damage {
            let reason = format!("{reason}; all blocks that can be read count");
            found.add(whole(layout::manifest(&self.dir), reason));
        }
        let deletes = self.small_files(found)?;
        let mut done = before;
        for seq in &self.blocks {
            let path = layout::block(&self.dir, *seq);
            let len = self.len(&path);
            let mut read = 0;
            let mut told = |bytes: u64| {
                read += bytes;
                progress(done + read.min(len), total);
            };
            match self.block(*seq) {
                Ok(block) => {
                    if block.meta().seq != *seq {
                        found.add(whole(
                            path.clone(),
                            format!("the block says that its number is {}", block.meta().seq),
                        ));
                    }
                    for flaw in block.flaws(&mut told) {
                        let path = path.clone();
                        found.add(Damage { path, range: flaw.range, reason: flaw.reason, lost: flaw.lost });
                    }
                    found.samples += block.meta().samples;
                    for delete in &deletes {
                        if let Err(error) = delete.hide_in(&block) {
                            found.add(whole(path.clone(), format!("deletes cannot be applied: {}", in_words(&error))));
                        }
                    }
                }
                Err(Error::UnknownVersion { version, .. }) => {
                    let name = path.display();
                    found.notes.push(format!("{name}: of format version {version}, which this release does not read"));
                }
                Err(error) => found.add(whole(path, in_words(&error))),
            }
            found.blocks += 1;
            done += len;
            found.bytes += len;
            progress(done, total);
        }
        self.log(found, done, total, progress)?;
        self.others(found)?;
        done += self.log_bytes()?;
        for tier in &self.tiers {
            done = tier.verify_into(found, done, total, progress)?;
        }
        Ok(done)
    }

    /// Files that are read as a whole; gives the deletes.
    fn small_files(&self, found: &mut Verification) -> Result<Vec<Tombstone>, Error> {
        let (fs, dir) = (self.fs.as_ref(), self.dir.as_path());
        let (manifest, deletes, clock) = (layout::manifest(dir), tombstones::path(dir), layout::clock(dir));
        for path in [manifest, deletes, exemplar::file::path(dir), clock, fed::path(dir)] {
            found.bytes += self.len(&path);
        }
        if let Err(reason) = Fed::check(fs, dir) {
            found.add(whole(fed::path(dir), format!("{reason}; the days of the tier are fed again")));
        }
        if let Err(reason) = exemplar::file::check(fs, dir)? {
            found.add(whole(exemplar::file::path(dir), reason));
        }
        if let Err(reason) = Clock::check(fs, dir) {
            found.add(whole(layout::clock(dir), reason));
        }
        match tombstones::load(fs, dir)? {
            Ok(deletes) => Ok(deletes.tombstones),
            Err(reason) => {
                found.add(whole(tombstones::path(dir), reason));
                Ok(Vec::new())
            }
        }
    }

    fn log(&self, found: &mut Verification, done: u64, total: u64, progress: &mut Progress<'_>) -> Result<(), Error> {
        let log = self.read_log(done, total, progress)?;
        let dir = layout::wal(&self.dir);
        found.bytes += log.bytes;
        found.records = log.report.records;
        for lost in &log.report.damage {
            let segment = dir.join(format!("{:012}.wal", lost.from.segment));
            let end = if lost.to.segment == lost.from.segment { lost.to.offset } else { self.len(&segment) };
            let records = match lost.lost_records {
                Some(1) => "1 record is lost".to_owned(),
                Some(n) => format!("{n} records are lost"),
                None => "it is not known how many records are lost".to_owned(),
            };
            let range =
                (lost.reason != DamageReason::MissingRecords).then(|| lost.from.offset..end.max(lost.from.offset));
            found.add(Damage { path: segment, range, reason: format!("{}: {records}", lost.reason), lost: None });
        }
        found.unlisted += log.report.unlisted_damage;
        if let Some(tail) = log.report.truncated_tail {
            found.notes.push(format!(
                "the log ends with {} bytes at {} that no sync covered: the next start cuts them, nothing acknowledged is in them",
                tail.bytes, tail.at
            ));
        }
        if let Some(reason) = log.first_unreadable {
            let reason =
                format!("{} records pass their checksum and cannot be read; the first: {reason}", log.unreadable);
            found.add(whole(dir.clone(), reason));
        }
        if log.orphans > 0 {
            let reason = format!("{} samples or exemplars belong to series whose definition is lost", log.orphans);
            found.add(whole(dir, reason));
        }
        Ok(())
    }

    /// What lies beside the blocks that count.
    fn others(&self, found: &mut Verification) -> Result<(), Error> {
        let dir = layout::blocks(&self.dir);
        let counting: BTreeSet<u64> = self.blocks.iter().copied().collect();
        for entry in self.fs.list(&dir).map_err(Db::io("list", &dir))? {
            let path = dir.join(&entry.name);
            let told = match layout::block_seq(&entry.name) {
                Some(seq) if counting.contains(&seq) => continue,
                Some(_) => "a left-over block; the next start removes it",
                None if entry.name.ends_with(".damaged") => "a block that was set aside; nothing reads it",
                None if entry.name.contains(outdated::MARK) => {
                    "a block of an old format that was set aside; nothing reads it"
                }
                None => "no file of the store",
            };
            found.notes.push(format!("{}: {told}", path.display()));
        }
        Ok(())
    }
}

fn whole(path: PathBuf, reason: String) -> Damage {
    Damage { path, range: None, reason, lost: None }
}
