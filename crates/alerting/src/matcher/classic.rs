//! Alertmanager's first grammar: ASCII names, values with or without quotes, and much tolerance.

use sonde_model::MatchOp;
use sonde_model::labels::is_legacy_metric_name;

use super::{MAX_MATCHERS, Matcher, MatcherError};

/// What Go's `\s` matches.
const BLANKS: [char; 5] = [' ', '\t', '\n', '\r', '\x0c'];
/// Longer operators stand before those with which they begin.
const OPERATORS: [MatchOp; 4] = [MatchOp::Regex, MatchOp::Equal, MatchOp::NotEqual, MatchOp::NotRegex];

/// Whether a name needs no quotes in either grammar.
pub(super) fn is_name(name: &str) -> bool {
    is_legacy_metric_name(name)
}

/// Matchers that are separated by commas outside of quotes. A brace before and one after them may be there or not.
pub(super) fn matchers(text: &str) -> Result<Vec<Matcher>, MatcherError> {
    let text = text.strip_prefix('{').unwrap_or(text);
    let text = text.strip_suffix('}').unwrap_or(text);
    let (mut quoted, mut escaped, mut start) = (false, false, 0);
    let mut found = Vec::new();
    for (i, c) in text.char_indices() {
        match c {
            ',' if !quoted => {
                if found.len() >= MAX_MATCHERS {
                    return Err(MatcherError::TooMany { limit: MAX_MATCHERS });
                }
                found.push(matcher(&text[start..i])?);
                start = i + 1;
            }
            ',' => {}
            '"' if escaped => escaped = false,
            '"' => quoted = !quoted,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    let last = text[start..].trim();
    if !last.is_empty() {
        found.push(matcher(last)?);
    }
    Ok(found)
}

/// One matcher: a name, an operator and whatever follows.
pub(super) fn matcher(text: &str) -> Result<Matcher, MatcherError> {
    let bad = || MatcherError::BadFormat(text.to_owned());
    let rest = text.trim_start_matches(BLANKS);
    let name_end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')).ok_or_else(bad)?;
    let (name, rest) = rest.split_at(name_end);
    if !is_name(name) {
        return Err(bad());
    }
    let rest = rest.trim_start_matches(BLANKS);
    let (op, rest) =
        OPERATORS.into_iter().find_map(|op| Some((op, rest.strip_prefix(op.symbol())?))).ok_or_else(bad)?;
    let value = unescape(rest.trim_matches(BLANKS))?;
    Matcher::new(name, op, &value)
}

/// Undoes `\"`, `\\` and `\n`; any other backslash stands for itself. A quote at the beginning needs one at the end.
fn unescape(raw: &str) -> Result<String, MatcherError> {
    let unescaped_quote = || MatcherError::UnescapedQuote(raw.to_owned());
    let opened = raw.strip_prefix('"');
    let inner = opened.unwrap_or(raw);
    let mut expect_quote = opened.is_some();
    let mut value = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => value.push('\n'),
                Some(c @ ('"' | '\\')) => value.push(c),
                Some(c) => value.extend(['\\', c]),
                None => value.push('\\'),
            },
            '"' if expect_quote && chars.as_str().is_empty() => expect_quote = false,
            '"' => return Err(unescaped_quote()),
            c => value.push(c),
        }
    }
    if expect_quote { Err(unescaped_quote()) } else { Ok(value) }
}
