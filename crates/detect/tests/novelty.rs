//! What the detector says of planted anomalies, and that its state survives as bytes.

use proptest::prelude::*;
use sonde_detect::{Direction, Novelty, STATE_LEN};

/// A day and a half of a daily curve with a ripple, at one-minute steps.
fn ordinary(minute: i64) -> f64 {
    let day = (minute as f64 / 1440.0 * std::f64::consts::TAU).sin();
    50.0 + 20.0 * day + 3.0 * ((minute * 7919 % 100) as f64 / 100.0)
}

#[test]
fn a_spike_is_told_once_and_with_a_reason() {
    let mut novelty = Novelty::default();
    let mut alarms = Vec::new();
    for minute in 0..4_000 {
        let value = if (3_500..3_505).contains(&minute) { 160.0 } else { ordinary(minute) };
        let score = novelty.push(minute * 60_000, value);
        if score.value >= 1.0 && minute > 1_440 {
            alarms.push((minute, score));
        }
    }
    let minutes: Vec<i64> = alarms.iter().map(|(minute, _)| *minute).collect();
    assert_eq!(minutes, [3_500], "{alarms:?}");
    let finding = alarms[0].1.finding.expect("a reason");
    assert_eq!((finding.direction, finding.value), (Direction::Above, 160.0));
    assert!(finding.to_string().starts_with("the value is 160, above the highest so far of 7"), "{finding}");
}

/// Noise without anything in it, of one series in minutes: how many alarms it has on its first day.
#[test]
fn a_young_series_of_short_steps_is_no_noisier_than_one_of_long_steps() {
    let alarms = |step: i64, seed: u64| {
        let mut novelty = Novelty::default();
        let mut random = seed;
        // A sum of twelve is about normal; the generator is xorshift.
        let mut noise = || -> f64 {
            let mut next = || {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                (random >> 40) as f64
            };
            (0..12).map(|_| next()).sum()
        };
        (0..86_400 / step).filter(|at| novelty.push(at * step * 1_000, noise()).value >= 1.0).count()
    };
    let of_step = |step| (1..=20).map(|seed| alarms(step, seed << 32 | 0x9e37_79b9)).sum::<usize>();
    let (long, short) = (of_step(300), of_step(15));
    assert!(long > 0 && short <= 2 * long, "{short} alarms at 15 s, {long} at 300 s");
}

#[test]
fn the_same_sample_twice_and_what_is_not_a_number_are_passed_over() {
    let mut novelty = Novelty::default();
    novelty.push(1_000, 1.0);
    let before = novelty.clone();
    for (time, value) in [(1_000, 9e9), (500, 9e9), (2_000, f64::NAN), (2_000, f64::INFINITY)] {
        assert_eq!(novelty.push(time, value).value, 0.0);
    }
    assert_eq!(novelty, before);
}

#[test]
fn state_survives_as_bytes() {
    let mut novelty = Novelty::default();
    for minute in 0..2_000 {
        novelty.push(minute * 60_000, ordinary(minute));
    }
    let bytes = novelty.to_bytes();
    assert_eq!(bytes.len(), STATE_LEN);
    let mut restored = Novelty::from_bytes(&bytes).expect("its own bytes");
    assert_eq!(restored, novelty);
    for minute in 2_000..2_100 {
        assert_eq!(restored.push(minute * 60_000, 500.0), novelty.push(minute * 60_000, 500.0));
    }
    assert!(Novelty::from_bytes(&bytes[1..]).is_err() && Novelty::from_bytes(&[]).is_err());
}

proptest! {
    #[test]
    fn any_bytes_of_the_length_are_safe(mut bytes in proptest::collection::vec(any::<u8>(), STATE_LEN), value: f64) {
        bytes[0] = 1;
        let mut novelty = Novelty::from_bytes(&bytes).expect("the length and version fit");
        for time in [i64::MIN, 0, 1, 1_000_000, i64::MAX] {
            novelty.push(time, value);
        }
    }
}
