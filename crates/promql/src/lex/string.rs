//! Strings in double, single and back quotes.

use super::{Lexer, TokenKind};
use crate::ast::StringLiteral;

impl Lexer<'_> {
    /// Takes the rest of a string that begins with `quote`.
    pub(super) fn scan_string(&mut self, quote: char) -> Result<TokenKind, String> {
        loop {
            match self.next() {
                Some(c) if c == quote => return Ok(TokenKind::String),
                None if quote == '`' => return Err("unterminated raw string".to_owned()),
                Some('\\') if quote != '`' => self.scan_escape(quote)?,
                None => return Err("unterminated quoted string".to_owned()),
                Some('\n') if quote != '`' => return Err("unterminated quoted string".to_owned()),
                Some(_) => {}
            }
        }
    }

    fn scan_escape(&mut self, quote: char) -> Result<(), String> {
        let unterminated = || "escape sequence not terminated".to_owned();
        let c = self.next().ok_or_else(unterminated)?;
        let (digits, base, max) = match c {
            'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\' => return Ok(()),
            c if c == quote => return Ok(()),
            '0'..='7' => {
                self.pos -= 1;
                (3, 8, 255)
            }
            'x' => (2, 16, 255),
            'u' => (4, 16, 0x10_ffff),
            'U' => (8, 16, 0x10_ffff),
            c => return Err(format!("unknown escape sequence {}", code_point(c))),
        };
        let mut value: u32 = 0;
        for _ in 0..digits {
            let c = self.next().ok_or_else(unterminated)?;
            let digit =
                c.to_digit(base).ok_or_else(|| format!("illegal character {} in escape sequence", code_point(c)))?;
            value = value.saturating_mul(base).saturating_add(digit);
        }
        if value > max || (0xd800..0xe000).contains(&value) {
            return Err("escape sequence is an invalid Unicode code point".to_owned());
        }
        Ok(())
    }
}

/// The text of a string that the lexer has accepted, without its quotes.
pub(crate) fn unquote(quoted: &str) -> StringLiteral {
    let inner = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    if quoted.starts_with('`') || !inner.contains('\\') {
        return StringLiteral { text: inner.to_owned(), not_utf8: None };
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let escape = chars.next().unwrap_or('\\');
        let mut code = |digits: usize, first: u32, base: u32| {
            (0..digits).fold(first, |n, _| n * base + chars.next().and_then(|c| c.to_digit(base)).unwrap_or(0))
        };
        match escape {
            'a' => bytes.push(0x07),
            'b' => bytes.push(0x08),
            'f' => bytes.push(0x0c),
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            'v' => bytes.push(0x0b),
            'x' => bytes.push(code(2, 0, 16) as u8),
            'u' => push_code_point(&mut bytes, code(4, 0, 16)),
            'U' => push_code_point(&mut bytes, code(8, 0, 16)),
            c if c.is_digit(8) => bytes.push(code(2, c.to_digit(8).unwrap_or(0), 8) as u8),
            c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    match String::from_utf8(bytes) {
        Ok(text) => StringLiteral { text, not_utf8: None },
        Err(e) => StringLiteral {
            text: String::from_utf8_lossy(e.as_bytes()).into_owned(),
            not_utf8: Some(e.into_bytes().into_boxed_slice()),
        },
    }
}

fn push_code_point(bytes: &mut Vec<u8>, code: u32) {
    let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

fn code_point(c: char) -> String {
    format!("U+{:04X} '{c}'", c as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_lose_their_quotes() {
        for (quoted, text) in [
            (r#""a\"b""#, "a\"b"),
            (r"'it\'s'", "it's"),
            (r"`\n`", r"\n"),
            (r#""\101\x42C\U00000044""#, "ABCD"),
            (r#""ä\t""#, "ä\t"),
        ] {
            assert_eq!(unquote(quoted), StringLiteral { text: text.to_owned(), not_utf8: None });
        }
        assert_eq!(unquote(r#""a\xc5z""#).not_utf8.as_deref(), Some(&b"a\xc5z"[..]));
    }
}
