//! Sends what a shard has of a round: request by request, each until the receiver has taken or refused it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use sonde_otlp::exporter::{Backoff, BackoffOptions};
use sonde_proto::remote_write::Version;
use sonde_runtime::Clock;
use sonde_tsdb::Db;
use tokio_util::sync::CancellationToken;

use super::attempt::{Attempt, Sender};
use super::body::{self, Entry, Value};
use super::setup::Target;
use super::stats::{TargetStats, add};

/// What an attempt that has begun may still take when everything ends.
const LAST_ATTEMPT: Duration = Duration::from_secs(5);
/// A receiver that asks to be left alone is left alone, up to this.
const MAX_ASKED: Duration = Duration::from_secs(300);

/// The end came before the receiver had everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stopped;

/// What all shards of a target share.
#[derive(Debug)]
pub(super) struct Shards {
    pub(super) target: Arc<Target>,
    pub(super) sender: Sender,
    pub(super) stats: Arc<TargetStats>,
    pub(super) db: Arc<Db>,
    pub(super) clock: Clock,
    pub(super) token: CancellationToken,
}

impl Shards {
    /// Sends everything of a shard, in order.
    pub(super) async fn send(&self, mut entries: VecDeque<Entry>) -> Result<(), Stopped> {
        while !entries.is_empty() {
            let count = entries.len().min(self.target.max_samples);
            let request: Vec<Entry> = entries.drain(..count).collect();
            self.request(&request).await?;
        }
        Ok(())
    }

    /// Sends a request. One that is refused is sent again record by record: what one sender got wrong, or what the
    /// receiver has already, must not cost what came with it. A receiver of 2.0 takes what is good of itself.
    async fn request(&self, entries: &[Entry]) -> Result<(), Stopped> {
        let (version, attempt) = self.until_answered(entries).await?;
        let (first, last) = (entries.first().map(|e| e.record), entries.last().map(|e| e.record));
        match attempt {
            Attempt::Refused { status: 400, .. } if version == Version::V1 && first != last => {
                for record in entries.chunk_by(|a, b| a.record == b.record) {
                    let (_, attempt) = self.until_answered(record).await?;
                    self.count(record, &attempt);
                }
            }
            attempt => self.count(entries, &attempt),
        }
        Ok(())
    }

    /// Tries until the receiver has taken or refused the entries; with the version in which it did.
    async fn until_answered(&self, entries: &[Entry]) -> Result<(Version, Attempt), Stopped> {
        loop {
            let version = self.version();
            let metadata = (self.target.metadata && version == Version::V2).then_some(&*self.db);
            let body = body::body(version, entries, metadata);
            match self.post(version, &body, None).await? {
                // A shard may meet it after another one has.
                Attempt::UnknownVersion(reason) => {
                    if self.stats.fall_back(self.clock.now_ms()) {
                        let name = &self.target.name;
                        tracing::warn!(target_name = name, "remote write 1.0 is sent for an hour, not 2.0: {reason}");
                    }
                }
                attempt => return Ok((version, attempt)),
            }
        }
    }

    /// The version that the receiver knows.
    pub(super) fn version(&self) -> Version {
        if self.stats.has_fallen_back(self.clock.now_ms()) { Version::V1 } else { self.target.version }
    }

    /// Posts a body until there is an answer that is final, at most so often.
    pub(super) async fn post(&self, version: Version, body: &[u8], most: Option<u32>) -> Result<Attempt, Stopped> {
        let options = BackoffOptions {
            initial: self.target.min_backoff,
            max: self.target.max_backoff.max(self.target.min_backoff),
            max_asked: MAX_ASKED,
        };
        let mut backoff = Backoff::new(options, fastrand::u64(..));
        for attempt in 0.. {
            add(&self.stats.bytes, body.len() as u64);
            let outcome = tokio::select! {
                outcome = self.sender.post(version, body, attempt, self.clock.now_ms()) => outcome,
                () = self.too_late() => return Err(Stopped),
            };
            let (after, reason) = match outcome {
                Attempt::Retry { after, reason } if most.is_none_or(|most| attempt + 1 < most) => (after, reason),
                other => {
                    if let Attempt::Refused { reason, .. }
                    | Attempt::Partly(_, reason)
                    | Attempt::Retry { reason, .. } = &other
                    {
                        self.stats.failed(self.clock.now_ms(), reason);
                    }
                    return Ok(other);
                }
            };
            add(&self.stats.retries, 1);
            self.stats.failed(self.clock.now_ms(), &reason);
            let wait = backoff.next_delay(after);
            tracing::debug!(target_name = self.target.name, "a request is sent again in {wait:?}: {reason}");
            tokio::select! {
                () = self.clock.sleep(wait) => {}
                () = self.token.cancelled() => return Err(Stopped),
            }
        }
        Err(Stopped)
    }

    async fn too_late(&self) {
        self.token.cancelled().await;
        tokio::time::sleep(LAST_ATTEMPT).await;
    }

    fn count(&self, entries: &[Entry], attempt: &Attempt) {
        let stats = &self.stats;
        let all = entries.len() as u64;
        let (taken, refused) = match attempt {
            Attempt::Taken => {
                add(&stats.requests, 1);
                let kinds = |is: fn(&Value) -> bool| entries.iter().filter(|entry| is(&entry.value)).count() as u64;
                let floats = kinds(|v| matches!(v, Value::Float(_)));
                let histograms = kinds(|v| matches!(v, Value::Histogram(_)));
                ([floats, histograms, all - floats - histograms], 0)
            }
            Attempt::Partly(written, _) => (*written, all.saturating_sub(written.iter().sum())),
            _ => ([0; 3], all),
        };
        add(&stats.samples, taken[0]);
        add(&stats.histograms, taken[1]);
        add(&stats.exemplars, taken[2]);
        if taken != [0; 3] {
            let newest = entries.iter().filter(|entry| !matches!(entry.value, Value::Exemplar(_)));
            if let Some(newest) = newest.map(|entry| entry.timestamp).max() {
                stats.newest.fetch_max(newest, Relaxed);
            }
        }
        if refused > 0 {
            add(&stats.refused, refused);
            if let Attempt::Refused { reason, .. } | Attempt::Partly(_, reason) = attempt {
                tracing::warn!(
                    target_name = self.target.name,
                    "{refused} of {all} samples are lost to the receiver: {reason}"
                );
            }
        }
    }
}
