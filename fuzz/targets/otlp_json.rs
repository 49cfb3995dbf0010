//! OTLP as JSON: bounded and parsed as by the receiver; what comes out is a request that decodes. The first byte says of which
//! signal.
#![cfg_attr(fuzzing, no_main)]

use libfuzzer_sys::fuzz_target;
use prost::Message;
use sonde_model::Signal;
use sonde_proto::otlp::{ExportMetricsServiceRequest, ExportTraceServiceRequest};

fuzz_target!(|bytes: &[u8]| {
    let Some((which, body)) = bytes.split_first() else { return };
    let signal = if which % 2 == 0 { Signal::Metrics } else { Signal::Traces };
    let Some(protobuf) = sonde_otlp::receiver::read_json(signal, body) else { return };
    match signal {
        Signal::Metrics => assert!(ExportMetricsServiceRequest::decode(protobuf).is_ok()),
        Signal::Traces => assert!(ExportTraceServiceRequest::decode(protobuf).is_ok()),
    }
});
