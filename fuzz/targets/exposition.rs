//! The text formats of /metrics.
#![cfg_attr(fuzzing, no_main)]

use libfuzzer_sys::fuzz_target;
use sonde_proto::exposition::{Encoder, Entry, Format, Limits, Parser, Tail};

/// Histograms as composite values: what parses prints, and the print parses to the same.
fn import(text: &str, format: Format) {
    let limits = Limits::default();
    let Ok(mut parser) = Parser::part(text.as_bytes(), 0, format, &limits).map(Parser::extended) else { return };
    while let Ok(Some(entry)) = parser.next_entry() {
        let Entry::Histogram(read) = entry else { continue };
        let mut encoder = Encoder::new(Format::OpenMetrics);
        encoder.histogram("h", &[], &read.histogram, Tail { start: read.start, ..Tail::default() });
        let page = encoder.finish();
        let mut again = Parser::new(page.as_bytes(), Format::OpenMetrics, &limits).expect("a page").extended();
        match again.next_entry() {
            Ok(Some(Entry::Histogram(same))) => {
                assert_eq!(format!("{:?}", same.histogram), format!("{:?}", read.histogram), "{page}");
                assert_eq!(same.start, read.start, "{page}");
            }
            other => panic!("{page}: {other:?}"),
        }
    }
}

fuzz_target!(|text: &str| {
    for format in [Format::Text, Format::OpenMetrics] {
        let Ok(mut parser) = Parser::new(text.as_bytes(), format, &Limits::default()) else { continue };
        while let Ok(Some(_)) = parser.next_entry() {}
        import(text, format);
    }
});
