//! What a regular expression says without running it: a set of values, a prefix, anything.

/// A pattern that needs no regular expression engine, or one that does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// One of these values, sorted and unique: `a|b|c`, `(a|b)`, `a`.
    OneOf(Vec<String>),
    /// Values that begin so: `a.*`.
    Prefix(String),
    /// Values that begin so and go on: `a.+`. With an empty prefix: not empty.
    LongerThan(String),
    /// Every value: `.*`.
    Anything,
    /// Ask the engine.
    Other,
}

/// More alternatives than this are left to the engine: each costs a look-up.
const MAX_ALTERNATIVES: usize = 1_000;

impl Pattern {
    /// Looks at a pattern in the syntax of the engine.
    pub(crate) fn of(pattern: &str) -> Self {
        match pattern {
            ".*" => return Pattern::Anything,
            ".+" => return Pattern::LongerThan(String::new()),
            _ => {}
        }
        if let Some(prefix) = pattern.strip_suffix(".*").and_then(literal) {
            return Pattern::Prefix(prefix);
        }
        if let Some(prefix) = pattern.strip_suffix(".+").and_then(literal) {
            return Pattern::LongerThan(prefix);
        }
        let inner = match pattern.strip_prefix("(?:").or_else(|| pattern.strip_prefix('(')) {
            Some(rest) => match rest.strip_suffix(')') {
                Some(inner) => inner,
                None => return Pattern::Other,
            },
            None => pattern,
        };
        let alternatives: Option<Vec<String>> = split_alternatives(inner).map(literal).collect();
        match alternatives {
            Some(mut values) if values.len() <= MAX_ALTERNATIVES => {
                values.sort_unstable();
                values.dedup();
                Pattern::OneOf(values)
            }
            _ => Pattern::Other,
        }
    }

    /// The text that every matching value begins with.
    pub(crate) fn prefix(&self) -> &str {
        match self {
            Pattern::Prefix(prefix) | Pattern::LongerThan(prefix) => prefix,
            _ => "",
        }
    }

    /// Whether a value matches; `engine` is asked where the pattern is not simple.
    pub(crate) fn matches(&self, value: &str, engine: impl FnOnce(&str) -> bool) -> bool {
        match self {
            Pattern::OneOf(values) => values.binary_search_by(|v| v.as_str().cmp(value)).is_ok(),
            Pattern::Prefix(prefix) => value.starts_with(prefix.as_str()),
            Pattern::LongerThan(prefix) => value.len() > prefix.len() && value.starts_with(prefix.as_str()),
            Pattern::Anything => true,
            Pattern::Other => engine(value),
        }
    }
}

/// Splits at `|`. Escaped bars stay: `literal` sees the backslash.
fn split_alternatives(pattern: &str) -> impl Iterator<Item = &str> {
    let mut escaped = false;
    pattern.split(move |c| {
        let bar = c == '|' && !escaped;
        escaped = c == '\\' && !escaped;
        bar
    })
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
    use proptest::prelude::*;
    use sonde_model::{MatchOp, Matcher};

    use super::*;

    #[test]
    fn common_shapes_are_recognised() {
        let one_of = |values: &[&str]| Pattern::OneOf(values.iter().map(|v| (*v).to_owned()).collect());
        for (pattern, expected) in [
            ("", one_of(&[""])),
            ("b|a|b", one_of(&["a", "b"])),
            ("(a|b)", one_of(&["a", "b"])),
            ("(?:a|)", one_of(&["", "a"])),
            (r"10\.0\.0\.1:9100|x", one_of(&["10.0.0.1:9100", "x"])),
            (r"a\|b", one_of(&["a|b"])),
            ("node_.*", Pattern::Prefix("node_".to_owned())),
            ("node_.+", Pattern::LongerThan("node_".to_owned())),
            (".+", Pattern::LongerThan(String::new())),
            (".*", Pattern::Anything),
            ("a.b", Pattern::Other),
            ("(a)|(b)", Pattern::Other),
            ("(?i)a", Pattern::Other),
            (r"\d", Pattern::Other),
            ("(a", Pattern::Other),
            ("a|b.*", Pattern::Other),
        ] {
            assert_eq!(Pattern::of(pattern), expected, "{pattern}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn the_engine_agrees(pattern in r"[ab.*+|()\\?:x<-]{0,7}", value in "[ab.|x<-]{0,4}") {
            if let Ok(matcher) = Matcher::new("n", MatchOp::Regex, &pattern) {
                let simple = Pattern::of(&pattern).matches(&value, |v| matcher.matches(v));
                prop_assert_eq!(simple, matcher.matches(&value), "{:?}", Pattern::of(&pattern));
            }
        }
    }
}
