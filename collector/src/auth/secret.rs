//! The text of a token, and the hash that is all we keep of it. `docs/decisions/0075` says why SHA-256 is enough.

use std::fmt;
use std::str::FromStr;

use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq;

use super::role::Role;

/// What every token begins with, so that people and scanners of leaked secrets recognise one.
pub(crate) const PREFIX: &str = "sonde_";
/// Random bytes of a token.
const SECRET_BYTES: usize = 32;
/// No token is longer than this.
pub(crate) const MAX_SECRET_BYTES: usize = 128;

/// The text of a token. It is shown once, to whom it is given, and never logged.
#[derive(Clone)]
pub struct Secret(String);

/// The SHA-256 of the text of a token.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenHash(pub [u8; 32]);

/// What people call a token: the first eight bytes of its hash, in hexadecimal digits. They say nothing about the secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TokenId(pub(crate) u64);

impl Secret {
    /// A new one: 256 random bits.
    pub(crate) fn new(role: Role) -> Result<Self, getrandom::Error> {
        let mut random = [0; SECRET_BYTES];
        getrandom::fill(&mut random)?;
        Ok(Secret(format!("{PREFIX}{role}_{}", Hex(&random))))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its hash.
    pub(crate) fn hash(&self) -> TokenHash {
        TokenHash::of(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.hash().id())
    }
}

impl TokenHash {
    /// The hash of a text.
    pub(crate) fn of(text: &str) -> Self {
        let hash = digest(&SHA256, text.as_bytes());
        TokenHash(hash.as_ref().try_into().expect("BUG: SHA-256 has 32 bytes"))
    }

    /// The short name.
    pub(crate) fn id(&self) -> TokenId {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        TokenId(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }

    /// Compares in a time that does not depend on where the two differ.
    pub(crate) fn matches(&self, other: &TokenHash) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenHash({})", self.id())
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for TokenId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(TokenId)
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_random_and_recognisable() {
        let [one, other] = [(); 2].map(|()| Secret::new(Role::Ingest).expect("random numbers"));
        assert!(one.as_str().starts_with("sonde_ingest_") && one.as_str().len() == 13 + 64, "{}", one.as_str());
        assert!(one.as_str().len() <= MAX_SECRET_BYTES);
        assert!(!one.hash().matches(&other.hash()) && one.hash().matches(&TokenHash::of(one.as_str())));
        assert!(!format!("{one:?}").contains(one.as_str()));
    }

    #[test]
    fn hashes_are_those_of_the_standard() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(TokenHash::of("abc").id().to_string(), "ba7816bf8f01cfea");
        assert_eq!("ba7816bf8f01cfea".parse(), Ok(TokenHash::of("abc").id()));
    }
}
