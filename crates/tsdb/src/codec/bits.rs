//! Bits in a byte buffer, high bits first.

use super::DecodeError;

/// Appends bits to a buffer. What remains of the last byte is zero.
#[derive(Debug)]
pub(crate) struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    pending: u64,
    filled: u32,
}

impl<'a> BitWriter<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        BitWriter { out, pending: 0, filled: 0 }
    }

    /// Appends the low `n` bits of `value`, `n` up to 64.
    pub(crate) fn put(&mut self, value: u64, n: u32) {
        if n > 32 {
            self.put_short(value >> 32, n - 32);
            self.put_short(value & 0xffff_ffff, 32);
        } else {
            self.put_short(value, n);
        }
    }

    fn put_short(&mut self, value: u64, n: u32) {
        if n == 0 {
            return;
        }
        self.pending = self.pending << n | (value & (u64::MAX >> (64 - n)));
        self.filled += n;
        while self.filled >= 8 {
            self.filled -= 8;
            self.out.push((self.pending >> self.filled) as u8);
        }
    }

    /// Writes out the last byte.
    pub(crate) fn finish(self) {
        if self.filled > 0 {
            self.out.push((self.pending << (8 - self.filled)) as u8);
        }
    }
}

/// Reads what [`BitWriter`] wrote.
#[derive(Debug)]
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    pending: u64,
    filled: u32,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        BitReader { bytes, pending: 0, filled: 0 }
    }

    #[inline]
    pub(crate) fn bit(&mut self) -> Result<bool, DecodeError> {
        Ok(self.get_short(1)? == 1)
    }

    /// The next `n` bits, `n` up to 64.
    #[inline]
    pub(crate) fn get(&mut self, n: u32) -> Result<u64, DecodeError> {
        if n > 32 { Ok(self.get_short(n - 32)? << 32 | self.get_short(32)?) } else { self.get_short(n) }
    }

    #[inline]
    fn get_short(&mut self, n: u32) -> Result<u64, DecodeError> {
        if n == 0 {
            return Ok(0);
        }
        while self.filled < n {
            let (byte, rest) = self.bytes.split_first().ok_or(DecodeError::Truncated)?;
            self.bytes = rest;
            self.pending = self.pending << 8 | u64::from(*byte);
            self.filled += 8;
        }
        self.filled -= n;
        Ok(self.pending >> self.filled & (u64::MAX >> (64 - n)))
    }
}
