//! A condition on one label of a series.

mod glob;
mod pattern;

use std::fmt;
use std::sync::{Arc, OnceLock};

use regex_automata::meta::Regex;
use thiserror::Error;

pub use glob::Glob;
pub use pattern::Pattern;

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
    expression: Option<Arc<Expression>>,
}

/// A regular expression: what it says without an engine, and the engine where it is needed.
struct Expression {
    pattern: Pattern,
    /// Compiled at once where the pattern is [`Pattern::Other`], else when a value is asked about that needs it.
    engine: OnceLock<Option<Regex>>,
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
        let expression = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(Arc::new(Expression::new(value)?)),
        };
        Ok(Matcher { name: name.into(), op, value: value.into(), expression })
    }

    /// `name="value"`
    pub fn equal(name: &str, value: &str) -> Self {
        Matcher { name: name.into(), op: MatchOp::Equal, value: value.into(), expression: None }
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

    /// What its regular expression says; `None` where it has none.
    pub fn pattern(&self) -> Option<&Pattern> {
        self.expression.as_ref().map(|expression| &expression.pattern)
    }

    /// Whether the condition holds for a label of this value; the empty value stands for an absent label.
    pub fn matches(&self, value: &str) -> bool {
        match self.op {
            MatchOp::Equal => *self.value == *value,
            MatchOp::NotEqual => *self.value != *value,
            MatchOp::Regex => self.expression_matches(value),
            MatchOp::NotRegex => !self.expression_matches(value),
        }
    }

    /// Roughly the memory that it takes; most of it is the compiled regular expression.
    pub fn memory_bytes(&self) -> usize {
        let expression = self.expression.as_ref().map_or(0, |expression| expression.memory_bytes());
        size_of::<Self>() + self.name.len() + self.value.len() + expression
    }

    /// Whether the condition holds for a series that lacks the label.
    pub fn matches_absent(&self) -> bool {
        self.matches("")
    }

    fn expression_matches(&self, value: &str) -> bool {
        self.expression.as_ref().is_some_and(|expression| expression.matches(&self.value, value))
    }
}

impl Expression {
    /// Most patterns of people are texts with anything between them: to look at those costs a hundredth of compiling them.
    fn new(text: &str) -> Result<Self, InvalidRegex> {
        let pattern = Pattern::of(text);
        let engine = match pattern {
            Pattern::Other => OnceLock::from(Some(compile_anchored(text)?)),
            _ => OnceLock::new(),
        };
        Ok(Expression { pattern, engine })
    }

    /// Whether it holds for a value; `text` is what it was made of.
    fn matches(&self, text: &str, value: &str) -> bool {
        self.pattern.matches(value, |value| {
            let engine = self.engine.get_or_init(|| compile_anchored(text).ok());
            engine.as_ref().is_some_and(|engine| engine.is_match(value))
        })
    }

    /// The same before and after a lazy engine is compiled, because those who hold matchers add it up.
    fn memory_bytes(&self) -> usize {
        let engine = match &self.pattern {
            Pattern::Other => self.engine.get().and_then(Option::as_ref).map_or(0, Regex::memory_usage),
            Pattern::AnyCase(text) => estimated_engine_bytes(text),
            _ => 0,
        };
        size_of::<Self>() + self.pattern.memory_bytes() + engine
    }
}

/// Compiles a pattern with the rules of Prometheus: anchored at both ends, `.` matches a line feed.
pub fn compile_anchored(pattern: &str) -> Result<Regex, InvalidRegex> {
    /// A pattern over this is refused: it would take memory out of proportion to any label value.
    const COMPILED_SIZE_LIMIT: usize = 10 << 20;
    Regex::builder()
        // To build all states of an automaton takes longer than to find the few that the values of a label meet.
        .configure(Regex::config().nfa_size_limit(Some(COMPILED_SIZE_LIMIT)).dfa(false))
        .build(&format!("^(?s:{pattern})$"))
        .map_err(|e| InvalidRegex { pattern: pattern.to_owned(), reason: e.to_string() })
}

/// What the engine of a pattern takes, before it is compiled: what is measured of texts, alternatives and `.*` is below.
fn estimated_engine_bytes(pattern: &str) -> usize {
    4_096 + 256 * pattern.len()
}

/// What the matchers of one request may take: patterns of a few bytes can take megabytes, and the time to compile them is
/// in proportion.
#[derive(Clone, Debug)]
pub struct MatcherBudget {
    left: usize,
}

impl Default for MatcherBudget {
    fn default() -> Self {
        MatcherBudget { left: Self::BYTES }
    }
}

impl MatcherBudget {
    /// What all of them may take. One pattern may take 10 MiB.
    pub const BYTES: usize = 64 << 20;

    /// Builds a matcher that must fit beside those before it.
    pub fn matcher(&mut self, name: &str, op: MatchOp, value: &str) -> Result<Matcher, InvalidRegex> {
        let matcher = Matcher::new(name, op, value)?;
        self.take(value, matcher.memory_bytes())?;
        Ok(matcher)
    }

    /// Takes what a matcher of this pattern takes that is not compiled now.
    pub fn reserve(&mut self, pattern: &str) -> Result<(), InvalidRegex> {
        self.take(pattern, estimated_engine_bytes(pattern))
    }

    fn take(&mut self, pattern: &str, bytes: usize) -> Result<(), InvalidRegex> {
        let too_large = || InvalidRegex {
            pattern: pattern.to_owned(),
            reason: format!("with those before it, it takes more than {} bytes", Self::BYTES),
        };
        self.left = self.left.checked_sub(bytes).ok_or_else(too_large)?;
        Ok(())
    }
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
        // Some letters fold to those of ASCII: only the engine knows them.
        let kelvin = Matcher::new("a", MatchOp::Regex, "(?i)k").expect("valid");
        assert!(kelvin.matches("K") && kelvin.matches("\u{212a}") && !kelvin.matches("é"));
    }

    #[test]
    fn matchers_of_a_request_are_bounded() {
        let mut budget = MatcherBudget { left: 4 << 20 };
        let taken = (0..1_000).take_while(|_| budget.matcher("a", MatchOp::Regex, r"\w{50}").is_ok()).count();
        assert!((1..10).contains(&taken), "{taken}");
        // What is reserved is at least what is taken.
        for pattern in ["", "b", ".*", "node-.*|host-.+", &"a|b.*|".repeat(150)] {
            let mut reserved = MatcherBudget::default();
            reserved.reserve(pattern).expect("small");
            let matcher = Matcher::new("a", MatchOp::Regex, pattern).expect("valid");
            let reserved = MatcherBudget::BYTES - reserved.left;
            assert!(reserved >= matcher.memory_bytes(), "{pattern}: {reserved} for {}", matcher.memory_bytes());
        }
    }
}
