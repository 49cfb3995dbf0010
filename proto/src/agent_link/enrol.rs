//! The one call by which an agent gets a token of its own, over gRPC on the port that takes its batches.

use prost::Message;

/// The path of the call.
pub const PATH: &str = "/sonde.agent.v1.AgentService/Enrol";
/// A request is never larger than this.
pub const MAX_REQUEST_BYTES: usize = 1 << 10;

/// What the agent asks for. Its token is its own work: only the hash leaves it.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct EnrolRequest {
    /// The 16 bytes of the agent's id.
    #[prost(bytes = "vec", tag = "1")]
    pub agent_id: Vec<u8>,
    /// The SHA-256 of the text of the token that the agent will show from now on.
    #[prost(bytes = "vec", tag = "2")]
    pub token_sha256: Vec<u8>,
    /// What people call the host.
    #[prost(string, tag = "3")]
    pub host: String,
}

/// The token is granted. It holds nothing.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct EnrolResponse {}
