//! Text to tokens. An attribute with its scope is one token, because its key may hold almost any character.

use crate::ast::{Attribute, Intrinsic, Scope, Static};
use crate::parse::ParseError;

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    /// A literal: number, duration, string.
    Static(Static),
    /// An attribute or an intrinsic.
    Attribute(Attribute),
    /// A word that is neither.
    Word(String),
    /// Punctuation and operators.
    Symbol(&'static str),
    /// The end of the text.
    End,
}

/// A token and where it begins, in bytes.
#[derive(Clone, Debug)]
pub(crate) struct Spot {
    pub(crate) token: Token,
    pub(crate) at: usize,
}

/// Symbols, the longer first.
const SYMBOLS: [&str; 34] = [
    "!>>", "!<<", "&>>", "&<<", "&&", "||", "!>", "!<", "!~", "!=", "&>", "&<", "&~", ">>", "<<", ">=", "<=", "=~",
    "{", "}", "(", ")", "|", ",", "=", "<", ">", "~", "!", "+", "-", "*", "/", "%",
];

/// Scopes that an attribute's text may begin with.
const SCOPES: [(&str, Scope); 5] = [
    ("span.", Scope::Span),
    ("resource.", Scope::Resource),
    ("event.", Scope::Event),
    ("link.", Scope::Link),
    ("instrumentation.", Scope::Instrumentation),
];

/// Splits a query into tokens; the last is `End`.
pub(crate) fn lex(text: &str) -> Result<Vec<Spot>, ParseError> {
    let mut spots = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let error = |message: String| ParseError::new(text, at, message);
        let (token, length) = match c {
            '"' | '`' => string(rest).map_err(error)?,
            '0'..='9' => number(rest).map_err(error)?,
            '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => number(rest).map_err(error)?,
            '^' => (Token::Symbol("^"), 1),
            '.' => attribute(rest, 1, false, Scope::Any).map_err(error)?,
            c if c.is_alphabetic() || c == '_' => word(rest).map_err(error)?,
            _ => match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
                Some(symbol) => (Token::Symbol(symbol), symbol.len()),
                None => return Err(error(format!("unexpected character {c:?}"))),
            },
        };
        spots.push(Spot { token, at });
        at += length;
    }
    spots.push(Spot { token: Token::End, at });
    Ok(spots)
}

fn string(rest: &str) -> Result<(Token, usize), String> {
    let (value, length) = quoted(rest)?;
    Ok((Token::Static(Static::String(value)), length))
}

/// A string in double quotes with escapes, or in backquotes without.
fn quoted(rest: &str) -> Result<(String, usize), String> {
    let mut chars = rest.char_indices();
    let quote = chars.next().map_or('"', |(_, c)| c);
    let mut value = String::new();
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Ok((value, at + 1)),
            '\\' if quote == '"' => match chars.next().map(|(_, c)| c) {
                Some('n') => value.push('\n'),
                Some('r') => value.push('\r'),
                Some('t') => value.push('\t'),
                Some(c @ ('"' | '\\' | '\'' | '`')) => value.push(c),
                other => return Err(format!("unknown escape \\{}", other.map(String::from).unwrap_or_default())),
            },
            c => value.push(c),
        }
    }
    Err("literal not terminated".to_owned())
}

/// A whole number, a float, or a duration of Go's units and `d`, `w`.
fn number(rest: &str) -> Result<(Token, usize), String> {
    let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == 'µ')).unwrap_or(rest.len());
    let text = &rest[..length];
    if text.ends_with(|c: char| c.is_ascii_alphabetic()) && !text.starts_with("0x") {
        let nanos = duration_ns(text).ok_or_else(|| format!("not a valid duration: {text:?}"))?;
        return Ok((Token::Static(Static::Duration(nanos)), length));
    }
    let value = if text.contains(['.', 'e', 'E']) {
        Static::Float(text.parse().map_err(|_| format!("not a valid number: {text:?}"))?)
    } else {
        Static::Int(text.parse().map_err(|_| format!("not a valid 64-bit number: {text:?}"))?)
    };
    Ok((Token::Static(value), length))
}

/// `1h30m`, `1.5s`: nanoseconds.
fn duration_ns(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).filter(|n| *n > 0)?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let scale: f64 = match unit {
            "ns" => 1.0,
            "us" | "µs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3_600e9,
            "d" => 86_400e9,
            "w" => 604_800e9,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * scale;
        rest = tail;
    }
    (total < i64::MAX as f64).then_some(total as i64)
}

/// A keyword, an intrinsic, or the scope that an attribute begins with.
fn word(rest: &str) -> Result<(Token, usize), String> {
    if let Some(tail) = rest.strip_prefix("parent.") {
        let (skip, scope) = match SCOPES.iter().find(|(prefix, _)| tail.starts_with(prefix)) {
            Some((prefix, scope)) => (prefix.len(), *scope),
            None => (0, Scope::Any),
        };
        return attribute(rest, "parent.".len() + skip, true, scope);
    }
    if let Some((prefix, scope)) = SCOPES.iter().find(|(prefix, _)| rest.starts_with(prefix)) {
        return attribute(rest, prefix.len(), false, *scope);
    }
    let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len());
    let word = &rest[..length];
    match Intrinsic::from_name(word) {
        Some(intrinsic) => Ok((Token::Attribute(Attribute::Intrinsic(intrinsic)), length)),
        None if word.contains(':') => Err(format!("unknown intrinsic {word:?}")),
        None => Ok((Token::Word(word.to_owned()), length)),
    }
}

/// The key of an attribute, from `start` on: parts in quotes may hold anything.
fn attribute(rest: &str, start: usize, parent: bool, scope: Scope) -> Result<(Token, usize), String> {
    let mut key = String::new();
    let mut at = start;
    while let Some(c) = rest[at..].chars().next() {
        if c == '"' {
            let (part, length) = quoted(&rest[at..])?;
            key.push_str(&part);
            at += length;
        } else if is_key_character(c) {
            key.push(c);
            at += c.len_utf8();
        } else {
            break;
        }
    }
    if key.is_empty() {
        return Err("an attribute needs a name after the dot".to_owned());
    }
    Ok((Token::Attribute(Attribute::Scoped { parent, scope, key }), at))
}

/// Whether a key may hold this character without quotes.
pub(crate) fn is_key_character(c: char) -> bool {
    !c.is_whitespace() && !"{}()=~!<>&|^,\"".contains(c)
}
