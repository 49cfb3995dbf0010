//! Exemplars for queries.

use sonde_model::{Labels, Matcher, TimestampMs};

use super::{ExemplarStatus, SeriesExemplars};
use crate::db::Db;

impl Db {
    /// The exemplars from `from` to `to` inclusive of the series that match all matchers of any of the sets, sorted by
    /// the labels of the series; at most `limit` exemplars, the first of that order.
    pub fn exemplars(
        &self,
        matcher_sets: &[Vec<Matcher>],
        from: TimestampMs,
        to: TimestampMs,
        limit: usize,
    ) -> Vec<SeriesExemplars> {
        let exemplars = self.shared.exemplars.read();
        let mut matching: Vec<_> = exemplars.iter().filter(|(series, _)| matches_any(matcher_sets, series)).collect();
        matching.sort_unstable_by_key(|(series, _)| *series);
        let mut found = Vec::new();
        let mut left = limit;
        for (series, queue) in matching {
            let first = queue.partition_point(|exemplar| exemplar.timestamp < from);
            let in_range = queue.range(first..).take_while(|exemplar| exemplar.timestamp <= to);
            let exemplars: Vec<_> = in_range.take(left).cloned().collect();
            left -= exemplars.len();
            if !exemplars.is_empty() {
                found.push(SeriesExemplars { labels: series.clone(), exemplars });
            }
        }
        found
    }

    /// How many exemplars there are.
    pub fn exemplar_status(&self) -> ExemplarStatus {
        self.shared.exemplars.read().status()
    }
}

fn matches_any(matcher_sets: &[Vec<Matcher>], series: &Labels) -> bool {
    let matches = |matcher: &Matcher| matcher.matches(series.get(matcher.name()).unwrap_or(""));
    matcher_sets.iter().any(|set| set.iter().all(matches))
}
