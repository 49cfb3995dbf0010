//! A condition on one label of a series.

use std::fmt;
use std::sync::Arc;

use regex_automata::meta::Regex;
use thiserror::Error;

use crate::labels::{Quoted, is_legacy_label_name};

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

impl MatchOp {
    /// The operator as PromQL writes it.
    pub fn symbol(self) -> &'static str {
        match self {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Regex => "=~",
            MatchOp::NotRegex => "!~",
        }
    }
}

/// A condition on the value of one label, ready to be asked.
///
/// An absent label has the empty value, so that `a=""` holds where there is no `a`. Regular expressions are anchored
/// at both ends, and `.` matches a line feed, as in Prometheus.
#[derive(Clone)]
pub struct Matcher {
    name: Arc<str>,
    op: MatchOp,
    value: Arc<str>,
    regex: Option<Regex>,
}

/// Why a matcher cannot be built.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("invalid regular expression {pattern:?}: {reason}")]
pub struct InvalidRegex {
    /// The pattern as it was given.
    pub pattern: String,
    /// What the regular expression engine says.
    pub reason: String,
}

impl Matcher {
    /// Builds a matcher and compiles its regular expression. The size of the compiled expression is bounded.
    pub fn new(name: &str, op: MatchOp, value: &str) -> Result<Self, InvalidRegex> {
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(compile_anchored(value)?),
        };
        Ok(Matcher { name: name.into(), op, value: value.into(), regex })
    }

    /// `name="value"`
    pub fn equal(name: &str, value: &str) -> Self {
        Matcher { name: name.into(), op: MatchOp::Equal, value: value.into(), regex: None }
    }

    /// The label that is looked at.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it is compared.
    pub fn op(&self) -> MatchOp {
        self.op
    }

    /// What it is compared with: a value or a pattern.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether the condition holds for a label of this value; the empty value stands for an absent label.
    pub fn matches(&self, value: &str) -> bool {
        match self.op {
            MatchOp::Equal => *self.value == *value,
            MatchOp::NotEqual => *self.value != *value,
            MatchOp::Regex => self.regex.as_ref().is_some_and(|r| r.is_match(value)),
            MatchOp::NotRegex => !self.regex.as_ref().is_some_and(|r| r.is_match(value)),
        }
    }

    /// Roughly the memory that it takes; most of it is the compiled regular expression.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.name.len() + self.value.len() + self.regex.as_ref().map_or(0, Regex::memory_usage)
    }

    /// Whether the condition holds for a series that lacks the label.
    pub fn matches_absent(&self) -> bool {
        self.matches("")
    }
}

/// Compiles a pattern with the rules of Prometheus: anchored at both ends, `.` matches a line feed.
pub fn compile_anchored(pattern: &str) -> Result<Regex, InvalidRegex> {
    /// A pattern over this is refused: it would take memory out of proportion to any label value.
    const COMPILED_SIZE_LIMIT: usize = 10 << 20;
    Regex::builder()
        .configure(Regex::config().nfa_size_limit(Some(COMPILED_SIZE_LIMIT)))
        .build(&format!("^(?s:{pattern})$"))
        .map_err(|e| InvalidRegex { pattern: pattern.to_owned(), reason: e.to_string() })
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.op == other.op && self.value == other.value
    }
}

impl Eq for Matcher {}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_legacy_label_name(&self.name) {
            write!(f, "{}{}{}", self.name, self.op.symbol(), Quoted(&self.value))
        } else {
            write!(f, "{}{}{}", Quoted(&self.name), self.op.symbol(), Quoted(&self.value))
        }
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regexes_are_anchored_and_absent_is_empty() {
        let m = Matcher::new("a", MatchOp::Regex, "b|c.*").expect("valid");
        assert!(m.matches("b") && m.matches("cde") && m.matches("c\nd") && !m.matches("ab") && !m.matches_absent());
        let n = Matcher::new("a", MatchOp::NotRegex, "b.+").expect("valid");
        assert!(n.matches_absent() && !n.matches("bb"));
        assert!(Matcher::new("a", MatchOp::Regex, "(").is_err());
    }
}
