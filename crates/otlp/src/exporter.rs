//! The exporter: sends a request over gRPC and says whether to send it again.

mod backoff;

use std::time::Duration;

pub use backoff::{Backoff, BackoffOptions};

use crate::consumer::{Accepted, Export};

/// Where and how to send.
#[derive(Clone, Debug)]
pub struct ExporterOptions {
    /// `http://host:port` of an OTLP/gRPC receiver.
    pub endpoint: String,
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
            headers: Vec::new(),
            compress: true,
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
        }
    }
}

/// Sends to one endpoint over one connection, which is made when it is needed and again when it broke.
#[derive(Clone, Debug)]
pub struct Exporter {
    options: ExporterOptions,
}

/// The options of an exporter are wrong.
#[derive(Debug, thiserror::Error)]
pub enum ExporterError {
    /// The endpoint is not a URL that can be connected to.
    #[error("endpoint {endpoint:?} is invalid: expected http://host:port")]
    Endpoint {
        /// The endpoint.
        endpoint: String,
    },
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

impl Exporter {
    /// An exporter; connects when the first request is sent. Must be called within a tokio runtime.
    pub fn new(options: ExporterOptions) -> Result<Self, ExporterError> {
        Ok(Exporter { options })
    }

    /// Sends a request once. A duplicate that the receiver already has is a success.
    pub async fn export(&self, export: &Export) -> Result<Accepted, ExportError> {
        let _ = export;
        Err(ExportError::Retry {
            after: None,
            reason: format!("the exporter to {} is not implemented yet", self.options.endpoint),
        })
    }
}
