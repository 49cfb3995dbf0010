//! PromQL: what parses prints, and the print parses to the same text.
#![cfg_attr(fuzzing, no_main)]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(expr) = sonde_promql::parse(text) else { return };
    let printed = expr.to_string();
    let again = sonde_promql::parse(&printed).expect("what was printed parses");
    assert_eq!(again.to_string(), printed);
});
