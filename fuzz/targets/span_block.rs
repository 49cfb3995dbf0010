//! A block of spans; checksums hold in this build.
#![cfg_attr(fuzzing, no_main)]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let manifest = sonde_fuzz::manifest(*b"SONDETRM", &[0, 0]);
    sonde_fuzz::spans(&sonde_fuzz::files(&[("manifest", &manifest), (sonde_fuzz::BLOCK, bytes)]));
});
