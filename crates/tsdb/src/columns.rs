//! Samples of one series in columns, and how newer samples are laid over older ones.

use sonde_model::{FloatColumn, Histogram, HistogramColumn, TimestampMs};

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

    /// Drops what is outside `from` to `to` inclusive.
    pub(crate) fn restrict(&mut self, from: TimestampMs, to: TimestampMs) {
        restrict(&mut self.floats.timestamps, &mut self.floats.values, from, to);
        restrict(&mut self.histograms.timestamps, &mut self.histograms.values, from, to);
    }

    /// Removes what is within `from` to `to` inclusive.
    pub(crate) fn remove(&mut self, from: TimestampMs, to: TimestampMs) {
        remove_range(&mut self.floats.timestamps, &mut self.floats.values, from, to);
        remove_range(&mut self.histograms.timestamps, &mut self.histograms.values, from, to);
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
    if newer.first() > older.last() {
        older.floats.timestamps.extend(newer.floats.timestamps);
        older.floats.values.extend(newer.floats.values);
        older.histograms.timestamps.extend(newer.histograms.timestamps);
        older.histograms.values.extend(newer.histograms.values);
        return;
    }
    if newer.is_empty() {
        return;
    }
    let (floats, histograms) = (&mut older.floats, &mut older.histograms);
    remove(&mut floats.timestamps, &mut floats.values, &newer.histograms.timestamps);
    remove(&mut histograms.timestamps, &mut histograms.values, &newer.floats.timestamps);
    let (t, v): (Vec<TimestampMs>, Vec<f64>) =
        merge((&mut floats.timestamps, &mut floats.values), (newer.floats.timestamps, newer.floats.values));
    (floats.timestamps, floats.values) = (t, v);
    let (t, v): (Vec<TimestampMs>, Vec<Histogram>) = merge(
        (&mut histograms.timestamps, &mut histograms.values),
        (newer.histograms.timestamps, newer.histograms.values),
    );
    (histograms.timestamps, histograms.values) = (t, v);
}

fn restrict<V>(timestamps: &mut Vec<TimestampMs>, values: &mut Vec<V>, from: TimestampMs, to: TimestampMs) {
    let end = timestamps.partition_point(|t| *t <= to);
    timestamps.truncate(end);
    values.truncate(end);
    let start = timestamps.partition_point(|t| *t < from);
    timestamps.drain(..start);
    values.drain(..start);
}

fn remove_range<V>(timestamps: &mut Vec<TimestampMs>, values: &mut Vec<V>, from: TimestampMs, to: TimestampMs) {
    let start = timestamps.partition_point(|t| *t < from);
    let end = timestamps.partition_point(|t| *t <= to).max(start);
    timestamps.drain(start..end);
    values.drain(start..end);
}

/// Removes the samples whose time is among `gone`, which is sorted.
fn remove<V>(timestamps: &mut Vec<TimestampMs>, values: &mut Vec<V>, gone: &[TimestampMs]) {
    if gone.is_empty() || timestamps.is_empty() {
        return;
    }
    let kept: Vec<bool> = timestamps.iter().map(|t| gone.binary_search(t).is_err()).collect();
    let mut keep = kept.iter();
    timestamps.retain(|_| *keep.next().unwrap_or(&true));
    let mut keep = kept.iter();
    values.retain(|_| *keep.next().unwrap_or(&true));
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

    use super::*;

    fn columns(samples: &BTreeMap<i64, Option<u32>>) -> Columns {
        let mut columns = Columns::default();
        for (t, v) in samples {
            match v {
                Some(v) => columns.floats.push(*t, f64::from(*v)),
                None => columns.histograms.push(*t, Histogram::default()),
            }
        }
        columns
    }

    proptest! {
        #[test]
        fn newer_samples_win(
            older in prop::collection::btree_map(0i64..40, prop::option::of(0u32..9), 0..30),
            newer in prop::collection::btree_map(0i64..40, prop::option::of(10u32..19), 0..30),
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
