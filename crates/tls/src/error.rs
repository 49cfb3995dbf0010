//! Why certificates or keys are no good. Each error names the key of the configuration, the file and what to do.

use crate::file::PemFile;

/// Certificates or keys are no good.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{file}: cannot be read")]
    Unreadable {
        /// The file.
        file: PemFile,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file is larger than any that people make.
    #[error("{file}: is larger than {limit} bytes")]
    TooLarge {
        /// The file.
        file: PemFile,
        /// The limit.
        limit: u64,
    },
    /// A file is no PEM.
    #[error("{file}: is not in PEM form: {reason}")]
    NotPem {
        /// The file.
        file: PemFile,
        /// What is wrong.
        reason: String,
    },
    /// There is no certificate in a file.
    #[error("{file}: there is no certificate in it; a line -----BEGIN CERTIFICATE----- is expected")]
    NoCertificate {
        /// The file.
        file: PemFile,
    },
    /// A certificate cannot be used.
    #[error("{file}: the certificate cannot be used: {reason}")]
    BadCertificate {
        /// The file.
        file: PemFile,
        /// What is wrong with it.
        reason: String,
    },
    /// A certificate is over, and the one that it would replace is not.
    #[error("{file}: the certificate of {name} expired at {}", crate::certificate::date(*at))]
    Expired {
        /// The file.
        file: PemFile,
        /// Whom it names.
        name: String,
        /// When, in seconds since the epoch.
        at: i64,
    },
    /// There is no private key in a file.
    #[error("{file}: there is no private key in it; a line -----BEGIN PRIVATE KEY----- is expected")]
    NoKey {
        /// The file.
        file: PemFile,
    },
    /// The key needs a passphrase.
    #[error("{file}: the private key is encrypted with a passphrase, which a daemon cannot type; store it without")]
    EncryptedKey {
        /// The file.
        file: PemFile,
    },
    /// A key cannot be used.
    #[error("{file}: the private key cannot be used: {reason}")]
    BadKey {
        /// The file.
        file: PemFile,
        /// What is wrong with it.
        reason: String,
    },
    /// Key and certificate are not of the same pair.
    #[error("{key}: the private key does not belong to the certificate of {certificate}")]
    KeyMismatch {
        /// The file of the key.
        key: PemFile,
        /// The file of the certificate.
        certificate: PemFile,
    },
    /// The system has no certificates of authorities.
    #[error("this system has no certificates of authorities{reason}; name a file with `ca_file`")]
    NoSystemAuthorities {
        /// What went wrong, with a colon in front, or nothing.
        reason: String,
    },
    /// A name is neither a DNS name nor an address.
    #[error("{name:?} is neither a DNS name nor an address")]
    BadServerName {
        /// The name.
        name: String,
    },
    /// What the TLS library does not take for another reason.
    #[error("TLS cannot be set up: {0}")]
    Refused(String),
}
