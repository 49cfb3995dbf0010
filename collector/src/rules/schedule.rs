//! At which times a group is evaluated. Pure in time.

use sonde_alerting::Group;
use sonde_alerting::fingerprint::fingerprint;
use sonde_model::{Labels, TimestampMs};

/// The slots of one group: `offset + n * interval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slots {
    interval_ms: i64,
    offset_ms: i64,
    /// The slot that was evaluated or given up last.
    last: Option<TimestampMs>,
}

/// What a look at the clock says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// A slot has come; `missed` are the slots since the last one that passed unseen.
    Due { at: TimestampMs, missed: u64 },
    /// Nothing to do until then.
    Wait { until: TimestampMs },
}

impl Slots {
    /// The slots of a group. The same name gives the same slots after a restart.
    pub(super) fn new(group: &Group, interval_ms: i64) -> Self {
        let name = Labels::from_pairs([("file", group.origin.as_str()), ("group", group.name.as_str())]);
        let interval_ms = interval_ms.max(1);
        Slots { interval_ms, offset_ms: (fingerprint(&name) % interval_ms.unsigned_abs()) as i64, last: None }
    }

    /// The same slots with another interval, if it differs.
    pub(super) fn with_interval(self, group: &Group, interval_ms: i64) -> Self {
        if self.interval_ms == interval_ms.max(1) { self } else { Slots::new(group, interval_ms) }
    }

    /// How many slots there were after `last`, up to `now`.
    pub(super) fn since(&self, last: TimestampMs, now: TimestampMs) -> u64 {
        let slot = |at: TimestampMs| (at - self.offset_ms).div_euclid(self.interval_ms);
        u64::try_from(slot(now) - slot(last)).unwrap_or(0)
    }

    /// Looks at the clock. A slot that is due is due once.
    pub(super) fn look(&mut self, now: TimestampMs) -> Look {
        let slot = (now - self.offset_ms).div_euclid(self.interval_ms) * self.interval_ms + self.offset_ms;
        let last = match self.last {
            // The first evaluation waits for a slot of the future, so that a start does not evaluate everything at once.
            None => {
                self.last = Some(slot);
                slot
            }
            // The clock was set back: go on from where it stands now.
            Some(last) if last > slot + self.interval_ms => {
                self.last = Some(slot);
                slot
            }
            Some(last) => last,
        };
        if slot <= last {
            return Look::Wait { until: last + self.interval_ms };
        }
        self.last = Some(slot);
        let missed = u64::try_from((slot - last) / self.interval_ms - 1).unwrap_or(0);
        Look::Due { at: slot, missed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(interval_ms: i64) -> Slots {
        let group = Group {
            origin: "a.yml".into(),
            name: "g".into(),
            interval_ms: None,
            query_offset_ms: None,
            limit: 0,
            rules: Vec::new(),
        };
        Slots { offset_ms: 3, ..Slots::new(&group, interval_ms) }
    }

    /// Looks at the clock at some times and notes what is seen: `@slot` with `-missed`, or `>until`.
    #[track_caller]
    fn check(interval_ms: i64, times: &[TimestampMs], expected: &str) {
        let mut slots = slots(interval_ms);
        let seen: Vec<String> = times
            .iter()
            .map(|now| match slots.look(*now) {
                Look::Due { at, missed: 0 } => format!("@{at}"),
                Look::Due { at, missed } => format!("@{at}-{missed}"),
                Look::Wait { until } => format!(">{until}"),
            })
            .collect();
        assert_eq!(seen.join(" "), expected);
    }

    #[test]
    fn slots_come_once_and_the_first_is_in_the_future() {
        check(10, &[100, 102, 103, 104, 112, 113, 119], ">103 >103 @103 >113 >113 @113 >123");
    }

    #[test]
    fn slots_that_pass_are_counted() {
        check(10, &[100, 103, 135, 136, 1_000_003], ">103 @103 @133-2 >143 @1000003-99986");
    }

    #[test]
    fn slots_of_a_time_away_are_counted() {
        let slots = slots(10);
        for (last, now, expected) in [(103, 103, 0), (103, 112, 0), (103, 113, 1), (103, 139, 3), (203, 103, 0)] {
            assert_eq!(slots.since(last, now), expected, "from {last} to {now}");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_goes_on_from_there() {
        check(10, &[1_000, 1_003, 500, 503, 512, 513], ">1003 @1003 >503 @503 >513 @513");
        check(10, &[1_000, 1_003, 999, 1_004, 1_013], ">1003 @1003 >1013 >1013 @1013");
    }
}
