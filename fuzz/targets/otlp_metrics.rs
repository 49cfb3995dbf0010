//! OTLP metrics from any bytes: the scan, the views, and the translation that walks what the scan lets through.
#![cfg_attr(fuzzing, no_main)]

use libfuzzer_sys::fuzz_target;
use sonde_model::Signal;
use sonde_proto::otlp::{MetricsRequestView, ScanLimits, scan};
use sonde_translate::{Options, Row, Translator};

fuzz_target!(|bytes: &[u8]| {
    let request = MetricsRequestView::new(bytes);
    let _ = request.has_deltas();
    let limits = ScanLimits { max_items: 1_000_000, max_messages: 1_000_000, max_depth: 48 };
    if scan(Signal::Metrics, bytes, &limits).is_err() {
        return;
    }
    let mut sink = |row: Row<'_>| assert!(row.labels.is_sorted_by(|a, b| a.0 < b.0));
    let _ = Translator::new(Options::default()).translate(request, &mut sink);
});
