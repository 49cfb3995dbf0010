//! A keyed 128-bit hash of label bytes, the key of the memo of known series.
//!
//! The memo trusts the hash: two label sets with one hash would become one series. So it has 128 bits, and a key that
//! is drawn anew by each process, so that nobody can look for collisions beforehand. It is never written anywhere.

use std::hash::{BuildHasher, Hasher, RandomState};

/// What is hashed. The same bytes of two kinds are two keys.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Domain {
    /// The encoded labels of a remote write 1.0 series.
    RemoteWrite = 1,
    /// The name of a metric family.
    MetricName = 2,
    /// What is known of a metric.
    Metadata = 3,
    /// The options of the OTLP translation.
    OtlpOptions = 4,
    /// The pieces of an OTLP request.
    OtlpTargetInfo = 5,
    OtlpResource = 6,
    OtlpScope = 7,
    OtlpMetric = 8,
    OtlpAttributes = 9,
    OtlpBounds = 10,
    /// A text of the table of symbols of a remote write 2.0 request.
    Symbol = 11,
    /// How often the configuration was read anew.
    Generation = 13,
    /// The hashes of the symbols that are the labels of a remote write 2.0 series.
    SymbolLabels = 12,
}

/// Hashes bytes under the key of this process.
#[derive(Clone)]
pub(crate) struct LabelHasher {
    keys: [u64; 6],
}

impl LabelHasher {
    /// A hasher with a random key.
    pub(crate) fn new() -> Self {
        // Each state of the standard library holds a SipHash key that the operating system's random numbers seeded.
        LabelHasher { keys: std::array::from_fn(|_| RandomState::new().build_hasher().finish() | 1) }
    }

    /// The hash of `bytes`.
    pub(crate) fn hash(&self, domain: Domain, bytes: &[u8]) -> u128 {
        let [k0, k1, k2, k3, k4, k5] = self.keys;
        let mut a = k0 ^ domain as u64;
        let mut b = k1 ^ bytes.len() as u64;
        // Two lanes read the same words under different keys; each step folds a 128-bit product, as wyhash does.
        let mut blocks = bytes.chunks_exact(16);
        for block in &mut blocks {
            let (low, high) = words(block);
            a = fold(a ^ low, k2 ^ high);
            b = fold(b ^ high, k3 ^ low);
        }
        let rest = blocks.remainder();
        if !rest.is_empty() {
            // The last 16 bytes, where there are as many: that some are read twice is no matter, the length is hashed too.
            let mut block = [0; 16];
            match bytes.last_chunk() {
                Some(last) => block = *last,
                None => block[..rest.len()].copy_from_slice(rest),
            }
            let (low, high) = words(&block);
            a = fold(a ^ low, k2 ^ high);
            b = fold(b ^ high, k3 ^ low);
        }
        u128::from(fold(a ^ k4, b ^ k2)) << 64 | u128::from(fold(b ^ k5, a ^ k3))
    }
}

impl std::fmt::Debug for LabelHasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LabelHasher(secret key)")
    }
}

fn words(block: &[u8]) -> (u64, u64) {
    let word = |at: usize| u64::from_le_bytes(block[at..at + 8].try_into().expect("BUG: a block has 16 bytes"));
    (word(0), word(8))
}

fn fold(x: u64, y: u64) -> u64 {
    let product = u128::from(x) * u128::from(y);
    (product >> 64) as u64 ^ product as u64
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn similar_texts_have_different_hashes() {
        let hasher = LabelHasher::new();
        let mut seen = HashSet::new();
        let (mut low, mut high) = (HashSet::new(), HashSet::new());
        for n in 0..20_000_u32 {
            for text in [format!("job=\"node\",instance=\"{n}\""), format!("{n:0>40}"), format!("{n}-{:0>40}", "x")] {
                let hash = hasher.hash(Domain::RemoteWrite, text.as_bytes());
                assert!(seen.insert(hash), "{text}");
                assert!(low.insert(hash as u64) && high.insert((hash >> 64) as u64), "{text}");
            }
        }
        for zeros in 0..100 {
            assert!(seen.insert(hasher.hash(Domain::RemoteWrite, &vec![0; zeros])), "{zeros}");
        }
    }

    #[test]
    fn key_and_domain_matter() {
        let (a, b) = (LabelHasher::new(), LabelHasher::new());
        assert_ne!(a.hash(Domain::OtlpMetric, b"x"), b.hash(Domain::OtlpMetric, b"x"));
        assert_ne!(a.hash(Domain::OtlpMetric, b"x"), a.hash(Domain::RemoteWrite, b"x"));
        assert_eq!(a.hash(Domain::OtlpMetric, b"x"), a.clone().hash(Domain::OtlpMetric, b"x"));
    }
}
