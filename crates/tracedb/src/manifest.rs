//! What the manifest of the store says. See docs/format/trace-block.md.

use sonde_disk::blocks::manifest::{decode, encode};

use crate::codec::DecodeError;

const MAGIC: [u8; 8] = *b"SONDETRM";

/// Which blocks count, and up to which flush the WAL has become blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// All flushes up to this one are in blocks.
    pub(crate) flushed: u64,
    /// All batches before this position are in blocks.
    pub(crate) position: u64,
    /// The numbers of the blocks, growing.
    pub(crate) blocks: Vec<u64>,
}

impl Manifest {
    pub(crate) fn encode(&self) -> Vec<u8> {
        encode(MAGIC, &[self.flushed, self.position], &self.blocks)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let ([flushed, position], blocks) = decode(MAGIC, bytes)?;
        Ok(Manifest { flushed, position, blocks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_comes_back() {
        let manifest = Manifest { flushed: 9, position: 70, blocks: vec![1, 300] };
        let bytes = manifest.encode();
        assert_eq!(bytes[..18], *b"SONDETRM\x01\0\0\0\x09\x46\x02\x01\xab\x02");
        assert_eq!(Manifest::decode(&bytes), Ok(manifest));
    }
}
