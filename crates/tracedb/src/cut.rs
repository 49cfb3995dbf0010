//! How far the WAL may be cut: blocks must hold what came before, and derivations must have seen it.

use std::collections::BTreeMap;

use sonde_disk::Position;

/// What is known about the beginning of the WAL.
#[derive(Debug, Default)]
pub(crate) struct Cut {
    /// Where the WAL has to begin for the sake of the head.
    pub(crate) flushed: Option<Position>,
    /// Everything before this batch has been derived.
    pub(crate) released: u64,
    /// The last batch in each segment.
    segments: BTreeMap<u64, u64>,
}

impl Cut {
    /// Remembers where a batch lies.
    pub(crate) fn saw(&mut self, at: Position, batch: u64) {
        let last = self.segments.entry(at.segment).or_default();
        *last = batch.max(*last);
    }

    /// The first segment that a reader of `batch` and later ones needs.
    pub(crate) fn segment_of(&self, batch: u64) -> u64 {
        self.segments
            .iter()
            .find(|(_, last)| **last >= batch)
            .map_or_else(|| self.segments.last_key_value().map_or(0, |(segment, _)| *segment), |(segment, _)| *segment)
    }

    /// Where the WAL may begin, if that is known. `holds` says that derivations count.
    pub(crate) fn place(&mut self, holds: bool) -> Option<Position> {
        let flushed = self.flushed?;
        let place = match self.segments.iter().find(|(_, last)| **last >= self.released) {
            Some((segment, _)) if holds => flushed.min(Position { segment: *segment, offset: 0 }),
            _ => flushed,
        };
        self.segments = self.segments.split_off(&place.segment);
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wal_begins_where_all_are_served() {
        let at = |segment| Position { segment, offset: 64 };
        let check = |released: u64, holds: bool, expected: u64| {
            let mut cut = Cut { flushed: Some(at(4)), released, ..Cut::default() };
            let batches = [(1, 10), (1, 11), (2, 12), (3, 20), (4, 21)];
            batches.iter().for_each(|(segment, batch)| cut.saw(at(*segment), *batch));
            assert_eq!(cut.place(holds).map(|p| p.segment), Some(expected), "{released} {holds}");
        };
        check(0, true, 1);
        check(11, true, 1);
        check(12, true, 2);
        check(13, true, 3);
        check(21, true, 4);
        check(90, true, 4);
        check(0, false, 4);
        assert_eq!(Cut::default().place(false), None);
    }
}
