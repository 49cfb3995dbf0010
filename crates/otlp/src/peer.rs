//! Who is at the other end of a connection, as far as the connection itself proves it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use sonde_tls::Certificate;

/// The other end of a connection: an extension of every request that [`serve`](crate::serve()) hands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Where it is.
    pub address: SocketAddr,
    /// Whether the connection is encrypted.
    pub is_encrypted: bool,
    /// Its certificate, where it showed one. It was proven against the client CA before the first request.
    pub certificate: Option<Arc<PeerCertificate>>,
    /// Whether it is this very process: the agent of `sonde up`, which comes without a socket.
    pub is_own_process: bool,
}

impl Peer {
    /// A peer of a connection that is not encrypted.
    pub fn plain(address: SocketAddr) -> Self {
        Peer { address, is_encrypted: false, certificate: None, is_own_process: false }
    }

    /// A peer of an encrypted connection, with the certificate that was proven.
    pub(crate) fn encrypted(address: SocketAddr, certificate: Option<Certificate>) -> Self {
        let certificate = certificate.map(|certificate| Arc::new(certificate.into()));
        Peer { address, is_encrypted: true, certificate, is_own_process: false }
    }

    /// A task of this process.
    pub(crate) fn own_process() -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Peer { address, is_encrypted: false, certificate: None, is_own_process: true }
    }
}

/// Whom a proven certificate names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerCertificate {
    /// The subject, as in `CN=web-1,O=Example`.
    pub subject: String,
    /// The common name of the subject; empty where it has none.
    pub common_name: String,
    /// The subject alternative names: DNS names, addresses, e-mail addresses and URIs.
    pub sans: Vec<String>,
}

impl PeerCertificate {
    /// What people call the holder: the common name, else the first alternative name, else the subject.
    pub fn name(&self) -> &str {
        match (self.common_name.as_str(), self.sans.first()) {
            ("", Some(san)) => san,
            ("", None) => &self.subject,
            (common_name, _) => common_name,
        }
    }
}

impl From<Certificate> for PeerCertificate {
    fn from(certificate: Certificate) -> Self {
        let Certificate { subject, common_name, sans, .. } = certificate;
        PeerCertificate { subject, common_name, sans }
    }
}
