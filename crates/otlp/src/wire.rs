//! A way from one task of a process to a server of the same process, without a socket.
//!
//! What comes by it needs neither TLS nor a token: nobody else can hold its end.

use tokio::io::{DuplexStream, duplex};
use tokio::sync::mpsc;

/// Bytes that may be under way in each direction.
const BUFFER_BYTES: usize = 1 << 20;
/// Connections that may wait to be served.
const BACKLOG: usize = 16;

/// The end that connects; clones share the server.
#[derive(Clone, Debug)]
pub struct WireConnector(mpsc::Sender<DuplexStream>);

/// The end that serves: see [`serve_wire`](crate::serve_wire).
#[derive(Debug)]
pub struct WireListener(mpsc::Receiver<DuplexStream>);

/// Both ends.
pub fn wire() -> (WireConnector, WireListener) {
    let (sender, receiver) = mpsc::channel(BACKLOG);
    (WireConnector(sender), WireListener(receiver))
}

impl WireConnector {
    /// A new connection; an error means that the server is gone.
    pub(crate) async fn connect(&self) -> std::io::Result<DuplexStream> {
        let (ours, theirs) = duplex(BUFFER_BYTES);
        let gone = |_| std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "the collector has stopped");
        self.0.send(theirs).await.map_err(gone)?;
        Ok(ours)
    }
}

impl WireListener {
    /// The next connection; `None` once there is nobody who could connect.
    pub(crate) async fn accept(&mut self) -> Option<DuplexStream> {
        self.0.recv().await
    }
}
