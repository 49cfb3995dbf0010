//! The state of an anomaly detector from any bytes, and samples on top of it.
#![cfg_attr(fuzzing, no_main)]

use libfuzzer_sys::fuzz_target;
use sonde_detect::{Novelty, STATE_LEN};

fuzz_target!(|bytes: &[u8]| {
    let mut state = vec![0; STATE_LEN];
    let n = bytes.len().min(STATE_LEN);
    state[..n].copy_from_slice(&bytes[..n]);
    // The version that is known: the others are refused at once.
    state[0] = 1;
    let Ok(mut detector) = Novelty::from_bytes(&state) else { return };
    for (i, value) in bytes.chunks_exact(8).rev().take(40).enumerate() {
        let value = f64::from_le_bytes(value.try_into().expect("eight bytes"));
        let at = detector.last_timestamp_ms().unwrap_or(0).saturating_add(i as i64 * 1_000);
        let _ = detector.push(at, value);
    }
    let again = Novelty::from_bytes(&detector.to_bytes()).expect("what was written reads");
    assert_eq!(again.to_bytes(), detector.to_bytes());
});
