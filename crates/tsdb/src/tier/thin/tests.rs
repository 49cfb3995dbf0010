//! What is kept answers as all samples would, over windows of whole steps.

use proptest::prelude::*;
use sonde_model::STALE_NAN_BITS;

use super::*;

const STEP: i64 = 100;

fn floats(samples: &[(i64, f64)]) -> Columns {
    let mut columns = Columns::default();
    samples.iter().for_each(|(t, v)| columns.floats.push(*t, *v));
    columns
}

fn times(columns: &Columns) -> Vec<i64> {
    columns.floats.timestamps.clone()
}

fn stale() -> f64 {
    f64::from_bits(STALE_NAN_BITS)
}

/// What range functions make of the samples after `from` up to `to`.
#[derive(Debug, PartialEq)]
struct Facts {
    first: Option<(i64, u64)>,
    last: Option<(i64, u64)>,
    min: Option<u64>,
    max: Option<u64>,
    increase: f64,
    resets: usize,
}

fn facts(columns: &Columns, from: i64, to: i64) -> Facts {
    let all = columns.floats.timestamps.iter().copied().zip(columns.floats.values.iter().copied());
    let seen: Vec<(i64, f64)> = all.filter(|(t, v)| *t > from && *t <= to && !is_stale(*v)).collect();
    let numbers = || seen.iter().map(|(_, v)| *v).filter(|v| !v.is_nan());
    let resets: Vec<f64> = seen.windows(2).filter(|w| w[1].1 < w[0].1).map(|w| w[0].1).collect();
    let ends = seen.first().zip(seen.last());
    Facts {
        first: seen.first().map(|(t, v)| (*t, v.to_bits())),
        last: seen.last().map(|(t, v)| (*t, v.to_bits())),
        min: numbers().reduce(f64::min).map(f64::to_bits),
        max: numbers().reduce(f64::max).map(f64::to_bits),
        increase: ends.map_or(0.0, |(first, last)| last.1 - first.1 + resets.iter().sum::<f64>()),
        resets: resets.len(),
    }
}

#[test]
fn a_step_keeps_what_matters() {
    let gauge: Vec<(i64, f64)> = (1..=100).map(|t| (t, ((t * 37) % 101) as f64)).collect();
    let kept = thin(&floats(&gauge), STEP);
    assert_eq!(times(&kept), [1, 30, 71, 100], "ends, lowest and highest");
    let counter: Vec<(i64, f64)> = (1..=300).map(|t| (t, if t < 150 { t } else { t - 150 } as f64)).collect();
    assert_eq!(times(&thin(&floats(&counter), STEP)), [1, 100, 101, 149, 150, 200, 201, 300]);
    let flat: Vec<(i64, f64)> = (1..=100).map(|t| (t, 7.0)).collect();
    assert_eq!(times(&thin(&floats(&flat), STEP)), [1, 100]);
    let gap: Vec<(i64, f64)> = (1..=100).map(|t| (t, if t == 50 { stale() } else { 1.0 })).collect();
    assert_eq!(times(&thin(&floats(&gap), STEP)), [1, 49, 50, 51, 100]);
    let ended: Vec<(i64, f64)> = (1..=60).map(|t| (t, if t == 60 { stale() } else { 1.0 })).collect();
    assert_eq!(times(&thin(&floats(&ended), STEP)), [1, 59, 60]);
    assert!(thin(&Columns::default(), STEP).is_empty());
}

#[test]
fn the_sample_at_the_end_of_a_step_belongs_to_it() {
    let samples: Vec<(i64, f64)> = (0..=4).map(|i| (i * 50, i as f64)).collect();
    assert_eq!(times(&thin(&floats(&samples), STEP)), [0, 50, 100, 150, 200]);
    let samples: Vec<(i64, f64)> = (0..=20).map(|i| (i * 10, i as f64)).collect();
    assert_eq!(times(&thin(&floats(&samples), STEP)), [0, 10, 100, 110, 200]);
}

