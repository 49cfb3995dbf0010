//! The identity of a batch that an agent ships: who sent it, in which life, as which number.

use std::fmt;
use std::str::FromStr;

/// The persisted identity of an agent: 128 random bits, written as 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AgentId(pub [u8; 16]);

/// What kind of telemetry a stream carries. Each signal of an agent is numbered on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// Metrics.
    Metrics,
    /// Spans.
    Traces,
}

/// The number of a batch: unique for ever, because the producer declares it. Never a hash of the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchId {
    /// The sender.
    pub agent: AgentId,
    /// Incremented at each start of the agent that could have lost queue state.
    pub epoch: u64,
    /// The stream.
    pub signal: Signal,
    /// Contiguous within (agent, epoch, signal), from 1.
    pub seq: u64,
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for AgentId {
    type Err = InvalidAgentId;

    fn from_str(text: &str) -> Result<Self, InvalidAgentId> {
        let mut id = [0; 16];
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(InvalidAgentId);
        }
        for (byte, pair) in id.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digit = |b: u8| (b as char).to_digit(16).unwrap_or(0) as u8;
            *byte = digit(pair[0]) << 4 | digit(pair[1]);
        }
        Ok(AgentId(id))
    }
}

/// A text is not 32 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an agent id is 32 hexadecimal digits")]
pub struct InvalidAgentId;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_id_prints_and_parses() {
        let id = AgentId([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 254, 255]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("00".parse::<AgentId>().is_err() && "zz".repeat(16).parse::<AgentId>().is_err());
    }
}
