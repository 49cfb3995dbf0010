//! What of a block is deleted and still in its file. What touches is one range, and series with the same ranges share them: a
//! thousand deletes of all series take as much as their distinct ranges.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use sonde_model::TimestampMs;

use super::series_page::SeriesEntry;

/// A range of time, both ends included.
pub(crate) type Range = (TimestampMs, TimestampMs);

/// The deleted ranges of the series of a block, by the number of the series.
#[derive(Debug, Default)]
pub(crate) struct Hidden {
    ranges: RwLock<Arc<Ranges>>,
    /// What was worked out about the space that comes back, until more is deleted.
    left: Mutex<Option<u64>>,
}

/// The ranges of each series: apart from each other, in order.
pub(crate) type Ranges = HashMap<u32, Arc<[Range]>, foldhash::fast::RandomState>;

impl Hidden {
    /// Whether nothing is.
    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.read().is_empty()
    }

    /// The ranges at this moment.
    pub(crate) fn ranges(&self) -> Arc<Ranges> {
        Arc::clone(&self.ranges.read())
    }

    /// Hides a range of these series.
    pub(crate) fn add(&self, series: &[u32], range: Range) {
        let mut all = self.ranges.write();
        *self.left.lock() = None;
        let mut ranges = (**all).clone();
        // What each list of ranges becomes, by where it lies.
        let mut grown: HashMap<*const Range, Arc<[Range]>, foldhash::fast::RandomState> = HashMap::default();
        let alone: Arc<[Range]> = Arc::new([range]);
        for number in series {
            match ranges.entry(*number) {
                Entry::Vacant(free) => {
                    free.insert(Arc::clone(&alone));
                }
                Entry::Occupied(mut there) => {
                    let list = there.get();
                    let new = grown.entry(list.as_ptr()).or_insert_with(|| with(list, range).into());
                    *there.get_mut() = Arc::clone(new);
                }
            }
        }
        *all = Arc::new(ranges);
    }

    /// The bytes that are left of the block without what is deleted, as `estimate` has worked them out once.
    pub(crate) fn bytes_left<E>(&self, estimate: impl FnOnce() -> Result<u64, E>) -> Result<u64, E> {
        if let Some(left) = *self.left.lock() {
            return Ok(left);
        }
        let left = estimate()?;
        *self.left.lock() = Some(left);
        Ok(left)
    }
}

/// The ranges with one more.
fn with(ranges: &[Range], (mut from, mut to): Range) -> Vec<Range> {
    let ends_before = ranges.partition_point(|(_, end)| *end < from.saturating_sub(1));
    let begins_after = ranges.partition_point(|(begin, _)| *begin <= to.saturating_add(1)).max(ends_before);
    for (begin, end) in &ranges[ends_before..begins_after] {
        (from, to) = (from.min(*begin), to.max(*end));
    }
    let mut all = ranges[..ends_before].to_vec();
    all.push((from, to));
    all.extend_from_slice(&ranges[begins_after..]);
    all
}

/// A series without the chunks that are deleted as a whole; none if no chunk is left.
pub(super) fn visible(entry: &SeriesEntry, hidden: &[Range]) -> Option<SeriesEntry> {
    let covers = |min, max| hidden.iter().any(|(from, to)| *from <= min && max <= *to);
    let chunks: Vec<_> = entry.chunks.iter().copied().filter(|c| !covers(c.min, c.max)).collect();
    let touches = |(from, to): &&Range| chunks.iter().any(|c| c.min <= *to && c.max >= *from);
    let hidden = hidden.iter().filter(touches).copied().collect();
    (!chunks.is_empty()).then(|| SeriesEntry { pairs: entry.pairs.clone(), chunks, hidden })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(added: &[Range], expected: &[Range]) {
        let hidden = Hidden::default();
        added.iter().for_each(|range| hidden.add(&[3], *range));
        assert_eq!(hidden.ranges()[&3][..], *expected, "{added:?}");
    }

    #[test]
    fn what_touches_is_one_range() {
        check(&[(5, 9)], &[(5, 9)]);
        check(&[(5, 9), (20, 30), (1, 2)], &[(1, 2), (5, 9), (20, 30)]);
        check(&[(5, 9), (10, 12)], &[(5, 12)]);
        check(&[(5, 9), (2, 4)], &[(2, 9)]);
        check(&[(5, 9), (6, 7)], &[(5, 9)]);
        check(&[(1, 2), (5, 9), (20, 30), (2, 25)], &[(1, 30)]);
        check(&[(1, 2), (5, 9), (20, 30), (4, 10)], &[(1, 2), (4, 10), (20, 30)]);
        check(&[(7, 8), (i64::MIN, i64::MAX), (3, 4)], &[(i64::MIN, i64::MAX)]);
        check(&[(i64::MIN, 0), (1, i64::MAX)], &[(i64::MIN, i64::MAX)]);
    }

    #[test]
    fn series_with_the_same_ranges_share_them() {
        let hidden = Hidden::default();
        let all: Vec<u32> = (0..1_000).collect();
        (0..500).for_each(|i| hidden.add(&all, (10 * i, 10 * i + 5)));
        hidden.add(&[7], (3, 30));
        let ranges = hidden.ranges();
        let distinct: std::collections::HashSet<*const Range> = ranges.values().map(|list| list.as_ptr()).collect();
        assert_eq!((ranges[&0].len(), ranges[&7].len(), distinct.len()), (500, 497, 2));
    }
}
