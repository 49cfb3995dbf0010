//! Every codec gives back what it was given, bit for bit, and takes any bytes without panic.

use proptest::prelude::*;
use sonde_disk::varint::Reader;
use sonde_model::{FloatColumn, Histogram, HistogramColumn, Span};

use super::pack::{Integers, Unpacker};
use super::{chunk, decimal, histogram, number, pack, sealed, unseal};

/// Values as they come: counters, decimals, noise, constants, odd ones.
fn values() -> impl Strategy<Value = Vec<f64>> {
    let odd = prop::sample::select(vec![
        0.0,
        -0.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MIN_POSITIVE,
        f64::MAX,
        5e-324,
        1e15,
        9_007_199_254_740_993.0,
        f64::from_bits(sonde_model::STALE_NAN_BITS),
        f64::from_bits(sonde_model::NORMAL_NAN_BITS),
        f64::from_bits(0xfff4_dead_beef_0001),
    ]);
    prop_oneof![
        prop::collection::vec(any::<u64>().prop_map(f64::from_bits), 1..300),
        prop::collection::vec(
            (-1_000_000i64..1_000_000, 0u32..6).prop_map(|(m, e)| m as f64 / 10f64.powi(e as i32)),
            1..300
        ),
        (0u32..1_000_000, prop::collection::vec(0u32..500, 1..300)).prop_map(|(start, steps)| {
            let mut total = u64::from(start);
            steps
                .iter()
                .map(|s| {
                    total += u64::from(*s);
                    total as f64
                })
                .collect()
        }),
        (odd.clone(), 1usize..200).prop_map(|(v, n)| vec![v; n]),
        prop::collection::vec(prop_oneof![3 => (0i32..9999).prop_map(|v| f64::from(v) / 100.0), 1 => odd], 1..100),
    ]
}

fn timestamps(n: usize) -> impl Strategy<Value = Vec<i64>> {
    let steps = prop_oneof![
        Just(vec![15_000i64; n]),
        prop::collection::vec(14_900i64..15_100, n),
        prop::collection::vec(1i64..1 << 40, n),
    ];
    (-(1i64 << 50)..1 << 50, steps).prop_map(|(start, steps)| {
        let mut t = start;
        steps
            .iter()
            .map(|s| {
                t += s;
                t
            })
            .collect()
    })
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|v| v.to_bits()).collect()
}

fn extent(ts: &[i64]) -> sealed::Extent {
    sealed::Extent { min: ts[0], max: ts[ts.len() - 1], samples: ts.len() as u32 }
}

fn integers(
    unpacker: &mut Unpacker,
    bytes: &[u8],
    n: usize,
    places: std::ops::Range<usize>,
) -> Result<Vec<i64>, super::DecodeError> {
    let mut read = Vec::new();
    unpacker.read_integers(bytes, n, places, |numbers| {
        match numbers {
            Integers::Narrow(numbers) => read.extend(numbers.iter().map(|n| i64::from(*n))),
            Integers::Wide(numbers) => read.extend_from_slice(numbers),
        }
        Ok(())
    })?;
    Ok(read)
}

const STALE: f64 = f64::from_bits(sonde_model::STALE_NAN_BITS);

fn samples() -> impl Strategy<Value = (Vec<i64>, Vec<f64>)> {
    values().prop_flat_map(|v| (timestamps(v.len()), Just(v)))
}

