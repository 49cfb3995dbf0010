//! The sum of many histograms, every number of it with a running compensation.

use crate::kahan::KahanSum;

use super::arithmetic::{Combined, IncompatibleSchemas};
use super::bucket::exponential_bound;
use super::custom::common_bounds;
use super::layout::{coarser_index, encode, indexed};
use super::{CounterResetHint, Histogram, Span};

/// A running sum of histograms.
#[derive(Clone, Debug)]
pub struct HistogramSum {
    /// Schema, bounds, zero threshold and hint of the sum; its numbers are not used.
    shape: Histogram,
    zero_count: KahanSum,
    count: KahanSum,
    sum: KahanSum,
    positive: Side,
    negative: Side,
}

/// The buckets of one side, in the order of their indices.
type Side = Vec<(i32, KahanSum)>;

impl HistogramSum {
    /// A sum that starts with `first`.
    pub fn new(first: &Histogram) -> Self {
        HistogramSum {
            shape: Histogram {
                schema: first.schema,
                reset_hint: first.reset_hint,
                zero_threshold: first.zero_threshold,
                custom_values: first.custom_values.clone(),
                ..Histogram::default()
            },
            zero_count: KahanSum::new(first.zero_count),
            count: KahanSum::new(first.count),
            sum: KahanSum::new(first.sum),
            positive: side_of(&first.positive_spans, &first.positive_buckets),
            negative: side_of(&first.negative_spans, &first.negative_buckets),
        }
    }

    /// Adds a histogram.
    pub fn add(&mut self, other: &Histogram) -> Result<Combined, IncompatibleSchemas> {
        if self.shape.uses_custom_buckets() != other.uses_custom_buckets() {
            return Err(IncompatibleSchemas);
        }
        let hint_collision = self.shape.combine_hints(other.reset_hint);
        self.count.add(other.count);
        self.sum.add(other.sum);
        if self.shape.uses_custom_buckets() {
            let bounds_reconciled = self.add_custom(other);
            return Ok(Combined { hint_collision, bounds_reconciled });
        }
        let other_zero = self.reconcile_zero_bucket(other);
        self.zero_count.add(other_zero);
        if other.schema < self.shape.schema {
            let (from, to) = (self.shape.schema, other.schema);
            self.positive = coarser(&self.positive, from, to);
            self.negative = coarser(&self.negative, from, to);
            self.shape.schema = to;
        }
        let (schema, threshold) = (self.shape.schema, self.shape.zero_threshold);
        let outside = |spans: &[Span], buckets: &[f64]| -> Side {
            let side = coarser(&side_of(spans, buckets), other.schema, schema).into_iter();
            side.skip_while(|(index, _)| exponential_bound(*index, schema) <= threshold).collect()
        };
        merge(&mut self.positive, &outside(&other.positive_spans, &other.positive_buckets));
        merge(&mut self.negative, &outside(&other.negative_spans, &other.negative_buckets));
        Ok(Combined { hint_collision, bounds_reconciled: false })
    }

    /// Multiplies every number.
    pub fn scale(&mut self, factor: f64) {
        [&mut self.zero_count, &mut self.count, &mut self.sum].into_iter().for_each(|sum| sum.scale(factor));
        self.positive.iter_mut().chain(&mut self.negative).for_each(|(_, sum)| sum.scale(factor));
    }

    /// Divides every number.
    pub fn divide(&mut self, divisor: f64) {
        let divide = |sum: &mut KahanSum| {
            sum.sum /= divisor;
            sum.compensation /= divisor;
        };
        [&mut self.zero_count, &mut self.count, &mut self.sum].into_iter().for_each(divide);
        self.positive.iter_mut().chain(&mut self.negative).for_each(|(_, sum)| divide(sum));
    }

    /// Whether a number has become infinite.
    pub fn has_overflowed(&self) -> bool {
        [self.zero_count, self.count, self.sum].iter().any(|sum| sum.sum.is_infinite())
            || self.positive.iter().chain(&self.negative).any(|(_, sum)| sum.sum.is_infinite())
    }

