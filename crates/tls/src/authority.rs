//! A private authority: it makes certificates for the machines of one team.

use std::net::IpAddr;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

/// How long before now a certificate begins to hold, for machines whose clocks are behind.
const BACKDATED_S: i64 = 3_600;
const DAY_S: i64 = 86_400;

/// A certificate and its private key, as PEM.
#[derive(Clone)]
pub struct PemPair {
    /// The certificate.
    pub certificate: String,
    /// The private key, not encrypted.
    pub key: String,
}

/// What a certificate is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A server, under all the names and addresses by which clients call it; the first is its common name. It may be shown to
    /// other servers as well.
    Server {
        /// DNS names (`*.` in front stands for any one part) and addresses.
        hosts: Vec<String>,
    },
    /// A client of this name.
    Client {
        /// Its common name.
        name: String,
    },
}

/// A private authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pair: PemPair,
}

/// Why a certificate cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// A server needs a name.
    #[error("a server needs at least one name or address by which clients call it")]
    NoHost,
    /// A name cannot stand in a certificate.
    #[error("{name:?} is neither a DNS name nor an address")]
    BadName {
        /// The name.
        name: String,
    },
    /// The certificate is not one of an authority.
    #[error("the certificate is not one of an authority that may sign others")]
    NotAnAuthority,
    /// The key is not the one of the authority.
    #[error("the private key does not belong to the certificate of the authority")]
    KeyMismatch,
    /// What the library does not do for another reason.
    #[error("the certificate cannot be made: {0}")]
    Refused(#[from] rcgen::Error),
}

impl Authority {
    /// Makes a new authority that holds for `days` from now on. `now_s` is in seconds since the epoch.
    pub fn create(name: &str, days: u32, now_s: i64) -> Result<Self, IssueError> {
        let mut params = params(name, days, now_s);
        // It signs certificates of machines, and no other authorities.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.pem();
        let pair = PemPair { certificate, key: key.serialize_pem() };
        Ok(Authority { issuer: Issuer::new(params, key), pair })
    }

    /// Reads an authority that was made before.
    pub fn read(pair: PemPair) -> Result<Self, IssueError> {
        use rustls::pki_types::{CertificateDer, pem::PemObject};
        use x509_parser::prelude::{FromDer, X509Certificate};

        let key = KeyPair::from_pem(&pair.key)?;
        let der =
            CertificateDer::from_pem_slice(pair.certificate.as_bytes()).map_err(|_| IssueError::NotAnAuthority)?;
        let (_, certificate) = X509Certificate::from_der(&der).map_err(|_| IssueError::NotAnAuthority)?;
        if !certificate.is_ca() {
            return Err(IssueError::NotAnAuthority);
        }
        if certificate.public_key().subject_public_key.data.as_ref() != key.public_key_raw() {
            return Err(IssueError::KeyMismatch);
        }
        Ok(Authority { issuer: Issuer::from_ca_cert_der(&der, key)?, pair })
    }

    /// Its own certificate and key.
    pub fn pair(&self) -> &PemPair {
        &self.pair
    }

    /// Makes a certificate that holds for `days` from now on, and its key.
    pub fn issue(&self, purpose: &Purpose, days: u32, now_s: i64) -> Result<PemPair, IssueError> {
        let (name, hosts) = match purpose {
            Purpose::Server { hosts } => (hosts.first().ok_or(IssueError::NoHost)?, hosts.as_slice()),
            Purpose::Client { name } => (name, &[][..]),
        };
        let mut params = params(name, days, now_s);
        params.subject_alt_names = hosts.iter().map(|host| alternative_name(host)).collect::<Result<_, _>>()?;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = match purpose {
            Purpose::Server { .. } => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
            Purpose::Client { .. } => vec![ExtendedKeyUsagePurpose::ClientAuth],
        };
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(PemPair { certificate, key: key.serialize_pem() })
    }
}

fn params(name: &str, days: u32, now_s: i64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let at = |seconds: i64| epoch + std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    params.not_before = at(now_s.saturating_sub(BACKDATED_S));
    // Beyond the year 9999 there is no way to write a date.
    params.not_after = at(now_s.saturating_add(i64::from(days.min(100 * 366)).saturating_mul(DAY_S)));
    params
}

fn alternative_name(host: &str) -> Result<SanType, IssueError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let bad = || IssueError::BadName { name: host.to_owned() };
    let plain = host.strip_prefix("*.").unwrap_or(host);
    crate::server_name(plain).map_err(|_| bad())?;
    Ok(SanType::DnsName(host.try_into().map_err(|_| bad())?))
}

impl std::fmt::Debug for PemPair {
    /// Without the private key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PemPair").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Authority {
    /// Without the private key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("pair", &self.pair).finish_non_exhaustive()
    }
}
