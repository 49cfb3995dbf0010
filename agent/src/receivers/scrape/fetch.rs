//! Gets a page over HTTP, bounded in time and size.

use std::time::Duration;

use sonde_proto::exposition::Format;
use thiserror::Error;

use super::Failure;

/// Gets pages. Clones share connections.
#[derive(Clone, Debug)]
pub(super) struct Fetcher(reqwest::Client);

/// A page as it came.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) format: Format,
    pub(super) body: Vec<u8>,
}

/// Why there is no page.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FetchError {
    /// The binary has installed no provider of cryptography.
    #[error("scraping needs a provider of TLS, which the program has to install when it starts")]
    NoTlsProvider,
    /// The client cannot be made.
    #[error("the HTTP client cannot be made: {message}")]
    NoClient {
        /// What is wrong.
        message: String,
    },
    /// No connection, or it broke.
    #[error("{message}")]
    Connection {
        /// What is wrong.
        message: String,
    },
    /// No answer in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// An answer other than 200.
    #[error("it answers with status {0}")]
    Status(u16),
    /// A page that is too large.
    #[error("the page has more than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// A page that is not in the format.
    #[error("the page cannot be understood: {message}")]
    Malformed {
        /// Where and what.
        message: String,
    },
}

impl FetchError {
    /// The failure as it is counted.
    pub fn failure(&self) -> Failure {
        match self {
            FetchError::NoTlsProvider | FetchError::NoClient { .. } | FetchError::Connection { .. } => {
                Failure::Connection
            }
            FetchError::Timeout(_) => Failure::Timeout,
            FetchError::Status(_) => Failure::Status,
            FetchError::TooLarge { .. } => Failure::TooLarge,
            FetchError::Malformed { .. } => Failure::Malformed,
        }
    }
}

impl Fetcher {
    /// A client for all targets.
    pub(super) fn new() -> Result<Self, FetchError> {
        // The client panics without one.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(FetchError::NoTlsProvider);
        }
        let client = reqwest::Client::builder()
            .user_agent(concat!("sonde-agent/", env!("CARGO_PKG_VERSION")))
            // One connection per target is enough, and it may close between two readings.
            .pool_max_idle_per_host(1)
            .no_proxy()
            .build();
        client.map(Fetcher).map_err(|error| FetchError::NoClient { message: error.to_string() })
    }

    /// Gets the page at `url`.
    pub(super) async fn fetch(&self, url: &str, timeout: Duration, max_bytes: usize) -> Result<Answer, FetchError> {
        match tokio::time::timeout(timeout, self.get(url, timeout, max_bytes)).await {
            Ok(answer) => answer,
            Err(_elapsed) => Err(FetchError::Timeout(timeout)),
        }
    }

    async fn get(&self, url: &str, timeout: Duration, max_bytes: usize) -> Result<Answer, FetchError> {
        let connection = |error: reqwest::Error| FetchError::Connection {
            message: sonde_runtime::stage::with_causes(&error.without_url()),
        };
        let request = self
            .0
            .get(url)
            .header("accept", Format::ACCEPT)
            .header("x-prometheus-scrape-timeout-seconds", timeout.as_secs_f64().to_string());
        let mut response = request.send().await.map_err(connection)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        let content_type = response.headers().get("content-type").and_then(|value| value.to_str().ok());
        let format = Format::of_content_type(content_type.unwrap_or_default());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(connection)? {
            if body.len() + chunk.len() > max_bytes {
                return Err(FetchError::TooLarge { limit: max_bytes });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { format, body })
    }
}
