//! A Bloom filter over the texts of a block: what it denies is not there.

/// Bits of the filter while it is filled. It is folded as far as that costs little.
const MAX_BITS: usize = 1 << 24;
const MIN_BITS: usize = 1 << 10;
/// Bits that each text sets.
const HASHES: u64 = 5;

/// What a text is the value of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    Name = 1,
    StatusMessage = 2,
    Span = 3,
    Event = 4,
    Link = 5,
}

/// A Bloom filter; its number of bits is a power of two.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bloom {
    words: Vec<u64>,
}

/// FNV-1a over space, key, a separator and text, finished with the mixer of SplitMix64. Part of the format.
pub(crate) fn hash(space: Space, key: &str, text: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let bytes = [space as u8].into_iter().chain(key.bytes()).chain([0xff]).chain(text.bytes());
    for byte in bytes {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

impl Bloom {
    /// An empty filter of full size.
    pub(crate) fn new() -> Self {
        Bloom { words: vec![0; MAX_BITS / 64] }
    }

    pub(crate) fn insert(&mut self, hash: u64) {
        for bit in bits(hash, self.words.len()) {
            self.words[bit / 64] |= 1 << (bit % 64);
        }
    }

    /// Whether it may have been inserted.
    pub(crate) fn contains(&self, hash: u64) -> bool {
        bits(hash, self.words.len()).all(|bit| self.words[bit / 64] >> (bit % 64) & 1 == 1)
    }

    /// The bytes of the filter, folded while at most half of the bits are set; nothing if it is too full to be of use.
    pub(crate) fn finish(mut self) -> Option<Vec<u8>> {
        let ones = |words: &[u64]| words.iter().map(|w| w.count_ones() as usize).sum::<usize>();
        if ones(&self.words) * 4 > self.words.len() * 64 * 3 {
            return None;
        }
        while self.words.len() * 64 > MIN_BITS {
            let (low, high) = self.words.split_at(self.words.len() / 2);
            let folded: Vec<u64> = low.iter().zip(high).map(|(a, b)| a | b).collect();
            if ones(&folded) * 2 > folded.len() * 64 {
                break;
            }
            self.words = folded;
        }
        Some(self.words.iter().flat_map(|w| w.to_le_bytes()).collect())
    }

    /// Reads a filter; `None` if it has no size that a filter can have.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<8>();
        let valid = rest.is_empty() && words.len().is_power_of_two() && words.len() * 64 <= MAX_BITS;
        valid.then(|| Bloom { words: words.iter().map(|w| u64::from_le_bytes(*w)).collect() })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.words.len() * 8
    }
}

fn bits(hash: u64, words: usize) -> impl Iterator<Item = usize> {
    let step = (hash >> 32) | 1;
    (0..HASHES).map(move |i| hash.wrapping_add(step.wrapping_mul(i)) as usize & (words * 64 - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_inserted_is_found_after_folding_and_little_else() {
        for n in [0, 10, 1_000, 300_000] {
            let mut bloom = Bloom::new();
            (0..n).for_each(|i| bloom.insert(hash(Space::Span, "key", &i.to_string())));
            let bytes = bloom.finish().expect("it is not full");
            let bloom = Bloom::read(&bytes).expect("it is one");
            assert!((0..n).all(|i| bloom.contains(hash(Space::Span, "key", &i.to_string()))), "{n}");
            let false_hits = (0..10_000).filter(|i| bloom.contains(hash(Space::Name, "key", &i.to_string()))).count();
            assert!(false_hits < 500, "{n}: {false_hits}");
            assert!(bytes.len() <= 256 + n * 4, "{n}: {}", bytes.len());
        }
    }
}
