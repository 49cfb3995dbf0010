//! A stream of bits, the highest first, and the integers of variable length in it.

use super::ChunkError;

/// The stream ends before what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OutOfBits;

/// Appends bits to bytes.
#[derive(Debug, Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits of the last byte that are free.
    free: u32,
}

/// Reads bits.
#[derive(Debug)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    /// The next bit.
    at: usize,
}

/// How many bits the integers of each size code have; the code is so many ones and a zero, or eight ones.
const SIZES: [u32; 9] = [0, 3, 6, 9, 12, 18, 25, 56, 64];

/// Whether a number fits so many bits: like two's complement, with the least value given to the positive side.
pub(super) fn fits(value: i64, bits: u32) -> bool {
    -((1 << (bits - 1)) - 1) <= value && value <= 1 << (bits - 1)
}

impl BitWriter {
    /// Goes on behind whole bytes.
    pub(super) fn after(header: Vec<u8>) -> Self {
        BitWriter { bytes: header, free: 0 }
    }

    pub(super) fn bit(&mut self, bit: bool) {
        self.bits(u64::from(bit), 1);
    }

    /// The lowest `count` bits of `value`.
    pub(super) fn bits(&mut self, value: u64, count: u32) {
        let mut left = count;
        while left > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            let now = left.min(self.free);
            let part = value >> (left - now) & ((1 << now) - 1);
            let last = self.bytes.len() - 1;
            self.bytes[last] |= (part as u8) << (self.free - now);
            self.free -= now;
            left -= now;
        }
    }

    /// An integer in eight sizes.
    pub(super) fn varbit_int(&mut self, value: i64) {
        let code = match value {
            0 => 0,
            _ => (1..8).find(|code| fits(value, SIZES[*code])).unwrap_or(8),
        };
        self.sized(code, value.cast_unsigned());
    }

    /// A whole number in eight sizes.
    pub(super) fn varbit_uint(&mut self, value: u64) {
        let code = (0..8).find(|code| value >> SIZES[*code] == 0).unwrap_or(8);
        self.sized(code, value);
    }

    fn sized(&mut self, code: usize, value: u64) {
        let ones = (1u64 << code) - 1;
        match code {
            8 => self.bits(ones, 8),
            _ => self.bits(ones << 1, code as u32 + 1),
        }
        self.bits(value, SIZES[code]);
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        BitReader { bytes, at: 0 }
    }

    pub(super) fn bit(&mut self) -> Result<bool, OutOfBits> {
        Ok(self.bits(1)? == 1)
    }

    pub(super) fn bits(&mut self, count: u32) -> Result<u64, OutOfBits> {
        let mut value = 0;
        let mut left = count as usize;
        while left > 0 {
            let byte = *self.bytes.get(self.at / 8).ok_or(OutOfBits)?;
            let unread = 8 - self.at % 8;
            let now = left.min(unread);
            let part = u64::from(byte) >> (unread - now) & ((1 << now) - 1);
            value = value << now | part;
            self.at += now;
            left -= now;
        }
        Ok(value)
    }

    /// A number of so many bits that [`fits`] them.
    pub(super) fn int(&mut self, bits: u32) -> Result<i64, OutOfBits> {
        let value = self.bits(bits)?;
        let negative = bits < 64 && value > 1 << (bits - 1);
        Ok(if negative { value.cast_signed() - (1 << bits) } else { value.cast_signed() })
    }

    pub(super) fn varbit_int(&mut self) -> Result<i64, ChunkError> {
        match self.size()? {
            0 => Ok(0),
            bits => Ok(self.int(bits)?),
        }
    }

    pub(super) fn varbit_uint(&mut self) -> Result<u64, ChunkError> {
        let bits = self.size()?;
        Ok(self.bits(bits)?)
    }

    fn size(&mut self) -> Result<u32, OutOfBits> {
        let mut code = 0;
        while code < 8 && self.bit()? {
            code += 1;
        }
        Ok(SIZES[code])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn integers_come_back(skip in 0..9u32, shift in 0..64u32, value: i64) {
            let (int, uint) = (value >> shift, value.cast_unsigned() >> shift);
            let mut writer = BitWriter::default();
            writer.bits(0, skip);
            writer.varbit_int(int);
            writer.varbit_uint(uint);
            let bytes = writer.finish();
            let mut reader = BitReader::new(&bytes);
            prop_assert_eq!(reader.bits(skip), Ok(0));
            prop_assert_eq!(reader.varbit_int(), Ok(int));
            prop_assert_eq!(reader.varbit_uint(), Ok(uint));
        }
    }

    #[test]
    fn sizes_are_those_of_prometheus() {
        // -3 to 4 take five bits, -31 to 32 nine, ...
        for (value, bits) in
            [(0, 1), (4, 5), (-3, 5), (-4, 9), (32, 9), (33, 13), (131_072, 24), (131_073, 32), (i64::MIN, 72)]
        {
            let mut writer = BitWriter::default();
            writer.varbit_int(value);
            assert_eq!(8 * writer.bytes.len() - writer.free as usize, bits, "{value}");
        }
    }
}
