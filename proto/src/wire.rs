//! The protobuf wire format: a cursor over fields that borrows, checks every length and never recurses.
//!
//! Groups are refused: no format here has them, and skipping them would need a stack.

/// The bytes are not a protobuf message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The message ends in the middle of a field.
    #[error("the message is truncated")]
    Truncated,
    /// A varint has more than ten bytes or does not fit 64 bits.
    #[error("a varint is longer than 64 bits")]
    Varint,
    /// A key has field number 0, a number that is too large, or a wire type that does not exist or is a group.
    #[error("a field key is invalid: {key}")]
    Key {
        /// The key as it was read.
        key: u64,
    },
    /// A known field has another wire type than the schema says.
    #[error("field {field} has the wrong wire type")]
    WireType {
        /// The number of the field.
        field: u32,
    },
    /// A string is not UTF-8.
    #[error("field {field} is not valid UTF-8")]
    Utf8 {
        /// The number of the field.
        field: u32,
    },
}

/// Walks the fields of one message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

/// One field of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a> {
    pub(crate) number: u32,
    pub(crate) value: Value<'a>,
}

/// The value of a field, by wire type.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

/// The key of a field of bytes whose number is below 16, as [`Fields::skip_run`] wants it.
pub(crate) const fn bytes_key(number: u32) -> u8 {
    debug_assert!(number < 16, "the key has two bytes");
    (number << 3 | 2) as u8
}

impl<'a> Fields<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Fields { rest: message }
    }

    /// What has not been read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next field, or `None` at the end of the message.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<Field<'a>>, WireError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).map_err(|_| WireError::Key { key })?;
        if number == 0 || key > u64::from(u32::MAX) {
            return Err(WireError::Key { key });
        }
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| WireError::Truncated)?;
                let (value, rest) = self.rest.split_at_checked(length).ok_or(WireError::Truncated)?;
                self.rest = rest;
                Value::Bytes(value)
            }
            5 => {
                self.array::<4>()?;
                Value::Fixed32
            }
            _ => return Err(WireError::Key { key }),
        };
        Ok(Some(Field { number, value }))
    }

    /// Passes over fields of bytes and counts them: those from here on whose key is this one byte and whose length is below
    /// 2^14, as that of nearly all messages which repeat. Stops at anything else.
    #[inline]
    pub(crate) fn skip_run(&mut self, key: u8) -> Result<usize, WireError> {
        let mut count = 0;
        loop {
            let (length, tail) = match *self.rest {
                [first, length @ 0..0x80, ref tail @ ..] if first == key => (usize::from(length), tail),
                [first, low, high @ 0..0x80, ref tail @ ..] if first == key => {
                    (usize::from(low & 0x7f) | usize::from(high) << 7, tail)
                }
                _ => return Ok(count),
            };
            self.rest = tail.get(length..).ok_or(WireError::Truncated)?;
            count += 1;
        }
    }

    /// A varint that stands by itself, as packed fields have them.
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, WireError> {
        match *self.rest {
            [first @ 0..0x80, ref rest @ ..] => {
                self.rest = rest;
                Ok(u64::from(first))
            }
            _ => self.long_varint(),
        }
    }

    /// A varint of several bytes: up to eight are taken together where as many are left.
    #[inline(never)]
    fn long_varint(&mut self) -> Result<u64, WireError> {
        const ENDS: u64 = 0x8080_8080_8080_8080;
        if let Some(&word) = self.rest.first_chunk::<8>() {
            let word = u64::from_le_bytes(word);
            let ends = !word & ENDS;
            if ends != 0 {
                // The bits up to the first byte that ends a varint, without those that say that it goes on; then pairs,
                // fours and eights of seven bits are pushed together.
                let last = ends & ends.wrapping_neg();
                let v = word & (last | (last - 1)) & !ENDS;
                let v = (v & 0x007f_007f_007f_007f) | (v & 0x7f00_7f00_7f00_7f00) >> 1;
                let v = (v & 0x0000_3fff_0000_3fff) | (v & 0x3fff_0000_3fff_0000) >> 2;
                let v = (v & 0x0000_0000_0fff_ffff) | (v & 0x0fff_ffff_0000_0000) >> 4;
                self.rest = &self.rest[last.trailing_zeros() as usize / 8 + 1..];
                return Ok(v);
            }
        }
        let mut value = 0u64;
        for (i, &byte) in self.rest.iter().take(10).enumerate() {
            if i == 9 && byte > 1 {
                return Err(WireError::Varint);
            }
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                self.rest = &self.rest[i + 1..];
                return Ok(value);
            }
        }
        Err(if self.rest.len() < 10 { WireError::Truncated } else { WireError::Varint })
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (value, rest) = self.rest.split_first_chunk::<N>().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(*value)
    }
}

