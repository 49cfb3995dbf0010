//! A sorted label set, cheap to clone and to compare.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::METRIC_NAME;

/// A set of labels, sorted by name, with unique names and no empty values.
///
/// Names and values lie in one string; cloning copies a pointer. The metric name is the label `__name__`.
#[derive(Clone, Default)]
pub struct Labels(Option<Arc<Inner>>);

struct Inner {
    /// name, value, name, value ... with nothing between.
    text: Box<str>,
    /// The end of each name and each value in `text`.
    ends: Box<[u32]>,
}

impl Labels {
    /// The set without labels.
    pub const fn empty() -> Self {
        Labels(None)
    }

    /// Builds a set from pairs in any order. Empty values are left out; of pairs with one name the last wins.
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut builder = LabelsBuilder::default();
        for (name, value) in pairs {
            builder.set(name.as_ref(), value.as_ref());
        }
        builder.build()
    }

    /// Builds a set from pairs that are sorted by name, unique and without empty values.
    ///
    /// The order is checked in debug builds only: this is the road of stores that wrote the pairs themselves.
    pub fn from_sorted(pairs: &[(&str, &str)]) -> Self {
        debug_assert!(pairs.windows(2).all(|w| w[0].0 < w[1].0), "BUG: labels not sorted: {pairs:?}");
        if pairs.is_empty() {
            return Labels(None);
        }
        let mut text = String::with_capacity(pairs.iter().map(|(n, v)| n.len() + v.len()).sum());
        let mut ends = Vec::with_capacity(pairs.len() * 2);
        for (name, value) in pairs {
            text.push_str(name);
            ends.push(text.len() as u32);
            text.push_str(value);
            ends.push(text.len() as u32);
        }
        Labels(Some(Arc::new(Inner { text: text.into_boxed_str(), ends: ends.into_boxed_slice() })))
    }

    /// The value of the label `name`, or `None` where it is absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| *n == name).map(|(_, v)| v)
    }

    /// The metric name, or the empty string.
    pub fn metric_name(&self) -> &str {
        self.get(METRIC_NAME).unwrap_or("")
    }

    /// The labels in the order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> + Clone + '_ {
        let (text, ends): (&str, &[u32]) = match &self.0 {
            Some(inner) => (&inner.text, &inner.ends),
            None => ("", &[]),
        };
        (0..ends.len() / 2).map(move |i| {
            let start = if i == 0 { 0 } else { ends[2 * i - 1] as usize };
            let (name_end, value_end) = (ends[2 * i] as usize, ends[2 * i + 1] as usize);
            (&text[start..name_end], &text[name_end..value_end])
        })
    }

    /// How many bytes the names and values take together.
    pub fn text_len(&self) -> usize {
        self.0.as_ref().map_or(0, |inner| inner.text.len())
    }

    /// How many labels there are, `__name__` included.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |inner| inner.ends.len() / 2)
    }

    /// Whether there are no labels.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same labels without those for which `drop` says true.
    pub fn without(&self, mut drop: impl FnMut(&str) -> bool) -> Self {
        let kept: Vec<_> = self.iter().filter(|(name, _)| !drop(name)).collect();
        if kept.len() == self.len() { self.clone() } else { Labels::from_sorted(&kept) }
    }

    /// The same labels without the metric name.
    pub fn without_name(&self) -> Self {
        self.without(|name| name == METRIC_NAME)
    }

    /// The same labels with `name` set to `value`, or without it where `value` is empty.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut builder = LabelsBuilder::from(self);
        builder.set(name, value);
        builder.build()
    }
}

/// Collects labels in any order and builds a sorted set.
#[derive(Clone, Debug, Default)]
pub struct LabelsBuilder {
    pairs: Vec<(String, String)>,
}

impl LabelsBuilder {
    /// Sets a label; an empty value removes it.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        match self.pairs.iter_mut().find(|(n, _)| n == name) {
            Some(pair) => {
                pair.1.clear();
                pair.1.push_str(value);
            }
            None => self.pairs.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Removes a label.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.pairs.retain(|(n, _)| n != name);
        self
    }

    /// The value set so far for `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).filter(|v| !v.is_empty())
    }

    /// The sorted set, without labels of empty value.
    pub fn build(&self) -> Labels {
        let mut pairs: Vec<(&str, &str)> =
            self.pairs.iter().filter(|(_, v)| !v.is_empty()).map(|(n, v)| (n.as_str(), v.as_str())).collect();
        pairs.sort_unstable_by_key(|(n, _)| *n);
        Labels::from_sorted(&pairs)
    }
}

impl From<&Labels> for LabelsBuilder {
    fn from(labels: &Labels) -> Self {
        LabelsBuilder { pairs: labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect() }
    }
}

