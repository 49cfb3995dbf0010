//! What a store holds and what its bytes are for.

use sonde_disk::blocks::layout;

use super::report::{Inspection, MetricUse};
use super::{Examiner, Progress};
use crate::block::usage::Metrics;
use crate::db::Db;
use crate::delete::tombstones;
use crate::tier::fed;
use crate::{Error, ballast, exemplar};

impl Examiner {
    /// Reads all blocks and the log. A block that cannot be read is listed with the reason.
    pub fn inspect(&self, progress: &mut Progress<'_>) -> Result<Inspection, Error> {
        let total = self.read_bytes()?;
        let inspection = self.inspect_behind(&mut 0, total, progress)?;
        progress(total, total);
        Ok(inspection)
    }

    /// Inspects the store and its tiers; `done` of `total` bytes are read.
    fn inspect_behind(&self, done: &mut u64, total: u64, progress: &mut Progress<'_>) -> Result<Inspection, Error> {
        let mut inspection = Inspection::default();
        let mut metrics = Metrics::new();
        for seq in &self.blocks {
            let path = layout::block(&self.dir, *seq);
            let len = self.len(&path);
            let mut read = 0;
            let mut of_block = Metrics::new();
            let usage = self.block(*seq).and_then(|block| {
                block.usage(&mut of_block, &mut |bytes| {
                    read += bytes;
                    progress(*done + read.min(len), total);
                })
            });
            match usage {
                Ok(usage) => {
                    inspection.blocks.push(usage);
                    add(&mut metrics, of_block);
                }
                Err(error) => inspection.unreadable.push((path, in_words(&error))),
            }
            *done += len;
            progress(*done, total);
        }
        inspection.blocks.sort_by_key(|block| (block.min_time, block.seq));
        inspection.log = self.read_log(*done, total, progress)?;
        *done += self.log_bytes()?;
        let small = [
            layout::manifest(&self.dir),
            tombstones::path(&self.dir),
            exemplar::file::path(&self.dir),
            layout::clock(&self.dir),
            ballast::path(&self.dir),
            fed::path(&self.dir),
        ];
        for path in small {
            if self.fs.exists(&path).map_err(Db::io("look for", &path))? {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                inspection.files.push((name, self.len(&path)));
            }
        }
        inspection.metrics = metrics.into_iter().map(|(name, used)| MetricUse { name, ..used }).collect();
        inspection.metrics.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
        for tier in &self.tiers {
            inspection.tiers.push((tier.name(), tier.inspect_behind(done, total, progress)?));
        }
        Ok(inspection)
    }

    /// Bytes of all blocks that count.
    pub(super) fn block_bytes(&self) -> u64 {
        self.blocks.iter().map(|seq| self.len(&layout::block(&self.dir, *seq))).sum()
    }
}

fn add(metrics: &mut Metrics, more: Metrics) {
    for (name, used) in more {
        let metric = metrics.entry(name).or_default();
        metric.series += used.series;
        metric.samples += used.samples;
        metric.bytes += used.bytes;
    }
}

/// An error without the path that stands beside it.
pub(super) fn in_words(error: &Error) -> String {
    match error {
        Error::DamagedBlock { reason, .. } => reason.clone(),
        Error::Io { source, .. } => source.to_string(),
        other => other.to_string(),
    }
}
