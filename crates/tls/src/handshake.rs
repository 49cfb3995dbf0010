//! Why handshakes fail, counted.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustls::{AlertDescription, CertificateError, Error};

/// Why there was no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeFailure {
    /// It took too long.
    Timeout,
    /// The client left in the middle.
    Closed,
    /// What came is not TLS.
    NotTls,
    /// The client showed no certificate, and must.
    NoCertificate,
    /// The certificate of the client is not of an authority that is trusted.
    UnknownAuthority,
    /// The certificate of the client is over, or does not hold yet.
    Expired,
    /// The certificate of the client is no good for another reason.
    BadCertificate,
    /// There is no version, cipher or protocol that both speak.
    NothingInCommon,
    /// The client does not accept the certificate of the server.
    Refused,
    /// Too many others from the same address are not done.
    TooMany,
    /// Something else.
    Other,
}

impl HandshakeFailure {
    /// All of them.
    pub const ALL: [HandshakeFailure; 11] = [
        HandshakeFailure::Timeout,
        HandshakeFailure::Closed,
        HandshakeFailure::NotTls,
        HandshakeFailure::NoCertificate,
        HandshakeFailure::UnknownAuthority,
        HandshakeFailure::Expired,
        HandshakeFailure::BadCertificate,
        HandshakeFailure::NothingInCommon,
        HandshakeFailure::Refused,
        HandshakeFailure::TooMany,
        HandshakeFailure::Other,
    ];

    /// The reason as a label value.
    pub fn as_str(self) -> &'static str {
        match self {
            HandshakeFailure::Timeout => "timeout",
            HandshakeFailure::Closed => "closed",
            HandshakeFailure::NotTls => "not_tls",
            HandshakeFailure::NoCertificate => "no_certificate",
            HandshakeFailure::UnknownAuthority => "unknown_authority",
            HandshakeFailure::Expired => "expired",
            HandshakeFailure::BadCertificate => "bad_certificate",
            HandshakeFailure::NothingInCommon => "nothing_in_common",
            HandshakeFailure::Refused => "refused",
            HandshakeFailure::TooMany => "too_many",
            HandshakeFailure::Other => "other",
        }
    }

    /// Why the acceptor of a server failed.
    pub fn of(error: &io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(error) => Self::of_tls(error),
            None => HandshakeFailure::Closed,
        }
    }

    fn of_tls(error: &Error) -> Self {
        match error {
            Error::NoCertificatesPresented => HandshakeFailure::NoCertificate,
            Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
                HandshakeFailure::UnknownAuthority
            }
            Error::InvalidCertificate(
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. },
            ) => HandshakeFailure::Expired,
            Error::InvalidCertificate(_) => HandshakeFailure::BadCertificate,
            Error::PeerIncompatible(_) | Error::NoApplicationProtocol => HandshakeFailure::NothingInCommon,
            Error::InvalidMessage(_) => HandshakeFailure::NotTls,
            Error::AlertReceived(alert) => match alert {
                AlertDescription::CloseNotify | AlertDescription::UserCanceled => HandshakeFailure::Closed,
                _ => HandshakeFailure::Refused,
            },
            _ => HandshakeFailure::Other,
        }
    }
}

/// The handshakes of a listener.
#[derive(Debug, Default)]
pub struct HandshakeStats {
    /// Handshakes that led to a connection.
    pub completed: AtomicU64,
    failures: [AtomicU64; HandshakeFailure::ALL.len()],
}

impl HandshakeStats {
    /// Counts a handshake that failed.
    pub fn fail(&self, failure: HandshakeFailure) {
        self.failures[failure as usize].fetch_add(1, Relaxed);
    }

    /// How many failed for this reason.
    pub fn failures(&self, failure: HandshakeFailure) -> u64 {
        self.failures[failure as usize].load(Relaxed)
    }
}
