//! What a regular expression says without running it: a set of values, pieces of text with anything between, anything.

use super::glob::Glob;

/// A pattern that needs no regular expression engine, or one that does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// One of these values, sorted and unique: `a|b|c`, `(a|b)`, `a(b|c)`, `a`.
    OneOf(Vec<String>),
    /// Values that begin so, and the empty text among the prefixes: `a.*`, `.*`.
    Prefix(String),
    /// Values of one of these shapes: `a.+`, `.*a`, `.*a.*`, `a.*|b.+`, `(a|b).*c`.
    Shapes(Vec<Glob>),
    /// Values that are equal but for the case of ASCII letters: `(?i)a`. Where a value has other letters the engine is
    /// asked, because some of those fold to ASCII ones.
    AnyCase(String),
    /// Ask the engine.
    Other,
}

/// More alternatives than this are left to the engine: each costs a look-up.
const MAX_ALTERNATIVES: usize = 1_000;

/// More shapes than this are left to the engine, which looks for all of them at once.
const MAX_SHAPES: usize = 16;

/// Alternatives of more parts (texts, gaps, groups) are left to the engine: each part is joined to all that came before.
const MAX_PARTS: usize = 32;

/// Groups multiply: alternatives that take more bytes than this, and more than the pattern, are left to the engine.
const MAX_EXPANDED_BYTES: usize = 64 << 10;

/// A longer text in any case is left to the engine at once, so that what it takes is known when it is made.
const MAX_ANY_CASE_BYTES: usize = 1 << 10;

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// `.*`
    Any,
    /// `.+`
    Some,
}

impl Piece {
    fn bytes(&self) -> usize {
        match self {
            Piece::Text(text) => text.len(),
            Piece::Any | Piece::Some => 0,
        }
    }
}

impl Pattern {
    /// Looks at a pattern in the syntax of the engine.
    pub fn of(pattern: &str) -> Self {
        if let Some(rest) = pattern.strip_prefix("(?i)") {
            let is_simple = |text: &String| text.is_ascii() && text.len() <= MAX_ANY_CASE_BYTES;
            return literal(rest).filter(is_simple).map_or(Pattern::Other, Pattern::AnyCase);
        }
        let Some(sequences) = alternatives(pattern) else { return Pattern::Other };
        let texts: Option<Vec<String>> = sequences.iter().map(|sequence| text_of(sequence)).collect();
        if let Some(mut values) = texts {
            values.sort_unstable();
            values.dedup();
            return Pattern::OneOf(values);
        }
        match sequences.as_slice() {
            [one] if *one == [Piece::Any] => return Pattern::Prefix(String::new()),
            [one] => {
                if let [Piece::Text(prefix), Piece::Any] = one.as_slice() {
                    return Pattern::Prefix(prefix.clone());
                }
            }
            _ => {}
        }
        if sequences.len() > MAX_SHAPES {
            return Pattern::Other;
        }
        sequences.into_iter().map(glob_of).collect::<Option<Vec<Glob>>>().map_or(Pattern::Other, Pattern::Shapes)
    }

    /// Whether every value matches.
    pub fn is_anything(&self) -> bool {
        matches!(self, Pattern::Prefix(prefix) if prefix.is_empty())
    }

    /// The text that every matching value begins with.
    pub fn prefix(&self) -> &str {
        match self {
            Pattern::Prefix(prefix) => prefix,
            Pattern::Shapes(shapes) => match shapes.as_slice() {
                [one] => one.prefix(),
                _ => "",
            },
            _ => "",
        }
    }

    /// Roughly the memory behind it.
    pub fn memory_bytes(&self) -> usize {
        match self {
            Pattern::OneOf(values) => values.iter().map(|value| size_of::<String>() + value.len()).sum(),
            Pattern::Prefix(text) | Pattern::AnyCase(text) => text.len(),
            Pattern::Shapes(shapes) => shapes.iter().map(Glob::memory_bytes).sum(),
            Pattern::Other => 0,
        }
    }

    /// Whether a value matches; `engine` is asked where the pattern is not simple.
    pub fn matches(&self, value: &str, engine: impl FnOnce(&str) -> bool) -> bool {
        match self {
            Pattern::OneOf(values) => values.binary_search_by(|v| v.as_str().cmp(value)).is_ok(),
            Pattern::Prefix(prefix) => value.starts_with(prefix.as_str()),
            Pattern::Shapes(shapes) => shapes.iter().any(|shape| shape.matches(value)),
            Pattern::AnyCase(text) => value.eq_ignore_ascii_case(text) || (!value.is_ascii() && engine(value)),
            Pattern::Other => engine(value),
        }
    }
}

