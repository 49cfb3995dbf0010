//! Records of the metrics store in a sound WAL.
#![cfg_attr(fuzzing, no_main)]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| sonde_fuzz::metrics(&sonde_fuzz::records(bytes)));
