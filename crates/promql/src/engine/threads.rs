//! Threads that help queries over many series: so many for all queries of a process, lent for one piece of work.
//!
//! Each query has the thread that it was asked on. What helps it does not change its answer: results are taken in the
//! order of the series, whoever was faster.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::QueryError;

/// Series that a thread takes at most at a time: few enough that threads end together, enough that taking costs nothing.
const MAX_BLOCK: usize = 16;
/// How many points the results of a block hold, more or less: so much waits in memory to be taken.
const BLOCK_POINTS: usize = 1 << 16;
/// Results of more points than this are not computed ahead: they wait for nobody.
const MAX_POINTS_AHEAD: usize = 1 << 20;
/// How many blocks a thread may be ahead of the results that were taken.
const AHEAD: usize = 4;
/// How many bytes of results may wait to be taken before threads wait, too.
const AHEAD_BYTES: usize = 16 << 20;
/// With fewer series no help is asked for: a thread would cost more than it saves.
const WORTH_HELP: usize = 64;

/// How many threads may help at one time, over all queries.
#[derive(Debug)]
pub struct Helpers {
    free: AtomicUsize,
}

impl Helpers {
    /// So many threads; with 0 every query runs on its own thread only.
    pub fn new(threads: usize) -> Self {
        Helpers { free: AtomicUsize::new(threads) }
    }

    /// Takes half of what is free, so that the next query gets help, too.
    fn borrow(&self) -> Lent<'_> {
        let half = |free: usize| free.div_ceil(2);
        let before = self.free.fetch_update(Relaxed, Relaxed, |free| Some(free - half(free))).unwrap_or(0);
        Lent { from: self, threads: half(before) }
    }

    /// Hands `work(index)` of the numbers below `count`, each of which yields about `points`, to `take`, in their order.
    /// Each thread has a `scratch` of its own; threads are only so far ahead of what was taken as `weigh`, in bytes, allows.
    /// After an error nothing more is taken; the error is that of the smallest number.
    pub(super) fn in_order<S: Default, T: Send>(
        &self,
        count: usize,
        points: usize,
        work: impl Fn(usize, &mut S) -> Result<T, QueryError> + Sync,
        weigh: impl Fn(&T) -> usize + Sync,
        mut take: impl FnMut(T) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        let is_worth = count >= WORTH_HELP && points <= MAX_POINTS_AHEAD;
        let lent = is_worth.then(|| self.borrow()).filter(|lent| lent.threads > 0);
        let Some(lent) = lent else {
            let mut scratch = S::default();
            return (0..count).try_for_each(|index| take(work(index, &mut scratch)?));
        };
        let size = (BLOCK_POINTS / points.max(1)).clamp(1, MAX_BLOCK);
        let blocks = Blocks {
            state: Mutex::new(State { next: 0, taken: 0, done: BTreeMap::new(), waiting: 0, stopped: false }),
            changed: Condvar::new(),
            count: count.div_ceil(size),
            ahead: AHEAD * (lent.threads + 1),
        };
        let compute = |block: usize, scratch: &mut S| {
            let end = count.min((block + 1) * size);
            let results = (block * size..end).map(|index| work(index, scratch)).collect::<Result<Vec<T>, QueryError>>();
            let bytes = results.iter().flatten().map(&weigh).sum();
            Done { results, bytes }
        };
        std::thread::scope(|scope| {
            // Whatever ends this, the helpers end, too.
            let _stop = StopOnDrop(&blocks);
            for _ in 0..lent.threads {
                scope.spawn(|| {
                    let _stop = StopOnPanic(&blocks);
                    let mut scratch = S::default();
                    while let Some(block) = blocks.claim() {
                        blocks.put(block, compute(block, &mut scratch));
                    }
                });
            }
            let mut scratch = S::default();
            for block in 0..blocks.count {
                let results = loop {
                    match blocks.turn(block) {
                        Turn::Ready(done) => break done.results?,
                        Turn::Work(other) => blocks.put(other, compute(other, &mut scratch)),
                        // A helper has panicked: the scope hands its panic on.
                        Turn::Stopped => return Ok(()),
                    }
                };
                results.into_iter().try_for_each(&mut take)?;
            }
            Ok(())
        })
    }
}

/// Threads that a query may use until it drops this.
struct Lent<'a> {
    from: &'a Helpers,
    threads: usize,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.from.free.fetch_add(self.threads, Relaxed);
    }
}

