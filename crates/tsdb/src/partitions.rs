//! How time is cut into the partitions that blocks are made of, and never reach over.
//!
//! A block goes as a whole when all that it holds is too old, and is written again when some of it is. So a partition is as
//! wide as a 32nd of the time for which the first of its series to go are kept, and a day at least: what only classes with a
//! long retention have left lies in few wide blocks, and what goes soon does not wait for a wide one to become old.

use sonde_model::TimestampMs;

use crate::Retention;

const DAY_MS: i64 = 86_400_000;
/// A retention makes about so many partitions.
const PER_RETENTION: i64 = 32;

/// The partitions at some moment. They only grow together: what lies in one goes on lying in one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Partitions {
    /// Widths, each a multiple of the one before, and before when a partition of it has to end.
    widths: Vec<(TimestampMs, i64)>,
}

impl Partitions {
    /// The partitions for what is kept at `now`.
    pub(crate) fn new(retention: &Retention, now: TimestampMs) -> Self {
        let keeps = retention.classes.iter().map(|class| class.keep_ms).chain([retention.keep_ms]);
        let mut keeps: Vec<i64> = keeps.map(|keep| keep.max(0)).collect();
        keeps.sort_unstable();
        let mut widths: Vec<(TimestampMs, i64)> = Vec::new();
        let mut until = TimestampMs::MAX;
        for keep in keeps {
            let days = keep / PER_RETENTION / DAY_MS + 1;
            let finer = widths.last().map_or(1, |(_, width)| width / DAY_MS);
            let width = (days / finer).max(1) * finer * DAY_MS;
            if widths.last().is_none_or(|(_, finer)| *finer < width) {
                widths.push((until, width));
            }
            until = now.saturating_sub(keep);
        }
        Partitions { widths }
    }

    /// The first and the last time of the partition in which a time lies.
    pub(crate) fn of(&self, time: TimestampMs) -> (TimestampMs, TimestampMs) {
        let mut found = (TimestampMs::MIN, TimestampMs::MAX);
        for (until, width) in self.widths.iter().rev() {
            let from = time.div_euclid(*width).saturating_mul(*width);
            found = (from, from.saturating_add(width - 1));
            if found.1 < *until {
                break;
            }
        }
        found
    }

    /// The partitions that a range of time touches.
    pub(crate) fn of_range(
        &self,
        (from, to): (TimestampMs, TimestampMs),
    ) -> impl Iterator<Item = (TimestampMs, TimestampMs)> + '_ {
        let mut next = Some(from).filter(|from| *from <= to);
        std::iter::from_fn(move || {
            let partition = self.of(next?);
            next = partition.1.checked_add(1).filter(|next| *next <= to);
            Some(partition)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RetentionClass;

    fn retention(keep_days: i64, classes: &[i64]) -> Retention {
        let class = |days: &i64| RetentionClass { matchers: Vec::new(), keep_ms: days * DAY_MS };
        Retention { keep_ms: keep_days * DAY_MS, classes: classes.iter().map(class).collect() }
    }

    /// The partition of a day, in days.
    fn check(partitions: &Partitions, day: i64, expected: (i64, i64)) {
        let (from, to) = partitions.of(day * DAY_MS + 5);
        assert_eq!((from.div_euclid(DAY_MS), to.div_euclid(DAY_MS)), expected, "day {day}");
        assert_eq!((from.rem_euclid(DAY_MS), to.rem_euclid(DAY_MS)), (0, DAY_MS - 1));
    }

    #[test]
    fn one_retention_has_one_width() {
        let now = 20_000 * DAY_MS;
        for (keep, width) in [(15, 1), (31, 1), (32, 2), (365, 12), (3_650, 115)] {
            let partitions = Partitions::new(&retention(keep, &[]), now);
            for day in [-1_i64, 0, 19_999, 20_000] {
                let first = day.div_euclid(width) * width;
                check(&partitions, day, (first, first + width - 1));
            }
        }
    }

    #[test]
    fn what_only_long_classes_have_left_lies_in_wide_partitions() {
        let partitions = Partitions::new(&retention(15, &[730, 2]), 20_000 * DAY_MS);
        // 15 days make no wider ones than 2 do; 730 make some of 23 days, as soon as those end before the 15 days.
        check(&partitions, 20_000, (20_000, 20_000));
        check(&partitions, 19_990, (19_990, 19_990));
        let last = (19_985 / 23) * 23 - 1;
        check(&partitions, last + 1, (last + 1, last + 1));
        check(&partitions, last, (last - 22, last));
        check(&partitions, last - 23, (last - 45, last - 23));
        // A long retention with a class that goes soon: wide ones of whole narrow ones.
        let partitions = Partitions::new(&retention(365, &[70]), 20_000 * DAY_MS);
        check(&partitions, 19_999, (19_998, 20_000));
        let (from, to) = partitions.of(10_000 * DAY_MS);
        assert_eq!((to - from + 1) / DAY_MS, 12, "four of three days");
    }

    #[test]
    fn ranges_touch_each_partition_once() {
        let partitions = Partitions::new(&retention(15, &[730]), 20_000 * DAY_MS);
        let all: Vec<_> = partitions.of_range((19_900 * DAY_MS, 20_001 * DAY_MS)).collect();
        assert!(all.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0), "{all:?}");
        assert!(all.len() < 101 / 23 + 45 && all[0].0 <= 19_900 * DAY_MS, "{}", all.len());
        assert_eq!(partitions.of_range((5, 4)).count(), 0);
        assert_eq!(partitions.of_range((i64::MAX - 5, i64::MAX)).count(), 1);
    }
}
