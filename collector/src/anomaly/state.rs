//! What a watch remembers, and what it makes of the values of its next steps. Pure in time.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use sonde_alerting::OutputSample;
use sonde_detect::Novelty;
use sonde_model::{FloatColumn, Labels, METRIC_NAME, Series, TimestampMs, stale_nan};
use sonde_promql::SampleValue;

use super::alarms::Alarm;

/// The metric that scores are stored under.
const SCORE: &str = "anomaly_score";
/// The label of a score that names its watch.
const WATCH: &str = "anomaly";
/// The score that is an alarm.
const ALARM: f64 = 1.0;
/// How many values one evaluation takes in about: it is held in memory, and a stop waits for it.
const VALUES: i64 = 1_000_000;
/// A watch is expected to have at least so many series before it is known how many there are.
const EXPECTED_SERIES: usize = 4_096;
/// A state that is further ahead than this was learned under a clock that was wrong.
const AHEAD_MS: i64 = 3_600_000;

/// What one watch remembers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct State {
    /// The last step that was walked over.
    pub(super) last: Option<TimestampMs>,
    /// By the labels of the score.
    pub(super) series: BTreeMap<Labels, Detector>,
}

/// The memory of one series.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Detector {
    pub(super) novelty: Novelty,
    /// Whether the series had a value at the last step: if it has none at the next, its score ends.
    pub(super) present: bool,
}

/// Steps to walk over: `from`, `from + step_ms`, ..., `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Steps {
    pub(super) from: TimestampMs,
    pub(super) to: TimestampMs,
    pub(super) step_ms: i64,
    /// Steps before `from` that are too long ago.
    pub(super) skipped: u64,
    /// Whether there are more after `to`.
    pub(super) more: bool,
}

/// What came of some steps.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Fed {
    /// Scores, and stale markers of scores that ended.
    pub(super) samples: Vec<OutputSample>,
    pub(super) alarms: Vec<Alarm>,
    pub(super) values: u64,
    pub(super) unusable: u64,
    pub(super) refused_full: u64,
    pub(super) refused_ambiguous: u64,
}

impl State {
    /// The next steps up to `now`, as many as are walked over at once; `None` where none has come.
    pub(super) fn next_steps(&mut self, now: TimestampMs, step_ms: i64, history_ms: i64) -> Option<Steps> {
        let slot = now.div_euclid(step_ms) * step_ms;
        if self.last.is_some_and(|last| last > slot.saturating_add(AHEAD_MS)) {
            tracing::warn!("what was learned is ahead of the clock by more than an hour: a watch learns anew");
            *self = State::default();
        }
        let earliest = slot - history_ms / step_ms * step_ms;
        let from = match self.last {
            // The clock was set back: on from where it stands, when it comes there.
            Some(last) => last.saturating_add(step_ms).max(earliest),
            None => earliest,
        };
        if from > slot {
            return None;
        }
        let gap = self.last.map_or(0, |last| from.saturating_sub(last) / step_ms - 1);
        let expected = self.series.len().max(EXPECTED_SERIES);
        let count = (VALUES / i64::try_from(expected).unwrap_or(i64::MAX)).max(1);
        let to = slot.min(from.saturating_add((count - 1).saturating_mul(step_ms)));
        Some(Steps { from, to, step_ms, skipped: u64::try_from(gap).unwrap_or(0), more: to < slot })
    }

    /// Feeds the detectors with the values of `steps`.
    pub(super) fn feed(&mut self, watch: &str, steps: Steps, found: &[Series], max_series: usize) -> Fed {
        let mut fed = Fed::default();
        let mut columns: BTreeMap<Labels, &FloatColumn> = BTreeMap::new();
        for series in found {
            fed.unusable += series.histograms.len() as u64;
            if series.floats.is_empty() {
                continue;
            }
            match columns.entry(score_labels(watch, &series.labels)) {
                Entry::Vacant(vacant) => {
                    vacant.insert(&series.floats);
                }
                Entry::Occupied(_) => fed.refused_ambiguous += 1,
            }
        }
        for (labels, detector) in &mut self.series {
            if detector.present && !columns.contains_key(labels) {
                detector.present = false;
                fed.push(labels, steps.from, stale_nan());
            }
        }
        self.make_room(&columns, max_series);
        for (labels, column) in columns {
            if !self.series.contains_key(&labels) && self.series.len() >= max_series {
                fed.refused_full += 1;
                continue;
            }
            let detector = self.series.entry(labels.clone()).or_default();
            detector.walk(watch, &labels, steps, column, &mut fed);
        }
        self.last = Some(steps.to);
        fed
    }

    /// Stale markers of all scores that have not ended.
    pub(super) fn end(&mut self, at: TimestampMs) -> Vec<OutputSample> {
        let mut fed = Fed::default();
        for (labels, detector) in self.series.iter_mut().filter(|(_, detector)| detector.present) {
            detector.present = false;
            fed.push(labels, at, stale_nan());
        }
        fed.samples
    }

    /// Forgets series that are not there any more, those first that are gone longest, where new ones need their room.
    fn make_room(&mut self, columns: &BTreeMap<Labels, &FloatColumn>, max_series: usize) {
        let new = columns.keys().filter(|labels| !self.series.contains_key(labels)).count();
        let over = (self.series.len() + new).saturating_sub(max_series);
        if over == 0 {
            return;
        }
        let absent = self.series.iter().filter(|(labels, _)| !columns.contains_key(labels));
        let mut absent: Vec<_> = absent.map(|(l, d)| (d.novelty.last_timestamp_ms(), l.clone())).collect();
        absent.sort();
        for (_, labels) in absent.into_iter().take(over) {
            self.series.remove(&labels);
        }
    }
}

impl Detector {
    fn walk(&mut self, watch: &str, labels: &Labels, steps: Steps, column: &FloatColumn, fed: &mut Fed) {
        let mut values = column.timestamps.iter().zip(&column.values).peekable();
        let mut at = steps.from;
        while at <= steps.to {
            while values.next_if(|(t, _)| **t < at).is_some() {}
            match values.next_if(|(t, _)| **t == at) {
                Some((_, value)) if value.is_finite() => {
                    self.present = true;
                    fed.values += 1;
                    let score = self.novelty.push(at, *value);
                    fed.push(labels, at, score.value);
                    if let Some(finding) = score.finding.filter(|_| score.value >= ALARM) {
                        let (watch, labels) = (watch.to_owned(), labels.clone());
                        fed.alarms.push(Alarm { watch, labels, at, score: score.value, why: finding.to_string() });
                    }
                }
                unusable => {
                    fed.unusable += u64::from(unusable.is_some());
                    if std::mem::take(&mut self.present) {
                        fed.push(labels, at, stale_nan());
                    }
                }
            }
            at += steps.step_ms;
        }
    }
}

impl Fed {
    fn push(&mut self, labels: &Labels, timestamp: TimestampMs, value: f64) {
        self.samples.push(OutputSample { labels: labels.clone(), timestamp, value: SampleValue::Float(value) });
    }
}

/// The labels of the score of a series.
fn score_labels(watch: &str, labels: &Labels) -> Labels {
    labels.with(METRIC_NAME, SCORE).with(WATCH, watch)
}
