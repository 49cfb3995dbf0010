//! Chunks of floats and of histograms, from any bytes.
#![cfg_attr(fuzzing, no_main)]

use libfuzzer_sys::fuzz_target;
use sonde_model::{FloatColumn, HistogramColumn};
use sonde_tsdb::codec::chunk::{decode_floats, decode_histograms};

fuzz_target!(|bytes: &[u8]| {
    let _ = decode_floats(bytes, &mut FloatColumn::default());
    let _ = decode_histograms(bytes, &mut HistogramColumn::default());
});
