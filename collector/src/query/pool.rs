//! The threads that queries run on: so many at once, so many waiting in a fair line, each with its time.
//!
//! A query whose client has left is cancelled: the future that waits for it is dropped, and the query asks now and then
//! whether that has happened.
//!
//! A question that was answered in next to no time when it was asked last is answered on the thread that has the request:
//! two changes of threads take longer than it does. Where it turns out to take its time, it begins anew on a thread of its own.

use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use sonde_promql::Interrupt;
use sonde_runtime::Clock;

use super::client::Client;
use super::line::{Line, Place, Standing};
use super::quick::{Likeness, Quick};

/// So long work may keep the thread that has the request, and with it other requests.
const PATIENCE: Duration = Duration::from_millis(2);

/// Runs blocking work for queries.
#[derive(Debug)]
pub(crate) struct QueryPool {
    clock: Clock,
    line: Arc<Line>,
    quick: Arc<Quick>,
    stats: QueryPoolStats,
}

/// What the pool counts.
#[derive(Debug, Default)]
pub(crate) struct QueryPoolStats {
    /// Queries that were run.
    pub(crate) queries: AtomicU64,
    /// Those of them that were answered on the thread that had the request.
    pub(crate) quick: AtomicU64,
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
        QueryPool {
            clock,
            line: Line::new(concurrency, queue),
            quick: Arc::default(),
            stats: QueryPoolStats::default(),
        }
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
        let counted = self.counted();
        self.on_a_thread(place, deadline, counted, work).await
    }

    /// The same for work that begins anew where it is done twice, and a question that is likely to be asked again: see above.
    pub(crate) async fn answer<T: Send + 'static>(
        &self,
        client: &Client,
        question: &impl Hash,
        timeout: Duration,
        mut work: impl FnMut(Expired<'_>) -> T + Send + 'static,
    ) -> Result<T, QueueError> {
        let likeness = self.quick.likeness(question);
        let deadline = self.clock.monotonic().saturating_add(timeout);
        let place = self.turn(client, deadline).await?;
        self.stats.queries.fetch_add(1, Relaxed);
        let mut counted = self.counted();
        if self.quick.was(likeness)
            && let Some(result) = self.right_here(likeness, deadline, &mut work)
        {
            self.stats.quick.fetch_add(1, Relaxed);
            counted.end = None;
            return result;
        }
        let (quick, clock) = (Arc::clone(&self.quick), self.clock.clone());
        let work = move |expired: Expired<'_>| {
            let started = clock.monotonic();
            let result = work(expired);
            quick.note(likeness, clock.monotonic().saturating_sub(started));
            result
        };
        self.on_a_thread(place, deadline, counted, work).await
    }

    /// Does work on the thread of the caller, if it takes next to no time.
    fn right_here<T>(
        &self,
        likeness: Likeness,
        deadline: Duration,
        work: &mut impl FnMut(Expired<'_>) -> T,
    ) -> Option<Result<T, QueueError>> {
        let started = self.clock.monotonic();
        let until = deadline.min(started.saturating_add(PATIENCE));
        let is_over = AtomicBool::new(false);
        let expired = || {
            let over = self.clock.monotonic() >= until;
            is_over.fetch_or(over, Relaxed);
            over.then_some(Interrupt::Timeout)
        };
        let result = catch_unwind(AssertUnwindSafe(|| work(&expired)));
        self.quick.note(likeness, self.clock.monotonic().saturating_sub(started));
        match result {
            _ if is_over.load(Relaxed) => None,
            Ok(result) => Some(Ok(result)),
            Err(_) => {
                tracing::error!("a query panicked");
                Some(Err(QueueError::Panicked))
            }
        }
    }

    /// Does work on a thread of its own.
    async fn on_a_thread<T: Send + 'static>(
        &self,
        place: Place,
        deadline: Duration,
        mut counted: Counted<'_>,
        work: impl FnOnce(Expired<'_>) -> T + Send + 'static,
    ) -> Result<T, QueueError> {
        let canceled = Arc::new(AtomicBool::new(false));
        let on_drop = CancelOnDrop(Arc::clone(&canceled));
        let clock = self.clock.clone();
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

    /// Counts a query that begins now: in a guard, because its future is dropped when the client leaves.
    fn counted(&self) -> Counted<'_> {
        let started = self.clock.monotonic();
        Counted { stats: &self.stats, clock: &self.clock, started, end: Some(Interrupt::Canceled) }
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

    const LONG: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn work_runs_and_panics_are_contained() {
        let pool = QueryPool::new(Clock::system(), 2, 2);
        assert_eq!(pool.run(LONG, |expired| expired().is_none()).await, Ok(true));
        assert_eq!(pool.run(LONG, |_| panic!("at the seams")).await, Err::<(), _>(QueueError::Panicked));
        assert_eq!((pool.running(), pool.waiting(), pool.stats().queries.load(Relaxed)), (0, 0, 2));
    }

    #[tokio::test]
    async fn what_was_quick_is_answered_by_the_thread_that_asks() {
        let pool = QueryPool::new(Clock::system(), 2, 2);
        let nobody = Client::default();
        let ask = |question| pool.answer(&nobody, question, LONG, |_| std::thread::current().id());
        let here = std::thread::current().id();
        assert_ne!(ask(&"a").await, Ok(here), "nothing is known of it");
        while !pool.quick.was(pool.quick.likeness(&"a")) {
            // A machine that is busy may make it look slow.
            ask(&"a").await.expect("it is answered");
        }
        assert_eq!((ask(&"a").await, ask(&"b").await == Ok(here)), (Ok(here), false));
        assert_eq!(pool.stats().quick.load(Relaxed), 1);
        let broken = pool.answer(&nobody, &"a", LONG, |_| panic!("at the seams"));
        assert_eq!(broken.await, Err::<(), _>(QueueError::Panicked));
        assert_eq!((pool.running(), pool.stats().canceled.load(Relaxed)), (0, 0));
    }

    #[tokio::test]
    async fn what_takes_its_time_all_the_same_begins_anew_on_a_thread() {
        let pool = QueryPool::new(Clock::system(), 2, 2);
        let (question, here) = (pool.quick.likeness(&"a"), std::thread::current().id());
        pool.quick.note(question, Duration::ZERO);
        let mut tries = 0;
        let work = move |expired: Expired<'_>| {
            tries += 1;
            while std::thread::current().id() == here && expired().is_none() {
                std::thread::yield_now();
            }
            tries
        };
        assert_eq!(pool.answer(&Client::default(), &"a", LONG, work).await, Ok(2));
        assert_eq!((pool.running(), pool.stats().quick.load(Relaxed)), (0, 0));
        assert_eq!([&pool.stats().timeouts, &pool.stats().queries].map(|n| n.load(Relaxed)), [0, 1]);
    }

    #[tokio::test]
    async fn the_queue_is_bounded_and_what_nobody_waits_for_is_cancelled() {
        let pool = Arc::new(QueryPool::new(Clock::system(), 1, 1));
        let (started, has_started) = sync_channel(1);
        let (ended, has_ended) = sync_channel(1);
        let first = pool.run(LONG, move |expired| {
            started.send(()).expect("the test listens");
            while expired().is_none() {
                std::thread::yield_now();
            }
            ended.send(expired()).expect("the test listens");
        });
        let mut first = Box::pin(first);
        assert!(tokio::time::timeout(Duration::from_millis(1), &mut first).await.is_err());
        has_started.recv_timeout(LONG).expect("it runs");

        let mut second = Box::pin(pool.run(LONG, |_| ()));
        assert!(tokio::time::timeout(Duration::from_millis(1), &mut second).await.is_err());
        assert_eq!(pool.run(LONG, |_| ()).await, Err(QueueError::Full));
        drop(second);
        assert_eq!(pool.run(Duration::from_millis(1), |_| ()).await, Err(QueueError::Timeout));

        drop(first);
        assert_eq!(has_ended.recv_timeout(LONG), Ok(Some(Interrupt::Canceled)));
        assert_eq!(pool.run(LONG, |_| 7).await, Ok(7));
        let stats = pool.stats();
        let counts = [&stats.queries, &stats.refused, &stats.timeouts, &stats.canceled].map(|n| n.load(Relaxed));
        assert_eq!((counts, pool.waiting()), ([2, 1, 1, 1], 0));
    }
}
