//! What is counted of what is sent on. The owner exports it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

/// For so long a receiver that does not know 2.0 is not asked again.
const TRY_AGAIN_MS: u64 = 3_600_000;

/// The targets that there are, with their counters.
#[derive(Debug, Default)]
pub(crate) struct ExportStats {
    targets: Mutex<BTreeMap<String, Arc<TargetStats>>>,
}

/// What is counted of one target since the start.
#[derive(Debug, Default)]
pub(crate) struct TargetStats {
    /// Float samples that the receiver has taken.
    pub(crate) samples: AtomicU64,
    /// Native histograms that the receiver has taken.
    pub(crate) histograms: AtomicU64,
    /// Exemplars that the receiver has taken.
    pub(crate) exemplars: AtomicU64,
    /// Entries of metadata that the receiver has taken.
    pub(crate) metadata: AtomicU64,
    /// Requests that were answered with success.
    pub(crate) requests: AtomicU64,
    /// Bytes of bodies that were sent, also in vain.
    pub(crate) bytes: AtomicU64,
    /// Attempts that failed and were made again.
    pub(crate) retries: AtomicU64,
    /// Samples, histograms and exemplars that the receiver did not want (4xx).
    pub(crate) refused: AtomicU64,
    /// Metadata that was not told in time; it comes again.
    pub(crate) metadata_failed: AtomicU64,
    /// Those that the rules of relabelling dropped.
    pub(crate) dropped_by_rules: AtomicU64,
    /// Those that are not sent because the configuration says so.
    pub(crate) dropped_kind: AtomicU64,
    /// Those that were older than `sample_age_limit`.
    pub(crate) dropped_old: AtomicU64,
    /// Those whose series is not known, because the log was damaged or cut.
    pub(crate) dropped_unknown: AtomicU64,
    /// Records of the log that were cut before they were sent.
    pub(crate) skipped_records: AtomicU64,
    /// The newest sample that the receiver has, in milliseconds; a state, no counter.
    pub(crate) newest: AtomicI64,
    /// The position behind which nothing was sent; a state.
    pub(crate) position: AtomicU64,
    /// Whether the end of the log was reached; a state.
    pub(crate) caught_up: AtomicBool,
    /// When the receiver was found not to know 2.0, in milliseconds; 0 if it was not. A state.
    fell_back: AtomicI64,
    /// Bytes that the round in memory takes, as they were counted when it was read; a state.
    pub(crate) round_bytes: AtomicU64,
    /// The last failure, and when it was.
    pub(crate) last_failure: Mutex<Option<(i64, String)>>,
}

impl ExportStats {
    /// The counters of a target, which stay when it is changed.
    pub(crate) fn of(&self, name: &str) -> Arc<TargetStats> {
        Arc::clone(self.targets.lock().entry(name.to_owned()).or_default())
    }

    /// Forgets targets that are not configured any more.
    pub(super) fn keep(&self, is_kept: impl Fn(&str) -> bool) {
        self.targets.lock().retain(|name, _| is_kept(name));
    }

    /// All targets by name.
    pub(crate) fn all(&self) -> Vec<(String, Arc<TargetStats>)> {
        self.targets.lock().iter().map(|(name, stats)| (name.clone(), Arc::clone(stats))).collect()
    }
}

impl TargetStats {
    /// Whether 1.0 is spoken because the receiver does not know 2.0. Now and then that is tried again: it may have been
    /// replaced by one that does.
    pub(crate) fn has_fallen_back(&self, now_ms: i64) -> bool {
        let at = self.fell_back.load(Relaxed);
        at != 0 && now_ms.abs_diff(at) < TRY_AGAIN_MS
    }

    /// The receiver does not know 2.0; whether that was not known already.
    pub(super) fn fall_back(&self, now_ms: i64) -> bool {
        let was_known = self.has_fallen_back(now_ms);
        self.fell_back.store(now_ms.max(1), Relaxed);
        !was_known
    }

    /// What is known of the receiver may not hold any more.
    pub(super) fn expect_anything(&self) {
        self.fell_back.store(0, Relaxed);
    }

    /// Remembers why something failed.
    pub(super) fn failed(&self, now_ms: i64, reason: &str) {
        *self.last_failure.lock() = Some((now_ms, reason.to_owned()));
    }
}

/// Adds to a counter.
pub(super) fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Relaxed);
}
