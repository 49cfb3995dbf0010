//! PromQL: what parses prints, and the print parses to the same text; any text is diagnosed and completed.
#![cfg_attr(fuzzing, no_main)]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let diagnosis = sonde_promql::edit::diagnose(text);
    for cursor in [0, text.len() / 2, text.len()] {
        let completion = sonde_promql::edit::complete(text, cursor);
        let replaced = completion.replace.start as usize..completion.replace.end as usize;
        assert!(text.get(replaced).is_some(), "a part of the text");
    }
    let Ok(expr) = sonde_promql::parse(text) else {
        assert!(!diagnosis.errors.is_empty(), "what does not parse has mistakes");
        return;
    };
    assert!(diagnosis.errors.is_empty(), "what parses has none: {:?}", diagnosis.errors);
    let printed = expr.to_string();
    let again = sonde_promql::parse(&printed).expect("what was printed parses");
    assert_eq!(again.to_string(), printed);
});
