//! One connection: HTTP/1.1 or HTTP/2 until it ends, is silent for too long or the server stops.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::Request;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::ServeOptions;
use crate::peer::Peer;

/// How often an HTTP/2 peer is asked whether it is still there, and how long it may take to say so.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Flow control windows: a batch of usual size comes without waiting for the receiver's word.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// Bytes of the headers of a request.
const MAX_HEADER_BYTES: u32 = 32 << 10;

/// What serves a connection.
pub(super) struct Connection {
    pub(super) router: Router,
    pub(super) options: ServeOptions,
    pub(super) stop: CancellationToken,
}

/// Which protocol is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// The first bytes will tell.
    Any,
    /// Both ends agreed on HTTP/1.1, or on nothing.
    Http1,
    /// Both ends agreed on HTTP/2.
    Http2,
}

impl Connection {
    /// Serves the connection until it ends.
    pub(super) async fn serve<S>(self, stream: S, peer: Peer, protocol: Protocol)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let options = &self.options;
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(options.header_timeout);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(options.max_streams)
            .max_header_list_size(MAX_HEADER_BYTES)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT);
        let builder = match protocol {
            Protocol::Any => builder,
            Protocol::Http1 => builder.http1_only(),
            Protocol::Http2 => builder.http2_only(),
        };
        let begun = Arc::new(tokio::sync::Notify::new());
        let router = TowerToHyperService::new(self.router);
        let service = service_fn({
            let begun = Arc::clone(&begun);
            move |mut request: Request<Incoming>| {
                begun.notify_one();
                request.extensions_mut().insert(peer.clone());
                router.call(request)
            }
        });
        let serving = builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(serving);
        // Who connects and asks for nothing must not stay for ever, whatever it says or does not say meanwhile.
        let silent = async {
            tokio::select! {
                () = begun.notified() => std::future::pending().await,
                () = tokio::time::sleep(options.header_timeout) => {}
            }
        };
        let result = tokio::select! {
            ended = serving.as_mut() => ended,
            () = silent => return,
            () = self.stop.cancelled() => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        };
        if let Err(error) = result {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}
