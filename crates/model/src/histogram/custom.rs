//! Histograms of different custom bounds are brought to the bounds that both have.

use super::Histogram;
use super::layout::indexed;

/// The bounds that both lists have. Both are sorted.
pub(super) fn common_bounds(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut b = b.iter().peekable();
    let mut common = Vec::new();
    for bound in a {
        while b.next_if(|other| **other < *bound).is_some() {}
        if b.next_if(|other| **other == *bound).is_some() {
            common.push(*bound);
        }
    }
    common
}

impl Histogram {
    /// The buckets with the index that they have under `bounds`, a subset of the histogram's own bounds.
    pub(super) fn rebucketed<'a>(&'a self, bounds: &'a [f64]) -> impl Iterator<Item = (i32, f64)> + 'a {
        let mut target = 0;
        indexed(&self.positive_spans, &self.positive_buckets).map(move |(index, count)| {
            let bound = self.bound(index);
            while bounds.get(target).is_some_and(|candidate| *candidate < bound) {
                target += 1;
            }
            (target as i32, count)
        })
    }
}