pub(crate) fn histograms() -> impl Strategy<Value = Histogram> {
    let spans =
        || prop::collection::vec((0i32..20, 0u32..6).prop_map(|(offset, length)| Span { offset, length }), 0..4);
    let count = prop_oneof![4 => (0u32..10_000).prop_map(f64::from), 1 => 0.0f64..1e9, 1 => Just(9.0e18)];
    (
        prop::sample::select(vec![-53, -4, 0, 3, 8]),
        spans(),
        spans(),
        prop::collection::vec(count, 64),
        any::<u64>(),
        0u8..4,
    )
        .prop_map(|(schema, positive_spans, negative_spans, counts, sum, hint)| {
            let buckets = |spans: &[Span], from: usize| -> Vec<f64> {
                let n: u32 = spans.iter().map(|s| s.length).sum();
                (0..n as usize).map(|i| counts[(from + i) % counts.len()]).collect()
            };
            Histogram {
                schema,
                reset_hint: [
                    sonde_model::CounterResetHint::Unknown,
                    sonde_model::CounterResetHint::Reset,
                    sonde_model::CounterResetHint::NotReset,
                    sonde_model::CounterResetHint::Gauge,
                ][hint as usize],
                zero_threshold: 1e-128,
                zero_count: counts[0],
                count: counts[1],
                sum: f64::from_bits(sum),
                positive_buckets: buckets(&positive_spans, 2),
                negative_buckets: buckets(&negative_spans, 30),
                positive_spans,
                negative_spans,
                custom_values: if schema == -53 { vec![0.005, 0.01, 2.5] } else { Vec::new() },
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn sealed_chunks_are_lossless(
        (ts, mut values) in samples(),
        stale in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        behind in any::<bool>(),
        repeat in 1usize..4,
        starts in prop::collection::vec(prop_oneof![Just(0i64), 1i64..5], 3),
    ) {
        stale.iter().for_each(|at| { let at = at.index(values.len()); values[at] = STALE });
        // Long chunks are packed by other codecs.
        let span = ts[ts.len() - 1] - ts[0] + 15_000;
        let ts: Vec<i64> = (0..repeat as i64).flat_map(|r| ts.iter().map(move |t| t + r * span)).collect();
        let values = values.repeat(repeat);
        let mut bytes = Vec::new();
        let starts: Vec<i64> = (0..ts.len()).map(|i| starts[3 * i / ts.len()]).collect();
        sealed::encode_floats(&ts, &values, &starts, &mut sealed::Scratch::default(), &mut bytes);
        let mut column = FloatColumn::default();
        if behind {
            column.push(i64::MIN, 0.5);
        }
        sealed::decode_floats(&bytes, extent(&ts), &mut sealed::ReadScratch::default(), &mut column).unwrap();
        prop_assert_eq!(&column.timestamps[usize::from(behind)..], &ts[..]);
        prop_assert_eq!(bits(&column.values[usize::from(behind)..]), bits(&values));
        if starts.iter().all(|start| *start == 0) {
            prop_assert!(column.starts.is_empty());
        } else {
            prop_assert_eq!(&column.starts[usize::from(behind)..], &starts[..]);
        }
    }

    #[test]
    fn a_part_of_a_sealed_chunk_is_what_the_whole_says(
        (ts, mut values) in samples(),
        stale in prop::collection::vec(any::<prop::sample::Index>(), 0..2),
        (repeat, started) in (1usize..4, 0usize..4),
        regular in any::<bool>(),
        (a, b) in any::<(prop::sample::Index, prop::sample::Index)>(),
        (before, behind) in (-2i64..3, -2i64..3),
    ) {
        stale.iter().for_each(|at| { let at = at.index(values.len()); values[at] = STALE });
        let span = ts[ts.len() - 1] - ts[0] + 15_000;
        let mut ts: Vec<i64> = (0..repeat as i64).flat_map(|r| ts.iter().map(move |t| t + r * span)).collect();
        if regular {
            let first = ts[0];
            ts.iter_mut().enumerate().for_each(|(i, t)| *t = first + i as i64 * 10);
        }
        let values = values.repeat(repeat);
        let mut bytes = Vec::new();
        // None, one for all, one that changes, and one that ends on the way.
        let starts: Vec<i64> = match started {
            0 => Vec::new(),
            1 => vec![7; ts.len()],
            2 => (0..ts.len() as i64).map(|i| 1 + i / 3).collect(),
            _ => (0..ts.len()).map(|i| if i < 2 { 7 } else { 0 }).collect(),
        };
        sealed::encode_floats(&ts, &values, &starts, &mut sealed::Scratch::default(), &mut bytes);
        let (from, to) = (ts[a.index(ts.len())] + before, ts[b.index(ts.len())] + behind);
        let (mut scratch, mut column) = (sealed::ReadScratch::default(), FloatColumn::default());
        column.push(i64::MIN, 0.5);
        sealed::decode_floats_within(&bytes, extent(&ts), (from, to), &mut scratch, &mut column).unwrap();
        let expected = ts.iter().copied().zip(bits(&values)).filter(|(t, _)| (from..=to).contains(t));
        let read = column.timestamps.iter().copied().zip(bits(&column.values)).skip(1);
        prop_assert_eq!(read.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        let within = |(t, start): (&i64, &i64)| (from..=to).contains(t).then_some(*start);
        let mut expected: Vec<i64> = ts.iter().zip(&starts).filter_map(within).collect();
        if expected.iter().all(|start| *start == 0) {
            expected.clear();
        } else {
            expected.insert(0, 0);
        }
        prop_assert_eq!(column.starts, expected);
    }

    #[test]
    fn what_was_unpacked_of_a_chunk_serves_its_other_parts(
        (ts, values) in samples(),
        repeat in 2usize..8,
        regular in any::<bool>(),
        start in 0i64..2,
        ranges in prop::collection::vec(any::<(prop::sample::Index, prop::sample::Index)>(), 1..6),
    ) {
        let span = ts[ts.len() - 1] - ts[0] + 15_000;
        let mut ts: Vec<i64> = (0..repeat as i64).flat_map(|r| ts.iter().map(move |t| t + r * span)).collect();
        if regular {
            let first = ts[0];
            ts.iter_mut().enumerate().for_each(|(i, t)| *t = first + i as i64 * 10);
        }
        let values = values.repeat(repeat);
        let (mut bytes, starts) = (Vec::new(), vec![start; ts.len()]);
        sealed::encode_floats(&ts, &values, &starts, &mut sealed::Scratch::default(), &mut bytes);
        if unseal::is_dear(&bytes, ts.len() as u32) {
            let (mut scratch, mut known) = (sealed::ReadScratch::default(), None);
            for (a, b) in ranges {
                let range = (ts[a.index(ts.len())] - 1, ts[b.index(ts.len())] + 1);
                let (mut read, mut part) = (FloatColumn::default(), FloatColumn::default());
                let more =
                    unseal::decode_floats_known(&bytes, extent(&ts), range, known.as_ref(), &mut scratch, &mut read);
                known = more.unwrap().or(known);
                sealed::decode_floats_within(&bytes, extent(&ts), range, &mut scratch, &mut part).unwrap();
                prop_assert_eq!((&read.timestamps, &read.starts), (&part.timestamps, &part.starts));
                prop_assert_eq!(bits(&read.values), bits(&part.values));
                // Asked again, it is all there.
                let again =
                    unseal::decode_floats_known(&bytes, extent(&ts), range, known.as_ref(), &mut scratch, &mut read);
                prop_assert!(again.unwrap().is_none());
                prop_assert_eq!(bits(&read.values[part.values.len()..]), bits(&part.values));
            }
        }
    }

    #[test]
    fn mantissas_become_floats_many_at_a_time(
        m in prop::collection::vec(-(1i64 << 51)..1i64 << 51, 0..40),
        outside in prop_oneof![i64::MIN..-(1i64 << 51), (1i64 << 51)..=i64::MAX],
        exponent in 0..=decimal::MAX_EXPONENT,
    ) {
        let power = decimal::POWERS[exponent as usize];
        let mut all = Vec::new();
        prop_assert_eq!(decimal::restore_all(m.iter().copied(), power, &mut all), Ok(()));
        prop_assert_eq!(bits(&all), m.iter().map(|m| decimal::restore(*m, power).to_bits()).collect::<Vec<_>>());
        prop_assert!(decimal::restore_all([7, outside, -7].into_iter(), power, &mut all).is_err());
    }

    #[test]
    fn packed_numbers_are_lossless(
        v in prop::collection::vec(any::<i64>(), 1..900),
        shift in 0u32..64,
        (from, to) in any::<(prop::sample::Index, prop::sample::Index)>(),
    ) {
        let v: Vec<i64> = v.iter().map(|n| n >> shift).collect();
        let mut bytes = Vec::new();
        pack::put_integers(&v, &mut bytes).unwrap();
        let mut unpacker = Unpacker::default();
        let (from, to) = (from.index(v.len()), to.index(v.len()) + 1);
        let places = from.min(to)..to;
        prop_assert_eq!(integers(&mut unpacker, &bytes, v.len(), 0..v.len()).unwrap(), &v[..]);
        prop_assert_eq!(integers(&mut unpacker, &bytes, v.len(), places.clone()).unwrap(), &v[places.clone()]);
        let floats: Vec<f64> = v.iter().map(|n| f64::from_bits(*n as u64)).collect();
        bytes.clear();
        pack::put_floats(&floats, &mut bytes).unwrap();
        let mut read = Vec::new();
        unpacker.read_floats(&bytes, v.len(), 0..v.len(), &mut read).unwrap();
        unpacker.read_floats(&bytes, v.len(), places.clone(), &mut read).unwrap();
        prop_assert_eq!(bits(&read[..v.len()]), bits(&floats));
        prop_assert_eq!(bits(&read[v.len()..]), bits(&floats[places]));
    }

    #[test]
    fn histogram_chunks_are_lossless(hs in prop::collection::vec(histograms(), 1..12), start in 0i64..3) {
        let samples: Vec<_> = hs.iter().enumerate().map(|(i, h)| (i as i64 * 1000, h)).collect();
        let mut bytes = Vec::new();
        let starts = vec![start; hs.len()];
        chunk::encode_histograms(&samples, &starts, &mut bytes);
        let mut column = HistogramColumn::default();
        chunk::decode_histograms(&bytes, &mut column).unwrap();
        prop_assert_eq!(column.values.len(), hs.len());
        prop_assert_eq!(&column.starts, if start == 0 { &[] } else { starts.as_slice() });
        for (a, b) in column.values.iter().zip(&hs) {
            prop_assert!(histogram::same_bits(a, b), "{:?} {:?}", a, b);
        }
    }

    #[test]
    fn numbers_are_lossless(v in values()) {
        let mut bytes = Vec::new();
        let mut writer = number::NumberWriter::default();
        v.iter().for_each(|v| writer.put(&mut bytes, *v));
        let mut reader = Reader::new(&bytes);
        for value in &v {
            prop_assert_eq!(number::read(&mut reader).unwrap().to_bits(), value.to_bits());
        }
        prop_assert!(reader.is_empty());
    }

    #[test]
    fn any_bytes_are_taken_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = chunk::decode_histograms(&bytes, &mut HistogramColumn::default());
        for samples in [0, 1, 7, 1000, u32::MAX] {
            let extent = sealed::Extent { min: 0, max: 15_000 * (i64::from(samples) - 1), samples };
            let _ =
                sealed::decode_floats(&bytes, extent, &mut sealed::ReadScratch::default(), &mut FloatColumn::default());
            let range = (extent.min.saturating_add(1), extent.max.saturating_sub(7));
            let (mut scratch, mut column) = (sealed::ReadScratch::default(), FloatColumn::default());
            let _ = sealed::decode_floats_within(&bytes, extent, range, &mut scratch, &mut column);
        }
        for n in [1, 7, 300] {
            let _ = integers(&mut Unpacker::default(), &bytes, n, 0..n);
            let _ = Unpacker::default().read_floats(&bytes, n, 0..n, &mut Vec::new());
        }
        let _ = histogram::decode(&mut Reader::new(&bytes), None);
        let _ = number::read(&mut Reader::new(&bytes));
        let _ = Reader::new(&bytes).str();
    }

    #[test]
    fn damaged_sealed_chunks_are_taken_without_panic(
        (ts, values) in samples(),
        repeat in 1usize..5,
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let span = ts[ts.len() - 1] - ts[0] + 15_000;
        let ts: Vec<i64> = (0..repeat as i64).flat_map(|r| ts.iter().map(move |t| t + r * span)).collect();
        let mut bytes = Vec::new();
        sealed::encode_floats(&ts, &values.repeat(repeat), &[], &mut sealed::Scratch::default(), &mut bytes);
        let mut cut_off = bytes.clone();
        cut_off.truncate(cut.index(bytes.len()));
        let mut scratch = sealed::ReadScratch::default();
        let _ = sealed::decode_floats(&cut_off, extent(&ts), &mut scratch, &mut FloatColumn::default());
        for (at, flip) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
        }
        let _ = sealed::decode_floats(&bytes, extent(&ts), &mut scratch, &mut FloatColumn::default());
    }
}

#[test]
fn chunks_are_as_small_as_the_measurements_promised() {
    let ts: Vec<i64> = (0..120).map(|i| 1_700_000_000_000 + i * 15_000).collect();
    let bytes_a_sample = |values: Vec<f64>| {
        let mut bytes = Vec::new();
        sealed::encode_floats(&ts, &values, &[], &mut sealed::Scratch::default(), &mut bytes);
        bytes.len() as f64 / 120.0
    };
    let constant = bytes_a_sample(vec![1.5; 120]);
    assert!(constant < 0.2, "{constant}");
    let seconds = bytes_a_sample((0..120).map(|i| (123_456 + i * 37 + i % 3) as f64 / 100.0).collect());
    assert!(seconds < 1.3, "{seconds}");
    let noise = bytes_a_sample((0..120).map(|i| (f64::from(i) * 0.7).sin()).collect());
    assert!(noise < 8.5, "{noise}");
}
