//! Certificates and keys: read, proven and made into configurations of rustls, again when their files change.
//!
//! It must not know of sockets, HTTP or tokio: whoever owns a listener or a connection asks for the configuration of the
//! moment. It must not know the clock either: `now` is an argument.

mod authority;
mod certificate;
mod client;
mod error;
mod file;
mod handshake;
mod reloading;
mod server;

pub use authority::{Authority, IssueError, PemPair, Purpose};
pub use certificate::Certificate;
pub use client::{ClientOptions, ClientTls, server_name};
pub use error::TlsError;
pub use file::PemFile;
pub use handshake::{HandshakeFailure, HandshakeStats};
pub use reloading::{Built, Refreshed, Reloading, Source, Stats};
pub use rustls::{ClientConfig, ServerConfig};
pub use server::{ClientAuth, MinVersion, ServerOptions, ServerTls};

/// The protocols that are spoken inside of TLS, the preferred one first.
pub(crate) fn alpn() -> Vec<Vec<u8>> {
    vec![b"h2".to_vec(), b"http/1.1".to_vec()]
}

/// The one implementation of the arithmetic.
pub(crate) fn provider() -> std::sync::Arc<rustls::crypto::CryptoProvider> {
    std::sync::Arc::new(rustls::crypto::ring::default_provider())
}

#[cfg(test)]
mod tests;
