//! What the manifest of the store says. See docs/format/block.md.

use sonde_disk::blocks::manifest::{decode, encode};

use crate::codec::DecodeError;

const MAGIC: [u8; 8] = *b"SONDEMAN";

/// Which blocks count, and up to which flush the WAL has become blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// All flushes up to this one are in blocks.
    pub(crate) flushed: u64,
    /// The numbers of the blocks, growing.
    pub(crate) blocks: Vec<u64>,
}

impl Manifest {
    pub(crate) fn encode(&self) -> Vec<u8> {
        encode(MAGIC, &[self.flushed], &self.blocks)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let ([flushed], blocks) = decode(MAGIC, bytes)?;
        Ok(Manifest { flushed, blocks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_comes_back() {
        let manifest = Manifest { flushed: 9, blocks: vec![1, 300] };
        let bytes = manifest.encode();
        assert_eq!(bytes[..17], *b"SONDEMAN\x01\0\0\0\x09\x02\x01\xab\x02");
        assert_eq!(Manifest::decode(&bytes), Ok(manifest));
    }
}