    /// The hint of the sum.
    pub fn set_reset_hint(&mut self, hint: CounterResetHint) {
        self.shape.reset_hint = hint;
    }

    /// The sum with its compensations; it may have empty buckets, see [`Histogram::compact`].
    pub fn total(&self) -> Histogram {
        let numbers = |side: &Side| encode(side.iter().map(|(index, sum)| (*index, sum.total())));
        let (positive_spans, positive_buckets) = numbers(&self.positive);
        let (negative_spans, negative_buckets) = numbers(&self.negative);
        Histogram {
            zero_count: self.zero_count.total(),
            count: self.count.total(),
            sum: self.sum.total(),
            positive_spans,
            positive_buckets,
            negative_spans,
            negative_buckets,
            ..self.shape.clone()
        }
    }

    fn add_custom(&mut self, other: &Histogram) -> bool {
        if self.shape.same_custom_bounds(other) {
            merge(&mut self.positive, &side_of(&other.positive_spans, &other.positive_buckets));
            return false;
        }
        let bounds = common_bounds(&self.shape.custom_values, &other.custom_values);
        let own = std::mem::take(&mut self.positive);
        let mut target = 0;
        for (index, sum) in own {
            let bound = self.shape.bound(index);
            while bounds.get(target).is_some_and(|candidate| *candidate < bound) {
                target += 1;
            }
            accumulate(&mut self.positive, target as i32, sum);
        }
        let mut theirs = Side::new();
        other.rebucketed(&bounds).for_each(|(index, count)| accumulate(&mut theirs, index, KahanSum::new(count)));
        merge(&mut self.positive, &theirs);
        self.shape.custom_values = bounds;
        true
    }

    fn reconcile_zero_bucket(&mut self, other: &Histogram) -> f64 {
        if self.shape.zero_threshold == other.zero_threshold {
            return other.zero_count;
        }
        // Zero buckets of different widths are rare: the plain arithmetic does it, the compensations are added first.
        let mut plain = self.total();
        let other_zero = plain.reconcile_zero_bucket(other);
        if plain.zero_threshold != self.shape.zero_threshold {
            let hint = self.shape.reset_hint;
            let (count, sum) = (self.count, self.sum);
            *self = HistogramSum { count, sum, ..HistogramSum::new(&plain) };
            self.shape.reset_hint = hint;
        }
        other_zero
    }
}

fn side_of(spans: &[Span], buckets: &[f64]) -> Side {
    indexed(spans, buckets).map(|(index, count)| (index, KahanSum::new(count))).collect()
}

fn coarser(side: &Side, from: i32, to: i32) -> Side {
    let mut merged = Side::new();
    for (index, sum) in side {
        accumulate(&mut merged, coarser_index(*index, from, to), *sum);
    }
    merged
}

/// Adds to the last bucket or appends one: the indices come in order.
fn accumulate(side: &mut Side, index: i32, added: KahanSum) {
    match side.last_mut() {
        Some((last, sum)) if *last == index => add_sum(sum, added),
        _ => side.push((index, added)),
    }
}

fn add_sum(sum: &mut KahanSum, added: KahanSum) {
    sum.add(added.sum);
    if added.compensation != 0.0 {
        sum.add(added.compensation);
    }
}

fn merge(side: &mut Side, other: &Side) {
    if side.iter().map(|(index, _)| index).eq(other.iter().map(|(index, _)| index)) {
        side.iter_mut().zip(other).for_each(|((_, sum), (_, added))| add_sum(sum, *added));
        return;
    }
    let mut merged = Side::with_capacity(side.len() + other.len());
    let mut rest = other.iter().copied().peekable();
    for (index, mut sum) in side.drain(..) {
        while let Some(before) = rest.next_if(|(i, _)| *i < index) {
            merged.push(before);
        }
        if let Some((_, added)) = rest.next_if(|(i, _)| *i == index) {
            add_sum(&mut sum, added);
        }
        merged.push((index, sum));
    }
    merged.extend(rest);
    *side = merged;
}
