//! Serves a router over HTTP/1.1 and cleartext HTTP/2 on one port, bounded, and stops in order.

use std::io;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The bounds of a server.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Connections at one time; more wait in the backlog of the listener.
    pub max_connections: usize,
    /// HTTP/2 streams at one time on one connection.
    pub max_streams: u32,
    /// How long the head of a request may take to come.
    pub header_timeout: Duration,
    /// How long connections may take to finish what they do once the server is told to stop.
    pub drain_timeout: Duration,
}

impl Default for ServeOptions {
    fn default() -> Self {
        ServeOptions {
            max_connections: 1_024,
            max_streams: 256,
            header_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// Serves `router` until `stop` is cancelled, then lets requests in flight finish.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    options: ServeOptions,
    stop: CancellationToken,
) -> io::Result<()> {
    let _ = (listener, router, options, stop);
    Err(io::Error::other("the OTLP server is not implemented yet"))
}
