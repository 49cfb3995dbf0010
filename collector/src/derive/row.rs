//! What a derivation hands to the metrics store: by how much a counter grew.

use sonde_model::span::TraceId;

/// The growth of one counter since the last collection.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// Names and values, sorted by name; a label without a value is not there.
    pub(super) labels: Vec<(&'static str, Box<str>)>,
    /// By how much the counter grew; 0 keeps it in sight.
    pub(super) growth: f64,
    /// Whether the counter may be new: it then begins with a 0, so that its first growth can be seen.
    pub(super) fresh: bool,
    /// What leads to a trace; the last one of what the counter grew by.
    pub(super) observed: Option<Observed>,
}

/// One observation and the trace that it is of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Observed {
    pub(super) value: f64,
    pub(super) trace: TraceId,
}

/// The counters of one label set.
pub(super) struct Rows<'a> {
    /// Where they go.
    pub(super) into: &'a mut Vec<Row>,
    /// Their labels without `__name__`, sorted by name.
    pub(super) labels: &'a [(&'static str, &'a str)],
    /// Whether they may be new.
    pub(super) fresh: bool,
}

impl Rows<'_> {
    /// Adds a counter.
    pub(super) fn counter(&mut self, name: &'static str, growth: f64, observed: Option<Observed>) {
        self.add(name, None, growth, observed);
    }

    /// Adds a counter with a bucket's label.
    pub(super) fn bucket(&mut self, name: &'static str, le: &str, growth: f64, observed: Option<Observed>) {
        self.add(name, Some(le), growth, observed);
    }

    fn add(&mut self, name: &'static str, le: Option<&str>, growth: f64, observed: Option<Observed>) {
        let own = [("__name__", name)].into_iter().chain(le.map(|le| ("le", le)));
        let all = own.chain(self.labels.iter().copied()).filter(|(_, value)| !value.is_empty());
        let mut labels: Vec<(&'static str, Box<str>)> = all.map(|(name, value)| (name, value.into())).collect();
        labels.sort_unstable_by_key(|(name, _)| *name);
        self.into.push(Row { labels, growth, fresh: self.fresh, observed });
    }
}

/// A text as the value of a label: cut where it is longer than is good for a label.
pub(super) fn label_value(text: &str) -> &str {
    /// Bytes of a label value at most.
    const LONGEST: usize = 512;
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
