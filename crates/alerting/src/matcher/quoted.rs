//! Text in double quotes: how both grammars understand it, and Go's escapes, which only the newer one knows.

use std::fmt;

/// Writes a text in double quotes with the escapes that both grammars read in the same way: `\\`, `\"` and `\n`.
pub(super) fn write(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            c => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}

/// The text between two quotes, with the escapes of Go's strings undone; `None` where Go would refuse it or it is not UTF-8.
pub(super) fn unquote(inner: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\n' | '"' => return None,
            '\\' => unescape(&mut chars, &mut bytes)?,
            c => push(&mut bytes, c),
        }
    }
    String::from_utf8(bytes).ok()
}

fn unescape(chars: &mut std::str::Chars<'_>, bytes: &mut Vec<u8>) -> Option<()> {
    let escape = chars.next()?;
    let mut code = |digits: usize, first: u32, base: u32| {
        (0..digits).try_fold(first, |n, _| n.checked_mul(base)?.checked_add(chars.next()?.to_digit(base)?))
    };
    match escape {
        'a' => bytes.push(0x07),
        'b' => bytes.push(0x08),
        'f' => bytes.push(0x0c),
        'n' => bytes.push(b'\n'),
        'r' => bytes.push(b'\r'),
        't' => bytes.push(b'\t'),
        'v' => bytes.push(0x0b),
        '\\' | '"' => push(bytes, escape),
        'x' => bytes.push(u8::try_from(code(2, 0, 16)?).ok()?),
        'u' => push(bytes, char::from_u32(code(4, 0, 16)?)?),
        'U' => push(bytes, char::from_u32(code(8, 0, 16)?)?),
        c => bytes.push(u8::try_from(code(2, c.to_digit(8)?, 8)?).ok()?),
    }
    Some(())
}

fn push(bytes: &mut Vec<u8>, c: char) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}
