//! The exporter: sends a request over gRPC and says whether to send it again.
//!
//! It sends once. When to send again is [`Backoff`]'s matter, and what to keep until then is the queue's.

mod backoff;
mod classify;
mod codec;
mod connector;
mod stats;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use http::uri::PathAndQuery;
use parking_lot::Mutex;
use sonde_model::Signal;
use sonde_proto::agent_link;
use sonde_proto::otlp::{ExportMetricsServiceResponse, ExportTraceServiceResponse, Message};
use sonde_tls::{ClientTls, TlsError};
use tonic::codec::CompressionEncoding;
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

pub use backoff::{Backoff, BackoffOptions};
pub use stats::{FailureKind, Stats};

use crate::consumer::{Accepted, Export};
use crate::wire::WireConnector;
use codec::RawCodec;
use connector::{Connector, Way};

/// Where and how to send.
#[derive(Clone, Debug)]
pub struct ExporterOptions {
    /// `http://host:port` or `https://host:port` of an OTLP/gRPC receiver.
    pub endpoint: String,
    /// Whom to trust and what to show; `https` needs it.
    pub tls: Option<Arc<ClientTls>>,
    /// The name that the certificate of the receiver must have; by default the host of the endpoint.
    pub server_name: Option<String>,
    /// The way to a receiver in this process; then the endpoint is only a name.
    pub wire: Option<WireConnector>,
    /// Headers of every request, for instance a token.
    pub headers: Vec<(String, String)>,
    /// Whether bodies are compressed with zstd.
    pub compress: bool,
    /// How long a request may take, the answer included.
    pub timeout: Duration,
    /// How long connecting may take.
    pub connect_timeout: Duration,
}

impl Default for ExporterOptions {
    fn default() -> Self {
        ExporterOptions {
            endpoint: "http://127.0.0.1:4317".to_owned(),
            tls: None,
            server_name: None,
            wire: None,
            headers: Vec::new(),
            compress: true,
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
        }
    }
}

/// Sends to one endpoint over one connection, which is made when it is needed and again when it broke.
///
/// Clones share the connection and the counters.
#[derive(Clone, Debug)]
pub struct Exporter {
    channel: Channel,
    headers: Vec<(AsciiMetadataKey, AsciiMetadataValue)>,
    /// The value of the header `authorization`, which may come later and change.
    authorization: Arc<Mutex<Option<AsciiMetadataValue>>>,
    compress: bool,
    timeout: Duration,
    stats: Arc<Stats>,
}

/// The options of an exporter are wrong.
#[derive(Debug, thiserror::Error)]
pub enum ExporterError {
    /// The endpoint is not a URL that can be connected to.
    #[error("endpoint {endpoint:?} is invalid: expected http://host:port or https://host:port")]
    Endpoint {
        /// The endpoint.
        endpoint: String,
    },
    /// Nothing says whom to trust.
    #[error("endpoint {endpoint:?} needs TLS, and nothing says whom to trust")]
    NoTls {
        /// The endpoint.
        endpoint: String,
    },
    /// No certificate can have this name.
    #[error(transparent)]
    ServerName(TlsError),
    /// A header cannot be sent.
    #[error("header {name:?} is invalid: names are lower-case letters, digits, - and _, values visible ASCII")]
    Header {
        /// The name of the header.
        name: String,
    },
}

/// A request was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// It may be taken later: send the same bytes under the same number again.
    #[error("to be retried: {reason}")]
    Retry {
        /// When the receiver asked to be asked again.
        after: Option<Duration>,
        /// What happened.
        reason: String,
    },
    /// The receiver has other content under the number of the batch (gRPC `FAILED_PRECONDITION`): another sender uses the
    /// same id.
    #[error("the number of the batch is taken: {reason}")]
    Conflict {
        /// What the receiver says.
        reason: String,
    },
    /// It will never be taken.
    #[error("refused for good: {reason}")]
    Permanent {
        /// What the receiver says.
        reason: String,
    },
}

/// How large an answer may be: it holds a number and a sentence.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// How often a silent connection is tested, and how long the other side may take to answer.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

impl Exporter {
    /// An exporter; connects when the first request is sent. Must be called within a tokio runtime.
    pub fn new(options: ExporterOptions) -> Result<Self, ExporterError> {
        let channel = channel(&options)?;
        let header = |(name, value): &(String, String)| {
            let invalid = || ExporterError::Header { name: name.clone() };
            let key = AsciiMetadataKey::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
            Ok((key, value.parse().map_err(|_| invalid())?))
        };
        let headers = options.headers.iter().map(header).collect::<Result<_, ExporterError>>()?;
        let (compress, timeout) = (options.compress, options.timeout);
        Ok(Exporter { channel, headers, authorization: Arc::default(), compress, timeout, stats: Arc::default() })
    }

    /// Shows this token with every request from now on, that of clones too. Says whether a header can carry it.
    pub fn show_token(&self, token: &str) -> bool {
        let value = bearer(token);
        let is_valid = value.is_some();
        *self.authorization.lock() = value;
        is_valid
    }

