//! Samples of one series in columns, and how newer samples are laid over older ones.

use sonde_model::{FloatColumn, HistogramColumn, TimestampMs};

/// The samples of one series; a timestamp is in one of the columns only.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Columns {
    pub(crate) floats: FloatColumn,
    pub(crate) histograms: HistogramColumn,
}

impl Columns {
    pub(crate) fn len(&self) -> usize {
        self.floats.len() + self.histograms.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.floats.is_empty() && self.histograms.is_empty()
    }

    /// Drops all and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.floats.timestamps.clear();
        self.floats.values.clear();
        self.floats.starts.clear();
        self.histograms.timestamps.clear();
        self.histograms.values.clear();
        self.histograms.starts.clear();
    }

    /// Drops what is outside `from` to `to` inclusive.
    pub(crate) fn restrict(&mut self, from: TimestampMs, to: TimestampMs) {
        let (floats, histograms) = (&mut self.floats, &mut self.histograms);
        restrict(&mut floats.timestamps, &mut floats.values, &mut floats.starts, from, to);
        restrict(&mut histograms.timestamps, &mut histograms.values, &mut histograms.starts, from, to);
    }

    /// Removes what is within `from` to `to` inclusive.
    pub(crate) fn remove(&mut self, from: TimestampMs, to: TimestampMs) {
        let (floats, histograms) = (&mut self.floats, &mut self.histograms);
        remove_range(&mut floats.timestamps, &mut floats.values, &mut floats.starts, from, to);
        remove_range(&mut histograms.timestamps, &mut histograms.values, &mut histograms.starts, from, to);
    }

    fn last(&self) -> Option<TimestampMs> {
        self.floats.timestamps.last().max(self.histograms.timestamps.last()).copied()
    }

    fn first(&self) -> Option<TimestampMs> {
        let firsts = [self.floats.timestamps.first(), self.histograms.timestamps.first()];
        firsts.into_iter().flatten().min().copied()
    }
}

/// Lays `newer` over `older`: where both have a sample of one time, whatever its kind, the newer one stays.
pub(crate) fn overlay(older: &mut Columns, newer: Columns) {
    if older.is_empty() {
        *older = newer;
        return;
    }
    let behind = newer.first() > older.last();
    let (floats, histograms) = (&mut older.floats, &mut older.histograms);
    if !behind {
        if newer.is_empty() {
            return;
        }
        remove(&mut floats.timestamps, &mut floats.values, &mut floats.starts, &newer.histograms.timestamps);
        remove(&mut histograms.timestamps, &mut histograms.values, &mut histograms.starts, &newer.floats.timestamps);
    }
    let FloatColumn { timestamps, values, starts } = newer.floats;
    let newer_floats = Part { behind, timestamps, values, starts };
    lay_over((&mut floats.timestamps, &mut floats.values, &mut floats.starts), newer_floats);
    let HistogramColumn { timestamps, values, starts } = newer.histograms;
    let newer_histograms = Part { behind, timestamps, values, starts };
    lay_over((&mut histograms.timestamps, &mut histograms.values, &mut histograms.starts), newer_histograms);
}

/// A column to be laid over another one.
struct Part<V> {
    /// Whether all of it is later than the other one.
    behind: bool,
    timestamps: Vec<TimestampMs>,
    values: Vec<V>,
    starts: Vec<TimestampMs>,
}

/// Times, values and start timestamps of a column; the last are empty where there are none.
type Column<'c, V> = (&'c mut Vec<TimestampMs>, &'c mut Vec<V>, &'c mut Vec<TimestampMs>);

fn lay_over<V>((timestamps, values, starts): Column<'_, V>, mut newer: Part<V>) {
    if !(starts.is_empty() && newer.starts.is_empty()) {
        starts.resize(timestamps.len(), 0);
        newer.starts.resize(newer.timestamps.len(), 0);
    }
    if newer.behind {
        timestamps.append(&mut newer.timestamps);
        values.append(&mut newer.values);
        starts.append(&mut newer.starts);
    } else if starts.is_empty() && newer.starts.is_empty() {
        (*timestamps, *values) = merge((timestamps, values), (newer.timestamps, newer.values));
    } else {
        let mut both: Vec<(V, TimestampMs)> = values.drain(..).zip(starts.drain(..)).collect();
        let newer_both = newer.values.into_iter().zip(newer.starts).collect();
        let (merged, both) = merge((timestamps, &mut both), (newer.timestamps, newer_both));
        *timestamps = merged;
        (*values, *starts) = both.into_iter().unzip();
    }
    drop_if_none(starts);
}

