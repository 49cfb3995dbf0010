//! From an accepted socket to a connection that may speak: the TLS handshake, bounded and counted.

use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;

use sonde_tls::{Certificate, HandshakeFailure, ServerTls};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::connection::{Connection, Protocol};
use super::shaking::Shaking;
use crate::peer::Peer;

/// The first byte of every TLS connection: a record of the handshake.
const HANDSHAKE_RECORD: u8 = 0x16;
/// What somebody who speaks HTTP to a TLS port is told.
const SPEAK_TLS: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 37\r\nconnection: close\r\n\r\n\
this port speaks TLS: write https://\n";

/// A connection that may speak.
pub(super) enum Opened {
    Plain(TcpStream, Peer),
    Tls(Box<TlsStream<TcpStream>>, Peer, Protocol),
}

/// Opens a connection; nothing where it came to nothing, which is counted.
pub(super) async fn open(
    stream: TcpStream,
    address: SocketAddr,
    connection: &Connection,
    shaking: &Shaking,
) -> Option<Opened> {
    let options = &connection.options;
    let Some(tls) = &options.tls else { return Some(Opened::Plain(stream, Peer::plain(address))) };
    let Some(_one_of_few) = shaking.begin(address, options.max_handshakes) else {
        options.handshakes.fail(HandshakeFailure::TooMany);
        return None;
    };
    let shaken = tokio::time::timeout(options.handshake_timeout, shake(stream, address, tls));
    let shaken = tokio::select! {
        () = connection.stop.cancelled() => return None,
        shaken = shaken => shaken.unwrap_or(Err(HandshakeFailure::Timeout)),
    };
    match shaken {
        Ok(opened) => {
            options.handshakes.completed.fetch_add(1, Relaxed);
            Some(opened)
        }
        Err(failure) => {
            options.handshakes.fail(failure);
            tracing::debug!(%address, reason = failure.as_str(), "a TLS handshake failed");
            None
        }
    }
}

async fn shake(mut stream: TcpStream, address: SocketAddr, tls: &ServerTls) -> Result<Opened, HandshakeFailure> {
    let mut byte = [0];
    match stream.peek(&mut byte).await {
        Ok(1..) if byte == [HANDSHAKE_RECORD] => {}
        Ok(1..) => {
            if byte[0].is_ascii_uppercase() {
                // It looks like HTTP. Whether the answer arrives does not matter.
                let _ = stream.write_all(SPEAK_TLS).await;
                let _ = stream.shutdown().await;
            }
            return Err(HandshakeFailure::NotTls);
        }
        _ => return Err(HandshakeFailure::Closed),
    }
    let accepted = TlsAcceptor::from(tls.config()).accept(stream).await;
    let stream = accepted.map_err(|error| HandshakeFailure::of(&error))?;
    let (_, session) = stream.get_ref();
    // The chain was proven by the handshake; its first certificate is the one of the peer.
    let certificate = session.peer_certificates().and_then(<[_]>::first).map(|der| Certificate::read(der));
    let certificate = certificate.transpose().map_err(|_| HandshakeFailure::BadCertificate)?;
    let protocol = match session.alpn_protocol() {
        Some(b"h2") => Protocol::Http2,
        // HTTP/2 over TLS must be agreed on (RFC 9113, section 3.2).
        _ => Protocol::Http1,
    };
    Ok(Opened::Tls(Box::new(stream), Peer::encrypted(address, certificate), protocol))
}
