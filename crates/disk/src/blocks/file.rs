//! The frame of a block file: a header, pages and a footer with checksums, a trailer that says where the footer lies.
//!
//! The outer error of what is read is that of the file system, the inner one says what is wrong with the bytes.

use std::io;

use crate::File;
use crate::checksum::crc32_holds;
use crate::varint::DecodeError;

/// Magic, version, four reserved bytes.
pub const HEADER_LEN: usize = 16;

/// The header of a block file.
pub fn header(magic: [u8; 8], version: u32) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..8].copy_from_slice(&magic);
    header[8..12].copy_from_slice(&version.to_le_bytes());
    header
}

/// The trailer of a file of `file_len` bytes that begins with `magic`.
pub fn read_trailer<const TRAILER_LEN: usize>(
    file: &dyn File,
    file_len: u64,
    magic: [u8; 8],
) -> io::Result<Result<[u8; TRAILER_LEN], DecodeError>> {
    if file_len < (HEADER_LEN + TRAILER_LEN) as u64 {
        return Ok(Err(DecodeError::Truncated));
    }
    let mut header = [0; HEADER_LEN];
    file.read_exact_at(&mut header, 0)?;
    if header[..8] != magic {
        return Ok(Err(DecodeError::Inconsistent { what: "the file does not begin as a block does" }));
    }
    let mut trailer = [0; TRAILER_LEN];
    file.read_exact_at(&mut trailer, file_len - TRAILER_LEN as u64)?;
    Ok(Ok(trailer))
}

/// Bytes with a checksum. `damage` is what is said if it does not hold. The caller has bounded `len`.
pub fn read_checked(
    file: &dyn File,
    offset: u64,
    len: u32,
    crc: u32,
    damage: &'static str,
) -> io::Result<Result<Vec<u8>, DecodeError>> {
    let mut bytes = vec![0; len as usize];
    file.read_exact_at(&mut bytes, offset)?;
    if !crc32_holds(&bytes, crc) {
        return Ok(Err(DecodeError::Inconsistent { what: damage }));
    }
    Ok(Ok(bytes))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{Fs, MemFs};

    #[test]
    fn what_is_short_foreign_or_damaged_is_told() {
        const MAGIC: [u8; 8] = *b"SONDETST";
        let fs = MemFs::new();
        let file = fs.create(Path::new("block")).unwrap();
        let read = |len| read_trailer::<4>(file.as_ref(), len, MAGIC).unwrap();
        file.write_at(&header(MAGIC, 1), 0).unwrap();
        assert_eq!(read(16), Err(DecodeError::Truncated));
        file.write_at(b"pagetail", 16).unwrap();
        assert_eq!(read(24), Ok(*b"tail"));
        let page = |crc| read_checked(file.as_ref(), 16, 4, crc, "damaged").unwrap();
        assert_eq!(page(crc32fast::hash(b"page")), Ok(b"page".to_vec()));
        assert_eq!(page(1), Err(DecodeError::Inconsistent { what: "damaged" }));
        file.write_at(b"x", 0).unwrap();
        assert!(matches!(read(24), Err(DecodeError::Inconsistent { .. })));
    }
}