fn restrict<V>(
    timestamps: &mut Vec<TimestampMs>,
    values: &mut Vec<V>,
    starts: &mut Vec<TimestampMs>,
    from: TimestampMs,
    to: TimestampMs,
) {
    let end = timestamps.partition_point(|t| *t <= to);
    let start = timestamps[..end].partition_point(|t| *t < from);
    timestamps.truncate(end);
    values.truncate(end);
    timestamps.drain(..start);
    values.drain(..start);
    if !starts.is_empty() {
        starts.truncate(end);
        starts.drain(..start);
        drop_if_none(starts);
    }
}

fn remove_range<V>(
    timestamps: &mut Vec<TimestampMs>,
    values: &mut Vec<V>,
    starts: &mut Vec<TimestampMs>,
    from: TimestampMs,
    to: TimestampMs,
) {
    let start = timestamps.partition_point(|t| *t < from);
    let end = timestamps.partition_point(|t| *t <= to).max(start);
    timestamps.drain(start..end);
    values.drain(start..end);
    if !starts.is_empty() {
        starts.drain(start..end);
        drop_if_none(starts);
    }
}

/// A column whose samples have no start timestamps any more has no column of them.
fn drop_if_none(starts: &mut Vec<TimestampMs>) {
    if starts.iter().all(|start| *start == 0) {
        starts.clear();
    }
}

/// Removes the samples whose time is among `gone`, which is sorted.
fn remove<V>(
    timestamps: &mut Vec<TimestampMs>,
    values: &mut Vec<V>,
    starts: &mut Vec<TimestampMs>,
    gone: &[TimestampMs],
) {
    if gone.is_empty() || timestamps.is_empty() {
        return;
    }
    let kept: Vec<bool> = timestamps.iter().map(|t| gone.binary_search(t).is_err()).collect();
    let mut keep = kept.iter();
    timestamps.retain(|_| *keep.next().unwrap_or(&true));
    let mut keep = kept.iter();
    values.retain(|_| *keep.next().unwrap_or(&true));
    let mut keep = kept.iter();
    starts.retain(|_| *keep.next().unwrap_or(&true));
}

fn merge<V>(
    older: (&mut Vec<TimestampMs>, &mut Vec<V>),
    newer: (Vec<TimestampMs>, Vec<V>),
) -> (Vec<TimestampMs>, Vec<V>) {
    let mut timestamps = Vec::with_capacity(older.0.len() + newer.0.len());
    let mut values = Vec::with_capacity(timestamps.capacity());
    let mut a = older.0.drain(..).zip(older.1.drain(..)).peekable();
    let mut b = newer.0.into_iter().zip(newer.1).peekable();
    loop {
        let take_newer = match (a.peek(), b.peek()) {
            (None, None) => return (timestamps, values),
            (Some(_), None) => false,
            (None, Some(_)) => true,
            (Some((s, _)), Some((t, _))) => t <= s,
        };
        let Some((t, v)) = (if take_newer { b.next() } else { a.next() }) else { continue };
        if take_newer && a.peek().is_some_and(|(s, _)| *s == t) {
            a.next();
        }
        timestamps.push(t);
        values.push(v);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use sonde_model::Histogram;

    use super::*;

    /// Floats or histograms, with a start timestamp or 0.
    type Sample = (Option<u32>, i64);

    fn columns(samples: &BTreeMap<i64, Sample>) -> Columns {
        let mut columns = Columns::default();
        for (t, (v, start)) in samples {
            match v {
                Some(v) => columns.floats.push_started(*t, *start, f64::from(*v)),
                None => columns.histograms.push_started(*t, *start, Histogram::default()),
            }
        }
        columns
    }

    fn samples(values: std::ops::Range<u32>) -> impl Strategy<Value = BTreeMap<i64, Sample>> {
        let start = prop_oneof![Just(0i64).boxed(), (0i64..3).boxed()];
        // Most columns have no start timestamps at all.
        let all = (prop::collection::btree_map(0i64..40, (prop::option::of(values), start), 0..30), any::<u8>());
        all.prop_map(|(mut samples, with_starts)| {
            if with_starts % 2 == 0 {
                samples.values_mut().for_each(|(_, start)| *start = 0);
            }
            samples
        })
    }

    proptest! {
        #[test]
        fn newer_samples_win(
            older in samples(0..9), newer in samples(10..19),
            from in 0i64..40, to in 0i64..40,
        ) {
            let mut merged = columns(&older);
            overlay(&mut merged, columns(&newer));
            let mut expected = older;
            expected.extend(newer);
            prop_assert_eq!(&merged, &columns(&expected));
            let (mut cut, mut left) = (merged.clone(), expected.clone());
            cut.remove(from, to);
            left.retain(|t, _| !(from..=to).contains(t));
            prop_assert_eq!(&cut, &columns(&left));
            merged.restrict(from, to);
            expected.retain(|t, _| (from..=to).contains(t));
            prop_assert_eq!(&merged, &columns(&expected));
        }
    }
}
