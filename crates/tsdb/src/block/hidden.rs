//! What of a block is deleted and still in its file.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use sonde_model::TimestampMs;

use super::series_page::SeriesEntry;

/// A range of time, both ends included.
pub(crate) type Range = (TimestampMs, TimestampMs);

/// The deleted ranges of the series of a block, by the number of the series.
#[derive(Debug, Default)]
pub(crate) struct Hidden(RwLock<Arc<Ranges>>);

pub(crate) type Ranges = HashMap<u32, Vec<Range>, foldhash::fast::RandomState>;

impl Hidden {
    /// Whether nothing is.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.read().is_empty()
    }

    /// The ranges at this moment.
    pub(crate) fn ranges(&self) -> Arc<Ranges> {
        Arc::clone(&self.0.read())
    }

    /// Hides a range of these series.
    pub(crate) fn add(&self, series: &[u32], range: Range) {
        let mut all = self.0.write();
        let mut ranges = (**all).clone();
        series.iter().for_each(|number| ranges.entry(*number).or_default().push(range));
        *all = Arc::new(ranges);
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
