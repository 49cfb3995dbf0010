//! TLS as a server speaks it.

use std::sync::Arc;

use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};

use crate::error::TlsError;
use crate::file::PemFile;
use crate::reloading::{Built, Reloading, Source};
use crate::{Certificate, alpn, provider};

/// What a server shows, and what it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerOptions {
    /// The certificate of the server, then those between it and the authority.
    pub certificate: PemFile,
    /// Its private key.
    pub key: PemFile,
    /// The authorities of clients, and whether clients must show a certificate of theirs.
    pub clients: Option<(PemFile, ClientAuth)>,
    /// The oldest version that is spoken.
    pub min_version: MinVersion,
}

/// Whether clients must show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// They may; one that is no good is refused.
    #[default]
    Optional,
    /// Without one there is no connection.
    Required,
}

/// The oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MinVersion {
    /// TLS 1.2.
    #[default]
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// The configuration of a server that follows its files.
pub type ServerTls = Reloading<ServerOptions>;

impl Source for ServerOptions {
    type Config = ServerConfig;

    fn files(&self) -> Vec<PemFile> {
        let mut files = vec![self.certificate.clone(), self.key.clone()];
        files.extend(self.clients.iter().map(|(file, _)| file.clone()));
        files
    }

    fn build(&self, contents: &[Vec<u8>]) -> Result<Built<ServerConfig>, TlsError> {
        let versions = match self.min_version {
            MinVersion::Tls12 => &[&TLS12, &TLS13][..],
            MinVersion::Tls13 => &[&TLS13][..],
        };
        let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(versions);
        let builder = builder.map_err(|e| TlsError::Refused(e.to_string()))?;
        let (builder, authorities_end) = match (&self.clients, contents.get(2)) {
            (Some((file, auth)), Some(bytes)) => {
                let (roots, end) = authorities(file, bytes)?;
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
                let verifier = match auth {
                    ClientAuth::Optional => verifier.allow_unauthenticated(),
                    ClientAuth::Required => verifier,
                };
                let bad = |reason: String| TlsError::BadCertificate { file: file.clone(), reason };
                let verifier = verifier.build().map_err(|e| bad(e.to_string()))?;
                (builder.with_client_cert_verifier(verifier), Some(end))
            }
            _ => (builder.with_no_client_auth(), None),
        };
        let pair = Pair::read(&self.certificate, &self.key, contents)?;
        let config = builder.with_single_cert(pair.chain, pair.key);
        let mut config = config.map_err(|e| pair_error(&self.certificate, &self.key, e))?;
        config.alpn_protocols = alpn();
        if self.clients.is_some() {
            // A resumed session is not proven again: whoever comes shows a certificate of an authority in force.
            config.session_storage = Arc::new(NoServerSessionStorage {});
        }
        let warnings = self.key.permission_warning().into_iter().collect();
        let own = Some((self.certificate.clone(), pair.certificate));
        Ok(Built { config: Arc::new(config), own, authorities_end, warnings })
    }
}

/// A certificate with its chain and its key.
pub(crate) struct Pair {
    pub(crate) chain: Vec<rustls::pki_types::CertificateDer<'static>>,
    pub(crate) key: rustls::pki_types::PrivateKeyDer<'static>,
    pub(crate) certificate: Certificate,
}

impl Pair {
    /// Reads a pair of the first two contents.
    pub(crate) fn read(certificate: &PemFile, key: &PemFile, contents: &[Vec<u8>]) -> Result<Self, TlsError> {
        let content = |index: usize| contents.get(index).map(Vec::as_slice).unwrap_or_default();
        let chain = certificate.certificates(content(0))?;
        let read = Certificate::read(chain.first().map(AsRef::as_ref).unwrap_or_default());
        let read = read.map_err(|reason| TlsError::BadCertificate { file: certificate.clone(), reason })?;
        Ok(Pair { chain, key: key.private_key(content(1))?, certificate: read })
    }
}

/// What rustls says about a pair, in the words of who wrote the configuration.
pub(crate) fn pair_error(certificate: &PemFile, key: &PemFile, error: rustls::Error) -> TlsError {
    match error {
        rustls::Error::InconsistentKeys(_) => {
            TlsError::KeyMismatch { key: key.clone(), certificate: certificate.clone() }
        }
        rustls::Error::InvalidCertificate(reason) => {
            TlsError::BadCertificate { file: certificate.clone(), reason: reason.to_string() }
        }
        rustls::Error::General(reason) => TlsError::BadKey { file: key.clone(), reason },
        other => TlsError::Refused(other.to_string()),
    }
}

/// The authorities in a file, and when the first of them is over.
pub(crate) fn authorities(file: &PemFile, bytes: &[u8]) -> Result<(RootCertStore, i64), TlsError> {
    let bad = |reason: String| TlsError::BadCertificate { file: file.clone(), reason };
    let mut roots = RootCertStore::empty();
    let mut end = i64::MAX;
    for der in file.certificates(bytes)? {
        end = end.min(Certificate::read(&der).map_err(bad)?.not_after);
        roots.add(der).map_err(|e| bad(e.to_string()))?;
    }
    Ok((roots, end))
}
