//! The alarms of late, for people who want to know why a score is high.

use std::collections::VecDeque;

use parking_lot::Mutex;
use sonde_model::{Labels, TimestampMs};

/// How many alarms are remembered; older ones are forgotten, their scores are not.
const KEPT: usize = 1_000;

/// A sample that scored 1.0 or more.
#[derive(Clone, Debug, PartialEq)]
pub struct Alarm {
    /// The name of the watch.
    pub watch: String,
    /// The labels of its series `anomaly_score`.
    pub labels: Labels,
    /// The time of the sample.
    pub at: TimestampMs,
    /// The score.
    pub score: f64,
    /// What weighed most, as one sentence.
    pub why: String,
}

/// The newest alarms, in the order in which they were found.
#[derive(Debug, Default)]
pub(super) struct Alarms(Mutex<VecDeque<Alarm>>);

impl Alarms {
    pub(super) fn extend(&self, alarms: Vec<Alarm>) {
        let mut kept = self.0.lock();
        for alarm in alarms {
            if kept.len() == KEPT {
                kept.pop_front();
            }
            kept.push_back(alarm);
        }
    }

    /// All of them, the newest by the time of the sample first.
    pub(super) fn newest_first(&self) -> Vec<Alarm> {
        let mut alarms: Vec<Alarm> = self.0.lock().iter().cloned().collect();
        alarms.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.labels.cmp(&b.labels)));
        alarms
    }
}