/// Work that is cut into blocks, and the results that were not taken yet.
struct Blocks<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    count: usize,
    ahead: usize,
}

struct State<T> {
    /// The first block that nobody works on.
    next: usize,
    /// How many blocks' results were taken.
    taken: usize,
    done: BTreeMap<usize, Done<T>>,
    /// The bytes of what is done and was not taken.
    waiting: usize,
    stopped: bool,
}

/// The results of a block.
struct Done<T> {
    results: Result<Vec<T>, QueryError>,
    bytes: usize,
}

impl<T> State<T> {
    /// Whether the next block is near enough to what was taken to be worked on.
    fn is_near(&self, ahead: usize) -> bool {
        self.next == self.taken || (self.next < self.taken + ahead && self.waiting <= AHEAD_BYTES)
    }
}

/// What the thread that takes the results does next.
enum Turn<T> {
    Ready(Done<T>),
    Work(usize),
    Stopped,
}

impl<T> Blocks<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// A block for a helper, once it is near enough to what was taken.
    fn claim(&self) -> Option<usize> {
        let mut state = self.lock();
        loop {
            if state.stopped || state.next == self.count {
                return None;
            }
            if state.is_near(self.ahead) {
                state.next += 1;
                return Some(state.next - 1);
            }
            state = self.wait(state);
        }
    }

    fn put(&self, block: usize, done: Done<T>) {
        let mut state = self.lock();
        state.waiting += done.bytes;
        state.done.insert(block, done);
        drop(state);
        self.changed.notify_all();
    }

    /// The results of `block`, or other work until they are there.
    fn turn(&self, block: usize) -> Turn<T> {
        let mut state = self.lock();
        loop {
            if let Some(done) = state.done.remove(&block) {
                state.taken = block + 1;
                state.waiting -= done.bytes;
                self.changed.notify_all();
                return Turn::Ready(done);
            }
            if state.stopped {
                return Turn::Stopped;
            }
            if state.next < self.count && state.is_near(self.ahead) {
                state.next += 1;
                return Turn::Work(state.next - 1);
            }
            state = self.wait(state);
        }
    }

    fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }
}

struct StopOnDrop<'a, T>(&'a Blocks<T>);

impl<T> Drop for StopOnDrop<'_, T> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

struct StopOnPanic<'a, T>(&'a Blocks<T>);

impl<T> Drop for StopOnPanic<'_, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_whoever_computes_them() {
        for (threads, count) in [(0, 1_000), (1, 1_000), (3, 1_000), (7, 63), (2, 64), (2, 65), (1, 0)] {
            let helpers = Helpers::new(threads);
            let mut taken = Vec::new();
            let work = |index: usize, scratch: &mut usize| {
                *scratch += 1;
                Ok(index * 2)
            };
            let done = helpers.in_order(
                count,
                60,
                work,
                |n| n % 3 * AHEAD_BYTES,
                |n| {
                    taken.push(n);
                    Ok(())
                },
            );
            assert_eq!(done, Ok(()));
            assert_eq!(taken, (0..count).map(|n| n * 2).collect::<Vec<_>>(), "{threads} {count}");
            assert_eq!(helpers.free.load(Relaxed), threads, "all are given back");
        }
    }

    #[test]
    fn the_first_error_counts_and_ends_the_work() {
        let helpers = Helpers::new(3);
        let work = |index: usize, (): &mut ()| match index % 100 {
            70 => Err(QueryError::execution(index.to_string())),
            _ => Ok(index),
        };
        let mut taken = 0;
        let done = helpers.in_order(
            10_000,
            1,
            work,
            |_| 1,
            |_| {
                taken += 1;
                Ok(())
            },
        );
        assert_eq!(done, Err(QueryError::execution("70")));
        assert!(taken <= 70);
        let refused =
            helpers.in_order(10_000, 1 << 18, |index, (): &mut ()| Ok(index), |_| 1, |_| Err(QueryError::Timeout));
        assert_eq!((refused, helpers.free.load(Relaxed)), (Err(QueryError::Timeout), 3));
    }

    #[test]
    fn half_of_the_free_threads_are_lent() {
        let helpers = Helpers::new(4);
        let lent: Vec<Lent<'_>> = (0..4).map(|_| helpers.borrow()).collect();
        assert_eq!(lent.iter().map(|lent| lent.threads).collect::<Vec<_>>(), [2, 1, 1, 0]);
    }
}
