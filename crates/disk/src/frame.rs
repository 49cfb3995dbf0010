//! The frame of small files that are written and read as a whole: magic, u32 version, body, u32 CRC-32 of all before.

use crate::checksum::crc32_holds;
use crate::varint::{DecodeError, Reader};

/// What the bytes of a kind of file begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Names the kind.
    pub magic: [u8; 8],
    /// The version that is written, and the newest that is read.
    pub version: u32,
}

impl Frame {
    /// The bytes of a file with the body that `body` appends.
    pub fn write(self, body: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = self.magic.to_vec();
        out.extend_from_slice(&self.version.to_le_bytes());
        body(&mut out);
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// The version and the body of a file; the checksum holds, and the version is known.
    pub fn read(self, bytes: &[u8]) -> Result<(u32, Reader<'_>), DecodeError> {
        let (content, crc) = bytes.split_last_chunk::<4>().ok_or(DecodeError::Truncated)?;
        if !crc32_holds(content, u32::from_le_bytes(*crc)) {
            return Err(DecodeError::Inconsistent { what: "the checksum of the file does not hold" });
        }
        let mut reader = Reader::new(content);
        if reader.array()? != self.magic {
            return Err(DecodeError::Inconsistent { what: "the file does not begin as one of its kind does" });
        }
        let version = reader.u32_le()?;
        if version == 0 || version > self.version {
            return Err(DecodeError::Unknown { what: "version of the file", value: version.min(255) as u8 });
        }
        Ok((version, reader))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FRAME: Frame = Frame { magic: *b"SONDETST", version: 2 };

    #[test]
    fn damage_and_other_files_are_noticed() {
        let bytes = FRAME.write(|out| out.push(7));
        assert_eq!(bytes[..13], *b"SONDETST\x02\0\0\0\x07");
        let body = |frame: Frame| frame.read(&bytes).map(|(version, reader)| (version, reader.rest().to_vec()));
        assert_eq!(body(FRAME), Ok((2, vec![7])));
        assert_eq!(body(Frame { version: 3, ..FRAME }), Ok((2, vec![7])), "older versions are read");
        assert!(body(Frame { version: 1, ..FRAME }).is_err() && body(Frame { magic: *b"SONDEOTH", ..FRAME }).is_err());
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(FRAME.read(&damaged).is_err(), "byte {at}");
            assert!(FRAME.read(&bytes[..at]).is_err(), "cut at {at}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = FRAME.read(&bytes);
        }
    }
}
