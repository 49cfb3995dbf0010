//! Arithmetic on histograms, case by case.

use super::*;

/// A histogram with positive buckets in one span; count and sum follow from nothing, they are given.
fn positive(schema: i32, offset: i32, buckets: &[f64]) -> Histogram {
    Histogram {
        schema,
        count: buckets.iter().sum(),
        sum: buckets.iter().sum(),
        positive_spans: vec![Span { offset, length: buckets.len() as u32 }],
        positive_buckets: buckets.to_vec(),
        ..Histogram::default()
    }
}

fn custom(bounds: &[f64], buckets: &[f64]) -> Histogram {
    Histogram { custom_values: bounds.to_vec(), ..positive(CUSTOM_BUCKETS_SCHEMA, 0, buckets) }
}

fn with_zero(threshold: f64, count: f64, mut histogram: Histogram) -> Histogram {
    histogram.zero_threshold = threshold;
    histogram.zero_count = count;
    histogram.count += count;
    histogram
}

/// Index and count of the positive buckets that are not empty.
fn filled(histogram: &Histogram) -> Vec<(i32, f64)> {
    histogram.positive().filter(|b| b.count != 0.0).map(|b| (b.index, b.count)).collect()
}

#[test]
fn bounds_are_powers_of_the_base() {
    for (index, schema, bound) in [
        (0, 0, 1.0),
        (3, 0, 8.0),
        (-1, 0, 0.5),
        (1, 1, std::f64::consts::SQRT_2),
        (2, 1, 2.0),
        (1, -2, 16.0),
        (1024, 0, f64::MAX),
        (1025, 0, f64::INFINITY),
        (256, -2, f64::MAX),
        (-1074, 0, 5e-324),
        (-5000, 0, 0.0),
    ] {
        assert_eq!(exponential_bound(index, schema), bound, "bucket {index} of schema {schema}");
    }
}

#[test]
fn sums_reconcile_schema_and_layout() {
    for (name, mut a, b, schema, buckets) in [
        ("same layout", positive(0, 1, &[1.0, 2.0]), positive(0, 1, &[3.0, 4.0]), 0, vec![(1, 4.0), (2, 6.0)]),
        ("gap", positive(0, 5, &[1.0]), positive(0, 1, &[3.0]), 0, vec![(1, 3.0), (5, 1.0)]),
        ("finer", positive(0, 1, &[1.0]), positive(1, 1, &[3.0, 4.0, 5.0]), 0, vec![(1, 8.0), (2, 5.0)]),
        ("coarser", positive(1, 1, &[3.0, 4.0, 5.0]), positive(0, 1, &[1.0]), 0, vec![(1, 8.0), (2, 5.0)]),
    ] {
        let mut sum = HistogramSum::new(&a);
        sum.add(&b).expect("compatible");
        a.add(&b).expect("compatible");
        assert_eq!((a.schema, filled(&a)), (schema, buckets.clone()), "{name}");
        assert_eq!((sum.total().schema, filled(&sum.total())), (schema, buckets), "{name}, compensated");
        assert_eq!(a.validate(), Ok(()), "{name}");
        a.sub(&b).expect("compatible");
        a.compact();
        assert!(a.positive().all(|bucket| bucket.count > 0.0), "{name}");
    }
}

#[test]
fn sums_reconcile_zero_buckets() {
    // The wider zero bucket ends inside the bucket from 1 to 2 of the other, which is taken in whole.
    let narrow = with_zero(0.001, 1.0, positive(0, 0, &[4.0, 5.0, 6.0]));
    let wide = with_zero(1.5, 2.0, positive(0, 2, &[7.0]));
    for (mut a, b) in [(narrow.clone(), wide.clone()), (wide, narrow)] {
        let mut sum = HistogramSum::new(&a);
        sum.add(&b).expect("compatible");
        a.add(&b).expect("compatible");
        for total in [a, sum.total()] {
            assert_eq!((total.zero_threshold, total.zero_count, total.count), (2.0, 12.0, 25.0));
            assert_eq!(filled(&total), [(2, 13.0)]);
        }
    }
}

