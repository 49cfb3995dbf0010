//! The list of blocks that count, with the marks that a store keeps beside it. See docs/format/block.md.
//!
//! It is replaced atomically: a flush or a merge has happened when the manifest says so, whatever files there are.

use crate::Frame;
use crate::varint::{DecodeError, put};

const VERSION: u32 = 1;
/// A manifest over this is refused: it would list a million blocks.
pub const MAX_BYTES: u64 = 16 << 20;

/// The bytes of a manifest. `magic` names the store, `marks` are numbers that it alone understands, `blocks` the
/// numbers of its blocks, growing.
pub fn encode(magic: [u8; 8], marks: &[u64], blocks: &[u64]) -> Vec<u8> {
    Frame { magic, version: VERSION }.write(|out| {
        for mark in marks {
            put(out, *mark);
        }
        put(out, blocks.len() as u64);
        let mut before = 0;
        for seq in blocks {
            put(out, seq - before);
            before = *seq;
        }
    })
}

/// The marks and the blocks that `encode` was given.
pub fn decode<const MARKS: usize>(magic: [u8; 8], bytes: &[u8]) -> Result<([u64; MARKS], Vec<u64>), DecodeError> {
    let (_, mut reader) = Frame { magic, version: VERSION }.read(bytes)?;
    let mut marks = [0; MARKS];
    for mark in &mut marks {
        *mark = reader.varint()?;
    }
    let mut blocks = Vec::new();
    let mut seq = 0u64;
    for _ in 0..reader.count(1, "blocks")? {
        seq = seq.checked_add(reader.varint()?).ok_or(DecodeError::OutOfRange)?;
        blocks.push(seq);
    }
    Ok((marks, blocks))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAGIC: [u8; 8] = *b"SONDETST";

    #[test]
    fn a_manifest_comes_back_and_damage_is_noticed() {
        let (marks, blocks) = ([9, 70], vec![1, 2, 300, 70_000]);
        let bytes = encode(MAGIC, &marks, &blocks);
        assert_eq!(decode(MAGIC, &bytes), Ok((marks, blocks)));
        assert!(decode::<2>(*b"SONDEOTH", &bytes).is_err(), "a manifest of another store");
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(decode::<2>(MAGIC, &damaged).is_err(), "byte {at}");
        }
    }

    /// Files of earlier programs must stay readable: the bytes are written out here.
    #[test]
    fn the_bytes_are_those_of_the_format() {
        let bytes = encode(MAGIC, &[9], &[1, 300]);
        assert_eq!(bytes[..17], *b"SONDETST\x01\0\0\0\x09\x02\x01\xab\x02");
        assert_eq!(bytes[17..], crc32fast::hash(&bytes[..17]).to_le_bytes());
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_without_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut all = MAGIC.to_vec();
            all.extend_from_slice(&VERSION.to_le_bytes());
            all.append(&mut bytes);
            all.extend_from_slice(&crc32fast::hash(&all).to_le_bytes());
            let _ = decode::<1>(MAGIC, &all);
        }
    }
}
