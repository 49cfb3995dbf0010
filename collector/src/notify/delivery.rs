//! One attempt to deliver a payload, and how its outcome is read.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, ClientBuilder, StatusCode};
use sonde_model::TimestampMs;
use sonde_tls::{ClientOptions, ClientTls};

use super::Webhook;
use crate::answer_of_peer::{first_words, retry_after};

/// A receiver that asks for more is taken to have asked for this.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3_600);

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
    Ok(builder().build()?)
}

fn builder() -> ClientBuilder {
    let agent = concat!("sonde/", env!("CARGO_PKG_VERSION"));
    Client::builder().user_agent(agent).redirect(reqwest::redirect::Policy::none())
}

/// A client of its own for a receiver with certificates of its own. It is made for each attempt: there are few of them, and
/// each takes the files of the moment.
fn client_with(tls: ClientOptions, now_ms: TimestampMs) -> Result<Client, String> {
    let told = |error: &dyn std::error::Error| sonde_runtime::stage::with_causes(error);
    let (tls, _) = ClientTls::load(tls, now_ms.div_euclid(1_000)).map_err(|e| told(&e))?;
    let config = sonde_tls::ClientConfig::clone(&tls.config());
    builder().tls_backend_preconfigured(config).build().map_err(|e| told(&e))
}

/// Posts a body once.
pub(super) async fn attempt(client: &Client, webhook: &Webhook, now_ms: TimestampMs, body: Vec<u8>) -> Attempt {
    let client = match webhook.tls.clone().map(|tls| client_with(tls, now_ms)).transpose() {
        Ok(own) => own.unwrap_or_else(|| client.clone()),
        Err(reason) => return Attempt::Retry { after: None, reason },
    };
    let request = client.post(&webhook.url).header(CONTENT_TYPE, "application/json");
    let request = request.timeout(webhook.timeout).body(body);
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) => return Attempt::Retry { after: None, reason: without_url(error) },
    };
    let status = response.status();
    if status.is_success() {
        return Attempt::Delivered;
    }
    let after = retry_after(&response, MAX_RETRY_AFTER);
    let reason = format!("the receiver answered {status}: {}", first_words(response).await);
    if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
        Attempt::Retry { after, reason }
    } else {
        Attempt::Refused(reason)
    }
}

/// The error with its causes, without the address: webhook addresses hold secrets.
fn without_url(error: reqwest::Error) -> String {
    sonde_runtime::stage::with_causes(&error.without_url())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::Router;
    use axum::routing::post;
    use sonde_otlp::{ServeOptions, serve};
    use sonde_runtime::Clock;
    use sonde_tls::{Authority, ClientAuth, MinVersion, PemFile, Purpose, ServerOptions, ServerTls};
    use tokio::task::JoinSet;
    use tokio_util::sync::CancellationToken;

    use super::*;

    #[tokio::test]
    async fn a_receiver_may_ask_for_a_certificate() {
        crate::rules::tests::provider();
        let (folder, now_ms) = (tempfile::tempdir().expect("a folder"), Clock::system().now_ms());
        let authority = Authority::create("test", 1, now_ms / 1_000).expect("an authority");
        let purposes = [
            ("server", Purpose::Server { hosts: vec!["127.0.0.1".into()] }),
            ("client", Purpose::Client { name: "sonde".into() }),
        ];
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("ca"), &authority.pair().certificate).expect("written");
        for (name, purpose) in &purposes {
            let pair = authority.issue(purpose, 1, now_ms / 1_000).expect("a pair");
            std::fs::write(path(name), &pair.certificate).expect("written");
            std::fs::write(path(&format!("{name}.key")), &pair.key).expect("written");
        }
        let file = |name: &str| PemFile::new("tls_config", path(name));
        let server = ServerOptions {
            certificate: file("server"),
            key: file("server.key"),
            clients: Some((file("ca"), ClientAuth::Required)),
            min_version: MinVersion::Tls13,
        };
        let tls = Some(Arc::new(ServerTls::load(server, now_ms / 1_000).expect("it loads").0));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("https://{}/", listener.local_addr().expect("an address"));
        let router = Router::new().route("/", post(|| async { "taken" }));
        let options = ServeOptions { tls, ..ServeOptions::default() };
        let mut running = JoinSet::new();
        running.spawn(serve(listener, router, options, CancellationToken::new()));

        let shared = client().expect("a client");
        let good = ClientOptions { authorities: Some(file("ca")), pair: Some((file("client"), file("client.key"))) };
        for (tls, expected) in [
            (Some(good.clone()), ""),
            (Some(ClientOptions { pair: None, ..good.clone() }), "CertificateRequired"),
            (Some(ClientOptions { authorities: Some(file("nothing")), ..good }), "nothing: cannot be read"),
            (None, "certificate"),
        ] {
            let webhook = Webhook { url: url.clone(), timeout: Duration::from_secs(10), tls };
            match attempt(&shared, &webhook, now_ms, Vec::new()).await {
                Attempt::Delivered => assert_eq!(expected, ""),
                Attempt::Retry { reason, .. } if !expected.is_empty() => {
                    assert!(reason.contains(expected), "{reason}");
                }
                other => panic!("{expected}: {other:?}"),
            }
        }
    }
}
