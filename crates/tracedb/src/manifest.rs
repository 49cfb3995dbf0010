//! The list of blocks that count, and up to which flush the WAL has become blocks. See docs/format/trace-block.md.
//!
//! It is replaced atomically: a flush or a merge has happened when the manifest says so, whatever files there are.

use crate::codec::DecodeError;
use crate::codec::varint::{Reader, put};

const MAGIC: [u8; 8] = *b"SONDETRM";
const VERSION: u32 = 1;
/// A manifest over this is refused: it would list a million blocks.
pub(crate) const MAX_BYTES: u64 = 16 << 20;

/// What the manifest says.
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
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&VERSION.to_le_bytes());
        put(&mut out, self.flushed);
        put(&mut out, self.position);
        put(&mut out, self.blocks.len() as u64);
        let mut before = 0;
        for seq in &self.blocks {
            put(&mut out, seq - before);
            before = *seq;
        }
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (body, crc) = bytes.split_last_chunk::<4>().ok_or(DecodeError::Truncated)?;
        if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
            return Err(DecodeError::Inconsistent { what: "the checksum of the manifest does not hold" });
        }
        let mut reader = Reader::new(body);
        if reader.array()? != MAGIC {
            return Err(DecodeError::Inconsistent { what: "the file does not begin as a manifest does" });
        }
        let version = reader.u32_le()?;
        if version != VERSION {
            return Err(DecodeError::Unknown { what: "manifest version", value: version.min(255) as u8 });
        }
        let (flushed, position) = (reader.varint()?, reader.varint()?);
        let mut blocks = Vec::new();
        let mut seq = 0u64;
        for _ in 0..reader.count(1, "blocks")? {
            seq = seq.checked_add(reader.varint()?).ok_or(DecodeError::OutOfRange)?;
            blocks.push(seq);
        }
        Ok(Manifest { flushed, position, blocks })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_manifest_comes_back_and_damage_is_noticed() {
        let manifest = Manifest { flushed: 9, position: 70, blocks: vec![1, 2, 300, 70_000] };
        let bytes = manifest.encode();
        assert_eq!(Manifest::decode(&bytes), Ok(manifest));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(Manifest::decode(&damaged).is_err(), "byte {at}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_without_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut all = MAGIC.to_vec();
            all.extend_from_slice(&VERSION.to_le_bytes());
            all.append(&mut bytes);
            all.extend_from_slice(&crc32fast::hash(&all).to_le_bytes());
            let _ = Manifest::decode(&all);
        }
    }
}
