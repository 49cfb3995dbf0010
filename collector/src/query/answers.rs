//! What queries share: results that are kept, questions that are being answered, and threads that help.

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use sonde_model::TimestampMs;
use sonde_promql::{Helpers, SamplePool};
use sonde_runtime::Clock;
use sonde_tsdb::Db;

use super::cache::ResultCache;
use super::flights::{Flights, Role};
use super::pool::QueueError;
use crate::config::QueryConfig;

/// What queries share. `A` is what the flight of a question ends with.
#[derive(Debug)]
pub(crate) struct Answers<A> {
    clock: Clock,
    /// Results of range queries.
    pub(crate) cache: ResultCache,
    /// The samples that all queries may hold together.
    pub(crate) pool: Arc<SamplePool>,
    /// Threads that help.
    pub(crate) helpers: Arc<Helpers>,
    flights: Flights<A>,
}

impl<A: Clone> Answers<A> {
    /// Nothing yet.
    pub(crate) fn new(clock: Clock, config: &QueryConfig) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        let helpers = Arc::new(Helpers::new(processors - 1));
        let pool = Arc::new(SamplePool::new(usize::try_from(config.max_samples_total).unwrap_or(usize::MAX)));
        let cache = ResultCache::new(usize::try_from(config.cache.0).unwrap_or(usize::MAX));
        Answers { clock, cache, pool, helpers, flights: Flights::new() }
    }

    /// The answer to a question about samples up to `until`: that of somebody who asks the same now, or that of `answer`,
    /// which others who ask meanwhile get, too. An error is nobody's but the asker's.
    pub(crate) async fn once<E: From<QueueError>>(
        &self,
        db: &Db,
        question: &str,
        until: TimestampMs,
        timeout: Duration,
        answer: impl Future<Output = Result<A, E>>,
    ) -> Result<A, E> {
        let deadline = self.clock.monotonic().saturating_add(timeout);
        let mut answer = std::pin::pin!(answer);
        loop {
            let still_holds = |mark| db.changed_since(mark).is_none_or(|time| time > until);
            match self.flights.join(question, db.mark(), still_holds) {
                Role::Lead(lead) => {
                    let answer = answer.as_mut().await?;
                    lead.answer(answer.clone());
                    return Ok(answer);
                }
                Role::Follow(follow) => tokio::select! {
                    // What ended without an answer is asked again: the reason may have been the other's own.
                    answer = follow.wait() => if let Some(answer) = answer { return Ok(answer) },
                    () = self.clock.sleep_until(deadline) => return Err(QueueError::Timeout.into()),
                },
            }
        }
    }

    /// How many questions were answered with what somebody else had asked for.
    pub(crate) fn joined(&self) -> u64 {
        self.flights.joined()
    }
}
