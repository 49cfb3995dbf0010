//! The keys of TLS on the collector's listeners.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sonde_tls::{MinVersion, PemFile, ServerOptions};

/// TLS on all listeners. It is on where there is a certificate.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// The certificate of the collector with its chain, in PEM form; empty is no TLS. On or off: restart.
    pub cert_file: PathBuf,
    /// Its private key, in PEM form.
    pub key_file: PathBuf,
    /// The authorities that sign the certificates of clients, in PEM form.
    pub client_ca_file: PathBuf,
    /// Whether clients are asked for a certificate.
    pub client_auth: ClientAuth,
    /// What a client may do that shows a certificate and no token.
    pub client_role: ClientRole,
    /// The oldest version of TLS that is spoken.
    pub min_version: TlsVersion,
}

/// Whether clients are asked for a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// They are not.
    #[default]
    None,
    /// They may show one; one that is no good is refused.
    Optional,
    /// Without one there is no connection, on no listener.
    Required,
}

/// What the holder of a certificate may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientRole {
    /// Send metrics and spans.
    #[default]
    Ingest,
    /// Ask.
    Read,
    /// Everything.
    Admin,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    TLS12,
    /// TLS 1.3.
    TLS13,
}

impl TlsConfig {
    /// Whether the listeners speak TLS.
    pub fn is_on(&self) -> bool {
        is_set(&self.cert_file)
    }

    /// What TLS needs; `None` where it is off.
    pub(crate) fn options(&self) -> Option<ServerOptions> {
        let auth = match self.client_auth {
            ClientAuth::None => None,
            ClientAuth::Optional => Some(sonde_tls::ClientAuth::Optional),
            ClientAuth::Required => Some(sonde_tls::ClientAuth::Required),
        };
        self.is_on().then(|| ServerOptions {
            certificate: PemFile::new("tls.cert_file", &self.cert_file),
            key: PemFile::new("tls.key_file", &self.key_file),
            clients: auth.map(|auth| (PemFile::new("tls.client_ca_file", &self.client_ca_file), auth)),
            min_version: match self.min_version {
                TlsVersion::TLS12 => MinVersion::Tls12,
                TlsVersion::TLS13 => MinVersion::Tls13,
            },
        })
    }

    /// The first key whose value is no good, and why.
    pub(super) fn fault(&self) -> Option<(&'static str, &'static str)> {
        let (cert, key, ca) = (is_set(&self.cert_file), is_set(&self.key_file), is_set(&self.client_ca_file));
        match self.client_auth {
            _ if cert && !key => Some(("tls.key_file", "is missing: tls.cert_file needs its private key")),
            _ if !cert && (key || ca) => Some(("tls.cert_file", "is missing: without it there is no TLS")),
            ClientAuth::None if ca => {
                Some(("tls.client_auth", "is none: with tls.client_ca_file it must be optional or required"))
            }
            ClientAuth::Optional | ClientAuth::Required if !ca => {
                Some(("tls.client_ca_file", "is missing: tls.client_auth needs the authorities of the clients"))
            }
            _ => None,
        }
    }

    /// Makes the paths relative to `directory`.
    pub(super) fn relative_to(&mut self, directory: &Path) {
        for path in [&mut self.cert_file, &mut self.key_file, &mut self.client_ca_file] {
            if is_set(path) {
                *path = directory.join(&*path);
            }
        }
    }
}

fn is_set(path: &Path) -> bool {
    !path.as_os_str().is_empty()
}