#[test]
fn custom_bounds_are_brought_to_the_common_ones() {
    let mut a = custom(&[1.0, 2.0, 3.0], &[1.0, 1.0, 1.0, 1.0]);
    let b = custom(&[2.0, 4.0], &[10.0, 20.0, 30.0]);
    let mut sum = HistogramSum::new(&a);
    assert!(sum.add(&b).expect("compatible").bounds_reconciled);
    assert!(a.add(&b).expect("compatible").bounds_reconciled);
    for total in [a, sum.total()] {
        assert_eq!((total.custom_values.clone(), filled(&total)), (vec![2.0], vec![(0, 12.0), (1, 52.0)]));
    }
    let mut none_in_common = custom(&[1.0], &[1.0, 2.0]);
    none_in_common.sub(&custom(&[2.0], &[1.0, 1.0])).expect("compatible");
    assert_eq!((none_in_common.custom_values.len(), filled(&none_in_common)), (0, vec![(0, 1.0)]));
    assert_eq!(positive(0, 0, &[1.0]).add(&b), Err(IncompatibleSchemas));
}

#[test]
fn hints_of_a_sum() {
    use CounterResetHint::{Gauge, NotReset, Reset, Unknown};
    for (a, b, sum, collision) in [
        (Reset, Reset, Reset, false),
        (Gauge, Reset, Gauge, false),
        (NotReset, Gauge, Gauge, false),
        (Unknown, NotReset, Unknown, false),
        (Reset, Unknown, Unknown, false),
        (Reset, NotReset, Unknown, true),
    ] {
        let mut left = Histogram { reset_hint: a, ..Histogram::default() };
        let combined = left.add(&Histogram { reset_hint: b, ..Histogram::default() }).expect("compatible");
        assert_eq!((left.reset_hint, combined.hint_collision), (sum, collision), "{a:?} + {b:?}");
    }
}

#[test]
fn scaling_changes_every_number() {
    let mut a = with_zero(0.1, 2.0, positive(0, 0, &[4.0]));
    a.mul(-0.5);
    assert_eq!((a.zero_count, a.count, a.sum, a.positive_buckets[0]), (-1.0, -3.0, -2.0, -2.0));
    assert_eq!(a.reset_hint, CounterResetHint::Gauge);
    a.div(0.0);
    assert_eq!((a.count, a.positive_buckets.len(), a.positive_spans.len()), (f64::NEG_INFINITY, 0, 0));
}

#[test]
fn resets_show_in_any_count() {
    let base = with_zero(0.01, 5.0, positive(1, 1, &[1.0, 2.0, 3.0]));
    let cases = [
        ("same", base.clone(), false),
        ("more", with_zero(0.01, 6.0, positive(1, 1, &[1.0, 2.0, 4.0])), false),
        ("a bucket less", with_zero(0.01, 9.0, positive(1, 1, &[1.0, 1.0, 3.0])), true),
        ("a bucket gone", with_zero(0.01, 9.0, positive(1, 2, &[2.0, 3.0])), true),
        ("fewer zeros", with_zero(0.01, 4.0, positive(1, 1, &[1.0, 2.0, 9.0])), true),
        ("narrower zeros", with_zero(0.001, 5.0, positive(1, 1, &[1.0, 2.0, 3.0])), true),
        ("finer", with_zero(0.01, 5.0, positive(2, 1, &[9.0, 9.0, 9.0])), true),
        ("coarser", with_zero(0.01, 5.0, positive(0, 1, &[3.0, 3.0])), false),
        ("coarser and less", with_zero(0.01, 5.0, positive(0, 1, &[2.0, 4.0])), true),
        ("custom", Histogram { count: 99.0, ..custom(&[1.0], &[9.0, 90.0]) }, true),
        ("said so", Histogram { reset_hint: CounterResetHint::Reset, ..base.clone() }, true),
        ("denied", Histogram { reset_hint: CounterResetHint::NotReset, ..Histogram::default() }, false),
    ];
    for (name, now, reset) in cases {
        assert_eq!(now.is_reset_after(&base), reset, "{name}");
    }
    let before = custom(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0, 4.0]);
    assert!(!custom(&[2.0, 5.0], &[3.0, 6.0, 1.0]).is_reset_after(&before));
    assert!(custom(&[2.0, 5.0], &[2.0, 7.0, 1.0]).is_reset_after(&before));
}

