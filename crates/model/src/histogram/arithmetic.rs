//! Sums, differences, products and quotients of histograms.
//!
//! Schema, zero bucket and custom bounds of the operands are reconciled to the coarser of each.

use thiserror::Error;

use super::bucket::exponential_bound;
use super::custom::common_bounds;
use super::layout::{coarser_index, encode, indexed, merge_neighbours};
use super::{CounterResetHint, Histogram, Span};

/// An exponential histogram and one with custom bounds cannot be combined.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the operation is invalid for a histogram with an exponential schema and one with custom bounds")]
pub struct IncompatibleSchemas;

/// What was noticed while histograms were combined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Combined {
    /// One operand was known to follow a counter reset, the other not to.
    pub hint_collision: bool,
    /// The custom bounds differed; the result has those that both have.
    pub bounds_reconciled: bool,
}

impl Histogram {
    /// Multiplies all counts and the sum. A negative factor makes a gauge of it.
    pub fn mul(&mut self, factor: f64) {
        self.for_each_number(|number| *number *= factor);
        if factor < 0.0 {
            self.reset_hint = CounterResetHint::Gauge;
        }
    }

    /// Divides all counts and the sum. A negative divisor makes a gauge of it, 0 removes the buckets.
    pub fn div(&mut self, divisor: f64) {
        self.for_each_number(|number| *number /= divisor);
        if divisor == 0.0 {
            self.positive_spans.clear();
            self.positive_buckets.clear();
            self.negative_spans.clear();
            self.negative_buckets.clear();
        } else if divisor < 0.0 {
            self.reset_hint = CounterResetHint::Gauge;
        }
    }

    /// Adds `other`. The result may have empty buckets, see [`Histogram::compact`].
    pub fn add(&mut self, other: &Histogram) -> Result<Combined, IncompatibleSchemas> {
        self.combine(other, 1.0)
    }

    /// Subtracts `other`. The result may have empty buckets, see [`Histogram::compact`].
    pub fn sub(&mut self, other: &Histogram) -> Result<Combined, IncompatibleSchemas> {
        self.combine(other, -1.0)
    }

    /// The hint of a combination: gauges win over what is unknown, that wins over knowledge. True where the hints
    /// contradict each other.
    pub(super) fn combine_hints(&mut self, other: CounterResetHint) -> bool {
        use CounterResetHint::{Gauge, Unknown};
        match (self.reset_hint, other) {
            (a, b) if a == b => false,
            (Gauge, _) | (Unknown, CounterResetHint::Reset | CounterResetHint::NotReset) => false,
            (_, hint @ (Gauge | Unknown)) => {
                self.reset_hint = hint;
                false
            }
            _ => {
                self.reset_hint = Unknown;
                true
            }
        }
    }

    fn combine(&mut self, other: &Histogram, sign: f64) -> Result<Combined, IncompatibleSchemas> {
        if self.uses_custom_buckets() != other.uses_custom_buckets() {
            return Err(IncompatibleSchemas);
        }
        let mut combined = Combined { hint_collision: self.combine_hints(other.reset_hint), ..Combined::default() };
        self.count += sign * other.count;
        self.sum += sign * other.sum;
        if self.uses_custom_buckets() {
            combined.bounds_reconciled = self.combine_custom(other, sign);
            return Ok(combined);
        }
        let other_zero = self.reconcile_zero_bucket(other);
        self.zero_count += sign * other_zero;
        self.reduce_schema(other.schema);
        let (schema, threshold) = (self.schema, self.zero_threshold);
        let side = |spans: &[Span], buckets: &[f64]| -> Vec<(i32, f64)> {
            let pairs = indexed(spans, buckets).map(|(i, count)| (coarser_index(i, other.schema, schema), count));
            let pairs = merge_neighbours(pairs).into_iter();
            pairs.skip_while(|(i, _)| exponential_bound(*i, schema) <= threshold).collect()
        };
        let positive = side(&other.positive_spans, &other.positive_buckets);
        let negative = side(&other.negative_spans, &other.negative_buckets);
        add_side(&mut self.positive_spans, &mut self.positive_buckets, &positive, sign);
        add_side(&mut self.negative_spans, &mut self.negative_buckets, &negative, sign);
        Ok(combined)
    }

    fn combine_custom(&mut self, other: &Histogram, sign: f64) -> bool {
        if self.same_custom_bounds(other) {
            let pairs: Vec<_> = indexed(&other.positive_spans, &other.positive_buckets).collect();
            add_side(&mut self.positive_spans, &mut self.positive_buckets, &pairs, sign);
            return false;
        }
        let bounds = common_bounds(&self.custom_values, &other.custom_values);
        (self.positive_spans, self.positive_buckets) = encode(merge_neighbours(self.rebucketed(&bounds)));
        let pairs = merge_neighbours(other.rebucketed(&bounds));
        add_side(&mut self.positive_spans, &mut self.positive_buckets, &pairs, sign);
        self.custom_values = bounds;
        true
    }

    fn for_each_number(&mut self, mut change: impl FnMut(&mut f64)) {
        change(&mut self.zero_count);
        change(&mut self.count);
        change(&mut self.sum);
        self.positive_buckets.iter_mut().chain(&mut self.negative_buckets).for_each(change);
    }
}

/// Adds `sign` times the pairs, whose indices grow, to the buckets.
fn add_side(spans: &mut Vec<Span>, buckets: &mut Vec<f64>, other: &[(i32, f64)], sign: f64) {
    if other.is_empty() {
        return;
    }
    // The usual case: the same buckets on both sides.
    if indexed(spans, buckets).map(|(index, _)| index).eq(other.iter().map(|(index, _)| *index)) {
        buckets.iter_mut().zip(other).for_each(|(count, (_, added))| *count += sign * added);
        return;
    }
    let mut merged = Vec::with_capacity(buckets.len() + other.len());
    let mut rest = other.iter().copied().peekable();
    for (index, count) in indexed(spans, buckets) {
        while let Some((before, added)) = rest.next_if(|(i, _)| *i < index) {
            merged.push((before, sign * added));
        }
        let added = rest.next_if(|(i, _)| *i == index).map_or(0.0, |(_, added)| sign * added);
        merged.push((index, count + added));
    }
    merged.extend(rest.map(|(index, added)| (index, sign * added)));
    (*spans, *buckets) = encode(merged);
}
