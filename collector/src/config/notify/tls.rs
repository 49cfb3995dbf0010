//! The keys of TLS to a receiver of notifications.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sonde_tls::{ClientOptions, PemFile};

/// TLS to a receiver: whom to trust and what to show. There is no way to trust everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReceiverTlsConfig {
    /// The authorities of the receiver, in PEM form; empty is those of the system.
    pub ca_file: PathBuf,
    /// The certificate to show with its chain, in PEM form; empty is none.
    pub cert_file: PathBuf,
    /// Its private key, in PEM form.
    pub key_file: PathBuf,
}

impl ReceiverTlsConfig {
    /// What TLS needs; `None` where nothing is said.
    pub(crate) fn options(&self) -> Option<ClientOptions> {
        let pair = || {
            let certificate = PemFile::new("tls_config.cert_file", &self.cert_file);
            (certificate, PemFile::new("tls_config.key_file", &self.key_file))
        };
        (*self != ReceiverTlsConfig::default()).then(|| ClientOptions {
            authorities: is_set(&self.ca_file).then(|| PemFile::new("tls_config.ca_file", &self.ca_file)),
            pair: is_set(&self.cert_file).then(pair),
        })
    }

    /// What is wrong with it.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        let half = is_set(&self.cert_file) != is_set(&self.key_file);
        half.then_some("needs both cert_file and key_file, or neither")
    }

    /// Makes the paths relative to `directory`.
    pub(crate) fn relative_to(&mut self, directory: &Path) {
        for path in [&mut self.ca_file, &mut self.cert_file, &mut self.key_file] {
            if is_set(path) {
                *path = directory.join(&*path);
            }
        }
    }
}

fn is_set(path: &Path) -> bool {
    !path.as_os_str().is_empty()
}
