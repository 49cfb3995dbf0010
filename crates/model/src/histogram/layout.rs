//! Spans and buckets as pairs of index and count, and back; coarser schemas.

use super::{Histogram, Span};

/// The buckets of one side with their indices, which grow.
pub(super) fn indexed<'a>(spans: &'a [Span], buckets: &'a [f64]) -> impl Iterator<Item = (i32, f64)> + 'a {
    let mut next = 0_i32;
    let indices = spans.iter().flat_map(move |span| {
        let start = next.wrapping_add(span.offset);
        next = start.wrapping_add(span.length as i32);
        (0..span.length).map(move |i| start.wrapping_add(i as i32))
    });
    // Zipped in this order, the spans of an invalid histogram cannot reach beyond its buckets.
    buckets.iter().zip(indices).map(|(count, index)| (index, *count))
}

/// Spans and buckets of these pairs, whose indices grow. Neighbours share a span.
pub(super) fn encode(pairs: impl IntoIterator<Item = (i32, f64)>) -> (Vec<Span>, Vec<f64>) {
    let (mut spans, mut buckets) = (Vec::<Span>::new(), Vec::new());
    let mut next = 0_i32;
    for (index, count) in pairs {
        match spans.last_mut() {
            Some(span) if index == next => span.length += 1,
            _ => spans.push(Span { offset: index.wrapping_sub(next), length: 1 }),
        }
        next = index.wrapping_add(1);
        buckets.push(count);
    }
    (spans, buckets)
}

/// Where bucket `index` of schema `from` lies in the coarser schema `to`.
pub(super) fn coarser_index(index: i32, from: i32, to: i32) -> i32 {
    (index.wrapping_sub(1) >> from.saturating_sub(to).clamp(0, 31)).wrapping_add(1)
}

/// The pairs with the counts of equal neighbouring indices added.
pub(super) fn merge_neighbours(pairs: impl Iterator<Item = (i32, f64)>) -> Vec<(i32, f64)> {
    let mut merged: Vec<(i32, f64)> = Vec::new();
    for (index, count) in pairs {
        match merged.last_mut() {
            Some(last) if last.0 == index => last.1 += count,
            _ => merged.push((index, count)),
        }
    }
    merged
}

impl Histogram {
    /// Removes empty buckets and joins spans without a gap. Observations and meaning stay the same.
    pub fn compact(&mut self) {
        let is_compact = |spans: &[Span], buckets: &[f64]| {
            !buckets.contains(&0.0)
                && spans.iter().all(|s| s.length > 0)
                && spans.iter().skip(1).all(|span| span.offset != 0)
        };
        if !is_compact(&self.positive_spans, &self.positive_buckets) {
            let pairs = indexed(&self.positive_spans, &self.positive_buckets).filter(|(_, count)| *count != 0.0);
            (self.positive_spans, self.positive_buckets) = encode(pairs);
        }
        if !is_compact(&self.negative_spans, &self.negative_buckets) {
            let pairs = indexed(&self.negative_spans, &self.negative_buckets).filter(|(_, count)| *count != 0.0);
            (self.negative_spans, self.negative_buckets) = encode(pairs);
        }
    }

    /// The same histogram in the coarser schema `schema`; a schema that is not coarser changes nothing.
    pub fn to_schema(&self, schema: i32) -> Histogram {
        let mut histogram = self.clone();
        histogram.reduce_schema(schema);
        histogram
    }

    /// Merges buckets into those of the coarser schema `schema`; a schema that is not coarser changes nothing.
    pub fn reduce_schema(&mut self, schema: i32) {
        if self.uses_custom_buckets() || schema >= self.schema {
            return;
        }
        let from = self.schema;
        let coarser = |(index, count): (i32, f64)| (coarser_index(index, from, schema), count);
        let positive = merge_neighbours(indexed(&self.positive_spans, &self.positive_buckets).map(coarser));
        let negative = merge_neighbours(indexed(&self.negative_spans, &self.negative_buckets).map(coarser));
        (self.positive_spans, self.positive_buckets) = encode(positive);
        (self.negative_spans, self.negative_buckets) = encode(negative);
        self.schema = schema;
    }
}