impl<'a> Field<'a> {
    #[inline]
    pub(crate) fn bytes(&self) -> Result<&'a [u8], WireError> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(self.wrong_type()),
        }
    }

    #[inline]
    pub(crate) fn string(&self) -> Result<&'a str, WireError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| WireError::Utf8 { field: self.number })
    }

    #[inline]
    pub(crate) fn uint(&self) -> Result<u64, WireError> {
        match self.value {
            Value::Varint(value) => Ok(value),
            _ => Err(self.wrong_type()),
        }
    }

    /// An `int64`.
    #[inline]
    pub(crate) fn int(&self) -> Result<i64, WireError> {
        self.uint().map(u64::cast_signed)
    }

    /// A `sint32`: zigzag, of which protobuf takes the low 32 bits.
    pub(crate) fn zigzag32(&self) -> Result<i32, WireError> {
        let value = self.uint()? as u32;
        Ok((value >> 1).cast_signed() ^ -((value & 1).cast_signed()))
    }

    #[inline]
    pub(crate) fn double(&self) -> Result<f64, WireError> {
        match self.value {
            Value::Fixed64(bits) => Ok(f64::from_bits(bits)),
            _ => Err(self.wrong_type()),
        }
    }

    pub(crate) fn wrong_type(&self) -> WireError {
        WireError::WireType { field: self.number }
    }
}

/// Undoes the zigzag encoding of a `sint64`.
pub(crate) fn zigzag64(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn varints_agree_with_prost() {
        let around =
            (0..64).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit, (1 << bit) + 1, 0x5555_5555_5555_5555 >> bit]);
        for value in around.chain([300, u64::MAX - 1, u64::MAX]) {
            let mut bytes = Vec::new();
            prost::encoding::encode_varint(value, &mut bytes);
            assert_eq!(Fields::new(&bytes).varint(), Ok(value));
            assert_eq!(Fields::new(&bytes[..bytes.len() - 1]).varint(), Err(WireError::Truncated));
            for after in [0x00, 0x7f, 0x80, 0xff] {
                let mut more = bytes.clone();
                more.resize(bytes.len() + 12, after);
                let mut fields = Fields::new(&more);
                assert_eq!((fields.varint(), fields.rest().len()), (Ok(value), 12), "{value} before {after}");
            }
        }
        assert_eq!(Fields::new(&[0xff; 10]).varint(), Err(WireError::Varint));
    }

    /// A field of bytes.
    fn field(key: u8, length: usize) -> Vec<u8> {
        let mut bytes = vec![key];
        prost::encoding::encode_varint(length as u64, &mut bytes);
        bytes.resize(bytes.len() + length, key);
        bytes
    }

    #[test]
    fn a_run_ends_where_the_fields_change() {
        let run = [field(0x3a, 0), field(0x3a, 127), field(0x3a, 128), field(0x3a, 16_383)].concat();
        let check = |rest: Vec<u8>, expected: Result<usize, WireError>| {
            let all = [run.clone(), rest.clone()].concat();
            let mut fields = Fields::new(&all);
            assert_eq!(fields.skip_run(0x3a), expected);
            if expected.is_ok() {
                assert_eq!(fields.rest(), rest);
            }
        };
        check(vec![], Ok(4));
        check(field(0x32, 3), Ok(4));
        check(field(0x3a, 16_384), Ok(4));
        check(vec![0x3a], Ok(4));
        check(vec![0x3a, 0x80], Ok(4));
        check(vec![0x3a, 2, 0], Err(WireError::Truncated));
        check(vec![0x3a, 0x80, 1, 0], Err(WireError::Truncated));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut fields = Fields::new(&bytes);
            let mut read = 0;
            while let Ok(Some(_)) = fields.next() {
                read += 1;
            }
            prop_assert!(read <= bytes.len() / 2);
        }

        #[test]
        fn zigzag_agrees_with_its_definition(n: i64) {
            prop_assert_eq!(zigzag64(((n << 1) ^ (n >> 63)).cast_unsigned()), n);
        }
    }
}
