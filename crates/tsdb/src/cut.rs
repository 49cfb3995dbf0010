//! How far the log may be cut: blocks must hold what came before, and readers must have seen it, within bounds.

use std::collections::BTreeMap;

use sonde_disk::Position;
use sonde_model::TimestampMs;

/// A place in the log from which on a reader can read: series are defined behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(pub(crate) Position);

/// What is known about the beginning of the log.
#[derive(Debug, Default)]
pub(crate) struct Cut {
    /// Where the flushes of this process began, with their times: behind each of them series are defined anew.
    flushes: Vec<(Position, TimestampMs)>,
    /// What each reader needs.
    pub(crate) holds: BTreeMap<String, Position>,
    /// Bytes that the log had after the last flush, or has left of them.
    pub(crate) kept_bytes: u64,
}

impl Cut {
    /// Blocks hold what came before a flush.
    pub(crate) fn flushed(&mut self, at: Position, now: TimestampMs) {
        self.flushes.push((at, now));
    }

    /// Where the last flush of this process began.
    pub(crate) fn last_flush(&self) -> Option<Position> {
        self.flushes.last().map(|(at, _)| *at)
    }

    /// Where the log may begin, if that is known.
    pub(crate) fn place(&mut self) -> Option<Position> {
        let (flushed, _) = *self.flushes.last()?;
        let place = self.holds.values().copied().fold(flushed, Position::min);
        // The last flush that all have passed stays, because it is the place.
        let passed = self.flushes.iter().take_while(|(at, _)| *at <= place).count();
        self.flushes.drain(..passed.saturating_sub(1));
        Some(place)
    }

    /// Where the log has to begin because readers hold too much, or for too long: behind the oldest flush that they hold.
    /// What blocks do not have stays.
    pub(crate) fn forced(&mut self, too_long: bool, max_age_ms: i64) -> Option<Position> {
        let (_, newest) = *self.flushes.last()?;
        let held = self.holds.values().copied().min()?;
        let (next, at) = *self.flushes.iter().find(|(at, _)| *at > held)?;
        if !too_long && newest.saturating_sub(at) <= max_age_ms {
            return None;
        }
        for hold in self.holds.values_mut() {
            *hold = next.max(*hold);
        }
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(segment: u64) -> Position {
        Position { segment, offset: 64 }
    }

    fn cut(holds: &[(&str, u64)]) -> Cut {
        let holds = holds.iter().map(|(name, segment)| ((*name).to_owned(), at(*segment))).collect();
        let mut cut = Cut { holds, ..Cut::default() };
        [(2, 1_000), (4, 2_000), (6, 3_000)].iter().for_each(|(segment, now)| cut.flushed(at(*segment), *now));
        cut
    }

    #[test]
    fn the_log_begins_where_all_are_served() {
        assert_eq!(Cut::default().place(), None);
        for (holds, expected) in
            [(&[][..], 6), (&[("a", 9)], 6), (&[("a", 5)], 5), (&[("a", 5), ("b", 1)], 1), (&[("a", 3), ("b", 6)], 3)]
        {
            assert_eq!(cut(holds).place(), Some(at(expected)), "{holds:?}");
        }
    }

    #[test]
    fn what_is_held_for_too_long_goes_flush_by_flush() {
        let mut far_behind = cut(&[("a", 1), ("b", 5)]);
        assert_eq!(far_behind.place(), Some(at(1)));
        assert_eq!(far_behind.forced(false, 2_000), None);
        assert_eq!(far_behind.forced(false, 1_500), Some(at(2)));
        assert_eq!(far_behind.holds, BTreeMap::from([("a".into(), at(2)), ("b".into(), at(5))]));
        assert_eq!(far_behind.forced(true, i64::MAX), Some(at(4)));
        assert_eq!(far_behind.forced(true, i64::MAX), Some(at(6)));
        assert_eq!(far_behind.forced(true, i64::MAX), None, "blocks do not have the rest");
        assert_eq!(far_behind.place(), Some(at(6)));
        assert_eq!(cut(&[]).forced(true, 0), None);
    }
}
