//! Serves a router over HTTP/1.1 and HTTP/2 on one port, with or without TLS, bounded, and stops in order.

mod connection;
mod handshake;
mod shaking;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use sonde_tls::{HandshakeStats, ServerTls};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::peer::Peer;
use crate::wire::WireListener;
use connection::{Connection, Protocol};
use shaking::Shaking;

/// The bounds of a server.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Connections at one time; more wait in the backlog of the listener.
    pub max_connections: usize,
    /// HTTP/2 streams at one time on one connection.
    pub max_streams: u32,
    /// How long a connection may be silent before its first request, and an HTTP/1.1 connection between requests.
    /// Longer than the minute after which most SDKs send again, so that they do not write into a closing connection.
    pub header_timeout: Duration,
    /// How long connections may take to finish what they do once the server is told to stop.
    pub drain_timeout: Duration,
    /// The certificate to show; without it nothing is encrypted.
    pub tls: Option<Arc<ServerTls>>,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// TLS handshakes at one time from one address; more are closed at once.
    pub max_handshakes: usize,
    /// What is counted of handshakes.
    pub handshakes: Arc<HandshakeStats>,
}

impl Default for ServeOptions {
    fn default() -> Self {
        ServeOptions {
            max_connections: 1_024,
            max_streams: 256,
            header_timeout: Duration::from_secs(75),
            drain_timeout: Duration::from_secs(10),
            tls: None,
            handshake_timeout: Duration::from_secs(10),
            max_handshakes: 128,
            handshakes: Arc::default(),
        }
    }
}

/// How long to wait after the operating system refused a connection, for instance because files ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` until `stop` is cancelled, then lets requests in flight finish. Each request carries its [`Peer`].
pub async fn serve(
    listener: TcpListener,
    router: Router,
    options: ServeOptions,
    stop: CancellationToken,
) -> io::Result<()> {
    let mut connections = Connections::new(router, options, stop);
    let shaking = Shaking::default();
    while let Some(permit) = connections.permit().await {
        let accepted = tokio::select! {
            () = connections.stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY could not be set");
                }
                let (connection, shaking) = (connections.next(), shaking.clone());
                connections.spawn(permit, async move {
                    if let Some(opened) = handshake::open(stream, address, &connection, &shaking).await {
                        match opened {
                            handshake::Opened::Plain(stream, peer) => {
                                connection.serve(stream, peer, Protocol::Any).await;
                            }
                            handshake::Opened::Tls(stream, peer, protocol) => {
                                connection.serve(stream, peer, protocol).await;
                            }
                        }
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.drain().await;
    Ok(())
}

/// As [`serve`], for connections from within the process.
pub async fn serve_wire(
    mut listener: WireListener,
    router: Router,
    options: ServeOptions,
    stop: CancellationToken,
) -> io::Result<()> {
    let mut connections = Connections::new(router, options, stop);
    while let Some(permit) = connections.permit().await {
        let accepted = tokio::select! {
            () = connections.stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let Some(stream) = accepted else {
            connections.stop.cancelled().await;
            break;
        };
        let connection = connections.next();
        connections.spawn(permit, async move { connection.serve(stream, Peer::own_process(), Protocol::Any).await });
    }
    drop(listener);
    connections.drain().await;
    Ok(())
}

/// The connections of a server.
struct Connections {
    router: Router,
    options: ServeOptions,
    stop: CancellationToken,
    permits: Arc<Semaphore>,
    tasks: JoinSet<()>,
}

impl Connections {
    fn new(router: Router, options: ServeOptions, stop: CancellationToken) -> Self {
        let permits = Arc::new(Semaphore::new(options.max_connections.min(Semaphore::MAX_PERMITS)));
        Connections { router, options, stop, permits, tasks: JoinSet::new() }
    }

    /// The right to one more connection; `None` once the server is told to stop.
    async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        tokio::select! {
            () = self.stop.cancelled() => None,
            permit = Arc::clone(&self.permits).acquire_owned() => permit.ok(),
        }
    }

    fn next(&self) -> Connection {
        Connection { router: self.router.clone(), options: self.options.clone(), stop: self.stop.clone() }
    }

    fn spawn(&mut self, permit: OwnedSemaphorePermit, serving: impl Future<Output = ()> + Send + 'static) {
        while self.tasks.try_join_next().is_some() {}
        self.tasks.spawn(async move {
            serving.await;
            drop(permit);
        });
    }

    /// Lets requests in flight finish, for a while.
    async fn drain(mut self) {
        let drained = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(self.options.drain_timeout, drained).await.is_err() {
            tracing::warn!(connections = self.tasks.len(), "connections were cut off at shutdown");
            self.tasks.shutdown().await;
        }
    }
}

#[cfg(test)]
mod tests;
