//! The threads that queries run on: so many at once, so many waiting in a fair line, each with its time.
//!
//! A query whose client has left is cancelled: the future that waits for it is dropped, and the query asks now and then
//! whether that has happened.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use sonde_promql::Interrupt;
use sonde_runtime::Clock;

use super::client::Client;
use super::line::{Line, Place, Standing};

/// Runs blocking work for queries.
#[derive(Debug)]
pub(crate) struct QueryPool {
    clock: Clock,
    line: Arc<Line>,
    stats: QueryPoolStats,
}

/// What the pool counts.
#[derive(Debug, Default)]
pub(crate) struct QueryPoolStats {
    /// Queries that were run.
    pub(crate) queries: AtomicU64,
    /// Queries refused because too many waited.
    pub(crate) refused: AtomicU64,
    /// Queries whose time was over, in the queue or while they ran.
    pub(crate) timeouts: AtomicU64,
    /// Queries that ended because nobody waited for them.
    pub(crate) canceled: AtomicU64,
    /// Time that queries ran, in microseconds.
    pub(crate) busy_us: AtomicU64,
}

/// Why work was not run, or has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QueueError {
    /// Too many queries wait.
    #[error("too many queries wait for their turn (query.queue and query.concurrency); ask again later")]
    Full,
    /// Its time was over before its turn came.
    #[error("query timed out in query queue")]
    Timeout,
    /// The work panicked; the program goes on.
    #[error("the query failed unexpectedly; the log says more")]
    Panicked,
}

/// Tells a running query that nobody waits for it any more.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// What running work may ask: whether it has to stop, and why.
pub(crate) type Expired<'a> = &'a (dyn Fn() -> Option<Interrupt> + Sync);

impl QueryPool {
    /// A pool that runs `concurrency` queries at once and lets `queue` more wait.
    pub(crate) fn new(clock: Clock, concurrency: usize, queue: usize) -> Self {
        QueryPool { clock, line: Line::new(concurrency, queue), stats: QueryPoolStats::default() }
    }

    /// Runs `work` on a thread of its own when its turn has come. The time counts from now.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        timeout: Duration,
        work: impl FnOnce(Expired<'_>) -> T + Send + 'static,
    ) -> Result<T, QueueError> {
        self.run_for(&Client::default(), timeout, work).await
    }

    /// The same for a client: clients take turns.
    pub(crate) async fn run_for<T: Send + 'static>(
        &self,
        client: &Client,
        timeout: Duration,
        work: impl FnOnce(Expired<'_>) -> T + Send + 'static,
    ) -> Result<T, QueueError> {
        let deadline = self.clock.monotonic().saturating_add(timeout);
        let place = self.turn(client, deadline).await?;
        self.stats.queries.fetch_add(1, Relaxed);

        let canceled = Arc::new(AtomicBool::new(false));
        let on_drop = CancelOnDrop(Arc::clone(&canceled));
        let clock = self.clock.clone();
        let started = clock.monotonic();
        let running = tokio::task::spawn_blocking(move || {
            let _place = place;
            let expired = || {
                if canceled.load(Relaxed) {
                    Some(Interrupt::Canceled)
                } else {
                    (clock.monotonic() >= deadline).then_some(Interrupt::Timeout)
                }
            };
            let result = work(&expired);
            (result, expired())
        });
        // Counted in a guard, because this future is dropped when the client leaves.
        let mut counted = Counted { stats: &self.stats, clock: &self.clock, started, end: Some(Interrupt::Canceled) };
        let ended = running.await;
        drop(on_drop);
        match ended {
            Ok((result, interrupt)) => {
                counted.end = interrupt;
                Ok(result)
            }
            Err(error) => {
                counted.end = None;
                tracing::error!("a query panicked: {error}");
                Err(QueueError::Panicked)
            }
        }
    }

    /// Waits for a place among the running ones.
    async fn turn(&self, client: &Client, deadline: Duration) -> Result<Place, QueueError> {
        let full = || {
            self.stats.refused.fetch_add(1, Relaxed);
            Err(QueueError::Full)
        };
        match self.line.enter(client) {
            Standing::Place(place) => Ok(place),
            Standing::Full => full(),
            Standing::Waiting(place) => tokio::select! {
                place = place => place.or_else(|_| full()),
                () = self.clock.sleep_until(deadline) => {
                    self.stats.timeouts.fetch_add(1, Relaxed);
                    Err(QueueError::Timeout)
                }
            },
        }
    }

    /// How many queries run now.
    pub(crate) fn running(&self) -> usize {
        self.line.taken()
    }

    /// How many queries wait now.
    pub(crate) fn waiting(&self) -> usize {
        self.line.waiting()
    }

    /// What it counts.
    pub(crate) fn stats(&self) -> &QueryPoolStats {
        &self.stats
    }
}

/// Counts how a query ended.
struct Counted<'a> {
    stats: &'a QueryPoolStats,
    clock: &'a Clock,
    started: Duration,
    end: Option<Interrupt>,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let took = self.clock.monotonic().saturating_sub(self.started);
        self.stats.busy_us.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
        match self.end {
            Some(Interrupt::Timeout) => self.stats.timeouts.fetch_add(1, Relaxed),
            Some(Interrupt::Canceled) => self.stats.canceled.fetch_add(1, Relaxed),
            None => 0,
        };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn work_runs_and_panics_are_contained() {
        let pool = QueryPool::new(Clock::system(), 2, 2);
        assert_eq!(pool.run(PATIENCE, |expired| expired().is_none()).await, Ok(true));
        assert_eq!(pool.run(PATIENCE, |_| panic!("at the seams")).await, Err::<(), _>(QueueError::Panicked));
        assert_eq!((pool.running(), pool.waiting(), pool.stats().queries.load(Relaxed)), (0, 0, 2));
    }

    #[tokio::test]
    async fn the_queue_is_bounded_and_what_nobody_waits_for_is_cancelled() {
        let pool = Arc::new(QueryPool::new(Clock::system(), 1, 1));
        let (started, has_started) = sync_channel(1);
        let (ended, has_ended) = sync_channel(1);
        let first = pool.run(PATIENCE, move |expired| {
            started.send(()).expect("the test listens");
            while expired().is_none() {
                std::thread::yield_now();
            }
            ended.send(expired()).expect("the test listens");
        });
        let mut first = Box::pin(first);
        assert!(tokio::time::timeout(Duration::from_millis(1), &mut first).await.is_err());
        has_started.recv_timeout(PATIENCE).expect("it runs");

        let mut second = Box::pin(pool.run(PATIENCE, |_| ()));
        assert!(tokio::time::timeout(Duration::from_millis(1), &mut second).await.is_err());
        assert_eq!(pool.run(PATIENCE, |_| ()).await, Err(QueueError::Full));
        drop(second);
        assert_eq!(pool.run(Duration::from_millis(1), |_| ()).await, Err(QueueError::Timeout));

        drop(first);
        assert_eq!(has_ended.recv_timeout(PATIENCE), Ok(Some(Interrupt::Canceled)));
        assert_eq!(pool.run(PATIENCE, |_| 7).await, Ok(7));
        let stats = pool.stats();
        let counts = [&stats.queries, &stats.refused, &stats.timeouts, &stats.canceled].map(|n| n.load(Relaxed));
        assert_eq!((counts, pool.waiting()), ([2, 1, 1, 1], 0));
    }
}
