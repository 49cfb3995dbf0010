//! Chunks of floats and of histograms, from any bytes. The first 18 say what is known of the chunk: first and last time,
//! number of samples.
#![cfg_attr(fuzzing, no_main)]

use libfuzzer_sys::fuzz_target;
use sonde_model::{FloatColumn, HistogramColumn};
use sonde_tsdb::codec::chunk::decode_histograms;
use sonde_tsdb::codec::sealed::{Extent, decode_floats};

fuzz_target!(|bytes: &[u8]| {
    let _ = decode_histograms(bytes, &mut HistogramColumn::default());
    let Some((min, rest)) = bytes.split_first_chunk::<8>() else { return };
    let Some((max, rest)) = rest.split_first_chunk::<8>() else { return };
    let Some((samples, chunk)) = rest.split_first_chunk::<2>() else { return };
    let (min, max) = (i64::from_le_bytes(*min), i64::from_le_bytes(*max));
    let extent = Extent { min, max, samples: u16::from_le_bytes(*samples).into() };
    let _ = decode_floats(chunk, extent, &mut FloatColumn::default());
});
