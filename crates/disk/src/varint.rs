//! Variable-length integers (LEB128), zigzag, strings, and the reader that checks every bound.
//!
//! Every format of a store is built of these. Nothing that is read can make the reader panic, and no count it gives
//! can be larger than what is left to read.

use thiserror::Error;

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The bytes end in the middle of a value.
    #[error("the bytes end too early")]
    Truncated,
    /// A number does not fit.
    #[error("a number is out of range")]
    OutOfRange,
    /// A codec, kind or version that this program does not know.
    #[error("unknown {what} {value}")]
    Unknown {
        /// What it is.
        what: &'static str,
        /// The byte that was found.
        value: u8,
    },
    /// A count or length is over its bound.
    #[error("{what} is over its bound")]
    TooLarge {
        /// What is too large.
        what: &'static str,
    },
    /// Text is not UTF-8.
    #[error("text is not UTF-8")]
    NotUtf8,
    /// The content contradicts itself.
    #[error("{what}")]
    Inconsistent {
        /// What does not hold.
        what: &'static str,
    },
}

/// Appends an unsigned integer: seven bits a byte, low ones first.
#[inline]
pub fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed integer in zigzag form.
#[inline]
pub fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, zigzag(value));
}

/// Appends a length and the bytes of a text.
pub fn put_str(out: &mut Vec<u8>, text: &str) {
    put(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// How many bytes `put` would append.
#[inline]
pub fn len(value: u64) -> usize {
    (63 - (value | 1).leading_zeros() as usize) / 7 + 1
}

/// Maps small numbers of either sign to small unsigned ones.
#[inline]
pub fn zigzag(value: i64) -> u64 {
    (value.wrapping_shl(1) ^ (value >> 63)) as u64
}

/// The inverse of `zigzag`.
#[inline]
pub fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Reads values from a slice, from front to back.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from the first byte on.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes }
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether all has been read.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// One byte.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        let (first, rest) = self.bytes.split_first().ok_or(DecodeError::Truncated)?;
        self.bytes = rest;
        Ok(*first)
    }

    /// The next `n` bytes.
    #[inline]
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.bytes.split_at_checked(n).ok_or(DecodeError::Truncated)?;
        self.bytes = rest;
        Ok(taken)
    }

    /// The next `N` bytes.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.bytes.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        self.bytes = rest;
        Ok(*taken)
    }

    /// Four bytes, the low one first.
    #[inline]
    pub fn u32_le(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    /// Eight bytes, the low one first.
    #[inline]
    pub fn u64_le(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }

    /// What `put` appended.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, DecodeError> {
        if let Some((&first, rest)) = self.bytes.split_first()
            && first < 0x80
        {
            self.bytes = rest;
            return Ok(u64::from(first));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0;
        for (i, &byte) in self.bytes.iter().enumerate().take(10) {
            if i == 9 && byte > 1 {
                return Err(DecodeError::OutOfRange);
            }
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                self.bytes = &self.bytes[i + 1..];
                return Ok(value);
            }
        }
        Err(if self.bytes.len() < 10 { DecodeError::Truncated } else { DecodeError::OutOfRange })
    }

    /// What `put_signed` appended.
    #[inline]
    pub fn signed(&mut self) -> Result<i64, DecodeError> {
        self.varint().map(unzigzag)
    }

    /// What `put` appended, if it fits into 32 bits.
    #[inline]
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        u32::try_from(self.varint()?).map_err(|_| DecodeError::OutOfRange)
    }

    /// A count of things of which each takes at least `min_bytes` of what is left: no claim can be larger than that.
    pub fn count(&mut self, min_bytes: usize, what: &'static str) -> Result<usize, DecodeError> {
        let n = usize::try_from(self.varint()?).map_err(|_| DecodeError::TooLarge { what })?;
        if n.checked_mul(min_bytes).is_none_or(|bytes| bytes > self.bytes.len()) {
            return Err(DecodeError::TooLarge { what });
        }
        Ok(n)
    }

    /// What `put_str` appended.
    pub fn str(&mut self) -> Result<&'a str, DecodeError> {
        let n = self.count(1, "a text")?;
        std::str::from_utf8(self.take(n)?).map_err(|_| DecodeError::NotUtf8)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn integers_are_lossless(ints in prop::collection::vec(any::<i64>(), 1..50)) {
            let mut bytes = Vec::new();
            for i in &ints {
                let before = bytes.len();
                put_signed(&mut bytes, *i);
                prop_assert_eq!(bytes.len() - before, len(zigzag(*i)));
            }
            let mut reader = Reader::new(&bytes);
            for i in &ints {
                prop_assert_eq!(reader.signed().unwrap(), *i);
            }
        }

        #[test]
        fn any_bytes_are_taken_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut reader = Reader::new(&bytes);
            while reader.varint().is_ok() {}
            let _ = reader.str();
            if let Ok(n) = reader.count(2, "pairs") {
                prop_assert!(2 * n <= reader.rest().len());
            }
        }
    }
}