/// The alternatives of a pattern, each as its pieces; `None` where it is not as simple as that.
fn alternatives(pattern: &str) -> Option<Vec<Vec<Piece>>> {
    let mut all = Vec::new();
    let (mut expanded, most) = (0usize, MAX_EXPANDED_BYTES.max(pattern.len()));
    for alternative in split_alternatives(pattern)? {
        let mut open = vec![Vec::new()];
        let mut rest = alternative;
        let mut parts = 0;
        while !rest.is_empty() {
            let (next, after) = next_part(rest)?;
            parts += 1;
            if open.len() * next.len() > MAX_ALTERNATIVES || parts > MAX_PARTS {
                return None;
            }
            let before: usize = open.iter().flatten().map(Piece::bytes).sum();
            let added: usize = next.iter().map(Piece::bytes).sum();
            // Each of `open` comes before each of `next`.
            if expanded + before * next.len() + added * open.len() > most {
                return None;
            }
            open = open.iter().flat_map(|before| next.iter().map(|piece| joined(before, piece))).collect();
            rest = after;
        }
        expanded += open.iter().flatten().map(Piece::bytes).sum::<usize>();
        all.extend(open);
        if all.len() > MAX_ALTERNATIVES {
            return None;
        }
    }
    Some(all)
}

/// What may come next: a gap, the texts of a group, or a text as far as it is one.
fn next_part(pattern: &str) -> Option<(Vec<Piece>, &str)> {
    if let Some(rest) = pattern.strip_prefix(".*") {
        return Some((vec![Piece::Any], rest));
    }
    if let Some(rest) = pattern.strip_prefix(".+") {
        return Some((vec![Piece::Some], rest));
    }
    if pattern.starts_with('(') {
        let end = end_of_group(pattern)?;
        let inner = pattern[1..end].strip_prefix("?:").unwrap_or(&pattern[1..end]);
        let texts: Option<Vec<Piece>> = split_alternatives(inner)?.map(|text| literal(text).map(Piece::Text)).collect();
        return Some((texts?, &pattern[end + 1..]));
    }
    let end = end_of_text(pattern);
    (end > 0).then(|| literal(&pattern[..end]).map(|text| (vec![Piece::Text(text)], &pattern[end..])))?
}

fn joined(before: &[Piece], piece: &Piece) -> Vec<Piece> {
    let mut pieces = before.to_vec();
    match (pieces.last_mut(), piece) {
        (_, Piece::Text(text)) if text.is_empty() => {}
        (Some(Piece::Text(before)), Piece::Text(text)) => before.push_str(text),
        // `.*.*` is `.*`, and `.*.+` is `.+`.
        (Some(Piece::Any), Piece::Any) | (Some(Piece::Some), Piece::Any) => {}
        (Some(last @ Piece::Any), Piece::Some) => *last = Piece::Some,
        (_, piece) => pieces.push(piece.clone()),
    }
    pieces
}

fn text_of(pieces: &[Piece]) -> Option<String> {
    match pieces {
        [] => Some(String::new()),
        [Piece::Text(text)] => Some(text.clone()),
        _ => None,
    }
}

/// The glob of pieces; `.+.+` has none: it counts characters.
fn glob_of(pieces: Vec<Piece>) -> Option<Glob> {
    let mut glob = Glob::default();
    let mut before = None;
    for piece in pieces {
        match piece {
            Piece::Text(text) => {
                glob.push(before.take(), text);
            }
            Piece::Any if before.is_none() => before = Some(false),
            Piece::Some if before.is_none() => before = Some(true),
            _ => return None,
        }
    }
    glob.end(before);
    Some(glob)
}

/// Splits at the bars that are in no group; `None` where groups do not close or nest.
fn split_alternatives(pattern: &str) -> Option<impl Iterator<Item = &str>> {
    let (mut escaped, mut depth) = (false, 0u32);
    for c in pattern.chars() {
        match c {
            _ if escaped => {}
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1)?,
            '[' => return None,
            _ => {}
        }
        escaped = c == '\\' && !escaped;
        if depth > 1 {
            return None;
        }
    }
    let (mut escaped, mut depth) = (false, 0u32);
    (pattern.is_empty() || depth == 0).then(|| {
        pattern.split(move |c| {
            let bar = c == '|' && !escaped && depth == 0;
            match c {
                '(' if !escaped => depth += 1,
                ')' if !escaped => depth = depth.saturating_sub(1),
                _ => {}
            }
            escaped = c == '\\' && !escaped;
            bar
        })
    })
}

/// Where the group that begins the pattern closes.
fn end_of_group(pattern: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in pattern.char_indices() {
        if c == ')' && !escaped {
            return Some(at);
        }
        escaped = c == '\\' && !escaped;
    }
    None
}

/// Where the text that begins the pattern ends: before a dot or a group that is not escaped.
fn end_of_text(pattern: &str) -> usize {
    let mut escaped = false;
    for (at, c) in pattern.char_indices() {
        if matches!(c, '.' | '(') && !escaped {
            return at;
        }
        escaped = c == '\\' && !escaped;
    }
    pattern.len()
}

