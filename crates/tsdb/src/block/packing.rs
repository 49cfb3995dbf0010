//! Pages of a block as they lie in its file: compressed where that makes them smaller.

use crate::codec::DecodeError;

/// Levels above take several times as long for a percent or two.
const ZSTD_LEVEL: i32 = 3;

/// Compresses pages, one after the other.
pub(crate) struct Packer {
    zstd: zstd::bulk::Compressor<'static>,
    packed: Vec<u8>,
}

impl Packer {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Packer { zstd: zstd::bulk::Compressor::new(ZSTD_LEVEL)?, packed: Vec::new() })
    }

    /// The bytes of a page as they are written: compressed, or `None` where that saves less than a sixteenth, so that
    /// what an entropy coder wrote is not unpacked in vain at each reading.
    pub(crate) fn pack(&mut self, page: &[u8]) -> Option<&[u8]> {
        self.packed.resize(zstd::zstd_safe::compress_bound(page.len()), 0);
        let n = self.zstd.compress_to_buffer(page, self.packed.as_mut_slice()).ok()?;
        (n < page.len() - page.len() / 16).then_some(&self.packed[..n])
    }
}

impl std::fmt::Debug for Packer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Packer")
    }
}

/// The page of `unpacked` bytes that was compressed to these. The caller has bounded `unpacked`.
pub(crate) fn unpack(packed: &[u8], unpacked: u32) -> Result<Vec<u8>, DecodeError> {
    match zstd::bulk::decompress(packed, unpacked as usize) {
        Ok(page) if page.len() == unpacked as usize => Ok(page),
        _ => Err(DecodeError::Inconsistent { what: "a page cannot be unpacked" }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pages_come_back(page in prop::collection::vec(0u8..4, 0..3000)) {
            let mut packer = Packer::new().unwrap();
            if let Some(packed) = packer.pack(&page) {
                prop_assert!(packed.len() < page.len());
                prop_assert_eq!(&unpack(packed, page.len() as u32).unwrap(), &page);
                prop_assert!(unpack(packed, page.len() as u32 - 1).is_err());
                prop_assert!(unpack(packed, page.len() as u32 + 1).is_err());
            }
        }

        #[test]
        fn any_bytes_are_taken_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), n in 0u32..1 << 20) {
            let _ = unpack(&bytes, n);
        }
    }
}
