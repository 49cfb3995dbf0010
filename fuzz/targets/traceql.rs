//! TraceQL: what parses prints, and the print parses to the same text.
#![cfg_attr(fuzzing, no_main)]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(query) = sonde_traceql::parse(text) else { return };
    let printed = query.to_string();
    let again = sonde_traceql::parse(&printed).expect("what was printed parses");
    assert_eq!(again.to_string(), printed);
});
