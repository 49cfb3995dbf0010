//! TLS as a client speaks it.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};

use crate::error::TlsError;
use crate::file::PemFile;
use crate::reloading::{Built, Reloading, Source};
use crate::server::{Pair, authorities, pair_error};
use crate::{alpn, provider};

/// Whom a client trusts, and what it shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientOptions {
    /// The authorities of servers; those of the system where there is no file.
    pub authorities: Option<PemFile>,
    /// The own certificate with its chain, and its private key.
    pub pair: Option<(PemFile, PemFile)>,
}

/// The configuration of a client that follows its files.
pub type ClientTls = Reloading<ClientOptions>;

impl Source for ClientOptions {
    type Config = ClientConfig;

    fn files(&self) -> Vec<PemFile> {
        let pair = self.pair.iter().flat_map(|(certificate, key)| [certificate.clone(), key.clone()]);
        pair.chain(self.authorities.clone()).collect()
    }

    fn build(&self, contents: &[Vec<u8>]) -> Result<Built<ClientConfig>, TlsError> {
        let (roots, authorities_end) = match (&self.authorities, contents.last()) {
            (Some(file), Some(bytes)) => {
                let (roots, end) = authorities(file, bytes)?;
                (roots, Some(end))
            }
            _ => (system_authorities()?, None),
        };
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let builder = builder.map_err(|e| TlsError::Refused(e.to_string()))?.with_root_certificates(roots);
        let (mut config, own, warnings) = match &self.pair {
            Some((certificate, key)) => {
                let pair = Pair::read(certificate, key, contents)?;
                let config = builder.with_client_auth_cert(pair.chain, pair.key);
                let config = config.map_err(|e| pair_error(certificate, key, e))?;
                (config, Some((certificate.clone(), pair.certificate)), key.permission_warning())
            }
            None => (builder.with_no_client_auth(), None, None),
        };
        config.alpn_protocols = alpn();
        Ok(Built { config: Arc::new(config), own, authorities_end, warnings: warnings.into_iter().collect() })
    }
}

/// The name that the certificate of a server must have: of the host of a URL, or another one.
pub fn server_name(host: &str) -> Result<ServerName<'static>, TlsError> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    ServerName::try_from(bare.to_owned()).map_err(|_| TlsError::BadServerName { name: host.to_owned() })
}

fn system_authorities() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(found.certs);
    if taken == 0 {
        let reason = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
        return Err(TlsError::NoSystemAuthorities { reason });
    }
    Ok(roots)
}
