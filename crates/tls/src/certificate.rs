//! What a certificate says: whom it names and when it holds.

use std::net::{Ipv4Addr, Ipv6Addr};

use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// More names than this are not told.
const MAX_SANS: usize = 256;

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The subject, as in `CN=web-1, O=Example`.
    pub subject: String,
    /// The common name of the subject; empty where it has none.
    pub common_name: String,
    /// The subject alternative names: DNS names, addresses, e-mail addresses and URIs.
    pub sans: Vec<String>,
    /// From when it holds, in seconds since the epoch.
    pub not_before: i64,
    /// Until when it holds, in seconds since the epoch.
    pub not_after: i64,
}

impl Certificate {
    /// Reads a certificate in DER form; the error says what is wrong with it. Proves nothing about who made it.
    pub fn read(der: &[u8]) -> Result<Self, String> {
        let (_, read) = X509Certificate::from_der(der).map_err(|e| e.to_string())?;
        let subject = read.subject();
        let common_name = subject.iter_common_name().find_map(|name| name.as_str().ok()).unwrap_or_default();
        let extension = read.subject_alternative_name().map_err(|e| e.to_string())?;
        let names = extension.iter().flat_map(|extension| &extension.value.general_names);
        Ok(Certificate {
            subject: subject.to_string(),
            common_name: common_name.to_owned(),
            sans: names.filter_map(name).take(MAX_SANS).collect(),
            not_before: read.validity().not_before.timestamp(),
            not_after: read.validity().not_after.timestamp(),
        })
    }

    /// What people call the holder: the common name, else the first alternative name, else the subject.
    pub fn name(&self) -> &str {
        match (self.common_name.as_str(), self.sans.first()) {
            ("", Some(san)) => san,
            ("", None) => &self.subject,
            (common_name, _) => common_name,
        }
    }

    /// Whether it is over.
    pub fn is_expired(&self, now_s: i64) -> bool {
        self.not_after < now_s
    }
}

/// A time in seconds since the epoch as people write it.
pub(crate) fn date(at_s: i64) -> String {
    jiff::Timestamp::from_second(at_s).map_or_else(|_| format!("{at_s} s since 1970"), |at| at.to_string())
}

/// An alternative name as people write it.
fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(text) | GeneralName::RFC822Name(text) | GeneralName::URI(text) => Some((*text).to_owned()),
        GeneralName::IPAddress(octets) => match *octets {
            [a, b, c, d] => Some(Ipv4Addr::new(*a, *b, *c, *d).to_string()),
            octets => Some(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?).to_string()),
        },
        _ => None,
    }
}
