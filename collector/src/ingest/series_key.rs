//! The key of a remote-written series in the memo: equal keys mean equal labels, in whatever request they come.

use sonde_proto::remote_write::{SeriesView, Symbols};

use super::label_hash::{Domain, LabelHasher};

/// Makes the keys of the series of one request.
///
/// In 1.0 the encoded labels are hashed. In 2.0 they are references into a table that each request numbers anew, so that
/// their bytes say nothing beyond it: each symbol is hashed once, and the key of a series is the hash of the hashes of
/// its symbols. A table for the whole request would hit only where the sender puts the same series together again.
#[derive(Debug)]
pub(super) struct SeriesKeys<'a> {
    hasher: &'a LabelHasher,
    symbols: Vec<[u8; 16]>,
    scratch: Vec<u8>,
}

impl<'a> SeriesKeys<'a> {
    /// The keys of a request with these symbols; without any in 1.0.
    pub(super) fn new(hasher: &'a LabelHasher, symbols: Option<&Symbols<'_>>) -> Self {
        let hash = |text: &[u8]| hasher.hash(Domain::Symbol, text).to_le_bytes();
        let symbols = symbols.map(|symbols| symbols.iter().map(hash).collect()).unwrap_or_default();
        SeriesKeys { hasher, symbols, scratch: Vec::new() }
    }

    /// The key of a series; `None` where its labels are not written as senders write them, or refer to what is not there.
    pub(super) fn of(&mut self, series: &SeriesView<'_>) -> Option<u128> {
        let bytes = series.label_bytes()?;
        let Some(refs) = series.symbol_refs() else {
            return Some(self.hasher.hash(Domain::RemoteWrite, bytes));
        };
        self.scratch.clear();
        for reference in refs {
            self.scratch.extend_from_slice(self.symbols.get(reference.ok()? as usize)?);
        }
        Some(self.hasher.hash(Domain::SymbolLabels, &self.scratch))
    }
}

#[cfg(test)]
mod tests {
    use sonde_proto::remote_write::{Limits, Version, WriteRequestView, encode, v2};

    use super::*;

    #[test]
    fn the_key_is_that_of_the_texts_whatever_their_numbers() {
        let hasher = LabelHasher::new();
        let limits = Limits::default();
        let keys = |symbols: &[&str], labels_refs: Vec<Vec<u32>>| {
            let request = v2::Request {
                symbols: symbols.iter().map(|text| (*text).to_owned()).collect(),
                timeseries: labels_refs
                    .into_iter()
                    .map(|labels_refs| v2::TimeSeries { labels_refs, ..v2::TimeSeries::default() })
                    .collect(),
            };
            let body = encode(&request);
            let view = WriteRequestView::new(Version::V2, &body, &limits).unwrap();
            let mut keys = SeriesKeys::new(&hasher, view.symbols());
            view.series().map(|series| keys.of(&series.unwrap())).collect::<Vec<_>>()
        };
        let first = keys(&["", "__name__", "up", "job", "a"], vec![vec![1, 2, 3, 4], vec![1, 2], vec![1, 2, 3, 5]]);
        let second = keys(&["", "a", "job", "up", "__name__"], vec![vec![4, 3, 2, 1], vec![2, 1, 4, 3], vec![4, 3]]);
        assert!(first[0].is_some() && first[0] == second[0] && first[1] == second[2]);
        assert!(first[0] != first[1] && second[0] != second[1]);
        assert_eq!(first[2], None, "a reference beyond the table");
    }
}
