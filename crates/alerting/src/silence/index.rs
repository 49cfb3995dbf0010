//! Finds the silences that may match a label set without asking each of them.
//!
//! Most silences name the value of a label. Each of these lies under one such label; only the others are asked every time.

use std::collections::BTreeMap;
use std::sync::Arc;

use sonde_model::{Labels, MatchOp};

use super::Silence;

/// Silences by what a label set must have to match them.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    by_label: BTreeMap<String, BTreeMap<String, Vec<Arc<Silence>>>>,
    others: Vec<Arc<Silence>>,
}

impl Index {
    /// An index of these silences.
    pub(super) fn of(silences: impl Iterator<Item = Arc<Silence>>) -> Self {
        let mut index = Index::default();
        for silence in silences {
            index.add(silence);
        }
        index
    }

    fn add(&mut self, silence: Arc<Silence>) {
        let named = silence.draft.matchers.iter().filter(|m| m.op() == MatchOp::Equal && !m.value().is_empty());
        // Under the label where the fewest lie: that many of one alert's silences say little about others.
        let lying =
            |name: &str, value: &str| self.by_label.get(name).and_then(|values| values.get(value)).map_or(0, Vec::len);
        let best = named.min_by_key(|m| lying(m.name(), m.value()));
        match best.map(|m| (m.name().to_owned(), m.value().to_owned())) {
            Some((name, value)) => self.by_label.entry(name).or_default().entry(value).or_default().push(silence),
            None => self.others.push(silence),
        }
    }

    /// All silences that may match; of the others it is known that they do not.
    pub(super) fn candidates<'a>(&'a self, labels: &'a Labels) -> impl Iterator<Item = &'a Arc<Silence>> {
        let named = labels.iter().filter_map(|(name, value)| self.by_label.get(name)?.get(value)).flatten();
        named.chain(&self.others)
    }
}
