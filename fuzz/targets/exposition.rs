//! The text formats of /metrics.
#![cfg_attr(fuzzing, no_main)]

use libfuzzer_sys::fuzz_target;
use sonde_proto::exposition::{Format, Limits, Parser};

fuzz_target!(|text: &str| {
    for format in [Format::Text, Format::OpenMetrics] {
        let Ok(mut parser) = Parser::new(text.as_bytes(), format, &Limits::default()) else { continue };
        while let Ok(Some(_)) = parser.next_entry() {}
    }
});
