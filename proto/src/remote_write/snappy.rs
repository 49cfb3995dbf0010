//! The snappy block around a request, decompressed only after its declared length was judged.

use super::DecodeError;

/// No snappy block grows more than this: a copy element of three bytes yields up to 64.
const MAX_EXPANSION: usize = 22;

/// Decompresses a snappy block of at most `max_bytes` after decompression into `out`, whose length is then what came out
/// and whose content before does not matter: who uses the same memory again spares the zeros that are written first.
///
/// The declared length is checked before memory is reserved: against the limit, and against what the compressed
/// bytes could hold at all, so that a few bytes cannot ask for the whole limit.
pub fn decompress_into(block: &[u8], max_bytes: usize, out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let broken = |e: snap::Error| DecodeError::Snappy { reason: e.to_string() };
    let declared = snap::raw::decompress_len(block).map_err(broken)?;
    DecodeError::check("bytes", declared, max_bytes)?;
    if declared > block.len().saturating_mul(MAX_EXPANSION) {
        return Err(DecodeError::Snappy {
            reason: format!("{} bytes cannot hold the declared {declared}", block.len()),
        });
    }
    out.resize(declared, 0);
    let length = snap::raw::Decoder::new().decompress(block, out).map_err(broken)?;
    out.truncate(length);
    Ok(())
}

/// The same into memory of its own.
pub fn decompress(block: &[u8], max_bytes: usize) -> Result<Vec<u8>, DecodeError> {
    let mut out = Vec::new();
    decompress_into(block, max_bytes, &mut out)?;
    Ok(out)
}

/// Compresses `body` into a snappy block.
pub fn compress(body: &[u8]) -> Result<Vec<u8>, DecodeError> {
    snap::raw::Encoder::new().compress_vec(body).map_err(|e| DecodeError::Snappy { reason: e.to_string() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(block: &[u8], max_bytes: usize, expected: Result<&[u8], &str>) {
        let mut used = vec![0xaa; 1_000];
        let again = decompress_into(block, max_bytes, &mut used).map(|()| used);
        assert_eq!(again.ok(), decompress(block, max_bytes).ok());
        match (decompress(block, max_bytes), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(e), Err(part)) => assert!(e.to_string().contains(part), "{e}"),
            (found, expected) => panic!("found {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn the_declared_length_is_judged_first() {
        let zeros = vec![0; 100_000];
        let block = compress(&zeros).unwrap();
        check(&block, 100_000, Ok(&zeros));
        check(&block, 99_999, Err("100000 bytes, the limit is 99999"));
        check(&[0xff, 0xff, 0xff, 0x07, 0], usize::MAX, Err("cannot hold the declared"));
        check(&[0xff; 12], usize::MAX, Err("not a snappy block"));
        check(&block[..block.len() - 1], 100_000, Err("not a snappy block"));
        check(&[], 10, Err("not a snappy block"));
    }

    proptest! {
        #[test]
        fn what_is_compressed_decompresses(body in prop::collection::vec(0u8..4, 0..5000)) {
            prop_assert_eq!(decompress(&compress(&body).unwrap(), 5000), Ok(body));
        }

        #[test]
        fn arbitrary_bytes_never_panic(block in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(body) = decompress(&block, 1 << 20) {
                prop_assert!(body.len() <= block.len() * MAX_EXPANSION);
            }
        }
    }
}
