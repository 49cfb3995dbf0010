//! The small files of a store: manifest, deletes, exemplars, the clock, what a tier was fed; checksums hold in this build.
#![cfg_attr(fuzzing, no_main)]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((which, bytes)) = bytes.split_first() else { return };
    let name = ["manifest", "tombstones", "exemplars", "clock", "tiers/300s/fed"][usize::from(which % 5)];
    sonde_fuzz::metrics(&sonde_fuzz::files(&[(name, bytes)]));
});