#[test]
fn histograms_keep_ends_and_resets() {
    let histogram =
        |count: f64, reset_hint| Histogram { count, sum: count, zero_count: count, reset_hint, ..Histogram::default() };
    let mut columns = Columns::default();
    for t in 1..=100_i64 {
        let count = if t < 40 { t } else { t - 39 } as f64;
        let hint = if t == 40 { CounterResetHint::Reset } else { CounterResetHint::NotReset };
        columns.histograms.push(t, histogram(count, hint));
    }
    let kept = thin(&columns, STEP).histograms;
    assert_eq!(kept.timestamps, [1, 39, 40, 100]);
    let hints: Vec<CounterResetHint> = kept.values.iter().map(|h| h.reset_hint).collect();
    let (unknown, reset) = (CounterResetHint::Unknown, CounterResetHint::Reset);
    assert_eq!(hints, [unknown, unknown, reset, unknown], "what is said of a neighbour that is gone is not said");
    assert!(kept.values[2].is_reset_after(&kept.values[1]));
    assert!(!kept.values[3].is_reset_after(&kept.values[2]));
}

/// Counters that begin anew now and then, gauges, with gaps.
fn samples() -> impl Strategy<Value = Vec<(i64, f64)>> {
    let value = prop_oneof![
        12 => (0u32..9).prop_map(Some),
        1 => Just(None),
    ];
    (prop::collection::vec((1i64..12, value), 0..120), any::<bool>(), 5u32..60).prop_map(
        |(steps, is_counter, reset)| {
            let (mut t, mut sum) = (0, 0.0);
            let sample = |(i, (after, value)): (usize, (i64, Option<u32>))| {
                t += after;
                let Some(value) = value else { return (t, stale()) };
                if !is_counter {
                    return (t, f64::from(value) - 4.0);
                }
                if i as u32 % reset == reset - 1 {
                    sum = 0.0;
                }
                sum += f64::from(value);
                (t, sum)
            };
            steps.into_iter().enumerate().map(sample).collect()
        },
    )
}

proptest! {
    #[test]
    fn windows_of_whole_steps_are_answered_as_by_all_samples(samples in samples(), cut in 0i64..800, step in 20i64..200) {
        let all = floats(&samples);
        let kept = thin(&all, step);
        for (t, v) in kept.floats.timestamps.iter().zip(&kept.floats.values) {
            let at = all.floats.timestamps.binary_search(t).expect("a sample of the series");
            prop_assert_eq!(all.floats.values[at].to_bits(), v.to_bits());
        }
        // Fed in two pieces, as at the end of a day.
        let (mut first, mut second) = (all.clone(), all.clone());
        first.restrict(i64::MIN, cut);
        second.restrict(cut + 1, i64::MAX);
        let mut pieces = thin(&first, step);
        crate::columns::overlay(&mut pieces, thin(&second, step));
        for from in 0..8 {
            for to in from + 1..9 {
                let (from, to) = (from * step, to * step);
                let (expected, thinned, pieced) = (facts(&all, from, to), facts(&kept, from, to), facts(&pieces, from, to));
                for found in [&thinned, &pieced] {
                    prop_assert_eq!(&expected.first, &found.first);
                    prop_assert_eq!(&expected.last, &found.last);
                    prop_assert_eq!(&expected.min, &found.min);
                    prop_assert_eq!(&expected.max, &found.max);
                }
                // Where falls are rare, as they are with counters, nothing of them is lost.
                let is_rare = |w: &[(i64, f64)]| w.windows(2).filter(|w| w[1].1 < w[0].1 || is_stale(w[0].1) != is_stale(w[1].1)).count() <= 1;
                if is_rare(&samples) {
                    prop_assert_eq!((expected.increase, expected.resets), (thinned.increase, thinned.resets));
                }
            }
        }
    }

    #[test]
    fn rare_resets_are_never_lost(lens in prop::collection::vec(17usize..90, 1..6), step in 20i64..300) {
        let samples: Vec<f64> = lens.iter().flat_map(|len| (0..*len).map(|i| i as f64 * 2.5)).collect();
        let samples: Vec<(i64, f64)> = samples.into_iter().enumerate().map(|(i, v)| (i as i64 + 1, v)).collect();
        let (all, kept) = (floats(&samples), thin(&floats(&samples), step));
        let end = samples.len() as i64 / step + 1;
        for to in 1..=end {
            prop_assert_eq!(facts(&all, 0, to * step), facts(&kept, 0, to * step));
        }
    }
}
