//! The exemplars that are durable, in memory: bounded in number and bytes, and in number for each series.
//!
//! What is kept is settled by the set of what was added, whatever its order and however often: the newest of each
//! series, and of those the newest of all. So a part of the log that is read twice changes nothing, and a series that
//! floods the store pushes its own exemplars out before those of others.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, VecDeque};

use sonde_model::{Exemplar, Labels, TimestampMs};

use super::ExemplarStatus;

/// What an exemplar takes besides its text: the value, the time, and the allocation of its labels.
const EXEMPLAR_BYTES: usize = 96;
/// What a series takes besides its text: its places in both maps, its queue, and the allocation of its labels.
const SERIES_BYTES: usize = 256;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) exemplars: usize,
    pub(crate) per_series: usize,
    pub(crate) bytes: usize,
}

/// The exemplars, each series in the order of [`Exemplar::order`].
#[derive(Debug)]
pub(crate) struct Exemplars {
    bounds: Bounds,
    series: HashMap<Labels, VecDeque<Exemplar>, foldhash::fast::RandomState>,
    /// The time of the oldest exemplar of each series. What goes first is the first of these.
    oldest: BTreeSet<(TimestampMs, Labels)>,
    count: usize,
    bytes: usize,
    /// How many were pushed out by newer ones.
    pub(crate) evicted: u64,
}

impl Exemplars {
    /// None yet.
    pub(crate) fn new(bounds: Bounds) -> Self {
        let (series, oldest) = (HashMap::default(), BTreeSet::new());
        Exemplars { bounds, series, oldest, count: 0, bytes: 0, evicted: 0 }
    }

    /// Adds an exemplar to a series; false if it is there already.
    pub(crate) fn insert(&mut self, series: &Labels, exemplar: Exemplar) -> bool {
        if self.bounds.exemplars.min(self.bounds.per_series) == 0 {
            return true;
        }
        let queue = match self.series.entry(series.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                self.bytes += series_bytes(series);
                self.oldest.insert((exemplar.timestamp, series.clone()));
                entry.insert(VecDeque::new())
            }
        };
        let Err(at) = queue.binary_search_by(|known| known.order(&exemplar)) else { return false };
        let before = queue.front().map_or(exemplar.timestamp, |front| front.timestamp);
        self.bytes += exemplar_bytes(&exemplar);
        self.count += 1;
        queue.insert(at, exemplar);
        if queue.len() > self.bounds.per_series
            && let Some(gone) = queue.pop_front()
        {
            self.bytes -= exemplar_bytes(&gone);
            self.count -= 1;
            self.evicted += 1;
        }
        let after = queue.front().map_or(before, |front| front.timestamp);
        if after != before {
            self.oldest.remove(&(before, series.clone()));
            self.oldest.insert((after, series.clone()));
        }
        while self.count > self.bounds.exemplars || self.bytes > self.bounds.bytes {
            if !self.drop_oldest() {
                break;
            }
            self.evicted += 1;
        }
        true
    }

    /// Whether a series has this exemplar.
    pub(crate) fn contains(&self, series: &Labels, exemplar: &Exemplar) -> bool {
        let queue = self.series.get(series);
        queue.is_some_and(|queue| queue.binary_search_by(|known| known.order(exemplar)).is_ok())
    }

    /// The time of the newest exemplar of a series.
    pub(crate) fn newest(&self, series: &Labels) -> Option<TimestampMs> {
        self.series.get(series)?.back().map(|newest| newest.timestamp)
    }

    /// Drops what is older than `time`.
    pub(crate) fn drop_before(&mut self, time: TimestampMs) {
        while self.oldest.first().is_some_and(|(oldest, _)| *oldest < time) && self.drop_oldest() {}
    }

    /// Removes the exemplars of a range of time, both ends included, of the series for which `selects` holds; says how
    /// many.
    pub(crate) fn remove(
        &mut self,
        selects: &dyn Fn(&Labels) -> bool,
        (from, to): (TimestampMs, TimestampMs),
    ) -> usize {
        let before = self.count;
        let all = std::mem::replace(self, Exemplars { evicted: self.evicted, ..Exemplars::new(self.bounds) });
        #[expect(clippy::iter_over_hash_type, reason = "what is kept does not depend on the order")]
        for (series, queue) in all.series {
            let is_selected = selects(&series);
            let is_gone = |e: &Exemplar| is_selected && (from..=to).contains(&e.timestamp);
            queue.into_iter().filter(|e| !is_gone(e)).for_each(|exemplar| {
                self.insert(&series, exemplar);
            });
        }
        before - self.count
    }

    /// The series and their exemplars, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Labels, &VecDeque<Exemplar>)> {
        self.series.iter()
    }

    /// How much there is.
    pub(crate) fn status(&self) -> ExemplarStatus {
        ExemplarStatus {
            series: self.series.len(),
            exemplars: self.count,
            bytes: self.bytes,
            min_time: self.oldest.first().map(|(time, _)| *time),
        }
    }

    /// Whether exemplars are kept at all.
    pub(crate) fn is_off(&self) -> bool {
        self.bounds.exemplars == 0
    }

    fn drop_oldest(&mut self) -> bool {
        let Some((_, series)) = self.oldest.pop_first() else { return false };
        let Entry::Occupied(mut entry) = self.series.entry(series) else { return true };
        if let Some(gone) = entry.get_mut().pop_front() {
            self.bytes -= exemplar_bytes(&gone);
            self.count -= 1;
        }
        match entry.get().front() {
            Some(front) => drop(self.oldest.insert((front.timestamp, entry.key().clone()))),
            None => {
                self.bytes -= series_bytes(entry.key());
                entry.remove();
            }
        }
        true
    }
}

