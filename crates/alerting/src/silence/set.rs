//! All silences, and the rules by which they are made, changed, ended and forgotten.

use std::collections::BTreeMap;
use std::sync::Arc;

use sonde_model::{Labels, TimestampMs};

use super::index::Index;
use super::{
    Draft, MAX_MATCHER_MEMORY_BYTES, MAX_SILENCES, RETENTION_MS, Silence, SilenceError, SilenceId, SilenceState,
};

/// All silences. Cloning copies pointers.
#[derive(Clone, Debug, Default)]
pub struct SilenceSet {
    silences: BTreeMap<SilenceId, Arc<Silence>>,
    /// Those that had not expired at the last change.
    index: Arc<Index>,
    pub(super) matcher_memory: usize,
}

/// What came of making or changing a silence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The silence that holds now.
    pub id: SilenceId,
    /// All silences that are new or have changed.
    pub changed: Vec<Arc<Silence>>,
}

impl SilenceSet {
    /// The silences that were remembered.
    pub fn restore(silences: impl IntoIterator<Item = Silence>) -> Self {
        let mut set = SilenceSet::default();
        for silence in silences {
            set.matcher_memory += memory(&silence);
            set.silences.insert(silence.id, Arc::new(silence));
        }
        set.index = Arc::new(Index::of(set.silences.values().map(Arc::clone)));
        set
    }

    /// Makes a silence, or changes the one named `id`.
    ///
    /// A change of other matchers, of the start of a silence that is active, or of one that has expired, ends that silence
    /// and makes another one with the id `fresh`. What began before `now` begins at `now`.
    pub fn set(
        &mut self,
        id: Option<SilenceId>,
        mut draft: Draft,
        fresh: SilenceId,
        now: TimestampMs,
    ) -> Result<Applied, SilenceError> {
        draft.check(now)?;
        let old = match id {
            Some(id) => Some(Arc::clone(self.silences.get(&id).ok_or(SilenceError::NotFound)?)),
            None => None,
        };
        if let Some(old) = &old
            && keeps_history(old, &draft, now)
        {
            let new = Arc::new(Silence { id: old.id, draft, updated_at: now });
            self.insert(Arc::clone(&new), now)?;
            return Ok(Applied { id: old.id, changed: vec![new] });
        }
        if self.silences.len() >= MAX_SILENCES {
            return Err(SilenceError::TooMany { count: self.silences.len(), limit: MAX_SILENCES });
        }
        draft.starts_at = draft.starts_at.max(now);
        let new = Arc::new(Silence { id: fresh, draft, updated_at: now });
        self.insert(Arc::clone(&new), now)?;
        let mut changed = vec![new];
        if let Some(old) = old {
            changed.extend(self.expire(old.id, now)?);
        }
        Ok(Applied { id: fresh, changed })
    }

    /// Ends a silence; gives it back where it has changed. One that has expired already stays as it is.
    pub fn expire(&mut self, id: SilenceId, now: TimestampMs) -> Result<Option<Arc<Silence>>, SilenceError> {
        let old = self.silences.get(&id).ok_or(SilenceError::NotFound)?;
        if old.state(now) == SilenceState::Expired {
            return Ok(None);
        }
        let mut new = Silence::clone(old);
        // One that never began has no span of time at all.
        new.draft.starts_at = new.draft.starts_at.min(now);
        new.draft.ends_at = now;
        new.updated_at = now;
        let new = Arc::new(new);
        self.insert(Arc::clone(&new), now)?;
        Ok(Some(new))
    }

    /// Forgets silences that ended longer than [`RETENTION_MS`] ago and says which.
    pub fn forget_old(&mut self, now: TimestampMs) -> Vec<SilenceId> {
        let old: Vec<SilenceId> = self.silences.values().filter(|s| is_old(s, now)).map(|s| s.id).collect();
        for id in &old {
            if let Some(silence) = self.silences.remove(id) {
                self.matcher_memory -= memory(&silence);
            }
        }
        if !old.is_empty() {
            self.reindex(now);
        }
        old
    }

    /// Whether [`SilenceSet::forget_old`] would forget something.
    pub fn has_old(&self, now: TimestampMs) -> bool {
        self.silences.values().any(|silence| is_old(silence, now))
    }

    /// The silence of this id.
    pub fn get(&self, id: SilenceId) -> Option<&Arc<Silence>> {
        self.silences.get(&id)
    }

    /// All silences in the order of their ids.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Silence>> {
        self.silences.values()
    }

    /// The silences that keep an alert of these labels from being told at `now`, in the order of their ids.
    pub fn mutes(&self, labels: &Labels, now: TimestampMs) -> Vec<SilenceId> {
        let active = |silence: &&Arc<Silence>| silence.state(now) == SilenceState::Active;
        let candidates = self.index.candidates(labels).filter(active);
        let mut ids: Vec<_> = candidates.filter(|s| s.draft.matchers.matches(labels)).map(|s| s.id).collect();
        ids.sort_unstable();
        ids
    }

    /// Whether a silence keeps an alert of these labels from being told at `now`.
    pub fn is_silenced(&self, labels: &Labels, now: TimestampMs) -> bool {
        let mut active = self.index.candidates(labels).filter(|silence| silence.state(now) == SilenceState::Active);
        active.any(|silence| silence.draft.matchers.matches(labels))
    }

    /// How many silences stand in a state.
    pub fn count(&self, state: SilenceState, now: TimestampMs) -> usize {
        self.silences.values().filter(|silence| silence.state(now) == state).count()
    }

    fn insert(&mut self, silence: Arc<Silence>, now: TimestampMs) -> Result<(), SilenceError> {
        let before = self.silences.get(&silence.id).map_or(0, |old| memory(old));
        let bytes = self.matcher_memory - before + memory(&silence);
        // What only shrinks is never refused.
        if bytes > MAX_MATCHER_MEMORY_BYTES && bytes > self.matcher_memory {
            return Err(SilenceError::TooMuchMemory { bytes, limit: MAX_MATCHER_MEMORY_BYTES });
        }
        self.matcher_memory = bytes;
        self.silences.insert(silence.id, silence);
        self.reindex(now);
        Ok(())
    }

    fn reindex(&mut self, now: TimestampMs) {
        let live = self.silences.values().filter(|silence| silence.state(now) != SilenceState::Expired);
        self.index = Arc::new(Index::of(live.map(Arc::clone)));
    }
}

fn is_old(silence: &Silence, now: TimestampMs) -> bool {
    silence.draft.ends_at.saturating_add(RETENTION_MS) <= now
}

fn memory(silence: &Silence) -> usize {
    silence.draft.matchers.iter().map(crate::matcher::Matcher::memory_bytes).sum()
}

/// Alertmanager's `canUpdate`: whether a silence can become the draft without rewriting what it has silenced so far.
fn keeps_history(old: &Silence, draft: &Draft, now: TimestampMs) -> bool {
    if old.draft.matchers.clone().sorted() != draft.matchers.clone().sorted() {
        return false;
    }
    match old.state(now) {
        // Clients that know seconds only change nothing.
        SilenceState::Active => old.draft.starts_at.div_euclid(1_000) == draft.starts_at.div_euclid(1_000),
        SilenceState::Pending => draft.starts_at >= now,
        SilenceState::Expired => false,
    }
}
