//! Turns matchers into operations on postings, for any inverted index.

use std::borrow::Cow;

use sonde_model::{MatchOp, Matcher};

use super::pattern::Pattern;
use super::postings::{Postings, intersect, subtract, union};

/// What an inverted index answers. The head answers from memory, a block may fail to read.
pub(crate) trait InvertedIndex {
    /// Why an answer failed.
    type Error;

    /// All series.
    fn all(&self) -> Result<Cow<'_, [u32]>, Self::Error>;

    /// The series in which the label has this value, which is not empty.
    fn postings(&self, name: &str, value: &str) -> Result<Cow<'_, [u32]>, Self::Error>;

    /// The union of the postings of those values of the label that begin with `prefix` and for which `keep` holds.
    fn union_of(&self, name: &str, prefix: &str, keep: &mut dyn FnMut(&str) -> bool) -> Result<Postings, Self::Error>;
}

/// The series for which all matchers hold, in the order of their numbers.
pub(crate) fn resolve<I: InvertedIndex>(index: &I, matchers: &[Matcher]) -> Result<Postings, I::Error> {
    // What adds comes first, and of that what is cheap and narrow: a query without hits should cost next to nothing.
    let mut adding: Vec<&Matcher> = matchers.iter().filter(|m| !m.matches_absent()).collect();
    adding.sort_by_key(|m| (m.op() != MatchOp::Equal, m.name() == sonde_model::METRIC_NAME));
    let mut found: Option<Postings> = None;
    for matcher in adding {
        let next = holding(index, matcher)?;
        let both = match &found {
            None => next.into_owned(),
            Some(before) => intersect(before, &next),
        };
        if both.is_empty() {
            return Ok(both);
        }
        found = Some(both);
    }
    let mut found = match found {
        Some(found) => found,
        None => index.all()?.into_owned(),
    };
    for matcher in matchers.iter().filter(|m| m.matches_absent()) {
        if found.is_empty() {
            break;
        }
        found = subtract(&found, &violating(index, matcher)?);
    }
    Ok(found)
}

/// The series that have the label with a value for which the matcher holds.
fn holding<'i, I: InvertedIndex>(index: &'i I, matcher: &Matcher) -> Result<Cow<'i, [u32]>, I::Error> {
    match matcher.op() {
        MatchOp::Equal => index.postings(matcher.name(), matcher.value()),
        MatchOp::Regex => match Pattern::of(matcher.value()) {
            Pattern::OneOf(values) => one_of(index, matcher.name(), &values),
            pattern => index
                .union_of(matcher.name(), pattern.prefix(), &mut |v| pattern.matches(v, |v| matcher.matches(v)))
                .map(Cow::Owned),
        },
        MatchOp::NotEqual | MatchOp::NotRegex => {
            index.union_of(matcher.name(), "", &mut |v| matcher.matches(v)).map(Cow::Owned)
        }
    }
}

/// The series that have the label with a value for which the matcher does not hold.
fn violating<'i, I: InvertedIndex>(index: &'i I, matcher: &Matcher) -> Result<Cow<'i, [u32]>, I::Error> {
    match matcher.op() {
        MatchOp::NotEqual => index.postings(matcher.name(), matcher.value()),
        MatchOp::NotRegex => match Pattern::of(matcher.value()) {
            Pattern::OneOf(values) => one_of(index, matcher.name(), &values),
            pattern => index
                .union_of(matcher.name(), pattern.prefix(), &mut |v| pattern.matches(v, |v| !matcher.matches(v)))
                .map(Cow::Owned),
        },
        MatchOp::Regex if Pattern::of(matcher.value()) == Pattern::Anything => Ok(Cow::Owned(Vec::new())),
        MatchOp::Equal | MatchOp::Regex => {
            index.union_of(matcher.name(), "", &mut |v| !matcher.matches(v)).map(Cow::Owned)
        }
    }
}

fn one_of<'i, I: InvertedIndex>(index: &'i I, name: &str, values: &[String]) -> Result<Cow<'i, [u32]>, I::Error> {
    let values = values.iter().filter(|v| !v.is_empty());
    let lists = values.map(|v| index.postings(name, v)).collect::<Result<Vec<_>, _>>()?;
    let slices: Vec<&[u32]> = lists.iter().map(|l| &**l).collect();
    Ok(Cow::Owned(union(&slices)))
}
