//! What of a block is deleted and still in its file.

use std::collections::HashMap;
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

pub(crate) type Ranges = HashMap<u32, Vec<Range>, foldhash::fast::RandomState>;

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
        series.iter().for_each(|number| ranges.entry(*number).or_default().push(range));
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

/// A series without the chunks that are deleted as a whole; none if no chunk is left.
pub(super) fn visible(entry: &SeriesEntry, hidden: &[Range]) -> Option<SeriesEntry> {
    let covers = |min, max| hidden.iter().any(|(from, to)| *from <= min && max <= *to);
    let chunks: Vec<_> = entry.chunks.iter().copied().filter(|c| !covers(c.min, c.max)).collect();
    let touches = |(from, to): &&Range| chunks.iter().any(|c| c.min <= *to && c.max >= *from);
    let hidden = hidden.iter().filter(touches).copied().collect();
    (!chunks.is_empty()).then(|| SeriesEntry { pairs: entry.pairs.clone(), chunks, hidden })
}
