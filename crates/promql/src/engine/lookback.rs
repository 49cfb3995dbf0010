//! How far back a selector sees: further where samples are rarer than they were when they came.

use sonde_model::TimestampMs;

use crate::queryable::{MAX_THINNED, Thinned};

/// Steps of a tier that a selector looks back over: two samples of one series may lie in steps that border on each other, at
/// the far ends of them.
const STEPS: i64 = 2;

/// How old the sample may be that is taken for the value at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lookback {
    ms: i64,
    thinned: [Option<Thinned>; MAX_THINNED],
}

impl Lookback {
    /// `ms`, or as much more as what the source has of samples needs.
    pub(super) fn new(ms: i64, source: &[Thinned]) -> Self {
        let mut thinned = [None; MAX_THINNED];
        thinned.iter_mut().zip(source).for_each(|(place, one)| *place = Some(*one));
        Lookback { ms, thinned }
    }

    /// The longest that any sample is seen.
    pub(super) fn most(&self) -> i64 {
        self.thinned.iter().flatten().map(|thinned| thinned.step_ms.saturating_mul(STEPS)).fold(self.ms, i64::max)
    }

    /// For a sample of this time.
    pub(super) fn of(&self, sample: TimestampMs) -> i64 {
        let rare = self.thinned.iter().flatten().filter(|thinned| sample < thinned.before);
        rare.map(|thinned| thinned.step_ms.saturating_mul(STEPS)).fold(self.ms, i64::max)
    }

    /// The most that a look from this time can see.
    pub(super) fn from(&self, reference: TimestampMs) -> i64 {
        let reach = |thinned: &Thinned| thinned.step_ms.saturating_mul(STEPS);
        let rare = self.thinned.iter().flatten();
        let seen = rare.filter(|thinned| reference.saturating_sub(reach(thinned)) < thinned.before);
        seen.map(reach).fold(self.ms, i64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_samples_are_seen_for_longer() {
        let thinned = [Thinned { before: 10_000, step_ms: 100 }, Thinned { before: 5_000, step_ms: 1_000 }];
        let lookback = Lookback::new(50, &thinned);
        for (sample, expected) in [(10_000, 50), (9_999, 200), (5_000, 200), (4_999, 2_000)] {
            assert_eq!(lookback.of(sample), expected, "{sample}");
        }
        for (reference, expected) in [(20_000, 50), (10_200, 50), (10_199, 200), (7_000, 200), (6_999, 2_000)] {
            assert_eq!(lookback.from(reference), expected, "{reference}");
        }
        assert_eq!((Lookback::new(50, &[]).of(0), Lookback::new(50, &[]).from(0)), (50, 50));
        assert_eq!(Lookback::new(5_000, &thinned).of(0), 5_000);
    }
}
