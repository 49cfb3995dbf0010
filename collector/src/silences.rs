//! The silences of this collector: read without waiting by whoever tells somebody of an alert, durable before a change is
//! answered.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use sonde_alerting::silence::{Draft, Silence, SilenceError, SilenceId, SilenceSet};
use sonde_runtime::Clock;

use crate::state::{Change, CommitError, State};

/// The silences. Clones share them.
#[derive(Clone)]
pub struct Silences {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Clock,
    set: ArcSwap<SilenceSet>,
    /// Held from a decision until it is durable, so that the next one builds on it.
    deciding: Mutex<()>,
    state: OnceLock<State>,
}

/// Why a change of silences did not happen.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ChangeError {
    /// It is against the rules.
    #[error(transparent)]
    Refused(#[from] SilenceError),
    /// It would be forgotten.
    #[error(transparent)]
    NotDurable(#[from] CommitError),
}

impl Silences {
    /// No silences yet: [`Silences::recall`] brings those from before the start, and until then nothing can be changed.
    pub fn new(clock: Clock) -> Self {
        let inner = Inner { clock, set: ArcSwap::default(), deciding: Mutex::default(), state: OnceLock::new() };
        Silences { inner: Arc::new(inner) }
    }

    /// Takes up what was there before the start, and keeps changes in the database from now on.
    pub fn recall(&self, state: State, silences: Vec<Silence>) {
        self.inner.set.store(Arc::new(SilenceSet::restore(silences)));
        if self.inner.state.set(state).is_err() {
            tracing::error!("silences were recalled twice");
        }
    }

    /// The silences as they are now.
    pub fn current(&self) -> Arc<SilenceSet> {
        self.inner.set.load_full()
    }

    /// Makes a silence, or changes the one named `id`; gives the id of the one that holds now. Blocks until it is durable.
    pub fn set(&self, id: Option<SilenceId>, draft: Draft) -> Result<SilenceId, ChangeError> {
        let fresh = SilenceId::from_random(fastrand::u128(..));
        let now = self.inner.clock.now_ms();
        self.change(|set| {
            let applied = set.set(id, draft, fresh, now)?;
            let changes = applied.changed.into_iter().map(Change::Silence).collect();
            Ok((applied.id, changes))
        })
    }

    /// Ends a silence; one that has expired already stays as it is. Blocks until it is durable.
    pub fn expire(&self, id: SilenceId) -> Result<(), ChangeError> {
        let now = self.inner.clock.now_ms();
        self.change(|set| {
            let changed = set.expire(id, now)?;
            Ok(((), changed.into_iter().map(Change::Silence).collect()))
        })
    }

    /// Forgets silences that ended long ago. Blocks until it is durable.
    pub fn forget_old(&self) -> Result<(), ChangeError> {
        let now = self.inner.clock.now_ms();
        if !self.inner.set.load().has_old(now) {
            return Ok(());
        }
        self.change(|set| Ok(((), set.forget_old(now).into_iter().map(Change::SilenceGone).collect())))
    }

    /// Decides on a copy, which becomes the truth once the database has it.
    fn change<T>(
        &self,
        decide: impl FnOnce(&mut SilenceSet) -> Result<(T, Vec<Change>), SilenceError>,
    ) -> Result<T, ChangeError> {
        let _one_at_a_time = self.inner.deciding.lock();
        let state = self.inner.state.get().ok_or(CommitError::Closed)?;
        let mut set = SilenceSet::clone(&self.inner.set.load());
        let (outcome, changes) = decide(&mut set)?;
        if changes.is_empty() {
            return Ok(outcome);
        }
        let (sender, committed) = std::sync::mpsc::sync_channel(1);
        // Nobody waits any more only where this thread has panicked.
        state.commit(changes, Box::new(move |result| drop(sender.send(result))));
        committed.recv().unwrap_or(Err(CommitError::Closed))?;
        self.inner.set.store(Arc::new(set));
        Ok(outcome)
    }
}

impl std::fmt::Debug for Silences {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Silences").field("silences", &self.inner.set.load().iter().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use sonde_alerting::silence::SilenceState;

    use super::*;
    use crate::state::{Location, Options};

    fn draft() -> Draft {
        Draft {
            matchers: r#"{a="b",c=~"d|e"}"#.parse().expect("matchers"),
            starts_at: 0,
            ends_at: 100_000,
            created_by: "me".to_owned(),
            comment: "why".to_owned(),
        }
    }

    fn open(location: &Location, now: i64, max_bytes: u64) -> Silences {
        let options = Options { max_bytes, ..Options::default() };
        let (state, memory) = State::open(location, options).expect("it opens");
        let silences = Silences::new(Clock::manual(now).0);
        silences.recall(state, memory.silences);
        silences
    }

    #[test]
    fn silences_survive_the_process() {
        let dir = tempfile::tempdir().expect("a folder");
        let location = Location::File(dir.path().join("state.sqlite"));
        let silences = open(&location, 1_000, 1 << 30);
        let first = silences.set(None, draft()).expect("it is made");
        let second = silences.set(None, draft()).expect("it is made");
        silences.expire(second).expect("it is ended");
        let kept = silences.current();
        drop(silences);
        let silences = open(&location, 2_000, 1 << 30);
        let now = silences.current();
        assert_eq!(now.iter().collect::<Vec<_>>(), kept.iter().collect::<Vec<_>>());
        assert_eq!((now.count(SilenceState::Active, 2_000), now.count(SilenceState::Expired, 2_000)), (1, 1));
        let other = Draft { starts_at: 5_000, ..draft() };
        let third = silences.set(Some(first), other).expect("another one");
        assert_ne!(first, third);
        drop(silences);
        let silences = open(&location, 2_000_000_000, 1 << 30);
        assert_eq!(silences.current().iter().len(), 3);
        silences.forget_old().expect("all are old");
        drop(silences);
        assert_eq!(open(&location, 0, 1 << 30).current().iter().len(), 0);
    }

    #[test]
    fn what_cannot_be_remembered_does_not_happen() {
        let silences = Silences::new(Clock::manual(1_000).0);
        assert!(matches!(silences.set(None, draft()), Err(ChangeError::NotDurable(_))), "nothing is open yet");
        let dir = tempfile::tempdir().expect("a folder");
        let silences = open(&Location::File(dir.path().join("state.sqlite")), 1_000, 100_000);
        let long = || Draft { comment: "x".repeat(8_000), ..draft() };
        let failed = (0..100).find_map(|_| silences.set(None, long()).err());
        assert!(matches!(failed, Some(ChangeError::NotDurable(_))), "{failed:?}");
        let count = silences.current().iter().len();
        assert!(silences.set(None, long()).is_err() && count > 0, "the disk is still full");
        assert_eq!(silences.current().iter().len(), count);
    }
}
