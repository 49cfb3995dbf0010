//! The metrics store as rules need it: queries under the limits of queries, appends that wait for the disk.

use std::sync::Arc;

use arc_swap::ArcSwap;
use sonde_alerting::OutputSample;
use sonde_model::{Series, TimestampMs};
use sonde_promql::{Control, Engine, EngineOptions, Expr, Interrupt, QueryError, QueryResult, SampleValue, Value};
use sonde_runtime::Clock;
use sonde_tsdb::{AppendError, Batch, BatchSample, BatchValue, Db, Source};

use crate::anomaly::AnomalyStore;
use crate::config::Config;
use crate::query::{StoreSource, TimedSource};
use crate::rules::{Appended, RuleStore};

/// How often a batch is put together again because a series left the head in between.
const STALE_RETRIES: usize = 3;

/// The store of a collector whose store is open.
pub(crate) struct StoreForRules {
    db: Arc<Db>,
    clock: Clock,
    config: Arc<ArcSwap<Config>>,
}

impl StoreForRules {
    /// The store `db` under the limits of the configuration of the moment.
    pub(crate) fn new(db: Arc<Db>, clock: Clock, config: Arc<ArcSwap<Config>>) -> Self {
        StoreForRules { db, clock, config }
    }

    /// Asks under the limits of queries, until `stopped` says that nobody wants the answer.
    fn ask(
        &self,
        stopped: &(dyn Fn() -> bool + Sync),
        query: impl FnOnce(&Engine, TimedSource<'_>, &Control<'_>) -> Result<QueryResult, QueryError>,
    ) -> Result<QueryResult, QueryError> {
        let config = self.config.load();
        let engine = Engine::new(EngineOptions {
            lookback_ms: config.query.lookback.0.as_millis() as i64,
            max_samples: usize::try_from(config.query.max_samples).unwrap_or(usize::MAX),
            max_bytes: usize::try_from(config.query.max_memory.0).unwrap_or(usize::MAX),
            max_series: config.query.max_series,
            ..EngineOptions::default()
        });
        let source = StoreSource::new(Arc::clone(&self.db), config.query.max_series);
        let deadline = self.clock.monotonic().saturating_add(config.query.timeout.0);
        let expired = || {
            let late = || (self.clock.monotonic() >= deadline).then_some(Interrupt::Timeout);
            if stopped() { Some(Interrupt::Canceled) } else { late() }
        };
        query(&engine, source.within(&expired), &Control { expired: &expired })
    }

    /// Resolves the series and hands the samples over; `None` where a series left the head in between.
    fn try_append(&self, samples: &[OutputSample]) -> Result<Option<Appended>, String> {
        let mut refused = 0;
        let source = Source::Rules;
        let mut batch = Batch {
            source,
            cursor: None,
            samples: Vec::new(),
            starts: Vec::new(),
            metadata: Vec::new(),
            exemplars: Vec::new(),
        };
        for sample in samples {
            let labels: Vec<(&str, &str)> = sample.labels.iter().collect();
            let Ok(series) = self.db.series_ref(&labels) else {
                refused += 1;
                continue;
            };
            let value = match &sample.value {
                SampleValue::Float(v) => BatchValue::Float(*v),
                SampleValue::Histogram(h) => BatchValue::Histogram(h.clone()),
            };
            batch.samples.push(BatchSample { series, timestamp: sample.timestamp, value });
        }
        let (sender, durable) = tokio::sync::oneshot::channel();
        let told = move |result| drop(sender.send(result));
        let outcome = match self.db.append(batch, self.clock.now_ms(), told) {
            Ok(outcome) => outcome,
            Err(AppendError::StaleRef) => return Ok(None),
            Err(e) => return Err(sonde_runtime::stage::with_causes(&e)),
        };
        match durable.blocking_recv() {
            Ok(Ok(())) => {
                let rejected = refused + outcome.rejected.len() as u64;
                Ok(Some(Appended { accepted: outcome.accepted + outcome.duplicates, rejected }))
            }
            Ok(Err(e)) => Err(sonde_runtime::stage::with_causes(&e)),
            Err(_) => Err("the store is closed".into()),
        }
    }
}

impl RuleStore for StoreForRules {
    fn query(&self, expr: &Expr, at: TimestampMs) -> Result<QueryResult, QueryError> {
        self.ask(&|| false, |engine, source, control| engine.instant(&source, expr, at, control))
    }

    fn append(&self, samples: Vec<OutputSample>) -> Result<Appended, String> {
        for _ in 0..STALE_RETRIES {
            if let Some(appended) = self.try_append(&samples)? {
                return Ok(appended);
            }
        }
        Err("series leave the head faster than they are looked up".into())
    }
}

impl AnomalyStore for StoreForRules {
    fn query_range(
        &self,
        expr: &Expr,
        start: TimestampMs,
        end: TimestampMs,
        step_ms: i64,
        stopped: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<Series>, QueryError> {
        let ask = |engine: &Engine, source: TimedSource<'_>, control: &Control<'_>| {
            engine.range(&source, expr, start, end, step_ms, control)
        };
        match self.ask(stopped, ask)?.value {
            Value::Matrix(series) => Ok(series),
            other => Err(QueryError::execution(format!("a range query gave a {}", other.kind()))),
        }
    }
}
