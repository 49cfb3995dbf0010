//! Conditions on the labels of alerts, in Alertmanager's notation: what routes, inhibitions, silences and filters are made of.
//!
//! Texts are read as Alertmanager reads them by default: by the classic grammar and, where that refuses a text, by the grammar
//! that knows UTF-8 names. Regular expressions are those of PromQL: anchored at both ends, `.` matches a line feed.

mod classic;
mod quoted;
#[cfg(test)]
mod tests;
mod utf8;

use std::fmt;
use std::str::FromStr;

use sonde_model::matcher::InvalidRegex;
use sonde_model::{Labels, MatchOp};
use thiserror::Error;

/// The longest text of matchers that is read.
pub const MAX_TEXT_BYTES: usize = 64 << 10;
/// The longest name of a label in a matcher.
pub const MAX_NAME_BYTES: usize = 1 << 10;
/// The longest value or pattern of a matcher.
pub const MAX_VALUE_BYTES: usize = 16 << 10;
/// The most matchers that stand together.
pub const MAX_MATCHERS: usize = 128;

/// A condition on the value of one label. An absent label has the empty value.
///
/// Ordered by name, value and operator. It prints as `name="value"`, and what it prints is read as the same matcher.
#[derive(Clone, PartialEq, Eq)]
pub struct Matcher(sonde_model::Matcher);

/// Conditions that have to hold together, in the order in which they were written.
///
/// They print as `{a="b",c=~"d"}`, and what they print is read as the same matchers.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Matchers(Vec<Matcher>);

/// Why a text is no matcher.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum MatcherError {
    /// The text is not of the grammar. Columns count characters from 0.
    #[error("{start}:{end}: {reason}")]
    Syntax {
        /// The column where the trouble begins.
        start: usize,
        /// The column after it.
        end: usize,
        /// What is there, and what was expected.
        reason: String,
    },
    /// The classic grammar has no such value.
    #[error("matcher value contains unescaped double quote: {0}")]
    UnescapedQuote(String),
    /// The classic grammar has no such matcher.
    #[error("bad matcher format: {0}")]
    BadFormat(String),
    /// A single matcher stands without braces.
    #[error("unexpected open or close brace: {0}")]
    Brace(String),
    /// One matcher was wanted.
    #[error("expected 1 matcher, found {0}")]
    NotOne(usize),
    /// A label has a name.
    #[error("the name of the label is empty")]
    EmptyName,
    /// The pattern is no regular expression, or its compiled form would be too large.
    #[error(transparent)]
    Regex(#[from] InvalidRegex),
    /// It is longer than what is taken.
    #[error("{what} has {bytes} bytes; the limit is {limit}")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
    /// There are more than are taken.
    #[error("there are more than {limit} matchers")]
    TooMany {
        /// How many there may be.
        limit: usize,
    },
}

impl Matcher {
    /// Builds a matcher and compiles its regular expression.
    pub fn new(name: &str, op: MatchOp, value: &str) -> Result<Self, MatcherError> {
        if name.is_empty() {
            return Err(MatcherError::EmptyName);
        }
        check_length("the name of the label", name, MAX_NAME_BYTES)?;
        check_length("the value of the matcher", value, MAX_VALUE_BYTES)?;
        Ok(Matcher(sonde_model::Matcher::new(name, op, value)?))
    }

    /// The label that is looked at.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// How it is compared.
    pub fn op(&self) -> MatchOp {
        self.0.op()
    }

    /// What it is compared with: a value or a pattern.
    pub fn value(&self) -> &str {
        self.0.value()
    }

    /// Whether the condition holds for these labels.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.matches(labels.get(self.name()).unwrap_or(""))
    }

    /// Whether the condition holds for this value of the label.
    pub fn matches_value(&self, value: &str) -> bool {
        self.0.matches(value)
    }

    /// Whether the condition holds where the label is absent or empty.
    pub fn matches_absent(&self) -> bool {
        self.0.matches_absent()
    }

    /// Roughly the memory that it takes; most of it is the compiled regular expression.
    pub fn memory_bytes(&self) -> usize {
        self.0.memory_bytes()
    }
}

impl Matchers {
    /// Puts matchers together; there may be none.
    pub fn new(matchers: Vec<Matcher>) -> Result<Self, MatcherError> {
        if matchers.len() > MAX_MATCHERS {
            return Err(MatcherError::TooMany { limit: MAX_MATCHERS });
        }
        let matchers = Matchers(matchers);
        // What is printed must be short enough to be read again.
        check_length("the text of the matchers", &matchers.to_string(), MAX_TEXT_BYTES)?;
        Ok(matchers)
    }

    /// Whether every condition holds for these labels; without conditions it does.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|matcher| matcher.matches(labels))
    }

    /// The matchers in their order.
    pub fn iter(&self) -> std::slice::Iter<'_, Matcher> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These matchers and others.
    pub fn and(mut self, others: Matchers) -> Result<Self, MatcherError> {
        self.0.extend(others.0);
        Matchers::new(self.0)
    }

    /// The same conditions in the order that makes equal sets equal.
    pub fn sorted(mut self) -> Self {
        self.0.sort();
        self
    }
}

impl<'a> IntoIterator for &'a Matchers {
    type Item = &'a Matcher;
    type IntoIter = std::slice::Iter<'a, Matcher>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl FromStr for Matcher {
    type Err = MatcherError;

    /// Reads one matcher, which stands without braces.
    fn from_str(text: &str) -> Result<Self, MatcherError> {
        check_length("the text of the matcher", text, MAX_TEXT_BYTES)?;
        if text.starts_with('{') || text.ends_with('}') {
            return Err(MatcherError::Brace(text.to_owned()));
        }
        classic::matcher(text).or_else(|_| {
            let mut found = utf8::matchers(text)?;
            match (found.pop(), found.len()) {
                (Some(matcher), 0) => Ok(matcher),
                (None, _) => Err(MatcherError::NotOne(0)),
                (Some(_), rest) => Err(MatcherError::NotOne(rest + 1)),
            }
        })
    }
}

impl FromStr for Matchers {
    type Err = MatcherError;

    /// Reads matchers that are separated by commas, in braces or without.
    fn from_str(text: &str) -> Result<Self, MatcherError> {
        check_length("the text of the matchers", text, MAX_TEXT_BYTES)?;
        Matchers::new(classic::matchers(text).or_else(|_| utf8::matchers(text))?)
    }
}

fn check_length(what: &'static str, text: &str, limit: usize) -> Result<(), MatcherError> {
    if text.len() > limit {
        return Err(MatcherError::TooLong { what, bytes: text.len(), limit });
    }
    Ok(())
}

impl PartialOrd for Matcher {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Matcher {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.name(), self.value(), self.op()).cmp(&(other.name(), other.value(), other.op()))
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if classic::is_name(self.name()) {
            f.write_str(self.name())?;
        } else {
            quoted::write(f, self.name())?;
        }
        f.write_str(self.op().symbol())?;
        quoted::write(f, self.value())
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Matchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, matcher) in self.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            write!(f, "{comma}{matcher}")?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Matchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
