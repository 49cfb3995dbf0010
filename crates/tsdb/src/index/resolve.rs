//! Turns matchers into operations on postings, for any inverted index.

use sonde_model::matcher::Pattern;
use sonde_model::{MatchOp, Matcher};

use super::postings::{Postings, in_order, intersect, subtract};
use crate::limits::Patience;

/// What an inverted index answers. The head answers from memory, a block may fail to read.
pub(crate) trait InvertedIndex {
    /// Why an answer failed.
    type Error;

    /// All series.
    fn all(&self) -> Result<Postings<'_>, Self::Error>;

    /// The series in which the label has this value, which is not empty.
    fn postings(&self, name: &str, value: &str) -> Result<Postings<'_>, Self::Error>;

    /// The postings of those values of the label that begin with `prefix` and for which `keep` holds, in any order.
    fn gather(&self, name: &str, prefix: &str, keep: &mut dyn FnMut(&str) -> bool) -> Result<Vec<u32>, Self::Error>;

    /// The numbers of all series are below this.
    fn bound(&self) -> u32;

    /// Those of `found` that have the label with a value for which `keep` holds, where asking them is cheaper than asking
    /// all values of the label.
    fn narrow(&self, _found: &[u32], _name: &str, _keep: &mut dyn FnMut(&str) -> bool) -> Option<Vec<u32>> {
        None
    }
}

/// The series for which all matchers hold, in the order of their numbers.
pub(crate) fn resolve<I: InvertedIndex>(index: &I, matchers: &[Matcher]) -> Result<Vec<u32>, I::Error> {
    resolve_within(index, matchers, &Patience::endless())
}

/// The same, as long as there is time: what is found when it is over is no answer.
pub(crate) fn resolve_within<I: InvertedIndex>(
    index: &I,
    matchers: &[Matcher],
    patience: &Patience<'_>,
) -> Result<Vec<u32>, I::Error> {
    // What adds comes first, and of that what is cheap and narrow: a query without hits should cost next to nothing.
    let (adding, other): (Vec<&Matcher>, Vec<&Matcher>) = matchers.iter().partition(|m| !m.matches_absent());
    let (equal, mut patterns): (Vec<&Matcher>, Vec<&Matcher>) =
        adding.into_iter().partition(|m| m.op() == MatchOp::Equal);
    let mut sets = Vec::with_capacity(equal.len());
    for matcher in equal {
        let set = index.postings(matcher.name(), matcher.value())?;
        if set.is_empty() {
            return Ok(Vec::new());
        }
        sets.push(set);
    }
    sets.sort_by_key(Postings::len);
    let mut found = sets.into_iter().reduce(|a, b| Postings::List(intersect(&a, &b).into()));
    patterns.sort_by_key(|m| m.name() == sonde_model::METRIC_NAME);
    for matcher in patterns {
        if found.as_ref().is_some_and(Postings::is_empty) {
            return Ok(Vec::new());
        }
        found = Some(match found {
            None => Postings::List(holding(index, matcher, patience)?.into()),
            Some(before) => {
                let before = before.into_list();
                let both = match index.narrow(&before, matcher.name(), &mut asking(matcher, true, patience)) {
                    Some(both) => both,
                    None => intersect(
                        &Postings::List(before.into()),
                        &Postings::List(holding(index, matcher, patience)?.into()),
                    ),
                };
                Postings::List(both.into())
            }
        });
    }
    let mut found = match found {
        Some(found) => found.into_list(),
        None => index.all()?.into_list(),
    };
    for matcher in other {
        if found.is_empty() {
            break;
        }
        let narrowed = index.narrow(&found, matcher.name(), &mut asking(matcher, false, patience));
        let violating = match narrowed {
            Some(violating) => Postings::List(violating.into()),
            None => violating(index, matcher, patience)?,
        };
        found = subtract(&found, &violating);
    }
    Ok(found)
}

/// Asks whether a matcher holds for a value, or does not.
fn asking(matcher: &Matcher, holds: bool, patience: &Patience<'_>) -> impl FnMut(&str) -> bool {
    move |value| !patience.is_over() && matcher.matches(value) == holds
}

/// The series that have the label with a value for which the matcher holds.
fn holding<I: InvertedIndex>(index: &I, matcher: &Matcher, patience: &Patience<'_>) -> Result<Vec<u32>, I::Error> {
    let pattern = matcher.pattern().filter(|_| matcher.op() == MatchOp::Regex);
    match pattern {
        Some(Pattern::OneOf(values)) => one_of(index, matcher.name(), values),
        pattern => {
            let prefix = pattern.map_or("", Pattern::prefix);
            let gathered = index.gather(matcher.name(), prefix, &mut asking(matcher, true, patience))?;
            Ok(in_order(gathered, index.bound()))
        }
    }
}

/// The series that have the label with a value for which the matcher does not hold.
fn violating<'i, I: InvertedIndex>(
    index: &'i I,
    matcher: &Matcher,
    patience: &Patience<'_>,
) -> Result<Postings<'i>, I::Error> {
    if matcher.op() == MatchOp::NotEqual {
        return index.postings(matcher.name(), matcher.value());
    }
    let list = match (matcher.pattern(), matcher.op()) {
        (Some(Pattern::OneOf(values)), MatchOp::NotRegex) => one_of(index, matcher.name(), values)?,
        (Some(pattern), MatchOp::Regex) if pattern.is_anything() => Vec::new(),
        (pattern, op) => {
            let prefix = pattern.filter(|_| op == MatchOp::NotRegex).map_or("", Pattern::prefix);
            let gathered = index.gather(matcher.name(), prefix, &mut asking(matcher, false, patience))?;
            in_order(gathered, index.bound())
        }
    };
    Ok(Postings::List(list.into()))
}

fn one_of<I: InvertedIndex>(index: &I, name: &str, values: &[String]) -> Result<Vec<u32>, I::Error> {
    let mut gathered = Vec::new();
    for value in values.iter().filter(|v| !v.is_empty()) {
        index.postings(name, value)?.append_to(&mut gathered);
    }
    Ok(in_order(gathered, index.bound()))
}
