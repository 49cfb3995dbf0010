//! One attempt to send a request, and how its outcome is read.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, ClientBuilder, RequestBuilder, StatusCode};
use sonde_disk::{Fs, read_all};
use sonde_model::TimestampMs;
use sonde_proto::remote_write::Version;
use sonde_tls::ClientTls;

use super::setup::{Auth, SecretSource, Target};
use crate::answer_of_peer::{first_words, retry_after};

/// A receiver that asks for more is taken to have asked for this.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);
/// Bytes of a file with a secret.
const MAX_SECRET: u64 = 64 << 10;
/// Certificates and keys are read again this long after they were, when no connection comes about.
const REFRESH_MS: i64 = 60_000;

/// The outcome of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// The receiver has taken it all.
    Taken,
    /// The receiver has taken a part and does not want the rest: samples, histograms, exemplars that were taken.
    Partly([u64; 3], String),
    /// It may work later.
    Retry {
        /// What the receiver asked for.
        after: Option<Duration>,
        /// What happened.
        reason: String,
    },
    /// The receiver does not want it, now or later.
    Refused {
        /// The status that it answered.
        status: u16,
        /// What it said.
        reason: String,
    },
    /// The receiver does not know the version.
    UnknownVersion(String),
}

/// Sends requests to one target.
#[derive(Debug)]
pub(super) struct Sender {
    target: Arc<Target>,
    fs: Arc<dyn Fs>,
    client: Mutex<(Client, TimestampMs)>,
}

impl Sender {
    pub(super) fn new(target: Arc<Target>, fs: Arc<dyn Fs>, now_ms: TimestampMs) -> Result<Self, String> {
        let client = Mutex::new((client(&target, now_ms)?, now_ms));
        Ok(Sender { target, fs, client })
    }

    /// Posts a body once. `attempt` counts from 0.
    pub(super) async fn post(&self, version: Version, body: &[u8], attempt: u32, now_ms: TimestampMs) -> Attempt {
        let retry = |reason| Attempt::Retry { after: None, reason };
        let client = self.client.lock().0.clone();
        let (content_type, number) = match version {
            Version::V1 => ("application/x-protobuf", "0.1.0"),
            Version::V2 => ("application/x-protobuf;proto=io.prometheus.write.v2.Request", "2.0.0"),
        };
        let mut request = client
            .post(&self.target.url)
            .timeout(self.target.timeout)
            .headers(self.target.headers.iter().cloned().collect::<HeaderMap>())
            .header(CONTENT_ENCODING, "snappy")
            .header(CONTENT_TYPE, content_type)
            .header("x-prometheus-remote-write-version", number);
        if attempt > 0 {
            request = request.header("retry-attempt", attempt);
        }
        let request = match self.authorized(request) {
            Ok(request) => request,
            Err(reason) => return retry(reason),
        };
        match request.body(body.to_vec()).send().await {
            Ok(response) => self.read(version, response).await,
            Err(error) => {
                self.refresh(now_ms);
                // Addresses may hold secrets.
                retry(sonde_runtime::stage::with_causes(&error.without_url()))
            }
        }
    }

    async fn read(&self, version: Version, response: reqwest::Response) -> Attempt {
        let status = response.status();
        let written = written(response.headers());
        if status.is_success() {
            return match (version, written) {
                (Version::V1, _) | (Version::V2, Some(_)) => Attempt::Taken,
                // Whoever does not say what it has written has taken it for 1.0, in which there is nothing.
                (Version::V2, None) => {
                    Attempt::UnknownVersion("the receiver says nothing of what it has written".to_owned())
                }
            };
        }
        let after = retry_after(&response, MAX_RETRY_AFTER);
        let reason = format!("the receiver answered {status}: {}", first_words(response).await);
        if status == StatusCode::UNSUPPORTED_MEDIA_TYPE && version == Version::V2 {
            return Attempt::UnknownVersion(reason);
        }
        let passes = match status {
            StatusCode::TOO_MANY_REQUESTS => self.target.retry_429,
            // Who we are is not in the samples: credentials expire, and are mended.
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::REQUEST_TIMEOUT => true,
            status => !status.is_client_error(),
        };
        match written {
            _ if passes => Attempt::Retry { after, reason },
            Some(written) if version == Version::V2 && written != [0; 3] => Attempt::Partly(written, reason),
            _ => Attempt::Refused { status: status.as_u16(), reason },
        }
    }

    fn authorized(&self, request: RequestBuilder) -> Result<RequestBuilder, String> {
        Ok(match &self.target.auth {
            Auth::None => request,
            Auth::Basic(user, password) => request.basic_auth(user, Some(self.secret(password)?)),
            Auth::Token(kind, token) => {
                let value = HeaderValue::from_str(&format!("{kind} {}", self.secret(token)?));
                let mut value = value.map_err(|_| "the credentials are no header".to_owned())?;
                value.set_sensitive(true);
                request.header(AUTHORIZATION, value)
            }
        })
    }

    fn secret(&self, source: &SecretSource) -> Result<String, String> {
        match source {
            SecretSource::Text(secret) => Ok(secret.reveal().to_owned()),
            SecretSource::File(path) => {
                let bytes = read_all(self.fs.as_ref(), path, MAX_SECRET);
                let bytes = bytes.map_err(|e| format!("{} cannot be read: {e}", path.display()))?;
                Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
            }
        }
    }

    /// Where no connection comes about, certificates may have been replaced.
    fn refresh(&self, now_ms: TimestampMs) {
        let mut client_of = self.client.lock();
        if self.target.tls.is_none() || now_ms.saturating_sub(client_of.1) < REFRESH_MS {
            return;
        }
        client_of.1 = now_ms;
        match client(&self.target, now_ms) {
            Ok(new) => client_of.0 = new,
            Err(reason) => tracing::warn!(target_name = self.target.name, "the files of TLS cannot be used: {reason}"),
        }
    }
}

fn client(target: &Target, now_ms: TimestampMs) -> Result<Client, String> {
    let told = |error: &dyn std::error::Error| sonde_runtime::stage::with_causes(error);
    let builder = match target.tls.clone() {
        None => builder(),
        Some(options) => {
            let (tls, _) = ClientTls::load(options, now_ms.div_euclid(1_000)).map_err(|e| told(&e))?;
            builder().tls_backend_preconfigured(sonde_tls::ClientConfig::clone(&tls.config()))
        }
    };
    builder.build().map_err(|e| told(&e))
}

/// Redirects are not followed: samples go where the configuration says.
fn builder() -> ClientBuilder {
    let agent = concat!("sonde/", env!("CARGO_PKG_VERSION"));
    Client::builder().user_agent(agent).redirect(reqwest::redirect::Policy::none())
}

/// What a receiver of 2.0 says that it has written; nothing where it does not say all of it.
fn written(headers: &HeaderMap) -> Option<[u64; 3]> {
    let count = |kind: &str| -> Option<u64> {
        headers.get(format!("x-prometheus-remote-write-{kind}-written"))?.to_str().ok()?.trim().parse().ok()
    };
    Some([count("samples")?, count("histograms").unwrap_or(0), count("exemplars").unwrap_or(0)])
}
