//! OTLP's JSON, turned into the protobuf that everything behind the receiver speaks.

use bytes::Bytes;
use sonde_model::Signal;
use sonde_proto::otlp::{ExportMetricsServiceRequest, ExportTraceServiceRequest, Message, ScanError, ScanLimits};

use super::body::Held;
use super::failure::Failure;

/// How deep JSON may be nested, whatever is configured: the parser behind it stops at 128.
const MAX_JSON_DEPTH: u32 = 120;

/// Objects and lists lie in turn in each other, so JSON is twice as deep as the messages that it describes.
const JSON_PER_MESSAGE: u32 = 2;

/// Decodes a JSON request and encodes it as protobuf.
///
/// Depth and number of objects are proven first in one pass without memory, because parsing recurses and allocates.
pub(super) fn to_protobuf(signal: Signal, body: &[u8], limits: &ScanLimits, held: &mut Held) -> Result<Bytes, Failure> {
    let (objects, values) = prove(body, limits)?;
    held.take_messages(objects)?;
    held.take_values(values)?;
    let broken = |e: serde_json::Error| Failure::malformed(format!("the body is not OTLP JSON: {e}"));
    Ok(match signal {
        Signal::Metrics => serde_json::from_slice::<ExportMetricsServiceRequest>(body).map_err(broken)?.encode_to_vec(),
        Signal::Traces => serde_json::from_slice::<ExportTraceServiceRequest>(body).map_err(broken)?.encode_to_vec(),
    }
    .into())
}

/// Counts the objects and lists of a body, and the values in them.
fn prove(body: &[u8], limits: &ScanLimits) -> Result<(u64, u64), ScanError> {
    let max_depth = (limits.max_depth.saturating_mul(JSON_PER_MESSAGE)).min(MAX_JSON_DEPTH);
    let (mut depth, mut objects, mut values) = (0u32, 0u64, 0u64);
    let (mut in_string, mut escaped) = (false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                depth += 1;
                objects += 1;
                if depth > max_depth {
                    return Err(ScanError::TooDeep { limit: limits.max_depth });
                }
                if objects > limits.max_messages {
                    return Err(ScanError::TooMany { what: "messages", limit: limits.max_messages });
                }
            }
            b',' => values += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok((objects, values + objects))
}
