//! The road of samples into the store: decode, check, resolve the series, append, and answer when it is durable.
//!
//! Both protocols end in [`Ingest::append`]. What is refused is refused one by one, with a reason and a counter; the rest
//! of the request is kept.

mod agents;
mod budget;
mod buffers;
mod import;
mod label_hash;
mod labels;
mod memo;
mod metadata;
mod metrics;
mod otlp_sink;
mod refusals;
mod remote_write;
mod series_key;
mod starts;
mod stats;
mod traces;
mod translators;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed};

use arc_swap::ArcSwap;
use sonde_runtime::Clock;
use sonde_tsdb::{AppendError, Batch, Db, Outcome, SeriesRef};
use tokio::sync::oneshot;

pub(crate) use agents::{AgentSeen, Agents};
pub(crate) use budget::{Budget, Reservation};
pub(crate) use buffers::Buffers;
pub(crate) use import::{Imported, Row as ImportRow};
pub use labels::{LabelProblem, normalise};
pub(crate) use metrics::ConsumeError;
pub(crate) use remote_write::{Stored, WriteError, Written};
pub(crate) use stats::{IngestStats, OtlpResults};
pub(crate) use traces::{SpanIngest, SpanStats};

use crate::config::Config;
use label_hash::LabelHasher;
use memo::{Found, Memo};
use metadata::{KnownMetadata, News};
use translators::Translators;

/// How often a batch is put together again because a series left the head in between. Each time all of its series are
/// looked up anew, so that a second time needs two flushes within the same milliseconds.
const STALE_RETRIES: usize = 3;

/// Takes samples in.
#[derive(Debug)]
pub(crate) struct Ingest {
    db: Arc<Db>,
    clock: Clock,
    config: Arc<ArcSwap<Config>>,
    hasher: LabelHasher,
    translators: Translators,
    series: Memo<SeriesRef>,
    /// How many series had left the head when the memo forgot them.
    removed_seen: AtomicU64,
    /// How often what was resolved was forgotten because of other limits.
    generation: AtomicU64,
    metadata: Arc<KnownMetadata>,
    budget: Budget,
    buffers: Buffers,
    stats: IngestStats,
    agents: Agents,
}

/// Why a batch was not stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IngestError {
    /// There is no room now.
    #[error("busy: {0}; send again later")]
    Busy(String),
    /// The batch number was taken by another content.
    #[error("{0}")]
    Conflict(String),
    /// The batch is larger than the store takes.
    #[error("{0}")]
    TooLarge(String),
    /// The store cannot write.
    #[error("{0}")]
    Unavailable(String),
}

/// A batch that was judged and is on its way to the disk.
#[derive(Debug)]
pub(crate) struct Pending {
    durable: oneshot::Receiver<Result<(), sonde_tsdb::Error>>,
    metadata: Arc<KnownMetadata>,
    news: News,
}

/// Whether series may be found in the memo, or have to be asked of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resolution {
    Memoised,
    Fresh,
}

impl Ingest {
    /// The road into `db`.
    pub(crate) fn new(db: Arc<Db>, clock: Clock, config: Arc<ArcSwap<Config>>) -> Self {
        let limits = &config.load().ingest;
        let hasher = LabelHasher::new();
        Ingest {
            db,
            clock,
            translators: Translators::new(hasher.clone()),
            hasher,
            series: Memo::new(limits.memo_series),
            removed_seen: AtomicU64::new(0),
            generation: AtomicU64::new(0),
            metadata: Arc::new(KnownMetadata::new()),
            budget: Budget::new(usize::try_from(limits.max_inflight.0).unwrap_or(usize::MAX)),
            buffers: Buffers::default(),
            stats: IngestStats::default(),
            agents: Agents::default(),
            config,
        }
    }

    /// What is counted.
    pub(crate) fn stats(&self) -> &IngestStats {
        &self.stats
    }

    /// The agents that sent batches.
    pub(crate) fn agents(&self) -> &Agents {
        &self.agents
    }

    /// Memory for decompressed bodies.
    pub(crate) fn buffers(&self) -> &Buffers {
        &self.buffers
    }

    /// The memory that requests may take.
    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The memo of known series.
    pub(crate) fn series_memo(&self) -> &Memo<SeriesRef> {
        &self.series
    }

    /// Forgets series that have left the store's head, if any have since the last call: nobody writes to most of them
    /// again.
    pub(crate) fn forget_gone(&self) {
        let removed = self.db.stats().series_removed.load(Relaxed);
        if self.removed_seen.swap(removed, Relaxed) != removed {
            self.series.retain(|series| self.db.is_current(*series));
        }
    }

    /// Forgets what was resolved under limits that no longer hold. Called once the new configuration is in place.
    pub(crate) fn forget_memo(&self) {
        self.generation.fetch_add(1, AcqRel);
        self.series.clear();
    }

    /// What the keys of series bear for as long as the configuration is the same: what a request that is on its way through
    /// a reload teaches the memo is then not found. To be asked for before the configuration is loaded.
    fn salt(&self) -> u128 {
        self.hasher.hash(label_hash::Domain::Generation, &self.generation.load(Acquire).to_le_bytes())
    }

    /// Hands a batch to the store; `prepare` puts it together, and again where a series left the head meanwhile.
    fn append(&self, mut prepare: impl FnMut(Resolution) -> Batch) -> Result<(Outcome, Pending), IngestError> {
        let mut resolution = Resolution::Memoised;
        for _ in 0..STALE_RETRIES {
            let (sender, durable) = oneshot::channel();
            let told = move |result| {
                // A client that has left does not need to know.
                let _ = sender.send(result);
            };
            match self.db.append(prepare(resolution), self.clock.now_ms(), told) {
                Ok(outcome) => {
                    let metadata = Arc::clone(&self.metadata);
                    return Ok((outcome, Pending { durable, metadata, news: News::default() }));
                }
                Err(AppendError::StaleRef) => resolution = Resolution::Fresh,
                Err(e) => return Err(IngestError::from(e)),
            }
        }
        Err(IngestError::Busy("series leave the head faster than they are looked up".into()))
    }
}

impl Pending {
    /// Metadata that came with the batch: known once it is on disk.
    fn with_news(mut self, news: News) -> Self {
        self.news = news;
        self
    }

    /// Waits until the batch is on disk.
    pub(crate) async fn durable(self) -> Result<(), IngestError> {
        match self.durable.await {
            Ok(Ok(())) => {
                self.metadata.learn(self.news);
                Ok(())
            }
            Ok(Err(e)) => Err(IngestError::Unavailable(sonde_runtime::stage::with_causes(&e))),
            Err(_) => Err(IngestError::Unavailable("the store is closed".into())),
        }
    }
}

impl From<AppendError> for IngestError {
    fn from(error: AppendError) -> Self {
        let text = sonde_runtime::stage::with_causes(&error);
        match error {
            AppendError::CursorConflict { .. } => IngestError::Conflict(text),
            AppendError::Busy { reason } => IngestError::Busy(reason.to_owned()),
            AppendError::TooLarge { .. } => IngestError::TooLarge(text),
            AppendError::Wal { .. } | AppendError::Closed | AppendError::StaleRef => IngestError::Unavailable(text),
        }
    }
}
