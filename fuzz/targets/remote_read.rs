//! Remote read: the request of a reader; frames and chunks as a client gets them.
#![cfg_attr(fuzzing, no_main)]

use libfuzzer_sys::fuzz_target;
use sonde_proto::remote_read::{ReadRequest, read_frame};
use sonde_proto::remote_write::decompress;
use sonde_proto::xor_chunk::{decode_floats, decode_histograms, encode_floats};

fuzz_target!(|bytes: &[u8]| {
    let _ = ReadRequest::decode(bytes);
    if let Ok(body) = decompress(bytes, 1 << 20) {
        let _ = ReadRequest::decode(&body);
    }
    let mut rest = bytes;
    while let Ok(Some((_, more))) = read_frame(rest) {
        rest = more;
    }
    let _ = decode_histograms(bytes);
    if let Ok((times, values)) = decode_floats(bytes) {
        // What was read is written so that it is read again.
        let back: Vec<(i64, u64)> = encode_floats(&times, &values)
            .iter()
            .flat_map(|chunk| {
                let (times, values) = decode_floats(&chunk.data).expect("our own chunk");
                times.into_iter().zip(values.into_iter().map(f64::to_bits)).collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(back, times.into_iter().zip(values.into_iter().map(f64::to_bits)).collect::<Vec<_>>());
    }
});
