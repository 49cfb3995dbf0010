//! What people write for alerts: rule files, matchers, templates. The first byte says which.
#![cfg_attr(fuzzing, no_main)]

use libfuzzer_sys::fuzz_target;
use sonde_alerting::{Matchers, RuleFile, Template};

fuzz_target!(|bytes: &[u8]| {
    let Some((which, rest)) = bytes.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    match which % 3 {
        0 => drop(RuleFile::parse(text, "rules.yml")),
        1 => {
            let Ok(matchers) = text.parse::<Matchers>() else { return };
            let printed = matchers.to_string();
            let again: Matchers = printed.parse().expect("what was printed parses");
            assert_eq!(again.to_string(), printed);
        }
        _ => drop(Template::parse(text)),
    }
});
