//! The only wall clock of Sonde. Libraries take `now` as an argument; binaries and tasks ask a [`Clock`].
//!
//! Wall time may jump in either direction; monotonic time never does and is what intervals are measured in.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// A source of wall and monotonic time: the system's, or one that a test moves by hand. Clones share the source.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System { started: Instant },
    Manual(ManualClock),
}

/// The hand that moves a manual clock.
#[derive(Clone, Debug)]
pub struct ManualClock {
    times: Arc<Mutex<Times>>,
    moved: Arc<Notify>,
}

#[derive(Debug)]
struct Times {
    wall_ns: i64,
    monotonic: Duration,
}

impl Clock {
    /// The clock of the operating system.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the system's clock")]
    pub fn system() -> Self {
        Clock(Source::System { started: Instant::now() })
    }

    /// A clock that stands still at `now_ms` (milliseconds since the Unix epoch) until its hand is moved.
    pub fn manual(now_ms: i64) -> (Self, ManualClock) {
        let times = Times { wall_ns: now_ms.saturating_mul(1_000_000), monotonic: Duration::ZERO };
        let hand = ManualClock { times: Arc::new(Mutex::new(times)), moved: Arc::new(Notify::new()) };
        (Clock(Source::Manual(hand.clone())), hand)
    }

    /// Wall time in milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> i64 {
        self.now_ns() / 1_000_000
    }

    /// Wall time in nanoseconds since the Unix epoch; 0 on a machine whose clock stands before 1970.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the system's clock")]
    pub fn now_ns(&self) -> i64 {
        match &self.0 {
            Source::System { .. } => {
                let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX)
            }
            Source::Manual(hand) => hand.times.lock().wall_ns,
        }
    }

    /// Time since some fixed moment in the past. Never goes backwards, whatever happens to wall time.
    pub fn monotonic(&self) -> Duration {
        match &self.0 {
            Source::System { started } => started.elapsed(),
            Source::Manual(hand) => hand.times.lock().monotonic,
        }
    }

    /// Waits until [`Clock::monotonic`] has reached `at`.
    pub async fn sleep_until(&self, at: Duration) {
        match &self.0 {
            Source::System { started } => tokio::time::sleep_until((*started + at).into()).await,
            Source::Manual(hand) => hand.reached(at).await,
        }
    }

    /// Waits for `duration` of monotonic time.
    pub async fn sleep(&self, duration: Duration) {
        self.sleep_until(self.monotonic().saturating_add(duration)).await;
    }
}

impl ManualClock {
    /// Lets wall and monotonic time pass together.
    pub fn advance(&self, by: Duration) {
        {
            let mut times = self.times.lock();
            times.wall_ns = times.wall_ns.saturating_add(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX));
            times.monotonic = times.monotonic.saturating_add(by);
        }
        self.moved.notify_waiters();
    }

    /// Makes wall time jump to `now_ms`, as a step of the system's clock does; monotonic time stays.
    pub fn set_wall(&self, now_ms: i64) {
        self.times.lock().wall_ns = now_ms.saturating_mul(1_000_000);
    }

    async fn reached(&self, at: Duration) {
        loop {
            // Registered before the look at the time, so that a move in between wakes this waiter.
            let moved = self.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            if self.times.lock().monotonic >= at {
                return;
            }
            moved.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_by_hand_only() {
        let (clock, hand) = Clock::manual(1_000);
        assert_eq!((clock.now_ms(), clock.monotonic()), (1_000, Duration::ZERO));
        hand.advance(Duration::from_millis(1_500));
        assert_eq!((clock.now_ms(), clock.monotonic()), (2_500, Duration::from_millis(1_500)));
        hand.set_wall(10);
        assert_eq!((clock.now_ms(), clock.monotonic()), (10, Duration::from_millis(1_500)));
    }

    #[test]
    fn the_system_clock_is_past_2020_and_monotonic() {
        let clock = Clock::system();
        assert!(clock.now_ms() > 1_577_836_800_000);
        let before = clock.monotonic();
        assert!(clock.monotonic() >= before);
    }

    #[tokio::test]
    async fn sleepers_wake_when_the_hand_has_passed_their_time() {
        let (clock, hand) = Clock::manual(0);
        let mut sleeper = tokio::task::JoinSet::new();
        let other = clock.clone();
        sleeper.spawn(async move { other.sleep_until(Duration::from_secs(2)).await });
        for _ in 0..3 {
            assert!(tokio::time::timeout(Duration::from_millis(1), sleeper.join_next()).await.is_err());
            hand.advance(Duration::from_millis(600));
        }
        hand.advance(Duration::from_millis(600));
        assert!(sleeper.join_next().await.is_some());
    }
}
