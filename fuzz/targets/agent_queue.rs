//! Records of an agent's queue in a sound WAL: opened, read to the end, taken, opened again.
#![cfg_attr(fuzzing, no_main)]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| sonde_fuzz::queue(&sonde_fuzz::records_in("queue", bytes)));
