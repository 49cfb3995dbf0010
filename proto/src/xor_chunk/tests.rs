use proptest::prelude::*;
use sonde_model::{CounterResetHint, Span, stale_nan};

use super::*;

fn histogram(count: f64) -> Histogram {
    Histogram {
        schema: 3,
        zero_threshold: 2f64.powi(-128),
        zero_count: 1.0,
        count,
        sum: count * 1.5,
        positive_spans: vec![Span { offset: -2, length: 2 }, Span { offset: 3, length: 1 }],
        positive_buckets: vec![1.0, 2.0, count - 4.0],
        ..Histogram::default()
    }
}

/// Samples whose times and values have all sizes of steps.
fn samples() -> impl Strategy<Value = Vec<(i64, u64)>> {
    let step = prop_oneof![Just(15_000_i64), 1..20_000_i64, 1..10_000_000_i64, 1..1_i64 << 40];
    let value =
        prop_oneof![any::<u64>(), (0..1000u32).prop_map(|n| f64::from(n).to_bits()), Just(sonde_model::STALE_NAN_BITS)];
    prop::collection::vec((step, value), 1..300).prop_map(|steps| {
        let mut time = -5;
        steps
            .into_iter()
            .map(|(step, bits)| {
                time += step;
                (time, bits)
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn floats_come_back_bit_for_bit(samples in samples()) {
        let (times, bits): (Vec<i64>, Vec<u64>) = samples.into_iter().unzip();
        let values: Vec<f64> = bits.iter().map(|bits| f64::from_bits(*bits)).collect();
        let (mut back_times, mut back_bits) = (Vec::new(), Vec::new());
        for chunk in encode_floats(&times, &values) {
            let (t, v) = decode_floats(&chunk.data).expect("our own chunk");
            prop_assert_eq!((t[0], t[t.len() - 1]), (chunk.min_time, chunk.max_time));
            prop_assert!(t.len() <= MAX_SAMPLES);
            back_times.extend(t);
            back_bits.extend(v.iter().map(|v| v.to_bits()));
        }
        prop_assert_eq!((back_times, back_bits), (times, bits));
    }

    #[test]
    fn histograms_come_back(counts in prop::collection::vec(4.0..1e6f64, 1..200), threshold in prop_oneof![
        Just(0.0), Just(1.0), Just(2f64.powi(-243)), Just(2f64.powi(10)), Just(2f64.powi(11)), Just(0.3)
    ], gauge: bool) {
        let values: Vec<Histogram> = counts.iter().map(|count| {
            let reset_hint = if gauge { CounterResetHint::Gauge } else { CounterResetHint::Unknown };
            Histogram { zero_threshold: threshold, reset_hint, ..histogram(*count) }
        }).collect();
        let times: Vec<i64> = (0..values.len() as i64).map(|i| i * 15_000 + i % 7).collect();
        let (mut back_times, mut back) = (Vec::new(), Vec::new());
        for chunk in encode_histograms(&times, &values) {
            let (t, v) = decode_histograms(&chunk.data).expect("our own chunk");
            for (i, h) in v.iter().enumerate().skip(1) {
                prop_assert!(gauge || h.reset_hint == CounterResetHint::NotReset && !h.is_reset_after(&v[i - 1]));
            }
            back_times.extend(t);
            back.extend(v);
        }
        prop_assert_eq!(back_times, times);
        // What a reader concludes of resets is what the values say.
        for i in 1..values.len() {
            prop_assert_eq!(back[i].is_reset_after(&back[i - 1]), values[i].is_reset_after(&values[i - 1]));
        }
        back.iter_mut().for_each(|h| h.reset_hint = values[0].reset_hint);
        prop_assert_eq!(back, values);
    }

    #[test]
    fn arbitrary_bytes_end(data in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode_floats(&data);
        let _ = decode_histograms(&data);
    }
}

#[test]
fn a_new_layout_a_stale_marker_and_a_reset_begin_a_chunk() {
    let custom = Histogram {
        schema: -53,
        custom_values: vec![0.005, 0.1, 1e9, 7.0 / 3.0 * 1e9],
        count: 9.0,
        positive_spans: vec![Span { offset: 0, length: 2 }],
        positive_buckets: vec![4.0, 5.0],
        ..Histogram::default()
    };
    let values = [histogram(9.0), histogram(12.0), histogram(8.0), Histogram::stale(), custom.clone(), custom];
    let chunks = encode_histograms(&[1, 2, 3, 4, 5, 6], &values);
    let times: Vec<_> = chunks.iter().map(|chunk| (chunk.min_time, chunk.max_time)).collect();
    assert_eq!(times, [(1, 2), (3, 3), (4, 4), (5, 6)]);
    let back = |i: usize| decode_histograms(&chunks[i].data).expect("our own chunk").1;
    assert_eq!(back(1)[0].reset_hint, CounterResetHint::Reset);
    assert_eq!(back(2)[0].sum.to_bits(), stale_nan().to_bits());
    assert_eq!(back(3)[0].custom_values, values[4].custom_values);
}

#[test]
fn a_chunk_has_the_bytes_of_prometheus() {
    // Worked out by hand from the format: a count of 2, a zigzag varint, 64 bits, a varint, a bit for the same value.
    let [chunk] = encode_floats(&[1, 16], &[1.0, 1.0]).try_into().expect("one chunk");
    assert_eq!(chunk.data, [0, 2, 2, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 15, 0]);
}
