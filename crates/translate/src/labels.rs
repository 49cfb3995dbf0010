//! The labels of one point: its attributes, what resource and scope add, and the name.

use smallvec::SmallVec;
use sonde_model::METRIC_NAME;
use sonde_proto::otlp::common::KeyValue;

use crate::label_name::{LabelNames, NameId};
use crate::options::Options;
use crate::report::RejectReason;
use crate::value;

/// A label that every series of a resource or scope bears.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fixed {
    pub(crate) name: String,
    pub(crate) value: String,
    /// Whether an attribute of the point wins.
    pub(crate) yields: bool,
}

/// Sorted label pairs; up to this many live on the stack.
type Pairs<'a> = SmallVec<[(&'a str, &'a str); 24]>;

/// The labels of a series whose name, and one more label, change from row to row.
#[derive(Debug)]
pub(crate) struct SeriesLabels<'a> {
    pairs: Pairs<'a>,
    name_at: usize,
    extra_at: usize,
}

/// Memory that is used again for each point.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    names: LabelNames,
    entries: Vec<Entry>,
    /// The text of values that are not strings.
    text: String,
}

/// An attribute with its final name.
#[derive(Clone, Copy, Debug)]
struct Entry {
    name: NameId,
    attribute: usize,
    /// Where the value lies in `text`; strings lie in the attribute itself.
    text: Option<(usize, usize)>,
}

impl Scratch {
    /// Reads the attributes of a point; says whether some had to be joined.
    pub(crate) fn read(
        &mut self,
        options: &Options,
        attributes: &[KeyValue],
        keep: impl Fn(&str) -> bool,
    ) -> Result<bool, RejectReason> {
        self.entries.clear();
        self.text.clear();
        if attributes.len() > options.max_labels {
            return Err(RejectReason::TooManyLabels);
        }
        self.names.make_room();
        for (i, attribute) in attributes.iter().enumerate().filter(|(_, a)| keep(&a.key)) {
            let name = self.names.id(options, &attribute.key).ok_or(RejectReason::InvalidLabelName)?;
            let text = match value::as_str(attribute.value.as_ref()) {
                Some("") => continue,
                Some(_) => None,
                None => {
                    let start = self.text.len();
                    value::write(&mut self.text, attribute.value.as_ref());
                    if self.text.len() == start {
                        continue;
                    }
                    Some((start, self.text.len()))
                }
            };
            self.entries.push(Entry { name, attribute: i, text });
        }
        let collides = (1..self.entries.len()).any(|i| {
            let (before, entry) = (&self.entries[..i], &self.entries[i]);
            before.iter().any(|b| b.name == entry.name)
        });
        if collides {
            self.join(attributes);
        }
        Ok(collides)
    }

    /// Joins the values of attributes with one name by `;`, in the order of their keys.
    fn join(&mut self, attributes: &[KeyValue]) {
        let mut entries = std::mem::take(&mut self.entries);
        entries.sort_by_key(|e| attributes[e.attribute].key.as_str());
        for entry in &entries {
            if self.entries.iter().any(|known| known.name == entry.name) {
                continue;
            }
            let start = self.text.len();
            for (i, same) in entries.iter().filter(|e| e.name == entry.name).enumerate() {
                if i > 0 {
                    self.text.push(';');
                }
                match same.text {
                    Some((from, to)) => self.text.extend_from_within(from..to),
                    None => value::write(&mut self.text, attributes[same.attribute].value.as_ref()),
                }
            }
            self.entries.push(Entry { text: Some((start, self.text.len())), ..*entry });
        }
    }

    /// The labels of the point that was read, with `name`. A label that is set row by row is named by `extra`.
    pub(crate) fn labels<'a>(
        &'a self,
        attributes: &'a [KeyValue],
        fixed: &'a [Fixed],
        name: &'a str,
        extra: &str,
    ) -> SeriesLabels<'a> {
        let mut pairs = Pairs::new();
        for entry in &self.entries {
            let name = self.names.get(entry.name);
            if name == METRIC_NAME || name == extra {
                continue;
            }
            let value = match entry.text {
                Some((start, end)) => &self.text[start..end],
                None => value::as_str(attributes[entry.attribute].value.as_ref()).unwrap_or(""),
            };
            pairs.push((name, value));
        }
        let own = pairs.len();
        for label in fixed {
            match pairs[..own].iter_mut().find(|pair| pair.0 == label.name) {
                Some(pair) if !label.yields => pair.1 = &label.value,
                Some(_) => {}
                None if label.name == extra || label.name == METRIC_NAME => {}
                None => pairs.push((&label.name, &label.value)),
            }
        }
        pairs.push((METRIC_NAME, name));
        pairs.sort_unstable_by_key(|pair| pair.0);
        let name_at = pairs.partition_point(|pair| pair.0 < METRIC_NAME);
        SeriesLabels { pairs, name_at, extra_at: usize::MAX }
    }
}

impl<'a> SeriesLabels<'a> {
    pub(crate) fn as_slice(&self) -> &[(&'a str, &'a str)] {
        &self.pairs
    }

    /// The labels with another metric name.
    pub(crate) fn named(&mut self, name: &'a str) -> &[(&'a str, &'a str)] {
        self.pairs[self.name_at].1 = name;
        &self.pairs
    }

    /// Makes room for the label that was announced as `extra`.
    pub(crate) fn add_extra(&mut self, extra: &'a str) {
        self.extra_at = self.pairs.partition_point(|pair| pair.0 < extra);
        self.pairs.insert(self.extra_at, (extra, ""));
        if self.extra_at <= self.name_at {
            self.name_at += 1;
        }
    }

    /// The labels with another value of the extra label.
    pub(crate) fn valued(&mut self, value: &'a str) -> &[(&'a str, &'a str)] {
        self.pairs[self.extra_at].1 = value;
        &self.pairs
    }
}
