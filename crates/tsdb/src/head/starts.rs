//! The start timestamps of the samples of the head between two flushes: by slot, where they change.

use std::collections::HashMap;

use sonde_model::TimestampMs;

/// Start timestamps of many series. As long as there are none they cost nothing.
#[derive(Debug, Default)]
pub(crate) struct Starts {
    /// What holds for the next sample of each slot, 0 for none: one comparison tells that nothing changes.
    newest: Vec<TimestampMs>,
    /// From which time on which start holds, by time. Before the first there is none.
    runs: HashMap<u32, Vec<(TimestampMs, TimestampMs)>, foldhash::fast::RandomState>,
    changes: usize,
}

impl Starts {
    /// Whether there are none at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Notes the start of a sample, 0 for none. `is_newest` says that its series has no sample at this time or later.
    pub(crate) fn set(&mut self, slot: u32, timestamp: TimestampMs, start: TimestampMs, is_newest: bool) {
        let index = slot as usize;
        if index >= self.newest.len() {
            if start == 0 {
                return;
            }
            self.newest.resize(index + 1, 0);
        }
        if is_newest {
            if self.newest[index] != start {
                self.newest[index] = start;
                put(self.runs.entry(slot).or_default(), timestamp, start);
                self.changes += 1;
            }
            return;
        }
        let runs = self.runs.entry(slot).or_default();
        let before = at(runs, timestamp);
        if before != start {
            // What held before holds again for the samples behind this one.
            let next = timestamp.saturating_add(1);
            if runs.binary_search_by_key(&next, |(t, _)| *t).is_err() {
                put(runs, next, before);
            }
            put(runs, timestamp, start);
            self.changes += 2;
        }
    }

    /// From which time on which start holds in a series, by time. Before the first there is none.
    pub(crate) fn runs(&self, slot: u32) -> &[(TimestampMs, TimestampMs)] {
        if self.runs.is_empty() {
            return &[];
        }
        self.runs.get(&slot).map_or(&[], Vec::as_slice)
    }

    /// An estimate of the memory held.
    pub(crate) fn bytes(&self) -> usize {
        self.newest.len() * size_of::<TimestampMs>() + self.runs.len() * 48 + self.changes * 16
    }
}

/// The starts of the samples at these times, which grow, by the runs of their series; empty where none has one.
pub(crate) fn of(runs: &[(TimestampMs, TimestampMs)], timestamps: &[TimestampMs]) -> Vec<TimestampMs> {
    let mut runs = runs.iter().peekable();
    let (mut holds, mut any) = (0, false);
    let starts: Vec<TimestampMs> = timestamps
        .iter()
        .map(|timestamp| {
            while let Some((_, start)) = runs.next_if(|(from, _)| from <= timestamp) {
                holds = *start;
            }
            any |= holds != 0;
            holds
        })
        .collect();
    if any { starts } else { Vec::new() }
}

/// What holds at a time.
fn at(runs: &[(TimestampMs, TimestampMs)], timestamp: TimestampMs) -> TimestampMs {
    runs[..runs.partition_point(|(from, _)| *from <= timestamp)].last().map_or(0, |(_, start)| *start)
}

fn put(runs: &mut Vec<(TimestampMs, TimestampMs)>, timestamp: TimestampMs, start: TimestampMs) {
    match runs.binary_search_by_key(&timestamp, |(t, _)| *t) {
        Ok(at) => runs[at].1 = start,
        Err(at) => runs.insert(at, (timestamp, start)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_sample_has_the_start_it_came_with(
            samples in prop::collection::vec((0i64..40, prop_oneof![2 => Just(0i64), 3 => Just(7), 1 => 1i64..5]), 0..60),
        ) {
            let (mut starts, mut model) = (Starts::default(), BTreeMap::new());
            for (timestamp, start) in samples {
                let is_newest = model.last_key_value().is_none_or(|(last, _)| timestamp > *last);
                starts.set(3, timestamp, start, is_newest);
                model.insert(timestamp, start);
                let times: Vec<i64> = model.keys().copied().collect();
                let mut expected: Vec<i64> = model.values().copied().collect();
                if expected.iter().all(|start| *start == 0) {
                    expected.clear();
                }
                prop_assert_eq!(of(starts.runs(3), &times), expected);
            }
            prop_assert!(of(starts.runs(2), &[1, 2]).is_empty());
        }
    }
}
