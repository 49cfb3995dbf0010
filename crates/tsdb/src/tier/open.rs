//! Opening the tiers of a store, and what is done to a store and to its tiers alike.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use parking_lot::Mutex;
use sonde_disk::Fs;
use sonde_model::{Matcher, TimestampMs};

use super::fed::Fed;
use super::{DAY_MS, MAX_TIERS, State, TIERS, Tier, TierOptions};
use crate::{Db, Error, Options, Retention};

impl Tier {
    /// Opens the tiers of a store in `dir`, the finest first.
    pub(crate) fn open_all(
        fs: &Arc<dyn Fs>,
        dir: &Path,
        options: &Options,
        now: TimestampMs,
    ) -> Result<Vec<Tier>, Error> {
        let mut wanted = options.tiers.clone();
        wanted.sort_by_key(|tier| tier.step_ms);
        if let Some(wrong) = wanted.iter().find(|tier| tier.step_ms <= 0 || DAY_MS % tier.step_ms != 0) {
            return Err(Error::InvalidTier { step_ms: wrong.step_ms });
        }
        wanted.truncate(MAX_TIERS);
        wanted.into_iter().map(|tier| Tier::open(fs, dir, options, tier, now)).collect()
    }

    fn open(
        fs: &Arc<dyn Fs>,
        dir: &Path,
        options: &Options,
        tier: TierOptions,
        now: TimestampMs,
    ) -> Result<Self, Error> {
        let dir = directory(dir, tier.step_ms);
        let Retention { keep_ms, classes } = tier.retention(&options.retention());
        let options = Options {
            retention_ms: keep_ms,
            retention_classes: classes,
            retention_bytes: None,
            ballast_bytes: 0,
            max_exemplars: 0,
            cache_bytes: options.cache_bytes / 4,
            tiers: Vec::new(),
            ..options.clone()
        };
        let (db, report) = Db::open(Arc::clone(fs), &dir, options, now)?;
        if report.is_damaged() {
            tracing::error!(?report, "damage in the tier {}: what could be read is there", dir.display());
        }
        let fed = Fed::load(fs.as_ref(), &dir);
        let fed_until = AtomicI64::new(fed.days.keys().next_back().map_or(TimestampMs::MIN, |day| (day + 1) * DAY_MS));
        Ok(Tier { options: tier, db, state: Mutex::new(State { fed, not_before: TimestampMs::MIN }), fed_until })
    }
}

impl TierOptions {
    /// How long the tier of a store with this retention keeps which series: classes that go earlier than the others go
    /// from the tier as early, and those that stay longer stay as long.
    fn retention(&self, of_store: &Retention) -> Retention {
        let mut classes = of_store.classes.clone();
        for class in classes.iter_mut().filter(|class| class.keep_ms >= of_store.keep_ms) {
            class.keep_ms = class.keep_ms.max(self.keep_ms);
        }
        Retention { keep_ms: self.keep_ms, classes }
    }
}

impl Db {
    /// Brings a change of the retention to the tiers.
    pub(crate) fn retain_tiers(&self, retention: &Retention) {
        self.tiers.iter().for_each(|tier| tier.db.set_retention(tier.options.retention(retention)));
    }

    /// Deletes in all tiers what is deleted in the store.
    pub(crate) fn delete_from_tiers(
        &self,
        selectors: &[Vec<Matcher>],
        (from, to): (TimestampMs, TimestampMs),
        now: TimestampMs,
    ) -> Result<(), Error> {
        self.tiers.iter().try_for_each(|tier| tier.db.delete(selectors.to_vec(), from, to, now))
    }

    /// Makes snapshots of all tiers for one of the store in `dir`.
    pub(crate) fn snapshot_tiers(&self, dir: &Path, now: TimestampMs) -> Result<(), Error> {
        for tier in &self.tiers {
            let dir = directory(dir, tier.options.step_ms);
            tier.db.snapshot(&dir, now)?;
            tier.state.lock().fed.store(self.fs.as_ref(), &dir)?;
        }
        Ok(())
    }

    /// Bytes and samples of each tier, with its step in milliseconds.
    pub fn tier_status(&self) -> Vec<(TierOptions, crate::HeadStatus, TimestampMs)> {
        let status = |tier: &Tier| (tier.options, tier.db.status(), tier.fed_until.load(Relaxed));
        self.tiers.iter().map(status).collect()
    }
}

/// Where the tier of a store in `dir` lies: its step in seconds names it, or in milliseconds where that is none.
pub(super) fn directory(dir: &Path, step_ms: i64) -> PathBuf {
    let name = if step_ms % 1000 == 0 { format!("{}s", step_ms / 1000) } else { format!("{step_ms}ms") };
    dir.join(TIERS).join(name)
}
