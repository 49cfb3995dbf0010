//! The keys of TLS: what the agent shows to its collector, and what it shows to local applications.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sonde_tls::{ClientOptions, MinVersion, PemFile, ServerOptions};

use super::{InvalidConfig, invalid};

/// TLS to the collector. It is spoken where the endpoint begins with `https`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct CollectorTlsConfig {
    /// The authorities of the collector, in PEM form; empty is those of the system.
    pub ca_file: PathBuf,
    /// The name that the certificate of the collector must have; empty is the host of the endpoint.
    pub server_name: String,
    /// The certificate of this agent with its chain, in PEM form; empty is none.
    pub cert_file: PathBuf,
    /// Its private key, in PEM form.
    pub key_file: PathBuf,
}

/// TLS on the agent's own listeners. It is on where there is a certificate.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListenTlsConfig {
    /// The certificate of the listeners with its chain, in PEM form; empty is no TLS.
    pub cert_file: PathBuf,
    /// Its private key, in PEM form.
    pub key_file: PathBuf,
    /// The authorities of applications, in PEM form: without a certificate of theirs there is no connection. Empty asks for none.
    pub client_ca_file: PathBuf,
    /// The oldest version of TLS that is spoken.
    pub min_version: TlsVersion,
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

impl CollectorTlsConfig {
    /// What TLS needs.
    pub(crate) fn options(&self) -> ClientOptions {
        let pair = || {
            let certificate = PemFile::new("collector.tls.cert_file", &self.cert_file);
            (certificate, PemFile::new("collector.tls.key_file", &self.key_file))
        };
        ClientOptions {
            authorities: is_set(&self.ca_file).then(|| PemFile::new("collector.tls.ca_file", &self.ca_file)),
            pair: is_set(&self.cert_file).then(pair),
        }
    }

    pub(super) fn check(&self, endpoint: &str) -> Result<(), InvalidConfig> {
        if is_set(&self.cert_file) != is_set(&self.key_file) {
            let message = "a certificate needs its private key: set both cert_file and key_file, or neither";
            return Err(invalid("collector.tls", message));
        }
        if !endpoint.starts_with("https://") && *self != CollectorTlsConfig::default() {
            let message =
                format!("collector.endpoint is {endpoint}, where nothing is encrypted; write https://HOST:4317");
            return Err(invalid("collector.tls", message));
        }
        Ok(())
    }

    pub(super) fn relative_to(&mut self, directory: &Path) {
        join(directory, [&mut self.ca_file, &mut self.cert_file, &mut self.key_file]);
    }
}

impl ListenTlsConfig {
    /// Whether the listeners speak TLS.
    pub(crate) fn is_on(&self) -> bool {
        is_set(&self.cert_file)
    }

    /// Whether applications must show a certificate.
    pub(super) fn asks(&self) -> bool {
        is_set(&self.client_ca_file)
    }

    /// What TLS needs; `None` where it is off.
    pub(crate) fn options(&self) -> Option<ServerOptions> {
        let client_ca = || PemFile::new("otlp.tls.client_ca_file", &self.client_ca_file);
        self.is_on().then(|| ServerOptions {
            certificate: PemFile::new("otlp.tls.cert_file", &self.cert_file),
            key: PemFile::new("otlp.tls.key_file", &self.key_file),
            clients: self.asks().then(|| (client_ca(), sonde_tls::ClientAuth::Required)),
            min_version: match self.min_version {
                TlsVersion::TLS12 => MinVersion::Tls12,
                TlsVersion::TLS13 => MinVersion::Tls13,
            },
        })
    }

    pub(super) fn check(&self) -> Result<(), InvalidConfig> {
        let (cert, key) = (is_set(&self.cert_file), is_set(&self.key_file));
        if cert != key || (self.asks() && !cert) {
            return Err(invalid("otlp.tls", "a certificate needs its private key: set both cert_file and key_file"));
        }
        Ok(())
    }

    pub(super) fn relative_to(&mut self, directory: &Path) {
        join(directory, [&mut self.cert_file, &mut self.key_file, &mut self.client_ca_file]);
    }
}

fn is_set(path: &Path) -> bool {
    !path.as_os_str().is_empty()
}

fn join<const N: usize>(directory: &Path, paths: [&mut PathBuf; N]) {
    for path in paths.into_iter().filter(|path| is_set(path)) {
        *path = directory.join(&*path);
    }
}