/// The text of a pattern without special characters, other than escaped punctuation.
fn literal(pattern: &str) -> Option<String> {
    let mut text = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next()? {
                escaped if escaped.is_ascii_punctuation() && !matches!(escaped, '<' | '>') => text.push(escaped),
                _ => return None,
            },
            '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$' => return None,
            c => text.push(c),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MatchOp, Matcher, matcher::compile_anchored};
    use proptest::prelude::*;

    fn check(pattern: &str, expected: &Pattern) {
        assert_eq!(&Pattern::of(pattern), expected, "{pattern}");
    }

    #[test]
    fn common_shapes_are_recognised() {
        let one_of = |values: &[&str]| Pattern::OneOf(values.iter().map(|v| (*v).to_owned()).collect());
        for (pattern, expected) in [
            ("", one_of(&[""])),
            ("b|a|b", one_of(&["a", "b"])),
            ("(a|b)", one_of(&["a", "b"])),
            ("(?:a|)", one_of(&["", "a"])),
            ("(a)|(b)", one_of(&["a", "b"])),
            ("host-(a|b)c", one_of(&["host-ac", "host-bc"])),
            (r"10\.0\.0\.1:9100|x", one_of(&["10.0.0.1:9100", "x"])),
            (r"a\|b", one_of(&["a|b"])),
            ("node_.*", Pattern::Prefix("node_".to_owned())),
            (".*", Pattern::Prefix(String::new())),
            (".*.*", Pattern::Prefix(String::new())),
            ("(?i)Aé", Pattern::Other),
            ("(?i)aB", Pattern::AnyCase("aB".to_owned())),
            ("a.b", Pattern::Other),
            (r"\d", Pattern::Other),
            ("(a", Pattern::Other),
            ("a)", Pattern::Other),
            ("a(b)+", Pattern::Other),
            (".*+", Pattern::Other),
            (".+?", Pattern::Other),
            ("[(]", Pattern::Other),
            (".+.+", Pattern::Other),
        ] {
            check(pattern, &expected);
        }
        for pattern in [".+", "node_.+", ".*_total", ".*http.*", "a.*|b.+", "(a|b).*c", "a.*b.+c", ".*.+"] {
            assert!(matches!(Pattern::of(pattern), Pattern::Shapes(_)), "{pattern}");
        }
        assert_eq!(Pattern::of("node_.+x").prefix(), "node_");
    }

    #[test]
    fn a_long_pattern_is_left_to_the_engine_soon() {
        for pattern in ["(a|b)".repeat(9) + &".*x".repeat(1_000), ".*x".repeat(20_000), "(a|b).*".repeat(9_000)] {
            check(&pattern, &Pattern::Other);
        }
        assert!(Matcher::new("n", MatchOp::Regex, &("(a|b)".repeat(9) + &".*x".repeat(1_000))).is_ok());
    }

    #[test]
    fn what_groups_multiply_is_bounded() {
        let groups = "(0|1|2|3|4|5|6|7|8|9)".repeat(3);
        check(&(groups.clone() + &"x".repeat(1_000)), &Pattern::Other);
        assert!(matches!(Pattern::of(&(groups + "x")), Pattern::OneOf(values) if values.len() == 1_000));
        assert!(matches!(Pattern::of(&"x".repeat(1 << 20)), Pattern::OneOf(_)));
        check(&format!("(?i){}", "x".repeat(2_000)), &Pattern::Other);
    }

    #[test]
    fn what_a_matcher_takes_does_not_change_when_it_is_asked() {
        for pattern in ["(?i)berlin", "a.*", "a+", "(a|b).*c"] {
            let matcher = Matcher::new("n", MatchOp::Regex, pattern).expect("a pattern");
            let before = matcher.memory_bytes();
            assert!(!matcher.matches("München"));
            assert_eq!(matcher.memory_bytes(), before, "{pattern}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn the_engine_agrees(
            pattern in r"(\(\?i\))?(([abksé]|\.\*|\.\+|\||\(a\|b\)|\(\?:k\||\)|\\\.|[.*+()?:x<-]){0,6})",
            value in "[abABkKſsSKéÉ.|x<\n-]{0,5}",
        ) {
            let (simple, engine) = (Pattern::of(&pattern), compile_anchored(&pattern));
            // What is simple is never given to the engine to be checked.
            prop_assert!(engine.is_ok() || simple == Pattern::Other, "{:?}", simple);
            if let (Ok(engine), Ok(matcher)) = (engine, Matcher::new("n", MatchOp::Regex, &pattern)) {
                let expected = engine.is_match(&value);
                prop_assert_eq!(simple.matches(&value, |v| engine.is_match(v)), expected, "{:?}", simple);
                prop_assert!(!expected || value.starts_with(simple.prefix()), "{:?}", simple);
                prop_assert!(!simple.is_anything() || expected);
                prop_assert_eq!(matcher.matches(&value), expected);
            }
        }
    }
}
