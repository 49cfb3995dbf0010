//! The record-novelty detector: a sample scores by how far it lies beyond everything seen.
//!
//! Five features of a series each keep the range they have been in. What breaks a record scores by its distance in
//! widths of the range; the weighted sum passes a gate, so that one event is told once. Nothing is assumed of the
//! distribution, nothing is trained, and there is no look-ahead. Feed it rates and ratios, never raw counters.
//! The windows, weights and leaks are those of the project's own study on the Numenta Anomaly Benchmark, in which they
//! reach 76.8 of 100 on all files; tuned on half of the files the other half reaches about 65, which is what to expect
//! of unseen series.

use crate::explain::{Direction, FeatureKind, Finding};
use crate::feature::{DailyResidual, RollingMax};
use crate::gate::Gate;
use crate::record::{Moment, Record, RecordConfig};

/// The raw score at which an alarm is due: [`Score::value`] is 1.0 there.
const ALARM: f64 = 0.0625;
/// The step for which leaks and warm-ups were found, in seconds.
const STUDY_STEP: f64 = 300.0;
const LEAK_PER_SECOND: f64 = 5e-5 / STUDY_STEP;
/// Within this time after the last sample nothing is said of the leak of the first.
const SHORT_FLOOR: u32 = 16;
const LONG_FLOOR: u32 = 48;
const CEILING: u32 = 320;
const RESIDUAL_SPAN: f64 = 36.0;

/// Weight and behaviour of each feature, in the order of [`FeatureKind`].
const FEATURES: [(FeatureKind, f64, RecordConfig); 5] = [
    (FeatureKind::Value, 4.0, RecordConfig { leak_per_second: 0.0, age: 0.0, warm: 44 }),
    (FeatureKind::ShortFloor, 0.7, RecordConfig { leak_per_second: 0.0, age: 0.0, warm: 76 }),
    (FeatureKind::LongFloor, 0.25, RecordConfig { leak_per_second: 0.0, age: 0.0, warm: 108 }),
    (FeatureKind::Ceiling, 0.7, RecordConfig { leak_per_second: LEAK_PER_SECOND, age: 100.0, warm: 380 }),
    (FeatureKind::TimeOfDay, 0.35, RecordConfig { leak_per_second: LEAK_PER_SECOND, age: 0.0, warm: 340 }),
];

/// The state of one series: about 1 KiB, whatever its age.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Novelty {
    /// Samples so far.
    pub(crate) n: u64,
    /// The time of the last sample, in milliseconds since the epoch.
    pub(crate) last_ms: i64,
    pub(crate) records: [Record; 5],
    pub(crate) short_floor: RollingMax,
    pub(crate) long_floor: RollingMax,
    pub(crate) ceiling: RollingMax,
    pub(crate) residual: DailyResidual,
    pub(crate) gate: Gate,
}

/// What a sample scored.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    /// 0 is nothing new; 1.0 and above is an alarm, whatever the series.
    pub value: f64,
    /// What weighed most, where the value is not 0.
    pub finding: Option<Finding>,
}

impl Novelty {
    /// Takes a sample, in the order of time, and scores it. A sample that is not finite, or not newer than the one
    /// before, is passed over with a score of 0.
    pub fn push(&mut self, timestamp_ms: i64, value: f64) -> Score {
        if !value.is_finite() || (self.n > 0 && timestamp_ms <= self.last_ms) {
            return Score::default();
        }
        let seconds = if self.n == 0 { 0.0 } else { timestamp_ms.saturating_sub(self.last_ms) as f64 / 1000.0 };
        self.n = self.n.saturating_add(1);
        self.last_ms = timestamp_ms;
        // Many samples of a short time have not shown the range of a series: a warm-up lasts as long as in the study,
        // or longer. After a gap the number of samples counts alone.
        let learned = (self.n as f64 * (seconds / STUDY_STEP).min(1.0)) as u64;
        let moment = Moment { n: self.n, learned, seconds };
        let features = [
            value,
            -self.short_floor.push(SHORT_FLOOR, -value),
            -self.long_floor.push(LONG_FLOOR, -value),
            self.ceiling.push(CEILING, value),
            self.residual.push(RESIDUAL_SPAN, timestamp_ms.div_euclid(1000), value),
        ];
        let mut score = 0.0;
        let mut most: Option<(f64, Finding)> = None;
        for (((kind, weight, config), record), feature) in FEATURES.iter().zip(&mut self.records).zip(features) {
            let Some(excess) = record.push(config, feature, moment) else { continue };
            let share = weight * excess.widths;
            score += share;
            if most.is_none_or(|(best, _)| share > best) {
                let direction = if feature > excess.bound { Direction::Above } else { Direction::Below };
                most = Some((share, Finding { feature: *kind, direction, value: feature, record: excess.bound }));
            }
        }
        let passed = self.gate.pass(score, self.n);
        Score { value: passed / ALARM, finding: most.filter(|_| passed > 0.0).map(|(_, finding)| finding) }
    }

    /// How many samples were taken.
    pub fn samples(&self) -> u64 {
        self.n
    }

    /// The time of the last sample, in milliseconds since the epoch.
    pub fn last_timestamp_ms(&self) -> Option<i64> {
        (self.n > 0).then_some(self.last_ms)
    }
}
