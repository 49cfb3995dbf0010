//! How a connection to the receiver is made: plain, over TLS with the certificates of the moment, or within the process.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::rt::TokioIo;
use sonde_tls::ClientTls;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tower::Service;

use crate::wire::WireConnector;

/// Makes connections.
#[derive(Clone, Debug)]
pub(super) struct Connector(pub(super) Way);

/// The kind of connections.
#[derive(Clone, Debug)]
pub(super) enum Way {
    /// Nothing is encrypted.
    Plain,
    /// To a receiver whose certificate has this name.
    Tls(Arc<ClientTls>, ServerName<'static>),
    /// To a receiver in this process.
    Wire(WireConnector),
}

/// A connection of any kind.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

impl Service<Uri> for Connector {
    type Response = TokioIo<Box<dyn Io>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let way = self.0.clone();
        Box::pin(async move {
            let io: Box<dyn Io> = match way {
                Way::Plain => Box::new(connect(&uri).await?),
                Way::Tls(tls, name) => {
                    let stream = connect(&uri).await?;
                    Box::new(TlsConnector::from(tls.config()).connect(name, stream).await?)
                }
                Way::Wire(wire) => Box::new(wire.connect().await?),
            };
            Ok(TokioIo::new(io))
        })
    }
}

async fn connect(uri: &Uri) -> io::Result<TcpStream> {
    let host = uri.host().unwrap_or_default();
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let stream = TcpStream::connect((host, uri.port_u16().unwrap_or_default())).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
