//! Chunks of floats and of histograms, from any bytes. The first 18 say what is known of the chunk: first and last time,
//! number of samples.
#![cfg_attr(fuzzing, no_main)]

use libfuzzer_sys::fuzz_target;
use sonde_model::{FloatColumn, HistogramColumn};
use sonde_tsdb::codec::chunk::decode_histograms;
use sonde_tsdb::codec::sealed::{Extent, ReadScratch, decode_floats, decode_floats_within};

fuzz_target!(|bytes: &[u8]| {
    let _ = decode_histograms(bytes, &mut HistogramColumn::default());
    let Some((min, rest)) = bytes.split_first_chunk::<8>() else { return };
    let Some((max, rest)) = rest.split_first_chunk::<8>() else { return };
    let Some((samples, chunk)) = rest.split_first_chunk::<2>() else { return };
    let (min, max) = (i64::from_le_bytes(*min), i64::from_le_bytes(*max));
    let extent = Extent { min, max, samples: u16::from_le_bytes(*samples).into() };
    let mut whole = FloatColumn::default();
    let mut scratch = ReadScratch::default();
    let is_read = decode_floats(chunk, extent, &mut scratch, &mut whole).is_ok();
    // A part of what can be read as a whole is that part of it.
    let range = (min.saturating_add(1), max.saturating_sub(1));
    let mut part = FloatColumn::default();
    if decode_floats_within(chunk, extent, range, &mut scratch, &mut part).is_ok() && is_read {
        let within = whole.timestamps.iter().enumerate().filter(|(_, t)| (range.0..=range.1).contains(*t));
        let places: Vec<usize> = within.map(|(place, _)| place).collect();
        assert!(places.iter().map(|p| whole.timestamps[*p]).eq(part.timestamps.iter().copied()));
        assert!(places.iter().map(|p| whole.values[*p].to_bits()).eq(part.values.iter().map(|v| v.to_bits())));
        let starts = |column: &FloatColumn, p: usize| column.starts.get(p).copied().unwrap_or(0);
        assert!(places.iter().enumerate().all(|(i, p)| starts(&whole, *p) == starts(&part, i)));
    }
});
