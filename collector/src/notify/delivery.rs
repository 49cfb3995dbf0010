//! One attempt to deliver a payload, and how its outcome is read.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, StatusCode};

/// What a receiver may say at most about why it refuses: enough for a log line.
const MAX_REASON_BYTES: usize = 300;

/// The outcome of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The receiver has taken it.
    Delivered,
    /// It may work later: no connection, 429 or 5xx.
    Retry {
        /// What the receiver asked for.
        after: Option<Duration>,
        /// What happened.
        reason: String,
    },
    /// The receiver does not want it, now or later.
    Refused(String),
}

/// The HTTP client cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client of the webhooks cannot be built")]
pub struct ClientError(#[from] reqwest::Error);

/// The client that all webhooks share. Redirects are not followed: a notification goes where the configuration says.
pub(super) fn client() -> Result<Client, ClientError> {
    let agent = concat!("sonde/", env!("CARGO_PKG_VERSION"));
    Ok(Client::builder().user_agent(agent).redirect(reqwest::redirect::Policy::none()).build()?)
}

/// Posts a body once.
pub(super) async fn attempt(client: &Client, url: &str, timeout: Duration, body: Vec<u8>) -> Attempt {
    let request = client.post(url).header(CONTENT_TYPE, "application/json").timeout(timeout).body(body);
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) => return Attempt::Retry { after: None, reason: without_url(error) },
    };
    let status = response.status();
    if status.is_success() {
        return Attempt::Delivered;
    }
    let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(retry_after);
    let reason = format!("the receiver answered {status}: {}", first_words(response).await);
    if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
        Attempt::Retry { after, reason }
    } else {
        Attempt::Refused(reason)
    }
}

/// Seconds; the other form, a date, is as good as nothing said.
fn retry_after(value: &str) -> Option<Duration> {
    value.trim().parse().ok().map(Duration::from_secs)
}

async fn first_words(mut response: reqwest::Response) -> String {
    let mut words = Vec::new();
    while words.len() < MAX_REASON_BYTES {
        match response.chunk().await {
            Ok(Some(chunk)) => words.extend_from_slice(&chunk[..chunk.len().min(MAX_REASON_BYTES - words.len())]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&words).trim().to_owned()
}

/// The error with its causes, without the address: webhook addresses hold secrets.
fn without_url(error: reqwest::Error) -> String {
    sonde_runtime::stage::with_causes(&error.without_url())
}
