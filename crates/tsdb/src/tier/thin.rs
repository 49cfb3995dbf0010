//! Which samples of a step are kept: a pure function.
//!
//! Steps end with the samples of their last millisecond and begin after those of the step before, as the windows of
//! range selectors do. Cutting a step into pieces keeps more samples, never fewer of those that matter, so that days may
//! be cut anywhere and fed again.

use std::collections::BTreeSet;
use std::ops::Range;

use sonde_model::{CounterResetHint, Histogram, TimestampMs, is_stale};

use crate::columns::Columns;

/// One in so many samples of a step may be a fall or border on a gap. Where there are more, the series is a gauge, and
/// they are not kept.
const EVENTS_ONE_IN: usize = 8;
/// So many of them are kept of every step.
const EVENTS_KEPT: usize = 2;

/// The samples of each step that are kept: the first and the last, the lowest and the highest, both sides of each fall
/// of a counter, and of each gap that a stale marker opens.
pub(crate) fn thin(columns: &Columns, step_ms: i64) -> Columns {
    let mut kept = Columns::default();
    let floats = &columns.floats;
    for step in steps(&floats.timestamps, step_ms) {
        for i in kept_floats(&floats.values, step) {
            let start = floats.starts.get(i).copied().unwrap_or(0);
            kept.floats.push_started(floats.timestamps[i], start, floats.values[i]);
        }
    }
    let histograms = &columns.histograms;
    let mut before = None;
    for step in steps(&histograms.timestamps, step_ms) {
        for i in kept_histograms(&histograms.values, step) {
            let start = histograms.starts.get(i).copied().unwrap_or(0);
            let mut value = histograms.values[i].clone();
            let follows = i > 0 && before == Some(i - 1);
            if !follows && value.reset_hint != CounterResetHint::Gauge {
                // It was said of a neighbour that is gone.
                value.reset_hint = CounterResetHint::Unknown;
            }
            kept.histograms.push_started(histograms.timestamps[i], start, value);
            before = Some(i);
        }
    }
    kept
}

/// The runs of samples that lie in one step.
fn steps(timestamps: &[TimestampMs], step_ms: i64) -> impl Iterator<Item = Range<usize>> {
    let step_of = move |t: TimestampMs| t.saturating_sub(1).div_euclid(step_ms);
    let mut start = 0;
    std::iter::from_fn(move || {
        let first = step_of(*timestamps.get(start)?);
        let len = timestamps[start..].partition_point(|t| step_of(*t) == first);
        let run = start..start + len;
        start = run.end;
        Some(run)
    })
}

fn kept_floats(values: &[f64], step: Range<usize>) -> BTreeSet<usize> {
    let mut kept = Kept::new(&step);
    let (mut lowest, mut highest): (Option<usize>, Option<usize>) = (None, None);
    let mut number_before: Option<usize> = None;
    for i in step.clone() {
        let value = values[i];
        kept.stale(i, is_stale(value));
        if value.is_nan() {
            continue;
        }
        if let Some(before) = number_before.filter(|before| value < values[*before]) {
            kept.event(before, i);
        }
        number_before = Some(i);
        if lowest.is_none_or(|l| value < values[l]) {
            lowest = Some(i);
        }
        if highest.is_none_or(|h| value >= values[h]) {
            highest = Some(i);
        }
    }
    kept.finish(lowest.into_iter().chain(highest))
}

fn kept_histograms(values: &[Histogram], step: Range<usize>) -> BTreeSet<usize> {
    let mut kept = Kept::new(&step);
    let mut before: Option<usize> = None;
    for i in step.clone() {
        let value = &values[i];
        kept.stale(i, value.is_stale());
        if value.is_stale() {
            continue;
        }
        let is_gauge = value.reset_hint == CounterResetHint::Gauge;
        if let Some(before) = before.filter(|before| !is_gauge && value.is_reset_after(&values[*before])) {
            kept.event(before, i);
        }
        before = Some(i);
    }
    kept.finish(None)
}

/// What is found worth keeping while a step is walked through.
struct Kept {
    always: BTreeSet<usize>,
    events: Vec<(usize, usize)>,
    most_events: usize,
    /// The first and the last sample that are no stale markers.
    ends: Option<(usize, usize)>,
    was_stale: Option<(usize, bool)>,
}

impl Kept {
    fn new(step: &Range<usize>) -> Self {
        let always = step.clone().take(1).chain(step.clone().next_back()).collect();
        let most_events = (step.len() / EVENTS_ONE_IN).max(EVENTS_KEPT);
        Kept { always, events: Vec::new(), most_events, ends: None, was_stale: None }
    }

    /// Looks at the next sample.
    fn stale(&mut self, i: usize, stale: bool) {
        if let Some((before, was)) = self.was_stale
            && was != stale
        {
            self.event(before, i);
        }
        self.was_stale = Some((i, stale));
        if !stale {
            self.ends = Some((self.ends.map_or(i, |(first, _)| first), i));
        }
    }

    fn event(&mut self, before: usize, after: usize) {
        if self.events.len() <= self.most_events {
            self.events.push((before, after));
        }
    }

    fn finish(self, more: impl IntoIterator<Item = usize>) -> BTreeSet<usize> {
        let mut kept = self.always;
        kept.extend(self.ends.into_iter().flat_map(|(first, last)| [first, last]));
        kept.extend(more);
        if self.events.len() <= self.most_events {
            kept.extend(self.events.into_iter().flat_map(|(before, after)| [before, after]));
        }
        kept
    }
}

#[cfg(test)]
mod tests;
