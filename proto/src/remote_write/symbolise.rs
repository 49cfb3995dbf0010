//! Writing a request of 2.0 series by series: texts go into the table of symbols as they come.

use std::collections::HashMap;

use sonde_model::{Exemplar, Histogram, TimestampMs};

use super::encode::{put_histogram, put_sample};
use crate::put;

/// A request of 2.0 that is being written. The texts outlive it.
#[derive(Debug)]
pub struct SymbolWriter<'t> {
    refs: HashMap<&'t str, u32, foldhash::fast::RandomState>,
    symbols: Vec<u8>,
    series: Vec<u8>,
}

/// What a series of 2.0 carries once.
#[derive(Clone, Copy, Debug)]
pub enum Carried<'t> {
    /// A float sample: its time, its start timestamp or 0, and its value.
    Float(TimestampMs, TimestampMs, f64),
    /// A native histogram: its time, its start timestamp or 0, and itself.
    Histogram(TimestampMs, TimestampMs, &'t Histogram),
    /// An exemplar.
    Exemplar(&'t Exemplar),
}

/// What a series says of its metric: the number of the type, the help text, the unit.
pub type SaidOfMetric<'t> = (u32, &'t str, &'t str);

impl<'t> SymbolWriter<'t> {
    /// A request without series.
    pub fn new() -> Self {
        let mut writer = SymbolWriter { refs: HashMap::default(), symbols: Vec::new(), series: Vec::new() };
        writer.intern("");
        writer
    }

    /// Adds a series with one thing that it carries.
    pub fn series(
        &mut self,
        labels: impl Iterator<Item = (&'t str, &'t str)>,
        metadata: Option<SaidOfMetric<'t>>,
        carried: Carried<'t>,
    ) {
        let refs = self.intern_labels(labels);
        let exemplar_refs = match carried {
            Carried::Exemplar(exemplar) => self.intern_labels(exemplar.labels.iter()),
            _ => Vec::new(),
        };
        let metadata = metadata.map(|(kind, help, unit)| (kind, self.intern(help), self.intern(unit)));
        put::message(&mut self.series, 5, |out| {
            put_refs(out, &refs);
            match carried {
                Carried::Float(timestamp, start, value) => put_sample(out, 2, timestamp, value, start),
                Carried::Histogram(timestamp, start, histogram) => put_histogram(out, 3, timestamp, histogram, start),
                Carried::Exemplar(exemplar) => put::message(out, 4, |out| {
                    put_refs(out, &exemplar_refs);
                    put::double(out, 2, exemplar.value);
                    put::int(out, 3, exemplar.timestamp);
                }),
            }
            if let Some((kind, help, unit)) = metadata {
                put::message(out, 5, |out| {
                    put::uint(out, 1, u64::from(kind));
                    put::uint(out, 3, u64::from(help));
                    put::uint(out, 4, u64::from(unit));
                });
            }
        });
    }

    /// The request.
    pub fn finish(mut self) -> Vec<u8> {
        self.symbols.append(&mut self.series);
        self.symbols
    }

    fn intern_labels(&mut self, labels: impl Iterator<Item = (&'t str, &'t str)>) -> Vec<u32> {
        labels.flat_map(|(name, value)| [self.intern(name), self.intern(value)]).collect()
    }

    fn intern(&mut self, text: &'t str) -> u32 {
        let next = self.refs.len() as u32;
        let symbols = &mut self.symbols;
        *self.refs.entry(text).or_insert_with(|| {
            put::bytes(symbols, 4, text.as_bytes());
            next
        })
    }
}

impl Default for SymbolWriter<'_> {
    fn default() -> Self {
        Self::new()
    }
}

fn put_refs(out: &mut Vec<u8>, refs: &[u32]) {
    put::message(out, 1, |out| refs.iter().for_each(|reference| put::varint(out, u64::from(*reference))));
}
