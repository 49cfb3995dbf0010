//! Alerts of other senders, such as a Prometheus: they say themselves until when they hold. Pure in time.
//!
//! The rules are those of Alertmanager: an alert that comes again is the same one, an end that was only assumed gives way to
//! one that was said, and what nobody repeats in time is resolved.

use std::collections::BTreeMap;

use sonde_model::{Labels, TimestampMs};
use thiserror::Error;

use crate::alert::{AlertInstance, AlertState};

/// Alerts of other senders that are kept at a time.
pub const MAX_RECEIVED: usize = 50_000;
/// Labels or annotations of one alert.
pub const MAX_PAIRS: usize = 64;
/// The bytes of all labels and annotations of one alert, and of its link.
pub const MAX_BYTES: usize = 32 << 10;
/// The bytes of all of them together, counted in the same way.
pub const MAX_TOTAL_BYTES: usize = 64 << 20;
/// So long an alert holds whose sender does not say until when: Alertmanager's `resolve_timeout`.
pub const RESOLVE_TIMEOUT_MS: i64 = 5 * 60_000;

/// An alert as it is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Posted {
    /// Its identity.
    pub labels: Labels,
    /// What it says.
    pub annotations: Labels,
    /// Since when; `None` for now.
    pub starts_at: Option<TimestampMs>,
    /// Until when; `None` for as long as it is repeated.
    pub ends_at: Option<TimestampMs>,
    /// Where it comes from.
    pub generator_url: String,
}

/// An alert that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its identity.
    pub labels: Labels,
    /// What it says.
    pub annotations: Labels,
    /// Since when.
    pub starts_at: TimestampMs,
    /// Until when, if it is not repeated.
    pub ends_at: TimestampMs,
    /// Whether the end is assumed.
    pub assumed_end: bool,
    /// When it came last.
    pub updated_at: TimestampMs,
    /// Where it comes from.
    pub generator_url: String,
}

/// Why an alert is not taken, in the words of Alertmanager where it has any.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PostError {
    /// It has no identity.
    #[error("at least one label pair required")]
    NoLabels,
    /// A label or an annotation has no name.
    #[error("invalid {set} set: invalid name \"\"")]
    EmptyName {
        /// Labels or annotations.
        set: &'static str,
    },
    /// It ends before it begins.
    #[error("start time must be before end time")]
    EndsBeforeStart,
    /// It has more labels or annotations than are taken.
    #[error("the alert has {count} labels or annotations (limit: {MAX_PAIRS})")]
    TooManyPairs {
        /// How many.
        count: usize,
    },
    /// It is larger than what is taken.
    #[error("the alert has {bytes} bytes (limit: {MAX_BYTES})")]
    TooLarge {
        /// How large it is.
        bytes: usize,
    },
    /// There are as many as may be.
    #[error("too many alerts of other senders (limit: {MAX_RECEIVED})")]
    TooMany,
    /// They would take more memory than they may.
    #[error("the alerts of other senders would have {bytes} bytes (limit: {MAX_TOTAL_BYTES})")]
    TooManyBytes {
        /// How much it would be.
        bytes: usize,
    },
}

/// The alerts of other senders that fire.
#[derive(Clone, Debug, Default)]
pub struct ReceivedAlerts {
    alerts: BTreeMap<Labels, Received>,
    /// What they take together.
    bytes: usize,
}

impl Received {
    /// The alert as rules would have made it: firing, or resolved where it has ended by `now`.
    pub fn instance(&self, now: TimestampMs) -> AlertInstance {
        let ended = self.ends_at <= now;
        AlertInstance {
            labels: self.labels.clone(),
            annotations: self.annotations.clone(),
            state: if ended { AlertState::Inactive } else { AlertState::Firing },
            active_at: self.starts_at,
            fired_at: Some(self.starts_at),
            resolved_at: ended.then_some(self.ends_at),
            keep_firing_since: None,
            value: 0.0,
        }
    }

    fn new(posted: Posted, now: TimestampMs) -> Result<Self, PostError> {
        let starts_at = posted.starts_at.or(posted.ends_at).unwrap_or(now);
        let ends_at = posted.ends_at.unwrap_or(now + RESOLVE_TIMEOUT_MS);
        if posted.labels.is_empty() {
            return Err(PostError::NoLabels);
        }
        if ends_at < starts_at {
            return Err(PostError::EndsBeforeStart);
        }
        let count = posted.labels.len().max(posted.annotations.len());
        if count > MAX_PAIRS {
            return Err(PostError::TooManyPairs { count });
        }
        let bytes = bytes(&posted.labels, &posted.annotations, &posted.generator_url);
        if bytes > MAX_BYTES {
            return Err(PostError::TooLarge { bytes });
        }
        for (set, pairs) in [("label", &posted.labels), ("annotation", &posted.annotations)] {
            if pairs.iter().any(|(name, _)| name.is_empty()) {
                return Err(PostError::EmptyName { set });
            }
        }
        Ok(Received {
            labels: posted.labels,
            annotations: posted.annotations,
            starts_at,
            ends_at,
            assumed_end: posted.ends_at.is_none(),
            updated_at: now,
            generator_url: posted.generator_url,
        })
    }

