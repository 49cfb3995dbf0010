//! OTLP spans from any bytes: the scan, prost behind it, the translation to the model and back.
#![cfg_attr(fuzzing, no_main)]

use libfuzzer_sys::fuzz_target;
use prost::Message;
use sonde_model::Signal;
use sonde_proto::otlp::{ExportTraceServiceRequest, ScanLimits, scan};

fuzz_target!(|bytes: &[u8]| {
    let limits = ScanLimits { max_items: 100_000, max_messages: 100_000, max_depth: 48 };
    if scan(Signal::Traces, bytes, &limits).is_err() {
        return;
    }
    let request = ExportTraceServiceRequest::decode(bytes).expect("what the scan lets through decodes");
    let spans = sonde_translate::spans(request).spans;
    for span in spans.iter().map(|scoped| &scoped.span) {
        assert_eq!(sonde_translate::otlp_span_bytes(span), sonde_translate::otlp_span(span).encoded_len());
    }
});
