//! The three headers that number a batch on the agent link, so that it is taken exactly once.
//!
//! They travel as gRPC metadata or as HTTP headers. A sender without any of them is an ordinary OTLP client.

pub mod enrol;

use sonde_model::{AgentId, BatchId, Signal};

/// Carries the persisted identity of the agent: 32 hexadecimal digits.
pub const AGENT_ID: &str = "sonde-agent-id";
/// Carries the life of the agent, in decimal digits.
pub const EPOCH: &str = "sonde-epoch";
/// Carries the number of the batch within the epoch and the signal, in decimal digits, from 1.
pub const SEQ: &str = "sonde-seq";

/// The headers of a batch as name and value.
pub fn format(batch: &BatchId) -> [(&'static str, String); 3] {
    [(AGENT_ID, batch.agent.to_string()), (EPOCH, batch.epoch.to_string()), (SEQ, batch.seq.to_string())]
}

/// Reads the batch id from headers; `header` gives the value of a header by its lower-case name.
///
/// `Ok(None)` when none of the three is there. Some without the others, or a value that does not parse, is an error:
/// guessing would break the promise that a batch counts once.
pub fn parse<'a>(
    signal: Signal,
    mut header: impl FnMut(&str) -> Option<&'a [u8]>,
) -> Result<Option<BatchId>, AgentLinkError> {
    let (agent, epoch, seq) = match (header(AGENT_ID), header(EPOCH), header(SEQ)) {
        (None, None, None) => return Ok(None),
        (None, ..) => return Err(AgentLinkError::Missing { header: AGENT_ID }),
        (_, None, _) => return Err(AgentLinkError::Missing { header: EPOCH }),
        (.., None) => return Err(AgentLinkError::Missing { header: SEQ }),
        (Some(agent), Some(epoch), Some(seq)) => (agent, epoch, seq),
    };
    let agent = std::str::from_utf8(agent)
        .ok()
        .and_then(|text| text.parse::<AgentId>().ok())
        .ok_or(AgentLinkError::Malformed { header: AGENT_ID, expected: "32 hexadecimal digits" })?;
    let epoch = decimal(epoch).ok_or(AgentLinkError::Malformed { header: EPOCH, expected: "a decimal number" })?;
    let seq = decimal(seq)
        .filter(|seq| *seq > 0)
        .ok_or(AgentLinkError::Malformed { header: SEQ, expected: "a decimal number from 1" })?;
    Ok(Some(BatchId { agent, epoch, signal, seq }))
}

/// The agent-link headers of a request are incomplete or malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AgentLinkError {
    /// One of the three headers is there and another is not.
    #[error("header {header} is missing: an agent sends sonde-agent-id, sonde-epoch and sonde-seq together")]
    Missing {
        /// The absent header.
        header: &'static str,
    },
    /// A header has a value of another form.
    #[error("header {header} is malformed: expected {expected}")]
    Malformed {
        /// The header.
        header: &'static str,
        /// The form it should have.
        expected: &'static str,
    },
}

/// Digits only: the signs and spaces that other parsers let through would give one number several spellings.
fn decimal(text: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(text).ok()?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "000102030405060708090a0b0c0d0e0f";

    fn check(headers: &[(&str, &str)], expected: Result<Option<(u64, u64)>, &str>) {
        let find = |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_bytes());
        let parsed = parse(Signal::Metrics, find).map(|b| b.map(|b| (b.epoch, b.seq))).map_err(|e| e.to_string());
        match expected {
            Ok(expected) => assert_eq!(parsed, Ok(expected), "{headers:?}"),
            Err(part) => assert!(parsed.as_ref().is_err_and(|e| e.contains(part)), "{headers:?}: {parsed:?}"),
        }
    }

    #[test]
    fn headers_are_all_or_nothing() {
        check(&[], Ok(None));
        check(&[(AGENT_ID, ID), (EPOCH, "3"), (SEQ, "7")], Ok(Some((3, 7))));
        check(&[(AGENT_ID, ID), (EPOCH, "3")], Err("sonde-seq is missing"));
        check(&[(EPOCH, "3"), (SEQ, "7")], Err("sonde-agent-id is missing"));
        check(&[(AGENT_ID, "xyz"), (EPOCH, "3"), (SEQ, "7")], Err("sonde-agent-id is malformed"));
        check(&[(AGENT_ID, ID), (EPOCH, "-3"), (SEQ, "7")], Err("sonde-epoch is malformed"));
        check(&[(AGENT_ID, ID), (EPOCH, "3"), (SEQ, "0")], Err("sonde-seq is malformed"));
        check(&[(AGENT_ID, ID), (EPOCH, "3"), (SEQ, "18446744073709551616")], Err("sonde-seq is malformed"));
    }

    proptest! {
        #[test]
        fn what_is_formatted_parses(agent: [u8; 16], epoch: u64, seq in 1..=u64::MAX) {
            let batch = BatchId { agent: AgentId(agent), epoch, signal: Signal::Traces, seq };
            let headers = format(&batch);
            let find = |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_bytes());
            prop_assert_eq!(parse(Signal::Traces, find), Ok(Some(batch)));
        }
    }
}