    fn bytes(&self) -> usize {
        bytes(&self.labels, &self.annotations, &self.generator_url)
    }

    /// The alert once it has come again: it began when it first began.
    fn merge(&self, mut newer: Received) -> Received {
        let within = |at| self.starts_at <= at && at <= self.ends_at;
        if !within(newer.starts_at) && !within(newer.ends_at) {
            return newer;
        }
        newer.starts_at = newer.starts_at.min(self.starts_at);
        let still_fires = newer.ends_at > newer.updated_at;
        if still_fires && newer.assumed_end && !self.assumed_end && self.ends_at > newer.ends_at {
            newer.ends_at = self.ends_at;
            newer.assumed_end = false;
        }
        newer
    }
}

impl ReceivedAlerts {
    /// The alerts that were remembered.
    pub fn restore(alerts: impl IntoIterator<Item = Received>) -> Self {
        let alerts: BTreeMap<Labels, Received> =
            alerts.into_iter().map(|alert| (alert.labels.clone(), alert)).collect();
        let bytes = alerts.values().map(Received::bytes).sum();
        ReceivedAlerts { alerts, bytes }
    }

    /// Takes an alert and gives it as it is now. One that has ended is given back, but not kept.
    pub fn post(&mut self, posted: Posted, now: TimestampMs) -> Result<Received, PostError> {
        let new = Received::new(posted, now)?;
        let known = self.alerts.get(&new.labels);
        let alert = known.map_or_else(|| new.clone(), |old| old.merge(new.clone()));
        let without = self.bytes - known.map_or(0, Received::bytes);
        if alert.ends_at <= now {
            self.alerts.remove(&alert.labels);
            self.bytes = without;
            return Ok(alert);
        }
        if known.is_none() && self.alerts.len() >= MAX_RECEIVED {
            return Err(PostError::TooMany);
        }
        let bytes = without + alert.bytes();
        // One that only shrinks is never refused.
        if bytes > MAX_TOTAL_BYTES && bytes > self.bytes {
            return Err(PostError::TooManyBytes { bytes });
        }
        self.bytes = bytes;
        self.alerts.insert(alert.labels.clone(), alert.clone());
        Ok(alert)
    }

    /// Takes out the alerts that have ended by `now`.
    pub fn take_ended(&mut self, now: TimestampMs) -> Vec<Received> {
        let ended: Vec<Received> = self.alerts.values().filter(|alert| alert.ends_at <= now).cloned().collect();
        for alert in &ended {
            self.alerts.remove(&alert.labels);
            self.bytes -= alert.bytes();
        }
        ended
    }

    /// When the next alert ends.
    pub fn next_end(&self) -> Option<TimestampMs> {
        self.alerts.values().map(|alert| alert.ends_at).min()
    }

    /// All that are kept, by their labels.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Received> {
        self.alerts.values()
    }
}

