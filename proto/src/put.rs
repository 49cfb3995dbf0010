//! Writing the protobuf wire format: appends to a buffer, no message is built first.

/// Wire types.
const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const BYTES: u32 = 2;

/// Appends a varint.
#[inline]
pub(crate) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// How many bytes a varint has.
#[inline]
pub(crate) fn varint_len(value: u64) -> usize {
    // Seven bits a byte, and one byte for 0.
    (70 - (value | 1).leading_zeros() as usize) / 7
}

#[inline]
fn key(out: &mut Vec<u8>, field: u32, wire_type: u32) {
    varint(out, u64::from(field << 3 | wire_type));
}

/// A varint field, left out where it is 0.
#[inline]
pub(crate) fn uint(out: &mut Vec<u8>, field: u32, value: u64) {
    if value != 0 {
        key(out, field, VARINT);
        varint(out, value);
    }
}

/// A field of type `int64`, left out where it is 0.
#[inline]
pub(crate) fn int(out: &mut Vec<u8>, field: u32, value: i64) {
    uint(out, field, value.cast_unsigned());
}

/// A field of eight bytes, written also where it is 0.
#[inline]
pub(crate) fn fixed64(out: &mut Vec<u8>, field: u32, bits: u64) {
    key(out, field, FIXED64);
    out.extend_from_slice(&bits.to_le_bytes());
}

/// A field of type `double`, left out where it is a positive zero.
#[inline]
pub(crate) fn double(out: &mut Vec<u8>, field: u32, value: f64) {
    if value.to_bits() != 0 {
        fixed64(out, field, value.to_bits());
    }
}

/// A field of bytes or text, written also where it is empty.
#[inline]
pub(crate) fn bytes(out: &mut Vec<u8>, field: u32, value: &[u8]) {
    key(out, field, BYTES);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// A field of text, left out where it is empty.
#[inline]
pub(crate) fn text(out: &mut Vec<u8>, field: u32, value: &str) {
    if !value.is_empty() {
        bytes(out, field, value.as_bytes());
    }
}

/// A field that is a message, which `write` appends. Its length is known afterwards only: where it takes more than one
/// byte, what was written moves.
#[inline]
pub(crate) fn message(out: &mut Vec<u8>, field: u32, write: impl FnOnce(&mut Vec<u8>)) {
    key(out, field, BYTES);
    let length_at = out.len();
    out.push(0);
    write(out);
    let len = (out.len() - length_at - 1) as u64;
    if len < 0x80 {
        out[length_at] = len as u8;
        return;
    }
    let extra = varint_len(len) - 1;
    let end = out.len();
    out.resize(end + extra, 0);
    out.copy_within(length_at + 1..end, length_at + 1 + extra);
    let mut rest = len;
    for byte in &mut out[length_at..=length_at + extra] {
        *byte = rest as u8 | 0x80;
        rest >>= 7;
    }
    out[length_at + extra] &= 0x7f;
}

/// Undone by [`crate::wire::zigzag64`].
#[inline]
pub(crate) fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_and_lengths_agree_with_prost() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX >> 1, u64::MAX] {
            let (mut ours, mut prosts) = (Vec::new(), Vec::new());
            varint(&mut ours, value);
            prost::encoding::encode_varint(value, &mut prosts);
            assert_eq!(ours, prosts);
            assert_eq!(varint_len(value), ours.len(), "{value}");
        }
        for len in [0, 1, 127, 128, 300, 20_000] {
            let (mut ours, mut prosts) = (vec![7], vec![7]);
            let content = "x".repeat(len);
            message(&mut ours, 300, |out| out.extend_from_slice(content.as_bytes()));
            prost::encoding::string::encode(300, &content, &mut prosts);
            assert_eq!(ours, prosts, "{len}");
        }
    }

    #[test]
    fn zigzag_is_undone() {
        for n in [0, 1, -1, i64::MAX, i64::MIN] {
            assert_eq!(crate::wire::zigzag64(zigzag(n)), n);
        }
    }
}
