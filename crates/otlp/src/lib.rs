//! OTLP over the network: a receiver (gRPC, HTTP protobuf, HTTP JSON) and an exporter (gRPC).
//!
//! It moves requests as bytes: what they mean is the consumer's business. It must not know of stores, translation or
//! queues. A binary hands in listeners and consumers and runs the futures in its own stages.

pub mod certificates;
pub mod consumer;
pub mod exporter;
pub mod peer;
pub mod receiver;
pub mod serve;
pub mod status;
#[cfg(test)]
mod testing;
pub mod unary;
pub mod wire;

pub use consumer::{Accepted, Consumer, Export, Refused};
pub use peer::{Peer, PeerCertificate};
pub use serve::{ServeOptions, serve, serve_wire};
pub use wire::{WireConnector, WireListener, wire};
