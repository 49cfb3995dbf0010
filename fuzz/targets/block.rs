//! A block of samples; checksums hold in this build.
#![cfg_attr(fuzzing, no_main)]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let manifest = sonde_fuzz::manifest(*b"SONDEMAN", &[0]);
    sonde_fuzz::metrics(&sonde_fuzz::files(&[("manifest", &manifest), (sonde_fuzz::BLOCK, bytes)]));
});