fn series_bytes(labels: &Labels) -> usize {
    SERIES_BYTES + text_bytes(labels)
}

fn exemplar_bytes(exemplar: &Exemplar) -> usize {
    EXEMPLAR_BYTES + text_bytes(&exemplar.labels)
}

/// Text and the ends of names and values.
fn text_bytes(labels: &Labels) -> usize {
    labels.iter().map(|(name, value)| name.len() + value.len() + 8).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn series(n: u8) -> Labels {
        Labels::from_pairs([("__name__", format!("m{n}"))])
    }

    fn exemplar(timestamp: TimestampMs, id: u8) -> Exemplar {
        Exemplar { labels: Labels::from_pairs([("trace_id", format!("{id:032x}"))]), value: f64::from(id), timestamp }
    }

    fn content(store: &Exemplars) -> Vec<(Labels, Exemplar)> {
        let mut all: Vec<_> =
            store.iter().flat_map(|(series, queue)| queue.iter().map(|e| (series.clone(), e.clone()))).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.order(&b.1)));
        all
    }

    /// What should be kept, said plainly: the newest of each series, and the newest of those.
    fn expected(added: &[(u8, TimestampMs, u8)], bounds: &Bounds) -> Vec<(Labels, Exemplar)> {
        let mut all: Vec<(Labels, Exemplar)> = added.iter().map(|(s, t, id)| (series(*s), exemplar(*t, *id))).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.order(&b.1)));
        all.dedup_by(|a, b| a.0 == b.0 && a.1.order(&b.1).is_eq());
        let mut newest: Vec<(Labels, Exemplar)> = Vec::new();
        for of_series in all.chunk_by(|a, b| a.0 == b.0) {
            newest.extend_from_slice(&of_series[of_series.len().saturating_sub(bounds.per_series)..]);
        }
        newest.sort_by(|a, b| {
            let time = a.1.timestamp.cmp(&b.1.timestamp);
            time.then_with(|| a.0.cmp(&b.0)).then_with(|| a.1.order(&b.1))
        });
        let mut kept = newest.split_off(newest.len().saturating_sub(bounds.exemplars));
        kept.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.order(&b.1)));
        kept
    }

    proptest! {
        #[test]
        fn what_is_kept_is_settled_by_what_was_added(
            added in prop::collection::vec((0u8..6, 0i64..40, 0u8..4), 0..120),
            order in any::<u64>(),
            bounds in (1usize..30, 1usize..8),
        ) {
            let bounds = Bounds { exemplars: bounds.0, per_series: bounds.1, bytes: usize::MAX };
            let mut shuffled = added.clone();
            fastrand::Rng::with_seed(order).shuffle(&mut shuffled);
            let mut store = Exemplars::new(bounds);
            for (s, t, id) in shuffled.iter().chain(&added) {
                store.insert(&series(*s), exemplar(*t, *id));
            }
            let kept = content(&store);
            prop_assert_eq!(&kept, &expected(&added, &bounds));
            let status = store.status();
            prop_assert_eq!(status.exemplars, kept.len());
            let bytes: usize = store.iter().map(|(l, q)| series_bytes(l) + q.iter().map(exemplar_bytes).sum::<usize>()).sum();
            prop_assert_eq!(status.bytes, bytes);
            prop_assert_eq!(status.min_time, kept.iter().map(|(_, e)| e.timestamp).min());

            store.drop_before(20);
            prop_assert_eq!(content(&store), kept.into_iter().filter(|(_, e)| e.timestamp >= 20).collect::<Vec<_>>());
            store.drop_before(TimestampMs::MAX);
            prop_assert_eq!((store.status(), store.oldest.len()), (ExemplarStatus::default(), 0));
        }
    }

    #[test]
    fn bytes_are_bounded_and_a_flood_hurts_itself() {
        let bounds = Bounds { exemplars: 1 << 20, per_series: 10, bytes: 64 << 10 };
        let mut store = Exemplars::new(bounds);
        store.insert(&series(1), exemplar(1, 1));
        for t in 0..10_000 {
            store.insert(&series(2), exemplar(t, 2));
        }
        assert_eq!((store.status().exemplars, store.newest(&series(1)), store.evicted), (11, Some(1), 9_990));
        for n in 0..=255 {
            for t in 0..10 {
                store.insert(&series(n), exemplar(10_000 + i64::from(n) * 10 + t, 2));
            }
            assert!(store.status().bytes <= bounds.bytes);
        }
        assert!(store.status().exemplars > 300 && store.contains(&series(255), &exemplar(12_559, 2)));
    }

    #[test]
    fn nothing_is_kept_where_there_is_no_room() {
        for bounds in [(0, 9, 1 << 20), (9, 0, 1 << 20), (9, 9, 0)] {
            let mut store = Exemplars::new(Bounds { exemplars: bounds.0, per_series: bounds.1, bytes: bounds.2 });
            store.insert(&series(1), exemplar(1, 1));
            assert_eq!(store.status(), ExemplarStatus::default());
        }
    }
}
