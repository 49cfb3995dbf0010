//! Reads committed spans, and writes what is derived from them into the metrics store, each exactly once.
//!
//! It is synchronous and blocks for the disk; [`super::task`] calls it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc;

use sonde_disk::Fs;
use sonde_disk::checksum::crc32;
use sonde_model::{AgentId, BatchId, Exemplar, Labels, Signal, TimestampMs};
use sonde_tracedb::{Committed, Position, TraceDb};
use sonde_tsdb::{
    AppendError, Batch, BatchExemplar, BatchSample, BatchValue, Db, Metadata, MetricKind, Source, StreamId,
};

use super::journal::{Journal, State};
use super::row::Row;
use super::service_graph::{GraphOptions, ServiceGraph};
use super::span_metrics::SpanMetrics;
use super::stats::{DeriveStats, add};

/// How far the last sample may be ahead of the clock before it is waited for the clock.
const CLOCK_TOLERANCE_MS: i64 = 60_000;
/// The label of exemplars that carries the id of the trace: Tempo's.
const TRACE_ID: &str = "traceID";
/// How often a batch is put together again because a series left the head in between.
const STALE_RETRIES: usize = 3;

/// What is derived, within which bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct DeriveOptions {
    /// Label sets of the metrics of spans at most; `None` where they are not wanted.
    pub(super) span_metrics: Option<usize>,
    /// The service graph, where it is wanted.
    pub(super) service_graph: Option<GraphOptions>,
    /// After how many spans of a backlog a step ends: what grew becomes durable, and the log may be cut.
    pub(super) spans_per_step: usize,
}

/// Derives metrics from one span store into one metrics store.
#[derive(Debug)]
pub(super) struct Deriver {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    spans: Arc<TraceDb>,
    metrics: Arc<Db>,
    stats: Arc<DeriveStats>,
    id: AgentId,
    /// What is durable in the metrics store.
    state: State,
    reader: Option<Committed>,
    span_metrics: Option<SpanMetrics>,
    service_graph: Option<ServiceGraph>,
    pending: Option<Pending>,
    /// Whether everything that was committed has been read.
    caught_up: bool,
    spans_per_step: usize,
}

/// A batch that is not known to be durable yet. It stays as it is until it is.
#[derive(Debug)]
struct Pending {
    state: State,
    rows: Vec<Row>,
    noted: bool,
}