fn bytes(labels: &Labels, annotations: &Labels, generator_url: &str) -> usize {
    let all = labels.iter().chain(annotations.iter());
    all.map(|(name, value)| name.len() + value.len()).sum::<usize>() + generator_url.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn posted(starts_at: Option<i64>, ends_at: Option<i64>) -> Posted {
        let labels = Labels::from_pairs([("alertname", "A")]);
        Posted { labels, starts_at, ends_at, ..Posted::default() }
    }

    /// Posts one after another, each at its time; gives the last as start, end and whether the end is assumed.
    fn post(steps: &[(i64, Option<i64>, Option<i64>)]) -> (i64, i64, bool) {
        let mut alerts = ReceivedAlerts::default();
        let mut last = None;
        for (now, starts_at, ends_at) in steps {
            last = Some(alerts.post(posted(*starts_at, *ends_at), *now).expect("it is taken"));
        }
        let last = last.expect("a step");
        (last.starts_at, last.ends_at, last.assumed_end)
    }

    const END: i64 = RESOLVE_TIMEOUT_MS;

    #[test]
    fn an_alert_that_comes_again_is_the_same_one() {
        assert_eq!(post(&[(1_000, None, None)]), (1_000, 1_000 + END, true));
        assert_eq!(post(&[(1_000, None, None), (2_000, None, None)]), (1_000, 2_000 + END, true));
        assert_eq!(post(&[(1_000, Some(500), None), (2_000, Some(700), None)]), (500, 2_000 + END, true));
        assert_eq!(post(&[(1_000, None, None), (2_000, None, Some(2_000))]), (1_000, 2_000, false), "it has ended");
        assert_eq!(post(&[(1_000, Some(1_000), Some(900_000)), (2_000, None, None)]), (1_000, 900_000, false));
        assert_eq!(post(&[(1_000, Some(1_000), Some(5_000)), (2_000, None, None)]), (1_000, 2_000 + END, true));
        assert_eq!(post(&[(1_000, Some(1_000), Some(5_000)), (2_000, None, Some(4_000))]), (1_000, 4_000, false));
        assert_eq!(
            post(&[(1_000, Some(1_000), Some(2_000)), (3_000, None, None)]),
            (3_000, 3_000 + END, true),
            "another one"
        );
    }

    #[test]
    fn what_is_not_repeated_ends() {
        let mut alerts = ReceivedAlerts::default();
        alerts.post(posted(None, None), 1_000).expect("it is taken");
        assert_eq!(alerts.next_end(), Some(1_000 + END));
        assert!(alerts.take_ended(END).is_empty());
        let ended = alerts.take_ended(1_000 + END);
        let instance = ended[0].instance(1_000 + END);
        assert_eq!((instance.state, instance.resolved_at), (AlertState::Inactive, Some(1_000 + END)));
        assert_eq!((alerts.next_end(), alerts.iter().len()), (None, 0));
        alerts.post(posted(None, Some(4_000)), 5_000).expect("an end alone is taken");
        assert_eq!(alerts.iter().len(), 0);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let told = |posted: Posted| ReceivedAlerts::default().post(posted, 1_000).expect_err("refused").to_string();
        assert_eq!(told(Posted::default()), "at least one label pair required");
        assert_eq!(told(posted(Some(2_000), Some(1_000))), "start time must be before end time");
        let annotations = Labels::from_pairs([("", "c")]);
        assert_eq!(told(Posted { annotations, ..posted(None, None) }), "invalid annotation set: invalid name \"\"");
        let many = Labels::from_pairs((0..=MAX_PAIRS).map(|n| (n.to_string(), "x")));
        assert_eq!(
            told(Posted { labels: many, ..Posted::default() }),
            "the alert has 65 labels or annotations (limit: 64)"
        );
        let link = "x".repeat(MAX_BYTES);
        assert_eq!(
            told(Posted { generator_url: link, ..posted(None, None) }),
            "the alert has 32778 bytes (limit: 32768)"
        );
        let full = (0..MAX_RECEIVED).map(|n| Received {
            labels: Labels::from_pairs([("n", n.to_string())]),
            ..ReceivedAlerts::default().post(posted(None, None), 1_000).expect("an alert")
        });
        let error = ReceivedAlerts::restore(full).post(posted(None, None), 1_000).expect_err("it is full");
        assert_eq!(error.to_string(), "too many alerts of other senders (limit: 50000)");
    }

    #[test]
    fn what_they_take_together_is_bounded() {
        let large = |n: usize, bytes: usize, ends_at: i64| Posted {
            labels: Labels::from_pairs([("n", n.to_string())]),
            generator_url: "x".repeat(bytes),
            ends_at: Some(ends_at),
            ..Posted::default()
        };
        let mut alerts = ReceivedAlerts::default();
        let full =
            (0..MAX_RECEIVED).find(|n| alerts.post(large(*n, 32_000, 9_000), 1_000).is_err()).expect("it is full");
        assert_eq!(full, MAX_TOTAL_BYTES / 32_004, "names and values count, too");
        let error = alerts.post(large(full, 32_000, 9_000), 1_000).expect_err("full").to_string();
        assert!(error.starts_with("the alerts of other senders would have") && error.ends_with("(limit: 67108864)"));
        alerts.post(large(0, 32_000, 9_000), 1_000).expect("one that is known comes again");
        assert!((0..100).any(|n| alerts.post(large(n, 32_700, 9_000), 1_000).is_err()), "but not larger");
        alerts.post(large(0, 32_000, 1_000), 1_000).expect("an end is taken");
        alerts.post(large(full, 32_000, 9_000), 1_000).expect("there is room again");
        let mut again = ReceivedAlerts::restore(alerts.iter().cloned());
        assert!(again.post(large(0, 32_000, 9_000), 1_000).is_err(), "also after a restart");
        again.take_ended(9_000);
        assert_eq!(again.bytes, 0);
    }
}
