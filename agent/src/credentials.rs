//! With what right the agent sends: none, the token in a file that others keep, or a token of its own that it gets by enrolment.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sonde_disk::Fs;
use sonde_model::AgentId;
use sonde_otlp::exporter::{Backoff, BackoffOptions, Exporter};
use sonde_otlp::unary::Code;
use sonde_proto::agent_link::enrol::{EnrolRequest, PATH};
use sonde_proto::otlp::Message;
use sonde_runtime::Clock;
use sonde_runtime::stage::with_causes;
use tokio_util::sync::CancellationToken;

use crate::config::CollectorConfig;
use crate::own_token::{OwnToken, OwnTokenError};

/// How often the file of a token is read again: secrets are exchanged while agents run.
const REREAD_INTERVAL: Duration = Duration::from_secs(30);
/// The longest token that is sent.
const MAX_TOKEN_BYTES: usize = 4 << 10;

/// Where the token comes from.
#[derive(Debug)]
pub(crate) enum Credentials {
    /// There is none.
    Nothing,
    /// From a file that others keep.
    File(PathBuf),
    /// From enrolment, with the token in a file.
    Enrolment(Enrolment),
}

/// What enrolment needs.
#[derive(Debug)]
pub(crate) struct Enrolment {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) dir: PathBuf,
    pub(crate) agent: AgentId,
    /// What people call the host.
    pub(crate) host: String,
    own: OwnToken,
    token_file: PathBuf,
    backoff: BackoffOptions,
}

/// Why a token cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file with the token cannot be read.
    #[error("{}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is not one line of visible characters.
    #[error("{} does not hold a token: it is one line, as `sonde token create` prints it", path.display())]
    NoToken {
        /// The file.
        path: PathBuf,
    },
    /// The agent's own token cannot be kept.
    #[error("the agent's own token")]
    Own(#[from] OwnTokenError),
}

/// Why an attempt to enrol failed.
struct Failed {
    reason: String,
    /// Whether the collector said no, and not that it cannot.
    is_refusal: bool,
}

impl Credentials {
    /// What the configuration says; what must be in files is proven to be there.
    pub(crate) fn open(
        config: &CollectorConfig,
        fs: Arc<dyn Fs>,
        dir: &Path,
        agent: AgentId,
        host: String,
        backoff: BackoffOptions,
    ) -> Result<Self, CredentialsError> {
        if !config.token_file.as_os_str().is_empty() {
            read(&config.token_file)?;
            return Ok(Credentials::File(config.token_file.clone()));
        }
        if config.enrol_token_file.as_os_str().is_empty() {
            return Ok(Credentials::Nothing);
        }
        let own = OwnToken::open(fs.as_ref(), dir, agent)?;
        let (dir, token_file) = (dir.to_owned(), config.enrol_token_file.clone());
        Ok(Credentials::Enrolment(Enrolment { fs, dir, agent, host, own, token_file, backoff }))
    }

    /// Gives `exporter` its token, and says by `may_send` when it makes sense to send.
    pub(crate) async fn run(
        self,
        exporter: Exporter,
        clock: Clock,
        may_send: CancellationToken,
        stop: CancellationToken,
    ) {
        match self {
            Credentials::Nothing => may_send.cancel(),
            Credentials::File(path) => follow(&path, &exporter, &clock, &may_send, &stop).await,
            Credentials::Enrolment(enrolment) => enrolment.run(&exporter, &clock, &may_send, &stop).await,
        }
    }
}

/// Shows what is in the file, and what comes to be in it.
async fn follow(
    path: &Path,
    exporter: &Exporter,
    clock: &Clock,
    may_send: &CancellationToken,
    stop: &CancellationToken,
) {
    let mut told = String::new();
    while !stop.is_cancelled() {
        match read(path).map(|token| exporter.show_token(&token)) {
            Ok(_) => told.clear(),
            Err(error) => {
                let reason = with_causes(&error);
                if told != reason {
                    tracing::error!("the token cannot be read again, the last one is used: {reason}");
                    told = reason;
                }
            }
        }
        may_send.cancel();
        tokio::select! {
            () = clock.sleep(REREAD_INTERVAL) => {}
            () = stop.cancelled() => {}
        }
    }
}

impl Enrolment {
    /// Enrols, unless that is done already; tries again until it is done or `stop` is cancelled.
    async fn run(self, exporter: &Exporter, clock: &Clock, may_send: &CancellationToken, stop: &CancellationToken) {
        // What the collector is not known to know may still be what it knows: see the crash between its yes and ours.
        exporter.show_token(self.own.text());
        if self.own.is_granted() {
            may_send.cancel();
            return;
        }
        let mut backoff = Backoff::new(self.backoff.clone(), fastrand::u64(..));
        let mut told = String::new();
        loop {
            match self.attempt(exporter).await {
                Ok(()) => break,
                Err(Failed { reason, is_refusal }) => {
                    if told != reason {
                        tracing::error!("this agent is not enrolled: {reason}; trying again");
                        told = reason;
                    }
                    if is_refusal {
                        may_send.cancel();
                    }
                }
            }
            tokio::select! {
                () = clock.sleep(backoff.next_delay(None)) => {}
                () = stop.cancelled() => return,
            }
        }
        let (fs, dir) = (Arc::clone(&self.fs), self.dir.clone());
        let kept = tokio::task::spawn_blocking(move || OwnToken::granted(fs.as_ref(), &dir)).await;
        match kept {
            Ok(Err(error)) => {
                let reason = with_causes(&error);
                tracing::error!("that the agent is enrolled cannot be kept: {reason}; the next start asks again");
            }
            _ => tracing::info!("agent {} is enrolled", self.agent),
        }
        may_send.cancel();
    }

    async fn attempt(&self, exporter: &Exporter) -> Result<(), Failed> {
        // It is read each time, so that a new one helps an agent that waits.
        let token = read(&self.token_file).map_err(|e| Failed { reason: with_causes(&e), is_refusal: false })?;
        let request =
            EnrolRequest { agent_id: self.agent.0.to_vec(), token_sha256: self.own.sha256(), host: self.host.clone() };
        match exporter.ask(PATH, &token, Bytes::from(request.encode_to_vec())).await {
            Ok(_) => Ok(()),
            Err(status) => {
                let is_refusal = matches!(
                    status.code(),
                    Code::Unauthenticated | Code::PermissionDenied | Code::AlreadyExists | Code::Unimplemented
                );
                Err(Failed { reason: format!("{:?}: {}", status.code(), status.message()), is_refusal })
            }
        }
    }
}

/// The token in a file: its first line.
fn read(path: &Path) -> Result<String, CredentialsError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| CredentialsError::File { path: path.to_owned(), source })?;
    let token = text.lines().next().unwrap_or_default().trim();
    if token.is_empty() || token.len() > MAX_TOKEN_BYTES || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(CredentialsError::NoToken { path: path.to_owned() });
    }
    Ok(token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_one_token() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        assert!(matches!(read(&path), Err(CredentialsError::File { .. })));
        for (text, token) in [("sonde_ingest_1\n", Some("sonde_ingest_1")), ("", None), ("a b\n", None), ("\n", None)] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read(&path).ok().as_deref(), token, "{text:?}");
        }
    }
}
