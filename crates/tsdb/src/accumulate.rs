//! Sums of histogram deltas: what a native histogram series holds after it grew.

use sonde_model::{CounterResetHint, Histogram};

/// The last histogram of a series plus what came. Where they cannot be added, or where there is nothing to add to,
/// the series begins anew with what came.
pub(crate) fn grown(last: Option<&Histogram>, delta: &Histogram) -> Histogram {
    let Some(last) = last.filter(|last| !last.is_stale()) else {
        return Histogram { reset_hint: CounterResetHint::Unknown, ..delta.clone() };
    };
    let mut sum = Histogram { reset_hint: CounterResetHint::Unknown, ..last.clone() };
    let summand = Histogram { reset_hint: CounterResetHint::Unknown, ..delta.clone() };
    match sum.add(&summand) {
        Ok(_) => sum,
        Err(_) => Histogram { reset_hint: CounterResetHint::Reset, ..summand },
    }
}

#[cfg(test)]
mod tests {
    use sonde_model::Span;

    use super::*;

    fn histogram(schema: i32, index: i32, count: f64) -> Histogram {
        let side = Span { offset: index, length: 1 };
        Histogram {
            schema,
            count,
            sum: count,
            positive_spans: vec![side],
            positive_buckets: vec![count],
            ..Default::default()
        }
    }

    #[test]
    fn deltas_add_up() {
        let first = grown(None, &histogram(0, 1, 2.0));
        let second = grown(Some(&first), &histogram(0, 3, 5.0));
        assert_eq!((second.count, second.sum, second.positive_buckets.iter().sum::<f64>()), (7.0, 7.0, 7.0));
        let custom = Histogram { schema: -53, custom_values: vec![1.0], ..histogram(0, 0, 1.0) };
        let third = grown(Some(&second), &custom);
        assert_eq!((third.count, third.reset_hint), (1.0, CounterResetHint::Reset));
        assert_eq!(grown(Some(&Histogram::stale()), &first).count, 2.0);
    }
}
