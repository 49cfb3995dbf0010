//! The labels of one point: its attributes, what resource and scope add, and the name.

use smallvec::SmallVec;
use sonde_model::METRIC_NAME;
use sonde_proto::otlp::{AttributeView, ViewError};

use crate::label_name::{LabelNames, NameId};
use crate::options::Options;
use crate::point::AttributesError;
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
    /// Where the extra label stands, once it does.
    extra_at: Option<usize>,
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
        attributes: &[AttributeView<'_>],
        keep: impl Fn(&str) -> bool,
    ) -> Result<bool, AttributesError> {
        self.entries.clear();
        self.text.clear();
        if attributes.len() > options.max_labels {
            return Err(RejectReason::TooManyLabels.into());
        }
        self.names.make_room();
        for (i, attribute) in attributes.iter().enumerate().filter(|(_, a)| keep(a.key)) {
            let name = self.names.id(options, attribute.key).ok_or(RejectReason::InvalidLabelName)?;
            let text = match value::as_str(attribute.value) {
                Some("") => continue,
                Some(_) => None,
                None => {
                    let start = self.text.len();
                    value::write(&mut self.text, attribute.value)?;
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
            self.join(attributes)?;
        }
        Ok(collides)
    }

    /// Joins the values of attributes with one name by `;`, in the order of their keys.
    fn join(&mut self, attributes: &[AttributeView<'_>]) -> Result<(), ViewError> {
        let mut entries = std::mem::take(&mut self.entries);
        entries.sort_by_key(|e| attributes[e.attribute].key);
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
                    None => value::write(&mut self.text, attributes[same.attribute].value)?,
                }
            }
            self.entries.push(Entry { text: Some((start, self.text.len())), ..*entry });
        }
        Ok(())
    }

    /// The labels of the point that was read, still without a name. A label that is set row by row is named by
    /// `extra`.
    pub(crate) fn labels<'a>(
        &'a self,
        attributes: &'a [AttributeView<'a>],
        fixed: &'a [Fixed],
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
                None => value::as_str(attributes[entry.attribute].value).unwrap_or(""),
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
        pairs.push((METRIC_NAME, ""));
        pairs.sort_unstable_by_key(|pair| pair.0);
        let name_at = pairs.partition_point(|pair| pair.0 < METRIC_NAME);
        SeriesLabels { pairs, name_at, extra_at: None }
    }
}

impl<'a> SeriesLabels<'a> {
    /// The labels under a metric name, with or without the extra label.
    pub(crate) fn with(&mut self, name: &'a str, extra: &'a str, value: Option<&'a str>) -> &[(&'a str, &'a str)] {
        match (value, self.extra_at) {
            (Some(value), Some(at)) => self.pairs[at].1 = value,
            (Some(value), None) => {
                let at = self.pairs.partition_point(|pair| pair.0 < extra);
                self.pairs.insert(at, (extra, value));
                self.name_at += usize::from(at <= self.name_at);
                self.extra_at = Some(at);
            }
            (None, Some(at)) => {
                self.pairs.remove(at);
                self.name_at -= usize::from(at < self.name_at);
                self.extra_at = None;
            }
            (None, None) => {}
        }
        self.pairs[self.name_at].1 = name;
        &self.pairs
    }
}
