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

    /// A varint that stands by itself, as packed fields have them.
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, WireError> {
        let (&first, rest) = self.rest.split_first().ok_or(WireError::Truncated)?;
        if first < 0x80 {
            self.rest = rest;
            return Ok(u64::from(first));
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
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut bytes = Vec::new();
            prost::encoding::encode_varint(value, &mut bytes);
            assert_eq!(Fields::new(&bytes).varint(), Ok(value));
            assert_eq!(Fields::new(&bytes[..bytes.len() - 1]).varint(), Err(WireError::Truncated));
        }
        assert_eq!(Fields::new(&[0xff; 10]).varint(), Err(WireError::Varint));
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