impl PartialEq for Labels {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(a), Some(b)) => Arc::ptr_eq(a, b) || (a.ends == b.ends && a.text == b.text),
            _ => false,
        }
    }
}

impl Eq for Labels {}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        if let Some(inner) = &self.0 {
            inner.ends.hash(state);
            inner.text.hash(state);
        }
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Labels {
    /// The order of Prometheus: name by name, value by value, the shorter set first.
    fn cmp(&self, other: &Self) -> Ordering {
        let (Some(a), Some(b)) = (&self.0, &other.0) else { return self.len().cmp(&other.len()) };
        // Neighbours in this order have most of their text in common, which is found many bytes at a time.
        let ends = a.ends.iter().zip(&b.ends).take_while(|(a, b)| a == b).count();
        let text = common_prefix(a.text.as_bytes(), b.text.as_bytes());
        let same = a.ends[..ends].partition_point(|end| *end as usize <= text) / 2;
        self.iter().skip(same).cmp(other.iter().skip(same))
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Labels::from_pairs(pairs)
    }
}

/// How many bytes both begin with.
fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let ((a_words, _), (b_words, _)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    let whole = 16 * a_words.iter().zip(b_words).take_while(|(a, b)| a == b).count();
    whole + a[whole..].iter().zip(&b[whole..]).take_while(|(a, b)| a == b).count()
}

impl fmt::Display for Labels {
    /// The notation of PromQL: `name{a="b"}`, names that need it in quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.metric_name();
        let bare_name = is_legacy_metric_name(name);
        if bare_name {
            f.write_str(name)?;
        }
        let mut rest = self.iter().filter(|(n, _)| *n != METRIC_NAME).peekable();
        let quoted_name = !name.is_empty() && !bare_name;
        if rest.peek().is_none() && bare_name {
            return Ok(());
        }
        f.write_str("{")?;
        if quoted_name {
            write!(f, "{}", Quoted(name))?;
            if rest.peek().is_some() {
                f.write_str(", ")?;
            }
        }
        for (i, (label, value)) in rest.enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            if is_legacy_label_name(label) {
                write!(f, "{label}={}", Quoted(value))?;
            } else {
                write!(f, "{}={}", Quoted(label), Quoted(value))?;
            }
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Prints a string in double quotes, escaped as PromQL and the text exposition escape it.
#[derive(Debug)]
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c if (c as u32) < 0x20 || c as u32 == 0x7f => write!(f, "\\x{:02x}", c as u32)?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}

/// Whether a metric name matches `[a-zA-Z_:][a-zA-Z0-9_:]*`.
pub fn is_legacy_metric_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_' || b == b':')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
}

/// Whether a label name matches `[a-zA-Z_][a-zA-Z0-9_]*`.
pub fn is_legacy_label_name(name: &str) -> bool {
    !name.contains(':') && is_legacy_metric_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_sorted_unique_and_without_empty_values() {
        let labels = Labels::from_pairs([("b", "2"), ("__name__", "up"), ("a", "0"), ("a", "1"), ("c", "")]);
        assert_eq!(labels.to_string(), r#"up{a="1", b="2"}"#);
        assert_eq!((labels.len(), labels.get("c"), labels.get("b")), (3, None, Some("2")));
    }

    #[test]
    fn names_that_need_it_are_quoted() {
        let labels = Labels::from_pairs([("__name__", "http.requests"), ("service.name", "a\"b")]);
        assert_eq!(labels.to_string(), r#"{"http.requests", "service.name"="a\"b"}"#);
        assert_eq!(Labels::empty().to_string(), "{}");
    }

    #[test]
    fn the_order_is_that_of_names_and_values() {
        let texts = ["", "a", "ab", "b", "a-long-text-of-more-than-16-bytes", "a-long-text-of-more-than-17-bytes"];
        let mut sets = vec![Labels::empty()];
        for a in texts {
            for b in texts {
                sets.extend(["n", "na", "nab"].map(|name| Labels::from_pairs([(name, a), ("z", b)])));
                sets.push(Labels::from_pairs([("a-long-name-of-more-than-16-bytes", a), ("n", b), ("o", a)]));
            }
        }
        for a in &sets {
            for b in &sets {
                assert_eq!(a.cmp(b), a.iter().cmp(b.iter()), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn sets_are_ordered_label_by_label() {
        let a = Labels::from_pairs([("a", "1")]);
        let ab = Labels::from_pairs([("a", "1"), ("b", "1")]);
        let b = Labels::from_pairs([("b", "0")]);
        assert!(Labels::empty() < a && a < ab && ab < b);
    }
}