/// Why nothing was derived this time. It is tried again; nothing is lost.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeriveError {
    /// The files of the derivation cannot be read or written.
    #[error("the state in {dir}")]
    Journal {
        /// Where the files lie.
        dir: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The metrics store does not take the batch.
    #[error("the metrics store does not take what was derived")]
    Refused(#[from] AppendError),
    /// The metrics store could not make the batch durable.
    #[error("the metrics store could not write what was derived")]
    NotWritten(#[source] sonde_tsdb::Error),
    /// The metrics store went away.
    #[error("the metrics store is closed")]
    Closed,
    /// The clock was set back.
    #[error("the clock is {behind_ms} ms behind the last sample that was derived; it is waited for")]
    ClockBehind {
        /// How far.
        behind_ms: i64,
    },
}

impl Deriver {
    /// Goes on where the metrics store says that the derivation stands.
    pub(super) fn open(
        fs: Arc<dyn Fs>,
        dir: &Path,
        spans: Arc<TraceDb>,
        metrics: Arc<Db>,
        options: DeriveOptions,
        stats: Arc<DeriveStats>,
    ) -> Result<Self, DeriveError> {
        let failed = |source| DeriveError::Journal { dir: dir.to_path_buf(), source };
        let journal = Journal { fs: &*fs, dir };
        let known = journal.read().map_err(failed)?;
        let holds = |state: &&State| state.id.parse().is_ok_and(|id| mark(&metrics, id) == state.seq);
        let state = if let Some(state) = known.iter().find(holds) {
            state.clone()
        } else {
            let newest = known.iter().max_by_key(|state| state.position);
            if newest.is_some() {
                tracing::error!(
                    "the metrics store does not know what was derived last from spans: one of the two stores was exchanged; \
                     what was derived around that moment may be missing"
                );
            }
            let id = AgentId(fastrand::u128(..).to_be_bytes()).to_string();
            let state = State { id, seq: 0, ..newest.cloned().unwrap_or_default() };
            journal.write(&state).map_err(failed)?;
            state
        };
        let id = state.id.parse().map_err(|e| failed(io::Error::other(e)))?;
        Ok(Deriver {
            dir: dir.to_path_buf(),
            spans,
            metrics,
            stats,
            id,
            reader: None,
            span_metrics: options.span_metrics.map(SpanMetrics::new),
            service_graph: options.service_graph.map(|o| ServiceGraph::new(o, state.open.clone())),
            pending: None,
            caught_up: false,
            spans_per_step: options.spans_per_step,
            state,
            fs,
        })
    }

    /// Whether the last step read everything that was committed. If not, there is work for another one at once.
    pub(super) fn is_caught_up(&self) -> bool {
        self.caught_up
    }

    /// Derives from what was committed since the last time, a bounded part of it, and waits until that is durable.
    pub(super) fn step(&mut self, now: TimestampMs) -> Result<(), DeriveError> {
        let pending = match self.pending.take() {
            Some(pending) => pending,
            None => match self.read(now)? {
                Some(pending) => pending,
                None => return Ok(()),
            },
        };
        let pending = self.pending.insert(pending);
        if !pending.noted {
            let failed = |source| DeriveError::Journal { dir: self.dir.clone(), source };
            Journal { fs: &*self.fs, dir: &self.dir }.write(&pending.state).map_err(failed)?;
            pending.noted = true;
        }
        let refused = append(&self.metrics, self.id, pending, now)?;
        add(&self.stats.refused, refused);
        add(&self.stats.batches, 1);
        if let Some(done) = self.pending.take() {
            self.state = done.state;
        }
        if let Err(e) = self.spans.release_before(Position(self.state.position)) {
            let why = sonde_runtime::stage::with_causes(&e);
            tracing::warn!("the log of spans could not be cut behind what was derived: {why}");
        }
        Ok(())
    }

    /// The next batch; `None` where nothing was committed and nothing is in sight.
    fn read(&mut self, now: TimestampMs) -> Result<Option<Pending>, DeriveError> {
        // A delta must be newer than the last sample of its series, and the 0 of a new series comes before it.
        let timestamp = now.max(self.state.timestamp.saturating_add(2));
        if timestamp > now.saturating_add(CLOCK_TOLERANCE_MS) {
            return Err(DeriveError::ClockBehind { behind_ms: timestamp - now });
        }
        let position = self.consume(now);
        let mut rows = Vec::new();
        if let Some(metrics) = &mut self.span_metrics {
            metrics.collect(now, &mut rows);
        }
        // Without a graph what waits is kept for the day on which there is one again.
        let mut open = self.state.open.clone();
        if let Some(graph) = &mut self.service_graph {
            // What is missing may lie in what has not been read.
            if self.caught_up {
                graph.expire(now);
            }
            graph.collect(now, &mut rows);
            open = graph.open();
            let decided = graph.decided();
            self.stats.requests.store(decided.counted, Relaxed);
            self.stats.expired.store(decided.expired, Relaxed);
            self.stats.too_many_open.store(decided.too_many_open, Relaxed);
            self.stats.too_many_pairs.store(decided.too_many_pairs, Relaxed);
            self.stats.open.store(open.len() as u64, Relaxed);
        }
        if rows.is_empty() && position == self.state.position && open == self.state.open {
            return Ok(None);
        }
        let state = State { id: self.state.id.clone(), seq: self.state.seq + 1, position, timestamp, open };
        Ok(Some(Pending { state, rows, noted: false }))
    }

    /// Counts the spans of the batches that are there, up to a bound; the position behind the last.
    fn consume(&mut self, now: TimestampMs) -> u64 {
        let mut left = self.spans_per_step;
        self.caught_up = false;
        let mut position = self.state.position;
        let mut reader = self.reader.take().unwrap_or_else(|| self.spans.committed(Position(position)));
        while left > 0 {
            match reader.next() {
                Ok(Some((behind, spans))) => {
                    position = behind.0;
                    left = left.saturating_sub(spans.len());
                    add(&self.stats.spans, spans.len() as u64);
                    for span in &spans {
                        if let Some(Err(_)) = self.span_metrics.as_mut().map(|metrics| metrics.count(span, now)) {
                            add(&self.stats.too_many_label_sets, 1);
                        }
                        if let Some(graph) = &mut self.service_graph {
                            graph.take(span, now);
                        }
                    }
                }
                Ok(None) => {
                    self.caught_up = true;
                    break;
                }
                Err(sonde_tracedb::Error::Unreadable { reason }) => {
                    add(&self.stats.unreadable, 1);
                    tracing::error!("a batch of spans cannot be read, nothing is derived from it: {reason}");
                }
                // What was read so far is good. The next step begins behind it with a new reader.
                Err(e) => {
                    add(&self.stats.failures, 1);
                    let why = sonde_runtime::stage::with_causes(&e);
                    tracing::warn!("the log of spans cannot be read, it is tried again: {why}");
                    return position;
                }
            }
        }
        self.reader = Some(reader);
        position
    }
}

/// How many batches of this derivation the metrics store has.
fn mark(metrics: &Db, id: AgentId) -> u64 {
    let stream = StreamId { agent: id, epoch: 1, signal: Signal::Traces };
    metrics.cursors().iter().find(|(known, _)| *known == stream).map_or(0, |(_, cursor)| cursor.mark())
}

/// Hands a batch to the metrics store and waits until it is durable; how many counters were refused.
fn append(metrics: &Db, id: AgentId, pending: &Pending, now: TimestampMs) -> Result<u64, DeriveError> {
    let State { seq, position, timestamp, .. } = pending.state;
    let checksum = crc32(format!("{seq} {position} {timestamp}").as_bytes());
    let cursor = Some((BatchId { agent: id, epoch: 1, signal: Signal::Traces, seq }, checksum));
    for attempt in 0.. {
        let Prepared { samples, exemplars, no_room } = prepare(metrics, pending);
        let metadata = metadata(&pending.rows);
        let (sender, durable) = mpsc::sync_channel(1);
        // Whoever asked has gone where nobody listens.
        let told = move |result| drop(sender.send(result));
        match metrics.append(
            Batch { source: Source::Push, cursor, samples, starts: Vec::new(), metadata, exemplars },
            now,
            told,
        ) {
            Ok(outcome) => {
                durable.recv().map_err(|_| DeriveError::Closed)?.map_err(DeriveError::NotWritten)?;
                return Ok(no_room + outcome.rejected.len() as u64);
            }
            Err(AppendError::StaleRef) if attempt < STALE_RETRIES => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(AppendError::StaleRef.into())
}

/// What a batch becomes in the metrics store.
struct Prepared {
    samples: Vec<BatchSample>,
    exemplars: Vec<BatchExemplar>,
    /// Counters that found no room in the head.
    no_room: u64,
}

/// Resolves the series of a batch. Exemplars have the time of the batch, as Tempo's do: so none is too old.
fn prepare(metrics: &Db, pending: &Pending) -> Prepared {
    let mut samples = Vec::with_capacity(pending.rows.len());
    let (mut exemplars, mut no_room) = (Vec::new(), 0);
    for row in &pending.rows {
        let labels: Vec<(&str, &str)> = row.labels.iter().map(|(name, value)| (*name, &**value)).collect();
        let Ok(series) = metrics.series_ref(&labels) else {
            no_room += 1;
            continue;
        };
        let timestamp = pending.state.timestamp;
        if row.fresh {
            samples.push(BatchSample { series, timestamp: timestamp - 1, value: BatchValue::FloatDelta(0.0) });
        }
        samples.push(BatchSample { series, timestamp, value: BatchValue::FloatDelta(row.growth) });
        if let Some(observed) = row.observed {
            let labels = Labels::from_sorted(&[(TRACE_ID, &observed.trace.to_string())]);
            let exemplar = Exemplar { labels, value: observed.value, timestamp };
            exemplars.push(BatchExemplar { series, exemplar });
        }
    }
    Prepared { samples, exemplars, no_room }
}

/// What is known of the metrics of a batch.
fn metadata(rows: &[Row]) -> Vec<(String, Metadata)> {
    const KNOWN: [(&str, MetricKind, &str, &str); 7] = [
        ("traces_spanmetrics_calls_total", MetricKind::Counter, "", "Spans."),
        ("traces_spanmetrics_size_total", MetricKind::Counter, "bytes", "Bytes of spans."),
        ("traces_spanmetrics_latency", MetricKind::Histogram, "seconds", "Durations of spans."),
        ("traces_service_graph_request_total", MetricKind::Counter, "", "Requests between two services."),
        ("traces_service_graph_request_failed_total", MetricKind::Counter, "", "Failed requests between two services."),
        ("traces_service_graph_request_server_seconds", MetricKind::Histogram, "seconds", "As the server saw them."),
        ("traces_service_graph_request_client_seconds", MetricKind::Histogram, "seconds", "As the client saw them."),
    ];
    if rows.iter().all(|row| !row.fresh) {
        return Vec::new();
    }
    let told = |(name, kind, unit, help): (&str, MetricKind, &str, &str)| {
        (name.to_owned(), Metadata { kind, help: help.to_owned(), unit: unit.to_owned() })
    };
    KNOWN.into_iter().map(told).collect()
}

#[cfg(test)]
mod tests;
