//! Wire formats: OTLP, Prometheus remote write and remote read, the chunks of its store, text exposition, the headers of the agent link.
//!
//! Bytes in, values out, and back. Whatever comes from outside is bounded before memory is reserved for it, and no
//! input makes this crate panic. It must not know of sockets, stores or the translation between the formats.

pub mod agent_link;
pub mod exposition;
pub mod otlp;
mod put;
pub mod remote_read;
pub mod remote_write;
mod wire;
pub mod xor_chunk;
