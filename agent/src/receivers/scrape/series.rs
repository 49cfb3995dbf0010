//! Which series a target has: where one ends, a stale marker says so.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use sonde_proto::otlp::metrics::Metric;

use super::exemplar::Untimed;
use super::labels::Labels;
use super::page::{Named, Page};
use super::shape::{HistogramPoint, Number, NumberKind, SummaryPoint};

/// A series is known by its name and labels.
type Key = (String, Labels);

/// What is needed to end a series.
#[derive(Clone, Debug, PartialEq)]
enum Kept {
    Number(NumberKind),
    Histogram(Vec<f64>),
    Summary(Vec<f64>),
}

/// The series of the last page.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    series: BTreeMap<Key, Kept>,
    untimed: Untimed,
    duplicates: u64,
}

impl Tracker {
    /// The metrics of a page, and stale markers of what was on the page before it and is no more.
    pub(super) fn follow(&mut self, page: Page, time_ns: i64) -> Vec<Metric> {
        let mut seen = Seen::default();
        let mut metrics = Vec::new();
        let (before, page_time) = (std::mem::take(&mut self.untimed), u64::try_from(time_ns).unwrap_or(0));
        for Named { name, help, mut point, has_own_time } in page.numbers {
            let kept = Kept::Number(point.kind);
            if seen.is_new(&name, &point.labels, kept, has_own_time, &mut self.duplicates) {
                self.untimed.settle(&before, &name, &point.labels, &mut point.exemplars, page_time);
                metrics.push(point.into_metric(&name, &help));
            }
        }
        for Named { name, help, mut point, has_own_time } in page.histograms {
            let kept = Kept::Histogram(point.bounds.clone());
            if seen.is_new(&name, &point.labels, kept, has_own_time, &mut self.duplicates) {
                self.untimed.settle(&before, &name, &point.labels, &mut point.exemplars, page_time);
                metrics.push(point.into_metric(&name, &help));
            }
        }
        for Named { name, help, point, has_own_time } in page.summaries {
            let kept = Kept::Summary(point.quantiles.iter().map(|(quantile, _)| *quantile).collect());
            if seen.is_new(&name, &point.labels, kept, has_own_time, &mut self.duplicates) {
                metrics.push(point.into_metric(&name, &help));
            }
        }
        let before = std::mem::replace(&mut self.series, seen.tracked);
        let ended = before.into_iter().filter(|(key, _)| !self.series.contains_key(key));
        metrics.extend(ended.map(|(key, kept)| end(key, kept, time_ns)));
        metrics
    }

    /// Stale markers of every series, and of what is said about the target itself.
    pub(super) fn end_all(&mut self, time_ns: i64) -> Vec<Metric> {
        let series = std::mem::take(&mut self.series);
        series.into_iter().map(|(key, kept)| end(key, kept, time_ns)).collect()
    }

    /// Samples that stood on a page twice, since the last call.
    pub(super) fn take_duplicates(&mut self) -> u64 {
        std::mem::take(&mut self.duplicates)
    }
}

/// The series of the page that is being read.
#[derive(Default)]
struct Seen {
    tracked: BTreeMap<Key, Kept>,
}

impl Seen {
    /// Remembers a series; `false` if the page has it already. A series with times of its own is not remembered: it
    /// may come again with an older one.
    fn is_new(&mut self, name: &str, labels: &Labels, kept: Kept, has_own_time: bool, duplicates: &mut u64) -> bool {
        if has_own_time {
            return true;
        }
        match self.tracked.entry((name.to_owned(), labels.clone())) {
            Entry::Vacant(entry) => {
                entry.insert(kept);
                true
            }
            Entry::Occupied(_) => {
                *duplicates += 1;
                false
            }
        }
    }
}

fn end((name, labels): Key, kept: Kept, time_ns: i64) -> Metric {
    match kept {
        Kept::Number(kind) => {
            Number { kind, labels, time_ns, start_ns: 0, value: None, exemplars: Vec::new() }.into_metric(&name, "")
        }
        Kept::Histogram(bounds) => {
            let (counts, sum, exemplars) = (None, None, Vec::new());
            HistogramPoint { labels, time_ns, start_ns: 0, bounds, counts, sum, exemplars }.into_metric(&name, "")
        }
        Kept::Summary(quantiles) => {
            let quantiles = quantiles.into_iter().map(|quantile| (quantile, 0.0)).collect();
            SummaryPoint { labels, time_ns, start_ns: 0, quantiles, sum: 0.0, count: None }.into_metric(&name, "")
        }
    }
}
