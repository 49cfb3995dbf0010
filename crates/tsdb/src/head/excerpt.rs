//! What a query takes of a series while the head is locked: its samples as they are encoded, to be decoded afterwards.

use sonde_model::{FloatColumn, Histogram, TimestampMs};

use super::starts;
use super::stream::Copied;
use crate::columns::{Columns, overlay};

/// The samples of one series between two flushes, apart from the bytes of its stream, which lie in a copy that many share.
#[derive(Debug)]
pub(crate) struct Excerpt {
    floats: Option<Copied>,
    /// What most series have none of.
    rest: Option<Box<Rest>>,
    newest: Option<(TimestampMs, u64)>,
}

/// Samples beside the stream, in order of time, and start timestamps.
#[derive(Debug, Default)]
pub(super) struct Rest {
    pub(super) late: Vec<(TimestampMs, u64)>,
    pub(super) histograms: Vec<(TimestampMs, Histogram)>,
    pub(super) starts: Vec<(TimestampMs, TimestampMs)>,
}

impl Excerpt {
    /// Of these samples.
    pub(super) fn new(floats: Option<Copied>, rest: Option<Box<Rest>>) -> Self {
        Excerpt { floats, rest, newest: None }
    }

    /// Of the newest sample of a series, which stands for all that lie before it, in blocks too.
    pub(crate) fn newest(timestamp: TimestampMs, bits: u64) -> Self {
        Excerpt { floats: None, rest: None, newest: Some((timestamp, bits)) }
    }

    /// The sample, if it is one that stands for all before it.
    pub(crate) fn as_newest(&self) -> Option<(TimestampMs, f64)> {
        self.newest.map(|(timestamp, bits)| (timestamp, f64::from_bits(bits)))
    }

    /// The samples from `from` to `to` inclusive, in order of time, in columns that are empty.
    pub(crate) fn read(&self, copy: &[u8], from: TimestampMs, to: TimestampMs, columns: &mut Columns) {
        if let Some(floats) = &self.floats {
            floats.read(copy, from, to, &mut columns.floats);
        }
        if let Some(rest) = &self.rest {
            lay_rest_over(columns, (&rest.late, &rest.histograms, &rest.starts), from, to);
        }
    }
}

/// Samples beside a stream and start timestamps, as [`Rest`] has them.
pub(super) type RestOf<'r> =
    (&'r [(TimestampMs, u64)], &'r [(TimestampMs, Histogram)], &'r [(TimestampMs, TimestampMs)]);

/// Lays what is beside the stream of a series over what is in it.
pub(super) fn lay_rest_over(
    columns: &mut Columns,
    (late, histograms, runs): RestOf<'_>,
    from: TimestampMs,
    to: TimestampMs,
) {
    if !late.is_empty() {
        let mut newer = Columns { floats: FloatColumn::default(), ..Columns::default() };
        late.iter().for_each(|(t, bits)| newer.floats.push(*t, f64::from_bits(*bits)));
        overlay(columns, newer);
    }
    if !histograms.is_empty() {
        let mut newer = Columns::default();
        let within = histograms.iter().filter(|(t, _)| (from..=to).contains(t));
        within.for_each(|(t, h)| newer.histograms.push(*t, h.clone()));
        overlay(columns, newer);
    }
    columns.restrict(from, to);
    if !runs.is_empty() {
        columns.floats.starts = starts::of(runs, &columns.floats.timestamps);
        columns.histograms.starts = starts::of(runs, &columns.histograms.timestamps);
    }
}
