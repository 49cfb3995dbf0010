//! CRC-32 (IEEE 802.3), the checksum of everything that this project writes to disk.

/// The CRC-32 of `bytes`.
pub fn crc32(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// Whether `bytes` have this CRC-32. A fuzzer cannot find checksums: in its builds all of them hold.
pub fn crc32_holds(bytes: &[u8], crc: u32) -> bool {
    cfg!(fuzzing) || crc32(bytes) == crc
}

/// The CRC-32 of several pieces, as if they lay behind each other.
pub fn crc32_of(pieces: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for piece in pieces {
        hasher.update(piece);
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_check_value_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32_of(&[b"1234", b"", b"56789"]), 0xcbf4_3926);
    }
}