    /// Makes a call over the same connection that is no export; `token` takes the place of the one that exports show.
    pub async fn ask(&self, path: &'static str, token: &str, message: Bytes) -> Result<Bytes, Status> {
        let mut request = Request::new(message);
        let unfit = || Status::invalid_argument("the token cannot be carried by a header");
        request.metadata_mut().insert("authorization", bearer(token).ok_or_else(unfit)?);
        let answer = self.unary(tonic::client::Grpc::new(self.channel.clone()), path, request);
        let late = |_| Status::deadline_exceeded(format!("no answer within {} s", self.timeout.as_secs_f64()));
        tokio::time::timeout(self.timeout, answer).await.map_err(late)?
    }

    /// The counters.
    pub fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }

    /// Sends a request once. A duplicate that the receiver already has is a success.
    pub async fn export(&self, export: &Export) -> Result<Accepted, ExportError> {
        let result = match tokio::time::timeout(self.timeout, self.call(export)).await {
            Ok(Ok(answer)) => Ok(accepted(export.signal, &answer)),
            Ok(Err(status)) => Err(classify::status(&status, export.batch.is_some())),
            Err(_) => {
                let reason = format!("no answer within {} s", self.timeout.as_secs_f64());
                Err((FailureKind::Timeout, ExportError::Retry { after: None, reason }))
            }
        };
        self.stats.count(export, result.as_ref().map_err(|(kind, _)| *kind));
        result.map_err(|(_, error)| error)
    }

    async fn call(&self, export: &Export) -> Result<Bytes, Status> {
        let mut client = tonic::client::Grpc::new(self.channel.clone());
        if self.compress {
            client = client.send_compressed(CompressionEncoding::Zstd);
        }
        let mut request = Request::new(export.body.clone());
        let authorization = self.authorization.lock().clone();
        if let Some(value) = authorization {
            request.metadata_mut().insert("authorization", value);
        }
        for (name, value) in export.batch.iter().flat_map(agent_link::format) {
            let value = value.parse().map_err(|_| Status::invalid_argument("an agent-link header is not ASCII"))?;
            request.metadata_mut().insert(name, value);
        }
        let path = match export.signal {
            Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        };
        self.unary(client, path, request).await
    }

    async fn unary(
        &self,
        client: tonic::client::Grpc<Channel>,
        path: &'static str,
        mut request: Request<Bytes>,
    ) -> Result<Bytes, Status> {
        for (name, value) in &self.headers {
            request.metadata_mut().insert(name, value.clone());
        }
        let mut client = client.max_decoding_message_size(MAX_ANSWER_BYTES);
        client.ready().await.map_err(|error| Status::from_error(error.into()))?;
        Ok(client.unary(request, PathAndQuery::from_static(path), RawCodec).await?.into_inner())
    }
}

/// A token as the value of the header `authorization`.
fn bearer(token: &str) -> Option<AsciiMetadataValue> {
    let mut value: AsciiMetadataValue = format!("Bearer {token}").parse().ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The connection, which is made when it is needed.
fn channel(options: &ExporterOptions) -> Result<Channel, ExporterError> {
    let invalid = || ExporterError::Endpoint { endpoint: options.endpoint.clone() };
    let uri: Uri = options.endpoint.parse().map_err(|_| invalid())?;
    let (Some(scheme), Some(host), Some(authority)) = (uri.scheme_str(), uri.host(), uri.authority()) else {
        return Err(invalid());
    };
    let way = match (scheme, &options.wire, &options.tls) {
        (_, Some(wire), _) => Way::Wire(wire.clone()),
        ("http", None, _) => Way::Plain,
        ("https", None, Some(tls)) => {
            let name = options.server_name.as_deref().unwrap_or(host);
            Way::Tls(Arc::clone(tls), sonde_tls::server_name(name).map_err(ExporterError::ServerName)?)
        }
        ("https", None, None) => return Err(ExporterError::NoTls { endpoint: options.endpoint.clone() }),
        _ => return Err(invalid()),
    };
    // The connector does TLS itself, so that each connection takes the certificates of the moment: the URI that the
    // transport sees is a plain one, and the origin that the receiver sees says what was asked for.
    let port = uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
    let transport = format!("http://{host}:{port}");
    let endpoint = Endpoint::from_shared(transport)
        .and_then(|endpoint| endpoint.user_agent(concat!("sonde/", env!("CARGO_PKG_VERSION"))))
        .map_err(|_| invalid())?;
    let origin = format!("{scheme}://{authority}").parse().map_err(|_| invalid())?;
    Ok(endpoint
        .origin(origin)
        .connect_timeout(options.connect_timeout)
        .http2_keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .connect_with_connector_lazy(Connector(way)))
}

/// What the answer says was left out. An answer that cannot be read is still one: the request was taken.
fn accepted(signal: Signal, answer: &[u8]) -> Accepted {
    let partial = match signal {
        Signal::Metrics => ExportMetricsServiceResponse::decode(answer)
            .map(|answer| answer.partial_success.map(|p| (p.rejected_data_points, p.error_message))),
        Signal::Traces => ExportTraceServiceResponse::decode(answer)
            .map(|answer| answer.partial_success.map(|p| (p.rejected_spans, p.error_message))),
    };
    match partial {
        Ok(None) => Accepted::default(),
        Ok(Some((rejected, message))) => Accepted { rejected: u64::try_from(rejected).unwrap_or(0), message },
        Err(error) => Accepted { rejected: 0, message: format!("the answer cannot be read: {error}") },
    }
}

#[cfg(test)]
mod tests;
