//! PEM files: where the configuration names them, and what is in them.

use std::fmt;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::TlsError;

/// Far above what a bundle of all public authorities takes.
const MAX_BYTES: u64 = 4 << 20;
/// Others may read or write it.
const OPEN_TO_OTHERS: u32 = 0o006;

/// A PEM file, and the key of the configuration or the flag that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PemFile {
    key: &'static str,
    path: PathBuf,
}

impl PemFile {
    /// The file at `path`, which `key` names.
    pub fn new(key: &'static str, path: impl Into<PathBuf>) -> Self {
        PemFile { key, path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All of it, bounded.
    pub(crate) fn read(&self) -> Result<Vec<u8>, TlsError> {
        let unreadable = |source| TlsError::Unreadable { file: self.clone(), source };
        let file = std::fs::File::open(&self.path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(TlsError::TooLarge { file: self.clone(), limit: MAX_BYTES });
        }
        Ok(bytes)
    }

    /// What is wrong with who may read this private key.
    pub(crate) fn permission_warning(&self) -> Option<String> {
        let mode = std::fs::metadata(&self.path).ok()?.permissions().mode() & 0o777;
        let open = mode & OPEN_TO_OTHERS != 0;
        open.then(|| format!("{self}: everybody on this machine may use this private key (mode {mode:03o}); chmod 600"))
    }

    /// The certificates in `bytes`, which were read from here; at least one.
    pub(crate) fn certificates(&self, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
        let certificates = parsed.map_err(|e| TlsError::NotPem { file: self.clone(), reason: e.to_string() })?;
        if certificates.is_empty() {
            return Err(TlsError::NoCertificate { file: self.clone() });
        }
        Ok(certificates)
    }

    /// The private key in `bytes`, which were read from here.
    pub(crate) fn private_key(&self, bytes: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
        let file = || self.clone();
        PrivateKeyDer::from_pem_slice(bytes).map_err(|error| match error {
            pem::Error::NoItemsFound if is_encrypted(bytes) => TlsError::EncryptedKey { file: file() },
            pem::Error::NoItemsFound => TlsError::NoKey { file: file() },
            other => TlsError::NotPem { file: file(), reason: other.to_string() },
        })
    }
}

/// Whether there is a key that needs a passphrase.
fn is_encrypted(bytes: &[u8]) -> bool {
    let has = |words: &[u8]| bytes.windows(words.len()).any(|window| window == words);
    has(b"BEGIN ENCRYPTED PRIVATE KEY") || has(b"Proc-Type: 4,ENCRYPTED")
}

impl fmt::Display for PemFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.key, self.path.display())
    }
}