#[test]
fn trimming_splits_the_bucket_at_the_value() {
    let h = positive(0, 1, &[4.0, 8.0]);
    let below = h.trimmed(2.0, Keep::Below);
    assert_eq!((below.count, filled(&below)), (4.0, vec![(1, 4.0)]));
    let above = h.trimmed(2.0 * std::f64::consts::SQRT_2, Keep::Above);
    assert!((above.count - 4.0).abs() < 1e-9, "half of the bucket in the logarithm: {}", above.count);
    assert_eq!(h.trimmed(f64::INFINITY, Keep::Below), h);
    let custom = custom(&[10.0, 20.0], &[2.0, 4.0, 6.0]);
    let below = custom.trimmed(15.0, Keep::Below);
    assert_eq!((below.count, below.sum, filled(&below)), (4.0, 2.0 * 5.0 + 2.0 * 12.5, vec![(0, 2.0), (1, 2.0)]));
}

#[test]
fn all_buckets_come_in_order() {
    let mut h = with_zero(0.6, 2.0, positive(0, 0, &[4.0]));
    h.negative_spans = vec![Span { offset: 1, length: 2 }];
    h.negative_buckets = vec![1.0, 3.0];
    let bounds: Vec<_> = h.all_buckets().iter().map(|b| (b.lower, b.upper, b.count)).collect();
    assert_eq!(
        bounds,
        [(-4.0, -2.0, 3.0), (-2.0, -1.0, 1.0), (-0.6, 0.6, 2.0), (0.5, 1.0, 4.0)]
            .map(|(l, u, c)| { if l == 0.5 { (0.6, u, c) } else { (l, u, c) } })
    );
}

#[test]
fn empty_buckets_do_not_survive_compaction() {
    let mut h = positive(0, -2, &[0.0, 1.0, 0.0, 2.0, 0.0]);
    let before = filled(&h);
    h.compact();
    assert_eq!((filled(&h), h.positive_buckets.len(), h.validate()), (before, 2, Ok(())));
    assert_eq!(h.positive_spans, [Span { offset: -1, length: 1 }, Span { offset: 1, length: 1 }]);
}

#[test]
fn invalid_histograms_are_told_and_do_not_panic() {
    let base = positive(0, 1, &[1.0, 2.0]);
    let spans = |spans: &[(i32, u32)]| spans.iter().map(|s| Span { offset: s.0, length: s.1 }).collect::<Vec<_>>();
    let cases = [
        (Histogram { schema: 9, ..base.clone() }, InvalidHistogram::Schema(9)),
        (Histogram { positive_spans: spans(&[(0, u32::MAX)]), ..base.clone() }, InvalidHistogram::SpanOffset(0)),
        (
            Histogram { positive_spans: spans(&[(0, 3)]), ..base.clone() },
            InvalidHistogram::SpanLength { spans: 3, buckets: 2 },
        ),
        (Histogram { positive_spans: spans(&[(0, 1), (-1, 1)]), ..base.clone() }, InvalidHistogram::SpanOffset(1)),
        (Histogram { positive_buckets: vec![1.0, -2.0], ..base.clone() }, InvalidHistogram::NegativeCount(1)),
        (Histogram { custom_values: vec![1.0], ..base.clone() }, InvalidHistogram::UnexpectedCustomBounds),
        (custom(&[2.0, 1.0], &[1.0]), InvalidHistogram::CustomBound(1)),
        (custom(&[2.0], &[1.0, 1.0, 1.0]), InvalidHistogram::BeyondCustomBounds),
        (with_zero(1.0, 1.0, custom(&[2.0], &[1.0])), InvalidHistogram::UnexpectedBuckets),
    ];
    for (histogram, why) in cases {
        assert_eq!(histogram.validate(), Err(why));
        let mut other = base.clone();
        let _ = other.add(&histogram);
        let _ = histogram.is_reset_after(&base);
        assert!(histogram.all_buckets().len() <= 4);
    }
}

#[test]
fn a_histogram_prints_its_buckets() {
    let mut h = with_zero(0.5, 2.0, positive(0, 1, &[4.0, 0.0, 1.5]));
    h.negative_spans = vec![Span { offset: 1, length: 1 }];
    h.negative_buckets = vec![1.0];
    assert_eq!(h.to_string(), "{count:7.5, sum:5.5, [-2,-1):1, [-0.5,0.5]:2, (1,2]:4, (4,8]:1.5}");
}
