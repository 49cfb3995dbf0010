//! Turns of requests that each keep a thread until the state database has what they bring. Without them a flood of such
//! requests would take all threads, and rules would wait for theirs.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests at one time. They wait for the same lock, so that more would not be faster.
const AT_ONCE: usize = 4;
/// So long a request waits: what a Prometheus gives its alerts.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// Gives out turns, to each in the order in which it came.
#[derive(Debug)]
pub(crate) struct Turns {
    free: Arc<Semaphore>,
    max_wait: Duration,
}

/// A turn, until it is over.
#[derive(Debug)]
pub(crate) struct Turn(OwnedSemaphorePermit);

impl Default for Turns {
    fn default() -> Self {
        Turns { free: Arc::new(Semaphore::new(AT_ONCE)), max_wait: MAX_WAIT }
    }
}

impl Turns {
    /// Waits for a turn; nothing where that takes too long.
    pub(crate) async fn turn(&self) -> Option<Turn> {
        let turn = tokio::time::timeout(self.max_wait, Arc::clone(&self.free).acquire_owned()).await;
        turn.ok()?.ok().map(Turn)
    }
}

impl Turn {
    /// Does the work of a turn, which is over then, also by a panic.
    pub(crate) fn run<T>(self, work: impl FnOnce() -> T) -> T {
        let _turn = self.0;
        work()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn turns_are_few_and_come_again() {
        let turns = Turns { max_wait: Duration::from_millis(1), ..Turns::default() };
        let mut taken = Vec::new();
        for _ in 0..AT_ONCE {
            taken.push(turns.turn().await.expect("there is one"));
        }
        assert!(turns.turn().await.is_none(), "all are taken");
        assert_eq!(taken.pop().map(|turn| turn.run(|| 7)), Some(7));
        assert!(turns.turn().await.is_some());
    }
}
